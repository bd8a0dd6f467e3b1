"""CSV, TSV, semicolons, bars: lines of a file, its titles left out, as a table."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace

from surrogate.data.readers.formats.content import Content
from surrogate.data.readers.formats.csv import (
    Table,
    build,
    decode,
    delimiter_of,
    numbered,
)
from surrogate.data.readers.formats.preamble import roles_in, skip_titles

_MOST_LINES = 30
_MOST_TEXT = 20_000
# A comma that parts no thousands, and a point that parts none.
_COMMA = re.compile(r"[+-]?(?:0,[0-9]+|[0-9]+,(?:[0-9]{1,2}|[0-9]{4,}))")
_POINT = re.compile(r"[+-]?(?:0?\.[0-9]+|[0-9]+\.(?:[0-9]{1,2}|[0-9]{4,}))(?:e.*)?")


def parse_delimited(content: Content) -> Table:
    """Read CSV: one header line, commas (or semicolons, or tabs).

    Raises:
        DataError: if it cannot be read as such a table, or holds no rows.
    """
    file = content.file
    text = decode(content)
    delimiter = delimiter_of(file, header_line(text))
    # newline="" leaves line ends inside quotes to the csv module, as it asks.
    stream = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    lines, notes = skip_titles(file, numbered(file, stream))
    table = build(file, content.sha256, lines)
    has_commas = delimiter == ";" or (delimiter == "\t" and _are_decimal(table))
    return replace(table, has_commas=has_commas, notes=tuple(notes))


def _are_decimal(table: Table) -> bool:
    """Whether commas in the cells of a TSV can only be decimal ones."""
    cells = {cell for row in table.rows for cell in row.fields if "," in cell}
    points = (cell for row in table.rows for cell in row.fields if "." in cell)
    return any(_COMMA.fullmatch(cell) for cell in cells) and not any(
        _POINT.fullmatch(cell) for cell in points
    )


def header_line(text: str) -> str:
    """The line that names columns: the first, unless only a later one does."""
    lines = text[: 2**18].lstrip().splitlines()
    for line in lines[:_MOST_LINES]:
        for mark in ",;\t|":
            if roles_in(line[:_MOST_TEXT].replace('"', "").split(mark)) >= 3:
                return line
    return lines[0]
