"""Mix: the mean of its members, convex; what a recipe does to every family."""

from __future__ import annotations

from functools import cache, partial

import numpy as np
import pytest
from support.families import (
    chords,
    draw_points,
    draw_theta,
    exact,
    losses,
    minima,
)

from surrogate.families import Bowl, Family, Mix, Posynomial, Quadratic, Shape

SHAPE = Shape(2, 2, 1)
MEMBERS: tuple[Family, ...] = (
    Quadratic(SHAPE),
    Quadratic(SHAPE, is_additive=True),
    Posynomial(SHAPE, 3),
    Bowl(SHAPE),
)
WEIGHTS = np.array([0.4, 0.1, 0.3, 0.2])


def theta_of(family: Family, seed: int) -> np.ndarray:
    """What a fit could reach, of moderate size."""
    rng = np.random.default_rng(seed)
    if isinstance(family, Quadratic):
        return 0.1 * draw_theta(family, rng)
    if isinstance(family, Mix):
        parts = [theta_of(member, seed)[None] for member in family.members]
        return family.join(WEIGHTS[None], parts)[0]
    assert isinstance(family, Posynomial | Bowl)
    return starts(family)[seed]


@cache
def starts(family: Posynomial | Bowl) -> np.ndarray:
    return family.starts(np.random.default_rng(0), 20)


def test_a_mix_is_the_mean_of_its_members() -> None:
    # Independent code.
    mix = Mix(SHAPE, MEMBERS)
    theta = theta_of(mix, 1)
    assert theta.shape == mix.prior.centre.shape == (mix.size,)
    z = draw_points(mix, np.random.default_rng(1), 50)
    each = [exact(partial(losses, m), theta_of(m, 1), z) for m in MEMBERS]
    found = exact(partial(losses, mix), theta, z)
    np.testing.assert_allclose(found, WEIGHTS @ each, rtol=1e-13)
    one = exact(mix.log_loss, theta, z[0, :2], z[0, 2:])
    assert one == pytest.approx(found[0], rel=1e-13)


def test_theta_of_many_joins_weights_and_members() -> None:
    mix = Mix(SHAPE, MEMBERS[:2])
    thetas = [np.full((3, m.size), i + 1.0) for i, m in enumerate(mix.members)]
    joined = mix.join(np.array([[0.25, 0.75]]), thetas)
    assert joined.shape == (3, mix.size)
    np.testing.assert_array_equal(joined[:, :2], [[0.25, 0.75]] * 3)
    np.testing.assert_array_equal(joined[:, 2:], np.concatenate(thetas, axis=1))


@pytest.mark.parametrize("reach", [1.0, 30.0])
@pytest.mark.parametrize(
    "family", [*MEMBERS, Mix(SHAPE, MEMBERS)], ids=lambda f: f.name
)
def test_ten_thousand_chords_lie_above(family: Family, reach: float) -> None:
    # Property: ln L is convex in u, in a recipe that is not the first too; a violation
    # relative to the ends is rounding.
    rng = np.random.default_rng(3)
    for seed in range(20):
        theta = theta_of(family, seed)
        above, size, _ = chords(family, theta, rng, reach, count=500)
        assert (above / size <= 1e-12).all()


@pytest.mark.parametrize("family", MEMBERS[2:], ids=lambda f: f.name)
def test_a_recipe_moves_the_optimum_by_its_step(family: Family) -> None:
    # Closed form: u counts from the recipe's own origin.
    theta = theta_of(family, 5).copy()
    step = np.array([0.7, -0.4])
    theta[_steps(family)] = step
    s = np.array([[0.3, -0.2, 0.0], [0.3, -0.2, 1.0]])
    found = exact(partial(minima, family), theta[None], s, 200.0)
    assert found.converged.all()
    np.testing.assert_allclose(found.u[0, 1] - found.u[0, 0], step, atol=1e-7)
    rise = found.value[0, 1] - found.value[0, 0]
    assert rise == pytest.approx(theta[-1], abs=1e-10)


def _steps(family: Family) -> np.ndarray:
    """Where a posynomial's or a bowl's theta holds the one recipe's steps."""
    if isinstance(family, Posynomial):
        return family.size - 3 + np.arange(2)
    # Behind the law (6) and the height (3): u* of two choices, 4 entries each.
    return 9 + np.array([3, 7])


def test_a_recipe_of_a_quadratic_moves_its_optimum() -> None:
    # Closed form: slopes -H step of u, -B' step of s move u* by the step everywhere.
    family = Quadratic(SHAPE)
    theta, step = theta_of(family, 6).copy(), np.array([0.7, -0.4])
    square = theta[5:15]
    hessian = np.array([[2 * square[0], square[1]], [square[1], 2 * square[4]]])
    cross = np.array([square[2:4], square[5:7]])
    theta[15:17] = -hessian @ step
    theta[17:19] = -cross.T @ step
    s = np.array([[0.3, -0.2, 0.0], [0.3, -0.2, 1.0]])
    found = exact(partial(minima, family), theta[None], s, 1e6)
    np.testing.assert_allclose(found.u[0, 1] - found.u[0, 0], step, rtol=1e-6)


def test_an_additive_quadratic_is_affine_in_the_scales() -> None:
    # Property: along any line in s the second difference vanishes.
    family = Quadratic(SHAPE, is_additive=True)
    theta, rng = theta_of(family, 7), np.random.default_rng(7)
    z = np.tile(draw_points(family, rng, 1), (3, 1))
    z[:, 2:4] += np.array([[-1.0], [0], [1]]) * rng.normal(size=2)
    low, middle, high = exact(partial(losses, family), theta, z)
    assert low + high - 2 * middle == pytest.approx(0, abs=1e-12)
    assert abs(high - low) > 1e-3
