"""Predictions and evaluation: coverage on new runs, scores against `scores`."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from scipy import stats
from support import fit as fit_support

from surrogate.answers import Fit
from surrogate.answers.arrays import BLOCK
from surrogate.base.errors import DataError
from surrogate.data import Runs
from surrogate.fitting.scores import band, loss_errors, mean_se, score_cell

ASK: dict[str, Any] = {"params": 4e8, "tokens": 2e10}
CELL = {
    "recipe",
    "params",
    "tokens",
    "runs",
    "lr",
    "batch",
    "best_lr",
    "best_batch",
    "regret",
    "regret_smoothed",
    "outside_grid",
}
SPREAD = {"mean", "median", "max", "se"}


@pytest.fixture(scope="module")
def steplaw() -> Fit:
    return fit_support.bundled()


def test_a_bowl_is_predicted() -> None:
    """Closed form, at points between and beyond the grid."""
    fitted, bowl = fit_support.exact(), fit_support.BOWL
    points = [
        (1e-3, 3e5, 3e8, 2e10),
        (4e-3, 1e6, 2.2e8, 7e9),
        (5e-4, 2e6, 8e8, 8e10),
    ]
    found = fitted.predict(*np.array(points).T)
    expected = [bowl.log_loss(*point) for point in points]
    np.testing.assert_allclose(np.log(found.loss), expected, atol=1e-6)
    assert np.isnan(found.loss_low).all()
    assert np.isnan(found.loss_high).all()
    assert "No intervals: the fit has 8 cells and no draws." in found.warnings


def test_points_do_not_depend_on_their_company(steplaw: Fit) -> None:
    rng = np.random.default_rng(1)
    count = BLOCK + 3
    lr, batch = np.exp(rng.uniform([-8, 11], [-4, 15], (count, 2))).T
    found = steplaw.predict(lr, batch, 4e8, np.full(count, 2e10))
    assert found.loss.shape == found.loss_high.shape == (count,)
    assert found.status == ("ok",) * count
    for row in (0, BLOCK - 1, BLOCK, count - 1):
        alone = steplaw.predict(lr[row], batch[row], **ASK)
        for name in ("loss", "loss_low", "loss_high", "distance", "inside"):
            column = getattr(found, name)
            np.testing.assert_allclose(
                getattr(alone, name), column[row : row + 1], rtol=1e-13
            )


def test_inside_is_that_of_the_distance(steplaw: Fit) -> None:
    runs = fit_support.sweep()
    found = steplaw.predict(runs.lr_level, runs.batch, runs.params, runs.tokens)
    np.testing.assert_array_equal(found.inside, found.distance <= 1)
    assert found.inside.mean() > 0.9
    far = steplaw.predict([1e-3, 1e-3], 5e5, [4e8, 4e10], [2e10, 2e12])
    assert far.inside.tolist() == [True, False]
    assert far.warnings[0].startswith("1 of 2 points lie beyond the data")
    document = far.to_json()
    assert (document["inside"], document["extrapolated"]) == (1, 1)
    json.dumps(document, allow_nan=False)


def test_the_interval_joins_leaves_and_noise(steplaw: Fit) -> None:
    """Closed form from the leaves one by one: t x the root of summed variances."""
    point: dict[str, Any] = ASK | {"lr": 3e-3, "batch": 8e5}
    found = steplaw.predict(**point)
    alone = [
        float(np.log(single.predict(**point).loss[0]))
        for single in fit_support.singles(steplaw, "leaves")
    ]
    least = steplaw.optimum(**ASK).loss
    excess = np.log(found.loss[0] / least)
    noise = steplaw.noise
    within = noise.floor**2 + (noise.growth * excess) ** 2
    half = stats.t.ppf(0.975, 14) * np.sqrt(
        16 / 17 * np.sum((alone - np.log(found.loss[0])) ** 2) + noise.cell**2 + within
    )
    ends = np.log([found.loss_low[0], found.loss_high[0]] / found.loss[0])
    np.testing.assert_allclose(ends, [-half, half], rtol=1e-9)


@pytest.mark.parametrize("seed", [1, 2])
def test_intervals_hold_new_runs(seed: int) -> None:
    """Statistical: of a fit to seven simulated cells, runs that it has not seen.

    Nominal 95 %. Runs of a cell err together, so the effective number is far below
    the count; t of 4 degrees of freedom makes the intervals wide rather than narrow.
    """
    fitted, runs = fit_support.posynomial(), fit_support.sweep(seed)
    kept = ~runs.diverged
    columns = (runs.lr, runs.batch, runs.params, runs.tokens)
    found = fitted.predict(*(column[kept] for column in columns))
    loss = runs.loss[kept]
    share = np.mean((found.loss_low <= loss) & (loss <= found.loss_high))
    assert share >= 0.93
    # And not by being wide without bound.
    width = np.log(found.loss_high / found.loss_low)
    assert np.median(width) < 0.1


def test_the_bundled_fit_covers_its_own_sweep(steplaw: Fit) -> None:
    """Statistical: t of 14 degrees at known noise covers 95 to 97.5 %."""
    shares = []
    for seed in (1, 2, 3):
        runs = fit_support.sweep(seed)
        kept = ~runs.diverged
        columns = (runs.lr, runs.batch, runs.params, runs.tokens)
        found = steplaw.predict(*(column[kept] for column in columns))
        loss = runs.loss[kept]
        shares.append(np.mean((found.loss_low <= loss) & (loss <= found.loss_high)))
    assert 0.94 <= np.mean(shares) <= 0.995


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lr": [1e-3, 2e-3], "batch": [1e5] * 3}, r"one length, got lr \(2,\), batch"),
        (
            {"lr": [[1e-3, 2e-3]]},
            r"Expected lr as positive numbers, got shape \(1, 2\)",
        ),
        ({"lr": [1e-3, -1.0]}, "Expected lr as positive numbers, got row 1: -1.0"),
        ({"batch": [np.nan]}, "Expected batch as positive numbers, got row 0: nan"),
        ({"tokens": np.inf}, "Expected tokens as positive numbers, got row 0: inf"),
        ({"lr": []}, "Expected at least one point"),
        ({"recipe": "muon"}, "Expected no --recipe"),
        ({"recipe": ["", ""]}, r"Expected one recipe a point \(1\), got 2 recipes"),
        ({"recipe": ["muon"]}, "Expected no --recipe"),
        ({"scales": {"experts": [4.0]}}, "got --scale 'experts'"),
        ({"scales": {"lr": [4.0]}}, "got --scale 'lr'"),
    ],
)
def test_wrong_points_are_refused(
    steplaw: Fit, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        steplaw.predict(**(dict[str, Any](lr=1e-3, batch=5e5) | ASK | change))


# ------------------------------------------------------------- evaluate


def test_the_bundled_fit_explains_its_sweep(steplaw: Fit) -> None:
    found = steplaw.evaluate(fit_support.sweep(1))
    assert found.errors["r2"] is not None
    assert found.errors["r2"] > 0.98
    assert abs(found.errors["bias"]) < 0.002
    # Of the truth: only the luck of the best of 120 runs stands between.
    assert found.regret["mean"] is not None
    assert 0 <= found.regret["mean"] < 0.004
    assert found.regret_smoothed["mean"] is not None
    assert found.regret_smoothed["mean"] < 5e-4
    assert found.band["precision"] is not None
    assert found.band["recall"] is not None
    assert min(found.band["precision"], found.band["recall"]) > 0.6


def test_evaluation_is_scores_of_proposals(steplaw: Fit) -> None:
    """Each cell's proposal is `optimum`, read off by `scores`; counts by hand."""
    runs = fit_support.sweep(1)
    bare = fit_support.bare(steplaw)
    found = steplaw.evaluate(runs, tol=0.01)
    assert (found.runs, found.runs_diverged) == (len(runs), runs.diverged.sum())
    kept = ~runs.diverged
    columns = (runs.lr_level, runs.batch, runs.params, runs.tokens)
    predicted = steplaw.predict(*(column[kept] for column in columns)).loss
    errors = loss_errors(predicted, runs.loss[kept])
    for name, value in errors.items():
        assert found.errors[name] == pytest.approx(value, rel=1e-9, abs=1e-12)
    limits, lowest = np.empty(len(runs)), np.empty(len(runs))
    for index, (cell, (_, params, tokens, row)) in enumerate(
        zip(runs.cells, found.cells, strict=True)
    ):
        assert (params, tokens) == (cell.params, cell.tokens)
        best = bare.optimum(params=params, tokens=tokens)
        members = runs.cell == index
        # A diverged run counts as the mark that makes it one.
        loss = np.minimum(runs.loss[members], 1.25 * cell.best)
        columns = runs.lr_level[members], runs.batch[members], loss
        expected = score_cell(*columns, best.lr, best.batch)
        for name, value in expected.items():
            assert row[name] == pytest.approx(value, rel=1e-6, abs=1e-9), name
        limits[members] = best.loss * 1.01
        lowest[members] = runs.loss[members & kept].min()
    for name in ("regret", "regret_smoothed"):
        assert getattr(found, name) == mean_se([row[name] for *_, row in found.cells])
    assert found.band == band(
        predicted <= limits[kept], runs.loss[kept], lowest[kept], 0.01
    )


