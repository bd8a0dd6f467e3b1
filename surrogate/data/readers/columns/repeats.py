"""Which columns of a file tell apart runs that otherwise look like repeats."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from surrogate.base.units import quote
from surrogate.data.cells import Rows
from surrogate.data.readers.columns.roles import fold
from surrogate.data.readers.seeds import SEEDS, is_outcome

_MOST_NAMED = 5


def separating_columns(
    header: Sequence[str],
    fields: Sequence[Sequence[str]],
    repeats: Sequence[Rows],
    used: Collection[int],
) -> list[str]:
    """Names, quoted, of the columns that differ in most repeats, the best first.

    Args:
        header: the columns' names.
        fields: the text of each run's row, in the order that `repeats` counts.
        repeats: rows of each repeated setting (`Runs.repeats`).
        used: columns that play a role already.
    """
    ranked = []
    for column, name in enumerate(header):
        # Outcomes and labels differ between any two runs: they explain nothing.
        if column in used or not name or is_outcome(name) or fold(name) in SEEDS:
            continue
        values = [row[column] for row in fields]
        # A column with a value of its own in most rows is an outcome or a label.
        if 2 * len(set(values)) > len(values):
            continue
        split = sum(len({values[row] for row in rows}) > 1 for rows in repeats)
        if 2 * split >= len(repeats):
            ranked.append((-split, len(set(values)), quote(name)))
    return [name for _, _, name in sorted(ranked)[:_MOST_NAMED]]
