"""Pivot tables: one setting down the side, another along the top, losses inside."""

from __future__ import annotations

import re
from dataclasses import replace

from surrogate.base.errors import DataError
from surrogate.base.units import quote
from surrogate.data.readers.columns.roles import role_of
from surrogate.data.readers.formats.csv import Row, Table, parse_cell
from surrogate.data.readers.numbers import read_number

_CORNER = re.compile(r"\s*(.+?)\s*(?:\\|/|\||×|\bvs\.?\b|\bby\b)\s*(.+?)\s*")  # noqa: RUF001
_LEAST = 2
_UNNAMED = ("row", "column")


def unpivot(table: Table) -> Table:
    """`table` as one row a cell where it is a pivot, else as it is.

    Raises:
        DataError: it is a pivot with rows of another length.
    """
    heads = [_plain(head) for head in table.header[1:]]
    is_pivot = (
        len(heads) >= _LEAST
        and all(heads)
        and all(_is_head(row.fields[0]) for row in table.rows)
        and not isinstance(parse_cell(table.header[0]), float)
        and not _is_loss(table.header[0])
    )
    if not is_pivot:
        return table
    if table.dropped:
        raise DataError(
            f"{table.dropped[0]}. Expected every row of a pivot to be complete: leave "
            "cells that did not run empty."
        )
    side, top = _names(table.header[0])
    rows = [
        Row(row.line, (_plain(row.fields[0]), head, cell))
        for row in table.rows
        for head, cell in zip(heads, row.fields[1:], strict=True)
        if cell
    ]
    empty = len(table.rows) * len(heads) - len(rows)
    if not rows:
        raise DataError(f"{table.file}: expected losses in the pivot, got none.")
    some = f" ({empty} empty cells are no runs)" if empty else ""
    note = (
        f"{table.file}: a pivot of {quote(side)} by {quote(top)}, whose cells are read "
        f"as losses{some}"
    )
    return replace(
        table,
        header=(side, top, "loss"),
        rows=tuple(rows),
        notes=(*table.notes, note),
    )


def _plain(text: str) -> str:
    """The number that a head is, written plainly; "" where it is none."""
    if isinstance(parse_cell(text), float):
        return text
    return read_number(text, is_count=True, is_factor=False) or ""


def _is_head(text: str) -> bool:
    return bool(_plain(text))


def _is_loss(corner: str) -> bool:
    return role_of(corner) == "loss"


def _names(corner: str) -> tuple[str, str]:
    """What stands down the side and along the top, by the cell in the corner."""
    found = _CORNER.fullmatch(corner)
    if found and found[1] != found[2]:
        return found[1], found[2]
    side = corner or _UNNAMED[0]
    return side, _UNNAMED[1]
