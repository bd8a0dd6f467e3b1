"""Bowl: the formula, convexity, the closed-form optimum, a planted surface."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.families import (
    chords,
    draw_points,
    draw_starts,
    draw_theta,
    exact,
    losses,
    minima,
    one_by_one,
    sums,
)

from surrogate.data.coordinates import Rows
from surrogate.families import Bowl, Curved, Shape, Shared
from surrogate.fitting import irls
from surrogate.numerics import least_squares, row_weights

ROUNDING = 1e-12
SEEDS = st.integers(0, 2**32 - 1)
BOWLS = [Bowl(Shape(2, 2, 1)), Bowl(Shape(1, 1, 0)), Bowl(Shape(2, 0, 0))]
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
def test_losses_equal_the_formula_all_at_once_and_one_by_one(family: Bowl) -> None:
    # Independent code; tolerance: rounding.
    rng = np.random.default_rng(1)
    theta, z = draw_theta(family, rng), draw_points(family, rng, 19)
    assert isinstance(family, Curved)
    assert theta.shape == (family.size,)
    found = exact(partial(losses, family), theta, z)
    wanted = formula(family, theta, z)
    np.testing.assert_allclose(found, wanted, rtol=1e-11, atol=1e-11)
    singly = exact(partial(one_by_one, family), theta, z)
    np.testing.assert_allclose(singly, wanted, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(
    ("plain", "copies"),
    list(zip(BOWLS, ([1.0, 2.0, 5.0], [1.0, 3.0], []), strict=True)),
    ids=["three cells", "two cells", "no cells"],
)
def test_normal_equations_are_those_of_the_cost(
    plain: Bowl, copies: list[float]
) -> None:
    # Derivatives: JAX's, of the cost, in the solver's coordinates; tolerance: rounding,
    # relative to the largest. Independent code: least squares, what a cell shares an
    # unknown each, its prior a row of its own, as often as the cell is there.
    rng, cells = np.random.default_rng(9), len(copies)
    family = plain.with_cells(cells)
    assert isinstance(family, Shared)
    assert (family.shape, family.size, family.cells) == (plain.shape, plain.size, cells)
    theta = draw_starts(plain, 2)[0]
    points = draw_points(plain, rng, 19)
    member = np.eye(cells)[np.arange(19) % cells] if cells else np.zeros((19, 0))
    target = rng.normal(size=19)
    # As heavy as a cell's prior, or where there is none, as theta's.
    weights = rng.uniform(0, 3, size=19) / (0.002**2 if cells else 1)
    z = np.concatenate([points, member], axis=1)
    found, wanted = exact(
        partial(sums, family), theta, z, target, np.append(weights, copies)
    )
    for got, want in zip(found, wanted, strict=True):
        size = np.abs(want).max()
        np.testing.assert_allclose(got / size, want / size, rtol=0, atol=1e-10)
    residual = np.sqrt(weights) * (target - formula(plain, theta, points))
    held = np.diag(np.sqrt(copies) / 0.002)
    left = np.concatenate([np.sqrt(weights)[:, None] * member, held])
    right = np.append(residual, np.zeros(cells))
    off = right - left @ np.linalg.lstsq(left, right, rcond=None)[0]
    centre, precision = family.prior
    own = precision @ (theta - centre) ** 2
    assert found.cost == pytest.approx(off @ off + own, rel=1e-11)


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
    theta = draw_starts(family, seed)[0]
    above, size, _ = chords(family, theta, rng, reach)
    assert (above / size <= 1e-11).all()


@each
@settings(max_examples=15, deadline=None)
@given(seed=SEEDS)
def test_the_loss_grows_in_every_direction_of_u(family: Bowl, seed: int) -> None:
    # Property: coercive. Some a_k leans each way, by how far is the theta's affair.
    rng = np.random.default_rng(seed)
    d, count = family.shape.choices, 64
    theta = draw_starts(family, seed)[0]
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


def optima(family: Bowl, theta: np.ndarray, s: np.ndarray) -> np.ndarray:
    """Of many thetas and s: affine in the scales, and a step a recipe."""
    d, _, _ = family.shape
    rest = theta[:, : theta.shape[1] - (d + 1) * d - family.shape.offsets]
    table = rest[:, -d * (1 + s.shape[1]) :].reshape(len(theta), d, -1)
    return table[:, None, :, 0] + np.einsum("tdg,sg->tsd", table[:, :, 1:], s)


@each
def test_the_optimum_is_the_closed_form(family: Bowl) -> None:
    # Closed form in NumPy; `optimum` and what Newton's method finds both are it.
    theta, rng = draw_starts(family, 6), np.random.default_rng(6)
    theta = theta + 0.5 * rng.normal(size=theta.shape)
    s = rng.normal(size=(3, sum(family.shape) - family.shape.choices))
    wanted = optima(family, theta, s)
    every = jax.vmap(jax.vmap(family.optimum, (None, 0)), (0, None))
    np.testing.assert_allclose(exact(every, theta, s), wanted, atol=ROUNDING)
    found = exact(partial(minima, family), theta, s, 40.0)
    np.testing.assert_allclose(found.u, wanted, atol=1e-7)
    assert found.converged.all()


@each
def test_prior_holds_every_parameter(family: Bowl) -> None:
    # Documented: standard deviation 1 of a recipe's steps, 3 of what is beside them.
    for one in (family, family.with_cells(4)):
        centre, precision = one.prior
        assert centre.shape == precision.shape == (one.size,)
        assert (precision > 0).all()
    g, q = family.shape[1:]
    s = np.concatenate([np.full(g, 1 / 9), np.ones(q)])
    table = optima(family, precision[None], np.eye(g + q))
    np.testing.assert_allclose(table[0, :, 0], 1 / 9 + s)


@each
def test_starts_are_many_finite_and_given_by_the_key(family: Bowl) -> None:
    found = draw_starts(family, 4)
    assert found.shape == (40, family.size)
    assert found.dtype == np.float64
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found, draw_starts(family, 4))
    # But for where recipes' optima start: where the first one's does.
    steps = (found == 0).all(axis=0)
    assert steps.sum() == family.shape.choices * family.shape.offsets
    assert (found != draw_starts(family, 5))[:, ~steps].all()


@pytest.mark.once
def test_a_planted_surface_is_found_again() -> None:
    # Planted: the fit from a start nearby reproduces it where it was seen and beyond.
    family, rng = Bowl(Shape(2, 2, 0)), np.random.default_rng(8)
    theta = draw_starts(family, 8)[0]
    z = draw_points(family, rng, 200)
    target = formula(family, theta, z)
    weights = np.full((1, 200), 1e10)
    start = theta[None] + 0.1 * rng.normal(size=(1, family.size))
    found = least_squares.solve(
        family, z, target, row_weights.given(weights), start, iterations=400
    )
    assert found.converged.all()
    beyond = 1.5 * draw_points(family, rng, 100)
    got = exact(partial(losses, family), found.theta[0], beyond)
    np.testing.assert_allclose(got, formula(family, theta, beyond), atol=1e-4)


# ---- the noise that a cell's runs share -----------------------------------------


BOX = np.array([[-9.0], [9.0]])


@pytest.fixture(scope="module")
def sweep() -> tuple[Bowl, Rows, irls.Estimate]:
    """Exact losses of a bowl in nine cells, but that each cell is off as a whole.

    Fitted to all, and to all but cell 4.
    """
    family, rng = Bowl(Shape(1, 1, 0)), np.random.default_rng(4)
    # A bowl of which the prior pulls less than the noise below.
    law, height = [-0.987033, -2.515285, -1.050216], [-4.914495, 0.351228]
    theta = np.array([*law, *height, -0.451799, 0.423345, 0.735229, 0.058243])
    cell_s = np.linspace(-2.0, 2.0, 9)[:, None]
    cell = np.repeat(np.arange(9), 12)
    u = optima(family, theta[None], cell_s)[0, cell] + 0.7 * rng.normal(size=(108, 1))
    z = np.concatenate([u, cell_s[cell]], axis=1)
    off = 0.002 * rng.normal(size=9)
    rows = Rows(z, formula(family, theta, z) + off[cell], cell, cell_s)
    counts = np.ones((2, 108))
    counts[1, cell == 4] = 0.0
    return family, rows, irls.estimate(family, rows, counts, BOX)


def test_what_a_cell_is_off_by_does_not_bend_the_surface(sweep: Any) -> None:
    # Planted: offsets alone are noise, so that within a cell nothing is left.
    family, rows, found = sweep
    assert found.solution.theta.shape == (2, family.size)
    residual = rows.target - found.surface.fitted
    for part in residual:
        means = np.array([part[rows.cell == c].mean() for c in range(9)])
        assert np.abs(part - means[rows.cell]).max() < 2e-4
        assert 1e-4 < np.abs(means).max() < 0.02
    # Closed form: no run is off within its cell, so none weighs less for it.
    spread = np.hypot(0.001, 0.33 * found.surface.excess)
    share = (found.weights * spread**2)[found.weights > 0]
    np.testing.assert_allclose(share, 1, atol=0.02)


def test_draws_start_from_the_fit_and_move_with_the_cells(sweep: Any) -> None:
    # Property: a draw of every cell once is the fit itself.
    family, rows, full = sweep
    counts = np.ones((3, 9))
    counts[1, 2], counts[2, :3] = 0.0, (0.0, 3.0, 0.0)
    found = irls.refit(family, rows, full.weights[0], counts, full.solution.theta[0])
    assert found.theta.shape == (3, family.size)
    fitted = [exact(partial(losses, family), t, rows.z) for t in found.theta]
    np.testing.assert_allclose(fitted[0], full.surface.fitted[0], atol=1e-7)
    assert irls.is_settled(found, 108).all()
    # A cell left out or counted thrice moves the law, and hardly the bowl.
    moved = np.abs(np.array(fitted[1:]) - fitted[0]).max(axis=1)
    assert (moved > 1e-6).all()
    assert (moved < 0.02).all()
