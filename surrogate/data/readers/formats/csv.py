"""Strict reading of CSV into rows of text, and of one cell into a number.

Nothing is guessed: a row with a field too many or too few is dropped with its line, and
a file that is not one table of text is refused.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from surrogate.base.errors import DataError
from surrogate.base.units import parse_number, quote
from surrogate.data import Dropped
from surrogate.data.readers.formats.content import Content, check_size

# Rows of another width below a table that are one of its own.
_BLOCK = 3
# Rows after which a table's size is looked at again.
_CHECKED = 2**16
# Columns that a message names.
_SHOWN = 16
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2}(?:[,_' ][0-9]{3})+(?:\.[0-9]*)?")
_EITHER = re.compile(r"[+-]?[1-9][0-9]{0,2},[0-9]{3}")
_DECIMAL_COMMA = re.compile(r"[+-]?[0-9]*,[0-9]+(?:[eE][+-]?[0-9]+)?")


@dataclass(frozen=True)
class Row:
    """One row of data: the line of the file on which it starts, and its fields."""

    line: int
    fields: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A table as text, whatever it was read from.

    Attributes:
        file: the path as it was given.
        sha256: of the file's bytes.
        header: the columns' names, blanks around them removed.
        rows: every row that has as many fields as the header.
        dropped: the other rows.
        notes: what was made of what was read, for people.
        has_commas: its columns are parted by semicolons, so that a comma in a number
            is a decimal one.
    """

    file: str
    sha256: str
    header: tuple[str, ...]
    rows: tuple[Row, ...]
    dropped: tuple[Dropped, ...]
    notes: tuple[str, ...] = ()
    has_commas: bool = False

    def columns(self) -> str:
        """The columns' names for a message, the first of many."""
        named = [quote(name) for name in self.header[:_SHOWN]]
        more = len(self.header) - len(named)
        return ", ".join(named) + (f" and {more:,} more" if more else "")


def numbered(file: str, stream: Any) -> Iterator[tuple[int, list[str]]]:
    """Each row with the line on which it starts."""
    line = 1
    try:
        for fields in stream:
            start, line = line, stream.line_num + 1
            yield start, fields
    except csv.Error as error:
        raise DataError(
            f"{file} line {line}: expected CSV, got a row that cannot be read "
            f"({error}). Look for a quote that is not closed or stands alone."
        ) from error


def build(
    file: str,
    digest: str,
    lines: Iterable[tuple[int, Sequence[str]]],
    dropped: Sequence[Dropped] = (),
) -> Table:
    """A table of rows of text, the first of which is the header.

    Args:
        file: for messages.
        digest: SHA-256 of what was read.
        lines: each row's line and fields; empty ones are skipped.
        dropped: what is known to be no row.

    Raises:
        DataError: if there is no header, or no row below it.
    """
    header: tuple[str, ...] = ()
    rows: list[Row] = []
    left = list(dropped)
    widths: list[tuple[int, int]] = []
    for start, fields in lines:
        if not fields:
            continue
        if not header:
            header = _header(file, fields)
        elif len(fields) == len(header):
            rows.append(Row(start, tuple(map(str.strip, fields))))
            if len(rows) % _CHECKED == 0:
                check_size(file, len(rows), len(header))
        else:
            reason = f"{len(fields)} fields where the header has {len(header)}"
            left.append(Dropped(file, start, "", "", reason))
            widths.append((start, len(fields)))
    if not rows:
        first = f" The first: {left[0]}." if left else ""
        shown = ", ".join(quote(name) for name in header[:_SHOWN])
        raise DataError(
            f"{file}: expected a header and rows below it, got {len(rows)} rows to "
            f"use and {len(left)} of another length.{first} The line taken as the "
            f"header: {shown or 'none'}. Check the file."
        )
    _check_second_header(file, header, rows, widths)
    return Table(file, digest, header, tuple(rows), tuple(left))


