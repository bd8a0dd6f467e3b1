"""argmin and its certificate: closed forms, SciPy, and what must never go wrong."""

from __future__ import annotations

from functools import partial
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize
from support.surfaces import bowl, draw_bowl, draw_terms, solved, stacked, terms, value

from surrogate.base.errors import DataError
from surrogate.numerics import argmin

NO_SCALE = np.zeros(0)
ROUNDING = 1e-12


def lowest_corner_by_corner(
    centre: np.ndarray, hessian: np.ndarray, lo: np.ndarray, hi: np.ndarray
) -> np.ndarray:
    """Minimiser of a quadratic over a box, by trying every active set."""
    best, where = np.inf, lo
    for active in product((None, 0, 1), repeat=len(lo)):
        held = np.array([a is not None for a in active])
        u = np.array(
            [0.0 if a is None else (lo, hi)[a][i] for i, a in enumerate(active)]
        )
        if not held.all():
            push = hessian[np.ix_(~held, held)] @ (u[held] - centre[held])
            u[~held] = centre[~held] - np.linalg.solve(
                hessian[np.ix_(~held, ~held)], push
            )
        height = 0.5 * (u - centre) @ hessian @ (u - centre)
        if np.all((lo <= u) & (u <= hi)) and height < best:
            best, where = height, u
    return where


@pytest.mark.parametrize("d", [1, 2])
def test_a_free_bowl_is_solved_to_rounding(d: int) -> None:
    rng = np.random.default_rng(d)
    theta, s = draw_bowl(rng, d), np.array([0.37])
    box = np.full(d, 8.0)
    found = solved(bowl, theta, np.full(d, -7.3), s, -box, box)
    floor, centre, slope, hessian = theta
    # Closed form; a gradient's rounding over the least curvature, 1e-3.
    np.testing.assert_allclose(found.u, centre + slope @ s, rtol=0, atol=1e-11)
    np.testing.assert_allclose(found.value, floor, rtol=1e-14)
    np.testing.assert_allclose(found.hessian, hessian, rtol=0, atol=1e-14)
    np.testing.assert_allclose(
        found.eigenvalues, np.linalg.eigvalsh(hessian), rtol=0, atol=1e-14
    )
    assert found.gap <= ROUNDING
    assert found.gradient_norm <= ROUNDING
    assert bool(found.converged)
    assert not found.at_bound.any()
    assert found.u.dtype == np.float64


def test_a_box_in_the_way_gives_the_constrained_minimum() -> None:
    rng = np.random.default_rng(3)
    theta = stacked([draw_bowl(rng) for _ in range(300)])
    lo = rng.uniform(-2.0, 1.0, size=(300, 2))
    hi = lo + rng.uniform(0.1, 2.0, size=(300, 2))
    with jax.enable_x64(True):
        many = jax.jit(
            jax.vmap(
                lambda t, lo, hi: argmin.argmin(
                    bowl, t, lo, argmin.Place(np.zeros(1), lo, hi)
                )
            )
        )
        found = jax.tree.map(np.asarray, many(theta, lo, hi))
    expected = np.stack(
        [
            lowest_corner_by_corner(theta[1][k], theta[3][k], lo[k], hi[k])
            for k in range(300)
        ]
    )
    np.testing.assert_allclose(found.u, expected, rtol=0, atol=1e-11)
    touches = (expected == lo) | (expected == hi)
    np.testing.assert_array_equal(found.at_bound, touches)
    assert {0, 1, 2} == set(touches.sum(axis=1))
    assert np.all(found.converged)
    assert np.max(found.gap) <= ROUNDING
    assert np.max(found.gradient_norm) <= ROUNDING


@pytest.mark.parametrize("seed", range(12))
def test_scipy_finds_the_same_minimum_of_a_log_sum_exp(seed: int) -> None:
    rng = np.random.default_rng(seed)
    theta, s = draw_terms(rng), rng.normal(size=2)
    lo, hi = np.array([-3.0, -2.0]), np.array([2.0, 4.0])
    found = solved(terms, theta, np.zeros(2), s, lo, hi)
    others = [
        optimize.minimize(
            partial(value, theta, s=s),
            0.5 * (lo + hi),
            method=method,
            bounds=list(zip(lo, hi, strict=True)),
            options=options,
        )
        for method, options in (
            ("L-BFGS-B", {"ftol": 1e-15, "gtol": 1e-9}),
            ("SLSQP", {"ftol": 1e-15}),
        )
    ]
    best = min(other.fun for other in others)
    # SciPy differentiates by differences: its values are good to about 1e-10.
    assert abs(float(found.value) - best) < 1e-9
    assert float(found.value) <= best + 1e-14
    assert bool(found.converged)
    assert found.gap <= ROUNDING


