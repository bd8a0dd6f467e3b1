"""How far a point lies from what was fitted, in logarithms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from surrogate.base.shapes import Float64

# A setting that is not fitted is outside when its ln is this far off its line.
HELD_SPAN = 0.1
# Cells near a line have little spread across it: this [ln] stands in.
LEVERAGE_FLOOR = 0.05
# Share of cells that, each left out, lie within a distance of 1 of the others.
USUAL_SHARE = 0.9
# With fewer cells, those that are left may not span the scales.
LEAST_CELLS = 6


class Leverage(NamedTuple):
    """Hat-matrix diagonal of an affine model: 1/n + (x - mean)' precision (x - mean).

    `largest` is the value at which the distance is 1: that of the farthest fitted
    point, or of the points of which nine in ten are nearer to the others (`of_cells`).
    """

    mean: tuple[float, ...]
    precision: tuple[tuple[float, ...], ...]
    offset: float
    largest: float

    @classmethod
    def of(cls, x: Float64[np.ndarray, "n k"]) -> Leverage:
        """From the fitted points [ln], each row one."""
        mean, count = x.mean(axis=0), len(x)
        spread = (x - mean).T @ (x - mean)
        spread += count * LEVERAGE_FLOOR**2 * np.eye(x.shape[1])
        precision = np.linalg.inv(spread)
        off = x - mean
        largest = 1 / count + np.einsum("ni,ij,nj->n", off, precision, off).max()
        rows = tuple(tuple(row) for row in precision.tolist())
        return cls(tuple(mean.tolist()), rows, 1 / count, float(largest))

    @classmethod
    def of_cells(cls, x: Float64[np.ndarray, "n k"]) -> Leverage:
        """From fitted points, 1 where nine in ten, each left out, are nearer.

        One far point then does not make all else count as inside. With few points,
        whose others may lie on a line, the distance is 1 at the farthest.
        """
        found, count = cls.of(x), len(x)
        if count < LEAST_CELLS:
            return found
        alone = [cls.of(np.delete(x, i, axis=0)) for i in range(count)]
        own = [
            float(a.distance(x[[i]])[0]) ** 2 * a.largest for i, a in enumerate(alone)
        ]
        unit = sorted(own)[int(USUAL_SHARE * (count - 1))]
        return found._replace(largest=unit)

    def distance(self, x: Float64[np.ndarray, "... k"]) -> np.ndarray:
        """Square root of the leverage over its unit."""
        off = x - np.asarray(self.mean)
        spread = np.einsum("...i,ij,...j->...", off, np.asarray(self.precision), off)
        return np.sqrt((self.offset + spread) / self.largest)


class Line(NamedTuple):
    """What a setting that is not fitted follows: a power law of those that are.

    Attributes:
        slopes: over the first of the given coordinates; none for a constant.
        low: smallest of ln value - slopes . ln givens among what was fitted.
        high: largest.
    """

    slopes: tuple[float, ...]
    low: float
    high: float

    @classmethod
    def of(
        cls,
        values: Float64[np.ndarray, " n"],
        given: Sequence[Float64[np.ndarray, " n"]] = (),
    ) -> Line:
        """Least squares through fitted points [ln]; a constant without `given`."""
        if not given:
            return cls((), float(values.min()), float(values.max()))
        x = np.stack(given, axis=1)
        centred = x - x.mean(axis=0), values - values.mean()
        slopes = np.linalg.lstsq(*centred, rcond=None)[0]
        return cls.along(tuple(slopes.tolist()), values, given)

    @classmethod
    def along(
        cls,
        slopes: tuple[float, ...],
        values: Float64[np.ndarray, " n"],
        given: Sequence[Float64[np.ndarray, " n"]],
    ) -> Line:
        """Of known slopes, with the range of fitted points [ln] about it."""
        rest = values - np.stack(given, axis=1) @ np.array(slopes)
        return cls(slopes, float(rest.min()), float(rest.max()))

    @property
    def span(self) -> float:
        """Of what was fitted, about the line [ln]."""
        return self.high - self.low

    def distance(
        self,
        value: Float64[np.ndarray, " m"],
        given: Sequence[Float64[np.ndarray, " m"]],
    ) -> Float64[np.ndarray, " m"]:
        """Of ln value from the line, over 0.1; 0 within the fitted range about it."""
        pairs = zip(self.slopes, given, strict=False)
        rest = value - sum(slope * each for slope, each in pairs)
        return np.maximum(np.maximum(self.low - rest, rest - self.high), 0) / HELD_SPAN
