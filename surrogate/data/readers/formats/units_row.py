"""A row of units below the header, as `[M]` or `(1e-3)`: it goes into the names."""

from __future__ import annotations

import math
from dataclasses import replace

from surrogate.data.readers.columns.headings import unit_of
from surrogate.data.readers.columns.roles import role_of
from surrogate.data.readers.formats.csv import Table, parse_cell

_NONE = {"", "-", "–", "1", "none", "n/a", "na"}  # noqa: RUF001
_LEAST = 2


def with_units(table: Table) -> Table:
    """`table` with the units of its first row behind the names, where they are such."""
    if len(table.rows) < 2 or len(table.header) < _LEAST:
        return table
    first, rest = table.rows[0], table.rows[1:]
    units = [_bare(cell) for cell in first.fields]
    known = [k for k, unit in enumerate(units) if unit not in _NONE and unit_of(unit)]
    marked = [k for k, cell in enumerate(first.fields) if cell != units[k]]
    named = [k for k in {*known, *marked} if role_of(table.header[k]) is not None]
    is_row = len(known) >= _LEAST and len(named) >= _LEAST
    others = [k for k, unit in enumerate(units) if unit not in _NONE and k not in known]
    # What stands in brackets is a unit, known or not; anything else is a value.
    if not is_row or any(k not in marked for k in others):
        return table
    if not all(_is_number(rest[0].fields[k]) for k in known):
        return table
    header = tuple(
        f"{name} ({units[k]})" if k in known else name
        for k, name in enumerate(table.header)
    )
    shown = ", ".join(f"{table.header[k]} in {units[k]}" for k in known[:4])
    note = f"{table.file}: line {first.line} holds units ({shown}), and is no run"
    return replace(table, header=header, rows=rest, notes=(*table.notes, note))


def _bare(cell: str) -> str:
    text = cell.strip()
    for opening, closing in ("[]", "()", "{}"):
        if text.startswith(opening) and text.endswith(closing):
            return text[1:-1].strip()
    return text


def _is_number(cell: str) -> bool:
    value = parse_cell(cell)
    return isinstance(value, float) and math.isfinite(value)
