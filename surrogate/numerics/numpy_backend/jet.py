"""Numbers that carry their first and second derivatives, many problems at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from surrogate.base.shapes import Float64


class Jet(NamedTuple):
    """A function of q variables at the place of each problem.

    Attributes:
        value: of it.
        first: its gradient.
        second: its Hessian.
    """

    value: Float64[np.ndarray, " R"]
    first: Float64[np.ndarray, "R q"]
    second: Float64[np.ndarray, "R q q"]

    def plus(self, other: Jet, times: float = 1.0) -> Jet:
        """`self + times x other`."""
        return Jet(*(a + times * b for a, b in zip(self, other, strict=True)))

    def times(self, other: Jet) -> Jet:
        """The product."""
        cross = self.first[:, :, None] * other.first[:, None, :]
        return Jet(
            self.value * other.value,
            self.value[:, None] * other.first + other.value[:, None] * self.first,
            self.value[:, None, None] * other.second
            + other.value[:, None, None] * self.second
            + cross
            + cross.transpose(0, 2, 1),
        )

    def exp(self) -> Jet:
        """E to it."""
        value = np.exp(self.value)
        return self._through(value, value, value)

    def log(self) -> Jet:
        """Its natural logarithm; NaN where it is not positive."""
        with np.errstate(invalid="ignore", divide="ignore"):
            slope = 1 / self.value
            return self._through(np.log(self.value), slope, -(slope**2))

    def _through(self, value: np.ndarray, slope: np.ndarray, bend: np.ndarray) -> Jet:
        outer = self.first[:, :, None] * self.first[:, None, :]
        return Jet(
            value,
            slope[:, None] * self.first,
            slope[:, None, None] * self.second + bend[:, None, None] * outer,
        )


def variables(at: Float64[np.ndarray, "R q"]) -> list[Jet]:
    """The variables themselves."""
    count, size = at.shape
    none = np.zeros((count, size, size))
    unit = np.eye(size)
    return [
        Jet(at[:, i], np.broadcast_to(unit[i], (count, size)), none)
        for i in range(size)
    ]


def log_sum_exp(parts: Sequence[Jet]) -> Jet:
    """Ln of the sum of the exponentials."""
    top = np.max([part.value for part in parts], axis=0)
    total = parts[0]._replace(value=parts[0].value - top).exp()
    for part in parts[1:]:
        total = total.plus(part._replace(value=part.value - top).exp())
    found = total.log()
    return found._replace(value=found.value + top)
