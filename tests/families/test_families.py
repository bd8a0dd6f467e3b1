"""Families: the formula, convexity and an optimum for every theta."""

from __future__ import annotations

from functools import partial

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
    formula,
    losses,
    minima,
    one_by_one,
    sums,
    terms_of,
)

from surrogate import families
from surrogate.base.errors import DataError
from surrogate.families import Bowl, Family, Posynomial, Quadratic, Shape

# The helpers import jax for this file.
pytestmark = pytest.mark.numeric
ROUNDING = 1e-12
SEEDS = st.integers(0, 2**32 - 1)
LINEARS = [
    Quadratic(Shape(2, 2, 1)),
    Quadratic(Shape(1, 2, 1)),
    Quadratic(Shape(2, 2, 1), is_additive=True),
]
POSYNOMIALS = [
    Posynomial(Shape(2, 2, 1), 3),
    Posynomial(Shape(2, 2, 1), 4),
    Posynomial(Shape(1, 2, 1), 2),
]
ALL = [*LINEARS, *POSYNOMIALS]
NAMES = [f"{f.name}-{f.shape.choices}-{f.terms}" for f in ALL]
POWER_LAWS = [POSYNOMIALS[0], POSYNOMIALS[2]]
each = pytest.mark.parametrize("family", ALL, ids=NAMES)


# ---- the formula ----------------------------------------------------------------


@each
def test_losses_equal_the_formula_all_at_once_and_one_by_one(family: Family) -> None:
    # Independent code; tolerance: rounding.
    rng = np.random.default_rng(1)
    theta, z = draw_theta(family, rng), draw_points(family, rng, 19)
    wanted = formula(family, theta, z)
    at_once = exact(partial(losses, family), theta, z)
    np.testing.assert_allclose(at_once, wanted, rtol=ROUNDING, atol=ROUNDING)
    singly = exact(partial(one_by_one, family), theta, z)
    np.testing.assert_allclose(singly, wanted, rtol=ROUNDING, atol=ROUNDING)


@pytest.mark.parametrize("family", POSYNOMIALS[1:], ids=str)
def test_normal_equations_are_those_of_the_cost(family: Posynomial) -> None:
    # Derivative: JAX's, of the cost; tolerance: rounding, of entries up to 100.
    rng = np.random.default_rng(2)
    theta, z = draw_theta(family, rng), draw_points(family, rng, 19)
    target, weights = rng.normal(size=19), rng.uniform(0, 3, size=19)
    found, wanted = exact(partial(sums, family), theta, z, target, weights)
    for got, want in zip(found, wanted, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-10)
    residual = formula(family, theta, z) - target
    centre, precision = family.prior
    squares = weights @ residual**2 + precision @ (theta - centre) ** 2
    assert found.cost == pytest.approx(squares, rel=ROUNDING)


@pytest.mark.parametrize("family", POSYNOMIALS, ids=str)
def test_solver_coordinates_go_there_and_back(family: Posynomial) -> None:
    # Closed form: the level is E + sum A, a slope A alpha; tolerance: rounding.
    theta = draw_theta(family, np.random.default_rng(3))
    v = exact(family.to_solver, theta)
    np.testing.assert_allclose(exact(family.from_solver, v), theta, rtol=0, atol=1e-11)
    amounts, powers = np.exp(theta[1:5:2]), np.exp(theta[2:5:2])
    level = np.log(np.exp(theta[0]) + amounts.sum())
    assert v[0] == pytest.approx(level, rel=ROUNDING)
    slopes = np.log(amounts * powers)
    np.testing.assert_allclose(v[1:5:2], slopes, rtol=0, atol=1e-12)
    nowhere = np.where(np.arange(family.size) == 0, v[0] - 10, v)
    assert np.isnan(exact(family.from_solver, nowhere)[0])


@pytest.mark.parametrize("family", LINEARS, ids=str)
def test_features_are_what_theta_multiplies(family: Quadratic) -> None:
    # Independent code: the formula in NumPy; tolerance: rounding.
    rng = np.random.default_rng(2)
    theta, z = draw_theta(family, rng), draw_points(family, rng, 19)
    found = exact(family.features, z)
    wanted = formula(family, theta, z)
    np.testing.assert_allclose(found @ theta, wanted, rtol=ROUNDING, atol=ROUNDING)


