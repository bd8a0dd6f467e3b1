"""Kernels: every operation against NumPy written from its formula."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from surrogate_kernels import ref
from surrogate_kernels.pattern import Pattern

# Sums of under 100 products of numbers near 1.
ROUNDING = 1e-12
SEEDS = st.integers(0, 2**32 - 1)
# 3 terms over [1, two coordinates]; each misses at least one of the coordinates.
PATTERN = Pattern((0, 1, 1, 2, 2), (0, 0, 2, 0, 1), terms=3, coordinates=3)


class Problem(NamedTuple):
    """Arguments of `log_sum_exp_normal_equations` but the pattern."""

    coefficients: np.ndarray
    offsets: np.ndarray
    rows: np.ndarray
    linear: np.ndarray
    target: np.ndarray
    weights: np.ndarray


def draw_problem(seed: int, count: int = 17, offsets: int = 2) -> Problem:
    """Random rows; five weights are zero, wherever they fall."""
    rng = np.random.default_rng(seed)
    weights = rng.permuted(np.append(rng.uniform(0.1, 9.0, count - 5), np.zeros(5)))
    return Problem(
        coefficients=rng.normal(size=5),
        offsets=rng.normal(size=offsets),
        rows=np.concatenate([np.ones((count, 1)), rng.normal(size=(count, 2))], 1),
        linear=(rng.random((count, offsets)) < 0.5).astype(float),
        target=rng.normal(size=count),
        weights=weights,
    )


def exact(call: Callable[..., Any], *arrays: Any) -> Any:
    """The call in float64, its result in NumPy."""
    with jax.enable_x64(True):
        return jax.tree.map(np.asarray, call(*map(jnp.asarray, arrays)))


@jax.jit
def sums(c: Any, o: Any, *rest: Any) -> ref.NormalEquations:
    return ref.log_sum_exp_normal_equations(c, o, PATTERN, *rest)


@jax.jit
def cost_of(c: Any, o: Any, *rest: Any) -> Any:
    return ref.log_sum_exp_cost(c, o, PATTERN, *rest)


@jax.jit
def shares(c: Any, rows: Any) -> Any:
    return ref.log_sum_exp(c, PATTERN, rows)


def normal_equations(problem: Problem) -> ref.NormalEquations:
    return exact(sums, *problem)


def loop(problem: Problem) -> tuple[float, np.ndarray, np.ndarray]:
    """Cost, gradient and half the Hessian, one row and one parameter at a time."""
    free = len(problem.coefficients)
    size = free + len(problem.offsets)
    cost, gradient, hessian = 0.0, np.zeros(size), np.zeros((size, size))
    for row, linear, target, weight in zip(
        problem.rows, problem.linear, problem.target, problem.weights, strict=True
    ):
        exponents = np.zeros(PATTERN.terms)
        places = list(zip(PATTERN.term, PATTERN.coordinate, strict=True))
        for c, (term, coordinate) in zip(problem.coefficients, places, strict=True):
            exponents[term] += c * row[coordinate]
        total = np.exp(exponents).sum()
        jacobian = np.zeros(size)
        for i, (term, coordinate) in enumerate(places):
            jacobian[i] = np.exp(exponents[term]) / total * row[coordinate]
        jacobian[free:] = linear
        residual = np.log(total) + linear @ problem.offsets - target
        cost += weight * residual**2
        gradient += weight * residual * jacobian
        hessian += weight * np.outer(jacobian, jacobian)
        share = np.exp(exponents) / total
        for i, (a, c) in enumerate(places):
            for j, (b, d) in enumerate(places):
                bend = share[a] * ((a == b) - share[b]) * row[c] * row[d]
                hessian[i, j] += weight * residual * bend
    return cost, gradient, hessian


# ---- log_sum_exp ----------------------------------------------------------------


@pytest.mark.parametrize("offsets", [0, 2])
def test_normal_equations_equal_a_loop(offsets: int) -> None:
    # Independent code; tolerance: rounding.
    problem = draw_problem(1, offsets=offsets)
    found, wanted = normal_equations(problem), loop(problem)
    for got, want in zip(found, wanted, strict=True):
        np.testing.assert_allclose(got, want, rtol=ROUNDING, atol=ROUNDING)


def test_float32_stays_float32_and_near() -> None:
    # Kernel against reference: float32's own rounding, summed over 17 rows.
    problem = draw_problem(2)
    single = Problem(*(np.asarray(a, np.float32) for a in problem))
    found, wanted = normal_equations(single), loop(problem)
    for got, want in zip(found, wanted, strict=True):
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-4)


@given(seed=SEEDS)
def test_gradient_is_half_the_derivative_of_the_cost(seed: int) -> None:
    # Derivative; central differences: eps^(2/3) of the cost.
    problem = draw_problem(seed)
    step = np.finfo(float).eps ** (1 / 3)
    found = normal_equations(problem)
    size = float(found.cost) + 1
    both = np.concatenate([problem.coefficients, problem.offsets])
    for i in range(both.size):
        sides = []
        for sign in (1, -1):
            moved = both.copy()
            moved[i] += sign * step
            sides.append(exact(cost_of, moved[:5], moved[5:], *problem[2:]))
        slope = (sides[0] - sides[1]) / (2 * step)
        assert abs(2 * found.gradient[i] - slope) < 100 * step**2 * size
    at = exact(cost_of, *problem)
    assert at == pytest.approx(float(found.cost), rel=ROUNDING)


@given(seed=SEEDS)
def test_a_row_of_weight_zero_is_no_row(seed: int) -> None:
    # Property; wild values where the weight is 0 must leave no trace.
    problem = draw_problem(seed)
    out = problem.weights == 0
    wild = problem._replace(target=np.where(out, 1e8, problem.target))
    kept = Problem(*problem[:2], *(array[~out] for array in problem[2:]))
    for got, want in zip(normal_equations(wild), normal_equations(kept), strict=True):
        np.testing.assert_allclose(got, want, rtol=ROUNDING, atol=ROUNDING)


@given(seed=SEEDS, twice=st.integers(0, 16))
def test_a_doubled_row_equals_weight_two(seed: int, twice: int) -> None:
    # Property; tolerance: rounding.
    problem = draw_problem(seed)
    index = np.append(np.arange(17), twice)
    doubled = Problem(*problem[:2], *(array[index] for array in problem[2:]))
    weights = problem.weights * np.where(np.arange(17) == twice, 2.0, 1.0)
    weighted = problem._replace(weights=weights)
    pairs = zip(normal_equations(doubled), normal_equations(weighted), strict=True)
    for got, want in pairs:
        np.testing.assert_allclose(got, want, rtol=ROUNDING, atol=ROUNDING)


@pytest.mark.parametrize("shift", [-5e4, 5e4])
def test_huge_exponents_neither_overflow_nor_vanish(shift: float) -> None:
    # Closed form: a constant in every term is a constant in the value.
    problem = draw_problem(3)
    constants = np.array(PATTERN.coordinate) == 0

    value, share = exact(shares, problem.coefficients, problem.rows)
    far = exact(shares, problem.coefficients + shift * constants, problem.rows)
    np.testing.assert_allclose(far[0] - shift, value, atol=1e-10)
    np.testing.assert_allclose(far[1], share, atol=1e-10)
    np.testing.assert_allclose(share.sum(axis=1), 1.0, rtol=ROUNDING)


# ---- solve_spd ------------------------------------------------------------------


@given(seed=SEEDS, decades=st.floats(0, 8))
def test_solve_spd_equals_numpy_in_any_units(seed: int, decades: float) -> None:
    # Independent code; the parameters' units span up to 16 decades, and cost nothing.
    rng = np.random.default_rng(seed)
    half = rng.normal(size=(9, 6))
    matrix, right = half.T @ half + 0.1 * np.eye(6), rng.normal(size=6)
    unit = 10 ** rng.uniform(-decades, decades, size=6)
    found = exact(jax.jit(ref.solve_spd), matrix * np.outer(unit, unit), right * unit)
    wanted = np.linalg.solve(matrix, right)
    np.testing.assert_allclose(found * unit, wanted, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize(
    "bad",
    [
        np.diag([1.0, -1.0]),
        np.array([[1.0, 2.0], [2.0, 1.0]]),
        np.diag([1.0, 0.0]),
        np.full((2, 2), np.nan),
    ],
    ids=["negative", "indefinite", "singular", "nan"],
)
def test_solve_spd_is_nan_where_not_definite_and_there_alone(bad: np.ndarray) -> None:
    good, right = np.array([[2.0, 0.3], [0.3, 1.0]]), np.ones((2, 2))
    many = exact(jax.vmap(ref.solve_spd), np.stack([bad, good]), right)
    assert np.isnan(many[0]).any()
    np.testing.assert_allclose(many[1], np.linalg.solve(good, right[1]), rtol=ROUNDING)
