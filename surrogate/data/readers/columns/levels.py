"""Whether a further setting has levels that can be compared."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from surrogate.base.errors import DataError
from surrogate.data import Runs
from surrogate.data.third_setting import compare, split

# Levels of which each may have few runs, as of a random search.
_FEW = 12


def check_levels(runs: Runs) -> None:
    """Refuse a further setting without levels: one value, or a value a run.

    Raises:
        DataError: naming how many there are.
    """
    if not runs.also:
        return
    parts = [split(str(recipe), runs.also) for recipe in np.unique(runs.recipe)]
    levels = sorted({part[1] for part in parts if part is not None})
    if len(levels) == 1:
        raise DataError(
            f"--also {runs.also}: expected a setting that was swept, but all runs have "
            f"{levels[0]}. Leave it out."
        )
    if len(levels) > _FEW and 2 * len(levels) > len(runs):
        raise DataError(
            f"--also {runs.also}: expected levels that several runs share, got "
            f"{len(levels)} values in {len(runs)} runs. Round them to a few levels in "
            "a column of their own, or leave it out."
        )


def with_caution(runs: Runs) -> Runs:
    """`runs`, told where no size has two levels."""
    if not runs.also or compare(runs):
        return runs
    text = (
        f"No size has runs of two levels of {runs.also} that finished: its best level "
        "cannot be told, and each level is a recipe of its own."
    )
    return replace(runs, warnings=(*runs.warnings, text))
