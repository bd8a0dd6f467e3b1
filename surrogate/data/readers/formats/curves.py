"""Exports that hold the curve of one run and no table of runs: what to say of them."""

from __future__ import annotations

from itertools import pairwise

from surrogate.data.readers.columns.roles import role_of
from surrogate.data.readers.formats.csv import Table, parse_cell

_TENSORBOARD = {"wall time", "step", "value"}


def known_exports(table: Table) -> list[str]:
    """A sentence, where the columns are those of such an export."""
    names = {name.strip().lower() for name in table.header}
    if names >= _TENSORBOARD and len(names) == len(_TENSORBOARD):
        return [
            "This is one curve of TensorBoard. Write one row a run: its settings, and "
            "the last value of its loss."
        ]
    if any("a chart of W&B" in note for note in table.notes):
        return [
            "These are the curves of a chart of W&B, which say no settings of their "
            "runs. Export the table of runs instead (Runs, Export, CSV)."
        ]
    losses = [k for k, name in enumerate(table.header) if name.endswith("_loss")]
    is_log = {"epoch", "step"} <= names and len(losses) > 1
    if is_log and all(sum(bool(r.fields[k]) for k in losses) < 2 for r in table.rows):
        return [
            "This is the log of one run (Lightning's metrics.csv). Write one row a "
            "run: its settings, and the last of each loss."
        ]
    roles = [role_of(name) for name in table.header]
    if set(roles) & {"lr", "batch", "sequences", "params", "tokens", "name"}:
        return []
    if "loss" in roles and "last_step" in roles:
        cells = [row.fields[roles.index("last_step")] for row in table.rows]
        steps = [x for x in map(parse_cell, cells) if isinstance(x, float)]
        if len(steps) > 1 and all(a < b for a, b in pairwise(steps)):
            return [
                "This looks like the log of one run: its steps and losses, without "
                "settings. Write one row a run: its settings, and the last loss."
            ]
    return []
