"""Cold starts the first-order way: Adam from every start at once, the best go on."""

from __future__ import annotations

import importlib
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float64

from surrogate.families import Curved

RATE = 0.03


def search(
    family: Curved,
    z: Float64[np.ndarray, "n k"],
    target: Float64[np.ndarray, " n"],
    weights: Float64[np.ndarray, " n"],
    starts: Float64[np.ndarray, "starts p"],
    *,
    steps: int,
    keep: int,
) -> Float64[np.ndarray, "keep p"]:
    """The best `keep` starts after so many steps with a cosine schedule."""
    with jax.enable_x64(True):
        arrays = map(jnp.asarray, (z, target, weights, starts))
        theta, cost = _search(family, *arrays, steps)
        order = np.argsort(np.where(np.isfinite(cost), cost, np.inf))[:keep]
        return np.asarray(theta)[order]


@partial(jax.jit, static_argnames=("family", "steps"))
def _search(
    family: Curved, z: Array, target: Array, weights: Array, starts: Array, steps: int
) -> tuple[Array, Array]:
    optax = importlib.import_module("optax")

    def log_cost(theta: Array) -> Array:
        # The logarithm makes one step size fit starts a thousand times apart in cost.
        return jnp.log(family.cost(theta, z, target, weights))

    schedule = optax.cosine_decay_schedule(RATE, steps)
    adam = optax.adam(schedule)
    slope = jax.vmap(jax.value_and_grad(log_cost))

    def step(carry: tuple[Array, Any], _: None) -> tuple[tuple, None]:
        theta, state = carry
        _, gradient = slope(theta)
        gradient = jnp.where(jnp.isfinite(gradient), gradient, 0.0)
        # Optax raises a float to its integer count, which strict promotion refuses.
        with jax.numpy_dtype_promotion("standard"):
            update, state = adam.update(gradient, state)
        return (optax.apply_updates(theta, update), state), None

    (theta, _), _ = jax.lax.scan(step, (starts, adam.init(starts)), length=steps)
    return theta, jax.vmap(log_cost)(theta)