def test_the_certificate_is_the_formula_and_bounds_the_regret() -> None:
    rng = np.random.default_rng(5)
    theta, s = draw_terms(rng), rng.normal(size=2)
    lo, hi = np.array([-3.0, -2.0]), np.array([2.0, 4.0])
    lowest = float(solved(terms, theta, lo, s, lo, hi).value)
    with jax.enable_x64(True):
        local = jax.jit(argmin.expand(terms, theta, jnp.asarray(s), 2))
        box = argmin.box_of(jnp.asarray(lo), jnp.asarray(hi))
        for u in rng.uniform(lo, hi, size=(200, 2)):
            at = local(*jnp.asarray(u))
            g = np.array([at.gx, at.gy])
            gap = float(argmin.gap_bound(at, jnp.asarray(u[0]), jnp.asarray(u[1]), box))
            formula = np.maximum(g * (u - lo), g * (u - hi)).sum()
            assert gap == pytest.approx(formula, rel=1e-14)
            assert value(theta, u, s) - lowest <= gap + 1e-14


def test_derivatives_are_those_of_the_surface() -> None:
    rng = np.random.default_rng(6)
    theta, s, u = draw_terms(rng), rng.normal(size=2), rng.normal(size=2)
    lo, hi = np.array([-9.0, u[1]]), np.array([9.0, u[1]])
    found = solved(terms, theta, u, s, lo, hi)
    step = np.finfo(float).eps ** (1 / 3)
    at = np.asarray(found.u)
    for i, unit in enumerate(np.eye(2)):
        rise = value(theta, at + step * unit, s) - value(theta, at - step * unit, s)
        assert float(found.gradient[i]) == pytest.approx(rise / (2 * step), abs=1e-9)
    wide = 30 * step
    corners = {
        (p, q): value(theta, at + wide * np.array([p, q]), s)
        for p, q in product((-1, 0, 1), repeat=2)
    }
    mixed = corners[1, 1] - corners[1, -1] - corners[-1, 1] + corners[-1, -1]
    bend = corners[0, 1] - 2 * corners[0, 0] + corners[0, -1]
    assert float(found.hessian[0, 1]) == pytest.approx(mixed / (4 * wide**2), abs=1e-6)
    assert float(found.hessian[1, 1]) == pytest.approx(bend / wide**2, abs=1e-6)


def test_a_held_coordinate_is_not_at_bound_and_has_no_gap() -> None:
    _, centre, _, hessian = theta = draw_bowl(np.random.default_rng(7))
    held = 0.8
    best = centre[1] - hessian[0, 1] / hessian[1, 1] * (held - centre[0])
    s = np.zeros(1)
    lo, hi = np.array([held, -9.0]), np.array([held, 9.0])
    found = solved(bowl, theta, np.zeros(2), s, lo, hi)
    np.testing.assert_allclose(found.u, [held, best], rtol=0, atol=1e-11)
    assert found.gap <= ROUNDING
    assert found.gradient_norm <= ROUNDING
    assert abs(float(found.gradient[0])) > 1e-3
    assert not found.at_bound.any()
    assert bool(found.converged)
    both = solved(bowl, theta, np.zeros(2), s, lo, np.array([held, -9.0]))
    np.testing.assert_array_equal(both.u, [held, -9.0])
    assert float(both.gap) == 0.0


@given(st.tuples(*[st.floats(-8, 8)] * 2), st.integers(0, 9))
def test_the_start_does_not_matter(u0: tuple[float, float], seed: int) -> None:
    rng = np.random.default_rng(seed)
    theta, s = draw_terms(rng), rng.normal(size=2)
    lo, hi = np.full(2, -8.0), np.full(2, 8.0)
    found = solved(terms, theta, np.array(u0), s, lo, hi)
    other = solved(terms, theta, np.zeros(2), s, lo, hi)
    assert bool(found.converged)
    assert abs(float(found.value - other.value)) <= float(found.gap) + 1e-14