def _check_second_header(
    file: str,
    header: Sequence[str],
    rows: Sequence[Row],
    widths: Sequence[tuple[int, int]],
) -> None:
    """Refuse a block of rows below the table that has columns of its own.

    Args:
        file: for messages.
        header: of the table.
        rows: of the table.
        widths: line and number of fields of the rows that are none.

    Raises:
        DataError: they all have one other number of fields, and follow the table.
    """
    is_block = len(widths) >= _BLOCK and widths[0][0] > rows[-1].line
    if is_block and len({width for _, width in widths}) == 1:
        raise DataError(
            f"{file}: lines {widths[0][0]} to {widths[-1][0]} all have {widths[0][1]} "
            f"fields where the header has {len(header)}: a second header is missing. "
            "Put them into a file of their own with a header."
        )


def parse_cell(text: str) -> float | str:
    """The number in a cell (it may be infinite), or the reason why there is none."""
    if _NUMBER.fullmatch(text):
        return float(text)
    if not text:
        return "empty cell: the value is missing"
    if text.lower().lstrip("+-") in ("nan", "inf", "infinity"):
        return "must be a finite number"
    if _EITHER.fullmatch(text):
        groups, decimal = text.replace(",", ""), text.replace(",", ".")
        return f"thousands separator or decimal comma: write {groups} or {decimal}"
    if _THOUSANDS.fullmatch(text):
        return f"thousands separator: write {re.sub(r'[^0-9.+-]', '', text)}"
    if _DECIMAL_COMMA.fullmatch(text):
        return f"decimal comma: write {text.replace(',', '.')}"
    try:
        return f"cells take plain numbers: write {parse_number(text)!r}"
    except DataError:
        return "must be a number"


def decode(content: Content) -> str:
    """The text of a file: UTF-8, with or without its mark.

    Raises:
        DataError: naming the line that is something else.
    """
    file, data = content.file, content.data
    how = "Save it as CSV in UTF-8."
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            # Excel's "Unicode text".
            data = data.decode("utf-16").encode()
        except UnicodeDecodeError as error:
            raise DataError(
                f"{file}: expected UTF-16, as its first bytes say, got something else "
                f"at byte {error.start:,}. {how}"
            ) from error
    if b"\0" in data:
        line = data[: data.index(b"\0")].count(b"\n") + 1
        raise DataError(
            f"{file} line {line}: expected text, got a NUL byte: it is a binary file "
            f"or UTF-16. {how}"
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        byte = data[error.start]
        raise DataError(
            f"{file} line {line}: expected UTF-8, got the byte 0x{byte:02x}. {how}"
        ) from error
    if not text.strip():
        raise DataError(
            f"{file}: expected a header and rows below it, got an empty file. Check "
            f"that it was written."
        )
    return text


def delimiter_of(file: str, first: str) -> str:
    """A comma, or what a header without one plainly uses instead: ; tab or |."""
    found = [mark for mark in ",;\t" if mark in first]
    if not found and first.count("|") > 1:
        return "|"
    if found[:1] == [","] or not found:
        return ","
    if len(found) > 1:
        raise DataError(
            f"{file} line 1: expected columns separated by commas, got {quote(first)}, "
            f"which has both semicolons and tabs. Save it with commas."
        )
    return found[0]


def _header(file: str, fields: Sequence[str]) -> tuple[str, ...]:
    check_size(file, 1, len(fields))
    header = tuple(map(str.strip, fields))
    if all(_NUMBER.fullmatch(name) for name in header[1:]):
        # Of a table that stands on its side these are values.
        return header
    for name, count in Counter(header).items():
        # A blank name cannot be asked for: pandas writes one over its index.
        if count > 1 and name:
            header = _told_apart(header, name)
    return header


def _told_apart(header: tuple[str, ...], name: str) -> tuple[str, ...]:
    """Columns of one name as `name.1`, `name.2`, ..., so that each can be asked for."""
    places = [k for k, other in enumerate(header) if other == name]
    names = list(header)
    for number, place in enumerate(places, start=1):
        names[place] = f"{name}.{number}"
        while names[place] in header:
            names[place] += "'"
    return tuple(names)
