"""The projection of the quadratic onto what is convex in u."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from scipy import optimize
from support.families import draw_gram, exact, project

from surrogate.families import Quadratic, Shape
from surrogate.families.quadratic import EPS

# The helpers import jax for this file.
pytestmark = pytest.mark.numeric
ROUNDING = 1e-12
# With a recipe, whose slopes are not bound, and without.
TWO, ONE = Quadratic(Shape(2, 1, 1)), Quadratic(Shape(1, 1, 0))
# Places of the products of u in theta, as `formula` orders them.
BLOCK = {TWO: [4, 5, 7], ONE: [3]}


def curvature(family: Quadratic, theta: np.ndarray) -> np.ndarray:
    """The Hessian in u."""
    if family is ONE:
        return 2 * theta[..., [3], None]
    a, b, c = theta[..., 4], theta[..., 5], theta[..., 7]
    return np.stack([np.stack([2 * a, b], -1), np.stack([b, 2 * c], -1)], -1)


def problems(family: Quadratic, count: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(8)
    gram = np.stack([draw_gram(family, rng) for _ in range(count)])
    return rng.normal(size=(count, family.size)), gram


@pytest.mark.parametrize("family", [TWO, ONE], ids=["two", "one"])
def test_projection_is_the_nearest_convex_theta(family: Quadratic) -> None:
    # Property: feasible, and no feasible direction leads nearer (which is sufficient,
    # the set being convex). Where slack it is theta, to the bit.
    theta, gram = problems(family, 200)
    found = exact(partial(project, family), theta, gram)
    slack = np.linalg.eigvalsh(curvature(family, theta))[:, 0] >= EPS
    assert 20 < slack.sum() < 180
    np.testing.assert_array_equal(found[slack], theta[slack])
    assert np.linalg.eigvalsh(curvature(family, found)).min() >= EPS * (1 - 1e-9)
    pull = np.einsum("nij,nj->ni", gram, found - theta)
    size = np.linalg.norm(pull, axis=1) + (slack * 1.0)
    rest = np.setdiff1d(np.arange(family.size), BLOCK[family])
    assert (np.abs(pull[:, rest]).max(axis=1) <= 1e-9 * size).all()
    rng = np.random.default_rng(9)
    for half in rng.normal(size=(300, 2, 2 if family is TWO else 1)):
        square = half.T @ half + EPS * np.eye(half.shape[1])
        other = np.array([0.5 * square[0, 0]])
        if family is TWO:
            other = np.array([other[0], square[0, 1], 0.5 * square[1, 1]])
        # From the projection towards any other feasible block the distance grows.
        onward = np.sum(
            pull[:, BLOCK[family]] * (other - found[:, BLOCK[family]]), axis=1
        )
        assert (onward >= -1e-7 * size).all()


def test_projection_equals_an_independent_solver() -> None:
    # Independent code: SciPy over a Cholesky factor of the block; iterative.
    theta, gram = problems(TWO, 200)
    found = exact(partial(project, TWO), theta, gram)
    bound = np.flatnonzero(np.linalg.eigvalsh(curvature(TWO, theta))[:, 0] < EPS)[:6]
    for i in bound:
        root = np.linalg.cholesky(gram[i]).T

        def candidate(free: np.ndarray, i: int = i) -> np.ndarray:
            moved = theta[i].copy()
            moved[np.setdiff1d(np.arange(TWO.size), BLOCK[TWO])] = free[:-3]
            a, b, c = free[-3:]
            moved[BLOCK[TWO]] = (
                EPS / 2 + a * a / 2,
                a * b,
                EPS / 2 + (b * b + c * c) / 2,
            )
            return moved

        starts = np.random.default_rng(10).normal(size=(4, TWO.size))
        answers = [
            optimize.least_squares(
                lambda free, i=i, root=root: root @ (candidate(free) - theta[i]),
                start,
                xtol=1e-15,
                ftol=1e-15,
                gtol=1e-15,
            )
            for start in starts
        ]
        best = min(answers, key=lambda answer: answer.cost)
        off = root @ (found[i] - theta[i])
        assert 0.5 * off @ off == pytest.approx(best.cost, rel=1e-8)
        np.testing.assert_allclose(found[i], candidate(best.x), atol=1e-5)


@pytest.mark.parametrize("family", [TWO, ONE], ids=["two", "one"])
def test_a_concave_fit_becomes_the_least_bowl(family: Quadratic) -> None:
    # Closed form: with a metric of unit form the nearest to -M is EPS I itself.
    theta = np.linspace(-0.4, 0.5, family.size)
    theta[BLOCK[family]] = [-1.0, 0.3, -2.0] if family is TWO else [-1.0]
    # Padded to the number of problems that is compiled already.
    gram = np.broadcast_to(np.eye(family.size), (200, family.size, family.size))
    many = np.broadcast_to(theta, (200, family.size))
    found = exact(partial(project, family), many, gram)[0]
    np.testing.assert_allclose(
        curvature(family, found), EPS * np.eye(family.shape.choices), atol=ROUNDING
    )
    rest = np.setdiff1d(np.arange(family.size), BLOCK[family])
    np.testing.assert_allclose(found[rest], theta[rest], atol=ROUNDING)
