"""Tables in Excel workbooks, by openpyxl (extra `formats`); values, not formulas."""

from __future__ import annotations

import io
import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from surrogate.base.errors import DataError
from surrogate.base.units import quote
from surrogate.data.readers.content import (
    MOST_BYTES,
    Content,
    check_size,
    need,
)
from surrogate.data.readers.csv import Table, build
from surrogate.data.readers.values import text_of


def parse_excel(content: Content) -> Table:
    """The table in a workbook: in its first sheet that holds anything.

    Raises:
        DataError: it is none, is too large, or openpyxl is not installed.
    """
    file = content.file
    try:
        import openpyxl
    except ImportError as error:
        raise need("openpyxl", file) from error
    _check_unfolded(content)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            book = openpyxl.load_workbook(
                io.BytesIO(content.data), read_only=True, data_only=True
            )
            sheets = [(s.title, list(_rows(file, s))) for s in book.worksheets]
            book.close()
    except DataError:
        raise
    except Exception as error:
        said = " ".join(str(error).split())[:120]
        raise DataError(
            f"{file}: expected an Excel workbook (.xlsx), got a file that cannot be "
            f"read so ({said}). Save it again, or export the runs as CSV."
        ) from error
    full = [(title, rows) for title, rows in sheets if rows]
    if not full:
        raise DataError(f"{file}: expected a table, got sheets that are all empty.")
    title, rows = full[0]
    table = build(file, content.sha256, rows)
    if len(full) == 1:
        return table
    others = ", ".join(quote(name) for name, _ in full[1:4])
    note = f"{file}: sheet {quote(title)} is read, others are not ({others})"
    return replace(table, notes=(note,))


def _rows(file: str, sheet: Any) -> Iterator[tuple[int, list[str]]]:
    """The rows of a sheet with their numbers, without empty ones and empty ends."""
    width = 0
    for k, cells in enumerate(sheet.iter_rows(values_only=True)):
        texts = [text_of(cell) for cell in cells]
        while texts and not texts[-1]:
            texts.pop()
        if not texts:
            continue
        width = width or len(texts)
        check_size(file, k + 1, width)
        # Empty cells at the end of a row are no part of the file.
        yield k + 1, texts + [""] * (width - len(texts))


def _check_unfolded(content: Content) -> None:
    """Refuse a small file that would unfold to a large one."""
    try:
        with zipfile.ZipFile(io.BytesIO(content.data)) as archive:
            size = sum(item.file_size for item in archive.infolist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise DataError(
            f"{content.file}: expected an Excel workbook (.xlsx), got something else "
            f"({error}). Save it as .xlsx, or export the runs as CSV."
        ) from error
    if size > MOST_BYTES:
        raise DataError(
            f"{content.file}: expected a workbook that unfolds to at most "
            f"{MOST_BYTES:,} bytes, got {size:,}. Export the runs as CSV."
        )
