"""Families: the formula, convexity and an optimum for every theta, the projection."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from surrogate import families, solve
from surrogate.errors import DataError
from surrogate.families import Family, Posynomial, Quadratic, Shape
from surrogate.families.quadratic import EPS
from surrogate_kernels.dispatch import XLA

ROUNDING = 1e-12
SEEDS = st.integers(0, 2**32 - 1)
ALL = [
    Quadratic(Shape(2, 2, 1)),
    Quadratic(Shape(1, 2, 1)),
    Posynomial(Shape(2, 2, 1), 3),
    Posynomial(Shape(2, 2, 1), 4),
    Posynomial(Shape(1, 2, 1), 2),
]
NAMES = [f"{f.name}-{f.shape.choices}-{f.terms}" for f in ALL]
POWER_LAWS = [ALL[2], ALL[4]]
each = pytest.mark.parametrize("family", ALL, ids=NAMES)


def exact(call: Callable[..., Any], *arrays: Any) -> Any:
    """The call in float64, its result in NumPy."""
    with jax.enable_x64(True):
        return jax.tree.map(np.asarray, call(*map(jnp.asarray, arrays)))


@partial(jax.jit, static_argnums=0)
def one_by_one(family: Family, theta: Any, z: Any) -> Any:
    split = family.shape.choices
    return jax.vmap(family.log_loss, (None, 0, 0))(theta, z[:, :split], z[:, split:])


@partial(jax.jit, static_argnums=0)
def project(family: Family, theta: Any, gram: Any) -> Any:
    return jax.vmap(family.project)(theta, gram)


def draw_gram(family: Family, rng: np.random.Generator) -> np.ndarray:
    """What normal equations of 3 p random rows look like, in units of 1 / 0.001^2."""
    rows = rng.normal(size=(3 * family.size, family.size))
    return 1e6 * rows.T @ (rows * rng.uniform(0.1, 2.0, size=(len(rows), 1)))


def draw_theta(family: Family, rng: np.random.Generator) -> np.ndarray:
    """Anything that a fit could reach."""
    theta = family.prior.centre + rng.normal(size=family.size)
    if isinstance(family, Quadratic):
        gram = draw_gram(family, rng)[None]
        return exact(partial(project, family), theta[None], gram)[0]
    return theta


def draw_points(family: Family, rng: np.random.Generator, count: int) -> np.ndarray:
    return rng.normal(size=(count, sum(family.shape)))


def terms_of(
    family: Posynomial, theta: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """ln c, exponents of u and of the scales of the further terms, as documented."""
    d, g, _ = family.shape
    table = theta[1 + 2 * g : len(theta) - family.shape.offsets]
    table = table.reshape(family.terms, 1 + d + g)
    of_u = table[:, 1 : 1 + d].copy()
    of_u[d] = -np.exp(of_u[d]) @ of_u[:d]
    return table[:, 0], of_u, table[:, 1 + d :]


def formula(family: Family, theta: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Ln loss written from the docstrings."""
    d, g, _ = family.shape
    x, offsets = z[:, : d + g], z[:, d + g :]
    if isinstance(family, Quadratic):
        pairs = [(i, j) for i in range(d + g) for j in range(i, d + g)]
        products = [x[:, i] * x[:, j] for i, j in pairs]
        columns = [np.ones(len(z)), *x.T, *products, *offsets.T]
        return np.stack(columns, axis=1) @ theta
    assert isinstance(family, Posynomial)
    size = np.exp(theta[0]) * np.ones(len(z))
    for j in range(g):
        size += np.exp(theta[1 + 2 * j] - np.exp(theta[2 + 2 * j]) * x[:, d + j])
    constants, of_u, of_s = terms_of(family, theta)
    size += np.exp(constants + x[:, :d] @ of_u.T + x[:, d:] @ of_s.T).sum(axis=1)
    return np.log(size) + offsets @ theta[len(theta) - family.shape.offsets :]


# ---- the formula ----------------------------------------------------------------


@each
def test_losses_equal_the_formula_all_at_once_and_one_by_one(family: Family) -> None:
    # Independent code; tolerance: rounding.
    rng = np.random.default_rng(1)
    theta, z = draw_theta(family, rng), draw_points(family, rng, 19)
    wanted = formula(family, theta, z)
    at_once = exact(family.log_losses, theta, z)
    np.testing.assert_allclose(at_once, wanted, rtol=ROUNDING, atol=ROUNDING)
    singly = exact(partial(one_by_one, family), theta, z)
    np.testing.assert_allclose(singly, wanted, rtol=ROUNDING, atol=ROUNDING)