def test_evaluation_json_has_the_keys_of_the_contract(steplaw: Fit) -> None:
    document = steplaw.evaluate(fit_support.sweep(1)).to_json()
    json.dumps(document, allow_nan=False)
    assert {"runs", "runs_diverged", "r2", "mae", "rmse", "bias", "spearman"} <= (
        document.keys()
    )
    assert document["regret"].keys() == document["regret_smoothed"].keys() == SPREAD
    assert len(document["cells"]) == 17
    assert all(cell.keys() >= CELL for cell in document["cells"])
    assert document["band"].keys() == {"tol", "precision", "recall"}
    assert document["band"]["tol"] == 0.0025
    assert document["warnings"] == []


def relabelled(**change: Any) -> Runs:
    runs = fit_support.thinned()
    names = ("lr", "batch", "params", "tokens", "loss", "diverged")
    kinds: dict[str, Any] = {
        "loss_kind": runs.loss_kind,
        "params_kind": runs.params_kind,
    }
    columns = {name: getattr(runs, name) for name in names}
    return Runs.from_arrays(**(columns | kinds | change))


def test_another_kind_of_loss_is_warned_of(steplaw: Fit) -> None:
    assert steplaw.loss_kind == "train_smoothed"
    found = steplaw.evaluate(relabelled(loss_kind="validation"))
    assert found.warnings == (
        "The fit predicts train_smoothed loss and the runs hold validation loss: their "
        "levels need not agree.",
    )
    found = steplaw.evaluate(relabelled(params_kind="total"))
    assert found.warnings == (
        "The fit counts non_embedding parameters and the runs total ones.",
    )
    unknown = relabelled(loss_kind="unknown", params_kind="unknown")
    assert steplaw.evaluate(unknown).warnings == ()


def test_runs_that_cannot_be_compared_are_refused(steplaw: Fit) -> None:
    with pytest.raises(
        DataError, match=r"runs of the fit's recipes \(''\), got 'muon'"
    ):
        steplaw.evaluate(relabelled(recipe="muon"))
    lost = np.ones(len(fit_support.thinned()), dtype=bool)
    with pytest.raises(DataError, match="runs that finished, but all of them diverged"):
        steplaw.evaluate(relabelled(diverged=lost))
    for tol in (0.0, 2.0):
        with pytest.raises(DataError, match="Expected tol to be a number above 0"):
            steplaw.evaluate(fit_support.thinned(), tol=tol)
