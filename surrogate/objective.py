"""What a fit minimises: robust squares of ln loss, weighted by the fitted excess.

A run at fitted excess e over the fitted minimum of its cell counts with

    w = 1 / sigma(e)^2 / (1 + (r / (k sigma(e)))^2 / tail),
    sigma(e)^2 = floor^2 + (growth e)^2,

r its residual in ln loss, k = max(1, 1.4826 median |r / sigma|). Sigma is what a smooth
surface can be asked to reproduce: the noise near the plateau, a share of the excess far
from it. The second factor is that of a Student t, since spikes are one-sided and tall.

The excess is that of the fit, never of the measured loss: choosing or weighting runs by
their own loss favours lucky noise and biases curvature, optimum and interval.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float64

# A normal standard deviation over its median absolute deviation.
_NORMAL_MAD = 1.4826


@dataclass(frozen=True)
class Objective:
    """Scales of the weights, fractions of the loss.

    Attributes:
        floor: noise near the optimum; released sweeps leave 0.0006 to 0.0014 there.
        growth: share of the excess by which a surface may miss: `Family.misfit`.
        tail: degrees of freedom of the Student t.
        rounds: how often weights are computed afresh from the fit.
    """

    floor: float = 0.001
    growth: float = 0.33
    tail: float = 3.0
    rounds: int = 6

    def spread(self, excess: Float[Array, " n"]) -> Float[Array, " n"]:
        """Sigma(e), the size of residual to expect at that fitted excess."""
        return jnp.sqrt(self.floor**2 + (self.growth * excess) ** 2)

    def weights(
        self,
        residual: Float[Array, " n"],
        excess: Float[Array, " n"],
        counts: Float[Array, " n"],
    ) -> Float[Array, " n"]:
        """Weights of one problem's rows.

        Args:
            residual: ln loss minus its fitted value.
            excess: fitted ln loss minus its minimum over u at the same s.
            counts: how often each row is in the problem, 0 for never.
        """
        spread = self.spread(excess)
        size = jnp.abs(residual / spread)
        scale = jnp.maximum(1.0, _NORMAL_MAD * _median(size, counts))
        return counts / (spread**2 * (1 + (size / scale) ** 2 / self.tail))


def _median(values: Float[Array, " n"], counts: Float[Array, " n"]) -> Array:
    """The median where each value stands as often as its count says."""
    order = jnp.argsort(values)
    below = jnp.cumsum(counts[order])
    half = 0.5 * below[-1]
    middle = jnp.stack([jnp.argmax(below >= half), jnp.argmax(below > half)])
    return values[order][middle].mean()


class Noise(NamedTuple):
    """What a fit leaves unexplained, in ln loss.

    Attributes:
        cell: standard deviation of the part that a whole cell shares.
        floor: of the part within cells, at the optimum.
        growth: by which that part grows with the fitted excess: its standard deviation
            is sqrt(floor^2 + (growth excess)^2).
    """

    cell: float
    floor: float
    growth: float

    def within(self, excess: np.ndarray) -> np.ndarray:
        """Standard deviation within a cell at these fitted excesses."""
        return np.sqrt(self.floor**2 + (self.growth * excess) ** 2)


# Runs this near to the fitted minimum tell the noise of the plateau.
_NEAR = 0.01
# Degrees of freedom that a median takes from the median absolute deviation about it:
# simulated, within 9 % for 3 to 5 normal values and 1.5 % for 10 to 40.
_SPENT = 2.3


def measure_noise(
    residual: Float64[np.ndarray, " n"],
    excess: Float64[np.ndarray, " n"],
    cell: np.ndarray,
) -> Noise:
    """Robust standard deviations of residuals, by cell and by fitted excess.

    Medians and median absolute deviations throughout, so that spikes count as one run
    each. The floor is read off runs within 1 % of the fitted minimum (all runs where a
    table has none), the growth off the others.
    """
    cells = np.unique(cell)
    near = excess <= _NEAR
    if near.sum() < 3 * len(cells):
        near = excess <= np.quantile(excess, 0.5)
    centre = {
        c: np.median(residual[near & (cell == c)])
        for c in cells
        if (near & (cell == c)).any()
    }
    within = residual - np.array([centre.get(c, 0.0) for c in cell])
    runs = near.sum()
    loss = runs / max(runs - _SPENT * len(centre), 0.2 * runs)
    floor = _NORMAL_MAD * float(np.median(np.abs(within[near]))) * np.sqrt(loss)
    far = ~near
    growth = 0.0
    if far.any():
        # Its median is growth^2 at every excess, so also over all of them.
        ratio = ((_NORMAL_MAD * within[far]) ** 2 - floor**2) / excess[far] ** 2
        growth = float(np.sqrt(max(np.median(ratio), 0.0)))
    centres = np.array(list(centre.values()))
    shared = 0.0
    if len(centres) > 1:
        mad = _NORMAL_MAD * float(np.median(np.abs(centres - np.median(centres))))
        # The median of n normal values varies pi / 2 times as much as their mean.
        sampling = 0.5 * np.pi * floor**2 * len(centre) / runs
        shared = float(np.sqrt(max(mad**2 - sampling, 0.0)))
    return Noise(cell=shared, floor=float(floor), growth=growth)
