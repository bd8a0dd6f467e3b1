"""Paired differences of two methods, cell by cell, with a bootstrap over cells."""

from __future__ import annotations

from typing import Any

import numpy as np

from heldout.scores import Held

RESAMPLES = 2000
SEED = 0
PAIRED = ("regret", "regret_smoothed", "mae_ln")


def by_cell(held: list[Held], part: str) -> dict[int, float]:
    """Each distinct cell's mean over the folds that hold it; unknown ones left out."""
    values: dict[int, list[float]] = {}
    for row in held:
        value = getattr(row, part)
        if value is not None:
            values.setdefault(row.cell, []).append(value)
    means = {cell: float(np.mean(found)) for cell, found in sorted(values.items())}
    return {cell: value for cell, value in means.items() if np.isfinite(value)}


def difference(first: list[Held], second: list[Held], part: str) -> dict[str, Any]:
    """Mean of first minus second over the cells that both have.

    Folds overlap, so that their values are no sample; distinct cells are nearer to
    one. The standard error is the spread of the mean over resamples of these.
    """
    ours, theirs = by_cell(first, part), by_cell(second, part)
    off = np.array([ours[cell] - theirs[cell] for cell in ours if cell in theirs])
    if len(off) < 2:
        return {"mean": None, "se": None, "cells": len(off)}
    drawn = np.random.default_rng(SEED).integers(len(off), size=(RESAMPLES, len(off)))
    spread = off[drawn].mean(axis=1).std(ddof=1)
    return {"mean": float(off.mean()), "se": float(spread), "cells": len(off)}


def pairs(name: str, rows: dict[str, list[Held]]) -> dict[str, Any]:
    """The named row minus each of the others."""
    return {
        "of": name,
        "cells": len({row.cell for row in rows[name]}),
        "resamples": RESAMPLES,
        "seed": SEED,
        "rows": [
            {"against": other}
            | {part: difference(rows[name], held, part) for part in PAIRED}
            for other, held in rows.items()
            if other != name
        ],
    }
