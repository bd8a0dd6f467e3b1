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

import numpy as np

from surrogate.base.namespaces import Numbers, namespace
from surrogate.base.shapes import Float, Float64

# A normal standard deviation over its median absolute deviation.
NORMAL_MAD = 1.4826


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

    def spread(self, excess: Float[Numbers, "*n"]) -> Float[Numbers, "*n"]:
        """Sigma(e), the size of residual to expect at that fitted excess."""
        return (self.floor**2 + (self.growth * excess) ** 2) ** 0.5

    def weights(
        self,
        residual: Float[Numbers, "*problems n"],
        excess: Float[Numbers, "*problems n"],
        counts: Float[Numbers, "*problems n"],
        error: Float[Numbers, " n"] | None = None,
    ) -> Float[Numbers, "*problems n"]:
        """Weights of the rows of one problem, or of each.

        Args:
            residual: ln loss minus its fitted value.
            excess: fitted ln loss minus its minimum over u at the same s.
            counts: how often each row is in the problem, 0 for never.
            error: standard error of each row that is told, beside the spread.
        """
        xp = namespace(residual)
        spread = self.spread(excess)
        if error is not None:
            spread = (spread**2 + error**2) ** 0.5
        size = abs(residual / spread)
        scale = xp.maximum(1.0, NORMAL_MAD * _median(size, counts))[..., None]
        return counts / (spread**2 * (1 + (size / scale) ** 2 / self.tail))


def _median(
    values: Float[Numbers, "*problems n"], counts: Float[Numbers, "*problems n"]
) -> Float[Numbers, "*problems"]:
    """The median where each value stands as often as its count says."""
    xp = namespace(values)
    order = xp.argsort(values, axis=-1)
    below = xp.cumsum(xp.take_along_axis(counts, order, axis=-1), axis=-1)
    half = 0.5 * below[..., -1:]
    middle = xp.stack(
        [xp.argmax(below >= half, axis=-1), xp.argmax(below > half, axis=-1)], axis=-1
    )
    return xp.take_along_axis(
        values, xp.take_along_axis(order, middle, axis=-1), axis=-1
    ).mean(axis=-1)


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

    def missed(self, excess: np.ndarray | float) -> np.ndarray | float:
        """Standard deviation of what the form misses at these fitted excesses."""
        return self.growth * excess

    def within(self, excess: np.ndarray) -> np.ndarray:
        """Standard deviation within a cell at these fitted excesses."""
        return np.sqrt(self.floor**2 + self.missed(excess) ** 2)


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
    floor = NORMAL_MAD * float(np.median(np.abs(within[near]))) * np.sqrt(loss)
    far = ~near
    growth = 0.0
    if far.any():
        # Its median is growth^2 at every excess, so also over all of them.
        ratio = ((NORMAL_MAD * within[far]) ** 2 - floor**2) / excess[far] ** 2
        growth = float(np.sqrt(max(np.median(ratio), 0.0)))
    centres = np.array(list(centre.values()))
    shared = 0.0
    if len(centres) > 1:
        mad = NORMAL_MAD * float(np.median(np.abs(centres - np.median(centres))))
        # The median of n normal values varies pi / 2 times as much as their mean.
        sampling = 0.5 * np.pi * floor**2 * len(centre) / runs
        shared = float(np.sqrt(max(mad**2 - sampling, 0.0)))
    return Noise(cell=shared, floor=float(floor), growth=growth)
