"""Theta by name: the formula of each family is its fast form, names are its order."""

from __future__ import annotations

from functools import partial
from itertools import starmap

import numpy as np
import pytest
from support.families import draw_points, draw_theta, exact, losses, one_by_one

from surrogate.families import Bowl, Family, Mix, Posynomial, Quadratic, Shape
from surrogate.families.forms import log_losses
from surrogate.families.scaling_law import Law

# With recipes and further scales, with one choice, without scales, with neither.
SIZES = ((2, 3, 2), (2, 2, 0), (1, 2, 1), (2, 0, 1), (1, 1, 0))
ROUNDING = 1e-12


def families(shape: Shape) -> list[Family]:
    single: list[Family] = [
        Quadratic(shape),
        Quadratic(shape, is_additive=True),
        Bowl(shape),
        Posynomial(shape, shape.choices + 1),
        Posynomial(shape, shape.choices + 2),
    ]
    return [*single, Mix(shape, (single[0], single[2], single[3]))]


CASES = [family for shape in starmap(Shape, SIZES) for family in families(shape)]
each = pytest.mark.parametrize(
    "family", CASES, ids=lambda f: f"{f.name}-{f.terms}-{'.'.join(map(str, f.shape))}"
)


def thetas(family: Family, rng: np.random.Generator) -> np.ndarray:
    if isinstance(family, Mix):
        weights = rng.dirichlet(np.ones(len(family.members)), 1)
        members = [draw_theta(member, rng)[None] for member in family.members]
        return family.join(weights, members)[0]
    return draw_theta(family, rng)


@each
def test_the_formula_is_the_fast_form(family: Family) -> None:
    # Independent forms in float64; tolerance: rounding.
    rng = np.random.default_rng(4)
    for _ in range(3):
        theta, z = thetas(family, rng), draw_points(family, rng, 11)
        by_formula = exact(partial(one_by_one, family), theta, z)
        at_once = exact(partial(losses, family), theta, z)
        np.testing.assert_allclose(by_formula, at_once, rtol=ROUNDING, atol=ROUNDING)
        in_numpy = log_losses(family, theta, z)
        np.testing.assert_allclose(by_formula, in_numpy, rtol=ROUNDING, atol=ROUNDING)


@each
def test_every_parameter_has_one_name(family: Family) -> None:
    """Names hold each place of theta once, with leading axes as without."""
    assert isinstance(family, Bowl | Posynomial | Quadratic | Mix)
    found = [np.ravel(part) for part in flat(family.unpack(np.arange(family.size)))]
    np.testing.assert_array_equal(
        np.sort(np.concatenate(found)), np.arange(family.size)
    )
    rng = np.random.default_rng(0)
    many = rng.normal(size=(2, 3, family.size))
    one, every = flat(family.unpack(many[1, 2])), flat(family.unpack(many))
    for own, part in zip(one, every, strict=True):
        np.testing.assert_array_equal(part[1, 2], own)


def flat(names: tuple) -> list[np.ndarray]:
    parts = [part if isinstance(part, tuple) else (part,) for part in names]
    return [np.asarray(array) for part in parts for array in part]


def test_names_mean_what_they_say() -> None:
    """Closed form: what a name is changed by is what the surface does."""
    family = Bowl(Shape(2, 2, 1))
    rng = np.random.default_rng(2)
    theta, (z,) = draw_theta(family, rng), draw_points(family, rng, 1)
    at = family.places
    u, s = z[:2], z[2:]

    def loss(theta: np.ndarray, u: np.ndarray = u) -> float:
        return float(exact(family.log_loss, theta, u, s))

    best = exact(family.optimum, theta, s)
    moved = theta.copy()
    step = np.array([0.3, -0.2])
    moved[at.optimum[:, 0]] += step
    np.testing.assert_allclose(loss(moved, u + step), loss(theta), rtol=1e-12)
    higher = theta.copy()
    higher[at.height[0]] += np.log(2)
    rise, double = (loss(t) - loss(t, best) for t in (theta, higher))
    np.testing.assert_allclose(double, 2 * rise, rtol=1e-9)
    offset = theta.copy()
    offset[at.offsets] += 0.1
    np.testing.assert_allclose(loss(offset), loss(theta) + 0.1 * s[2], rtol=1e-12)


def test_a_posynomial_is_packed_as_it_is_unpacked() -> None:
    family = Posynomial(Shape(2, 2, 2), 4)
    theta = np.random.default_rng(1).normal(size=family.size)
    np.testing.assert_array_equal(family.pack(family.unpack(theta)), theta)


@pytest.mark.parametrize(("scales", "is_bent"), [(0, False), (1, False), (3, True)])
def test_the_law_is_its_affine_form(scales: int, is_bent: bool) -> None:
    law = Law(scales, is_bent)
    rng = np.random.default_rng(3)
    theta, s = rng.normal(size=law.size), rng.normal(size=scales)
    term, coordinate = law.pattern(0)
    row = np.concatenate([[1.0], s])
    terms = np.zeros(max(term) + 1)
    for t, i, own in zip(term, coordinate, law.coefficients(theta), strict=True):
        terms[t] += own * row[i]
    np.testing.assert_allclose(law.log_loss(theta, s), law.level(terms), rtol=1e-14)
