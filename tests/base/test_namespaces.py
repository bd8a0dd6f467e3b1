"""Both worlds of the minimum and the plateau: NumPy many at once, JAX under vmap."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support.forms import PROBLEMS, draw, families

import surrogate
from surrogate.answers import arrays
from surrogate.base.namespaces import each, log_sum_exp, loop
from surrogate.families import Curved, Family, Mix, Shape
from surrogate.families.forms import form
from surrogate.numerics import argmin, plateau
from surrogate.numerics.half_plane import Cut

# JAX is asked with 64-bit floats on in any case.
SIZES = 1_000
TOL = 0.0025
# With recipes and a further scale.
SHAPE = Shape(2, 3, 2)
WIDE = np.array([-4.0, -4.0]), np.array([4.0, 4.0])
HELD = np.array([-4.0, 0.3]), np.array([4.0, 0.3])
CUT = Cut(np.array([0.7, -0.4]), np.array(-0.3))
PLACES = {
    "free": (*WIDE, None),
    "held": (*HELD, None),
    "cut": (*WIDE, CUT),
}


def places(shape: Shape) -> np.ndarray:
    rng = np.random.default_rng(0)
    s = 0.7 * rng.normal(size=(SIZES, shape.scales + shape.offsets))
    s[:, shape.scales :] = s[:, shape.scales :] > 0
    return s


def by_jax(
    family: Family, theta: np.ndarray, s: np.ndarray, where: tuple[Any, ...]
) -> tuple[argmin.Minimum, plateau.Extents]:
    low, high, cut = where

    def one(s: Any) -> Any:
        middle = 0.5 * (low + high)
        place = argmin.Place(s, low, high, cut)
        least = argmin.argmin(family.log_loss, theta, middle, place)
        level = least.value + np.log1p(TOL)
        return least, plateau.extents(family.log_loss, theta, least, place, level)

    with jax.enable_x64(True):
        found = jax.jit(jax.vmap(one))(jnp.asarray(s))
        return jax.tree.map(np.asarray, found)


def by_numpy(
    family: Family, theta: np.ndarray, s: np.ndarray, where: tuple[Any, ...]
) -> tuple[arrays.Minima, arrays.Edges]:
    """The sizes take the place of thetas."""
    low, high, cut = where
    thetas = np.repeat(theta[None], len(s), axis=0)
    least = arrays.Minima(*arrays._solved(family, thetas, s, low, high, cut))
    found = arrays.plateau_box.extents(
        form(family, thetas, s),
        arrays.Minimum(*least),
        low,
        high,
        least.value + np.log1p(TOL),
        cut,
    )
    return least, arrays.Edges(*found)


def compare(family: Family, theta: np.ndarray, where: tuple[Any, ...]) -> None:
    s = places(family.shape)
    with np.errstate(all="ignore"):
        ours, edges = by_numpy(family, theta, s, where)
    theirs, other = by_jax(family, theta, s, where)
    # In ln loss to 1e-12; in u, whose units are about 1 in ln, to 1e-10.
    np.testing.assert_allclose(ours.value, theirs.value, rtol=0, atol=1e-12)
    np.testing.assert_allclose(ours.u, theirs.u, rtol=0, atol=1e-10)
    for name in ("converged", "at_bound", "is_cut"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))
    np.testing.assert_allclose(edges.edges, other.edges, rtol=0, atol=1e-10)
    for name in ("is_open", "is_cut"):
        np.testing.assert_array_equal(getattr(edges, name), getattr(other, name))
    assert ours.converged.all()


def bowls(family: Family, rng: np.random.Generator) -> np.ndarray:
    """Thetas with an optimum, of a quadratic not at every draw."""
    if isinstance(family, Mix):
        share = rng.dirichlet(np.ones(len(family.members)), PROBLEMS)
        return family.join(share, [bowls(member, rng) for member in family.members])
    if isinstance(family, Curved):
        return family.starts(rng, PROBLEMS)
    return draw(family, rng)


def steepest(family: Family) -> np.ndarray:
    """The draw of most curvature at the middle: a flat one is not told to 1e-10."""
    thetas = bowls(family, np.random.default_rng(family.size))
    zero = np.zeros((PROBLEMS, SIZES))
    at = form(family, thetas[:, None], places(family.shape)).at(zero, zero)
    mean, half = 0.5 * (at.hxx + at.hyy), 0.5 * (at.hxx - at.hyy)
    least = (mean - np.sqrt(half**2 + at.hxy**2)).min(axis=1)
    assert least.max() > 0
    return thetas[least.argmax()]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("family", families(SHAPE), ids=lambda f: f"{f.name}-{f.terms}")
def test_a_thousand_sizes_have_one_answer(family: Family, place: str) -> None:
    compare(family, steepest(family), PLACES[place])


@pytest.mark.parametrize("name", ["steplaw-dense", "steplaw-moe", "openeurollm-dense"])
def test_a_bundled_fit_has_one_answer(name: str) -> None:
    fit = surrogate.load(f"bundled:{name}")
    compare(fit.family, fit.theta, PLACES["cut"])


def test_a_loop_leaves_alone_what_is_done() -> None:
    for xp in (np, jnp):
        start = xp.asarray([3.0, 0.0, 5.0], dtype=xp.float32)
        ends = loop(lambda n: n > 0, lambda n: n - 1, start)
        assert np.asarray(ends).tolist() == [0.0, 0.0, 0.0]
        assert isinstance(ends, np.ndarray) == (xp is np)
    one = loop(lambda n: n > 0, lambda n: n - 1, jnp.asarray(3))
    assert int(one) == 0


def test_named_tuples_are_mapped_as_they_are_nested() -> None:
    cut = Cut(np.ones(2), np.zeros(()))
    found = each(lambda a, b: a + b, (cut, None), (cut, None))
    assert isinstance(found[0], Cut)
    assert found[0].normal.tolist() == [2.0, 2.0]
    assert found[1] is None


def test_the_log_of_a_sum_is_that_of_numpy() -> None:
    values = np.array([[1e3, -np.inf], [999.0, -np.inf], [-1e3, -np.inf]])
    expected = np.logaddexp.reduce(values, axis=0)
    np.testing.assert_allclose(log_sum_exp(values, axis=0), expected, rtol=1e-15)
