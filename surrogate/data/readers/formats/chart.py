"""W&B's export of a chart: a column a run, `NAME - METRIC`, over steps.

The last value of each curve is its run's; what the run's name says is all that is
known of its settings.
"""

from __future__ import annotations

from dataclasses import replace

from surrogate.data.readers.columns.roles import role_of
from surrogate.data.readers.formats.csv import Row, Table, parse_cell

_BOUNDS = ("__MIN", "__MAX")
_BETWEEN = " - "


def ends_of_curves(table: Table) -> Table:
    """`table` with a row a curve, where it is such an export."""
    curves = [
        (k, *name.rsplit(_BETWEEN, 1))
        for k, name in enumerate(table.header)
        if _BETWEEN in name and not name.endswith(_BOUNDS)
    ]
    bounded = any(name.endswith(_BOUNDS) for name in table.header)
    metrics = {metric for _, _, metric in curves}
    if not bounded or len(metrics) != 1 or role_of(next(iter(metrics))) != "loss":
        return table
    rows = []
    for place, name, _ in curves:
        values = [
            (row.line, row.fields[0], row.fields[place])
            for row in table.rows
            if isinstance(parse_cell(row.fields[place]), float)
        ]
        if values:
            line, step, loss = values[-1]
            rows.append(Row(line, (name, step, loss)))
    note = (
        f"{table.file}: a chart of W&B, of which the last value of each curve is read; "
        "the table of runs (Export, CSV) has their settings"
    )
    header = ("name", "step", metrics.pop())
    return replace(table, header=header, rows=tuple(rows), notes=(*table.notes, note))
