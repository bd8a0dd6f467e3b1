"""Columns that name a recipe and were given no role: their runs are fitted as one.

AdamW and Muon in one file have bests of their own, and one curve through both has a
best that neither has. Only names that say what they are count: of an unknown column
nothing tells whether it matters.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np

from surrogate.base.units import quote
from surrogate.data import Runs
from surrogate.data.readers.columns.roles import fold

# What a recipe differs by, as people name it, in the letters that `fold` leaves.
_NAMES = {
    *("optimizer", "optimiser", "optim", "opt", "optimizer_name", "optimizer_type"),
    *("schedule", "scheduler", "lr_schedule", "lr_scheduler", "lr_scheduler_type"),
    *("weight_decay", "wd", "dropout", "activation", "arch", "architecture"),
    *("dataset", "data_mix", "tokenizer", "recipe_name", "variant", "method"),
    *("beta1", "beta2", "adam_beta1", "adam_beta2", "momentum", "parametrization"),
}
# Of the values, those that are named.
_MOST = 4


def with_unnamed(
    runs: Runs,
    header: Sequence[str],
    fields: Sequence[Sequence[str]],
    used: Collection[int],
) -> Runs:
    """`runs`, warned of columns of recipes that vary at one size and play no role.

    Args:
        runs: of one file.
        header: the columns' names.
        fields: the text of each run's row.
        used: columns that play a role.
    """
    said = []
    for column, name in enumerate(header):
        if column in used or fold(name).replace(" ", "_") not in _NAMES:
            continue
        values = [row[column].strip() for row in fields]
        if _varies(runs, values):
            said.append(_said(name, sorted(set(values))))
    return replace(runs, warnings=(*runs.warnings, *said)) if said else runs


def _varies(runs: Runs, values: Sequence[str]) -> bool:
    """Whether values differ within a cell, and do not follow from lr or batch."""
    return not any(
        _follows(values, list(zip(runs.cell.tolist(), key, strict=True)))
        for key in (
            np.zeros(len(runs)).tolist(),
            runs.lr_level.tolist(),
            runs.batch.tolist(),
        )
    )


def _follows(values: Sequence[str], keys: Sequence[tuple[int, float]]) -> bool:
    """Whether each key has one value; not where each has one row, which tells none."""
    if len(set(keys)) == len(keys):
        return False
    first = dict(zip(reversed(keys), reversed(values), strict=True))
    return all(first[key] == value for key, value in zip(keys, values, strict=True))


def _said(name: str, levels: Sequence[str]) -> str:
    shown = ", ".join(map(quote, levels[:_MOST]))
    more = f" and {len(levels) - _MOST} more" if len(levels) > _MOST else ""
    return (
        f"Column {quote(name)} has several values at one size ({shown}{more}) and "
        "plays no role: all are fitted as one recipe, whose best need be that of none. "
        f"Keep them apart with --recipe {name}, or compare them with --also {name}."
    )
