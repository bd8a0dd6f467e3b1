"""What tests of the numerical rooms share: random thetas, the formulas in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from surrogate.families import Curved, Family, Posynomial, Quadratic
from surrogate.numerics import argmin
from surrogate_kernels.dispatch import BATCHED_XLA


def exact(call: Callable[..., Any], *arrays: Any) -> Any:
    """The call in float64, its result in NumPy."""
    with jax.enable_x64(True):
        return jax.tree.map(np.asarray, call(*map(jnp.asarray, arrays)))


@partial(jax.jit, static_argnums=0)
def losses(family: Family, theta: Any, z: Any) -> Any:
    return family.log_losses(theta, z)


@partial(jax.jit, static_argnums=0)
def one_by_one(family: Family, theta: Any, z: Any) -> Any:
    split = family.shape.choices
    return jax.vmap(family.log_loss, (None, 0, 0))(theta, z[:, :split], z[:, split:])


# Run once, so that optimising the program costs more than it saves.
@partial(
    jax.jit, static_argnums=0, compiler_options={"xla_backend_optimization_level": 0}
)
def sums(family: Curved, theta: Any, z: Any, target: Any, weights: Any) -> Any:
    """Normal equations at theta; cost, gradient and Hessian in the solver's v."""
    v = family.to_solver(theta)

    def cost(v: Any) -> Any:
        return family.cost(family.from_solver(v), z, target, weights)

    batch = family.normal_equations(v[None], z, target, weights[None], BATCHED_XLA)
    one = jax.tree.map(lambda array: array[0], batch)
    return one, (cost(v), jax.grad(cost)(v) / 2, jax.hessian(cost)(v) / 2)


def draw_starts(family: Curved, seed: int) -> np.ndarray:
    """40 thetas that a search begins with."""
    return family.starts(np.random.default_rng(seed), 40)


@partial(jax.jit, static_argnums=0)
def minima(family: Family, theta: Any, s: Any, reach: Any) -> Any:
    """The lowest points within `reach` of 0, a theta and an s each."""
    wide = jnp.full(family.shape.choices, reach, theta.dtype)

    def one(theta: Any, s: Any) -> Any:
        place = argmin.Place(s, -wide, wide)
        return argmin.argmin(family.log_loss, theta, 0 * wide, place)

    return jax.vmap(jax.vmap(one, (None, 0)), (0, None))(theta, s)


def chords(
    family: Family,
    theta: np.ndarray,
    rng: np.random.Generator,
    reach: float,
    count: int = 64,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How far losses lie above random chords in u, the ends' size, and all points."""
    d = family.shape.choices
    ends = draw_points(family, rng, 2 * count).reshape(2, count, -1)
    ends[..., :d] *= reach
    ends[1, :, d:] = ends[0, :, d:]
    share = rng.uniform(size=(count, 1))
    middle = share * ends[0] + (1 - share) * ends[1]
    z = np.concatenate([*ends, middle])
    left, right, between = exact(partial(losses, family), theta, z).reshape(3, count)
    chord = share[:, 0] * left + (1 - share[:, 0]) * right
    return between - chord, 1 + np.abs(left) + np.abs(right), z


@partial(jax.jit, static_argnums=0)
def project(family: Quadratic, theta: Any, gram: Any) -> Any:
    return family.project(theta.T, gram.transpose(1, 2, 0)).T


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
    """Ln c, exponents of u and of the scales of the further terms, as documented."""
    d, g, q = family.shape
    table = theta[1 + 2 * g : len(theta) - (d + 1) * q]
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
        if family.is_additive:
            pairs = [(i, j) for i, j in pairs if i < d]
        products = [x[:, i] * x[:, j] for i, j in pairs]
        steps = [x[:, i] * one for i in range(d + g) for one in offsets.T]
        columns = [np.ones(len(z)), *x.T, *products, *steps, *offsets.T]
        return np.stack(columns, axis=1) @ theta
    assert isinstance(family, Posynomial)
    size = np.exp(theta[0]) * np.ones(len(z))
    for j in range(g):
        size += np.exp(theta[1 + 2 * j] - np.exp(theta[2 + 2 * j]) * x[:, d + j])
    constants, of_u, of_s = terms_of(family, theta)
    q = family.shape.offsets
    ends = len(theta) - (d + 1) * q, len(theta) - q
    u = x[:, :d] - offsets @ theta[ends[0] : ends[1]].reshape(d, q).T
    size += np.exp(constants + u @ of_u.T + x[:, d:] @ of_s.T).sum(axis=1)
    return np.log(size) + offsets @ theta[ends[1] :]
