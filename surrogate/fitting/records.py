"""What a fit remembers of its cells."""

from __future__ import annotations

import numpy as np

from surrogate.base.shapes import Float64
from surrogate.data import Runs
from surrogate.data.coordinates import Features
from surrogate.fitting.model import CellRecord
from surrogate.fitting.stability import lowest_unstable


def records_of(
    runs: Runs, features: Features, cell_u: Float64[np.ndarray, "cells choices"]
) -> tuple[CellRecord, ...]:
    """A record for every cell of the runs, about its fitted optimum."""
    best = np.log(features.from_u(cell_u))
    values = {"lr": runs.lr_level, "batch": runs.batch}

    def around(index: int) -> dict[str, tuple[float, float]]:
        tried = (runs.cell == index) & (runs.usable | runs.diverged)
        found = {}
        for i, name in enumerate(features.choices):
            off = np.log(values[name][tried]) - best[index, i]
            if off.size:
                found[name] = float(off.min()), float(off.max())
        return found

    return tuple(
        CellRecord(
            recipe=cell.recipe,
            params=cell.params,
            tokens=cell.tokens,
            scales=dict(cell.scales),
            runs=cell.runs,
            diverged=cell.diverged,
            lr=tuple(np.unique(runs.lr_level[runs.cell == index]).tolist()),
            batch=tuple(np.unique(runs.batch[runs.cell == index]).tolist()),
            around=around(index),
            unstable=lowest_unstable(runs, index),
        )
        for index, cell in enumerate(runs.cells)
    )
