"""Gpufit's own problem by other solvers: a 2-D Gaussian peak on a few pixels.

value = amplitude exp(-((x - x0)^2 + (y - y0)^2) / (2 width^2)) + offset, its five
parameters in this order, unweighted least squares.

Source: Przybylski et al. 2017 (Gpufit), Sci. Rep. 7:15722; github gpufit/Gpufit,
examples/Gpufit_Cpufit_Performance_Comparison.cpp and its readme (the figures).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

# As in Gpufit's comparison.
TOLERANCE = 1e-4
MOST_STEPS = 10
# Fits a second of 1e7 fits, from its readme: one GPU of 2017, one CPU.
PUBLISHED = {"Gpufit": 3_038_590.0, "Cpufit": 60_957.0}


def value(theta: np.ndarray, xy: np.ndarray) -> np.ndarray:
    """The peak [pixels] at xy [pixels, 2]."""
    off = xy - theta[1:3]
    shape = np.exp(-0.5 * (off * off).sum(axis=1) / theta[3] ** 2)
    return theta[0] * shape + theta[4]


def jacobian(theta: np.ndarray, xy: np.ndarray) -> np.ndarray:
    """Of `value` [pixels, 5]."""
    off = xy - theta[1:3]
    square = (off * off).sum(axis=1)
    shape = np.exp(-0.5 * square / theta[3] ** 2)
    scaled = theta[0] * shape / theta[3] ** 2
    found = np.ones((len(xy), 5))
    found[:, 0] = shape
    found[:, 1:3] = scaled[:, None] * off
    found[:, 3] = scaled * square / theta[3]
    return found


def scipy_lm(
    data: np.ndarray,
    starts: np.ndarray,
    xy: np.ndarray,
    *,
    tolerance: float = TOLERANCE,
    is_analytic: bool = True,
) -> tuple[np.ndarray, np.ndarray]:
    """MINPACK's lm in a loop: theta [fits, 5], cost [fits].

    With `is_analytic` False the Jacobian is by differences, SciPy's default.
    """
    from scipy.optimize import least_squares

    slope: Any = (lambda t, d: jacobian(t, xy)) if is_analytic else "2-point"
    theta, cost = np.empty((len(data), 5)), np.empty(len(data))
    for i, (pixels, start) in enumerate(zip(data, starts, strict=True)):
        found = least_squares(
            lambda t, d: value(t, xy) - d,
            start,
            jac=slope,
            args=(pixels,),
            method="lm",
            x_scale="jac",
            xtol=tolerance,
            ftol=tolerance,
            gtol=tolerance,
        )
        theta[i], cost[i] = found.x, 2 * found.cost
    return theta, cost


def optimistix_lm(
    data: np.ndarray, starts: np.ndarray, xy: np.ndarray, *, block: int = 8192
) -> tuple[np.ndarray, np.ndarray]:
    """optimistix.LevenbergMarquardt under vmap, float32: theta, steps a fit.

    In blocks, since it is slower on all fits at once; rounded up to whole ones.
    """
    import jax
    import jax.numpy as jnp

    run, parts = _optimistix(), []
    with jax.enable_x64(False):
        pixels = jnp.asarray(xy, jnp.float32)
        for first in range(0, len(data), block):
            rows = slice(first, first + block)
            arrays = (jnp.asarray(a[rows], jnp.float32) for a in (data, starts))
            parts.append(run(*arrays, pixels))
    thetas, steps = zip(*parts, strict=True)
    return np.concatenate(thetas), np.concatenate(steps)


@cache
def _optimistix() -> Callable[..., Any]:
    import jax
    import jax.numpy as jnp

    optimistix = importlib.import_module("optimistix")
    solver = optimistix.LevenbergMarquardt(rtol=TOLERANCE, atol=TOLERANCE)

    def residual(theta: Any, arguments: Any) -> Any:
        pixels, xy = arguments
        square = jnp.sum((xy - theta[None, 1:3]) ** 2, axis=1)
        shape = jnp.exp(-0.5 * square / theta[3] ** 2)
        return theta[0] * shape + theta[4] - pixels

    def one(pixels: Any, start: Any, xy: Any) -> Any:
        found = optimistix.least_squares(
            residual, solver, start, (pixels, xy), max_steps=MOST_STEPS, throw=False
        )
        return found.value, found.stats["num_steps"]

    return jax.jit(jax.vmap(one, (0, 0, None)))
