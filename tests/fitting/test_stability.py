"""The divergence model: recovery, monotonicity, its edge, the released dump."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import optimize

from surrogate.data import Runs
from surrogate.data.readers import read_runs
from surrogate.fitting.stability import P_MAX, Stability

TRUTH = Stability(
    names=("lr", "batch", "params"),
    centre=(2e-3, 5e5, 4e8),
    slope=(3.0, -0.7, 1.2),
    intercept=-1.0,
    diverged=1,
    runs=2,
)


def settings_of(count: int, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {
        "lr": 2e-3 * np.exp(rng.choice(np.linspace(-1.5, 1.5, 13), count)),
        "batch": 5e5 * np.exp(rng.choice(np.linspace(-1.5, 1.5, 4), count)),
        "params": 4e8 * np.exp(rng.choice([-0.8, 0.0, 0.8], count)),
        "tokens": np.full(count, 2e10),
    }


def runs_of(where: dict[str, Any], diverged: np.ndarray) -> Runs:
    loss = np.full(len(diverged), 2.5)
    return Runs.from_arrays(**where, loss=loss, diverged=diverged)


def drawn(count: int = 4000, seed: int = 1, model: Stability = TRUTH) -> Runs:
    where = settings_of(count, seed)
    chance = np.random.default_rng(seed + 1).random(count)
    return runs_of(where, chance < model.probability(where))


def fitted(runs: Runs) -> Stability:
    found = Stability.of(runs)
    assert found is not None
    return found


def test_recovers_a_known_logistic() -> None:
    """Statistical: 4.5 standard errors from the inverse Fisher information."""
    runs = drawn()
    found = fitted(runs)
    assert found.names == ("lr", "batch", "params")
    assert (found.diverged, found.runs) == (int(runs.diverged.sum()), 4000)
    where = {"lr": runs.lr, "batch": runs.batch, "params": runs.params}
    x = np.log(
        np.stack([where[n] / c for n, c in zip(found.names, found.centre, strict=True)])
    )
    design = np.concatenate([np.ones((1, 4000)), x])
    p = TRUTH.probability(where)
    errors = np.sqrt(np.diag(np.linalg.inv((design * p * (1 - p)) @ design.T)))
    at_centre = TRUTH.logit(dict(zip(found.names, found.centre, strict=True)))
    off = np.array(
        [found.intercept - at_centre, *np.subtract(found.slope, TRUTH.slope)]
    )
    assert (np.abs(off) < 4.5 * errors).all(), off / errors


def test_is_the_penalised_maximum_of_the_likelihood() -> None:
    """Independent code: SciPy's BFGS on the formula."""
    runs = drawn(300, seed=5)
    found = fitted(runs)
    x = np.log(np.stack([runs.lr, runs.batch, runs.params], 1) / found.centre)

    def objective(beta: np.ndarray) -> float:
        eta = beta[0] + x @ beta[1:]
        likelihood = np.logaddexp(0, eta) - runs.diverged * eta
        return float(likelihood.sum() + 0.5 * (beta[1:] ** 2).sum() / 100)

    def slope(beta: np.ndarray) -> np.ndarray:
        off = 1 / (1 + np.exp(-beta[0] - x @ beta[1:])) - runs.diverged
        return np.array([off.sum(), *(x.T @ off + beta[1:] / 100)])

    best = optimize.minimize(objective, np.zeros(4), jac=slope, tol=1e-9)
    np.testing.assert_allclose([found.intercept, *found.slope], best.x, rtol=1e-6)


@pytest.mark.parametrize(("diverged", "kept"), [(4, 40), (40, 4), (0, 20)])
def test_under_five_of_either_kind_tell_nothing(diverged: int, kept: int) -> None:
    marks = np.arange(diverged + kept) < diverged
    where = settings_of(len(marks), 3)
    assert Stability.of(runs_of(where, marks)) is None


def bracketed(cells: int, batches: int, octaves: float) -> Runs:
    """Of each cell and batch three stable runs, then three diverged ones."""
    lr = 1e-3 * 2.0 ** np.array([-2, -1, 0, octaves, octaves + 1, octaves + 2])
    where = {
        "lr": np.tile(lr, cells * batches),
        "batch": np.tile(np.repeat(1e5 * 2.0 ** np.arange(batches), 6), cells),
        "params": np.repeat(1e8 * 2.0 ** np.arange(cells), 6 * batches),
        "tokens": np.full(6 * cells * batches, 2e10),
    }
    return runs_of(where, np.tile(np.arange(6) >= 3, cells * batches))


