"""Scores on cells left out: nothing leaks into a fold, and the scores are `scores`'."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support import fit as fit_support

from surrogate import families
from surrogate.data import Runs
from surrogate.data.coordinates import Features, Rows
from surrogate.families import Family, Shape
from surrogate.fitting import cross_validation, irls, stacking
from surrogate.fitting.cross_validation import Folds, HeldCell, HeldOut
from surrogate.fitting.scores import mean_se, score_cell

pytestmark = pytest.mark.numeric
QUADRATIC = families.make("quadratic", Shape(2, 2, 0), 3)
POSYNOMIAL = families.make("posynomial", Shape(2, 2, 0), 3)


class Problem:
    """Runs with their coordinates; `held` leaves each cell out in turn."""

    def __init__(self, runs: Runs) -> None:
        self.runs = runs
        self.features = Features.of(runs)
        self.rows = self.features.rows(runs)

    def held(self, family: Family, rows: Rows | None = None, **options: Any) -> HeldOut:
        rows = self.rows if rows is None else rows
        box = self.features.box()
        folds = cross_validation.one_by_one(rows)
        return cross_validation.leave_out(
            family, self.features, rows, self.runs, box, folds, **options
        )


@pytest.fixture(scope="module")
def noisy() -> Problem:
    return Problem(Runs.from_arrays(**fit_support.table(noise=5e-4)))


@pytest.fixture(scope="module")
def sweep() -> Problem:
    return Problem(fit_support.thinned())


def held_out(folds: Folds, cells: list[HeldCell]) -> HeldOut:
    """Scores alone, of fits of no rows."""
    count = len(folds.protocol)
    theta, error = np.zeros((count, QUADRATIC.size)), np.zeros((count, 0))
    return HeldOut(QUADRATIC, folds, cells, theta, error)


def proposals(held: HeldOut) -> np.ndarray:
    return np.array([(c.score["lr"], c.score["batch"]) for c in held.cells])


@pytest.mark.parametrize("cell", [0, 5])
def test_a_fold_does_not_see_its_cell(noisy: Problem, cell: int) -> None:
    """Closed form: losses 10 % higher change every fold but that cell's own."""
    raised = noisy.rows.target + np.where(noisy.rows.cell == cell, np.log(1.1), 0.0)
    before = noisy.held(QUADRATIC)
    after = noisy.held(QUADRATIC, noisy.rows._replace(target=raised))
    same = (proposals(before) == proposals(after)).all(axis=1)
    np.testing.assert_array_equal(same, np.arange(len(same)) == cell)
    # The prediction stays, so the errors rise by what the losses rose.
    assert after.cells[cell].mae_ln == pytest.approx(np.log(1.1), abs=0.01)


def test_a_fold_of_the_posynomial_does_not_see_its_cell(sweep: Problem) -> None:
    raised = sweep.rows.target + np.where(sweep.rows.cell == 2, np.log(1.1), 0.0)
    before = sweep.held(POSYNOMIAL)
    after = sweep.held(POSYNOMIAL, sweep.rows._replace(target=raised))
    same = (proposals(before) == proposals(after)).all(axis=1)
    np.testing.assert_array_equal(same, np.arange(len(same)) == 2)


def test_folds_of_an_exact_bowl_find_its_optima() -> None:
    """Closed form: what is left out of a quadratic is known from the other cells."""
    problem = Problem(Runs.from_arrays(**fit_support.table()))
    held = problem.held(QUADRATIC)
    cells = problem.runs.cells
    truth = [fit_support.BOWL.centre(cell.params, cell.tokens) for cell in cells]
    # The prior pulls where seven cells settle the six terms of the scales badly.
    np.testing.assert_allclose(np.log(proposals(held)), truth, atol=2e-4)
    assert max(c.mae_ln for c in held.cells) < 2e-4


def test_a_fold_scores_its_own_proposal(sweep: Problem) -> None:
    """Each fold again alone, fitted to runs that do not hold its cell."""
    held = sweep.held(QUADRATIC)
    runs, rows = sweep.runs, sweep.rows
    ones = np.ones((1, len(rows.target)))
    for index, found in enumerate(held.cells):
        row: Any = found.score
        assert (found.fold, found.cell) == (index, index)
        others = ones * (rows.cell != index)
        box = sweep.features.box()
        alone = irls.estimate(QUADRATIC, rows, others, box)
        at = sweep.features.from_u(alone.surface.cell_u[0, index])
        np.testing.assert_allclose([row["lr"], row["batch"]], at, rtol=1e-9)
        members = runs.cell == index
        mark = 1.25 * runs.loss[members & ~runs.diverged].min()
        columns = runs.lr_level[members], runs.batch[members]
        loss = np.minimum(runs.loss[members], mark)
        assert row == score_cell(*columns, loss, row["lr"], row["batch"])
        kept = rows.cell == index
        error = np.abs(rows.target - alone.surface.fitted[0])[kept]
        best = np.exp(rows.target[kept] - rows.target[kept].min())
        assert found.mae_ln == pytest.approx(error[best <= 1.02].mean())
        assert found.mae_wide == pytest.approx(error.mean())
    scores = [c.score for c in held.cells]
    assert held.summary() == {
        "regret": mean_se([score["regret"] for score in scores]),
        "regret_smoothed": mean_se([score["regret_smoothed"] for score in scores]),
        "mae_ln": mean_se([c.mae_ln for c in held.cells]),
        "mae_wide": mean_se([c.mae_wide for c in held.cells]),
    }


