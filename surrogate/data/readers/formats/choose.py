"""Which reader a table takes: by a file's ending, else by how it begins."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from surrogate.base.errors import DataError
from surrogate.data.readers.columns.run_names import with_names
from surrogate.data.readers.formats.arrow import parse_arrow, parse_parquet
from surrogate.data.readers.formats.blanks import parse_blanks
from surrogate.data.readers.formats.chart import ends_of_curves
from surrogate.data.readers.formats.compressed import ENDINGS, unfolded
from surrogate.data.readers.formats.content import (
    STDIN,
    Content,
    printable,
    read_content,
)
from surrogate.data.readers.formats.csv import Table
from surrogate.data.readers.formats.databases import is_database, read_database
from surrogate.data.readers.formats.delimited import parse_delimited
from surrogate.data.readers.formats.excel import parse_excel
from surrogate.data.readers.formats.folders import read_folder
from surrogate.data.readers.formats.frames import is_frame, read_frame
from surrogate.data.readers.formats.json import parse_json
from surrogate.data.readers.formats.json_lines import parse_json_lines
from surrogate.data.readers.formats.key_values import parse_pairs
from surrogate.data.readers.formats.large import Progress, read_large
from surrogate.data.readers.formats.latex import is_latex, parse_latex
from surrogate.data.readers.formats.markdown import is_markdown, parse_markdown
from surrogate.data.readers.formats.pivot import unpivot
from surrogate.data.readers.formats.preamble import without_totals
from surrogate.data.readers.formats.trackers import spread
from surrogate.data.readers.formats.transpose import upright
from surrogate.data.readers.formats.units_row import with_units
from surrogate.data.readers.formats.wide import lengthened

Reader = Callable[[Content], Table]


def read_any(
    source: Any, *, progress: Progress | None = None, is_whole: bool = False
) -> Table:
    """The table in a file, on standard input ("-"), or in a data frame.

    Args:
        source: the file, "-" or the frame.
        progress: is told of the reading of a large file.
        is_whole: every row is a run, so that none of a large file may be left out.

    Raises:
        DataError: it is none of these, or no table.
    """
    if is_frame(source):
        return shaped(read_frame(source))
    if not isinstance(source, str | os.PathLike):
        raise DataError(
            "read_runs: expected the path of a file, a data frame or a dict of "
            f"columns, got {type(source).__name__}. Name the file, or pass the frame."
        )
    if os.fspath(source) != STDIN and os.path.isdir(source):
        return shaped(read_folder(source))
    if is_database(source):
        return shaped(read_database(source))
    suffix = os.path.splitext(os.fspath(source))[1].lower()
    if os.fspath(source) != STDIN and suffix not in (*_READERS, *ENDINGS):
        # Its content would be read for nothing.
        raise DataError(
            f"{printable(source)}: expected a file that ends in "
            f"{', '.join((*_READERS, *ENDINGS))}, got {suffix or 'no ending'!r}. "
            "Export the runs as CSV, or pipe it: surrogate check - < FILE."
        )
    large = None if is_whole else read_large(source, progress)
    if large is not None:
        return shaped(large)
    content = unfolded(read_content(source))
    return shaped(_READERS.get(content.suffix, _by_content)(content))


def shaped(table: Table) -> Table:
    """A table as it was written, made one of a row a run."""
    table = without_totals(spread(with_units(table)))
    return with_names(lengthened(unpivot(upright(ends_of_curves(table)))))


def _text(content: Content) -> Table:
    """Text that may be a markdown table."""
    begin = content.data[: 2**16].decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
    if begin.startswith("|") and is_markdown(begin):
        return parse_markdown(content)
    return _delimited(content)


def _delimited(content: Content) -> Table:
    """CSV, or columns parted by blanks."""
    return parse_blanks(content) or parse_delimited(content)


def _json(content: Content) -> Table:
    """JSON, or JSON lines under its ending."""
    try:
        return parse_json(content)
    except DataError as error:
        lines = content.data.split(b"\n", 2)
        is_lines = all(line.lstrip().startswith(b"{") for line in lines[:2])
        if "(Extra data)" not in str(error) or not is_lines:
            raise
        return parse_json_lines(content)


def _by_content(content: Content) -> Table:
    """What a table without a name begins like."""
    data = content.data
    for magic, reader in _MAGIC.items():
        if data.startswith(magic):
            return reader(content)
    begin = data[: 2**16].decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
    if begin.startswith(("{", "[")):
        return _json(content)
    if is_markdown(begin):
        return parse_markdown(content)
    if is_latex(begin):
        return parse_latex(content)
    return parse_pairs(content) or _delimited(content)


_MAGIC: dict[bytes, Reader] = {
    b"PAR1": parse_parquet,
    b"ARROW1": parse_arrow,
    b"PK\x03\x04": parse_excel,
}
_READERS: dict[str, Reader] = {
    ".csv": _text,
    ".tsv": _text,
    ".txt": _by_content,
    ".log": _by_content,
    ".dat": _by_content,
    ".out": _by_content,
    ".org": _by_content,
    ".rst": _by_content,
    ".tex": parse_latex,
    ".md": parse_markdown,
    ".json": _json,
    ".jsonl": parse_json_lines,
    ".ndjson": parse_json_lines,
    ".parquet": parse_parquet,
    ".pq": parse_parquet,
    ".arrow": parse_arrow,
    ".feather": parse_arrow,
    ".xlsx": parse_excel,
    ".xlsm": parse_excel,
}
