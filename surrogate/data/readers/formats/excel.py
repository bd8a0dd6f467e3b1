"""Tables in Excel workbooks, by openpyxl (extra `formats`); values, not formulas."""

from __future__ import annotations

import io
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from surrogate.base.errors import DataError
from surrogate.base.units import quote
from surrogate.data.readers.formats.content import (
    MOST_BYTES,
    Content,
    check_size,
    need,
)
from surrogate.data.readers.formats.csv import Table, build
from surrogate.data.readers.formats.preamble import roles_in, skip_titles
from surrogate.data.readers.formats.values import text_of

Lines = list[tuple[int, list[str]]]

# What is read whole [bytes], so that merged cells are known, and how many rows of one.
_LARGE = 2**26
_MOST_MERGED = 100_000
_LEAST_ROLES = 3


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
    size = _unfolded(content)
    # Only a book that is read whole tells which cells are merged.
    is_large = size > _LARGE
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            book = openpyxl.load_workbook(
                io.BytesIO(content.data), read_only=is_large, data_only=True
            )
            sheets = [
                (s.title, list(_rows(file, s, {} if is_large else _merged(s))))
                for s in book.worksheets
            ]
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
    return _chosen(content, full)


def _chosen(content: Content, full: list[tuple[str, Lines]]) -> Table:
    """The sheets that are tables of runs: those of one header are one table."""
    file = content.file
    tables = []
    for title, rows in full:
        kept, notes = skip_titles(file, rows)
        lines = list(kept)
        tables.append((title, lines, notes))
    # Settings are named in three cells at least; else the first sheet is the table.
    likely = [item for item in tables if roles_in(item[1][0][1]) >= _LEAST_ROLES]
    title, lines, notes = (likely or tables)[0]
    same = [item for item in likely if item[1][0][1] == lines[0][1]]
    for _, more, _ in same[1:]:
        last = lines[-1][0]
        lines = lines + [(last + line, fields) for line, fields in more[1:]]
    width = len(lines[0][1])
    # Empty cells at the end of a row are no part of the file.
    padded = [(k, [*texts, *[""] * (width - len(texts))]) for k, texts in lines]
    table = build(file, content.sha256, padded)
    names = [item[0] for item in same] or [title]
    others = [quote(name) for name, _ in full if name not in names]
    if len(names) > 1:
        notes = [
            *notes,
            f"{file}: sheets {', '.join(map(quote, names))} have one header and are "
            "read as one table (lines are counted on through them)",
        ]
    if others:
        shown = ", ".join(others[:3])
        notes = [
            *notes,
            f"{file}: sheet {quote(title)} is read, others are not ({shown})",
        ]
    return replace(table, notes=(*table.notes, *notes))


def _merged(sheet: Any) -> dict[tuple[int, int], Any]:
    """The value of each cell that is merged with one above it."""
    found: dict[tuple[int, int], Any] = {}
    for area in sheet.merged_cells.ranges:
        if area.min_col != area.max_col or area.size["rows"] > _MOST_MERGED:
            continue
        value = sheet.cell(area.min_row, area.min_col).value
        for row in range(area.min_row + 1, area.max_row + 1):
            found[row, area.min_col] = value
    return found


def _rows(
    file: str, sheet: Any, merged: Mapping[tuple[int, int], Any]
) -> Iterator[tuple[int, list[str]]]:
    """The rows of a sheet with their numbers, without empty ones and empty ends."""
    width = 0
    for k, cells in enumerate(sheet.iter_rows(values_only=True), start=1):
        texts = [
            text_of(merged.get((k, place), cell) if merged else cell)
            for place, cell in enumerate(cells, start=1)
        ]
        while texts and not texts[-1]:
            texts.pop()
        if not texts:
            continue
        width = max(width, len(texts))
        check_size(file, k, width)
        yield k, texts


def _unfolded(content: Content) -> int:
    """What a file unfolds to [bytes]; a small one must not be a large one."""
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
    return size