def test_a_diverged_run_is_read_at_the_mark() -> None:
    """Closed form: on the diverged run itself the regret is the mark's 25 %."""
    columns = fit_support.table()
    marks = np.zeros(len(columns["lr"]), dtype=bool)
    marks[[7, 8]] = True
    columns["loss"][[7, 8]] = 1e13, np.nan
    runs = Runs.from_arrays(**columns, diverged=marks)
    features = Features.of(runs)
    for row in (7, 8):
        at = np.array([runs.lr_level[row], runs.batch[row]])
        found = cross_validation.score(runs, 0, features, at)
        assert found["regret"] == pytest.approx(0.25)
        assert found["best_lr"] in runs.lr_level[runs.cell == 0]


def test_a_setting_that_is_not_fitted_is_the_cells_own() -> None:
    runs = Runs.from_arrays(**fit_support.table(batches=1, noise=5e-4))
    features = Features.of(runs)
    assert features.choices == ("lr",)
    members = runs.cell == 3
    row = cross_validation.score(runs, 3, features, np.array([1e-3]))
    columns = (runs.lr_level[members], runs.batch[members], runs.loss[members])
    assert row["batch"] == columns[1][0]
    assert row == score_cell(*columns, 1e-3, float(columns[1][0]))


def test_progress_hears_of_every_fold(noisy: Problem) -> None:
    class Count:
        done = 0

        def start(self, task: str, total: int) -> None:
            raise AssertionError

        def advance(self, n: int) -> None:
            self.done += n

        def stop(self) -> None:
            raise AssertionError

    progress = Count()
    noisy.held(QUADRATIC, progress=progress)
    assert progress.done == len(noisy.runs.cells)


def test_the_largest_cells_are_left_out_by_each_scale(sweep: Problem) -> None:
    """Property: what is held is larger than all that is fitted, and not over half."""
    runs, rows = sweep.runs, sweep.rows
    folds = cross_validation.largest(runs, rows, sweep.features)
    size = np.array([(c.params, c.tokens) for c in runs.cells])
    axes = {
        "params": size[:, 0],
        "tokens": size[:, 1],
        "params x tokens": size.prod(axis=1),
    }
    assert len(folds.name) >= 3
    assert set(folds.protocol) == {cross_validation.LARGEST}
    for name, held in zip(folds.name, folds.held, strict=True):
        axis, floor = name.split(" >= ")
        assert axes[axis][held].min() > axes[axis][~held].max()
        assert axes[axis][held].min() == pytest.approx(float(floor), rel=0.005)
        assert 0 < held.sum() <= len(runs.cells) / 2
    assert len(np.unique(folds.held, axis=0)) == len(folds.held)
    everything = cross_validation.both(runs, rows, sweep.features)
    np.testing.assert_array_equal(everything.held[-len(folds.held) :], folds.held)
    np.testing.assert_array_equal(everything.held[: len(size)], np.eye(len(size)))


def test_most_cells_are_never_left_out_together() -> None:
    """Property: five of six cells have the largest params: no fold goes by them."""
    sizes = [(1e8, 1e9), *((1e9, tokens) for tokens in (1e9, 2e9, 4e9, 8e9, 16e9))]
    problem = Problem(Runs.from_arrays(**fit_support.table(sizes=tuple(sizes))))
    folds = cross_validation.largest(problem.runs, problem.rows, problem.features)
    assert 1 <= len(folds.name)
    assert not any(name.startswith("params >=") for name in folds.name)
    assert (folds.held.sum(axis=1) <= 3).all()


