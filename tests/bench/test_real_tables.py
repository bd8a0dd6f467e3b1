"""Tables of real runs: the best of a cell, and when an interval misses it."""

from __future__ import annotations

import importlib
import math
from typing import Any

import numpy as np
import pytest

real_tables = importlib.import_module("real_tables")
sweeps = importlib.import_module("subsampled.sweeps")


def cell(lr: float, batch: float, params: float = 1e8) -> Any:
    """Runs of an exact bowl, turned, with a lowest loss of 2.5."""
    at = np.meshgrid(1e-3 * 2.0 ** np.arange(-4, 5), 2.0 ** np.arange(15, 23))
    x, y = np.log(at[0].ravel() / lr), np.log(at[1].ravel() / batch)
    loss = 2.5 * np.exp(0.01 * x**2 - 0.006 * x * y + 0.005 * y**2)
    sizes = np.full((2, len(x)), [[params], [2e9]])
    return sweeps.Cell.of(
        np.stack([at[0].ravel(), at[1].ravel(), *sizes, loss], axis=1)
    )


def test_the_best_of_a_cell_is_its_parabola_s() -> None:
    found = cell(1.3e-3, 3e5)
    assert found.best == pytest.approx((1.3e-3, 3e5), rel=1e-9)
    assert found.ln_loss == pytest.approx(math.log(2.5), abs=1e-12)


def test_a_best_beyond_the_runs_is_none() -> None:
    assert cell(1.3e-3, 2.0**27).best is None


def test_small_tables_are_of_runs_that_were_made() -> None:
    cells = {(n, 2e9): cell(1e-3, 3e5, n) for n in (1e8, 2e8, 4e8)}
    kinds = set()
    for seed in range(60):
        kind, chosen, rows = sweeps.small_table(np.random.default_rng(seed), cells)
        kinds.add(kind)
        assert len(rows) <= sweeps.MOST_RUNS * len(chosen)
        every = np.concatenate([cells[key].runs for key in chosen])
        assert {*map(tuple, rows.tolist())} <= {*map(tuple, every.tolist())}
        assert len({*map(tuple, rows.tolist())}) == len(rows)
    assert kinds == {*sweeps.KINDS, "mixed"}


def test_misses_are_counted_beyond_what_the_truth_is_known_to() -> None:
    assert real_tables._off([1e-3, 2e-3], 1.5e-3) < 0
    assert real_tables._off([1e-3, 2e-3], 4e-3) == pytest.approx(math.log(2))
    assert real_tables._off([1e-3, None], 9.0) < 0
    told = {
        "status": "ok",
        "truth": [1.1e-3, 1e5],
        "lr": [1.2e-3, 4.8e-3],
        "batch": [2e5, None],
        "regrets": [[0.01, 0.009], [0.01, 0.007]],
    }
    row = real_tables.summary(
        [{"asked": {"inside": told}}, {"refused": "why"}], "inside"
    )
    assert row["lr"] == {"intervals": 1, "missed": 0, "factor": 2.0}
    assert row["batch"] == {"intervals": 1, "missed": 1, "factor": None}
    assert row["regret"] == {"bounds": 2, "over": 1}
    assert row["refused"] == 1
