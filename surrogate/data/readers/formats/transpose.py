"""Tables that stand on their side: a setting a row, a run a column."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from surrogate.data.readers.columns.roles import role_of
from surrogate.data.readers.formats.csv import Row, Table, parse_cell

_LEAST = 4


def upright(table: Table) -> Table:
    """`table` with a run a row, where its first column names settings and a loss."""
    original = table
    table = _with_first(table)
    names = [row.fields[0] for row in table.rows]
    roles = {role_of(name) for name in names if name}
    is_turned = (
        {"lr", "loss"} <= roles
        and len(roles - {None}) >= _LEAST
        and not any(role_of(name) for name in table.header[1:])
        and not table.dropped
        and max(Counter(names).values()) == 1
        and all(names)
    )
    if not is_turned:
        return original
    header = ("name", *names) if "name" not in roles else ("", *names)
    rows = tuple(
        Row(k + 1, (title, *(row.fields[k] for row in table.rows)))
        for k, title in enumerate(table.header[1:], start=1)
    )
    note = (
        f"{table.file}: the first column names settings, each further column is read "
        "as a run (columns are counted where a line is named)"
    )
    return replace(table, header=header, rows=rows, notes=(*table.notes, note))


def _with_first(table: Table) -> Table:
    """`table` with its first line as a row, where that holds values of a setting."""
    first, *rest = table.header
    is_row = len(rest) > 1 and role_of(first) is not None
    if not is_row or not all(isinstance(parse_cell(x), float) for x in rest):
        return table
    header = ("", *(f"run {k}" for k in range(1, len(rest) + 1)))
    return replace(table, header=header, rows=(Row(1, table.header), *table.rows))
