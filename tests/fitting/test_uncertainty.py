"""Resampled cells, draws against a plain solve, intervals against closed forms."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from support import fit as fit_support

from surrogate import families
from surrogate.data import Runs
from surrogate.data.coordinates import Features, Rows
from surrogate.fitting import intervals, irls, ranges, resampling

REPLICAS, CELLS = 20_000, 7
# Enough for draws that are refits.
MANY = (
    *fit_support.SIZES,
    *((3e8, 7e9), (3e8, 7e10), (6e8, 1e10), (6e8, 6e10)),
)


@pytest.mark.parametrize(("seed", "cells"), [(0, 5), (0, 17), (3, 17)])
def test_every_replica_holds_as_many_cells_as_there_are(seed: int, cells: int) -> None:
    counts = resampling.resample(seed, 64, cells)
    assert counts.shape == (64, cells)
    assert counts.dtype == np.float64
    assert (counts >= 0).all()
    np.testing.assert_array_equal(counts, np.round(counts))
    np.testing.assert_array_equal(counts.sum(axis=1), cells)


def test_a_replica_does_not_depend_on_how_many_are_asked_for() -> None:
    many = resampling.resample(4, 50, 9)
    np.testing.assert_array_equal(resampling.resample(4, 20, 9), many[:20])
    np.testing.assert_array_equal(resampling.resample(4, 1, 9), many[:1])
    assert not np.array_equal(resampling.resample(5, 50, 9), many)
    assert len(np.unique(many, axis=0)) > 45


def test_replicas_do_not_depend_on_the_width_of_floats() -> None:
    with jax.enable_x64(False):
        narrow = resampling.resample(4, 20, 9)
    with jax.enable_x64(True):
        np.testing.assert_array_equal(resampling.resample(4, 20, 9), narrow)


def test_counts_are_multinomial() -> None:
    """Statistical: 4.5 standard errors, under 1e-5 a check."""
    counts = resampling.resample(1, REPLICAS, CELLS)
    root = np.sqrt(REPLICAS)
    variance = 1 - 1 / CELLS
    assert np.abs(counts.mean(axis=0) - 1).max() < 4.5 * np.sqrt(variance) / root
    covariance = np.cov(counts.T)
    diagonal = np.diag(covariance)
    # The fourth central moment of a count near Poisson(1) is about 3 v^2 + v.
    assert np.abs(diagonal - variance).max() < 4.5 * np.sqrt(3 * variance) / root
    off = covariance[~np.eye(CELLS, dtype=bool)]
    assert np.abs(off + 1 / CELLS).max() < 4.5 * np.sqrt(variance) / root
    absent = (1 - 1 / CELLS) ** CELLS
    spread = np.sqrt(absent * (1 - absent)) / root
    assert np.abs((counts == 0).mean(axis=0) - absent).max() < 4.5 * spread


def test_draws_are_least_squares_under_the_resampled_weights() -> None:
    """Independent code: NumPy's lstsq with the prior as rows; cells of unequal size."""
    runs = Runs.from_arrays(**fit_support.table(sizes=MANY, noise=5e-4))
    keep = np.ones(len(runs), dtype=bool)
    keep[1:9] = False
    runs = runs.subset(keep)
    features = Features.of(runs)
    rows = features.rows(runs)
    family = families.Quadratic(families.Shape(2, 2, 0))
    rng = np.random.default_rng(2)
    weights = rng.uniform(1e5, 1e6, len(rows.target))
    zero = np.zeros(family.size)
    none = np.zeros((len(MANY), family.size))
    asked = ranges.Asked(family, rows, weights, zero, 3, 12, "numpy")
    found = resampling.draw(asked, none)
    counts = resampling.resample(3, 12, len(runs.cells))
    pairs = zip(*np.triu_indices(4), strict=True)
    products = [rows.z[:, i] * rows.z[:, j] for i, j in pairs]
    ones = np.ones((len(rows.z), 1))
    design = np.concatenate([ones, rows.z, np.stack(products, axis=1)], axis=1)
    for theta, times in zip(found.theta, counts, strict=True):
        root = np.sqrt(weights * times[rows.cell])
        prior = np.diag(np.sqrt(family.prior.precision))
        matrix = np.concatenate([design * root[:, None], prior])
        right = np.concatenate([rows.target * root, zero])
        expected = np.linalg.lstsq(matrix, right)[0]
        # Rounding, times the condition number of replicas of few cells.
        np.testing.assert_allclose(theta, expected, rtol=1e-4, atol=1e-5)


