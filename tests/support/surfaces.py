"""Random bowls and sums of terms, their values in NumPy, and their minimum."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from surrogate.numerics import argmin


def solved(log_loss: Any, theta: Any, u0: Any, *place: Any) -> argmin.Minimum:
    """`argmin.argmin` in NumPy, since JAX mixes no float64 while x64 is off."""
    return jax.tree.map(
        np.asarray, argmin.argmin(log_loss, theta, u0, argmin.Place(*place))
    )


def bowl(theta: Any, u: Any, s: Any) -> Any:
    """A quadratic: theta = (floor, centre at s = 0, its slope in s, Hessian)."""
    floor, centre, slope, hessian = theta
    away = u - centre - slope @ s
    return floor + 0.5 * away @ hessian @ away


def terms(theta: Any, u: Any, s: Any) -> Any:
    """A log-sum-exp: theta = (exponents of u, exponents of s, constants)."""
    of_u, of_s, constants = theta
    z = of_u @ u + of_s @ s + constants
    top = jax.lax.stop_gradient(jnp.max(z))
    return top + jnp.log(jnp.sum(jnp.exp(z - top)))


def draw_bowl(rng: np.random.Generator, d: int = 2) -> tuple[np.ndarray, ...]:
    """A bowl over d coordinates and one scale, eigenvalues from 1e-3 to 1."""
    turn, _ = np.linalg.qr(rng.normal(size=(d, d)))
    hessian = turn @ np.diag(10 ** rng.uniform(-3, 0, size=d)) @ turn.T
    floor = np.asarray(rng.uniform(0.5, 1.5))
    return (
        floor,
        rng.normal(size=d),
        rng.normal(size=(d, 1)),
        0.5 * (hessian + hessian.T),
    )


def draw_terms(rng: np.random.Generator, k: int = 7) -> tuple[np.ndarray, ...]:
    """A posynomial like ours: three terms of s alone, the others have an optimum."""
    of_u = np.zeros((k, 2))
    of_u[3:] = 0.7 * rng.normal(size=(k - 3, 2))
    of_u[3:] -= of_u[3:].mean(axis=0)
    constants = rng.normal(size=k) - 2.0 * (np.arange(k) > 2)
    return of_u, 0.3 * rng.normal(size=(k, 2)), constants


def value(theta: tuple[np.ndarray, ...], u: np.ndarray, s: np.ndarray) -> float:
    """`terms` in NumPy, from the formula."""
    of_u, of_s, constants = theta
    return float(np.logaddexp.reduce(of_u @ u + of_s @ s + constants))


def stacked(draws: list[tuple[np.ndarray, ...]]) -> tuple[np.ndarray, ...]:
    return tuple(np.stack(leaves) for leaves in zip(*draws, strict=True))
