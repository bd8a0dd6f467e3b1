"""Exports that hold the curve of one run and no table of runs: what to say of them."""

from __future__ import annotations

from surrogate.data.readers.csv import Table

_TENSORBOARD = {"wall time", "step", "value"}


def known_exports(table: Table) -> list[str]:
    """A sentence, where the columns are those of such an export."""
    names = {name.strip().lower() for name in table.header}
    if names >= _TENSORBOARD and len(names) == len(_TENSORBOARD):
        return [
            "This is one curve of TensorBoard. Write one row a run: its settings, and "
            "the last value of its loss."
        ]
    losses = [k for k, name in enumerate(table.header) if name.endswith("_loss")]
    is_log = {"epoch", "step"} <= names and len(losses) > 1
    if is_log and all(sum(bool(r.fields[k]) for k in losses) < 2 for r in table.rows):
        return [
            "This is the log of one run (Lightning's metrics.csv). Write one row a "
            "run: its settings, and the last of each loss."
        ]
    return []