@each
def test_normal_equations_are_those_of_the_losses(family: Family) -> None:
    # Derivative: JAX's, of log_losses; tolerance: rounding.
    rng = np.random.default_rng(2)
    theta, z = draw_theta(family, rng), draw_points(family, rng, 19)
    target, weights = rng.normal(size=19), rng.uniform(0, 3, size=19)
    jacobian = exact(jax.jacfwd(family.log_losses), theta, z)
    residual = formula(family, theta, z) - target
    wanted = (
        weights @ residual**2,
        jacobian.T @ (weights * residual),
        jacobian.T @ (weights[:, None] * jacobian),
    )
    arrays = theta, z, target, weights
    found = exact(lambda *a: family.normal_equations(*a, XLA), *arrays)
    for got, want in zip(found, wanted, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-11)
    cost = exact(lambda *a: family.cost(*a, XLA), *arrays)
    assert cost == pytest.approx(wanted[0], rel=ROUNDING)


@each
def test_prior_holds_every_parameter(family: Family) -> None:
    centre, precision = family.prior
    assert centre.shape == precision.shape == (family.size,)
    assert (precision > 0).all()


def test_prior_of_the_posynomial_is_a_plausible_loss() -> None:
    # Closed form: E = 0.6, A = 0.1, alpha = 0.3, c = e^-5, no slope in u.
    for family in POWER_LAWS:
        z = draw_points(family, np.random.default_rng(3), 7)
        s = z[:, family.shape.choices : -1]
        size = 0.6 + 0.1 * np.exp(-0.3 * s).sum(axis=1) + family.terms * np.exp(-5)
        found = exact(family.log_losses, family.prior.centre, z)
        np.testing.assert_allclose(found, np.log(size), rtol=ROUNDING)


@pytest.mark.parametrize("choices", [1, 2])
def test_too_few_terms_are_refused(choices: int) -> None:
    message = f"at least {choices + 1} terms .* got {choices}.* --terms {choices + 1}"
    with pytest.raises(DataError, match=message):
        families.make("posynomial", Shape(choices, 2, 0), choices)


def test_make_gives_the_family_of_that_name() -> None:
    shape = Shape(2, 2, 0)
    made = {name: families.make(name, shape, 4) for name in families.NAMES}
    assert made == {"quadratic": Quadratic(shape), "posynomial": Posynomial(shape, 4)}
    assert [(f.name, f.terms) for f in made.values()] == [
        ("quadratic", None),
        ("posynomial", 4),
    ]


# ---- convex and coercive by parametrisation -------------------------------------


@each
@settings(max_examples=40)
@given(seed=SEEDS, reach=st.floats(0.1, 1e3))
def test_convex_on_every_chord_however_far_out(
    family: Family, seed: int, reach: float
) -> None:
    # Property; violations relative to the size of the summands are rounding.
    rng = np.random.default_rng(seed)
    theta, d, count = draw_theta(family, rng), family.shape.choices, 64
    ends = draw_points(family, rng, 2 * count).reshape(2, count, -1)
    ends[..., :d] *= reach
    ends[1, :, d:] = ends[0, :, d:]
    share = rng.uniform(size=(count, 1))
    middle = share * ends[0] + (1 - share) * ends[1]
    z = np.concatenate([*ends, middle])
    left, right, between = exact(family.log_losses, theta, z).reshape(3, count)
    size = 1 + np.abs(left) + np.abs(right)
    if isinstance(family, Quadratic):
        size = np.abs(formula(family, np.abs(theta), np.abs(z))).max()
    chord = share[:, 0] * left + (1 - share[:, 0]) * right
    assert ((between - chord) / size <= ROUNDING).all()


@each
@given(seed=SEEDS)
@settings(max_examples=40)
def test_the_loss_grows_in_every_direction_of_u(family: Family, seed: int) -> None:
    # Property: coercive, so that an optimum exists.
    rng = np.random.default_rng(seed)
    theta, d, count = draw_theta(family, rng), family.shape.choices, 64
    z = draw_points(family, rng, count)
    along = z[:, :d] / np.linalg.norm(z[:, :d], axis=1, keepdims=True)
    steps = [np.concatenate([r * along, z[:, d:]], axis=1) for r in (0, 1e8, 2e8)]
    found = exact(family.log_losses, theta, np.concatenate(steps)).reshape(3, count)
    assert (found[1] > found[0] + 1).all()
    assert (found[2] > found[1] + 1).all()