@each
def test_prior_holds_every_parameter(family: Family) -> None:
    # Documented: standard deviation 1 of how far a recipe moves u and, where that is a
    # slope, 0.1 of how it bends the law of the scales; 3 of its offset.
    centre, precision = family.prior
    assert centre.shape == precision.shape == (family.size,)
    assert (precision > 0).all()
    assert precision[-1] == pytest.approx(1 / 9)
    (d, g, _), end = family.shape, family.size - 1
    if isinstance(family, Quadratic):
        np.testing.assert_allclose(precision[end - g : end], 100)
        end -= g
    np.testing.assert_array_equal(precision[end - d : end], 1)
    np.testing.assert_array_equal(centre[end - d :], 0)


def test_prior_of_the_posynomial_is_a_plausible_loss() -> None:
    # Closed form: E = 0.6, A = 0.1, alpha = 0.35, c = e^-5, no slope in u.
    for family in POWER_LAWS:
        z = draw_points(family, np.random.default_rng(3), 7)
        s = z[:, family.shape.choices : -1]
        size = 0.6 + 0.1 * np.exp(-0.35 * s).sum(axis=1) + family.terms * np.exp(-5)
        found = exact(partial(losses, family), family.prior.centre, z)
        np.testing.assert_allclose(found, np.log(size), rtol=ROUNDING)


@pytest.mark.parametrize("choices", [1, 2])
def test_too_few_terms_are_refused(choices: int) -> None:
    message = f"at least {choices + 1} terms .* got {choices}.* --terms {choices + 1}"
    with pytest.raises(DataError, match=message):
        families.make("posynomial", Shape(choices, 2, 0), choices)


def test_make_gives_the_family_of_that_name() -> None:
    shape = Shape(2, 2, 0)
    made = {name: families.make(name, shape, 4) for name in families.NAMES}
    assert made == {
        "quadratic": Quadratic(shape),
        "additive": Quadratic(shape, is_additive=True),
        "posynomial": Posynomial(shape, 4),
        "bowl": Bowl(shape),
    }
    assert [(f.name, f.terms) for f in made.values()] == [
        ("quadratic", None),
        ("additive", None),
        ("posynomial", 4),
        ("bowl", None),
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
    theta = draw_theta(family, rng)
    above, size, z = chords(family, theta, rng, reach)
    if isinstance(family, Quadratic):
        size = np.abs(formula(family, np.abs(theta), np.abs(z))).max()
    assert (above / size <= ROUNDING).all()


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
    found = exact(partial(losses, family), theta, np.concatenate(steps)).reshape(
        3, count
    )
    assert (found[1] > found[0] + 1).all()
    assert (found[2] > found[1] + 1).all()


@pytest.mark.parametrize("family", POWER_LAWS, ids=["two", "one"])
def test_starts_are_many_finite_and_given_by_the_key(family: Posynomial) -> None:
    found = draw_starts(family, 4)
    assert found.shape == (40, family.size)
    assert found.dtype == np.float64
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found, draw_starts(family, 4))
    other = draw_starts(family, 5)
    # But for where recipes' optima start: where the first one's does.
    steps = (found == 0).all(axis=0)
    assert steps.sum() == family.shape.choices * family.shape.offsets
    assert (found != other)[:, ~steps].all()
    assert len(np.unique(found, axis=0)) == 40


LINE = np.array([[-1.3, 0.4, 1], [0.2, 0.9, 1], [1.7, 1.4, 1]])


@pytest.mark.parametrize("family", POWER_LAWS, ids=["two", "one"])
def test_the_least_number_of_terms_has_a_power_law_for_its_optimum(
    family: Posynomial,
) -> None:
    # Closed form: stationarity fixes the terms' ratios, a d x d linear system.
    theta = draw_starts(family, 6)
    found = exact(partial(minima, family), theta, LINE, 200.0)
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
    theta = draw_starts(POSYNOMIALS[1], 7)
    found = exact(partial(minima, POSYNOMIALS[1]), theta, LINE, 200.0)
    assert found.converged.all()
    assert not found.at_bound.any()
    assert np.median(np.abs(np.diff(found.u, n=2, axis=1))) > 1e-3
