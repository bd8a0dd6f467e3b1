"""Which reader a table takes: by a file's ending, else by how it begins."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from surrogate.base.errors import DataError
from surrogate.data.readers.arrow import parse_arrow, parse_parquet
from surrogate.data.readers.blanks import parse_blanks
from surrogate.data.readers.content import (
    STDIN,
    Content,
    printable,
    read_content,
)
from surrogate.data.readers.csv import Table, parse_csv
from surrogate.data.readers.excel import parse_excel
from surrogate.data.readers.frames import is_frame, read_frame
from surrogate.data.readers.json import parse_json
from surrogate.data.readers.json_lines import parse_json_lines
from surrogate.data.readers.markdown import is_markdown, parse_markdown
from surrogate.data.readers.pivot import unpivot
from surrogate.data.readers.trackers import spread

Reader = Callable[[Content], Table]


def read_any(source: Any) -> Table:
    """The table in a file, on standard input ("-"), or in a data frame.

    Raises:
        DataError: it is none of these, or no table.
    """
    if is_frame(source):
        return unpivot(spread(read_frame(source)))
    if not isinstance(source, str | os.PathLike):
        raise DataError(
            "read_runs: expected the path of a file, a data frame or a dict of "
            f"columns, got {type(source).__name__}. Name the file, or pass the frame."
        )
    suffix = os.path.splitext(os.fspath(source))[1].lower()
    if os.fspath(source) != STDIN and suffix not in _READERS:
        # Its content would be read for nothing; a folder says so itself.
        if not os.path.isdir(source):
            raise DataError(
                f"{printable(source)}: expected a file that ends in "
                f"{', '.join(_READERS)}, got {suffix or 'no ending'!r}. Export the "
                "runs as CSV, or pipe it: surrogate check - < FILE."
            )
    content = read_content(source)
    return unpivot(spread(_READERS.get(suffix, _by_content)(content)))


def _text(content: Content) -> Table:
    """Text that may be a markdown table."""
    begin = content.data[: 2**16].decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
    if begin.startswith("|") and is_markdown(begin):
        return parse_markdown(content)
    return _delimited(content)


def _delimited(content: Content) -> Table:
    """CSV, or columns parted by blanks."""
    return parse_blanks(content) or parse_csv(content)


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
    return _delimited(content)


_MAGIC: dict[bytes, Reader] = {
    b"PAR1": parse_parquet,
    b"ARROW1": parse_arrow,
    b"PK\x03\x04": parse_excel,
}
_READERS: dict[str, Reader] = {
    ".csv": _text,
    ".tsv": _text,
    ".txt": _by_content,
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