def test_a_fold_of_the_largest_does_not_see_them(noisy: Problem) -> None:
    """Closed form: doubled losses of what is held change its errors alone."""
    folds = cross_validation.largest(noisy.runs, noisy.rows, noisy.features)
    first = Folds(folds.protocol[:1], folds.name[:1], folds.held[:1])
    held = first.held[0]
    raised = noisy.rows.target + np.log(2) * held[noisy.rows.cell]

    def leave(rows: Rows) -> HeldOut:
        box = noisy.features.box()
        return cross_validation.leave_out(
            QUADRATIC, noisy.features, rows, noisy.runs, box, first
        )

    before, after = leave(noisy.rows), leave(noisy.rows._replace(target=raised))
    assert [c.cell for c in before.cells] == np.flatnonzero(held).tolist()
    for one, other in zip(before.cells, after.cells, strict=True):
        assert (one.score["lr"], one.score["batch"]) == (
            other.score["lr"],
            other.score["batch"],
        )
        assert other.mae_wide == pytest.approx(np.log(2), abs=0.05)
        # 1 where nine in ten cells, each left out, are nearer to the others.
        assert one.distance > 0.8
    names = before.folds.name
    assert before.summary(cross_validation.LARGEST)["mae_ln"]["mean"] == pytest.approx(
        np.mean([c.mae_ln for c in before.cells])
    )
    assert len(names) == 1


def of(regret: float | None, smoothed: float | None, error: float) -> HeldOut:
    one = np.ones(1)
    row = score_cell(one, one, one, 1.0, 1.0)
    row["regret"], row["regret_smoothed"] = regret, smoothed
    folds = Folds((cross_validation.ONE,) * 2, ("a", "b"), np.eye(2, dtype=bool))
    cells = [HeldCell(i, i, row, error, 2 * error, 0.5) for i in range(2)]
    return held_out(folds, cells)


def test_total_is_smoothed_regret_plus_errors() -> None:
    assert of(0.5, 0.25, 0.125).total() == 0.625
    assert of(0.5, None, 0.125).total() == 0.875
    assert of(None, None, 0.125).total() == 0.375


def test_total_adds_both_protocols_and_folds_count_alike() -> None:
    """Closed form: two folds, of one cell and of three."""
    row = of(0.5, 0.25, 0.0).cells[0].score
    held = np.array([[1, 0, 0, 0], [0, 1, 1, 1]], dtype=bool)
    folds = Folds((cross_validation.LARGEST,) * 2, ("a", "b"), held)
    errors = ((0, 0, 0.5), (1, 1, 0.0), (1, 2, 0.25), (1, 3, 0.5))
    cells = [HeldCell(f, c, row, 0.0, error, float(c)) for f, c, error in errors]
    largest = held_out(folds, cells)
    assert largest.total() == 0.25 + (0.5 + 0.25) / 2
    assert largest.distance_rank() == pytest.approx(0.5 / np.sqrt(5 * 4.5))
    one = of(0.5, 0.25, 0.125)
    names = one.folds.protocol + folds.protocol
    padded = np.pad(one.folds.held, ((0, 0), (0, 2)))
    together = held_out(
        Folds(names, one.folds.name + folds.name, np.concatenate([padded, held])),
        one.cells + [c._replace(fold=c.fold + 2) for c in cells],
    )
    assert together.total() == one.total() + largest.total()
    assert together.summary() == one.summary()
    assert of(0.5, 0.25, 0.125).distance_rank() is None


def test_the_lower_total_is_chosen() -> None:
    name, choice = cross_validation.choose(
        {"a": of(0.5, 0.25, 0.125), "b": of(0.5, 0.125, 0.125)}
    )
    assert name == "b"
    assert choice["protocol"] == "leave-one-cell-out"
    assert choice["chosen"] == "b"
    assert choice["totals"] == {"a": 0.625, "b": 0.5}
    assert choice["margin"] == 0.125
    assert choice["parts"]["b"][cross_validation.ONE] == {
        "regret": 0.5,
        "regret_smoothed": 0.125,
        "mae_ln": 0.125,
        "mae_wide": 0.25,
    }


def test_a_family_that_failed_is_not_whole() -> None:
    assert of(0.5, 0.25, 0.125).is_whole()
    assert not of(0.5, 0.25, np.nan).is_whole()
    found = of(0.5, 0.25, 0.125)
    found.cells[1] = found.cells[1]._replace(mae_wide=np.nan)
    assert not found.is_whole()


def test_one_candidate_has_no_margin() -> None:
    name, choice = cross_validation.choose({"a": of(0.5, 0.25, 0.125)})
    assert (name, choice["margin"]) == ("a", None)


# ---- mixes ----------------------------------------------------------------------


def erring(problem: Problem, error: np.ndarray, folds: Folds) -> HeldOut:
    """A fit of the quadratic that misses each row by so much, in each fold."""
    theta = np.zeros((len(folds.protocol), QUADRATIC.size))
    return HeldOut(QUADRATIC, folds, [], theta, error)


