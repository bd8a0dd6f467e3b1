"""The one form of every family against its own ln loss, differentiated by JAX."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support.forms import PROBLEMS, draw, families

import surrogate
from surrogate.families import Bowl, Family, Shape
from surrogate.families.forms import form, log_losses
from surrogate.numerics.argmin import expand

SHAPES = (Shape(2, 2, 0), Shape(2, 3, 2), Shape(1, 1, 1), Shape(2, 1, 0))


CASES = [(family, shape) for shape in SHAPES for family in families(shape)]


def by_jax(family: Family, theta: Any, u: Any, s: Any) -> list[np.ndarray]:
    """Value, slopes and curvatures of one theta, place and scales each."""
    d = family.shape.choices

    def one(theta: Any, u: Any, s: Any) -> Any:
        return expand(family.log_loss, theta, s, d)(u[0], u[-1])

    with jax.enable_x64(True):
        found = jax.jit(jax.vmap(one))(*map(jnp.asarray, (theta, u, s)))
        return [np.asarray(part) for part in found]


def places(
    shape: Shape, rng: np.random.Generator, count: int
) -> tuple[np.ndarray, np.ndarray]:
    u = rng.normal(size=(count, shape.choices))
    s = rng.normal(size=(count, shape.scales + shape.offsets))
    s[:, shape.scales :] = s[:, shape.scales :] > 0
    return u, s


def close(found: Any, expected: list[np.ndarray]) -> None:
    for got, asked in zip(found, expected, strict=True):
        np.testing.assert_allclose(got, asked, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("family", "shape"), CASES, ids=lambda v: repr(v)[:60])
def test_value_and_derivatives_are_those_of_the_family(
    family: Family, shape: Shape
) -> None:
    rng = np.random.default_rng(family.size)
    theta = draw(family, rng)
    u, s = places(shape, rng, PROBLEMS)
    x, y = u[:, 0], u[:, 1] if shape.choices == 2 else np.zeros(PROBLEMS)
    surface = form(family, theta, s)
    expected = by_jax(family, theta, u, s)
    close(surface.at(x, y), expected)
    close([surface.value(x, y)], expected[:1])
    longer = surface.spread().at(x[:, None], y[:, None])
    close([part[:, 0] for part in longer], expected)


@pytest.mark.parametrize("name", ["steplaw-dense", "steplaw-moe", "openeurollm-dense"])
def test_a_bundled_fit_has_the_same_surface_in_both_worlds(name: str) -> None:
    fit = surrogate.load(f"bundled:{name}")
    rng = np.random.default_rng(0)
    theta = np.concatenate([fit.theta[None], fit.leaves, fit.draws])[:PROBLEMS]
    u, s = places(fit.family.shape, rng, PROBLEMS)
    expected = by_jax(fit.family, theta, u, s)
    close(form(fit.family, theta, s).at(u[:, 0], u[:, 1]), expected)
    # Every theta at every place.
    z = np.concatenate([u, s], axis=1)
    every = log_losses(fit.family, theta[:, None], z)
    close([np.diagonal(every)], expected[:1])


def test_jax_computes_the_form_too() -> None:
    family = Bowl(Shape(2, 2, 1))
    rng = np.random.default_rng(1)
    theta = draw(family, rng)
    u, s = places(family.shape, rng, PROBLEMS)

    def one(theta: Any, u: Any, s: Any) -> Any:
        return form(family, theta, s).at(u[0], u[1])

    with jax.enable_x64(True):
        found = jax.jit(jax.vmap(one))(*map(jnp.asarray, (theta, u, s)))
        close([np.asarray(part) for part in found], by_jax(family, theta, u, s))


@pytest.mark.parametrize("family", families(SHAPES[1]), ids=lambda f: f.name)
def test_a_grid_has_the_values_of_its_points(family: Family) -> None:
    rng = np.random.default_rng(2)
    theta = draw(family, rng)
    _, s = places(family.shape, rng, PROBLEMS)
    x, y = np.sort(rng.normal(size=(2, PROBLEMS, 7)), axis=2)
    surface = form(family, theta, s)
    found = surface.on_grid(x, y[:, :5])
    wide = surface.spread().spread()
    pairs = np.broadcast_arrays(x[:, :, None], y[:, None, :5])
    close([found], [wide.value(*pairs)])