def test_replicas_of_few_cells_are_counted_and_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Of 12 cells hardly any replica has under 3: here under 7.
    monkeypatch.setattr(resampling, "MIN_DISTINCT", 7)
    runs = Runs.from_arrays(**fit_support.table(sizes=MANY))
    rows = Features.of(runs).rows(runs)
    family = families.Quadratic(families.Shape(2, 2, 0))
    weights = np.full(len(rows.target), 1e6)
    zero, none = np.zeros(family.size), np.zeros((len(MANY), family.size))
    asked = ranges.Asked(family, rows, weights, zero, 0, 200, "numpy")
    found = resampling.draw(asked, none)
    distinct = (resampling.resample(0, 200, len(MANY)) > 0).sum(axis=1)
    assert found.singular == (distinct < 7).sum() > 0
    assert found.theta.shape == (200, family.size)
    assert np.isfinite(found.theta).all()
    assert found.unsettled == 0


def test_draws_of_a_sum_of_terms_start_where_others_end_too() -> None:
    bowl, sums = (
        families.make(name, families.Shape(2, 2, 0), 3)
        for name in ("bowl", "posynomial")
    )
    assert resampling.starts(bowl, 40) == 1
    assert resampling.starts(sums, 40) == 1 + resampling.RIVALS
    # Of few cells a draw is a leaf.
    assert resampling.starts(sums, 11) == 1


# ------------------------------------------------------------- cells left out


def small_sweep() -> tuple[Rows, np.ndarray]:
    """Six noisy cells and the box in which their minima are sought."""
    table = fit_support.table(sizes=fit_support.SIZES[:6], noise=2e-3)
    features = Features.of(Runs.from_arrays(**table))
    return features.rows(Runs.from_arrays(**table)), features.box()


def without(rows: Rows, cell: int) -> Rows:
    """The table as if the cell had never been."""
    kept = rows.cell != cell
    return Rows(
        rows.z[kept],
        rows.target[kept],
        rows.cell[kept] - (rows.cell[kept] > cell),
        np.delete(rows.cell_s, cell, axis=0),
    )


@pytest.mark.once
def test_a_leaf_is_the_fit_of_the_table_without_a_cell() -> None:
    """Independent: fits of tables that lack the rows; rounding."""
    rows, box = small_sweep()
    family = families.Quadratic(families.Shape(2, 2, 0))
    ones = np.ones((1, len(rows.target)))
    full = irls.estimate(family, rows, ones, box)
    weights, theta = full.weights[0], full.solution.theta[0]
    leaves, unsettled = resampling.leave_each_out(family, rows, weights, theta, box)
    assert unsettled == 0
    assert leaves.shape == (6, family.size)
    for cell in range(6):
        alone = without(rows, cell)
        ones = np.ones((1, len(alone.target)))
        expected = irls.estimate(family, alone, ones, box).solution.theta[0]
        np.testing.assert_allclose(leaves[cell], expected, rtol=0, atol=1e-8)
        assert np.abs(leaves[cell] - theta).max() > 1e-4


@pytest.mark.once
def test_a_leaf_from_the_whole_fit_is_that_from_cold_starts() -> None:
    """Iterative: rounds of weights come to rest; by the optimum, in units of u."""
    rows, box = small_sweep()
    family = families.make("bowl", families.Shape(2, 2, 0), None)
    counts = np.stack([rows.cell != cell for cell in (-1, 4)]).astype(np.float64)
    cold = irls.estimate(family, rows, counts, box)
    weights, theta = cold.weights[0], cold.solution.theta[0]
    leaves, unsettled = resampling.leave_each_out(family, rows, weights, theta, box)
    assert unsettled == 0
    warm = irls.evaluate(family, rows, leaves[[4]], box)
    off = np.abs(warm.cell_u - cold.surface.cell_u[1:]).max()
    moved = np.abs(warm.cell_u - cold.surface.cell_u[:1]).max(axis=(1, 2))
    assert off < 3e-3
    assert moved.min() > 5 * off


