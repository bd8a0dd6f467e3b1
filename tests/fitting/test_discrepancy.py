"""How wrong a law may be beyond the data: kriging, scales from regions, and answers."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from support.beyond import CELLS, FAR, INSIDE, law, with_law
from support.fit import quadratic, table

from surrogate import fit
from surrogate.answers import Fit, beyond, load, solved
from surrogate.data import Runs
from surrogate.fitting import calibration, discrepancy
from surrogate.fitting.discrepancy import System


def without() -> Fit:
    return dataclasses.replace(quadratic(), discrepancy=None)


def test_variance_is_that_of_the_best_linear_unbiased_predictor() -> None:
    # Independent code: weights of the predictor from the constrained system by hand.
    at = np.log(np.array([1.3e9, 9e10]))

    def kernel(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.sqrt(((a - b) ** 2).sum()) ** 3)

    count = len(CELLS)
    k = np.array([[kernel(a, b) for b in CELLS] for a in CELLS])
    k += discrepancy.NUGGET * np.eye(count)
    b = np.array([kernel(a, at) for a in CELLS])
    p = np.column_stack([np.ones(count), CELLS])
    whole = np.zeros((count + 3, count + 3))
    whole[:count, :count], whole[:count, count:], whole[count:, :count] = k, p, p.T
    found = np.linalg.solve(whole, np.concatenate([b, [1.0], at]))[:count]
    expected = found @ k @ found - 2 * found @ b
    got = System.of(CELLS).variance(at[None])[0]
    # Iterative no, but the system's condition number is about 1e5.
    assert got == pytest.approx(expected, rel=1e-6)


def test_variance_grows_away_from_the_cells_and_in_the_direction_asked() -> None:
    middle, top = CELLS.mean(axis=0), CELLS.max(axis=0)
    steps = [top + np.array([t, 0.0]) for t in (0.0, 1.0, 2.0, 4.0)]
    shares = law().share(np.array(steps))
    assert (np.diff(shares) > 0).all()
    assert law().share(middle[None])[0] == 0
    # Far out the standard deviation grows as the power 3/2 of the distance.
    far = law().share(top + np.array([[40.0, 0.0], [80.0, 0.0]]))
    assert np.sqrt(far[1] / far[0]) == pytest.approx(2**1.5, rel=0.1)


def test_inside_the_data_nothing_changes() -> None:
    plain, wide = without(), with_law(regret=float("nan"))
    a, b = plain.optimum(**INSIDE), wide.optimum(**INSIDE)
    assert a.lr_interval == pytest.approx(b.lr_interval, rel=1e-12)
    assert a.loss_interval == pytest.approx(b.loss_interval, rel=1e-12)
    one, two = (f.predict(2e-3, 5e5, 2e8, 2e10) for f in (plain, wide))
    assert one.loss_low == pytest.approx(two.loss_low, rel=1e-12)
    bounds = [f.regret(lr=2e-3, batch=5e5, **INSIDE).upper for f in (plain, wide)]
    assert bounds[0] == bounds[1]


def test_beyond_the_data_intervals_join_both_errors() -> None:
    plain, wide = without(), with_law()
    a, b = plain.optimum(**FAR), wide.optimum(**FAR)
    at = np.log(np.array([[FAR["params"], FAR["tokens"]]]))
    asked = wide.discrepancy
    assert asked is not None

    def half(ends: tuple[float, float]) -> float:
        return 0.5 * float(np.log(ends[1] / ends[0]))

    # Rounding: of the kriging system, which is solved twice.
    wrong = asked.level_half(at)[0]
    whole = np.hypot(half(a.loss_interval), wrong)
    assert half(b.loss_interval) == pytest.approx(whole, rel=1e-9)
    ends = [solved.choice_intervals(solve(f)) for f in (plain, wide)]
    for i, name in enumerate(("lr", "batch")):
        whole = np.hypot(half(ends[0][name]), asked.settings_half(at)[0, i])
        assert half(ends[1][name]) == pytest.approx(whole, rel=1e-9)
    assert b.decision.suggestion is not None
    assert a.decision.suggestion is not None
    assert b.decision.suggestion.regret_upper > a.decision.suggestion.regret_upper


def solve(of: Fit) -> solved.Solved:
    question = of.at(**FAR, p_max=0.1).question
    return solved.solve_box(question, question.box)


def test_a_held_setting_does_not_wander() -> None:
    held = with_law().optimum(batch=1e6, **FAR)
    assert held.batch == 1e6
    assert np.isnan(held.batch_interval).all()


def test_a_regret_is_bounded_by_what_left_out_cells_lost() -> None:
    found = with_law().optimum(**INSIDE).decision.suggestion
    assert found is not None
    assert found.regret_upper >= found.regret + 0.0004


def test_moves_spread_as_the_half_widths_say() -> None:
    at = np.log(np.array([[FAR["params"], FAR["tokens"]]]))
    asked = law(freedom=200)
    drawn = asked.moves(at, 4000)
    within = np.abs(drawn) <= asked.settings_half(at)
    # Statistical: binomial about 0.95, four standard errors.
    assert within.mean(axis=0) == pytest.approx([0.95, 0.95], abs=4 * 0.0035)
    assert (asked.moves(at, 10) == drawn[:10]).all()


def curved(bend: float) -> Runs:
    """A sweep whose level is off every quadratic law by bend x (ln N)^3."""
    sizes = tuple(
        (n, d) for n in (1e8, 2e8, 4e8, 8e8) for d in (4e9, 1.2e10, 3.6e10, 1e11)
    )
    columns = table(sizes=sizes, noise=5e-4)
    off = np.log(columns["params"] / 3e8) ** 3
    columns["loss"] = columns["loss"] * np.exp(bend * off)
    return Runs.from_arrays(**columns)


def test_a_law_that_is_wrong_has_a_larger_scale() -> None:
    right, wrong = (
        fit(curved(bend), family="quadratic", bootstrap=20, backend="numpy")
        for bend in (0.0, 0.02)
    )
    assert right.discrepancy is not None
    assert wrong.discrepancy is not None
    assert right.discrepancy.regions == wrong.discrepancy.regions == 8
    assert wrong.discrepancy.level > 3 * right.discrepancy.level
    # Beyond the data its interval holds the truth, and that of the law alone does not.
    columns = table(sizes=((1.6e9, 1e11),), noise=0.0)
    loss = columns["loss"] * np.exp(0.02 * np.log(1.6e9 / 3e8) ** 3)
    near = loss <= 1.05 * loss.min()
    point = columns["lr"], columns["batch"], 1.6e9, 1e11
    alone = dataclasses.replace(wrong, discrepancy=None)
    held = [
        ((told.loss_low <= loss) & (loss <= told.loss_high))[near].mean()
        for told in (wrong.predict(*point), alone.predict(*point))
    ]
    assert held == [1.0, 0.0]


def test_few_cells_take_the_usual_scales() -> None:
    runs = Runs.from_arrays(**table(noise=5e-4))
    few = runs.subset(np.isin(runs.cell, [0, 1, 2, 3, 6]))
    found = fit(few, family="quadratic", bootstrap=20, backend="numpy").discrepancy
    assert found is not None
    assert found.regions == 0
    assert found.level == pytest.approx(calibration.USUAL_LEVEL)
    assert found.freedom == calibration.LEAST_REGIONS - 1


def test_without_draws_nothing_is_measured() -> None:
    runs = Runs.from_arrays(**table(noise=5e-4))
    assert fit(runs, family="quadratic", bootstrap=0).discrepancy is None


def test_it_is_saved_and_a_fit_without_loads(tmp_path: Any) -> None:
    found = with_law()
    found.save(tmp_path / "fit")
    assert load(tmp_path / "fit").discrepancy == found.discrepancy
    manifest = tmp_path / "fit" / "manifest.json"
    text = json.loads(manifest.read_text())
    assert text["discrepancy"]["level"] == 0.01
    replace(found, discrepancy=None).save(tmp_path / "without")
    assert load(tmp_path / "without").discrepancy is None


def test_widening_keeps_unknown_ends_unknown() -> None:
    ends = np.array([[np.nan, np.nan], [1.0, 3.0]])
    found = beyond.widened(ends, np.array([0.5, 0.0]))
    assert np.isnan(found[0]).all()
    assert found[1] == pytest.approx([1.0, 3.0])
