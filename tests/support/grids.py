"""Small tables from a known shape: grids, marks of divergence, random designs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from surrogate.data import Runs

LR = 1e-4 * 2.0 ** np.arange(0, 4.01, 0.5)
BATCH = (65536.0, 131072.0, 262144.0)
NOISE = 1e-3
Shape = Callable[[np.ndarray, np.ndarray], np.ndarray]


def table(
    shape: Shape,
    seed: int,
    lr: np.ndarray = LR,
    batch: Sequence[float] = (131072.0,),
    cells: int = 1,
) -> Runs:
    """A full grid in every cell: ln loss is `shape` of ln (lr, batch) plus noise."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(np.arange(cells), lr, batch), -1).reshape(-1, 3)
    x, y = np.log(grid[:, 1] / 4e-4), np.log(grid[:, 2] / 131072)
    level = 1.1 - 0.05 * grid[:, 0]
    return Runs.from_arrays(
        lr=grid[:, 1],
        batch=grid[:, 2],
        params=1e8 * 2.0 ** grid[:, 0],
        tokens=2e9 * 2.0 ** grid[:, 0],
        loss=np.exp(level + shape(x, y) + NOISE * rng.normal(size=len(grid))),
    )


def with_marks(runs: Runs, lost: np.ndarray) -> Runs:
    columns: dict[str, Any] = {
        name: getattr(runs, name)
        for name in ("lr", "batch", "params", "tokens", "loss")
    }
    return Runs.from_arrays(**columns, diverged=lost)


def random_design(runs: int = 24) -> Runs:
    rng = np.random.default_rng(4)
    params = np.exp(rng.uniform(np.log(5e7), np.log(8e8), runs))
    tokens = params * rng.uniform(10, 60, runs)
    x, y = rng.uniform(-1.7, 1.7, (2, runs))
    loss = 3.0 * (params / 1e8) ** -0.1 * (tokens / 2e9) ** -0.05
    loss *= np.exp(0.015 * x**2 + 0.01 * y**2 + 0.002 * rng.normal(size=runs))
    return Runs.from_arrays(
        lr=1e-3 * np.exp(x),
        batch=np.round(2**18 * np.exp(y)),
        params=params,
        tokens=tokens,
        loss=loss,
    )
