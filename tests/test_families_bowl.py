"""Bowl: the formula, convexity, the closed-form optimum, a planted surface."""

from __future__ import annotations

from functools import partial

import jax
import numpy as np
import pytest
from families_support import (
    chords,
    draw_points,
    draw_theta,
    exact,
    losses,
    minima,
    sums,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from surrogate import engine, estimate
from surrogate import weights as plans
from surrogate.families import Bowl, Curved, Shape, Shared
from surrogate.features import Rows

ROUNDING = 1e-12
SEEDS = st.integers(0, 2**32 - 1)
SHAPES = [(2, 2, 1), (1, 1, 0), (2, 0, 0)]
BOWLS = [Bowl(Shape(*shape)) for shape in SHAPES]
each = pytest.mark.parametrize(
    "family", BOWLS, ids=lambda f: "-".join(map(str, f.shape))
)


def formula(family: Bowl, theta: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Ln loss written from the docstrings."""
    d, g, q = family.shape
    u, s, offsets = z[:, :d], z[:, d : d + g], z[:, d + g :]
    law, rest = theta[: 1 + 2 * g], theta[1 + 2 * g :]
    gamma = 1.0
    if g >= 2:
        gamma, rest = np.exp(rest[0]), rest[1:]
    best = np.exp(law[0]) * np.ones(len(z))
    if g:
        powers = np.exp(law[2::2])
        best += (np.exp(law[1::2]) * np.exp(-s * powers)).sum(axis=1) ** gamma
    height, rest = np.exp(rest[0] + s @ rest[1 : 1 + g]), rest[1 + g :]
    width = 1 + g + q
    table, rest = rest[: d * width].reshape(d, width), rest[d * width :]
    off = u - table[:, 0] - s @ table[:, 1 : 1 + g].T - offsets @ table[:, 1 + g :].T
    push, log_weights = rest[: d * d].reshape(d, d), rest[d * d : d * d + d]
    weights = np.append(np.exp(log_weights), 1.0)
    push = np.concatenate([push, -(weights[:d] @ push)[None]])
    penalty = np.exp(off @ push.T) @ weights / weights.sum() - 1
    return np.log(best) + height * penalty + offsets @ theta[family.size - q :]


@each
def test_losses_equal_the_formula(family: Bowl) -> None:
    # Independent code; tolerance: rounding.
    rng = np.random.default_rng(1)
    theta, z = draw_theta(family, rng), draw_points(family, rng, 19)
    assert isinstance(family, Curved)
    assert theta.shape == (family.size,)
    found = exact(partial(losses, family), theta, z)
    np.testing.assert_allclose(found, formula(family, theta, z), rtol=1e-11, atol=1e-11)


@each
def test_normal_equations_are_those_of_the_cost(family: Bowl) -> None:
    # Derivative: JAX's, of the cost; tolerance: rounding, relative to the largest.
    rng = np.random.default_rng(2)
    theta = exact(lambda: family.starts(jax.random.key(2), 1))[0]
    z = draw_points(family, rng, 19)
    target, weights = rng.normal(size=19), rng.uniform(0, 3, size=19)
    found, wanted = exact(partial(sums, family), theta, z, target, weights)
    for got, want in zip(found, wanted, strict=True):
        size = np.abs(want).max()
        np.testing.assert_allclose(got / size, want / size, rtol=0, atol=1e-11)
    residual = formula(family, theta, z) - target
    centre, precision = family.prior
    squares = weights @ residual**2 + precision @ (theta - centre) ** 2
    assert found.cost == pytest.approx(squares, rel=1e-11)


@each
def test_solver_coordinates_go_there_and_back(family: Bowl) -> None:
    # Property; the level at the centre is the formula's at s = 0 with no penalty.
    theta = draw_theta(family, np.random.default_rng(3))
    v = exact(family.to_solver, theta)
    np.testing.assert_allclose(exact(family.from_solver, v), theta, rtol=0, atol=1e-10)
    at_best = exact(family.optimum, theta, np.zeros(sum(family.shape[1:])))
    z = np.zeros((1, sum(family.shape)))
    z[0, : family.shape.choices] = at_best
    assert v[0] == pytest.approx(formula(family, theta, z)[0], abs=1e-11)


@each
@settings(max_examples=15, deadline=None)
@given(seed=SEEDS, reach=st.floats(0.1, 10.0))
def test_convex_on_every_chord(family: Bowl, seed: int, reach: float) -> None:
    # Property; violations relative to the size of the summands are rounding.
    rng = np.random.default_rng(seed)
    theta = exact(lambda: family.starts(jax.random.key(seed), 1))[0]
    above, size, _ = chords(family, theta, rng, reach)
    assert (above / size <= 1e-11).all()


@each
@settings(max_examples=15, deadline=None)
@given(seed=SEEDS)
def test_the_loss_grows_in_every_direction_of_u(family: Bowl, seed: int) -> None:
    # Property: coercive. Some a_k leans each way, by how far is the theta's affair.
    rng = np.random.default_rng(seed)
    d, count = family.shape.choices, 64
    theta = exact(lambda: family.starts(jax.random.key(seed), 1))[0]
    z = draw_points(family, rng, count)
    z[:, d:] = 0
    best = exact(family.optimum, theta, np.zeros(sum(family.shape[1:])))
    along = z[:, :d] / np.linalg.norm(z[:, :d], axis=1, keepdims=True)
    steps = [np.concatenate([best + r * along, z[:, d:]], 1) for r in (0.0, 20, 40)]
    near, far, farther = exact(
        partial(losses, family), theta, np.concatenate(steps)
    ).reshape(3, count)
    assert (far > near).all()
    assert (farther - far > far - near).all()


@each
def test_the_optimum_is_the_closed_form(family: Bowl) -> None:
    # Closed form: u*(s) is affine in s, recipes included.
    theta = exact(lambda: family.starts(jax.random.key(6), 40))
    rng = np.random.default_rng(6)
    s = rng.normal(size=(3, sum(family.shape) - family.shape.choices))
    found = exact(partial(minima, family), theta, s, 20.0)
    for i, point in enumerate(theta):
        wanted = [exact(family.optimum, point, at) for at in s]
        np.testing.assert_allclose(found.u[i], wanted, atol=1e-7)
    assert found.converged.all()


@each
def test_prior_holds_every_parameter(family: Bowl) -> None:
    for one in (family, family.with_cells(4)):
        centre, precision = one.prior
        assert centre.shape == precision.shape == (one.size,)
        assert (precision > 0).all()


@each
def test_starts_are_many_finite_and_given_by_the_key(family: Bowl) -> None:
    found = exact(lambda: family.starts(jax.random.key(4), 24))
    assert found.shape == (24, family.size)
    assert found.dtype == np.float64
    assert np.isfinite(found).all()
    again = exact(lambda: family.starts(jax.random.key(4), 24))
    np.testing.assert_array_equal(found, again)


def test_a_planted_surface_is_found_again() -> None:
    # Planted: the fit from a start nearby reproduces it where it was seen and beyond.
    family, rng = Bowl(Shape(2, 2, 0)), np.random.default_rng(8)
    theta = exact(lambda: family.starts(jax.random.key(8), 1))[0]
    z = draw_points(family, rng, 600)
    target = formula(family, theta, z)
    weights = np.full((1, 600), 1e10)
    start = theta[None] + 0.1 * rng.normal(size=(1, family.size))
    found = engine.solve(family, z, target, plans.given(weights), start, iterations=400)
    assert found.converged.all()
    beyond = 1.5 * draw_points(family, rng, 100)
    got = exact(partial(losses, family), found.theta[0], beyond)
    np.testing.assert_allclose(got, formula(family, theta, beyond), atol=1e-4)


# ---- the noise that a cell's runs share -----------------------------------------


def test_what_cells_share_is_minimised_over() -> None:
    # Independent code: least squares, an unknown a cell, whose prior is a row of its
    # own, as often as the cell is there. Derivatives: JAX's, of the cost.
    plain, rng = Bowl(Shape(2, 2, 1)), np.random.default_rng(9)
    family = plain.with_cells(3)
    assert isinstance(family, Shared)
    assert (family.shape, family.size, family.cells) == (plain.shape, plain.size, 3)
    theta = exact(lambda: family.starts(jax.random.key(9), 1))[0]
    points, cell = draw_points(plain, rng, 19), rng.integers(0, 3, size=19)
    z = np.concatenate([points, np.eye(3)[cell]], axis=1)
    target, copies = rng.normal(size=19), np.array([1.0, 2.0, 5.0])
    weights = rng.uniform(0, 3, size=19) / 0.002**2
    found, wanted = exact(
        partial(sums, family), theta, z, target, np.append(weights, copies)
    )
    for got, want in zip(found, wanted, strict=True):
        size = np.abs(want).max()
        np.testing.assert_allclose(got / size, want / size, rtol=0, atol=1e-10)
    residual = target - formula(plain, theta, points)
    left = np.concatenate(
        [np.sqrt(weights)[:, None] * np.eye(3)[cell], np.diag(copies**0.5 / 0.002)]
    )
    right = np.append(np.sqrt(weights) * residual, np.zeros(3))
    squares = np.linalg.lstsq(left, right, rcond=None)[1][0]
    centre, precision = family.prior
    own = precision @ (theta - centre) ** 2
    assert found.cost == pytest.approx(squares + own, rel=1e-11)


def sweep(rng: np.random.Generator) -> tuple[Bowl, np.ndarray, Rows, np.ndarray]:
    """Exact losses of a bowl in nine cells, but that each cell is off as a whole."""
    family = Bowl(Shape(2, 2, 0))
    theta = exact(lambda: family.starts(jax.random.key(3), 1))[0]
    cell_s = np.stack(np.meshgrid([-1.0, 0, 1], [-1.0, 0, 1]), axis=-1).reshape(9, 2)
    cell = np.repeat(np.arange(9), 40)
    best = np.array([exact(family.optimum, theta, s) for s in cell_s])
    u = best[cell] + rng.normal(size=(360, 2)) * 0.7
    z = np.concatenate([u, cell_s[cell]], axis=1)
    off = 0.002 * rng.normal(size=9)
    rows = Rows(z, formula(family, theta, z) + off[cell], cell, cell_s)
    return family, theta, rows, off


def test_what_a_cell_is_off_by_does_not_bend_the_surface() -> None:
    """Planted: offsets alone are noise, so that within a cell nothing is left."""
    family, _, rows, _ = sweep(np.random.default_rng(4))
    box = np.array([[-9.0, -9.0], [9.0, 9.0]])
    counts = np.ones((2, 360))
    counts[1, rows.cell == 4] = 0.0
    found = estimate.estimate(family, rows, counts, box)
    assert found.solution.theta.shape == (2, family.size)
    residual = rows.target - found.surface.fitted
    for part in residual:
        means = np.array([part[rows.cell == c].mean() for c in range(9)])
        assert np.abs(part - means[rows.cell]).max() < 2e-4
        assert 1e-4 < np.abs(means).max() < 0.02


def test_draws_come_without_the_cells_offsets() -> None:
    family, _, rows, _ = sweep(np.random.default_rng(5))
    box = np.array([[-9.0, -9.0], [9.0, 9.0]])
    full = estimate.estimate(family, rows, np.ones((1, 360)), box)
    counts = np.ones((3, 9))
    counts[1, 2], counts[2, :3] = 0.0, (0.0, 3.0, 0.0)
    found = estimate.refit(
        family, rows, full.weights[0], counts, full.solution.theta[0]
    )
    assert found.theta.shape == (3, family.size)
    np.testing.assert_allclose(
        exact(partial(losses, family), found.theta[0], rows.z),
        full.surface.fitted[0],
        atol=1e-7,
    )
    assert estimate.is_settled(found, 360).all()
    # A cell left out or counted thrice moves the law, and hardly the bowl.
    fitted = [exact(partial(losses, family), t, rows.z) for t in found.theta]
    moved = np.abs(np.array(fitted[1:]) - fitted[0]).max(axis=1)
    assert (moved > 1e-6).all()
    assert (moved < 0.02).all()