# ------------------------------------------------------------- draws of few cells


def test_optima_of_few_cells_have_the_jackknife_s_covariance() -> None:
    """Statistical: Student's t has f / (f - 2) of it; 4.5 standard errors.

    With f = 8 the excess kurtosis is 1.5, so of a variance they are 0.94 %.
    """
    cells, count = 11, 40_000
    rng = np.random.default_rng(8)
    point = np.array([-6.2, 13.1])
    leaves = point + rng.normal(size=(cells, 2)) * [0.02, 0.01]
    draws = leaves[np.arange(count) % cells]
    found = draws + intervals.moves(point, leaves, draws)
    off = leaves - point
    expected = (cells - 1) / cells * off.T @ off * 8 / 6
    sizes = np.sqrt(np.diag(expected))
    error = 4.5 * np.sqrt(3.5 / count)
    np.testing.assert_allclose(
        np.cov(found.T, bias=True) / np.outer(sizes, sizes),
        expected / np.outer(sizes, sizes),
        atol=error,
    )
    np.testing.assert_allclose(
        found.mean(axis=0) / sizes, point / sizes, atol=4.5 / np.sqrt(count)
    )
    # Tails are those of t, and 95 % lie where the interval says.
    low, high = intervals.interval(point, leaves).T
    inside = np.mean((low <= found) & (found <= high), axis=0)
    np.testing.assert_allclose(inside, 0.95, atol=4.5 * np.sqrt(0.0475 / count))


def test_a_move_of_few_cells_does_not_depend_on_how_many_are_asked_for() -> None:
    many = intervals.factors(50, 7)
    for count in (1, 20):
        np.testing.assert_array_equal(intervals.factors(count, 7), many[:count])
    assert not np.isclose(many, intervals.factors(50, 8)[:, :7]).any()


def test_under_12_cells_draws_are_leaves_in_turn() -> None:
    runs = Runs.from_arrays(**fit_support.table(sizes=fit_support.SIZES[:6]))
    rows = Features.of(runs).rows(runs)
    family = families.Quadratic(families.Shape(2, 2, 0))
    leaves = np.random.default_rng(0).normal(size=(6, family.size))
    ones = np.ones(len(rows.target))
    asked = ranges.Asked(family, rows, ones, leaves[0], 5, 30, "mosaic")
    found = resampling.draw(asked, leaves)
    np.testing.assert_array_equal(found.theta, np.tile(leaves, (5, 1)))
    assert found.backend is None
    assert (found.unsettled, found.singular, found.is_whole) == (0, 0, True)


# ------------------------------------------------------------- intervals


@pytest.mark.parametrize("level", [0.8, 0.95])
@pytest.mark.parametrize("cells", [5, 9, 17])
def test_the_interval_of_a_mean_is_its_textbook_one(cells: int, level: float) -> None:
    """Closed form: the jackknife's standard error of a mean is s / sqrt(n)."""
    values = np.random.default_rng(cells).normal(-6.0, 0.3, cells)
    leaves = np.array([np.delete(values, i).mean() for i in range(cells)])
    error = values.std(ddof=1) / np.sqrt(cells)
    found = intervals.standard_error(values.mean(), leaves)
    assert float(found) == pytest.approx(error, rel=1e-12)
    half = stats.t.ppf(0.5 * (1 + level), cells - 3) * error
    np.testing.assert_allclose(
        intervals.interval(values.mean(), leaves, level),
        [values.mean() - half, values.mean() + half],
        rtol=1e-13,
    )


