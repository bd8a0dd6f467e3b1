"""Cells that are filled in the first row of a group only, as merged cells are saved.

An empty cell is a missing value; it is only filled with what stands above it where the
user says so.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from surrogate.base.errors import DataError, FlagsError
from surrogate.base.units import quote
from surrogate.data.readers.formats.csv import Row, Table

# Share of the rows whose cells of a setting are empty, from which on they look merged.
_MOSTLY = 0.4


def fill_down(table: Table, columns: Sequence[str]) -> Table:
    """`table` with empty cells of some columns filled with what stands above them.

    Args:
        table: the file.
        columns: their names.

    Raises:
        DataError: a name is no column, or its first cell is empty.
    """
    if not columns:
        return table
    for name in columns:
        if name not in table.header:
            raise DataError(
                f"--fill-down: expected columns of {table.file}, got {quote(name)}. "
                f"The columns are {table.columns()}."
            )
    places = [table.header.index(name) for name in columns]
    last: dict[int, str] = {}
    rows, filled = [], 0
    for row in table.rows:
        fields = list(row.fields)
        for place in places:
            if fields[place]:
                last[place] = fields[place]
            elif place in last:
                fields[place] = last[place]
                filled += 1
            else:
                raise DataError(
                    f"{table.file} line {row.line}, column "
                    f"{quote(table.header[place])}: expected a value in the first row "
                    "to fill down, got an empty cell. Fill it."
                )
        rows.append(Row(row.line, tuple(fields)))
    named = ", ".join(map(quote, columns))
    note = f"{table.file}: {filled} empty cells of {named} are filled from above"
    return replace(table, rows=tuple(rows), notes=(*table.notes, note))


def check_merged(table: Table, places: Collection[int], loss: Collection[int]) -> None:
    """Refuse a table most of whose settings stand in the first row of a group only.

    Args:
        table: the file.
        places: the columns of settings.
        loss: those of the loss.

    Raises:
        FlagsError: with the columns to fill down.
    """
    rows = [row for row in table.rows if all(row.fields[k] for k in loss)]
    if len(rows) < 3:
        return
    some = [k for k in sorted(places) if any(not row.fields[k] for row in rows)]
    mostly = [
        k for k in some if sum(not row.fields[k] for row in rows) >= _MOSTLY * len(rows)
    ]
    # A column without a first cell is of no group.
    if not mostly or not all(rows[0].fields[k] for k in some):
        return
    names = [table.header[k] for k in some]
    line = next(row.line for row in rows if not row.fields[mostly[0]])
    raise FlagsError(
        f"{table.file} line {line}, column {quote(names[0])}: expected a value in "
        f"every row, got empty cells in most of them, as merged cells are saved. If an "
        "empty cell means the value above it, say so as below; else fill them.",
        table.file,
        ["--fill-down", ",".join(names)],
    )