@pytest.mark.parametrize(
    ("cells", "batches", "octaves", "tells"),
    [(2, 1, 1, True), (1, 4, 1, False), (2, 1, 2, True), (2, 1, 2.5, False)],
)
def test_an_edge_needs_two_cells_and_close_brackets(
    cells: int, batches: int, octaves: float, tells: bool
) -> None:
    assert (Stability.of(bracketed(cells, batches, octaves)) is not None) == tells


def test_one_lr_tells_nothing() -> None:
    where = settings_of(40, 3) | {"lr": np.full(40, 1e-3)}
    assert Stability.of(runs_of(where, np.arange(40) < 20)) is None


def test_more_lr_never_looks_safer() -> None:
    runs = drawn(600, model=replace(TRUTH, slope=(-2.0, -0.7, 1.2)))
    found = fitted(runs)
    assert found.slope[0] == 0.0
    assert found.slope[1] < 0 < found.slope[2]
    where = {"lr": 1e-3, "batch": 1e5, "params": 8e8}
    assert np.isnan(found.octaves_to_edge(where))
    # The others are those of a fit that never saw lr.
    x = np.log(np.stack([runs.batch, runs.params], 1) / found.centre[1:])
    share = found.probability(
        {"lr": runs.lr, "batch": runs.batch, "params": runs.params}
    )
    gradient = x.T @ (share - runs.diverged) + np.array(found.slope[1:]) / 100
    assert np.abs(gradient).max() < 1e-5


def test_octaves_lead_to_the_edge() -> None:
    """Closed form: at lr 2^octaves the probability is the edge's."""
    where = settings_of(20, 8)
    octaves = TRUTH.octaves_to_edge(where)
    moved = where | {"lr": where["lr"] * 2.0**octaves}
    np.testing.assert_allclose(TRUTH.probability(moved), P_MAX, rtol=1e-12)
    assert ((octaves < 0) == (TRUTH.probability(where) > P_MAX)).all()
    assert (octaves < 0).any()
    assert (octaves > 0).any()
    moved = where | {"lr": where["lr"] * 2.0 ** TRUTH.octaves_to_edge(where, 0.3)}
    np.testing.assert_allclose(TRUTH.probability(moved), 0.3, rtol=1e-12)


def test_runs_that_a_line_separates_give_finite_numbers() -> None:
    where = settings_of(60, 4)
    found = fitted(runs_of(where, where["lr"] > 2.5e-3))
    assert np.isfinite([found.intercept, *found.slope]).all()
    p = found.probability({n: where[n] for n in found.names})
    np.testing.assert_array_equal(p > 0.5, where["lr"] > 2.5e-3)


def test_far_settings_neither_overflow_nor_warn() -> None:
    far = {"lr": np.array([1e-300, 1e300]), "batch": 5e5, "params": 4e8}
    np.testing.assert_array_equal(TRUTH.probability(far), [0.0, 1.0])
    assert np.isfinite(TRUTH.octaves_to_edge(far)).all()


def test_scales_take_part() -> None:
    where = settings_of(300, 6)
    active = np.exp(np.random.default_rng(0).choice([18.0, 20.0], 300))
    runs = Runs.from_arrays(
        **where,
        loss=np.full(300, 2.5),
        scales={"active": active},
        diverged=np.random.default_rng(1).random(300) < TRUTH.probability(where),
    )
    assert fitted(runs).names == ("lr", "batch", "params", "active")


def test_json_gives_the_same_back() -> None:
    found = fitted(drawn(300))
    assert Stability.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_tells_the_dense_dump_apart(data_dir: Path) -> None:
    """In-sample area under the ROC curve, by ranks."""
    runs = read_runs(data_dir / "steplaw" / "dense_lr_bs_loss.csv")
    found = fitted(runs)
    names = ("lr", "batch", "params", "tokens")
    assert (found.names, found.diverged, found.runs) == (names, 181, 1911)
    logit = np.asarray(found.logit({n: getattr(runs, n) for n in names}))
    below = np.sort(logit[~runs.diverged])
    bad = logit[runs.diverged]
    wins = np.searchsorted(below, bad, "left") + np.searchsorted(below, bad, "right")
    assert (0.5 * wins / len(below)).mean() >= 0.98
    assert found.slope[0] > 0