@each
def test_starts_are_many_finite_and_given_by_the_key(family: Family) -> None:
    found = exact(lambda: family.starts(jax.random.key(4), 24))
    assert found.shape == (24, family.size)
    assert found.dtype == np.float64
    assert np.isfinite(found).all()
    again = exact(lambda: family.starts(jax.random.key(4), 24))
    np.testing.assert_array_equal(found, again)
    if not family.is_linear:
        other = exact(lambda: family.starts(jax.random.key(5), 24))
        assert (found != other).all(axis=1).all()
        assert len(np.unique(found, axis=0)) == 24


@partial(jax.jit, static_argnums=0)
def minima(family: Family, theta: Any, s: Any) -> Any:
    wide = jnp.full(family.shape.choices, 200.0, theta.dtype)

    def one(theta: Any, s: Any) -> Any:
        return solve.argmin(family.log_loss, theta, 0 * wide, s, -wide, wide)

    return jax.vmap(jax.vmap(one, (None, 0)), (0, None))(theta, s)


LINE = np.array([[-1.3, 0.4, 1], [0.2, 0.9, 1], [1.7, 1.4, 1]])


@pytest.mark.parametrize("family", POWER_LAWS, ids=["two", "one"])
def test_the_least_number_of_terms_has_a_power_law_for_its_optimum(
    family: Posynomial,
) -> None:
    # Closed form: stationarity fixes the terms' ratios, a d x d linear system.
    theta = exact(lambda: family.starts(jax.random.key(6), 40))
    found = exact(partial(minima, family), theta, LINE)
    d, g, _ = family.shape
    for i, point in enumerate(theta):
        constants, of_u, of_s = terms_of(family, point)
        last = 1 + 2 * g + d * (1 + d + g)
        log_weights = point[last + 1 : last + 1 + d]
        lever = constants[:, None] + of_s @ LINE[:, :g].T
        wanted = np.linalg.solve(
            of_u[:d] - of_u[d], log_weights[:, None] - lever[:d] + lever[d]
        ).T
        assert np.abs(wanted).max() < 100
        np.testing.assert_allclose(found.u[i], wanted, atol=1e-9)
    # Equal steps of s, so a law affine in s has equal steps of u.
    np.testing.assert_allclose(np.diff(found.u, n=2, axis=1), 0, atol=1e-9)
    assert found.converged.all()


def test_a_further_term_bends_the_law() -> None:
    theta = exact(lambda: ALL[3].starts(jax.random.key(7), 40))
    found = exact(partial(minima, ALL[3]), theta, LINE)
    assert found.converged.all()
    assert not found.at_bound.any()
    assert np.median(np.abs(np.diff(found.u, n=2, axis=1))) > 1e-3


# ---- the projection of the quadratic --------------------------------------------


TWO, ONE = Quadratic(Shape(2, 1, 0)), Quadratic(Shape(1, 1, 0))
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
    theta, gram = problems(TWO, 30)
    found = exact(partial(project, TWO), theta, gram)
    bound = np.flatnonzero(np.linalg.eigvalsh(curvature(TWO, theta))[:, 0] < EPS)[:6]
    for i in bound:
        root = np.linalg.cholesky(gram[i]).T

        def candidate(free: np.ndarray, i: int = i) -> np.ndarray:
            moved = theta[i].copy()
            moved[[0, 1, 2, 3, 6, 8, 9]] = free[:7]
            a, b, c = free[7:]
            moved[BLOCK[TWO]] = (
                EPS / 2 + a * a / 2,
                a * b,
                EPS / 2 + (b * b + c * c) / 2,
            )
            return moved

        starts = np.random.default_rng(10).normal(size=(4, 10))
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
    found = exact(family.project, theta, np.eye(family.size))
    np.testing.assert_allclose(
        curvature(family, found), EPS * np.eye(family.shape.choices), atol=ROUNDING
    )
    rest = np.setdiff1d(np.arange(family.size), BLOCK[family])
    np.testing.assert_allclose(found[rest], theta[rest], atol=ROUNDING)