def test_weights_are_least_squares_on_rows_left_out(noisy: Problem) -> None:
    """Closed form: errors a and -b, alike on all rows, cancel at b / (a + b)."""
    folds = cross_validation.largest(noisy.runs, noisy.rows, noisy.features)
    off = np.full((len(folds.protocol), len(noisy.rows.target)), 0.01)
    # What the fits saw is of no account.
    off[~folds.held[:, noisy.rows.cell]] = np.nan
    three = {
        "high": erring(noisy, off, folds),
        "low": erring(noisy, -3 * off, folds),
        "far": erring(noisy, 9 * off, folds),
    }
    products = stacking._products(three, noisy.rows, [0, 1])
    found = stacking._least(products.sum(axis=(0, 1)))
    np.testing.assert_allclose(found, [0.75, 0.25, 0.0], atol=1e-6)
    two = {name: three[name] for name in ("high", "far")}
    products = stacking._products(two, noisy.rows, [0])
    assert stacking._least(products.sum(axis=(0, 1))).tolist() == [1.0, 0.0]


def test_weights_of_a_mix_are_those_of_the_cells_that_are_there(noisy: Problem) -> None:
    """Closed form: errors a and -b cancel at b / (a + b); here b differs by cell."""
    folds = cross_validation.largest(noisy.runs, noisy.rows, noisy.features)
    held = np.flatnonzero(folds.held[0])
    first, second = held[0], held[1]
    off = np.full((len(folds.protocol), len(noisy.rows.target)), 0.01)
    other = np.where(noisy.rows.cell == first, -1.0, -3.0) * off
    both = {"high": erring(noisy, off, folds), "low": erring(noisy, other, folds)}
    products = stacking._products(both, noisy.rows, [0])[0]
    of_none = held_out(folds, [])
    found = stacking.Mixture({"high": 0.4, "low": 0.6}, of_none, products)
    counts = np.zeros((4, len(noisy.rows.cell_s)))
    counts[0, first], counts[1, second], counts[2, [first, second]] = 1, 2, 1
    # The lowest sum of both squares: (w - (1 - w))^2 + (w - 3 (1 - w))^2.
    expected = [[0.5, 0.5], [0.75, 0.25], [0.7, 0.3], [0.4, 0.6]]
    np.testing.assert_allclose(found.weights_under(counts), expected, atol=1e-6)
    assert found.weights_under(counts[:0]).shape == (0, 2)


@pytest.fixture(scope="module")
def two_held(sweep: Problem) -> dict[str, HeldOut]:
    """Two families with cells left out, by both protocols."""
    features, rows, runs = sweep.features, sweep.rows, sweep.runs
    folds = cross_validation.both(runs, rows, features)
    return {
        name: cross_validation.leave_out(
            families.make(name, Shape(2, 2, 0), 3),
            features,
            rows,
            runs,
            features.box(),
            folds,
        )
        for name in ("quadratic", "additive")
    }


def test_a_candidate_without_weight_is_as_if_it_were_not_there(
    sweep: Problem, two_held: dict[str, HeldOut]
) -> None:
    """Property: the scores of a mix of one are those of that one."""
    features, rows, runs, held = sweep.features, sweep.rows, sweep.runs, two_held
    far = held["additive"]._replace(error=held["quadratic"].error + 1.0)
    found = stacking.mix(held | {"additive": far}, features, rows, runs)
    assert found.weights == {"quadratic": 1.0}
    np.testing.assert_allclose(found.held.error, held["quadratic"].error, atol=1e-12)
    own = [list(cell.score.values()) for cell in held["quadratic"].cells]
    mixed = [list(cell.score.values()) for cell in found.held.cells]
    assert mixed == [pytest.approx(values, rel=1e-9) for values in own]


def test_a_fold_of_a_mix_has_the_other_folds_weights(
    sweep: Problem, two_held: dict[str, HeldOut]
) -> None:
    """Property: what a member says in a fold is no part of its weight there."""
    features, rows, runs, held = sweep.features, sweep.rows, sweep.runs, two_held
    folds = two_held["quadratic"].folds
    # Weights come from the errors, scores from the fits: errors that cancel here.
    rng = np.random.default_rng(0)
    real = {name: h.error for name, h in held.items()}
    held = {
        n: h._replace(error=rng.normal(size=h.error.shape)) for n, h in held.items()
    }
    found = stacking.mix(held, features, rows, runs)
    count, last = len(found.weights), len(folds.protocol) - 1
    assert count == 2
    assert sum(found.weights.values()) == pytest.approx(1.0)
    error = held["additive"].error.copy()
    error[last] *= 2.0
    worse = held | {"additive": held["additive"]._replace(error=error)}
    again = stacking.mix(worse, features, rows, runs)
    weights, others = (one.held.theta[:, :count] for one in (found, again))
    assert again.weights["additive"] < found.weights["additive"]
    np.testing.assert_array_equal(others[last], weights[last])
    assert (others[:last, 1] < weights[:last, 1]).all()
    mean = sum(weights[:, i, None] * real[name] for i, name in enumerate(found.weights))
    np.testing.assert_allclose(found.held.error, mean, atol=1e-12)
    assert found.held.is_whole()
