"""The linear path on NIST's certified regressions: by the columns where they ask it."""

from __future__ import annotations

import numpy as np
import pytest
from support.nist_linear import NAMES, Columns, load
from support.numerics import digits, standard_errors

from surrogate.families import Quadratic, Shape
from surrogate.numerics import row_weights
from surrogate.numerics.least_squares import solve
from surrogate.numerics.numpy_backend import least_squares, orthogonal

# Digits of the coefficients: the issue's, of the eleven and more that are certified.
# Filippelli's tenth powers, rounded to float64, allow no ninth.
LEAST = dict.fromkeys(NAMES, 9.0) | {"Filip": 7.0, "Norris": 11.0}


def test_all_files_are_here() -> None:
    wampler = {f"Wampler{k}" for k in (1, 2, 3, 4, 5)}
    assert set(NAMES) == {"Filip", "Longley", "Norris"} | wampler


def test_wamplers_responses_differ_by_the_size_of_their_noise() -> None:
    exact, small, *large = (load(f"Wampler{k}") for k in (1, 3, 4, 5))
    for times, one in zip((100, 10_000), large, strict=True):
        expected = exact.y + times * (small.y - exact.y)
        np.testing.assert_array_equal(one.y, expected)
        np.testing.assert_allclose(one.deviation, times * small.deviation, rtol=1e-14)
        assert one.squares == pytest.approx(times**2 * small.squares, rel=1e-14)


@pytest.mark.parametrize("name", NAMES)
def test_certified_values_are_reached(name: str) -> None:
    # Independent code: NIST's, in quadruple precision.
    asked = load(name)
    weights = row_weights.given(np.ones((2, len(asked.y))))
    found = solve(asked.family, asked.x, asked.y, weights, backend="xla")
    assert found.converged.all()
    assert digits(found.theta[0], asked.theta).min() >= LEAST[name]
    np.testing.assert_array_equal(found.theta[0], found.theta[1])
    columns = np.asarray(orthogonal.columns_of(asked.family, asked.x))
    error = standard_errors(columns, found.cost[0])
    if asked.squares:
        assert digits(error, asked.deviation).min() >= 8
        assert digits(found.cost[:1], np.array([asked.squares]))[0] >= 9
    else:
        assert np.max(error / np.abs(asked.theta)) < 1e-9


def test_columns_far_from_dependent_keep_the_normal_equations() -> None:
    assert not orthogonal.is_needed(load("Norris").family, load("Norris").x)
    assert orthogonal.is_needed(load("Longley").family, load("Longley").x)
    z = np.random.default_rng(0).normal(size=(200, 4))
    assert not orthogonal.is_needed(Quadratic(Shape(2, 2, 0)), z)


def test_what_the_prior_alone_holds_asks_for_no_digits() -> None:
    # Two scales that are one: their difference is the prior's.
    z = np.random.default_rng(0).normal(size=(200, 4))
    z[:, 3] = z[:, 2]
    assert not orthogonal.is_needed(Quadratic(Shape(2, 2, 0)), z)
    # Told by the data, if barely.
    assert orthogonal.is_needed(Columns(0, 2), z[:, 2:] + [0.0, 1e-4] * z[:, :2])


def test_both_ways_agree_on_a_quadratic() -> None:
    # Independent code: the normal equations. Tolerance: rounding x 200 rows; a problem
    # that has to be made convex among them.
    rng = np.random.default_rng(1)
    family = Quadratic(Shape(2, 2, 0))
    z = rng.normal(size=(200, 4))
    bend = np.array([1.0, -1.0])[:, None] * (z[:, 0] ** 2 + z[:, 1] ** 2)
    for target in bend + 0.01 * rng.normal(size=(2, 200)):
        weights = rng.uniform(0.5, 2.0, (3, 200)) * 1e4
        weights[1, ::3] = 0.0
        one = orthogonal.solve(family, z, target, weights)
        other = least_squares.solve(family, z, target, weights)
        np.testing.assert_allclose(one.v, other.v, rtol=1e-9, atol=1e-11)
        np.testing.assert_allclose(one.cost, other.cost, rtol=1e-9)
        np.testing.assert_array_equal(one.status, other.status)


def test_too_few_rows_are_no_number() -> None:
    asked = load("Longley")
    weights = np.zeros((1, 16))
    weights[0, :3] = 1.0
    found = orthogonal.solve(asked.family, asked.x, asked.y, weights)
    assert np.isnan(found.v).all()
    assert found.status[0] != 0