def test_a_surface_without_a_minimum_ends_on_the_box() -> None:
    slope = np.array([[0.3, -0.2]])
    theta = slope, np.zeros((1, 2)), np.zeros(1)
    lo, hi = np.array([-1.0, -2.0]), np.array([3.0, 4.0])
    found = solved(terms, theta, np.zeros(2), np.zeros(2), lo, hi)
    np.testing.assert_array_equal(found.u, [-1.0, 4.0])
    assert found.at_bound.all()
    assert bool(found.converged)
    assert float(found.gradient_norm) == 0.0


def test_a_batch_equals_its_problems_one_by_one() -> None:
    rng = np.random.default_rng(8)
    theta = stacked([draw_terms(rng) for _ in range(1000)])
    s, u0 = rng.normal(size=(1000, 2)), rng.normal(size=(1000, 2))
    lo, hi = np.full(2, -2.0), np.full(2, 2.5)

    def one(theta: Any, u0: Any, s: Any) -> argmin.Minimum:
        return argmin.argmin(terms, theta, u0, argmin.Place(s, lo, hi))

    with jax.enable_x64(True):
        batch = jax.tree.map(np.asarray, jax.jit(jax.vmap(one))(theta, u0, s))
    for k in range(1000):
        single = solved(terms, tuple(leaf[k] for leaf in theta), u0[k], s[k], lo, hi)
        assert abs(float(single.value - batch.value[k])) < 1e-13
        # The same optimum up to a gradient's rounding over the least curvature.
        apart = np.abs(single.u - batch.u[k]).max()
        assert apart < 1e-14 / max(float(single.eigenvalues[0]), 1e-5)
    assert np.all(batch.converged)
    assert 0 < np.mean(batch.at_bound) < 1


def test_a_nan_problem_fails_alone() -> None:
    rng = np.random.default_rng(9)
    theta = stacked([draw_terms(rng) for _ in range(5)])
    broken = tuple(leaf.copy() for leaf in theta)
    broken[2][3, 1] = np.nan
    lo, hi = np.full(2, -8.0), np.full(2, 8.0)
    with jax.enable_x64(True):
        many = jax.vmap(
            lambda t: argmin.argmin(
                terms, t, np.ones(2), argmin.Place(np.zeros(2), lo, hi)
            )
        )
        whole = jax.tree.map(np.asarray, many(theta))
        holed = jax.tree.map(np.asarray, many(broken))
    others = np.arange(5) != 3
    for before, after in zip(whole, holed, strict=True):
        np.testing.assert_array_equal(before[others], after[others])
    assert not holed.converged[3]
    assert np.isnan(holed.value[3])
    assert np.isnan(holed.gap[3])


def test_crossed_or_missing_bounds_never_converge() -> None:
    theta = draw_bowl(np.random.default_rng(10))
    for lo, hi in (([1.0, -1.0], [-1.0, 1.0]), ([-1.0, np.nan], [1.0, 1.0])):
        found = solved(
            bowl, theta, np.zeros(2), np.zeros(1), np.array(lo), np.array(hi)
        )
        assert not found.converged
        assert np.isnan(found.gap)


def test_float32_is_refused_and_the_flag_is_left_alone() -> None:
    theta = draw_bowl(np.random.default_rng(11))
    small = jax.tree.map(np.float32, theta)
    box = np.ones(2)
    flag = jax.config.jax_enable_x64  # pyright: ignore[reportAttributeAccessIssue]
    solved(bowl, theta, np.zeros(2), np.zeros(1), -box, box)
    assert jax.config.jax_enable_x64 == flag  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(DataError, match="`u0` in float64, got float32"):
        solved(bowl, theta, np.zeros(2, np.float32), np.zeros(1), -box, box)
    with pytest.raises(DataError, match="`theta` in float64, got float32"):
        solved(bowl, small, np.zeros(2), np.zeros(1), -box, box)
    if not flag:
        with pytest.raises(DataError, match=r"enter `jax.enable_x64\(True\)` before"):
            jax.vmap(
                lambda s: argmin.argmin(
                    bowl, theta, np.zeros(2), argmin.Place(s, -box, box)
                )
            )(np.zeros((3, 1)))


def test_three_coordinates_are_refused() -> None:
    with pytest.raises(DataError, match=r"got u0 \(3,\), lo \(3,\), hi \(3,\)"):
        solved(terms, (), np.zeros(3), NO_SCALE, np.zeros(3), np.ones(3))
