"""Resampled cells, draws against a plain solve, intervals against closed forms."""

from __future__ import annotations

import fit_support
import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from surrogate import families, uncertainty
from surrogate.features import Features
from surrogate.runs import Runs

REPLICAS, CELLS = 20_000, 7


def normal_draws(point: float, sd: float, count: int = 4001) -> np.ndarray:
    """Draws that are the normal quantiles themselves, in an order of no meaning."""
    levels = np.linspace(0, 1, count).clip(1e-9, 1 - 1e-9)
    return np.random.default_rng(0).permutation(point + sd * stats.norm.ppf(levels))


@pytest.mark.parametrize(("seed", "cells"), [(0, 5), (0, 17), (3, 17)])
def test_every_replica_holds_as_many_cells_as_there_are(seed: int, cells: int) -> None:
    counts = uncertainty.resample(seed, 64, cells)
    assert counts.shape == (64, cells)
    assert counts.dtype == np.float64
    assert (counts >= 0).all()
    np.testing.assert_array_equal(counts, np.round(counts))
    np.testing.assert_array_equal(counts.sum(axis=1), cells)


def test_a_replica_does_not_depend_on_how_many_are_asked_for() -> None:
    many = uncertainty.resample(4, 50, 9)
    np.testing.assert_array_equal(uncertainty.resample(4, 20, 9), many[:20])
    np.testing.assert_array_equal(uncertainty.resample(4, 1, 9), many[:1])
    assert not np.array_equal(uncertainty.resample(5, 50, 9), many)
    assert len(np.unique(many, axis=0)) > 45


def test_replicas_do_not_depend_on_the_width_of_floats() -> None:
    with jax.enable_x64(False):
        narrow = uncertainty.resample(4, 20, 9)
    with jax.enable_x64(True):
        np.testing.assert_array_equal(uncertainty.resample(4, 20, 9), narrow)


def test_counts_are_multinomial() -> None:
    """Statistical: 4.5 standard errors, under 1e-5 a check."""
    counts = uncertainty.resample(1, REPLICAS, CELLS)
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
    runs = Runs.from_arrays(**fit_support.table(noise=5e-4))
    keep = np.ones(len(runs), dtype=bool)
    keep[1:9] = False
    runs = runs.subset(keep)
    features = Features.of(runs)
    rows = features.rows(runs)
    family = families.Quadratic(families.Shape(2, 2, 0))
    rng = np.random.default_rng(2)
    weights = rng.uniform(1e5, 1e6, len(rows.target))
    zero = np.zeros(family.size)
    found = uncertainty.draw(family, rows, weights, zero, replicas=12, seed=3)
    counts = uncertainty.resample(3, 12, len(runs.cells))
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


def test_replicas_of_few_cells_are_counted_and_kept() -> None:
    runs = Runs.from_arrays(**fit_support.table(sizes=fit_support.SIZES[:5]))
    rows = Features.of(runs).rows(runs)
    family = families.Quadratic(families.Shape(2, 2, 0))
    weights = np.full(len(rows.target), 1e6)
    zero = np.zeros(family.size)
    found = uncertainty.draw(family, rows, weights, zero, replicas=200, seed=0)
    distinct = (uncertainty.resample(0, 200, 5) > 0).sum(axis=1)
    assert found.singular == (distinct < 3).sum() > 0
    assert found.theta.shape == (200, family.size)
    assert np.isfinite(found.theta).all()
    assert found.unsettled == 0


@pytest.mark.parametrize("cells", [5, 9, 17])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_stretch_is_the_ratio_of_quantiles(cells: int, level: float) -> None:
    tail = 0.5 * (1 + level)
    expected = stats.t.ppf(tail, cells - 3) / stats.norm.ppf(tail)
    assert uncertainty.stretch(cells, level) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("cells", [5, 9, 17])
def test_interval_of_normal_draws_is_point_plus_minus_t_sd(cells: int) -> None:
    low, high = uncertainty.interval(np.float64(-6.2), normal_draws(-6.2, 0.03), cells)
    half = 0.03 * stats.t.ppf(0.975, cells - 3)
    np.testing.assert_allclose([low, high], [-6.2 - half, -6.2 + half], rtol=1e-13)


def test_interval_treats_each_number_alone() -> None:
    point = np.array([[1.0, -2.0], [3.0, 0.5]])
    sizes = np.array([[0.1, 0.2], [0.3, 0.4]])
    unit = normal_draws(0.0, 1.0, 801)
    draws = point + sizes * unit[:, None, None]
    found = uncertainty.interval(point, draws, 11)
    assert found.shape == (2, 2, 2)
    for i, j in np.ndindex(2, 2):
        alone = uncertainty.interval(point[i, j], draws[:, i, j], 11)
        np.testing.assert_allclose(found[i, j], alone, rtol=1e-14)


def test_draws_that_are_nan_are_left_out() -> None:
    draws = normal_draws(2.0, 0.1)
    holed = np.insert(draws, [3, 500, 4001], np.nan)
    np.testing.assert_allclose(
        uncertainty.interval(np.float64(2.0), holed, 9),
        uncertainty.interval(np.float64(2.0), draws, 9),
        rtol=1e-14,
    )


@given(st.floats(-5, 5), st.lists(st.floats(-5, 5), min_size=1, max_size=20))
@settings(max_examples=50)
def test_interval_holds_its_point(point: float, draws: list[float]) -> None:
    low, high = uncertainty.interval(np.float64(point), np.array(draws), 9)
    assert low <= point <= high
    assert low <= min(point, np.quantile(draws, 0.025))
    assert high >= max(point, np.quantile(draws, 0.975))


@pytest.mark.parametrize(("cells", "count"), [(4, 100), (1, 100), (17, 0)])
def test_few_cells_or_no_draws_leave_no_interval(cells: int, count: int) -> None:
    point, draws = np.array([1.0, 2.0]), np.ones((count, 2))
    found = uncertainty.interval(point, draws, cells)
    assert found.shape == (2, 2)
    assert np.isnan(found).all()
    assert np.isnan(uncertainty.upper(1.0, draws[:, 0], cells))


@pytest.mark.parametrize("cells", [5, 9, 17])
def test_upper_stretches_by_the_square(cells: int) -> None:
    """A regret is c z^2: its 95 % end is c t^2 where that of z is t."""
    ratio = (stats.t.ppf(0.95, cells - 3) / stats.norm.ppf(0.95)) ** 2
    draws = np.linspace(0.0, 0.01, 2001)
    expected = 0.002 + ratio * (0.0095 - 0.002)
    found = uncertainty.upper(0.002, draws, cells)
    assert found == pytest.approx(expected, rel=1e-12)


@given(
    st.floats(0, 1),
    st.lists(st.floats(0, 1), min_size=1, max_size=20),
    st.sampled_from([5, 9, 17]),
)
@settings(max_examples=50)
def test_upper_is_not_below_the_point(
    point: float, draws: list[float], cells: int
) -> None:
    assert uncertainty.upper(point, np.array(draws), cells) >= point
