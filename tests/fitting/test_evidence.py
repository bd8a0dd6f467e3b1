"""What runs say of an optimum by themselves: curvature, ends of grids, counts."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from support.grids import BATCH, LR, NOISE, table

from surrogate.data import Runs
from surrogate.data.coordinates import Features
from surrogate.fitting import evidence
from surrogate.fitting.evidence import Direction

DRAWS = 200


def told(runs: Runs) -> dict[str, Direction]:
    features = Features.of(runs)
    rows = features.rows(runs)
    return evidence.directions(
        features, rows, runs, np.full(len(rows.target), NOISE, np.float64)
    )


def test_a_constant_bends_as_often_as_its_level_says() -> None:
    # Closed form: the test is at 2.5 %, one-sided; 200 draws, three standard errors.
    flat = [told(table(lambda x, y: 0 * x, seed))["lr"] for seed in range(DRAWS)]
    limit = 0.025 + 3 * np.sqrt(0.025 * 0.975 / DRAWS)
    assert np.mean([found.is_curved for found in flat]) <= limit
    assert np.mean([found.is_hill for found in flat]) <= limit


def test_a_shallow_bowl_is_seen() -> None:
    # The issue's own: 0.2 % per e-fold squared under 0.1 % noise, 9 lr over 4 octaves.
    seen = [told(table(lambda x, y: 0.002 * x**2, s))["lr"] for s in range(DRAWS)]
    assert np.mean([found.is_curved for found in seen]) > 0.9


def test_a_hill_is_no_bowl_and_a_saddle_is_one_in_lr_alone() -> None:
    hill = told(table(lambda x, y: -0.01 * x**2, 0))["lr"]
    assert (hill.is_curved, hill.is_hill) == (False, True)
    saddle = told(table(lambda x, y: 0.01 * x**2 - 0.02 * y**2, 0, batch=BATCH))
    assert (saddle["lr"].is_curved, saddle["lr"].is_hill) == (True, False)
    assert (saddle["batch"].is_curved, saddle["batch"].is_hill) == (False, True)


def test_a_turned_saddle_is_no_bowl_in_both() -> None:
    # Along each axis it bends upwards, along the diagonal down: 1 + 1 - 3 < 0.
    turned = told(
        table(lambda x, y: 0.01 * (x**2 + y**2 + 3 * x * y), 0, batch=BATCH, cells=3)
    )
    assert not (turned["lr"].is_curved and turned["batch"].is_curved)


def test_two_values_tell_which_is_better_and_no_curvature() -> None:
    runs = table(lambda x, y: 0.01 * x**2 + 0.05 * y, 0, batch=BATCH[:2], cells=5)
    batch = told(runs)["batch"]
    assert (batch.levels, batch.is_curved, batch.is_hill) == (2, False, False)
    assert (batch.low, batch.high, batch.groups) == (5, 0, 5)
    assert batch.is_low
    assert (batch.below, batch.above) == (131072.0, None)


def test_the_end_of_a_grid_bounds_the_optimum_by_the_next_value() -> None:
    runs = table(lambda x, y: -0.05 * x, 0, lr=LR[:5], cells=6)
    lr = told(runs)["lr"]
    assert (lr.high, lr.groups, lr.is_high, lr.low) == (6, 6, True, 0)
    assert lr.above == LR[3]


def test_a_diverged_run_above_the_best_bounds_it() -> None:
    runs = table(lambda x, y: -0.05 * x, 0, lr=LR[:5], cells=6)
    loss = np.where(runs.lr == LR[4], np.nan, runs.loss)
    columns = {
        name: getattr(runs, name) for name in ("lr", "batch", "params", "tokens")
    }
    lr = told(Runs.from_arrays(**columns, loss=loss))["lr"]
    assert (lr.high, lr.is_high, lr.above, lr.capped) == (6, True, LR[2], 6)


@pytest.mark.parametrize(
    ("count", "groups"), [(5, 5), (7, 8), (9, 11), (4, 4), (6, 8), (8, 11), (0, 0)]
)
def test_ends_count_as_a_finding_by_a_sign_test(count: int, groups: int) -> None:
    # Independent code: scipy's exact binomial test, and the issue's own list.
    known = {(5, 5), (7, 8), (9, 11)}
    assert evidence.is_sure(count, groups) == ((count, groups) in known)
    if groups:
        p = stats.binomtest(count, groups, 0.5, alternative="greater").pvalue
        assert evidence.is_sure(count, groups) == (p < 0.05)
