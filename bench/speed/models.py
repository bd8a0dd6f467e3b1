"""The model that the benchmark fits and the library has no family for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array

from surrogate_kernels.dispatch import BATCHED
from surrogate_kernels.ref import NormalEquations


@dataclass(frozen=True)
class Peak:
    """Gpufit's 2-D Gaussian on the pixels of a fit, for `least_squares.minimise`.

    Theta is amplitude, x0, y0, width, offset, as in `peers.gaussian_peak`. The Hessian
    without the residuals' second derivatives (Gauss-Newton), as in Gpufit.
    """

    def normal_equations(self, v: Array, shared: Any, each: Any) -> NormalEquations:
        """Of a batch: theta [slots, 5], places xy [pixels, 2], pixels [slots, pixels].

        Arrays are pixels x slots, so that every operation is a vector over slots.
        """
        slopes, off = peak_slopes(v.T, shared, each.T)
        pairs = {
            (i, j): jnp.sum(slopes[i] * slopes[j], axis=0)
            for i in range(5)
            for j in range(i + 1)
        }
        hessian = [
            jnp.stack([pairs[max(i, j), min(i, j)] for j in range(5)], axis=1)
            for i in range(5)
        ]
        return NormalEquations(
            jnp.sum(off**2, axis=0),
            jnp.stack([jnp.sum(slope * off, axis=0) for slope in slopes], axis=1),
            jnp.stack(hessian, axis=1),
        )

    def solve_spd(self, matrix: Array, right: Array) -> Array:
        """Solve; NaN where not positive definite."""
        return BATCHED["xla"].solve_spd(matrix, right)


def peak_slopes(theta: Array, xy: Array, pixels: Array) -> tuple[list[Array], Array]:
    """Five slopes and the residual, each [pixels, slots].

    Args:
        theta: parameters [5, slots].
        xy: places [pixels, 2].
        pixels: what is fitted [pixels, slots].
    """
    amplitude, x0, y0, width, offset = (part[None] for part in theta)
    x, y = xy[:, :1] - x0, xy[:, 1:] - y0
    square = x**2 + y**2
    precision = 1 / width**2
    shape = jnp.exp(-0.5 * square * precision)
    scaled = amplitude * precision * shape
    slopes = [shape, scaled * x, scaled * y, scaled * square / width]
    residual = amplitude * shape + offset - pixels
    return [*slopes, jnp.ones_like(shape)], residual