def test_the_standard_error_of_a_slope_is_cr3() -> None:
    """Independent: least squares, residuals over 1 - leverage; one run a cell.

    Leaving out run i moves beta by (X'X)^-1 x_i e_i / (1 - h_i).
    """
    rng = np.random.default_rng(1)
    x = np.stack([np.ones(13), rng.normal(size=13), rng.normal(size=13)], axis=1)
    y = x @ [0.9, -0.3, 0.1] + 0.05 * rng.normal(size=13)
    beta = np.linalg.lstsq(x, y)[0]
    leaves = np.stack(
        [np.linalg.lstsq(np.delete(x, i, 0), np.delete(y, i))[0] for i in range(13)]
    )
    inverse = np.linalg.inv(x.T @ x)
    leverage = np.sum(x @ inverse * x, axis=1)
    scores = x * ((y - x @ beta) / (1 - leverage))[:, None]
    variance = 12 / 13 * inverse @ scores.T @ scores @ inverse
    found = intervals.standard_error(beta, leaves)
    np.testing.assert_allclose(found, np.sqrt(np.diag(variance)), rtol=1e-10)


def test_interval_treats_each_number_alone() -> None:
    rng = np.random.default_rng(2)
    point = np.array([[1.0, -2.0], [3.0, 0.5]])
    leaves = point + rng.normal(size=(11, 2, 2)) * [[0.1, 0.2], [0.3, 0.4]]
    found = intervals.interval(point, leaves)
    assert found.shape == (2, 2, 2)
    for i, j in np.ndindex(2, 2):
        alone = intervals.interval(point[i, j], leaves[:, i, j])
        np.testing.assert_allclose(found[i, j], alone, rtol=1e-14)


@pytest.mark.parametrize("cells", [0, 1, 4])
def test_under_5_cells_there_is_no_interval(cells: int) -> None:
    found = intervals.interval(np.array([1.0, 2.0]), np.ones((cells, 2)))
    assert found.shape == (2, 2)
    assert np.isnan(found).all()
    five = intervals.interval(np.array([1.0, 2.0]), np.ones((5, 2)))
    assert np.isfinite(five).all()


def test_a_leaf_without_an_answer_leaves_no_interval() -> None:
    """Left out silently it would make the interval narrower."""
    leaves = np.random.default_rng(0).normal(size=(9, 2))
    leaves[4, 1] = np.nan
    found = intervals.interval(np.zeros(2), leaves)
    assert np.isfinite(found[0]).all()
    assert np.isnan(found[1]).all()


@given(st.floats(-5, 5), st.lists(st.floats(-5, 5), min_size=5, max_size=20))
@settings(max_examples=1000)
def test_interval_holds_its_point_in_the_middle(
    point: float, leaves: list[float]
) -> None:
    low, high = intervals.interval(np.float64(point), np.array(leaves))
    assert low <= point <= high
    assert high - point == pytest.approx(point - low, abs=1e-12)


# ------------------------------------------------------------- draws that are moved


def half_width(draws: np.ndarray) -> np.ndarray:
    low, high = np.nanquantile(draws, [0.025, 0.975], axis=0)
    return 0.5 * (high - low)


