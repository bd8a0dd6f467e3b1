"""The batched solver: many weighted least-squares fits of one family at once.

Problems share rows and differ in weights and start. They run in blocks of one fixed
size, the last one padded, so that a problem's result does not depend on how many are
solved with it; each has its own damping and stops on its own.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Float64, Int

from surrogate.errors import DataError
from surrogate.families import Family
from surrogate_kernels import dispatch

# jax.Device, which pyright takes for a variable.
Device = Any
# Problems a block: large enough to fill vector units, small enough for the cache.
BLOCK = 8
# Relative fall of the cost, foreseen and made, under which a fit has converged.
_TOLERANCE = 1e-9
_DAMPING = 1e-3
_LARGEST_DAMPING = 1e12
# Largest size of the second-order part of a step, beside the first.
_MOST_TURN = 0.75
_SEARCH_RATE = 0.03


@runtime_checkable
class Progress(Protocol):
    """Told what runs and how far it is; the CLI draws it."""

    def start(self, task: str, total: int) -> None:
        """A task of `total` units begins."""
        ...

    def advance(self, n: int) -> None:
        """`n` more units are done."""
        ...

    def stop(self) -> None:
        """The task is over."""
        ...


class Solution(NamedTuple):
    """One fit a problem.

    Attributes:
        theta: fitted parameters.
        cost: weighted squares plus the prior's.
        decrement: sqrt(g' A^-1 g / cost), g and A gradient and Gauss-Newton matrix: the
            relative gradient, free of the parameters' scale.
        converged: the cost can fall no further to 1e-9 of itself.
        iterations: Levenberg-Marquardt steps tried.
    """

    theta: Float64[np.ndarray, "problems p"]
    cost: Float64[np.ndarray, " problems"]
    decrement: Float64[np.ndarray, " problems"]
    converged: Bool[np.ndarray, " problems"]
    iterations: Int[np.ndarray, " problems"]


class _Solved(NamedTuple):
    """`Solution` of one block, on the device."""

    theta: Array
    cost: Array
    decrement: Array
    converged: Array
    iterations: Array


class _State(NamedTuple):
    theta: Array
    cost: Array
    gradient: Array
    gram: Array
    damping: Array
    growth: Array
    iteration: Array
    converged: Array
    stuck: Array


def pick_device(device: str) -> Device:
    """The device that `auto`, `cpu` or `gpu` names.

    Raises:
        DataError: there is no such device.
    """
    if device == "auto":
        return jax.local_devices()[0]
    try:
        return jax.local_devices(backend=device)[0]
    except RuntimeError as error:
        found = ", ".join(sorted({d.platform for d in jax.local_devices()}))
        raise DataError(
            f"Expected --device {device} to be usable, but JAX {jax.__version__} "
            f"finds only: {found} ({error}). Install the extra `cuda` on a machine "
            "with an NVIDIA GPU, or use --device cpu."
        ) from error


def pick_backend(backend: str, device: Device) -> str:
    """The kernel backend that will run on this device.

    Raises:
        DataError: the named one cannot; all the reasons.
    """
    try:
        return dispatch.choose(backend, device.platform)
    except (NotImplementedError, ValueError) as error:
        raise DataError(f"--backend {backend}: {error}") from error


def solve(
    family: Family,
    z: Float64[np.ndarray, "n k"],
    target: Float64[np.ndarray, " n"],
    weights: Float64[np.ndarray, "problems n"],
    theta0: Float64[np.ndarray, "problems p"],
    *,
    iterations: int,
    progress: Progress | None = None,
) -> Solution:
    """Minimise, a problem each, sum_i w_i (f(theta, z_i) - target_i)^2 + prior.

    Args:
        family: f and its prior.
        z: rows shared by all problems.
        target: of the rows.
        weights: one over variances [1 / ln loss^2]; 0 leaves a row out.
        theta0: where each starts; linear families ignore it.
        iterations: at most so many steps.
        progress: told of finished problems.
    """
    with jax.enable_x64(True):
        run = _linear_block if family.is_linear else _nonlinear_block
        shared = jnp.asarray(z), jnp.asarray(target)
        limit = jnp.asarray(iterations, jnp.int32)
        parts = []
        for first in range(0, len(weights), BLOCK):
            rows = slice(first, first + BLOCK)
            block = _padded(weights[rows]), _padded(theta0[rows])
            part = run(family, *shared, *map(jnp.asarray, block), limit)
            count = len(weights[rows])
            parts.append([np.asarray(array)[:count] for array in part])
            if progress is not None:
                progress.advance(count)
        return Solution(*map(np.concatenate, zip(*parts, strict=True)))


def search(
    family: Family,
    z: Float64[np.ndarray, "n k"],
    target: Float64[np.ndarray, " n"],
    weights: Float64[np.ndarray, "problems n"],
    theta0: Float64[np.ndarray, "problems starts p"],
    *,
    steps: int,
    keep: int,
) -> Float64[np.ndarray, "problems keep p"]:
    """The best `keep` starts of each problem after so many steps of Adam."""
    with jax.enable_x64(True):
        found = []
        for rows, starts in zip(weights, theta0, strict=True):
            arrays = map(jnp.asarray, (z, target, rows, starts))
            theta, cost = _search(family, *arrays, steps)
            order = np.argsort(np.where(np.isfinite(cost), cost, np.inf))[:keep]
            found.append(np.asarray(theta)[order])
        return np.stack(found)


def _padded(array: np.ndarray) -> np.ndarray:
    """To BLOCK problems, the first repeated."""
    missing = BLOCK - len(array)
    return np.concatenate([array, np.repeat(array[:1], missing, axis=0)])


def _with_prior(family: Family, theta: Array) -> tuple[Array, Array, Array]:
    """Cost, gradient and Gauss-Newton matrix of the prior."""
    centre, precision = family.prior
    off = theta - centre
    stiff = jnp.asarray(precision)
    return jnp.sum(stiff * off**2), stiff * off, jnp.diag(stiff)


@partial(jax.jit, static_argnames=("family", "steps"))
def _search(
    family: Family, z: Array, target: Array, weights: Array, starts: Array, steps: int
) -> tuple[Array, Array]:
    def log_cost(theta: Array) -> Array:
        # The logarithm makes one step size fit starts a thousand times apart in cost.
        squares = family.cost(theta, z, target, weights, dispatch.XLA)
        return jnp.log(squares + _with_prior(family, theta)[0])

    schedule = optax.cosine_decay_schedule(_SEARCH_RATE, steps)
    adam = optax.adam(schedule)
    slope = jax.vmap(jax.value_and_grad(log_cost))

    def step(carry: tuple[Array, optax.OptState], _: None) -> tuple[tuple, None]:
        theta, state = carry
        _, gradient = slope(theta)
        gradient = jnp.where(jnp.isfinite(gradient), gradient, 0.0)
        # Optax raises a float to its integer count, which strict promotion refuses.
        with jax.numpy_dtype_promotion("standard"):
            update, state = adam.update(gradient, state)
        return (optax.apply_updates(theta, update), state), None

    (theta, _), _ = jax.lax.scan(step, (starts, adam.init(starts)), length=steps)
    return theta, jax.vmap(log_cost)(theta)


@partial(jax.jit, static_argnames="family")
def _linear_block(
    family: Family,
    z: Array,
    target: Array,
    weights: Array,
    theta0: Array,
    iterations: Array,
) -> _Solved:
    def one(weights: Array) -> _Solved:
        zero = jnp.zeros(family.size, z.dtype)
        cost, gradient, gram = family.normal_equations(
            zero, z, target, weights, dispatch.XLA
        )
        base, pull, stiff = _with_prior(family, zero)
        gram = gram + stiff
        best = -dispatch.XLA.solve_spd(gram, gradient + pull)
        theta = family.project(best, gram)
        off = theta - best
        fall = (gradient + pull) @ best
        return _Solved(
            theta=theta,
            cost=cost + base + fall + off @ gram @ off,
            decrement=jnp.zeros((), z.dtype),
            converged=jnp.all(jnp.isfinite(theta)),
            iterations=jnp.ones((), jnp.int32),
        )

    return jax.vmap(one)(weights)


@partial(jax.jit, static_argnames="family")
def _nonlinear_block(
    family: Family,
    z: Array,
    target: Array,
    weights: Array,
    theta0: Array,
    iterations: Array,
) -> _Solved:
    def one(weights: Array, theta0: Array) -> _Solved:
        return _levenberg_marquardt(family, z, target, weights, theta0, iterations)

    return jax.vmap(one)(weights, theta0)


def _levenberg_marquardt(
    family: Family,
    z: Array,
    target: Array,
    weights: Array,
    theta0: Float[Array, " p"],
    iterations: Array,
) -> _Solved:
    """One problem: damping by Nielsen, scale by Marquardt, geodesic acceleration.

    The posynomial's valley is long and bent. Each step follows its curve to second
    order; a step whose bend is not small beside it is refused, and damped more.

    Source: Nielsen 1999 (IMM-REP-1999-05); Transtrum and Sethna 2012
    (arXiv:1201.5885), equation 15 and the bound on the bend of section 5.
    """

    def linearise(theta: Array) -> tuple[Array, Array, Array]:
        cost, gradient, gram = family.normal_equations(
            theta, z, target, weights, dispatch.XLA
        )
        base, pull, stiff = _with_prior(family, theta)
        return cost + base, gradient + pull, gram + stiff

    def curvature(theta: Array, step: Array) -> Array:
        def model(theta: Array) -> Array:
            return family.log_losses(theta, z)

        def slope(theta: Array) -> Array:
            return jax.jvp(model, (theta,), (step,))[1]

        second = jax.jvp(slope, (theta,), (step,))[1]
        return jax.vjp(model, theta)[1](weights * second)[0]

    def advance(now: _State) -> _State:
        damped = now.gram + now.damping * jnp.diag(jnp.diagonal(now.gram))
        step = -dispatch.XLA.solve_spd(damped, now.gradient)
        foreseen = -(2 * now.gradient @ step + step @ now.gram @ step)
        bend = -0.5 * dispatch.XLA.solve_spd(damped, curvature(now.theta, step))
        size = jnp.diagonal(now.gram)
        turn = jnp.sqrt(jnp.sum(size * bend**2) / jnp.sum(size * step**2))
        theta = now.theta + step + jnp.where(turn <= _MOST_TURN, bend, 0.0)
        cost, gradient, gram = linearise(theta)
        fall = now.cost - cost
        is_better = (
            jnp.isfinite(cost) & (fall > 0) & (foreseen > 0) & (turn <= _MOST_TURN)
        )
        gain = fall / foreseen
        eased = now.damping * jnp.maximum(0.2, 1 - (2 * gain - 1) ** 3)
        damping = jnp.where(is_better, eased, now.damping * now.growth)
        small = _TOLERANCE * now.cost
        # A refused step that foresaw nothing means that rounding is all that is left.
        flat = (foreseen >= 0) & (foreseen < small) & (jnp.abs(fall) < small)
        return _State(
            theta=jnp.where(is_better, theta, now.theta),
            cost=jnp.where(is_better, cost, now.cost),
            gradient=jnp.where(is_better, gradient, now.gradient),
            gram=jnp.where(is_better, gram, now.gram),
            damping=jnp.clip(damping, 1e-12, _LARGEST_DAMPING),
            growth=jnp.where(is_better, 2.0, 2 * now.growth),
            iteration=now.iteration + 1,
            converged=flat,
            stuck=damping >= _LARGEST_DAMPING,
        )

    cost, gradient, gram = linearise(theta0)
    first = _State(
        theta0,
        cost,
        gradient,
        gram,
        jnp.asarray(_DAMPING, z.dtype),
        jnp.asarray(2.0, z.dtype),
        jnp.asarray(0, jnp.int32),
        jnp.asarray(False),
        ~jnp.isfinite(cost),
    )
    last = jax.lax.while_loop(
        lambda s: (s.iteration < iterations) & ~s.converged & ~s.stuck, advance, first
    )
    newton = dispatch.XLA.solve_spd(last.gram, last.gradient)
    return _Solved(
        theta=last.theta,
        cost=last.cost,
        decrement=jnp.sqrt(jnp.maximum(last.gradient @ newton, 0.0) / last.cost),
        converged=last.converged,
        iterations=last.iteration,
    )