def optima(cells: int = 17) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A point, its leaves, and draws that spread too little in the first coordinate."""
    rng = np.random.default_rng(6)
    point = np.array([-6.2, 13.1])
    leaves = point + rng.normal(size=(cells, 2)) * 0.01
    error = intervals.standard_error(point, leaves)
    return point, leaves, point + rng.normal(size=(300, 2)) * error * [0.6, 2.5]


def test_moved_draws_spread_as_the_interval_says() -> None:
    point, leaves, draws = optima()
    moves = intervals.moves(point, leaves, draws)
    low, high = intervals.interval(point, leaves).T
    found = half_width(draws + moves)
    assert found[0] == pytest.approx(0.5 * (high - low)[0], rel=1e-12)
    # Along its own step from the estimate, by the same share for all.
    assert np.ptp(moves[:, 0] / (draws - point)[:, 0]) < 1e-9
    # Wide enough already.
    np.testing.assert_array_equal(moves[:, 1], 0.0)
    assert half_width(draws)[1] > 0.5 * (high - low)[1]


def test_draws_are_moved_on_by_a_factor_of_4_at_most() -> None:
    point, leaves, draws = optima()
    draws = point + (draws - point) * 1e-3
    moves = intervals.moves(point, leaves, draws)
    np.testing.assert_allclose(moves, 3 * (draws - point), rtol=1e-12)
    same = np.tile(point, (20, 1))
    np.testing.assert_array_equal(intervals.moves(point, leaves, same), 0.0)


def test_a_draw_without_an_answer_moves_no_other() -> None:
    point, leaves, draws = optima()
    moves = intervals.moves(point, leaves, draws)
    holed = np.insert(draws, [0, 9], np.nan, axis=0)
    found = intervals.moves(point, leaves, holed)
    kept = np.isfinite(holed[:, 0])
    np.testing.assert_allclose(found[kept], moves, rtol=1e-12)


def test_from_12_cells_on_draws_keep_their_directions() -> None:
    point, leaves, draws = optima(11)
    off = np.corrcoef(
        (draws + intervals.moves(point, leaves, draws) - point)[:, 0],
        (draws - point)[:, 0],
    )[0, 1]
    assert abs(off) < 0.3
    point, leaves, draws = optima(12)
    aims = draws + intervals.moves(point, leaves, draws) - point
    assert np.corrcoef(aims[:, 0], (draws - point)[:, 0])[0, 1] > 0.9999
    assert intervals.moves(point, leaves, draws[:0]).shape == (0, 2)


# ------------------------------------------------------------- regret


@pytest.mark.parametrize("shape", [(1,), (2,), (41,), (40, 2), (7, 2, 3)])
@pytest.mark.parametrize("share", [0.0, 0.025, 0.5, 0.95, 1.0])
def test_quantiles_of_what_is_known_are_numpy_s(
    shape: tuple[int, ...], share: float
) -> None:
    rng = np.random.default_rng(len(shape))
    values = rng.normal(size=shape)
    if len(shape) > 1:
        values[rng.random(shape) < 0.2] = np.nan
        values[0] = 0.5
    found = intervals.known_quantile(values, share)
    np.testing.assert_allclose(
        found, np.nanquantile(values, share, axis=0), rtol=1e-13, atol=1e-15
    )


def test_quantiles_between_infinite_values_are_infinite() -> None:
    values = np.array([1.0, 2.0, np.inf, np.inf, np.inf, np.nan])
    assert intervals.known_quantile(values, 0.25) == 2.0
    assert intervals.known_quantile(values, 0.3) == np.inf
    assert intervals.known_quantile(values, 0.9) == np.inf
    assert np.isnan(intervals.known_quantile(np.full(3, np.nan), 0.5))


def test_upper_is_a_quantile_of_draws_and_no_less_than_the_point() -> None:
    draws = np.random.default_rng(0).permutation(np.linspace(0.0, 0.01, 2001))
    assert intervals.upper(0.002, draws) == pytest.approx(0.0095, rel=1e-12)
    assert intervals.upper(0.02, draws) == 0.02
    assert intervals.upper(0.002, draws, 0.5) == pytest.approx(0.005, rel=1e-12)
    holed = np.insert(draws, [3, 500], np.nan)
    assert intervals.upper(0.002, holed) == pytest.approx(0.0095, rel=1e-12)
    assert np.isnan(intervals.upper(0.002, draws[:0]))
    assert np.isnan(intervals.upper(0.002, np.full(3, np.nan)))


@pytest.mark.filterwarnings("error")
def test_upper_of_draws_that_lose_everything_is_no_point() -> None:
    # Closed form: a tenth of the draws is infinite, so the 95 % quantile is.
    draws = np.append(np.linspace(0.0, 0.01, 900), np.full(100, np.inf))
    assert intervals.upper(0.002, draws) == np.inf
    assert intervals.upper(0.002, draws, 0.5) < 0.01
