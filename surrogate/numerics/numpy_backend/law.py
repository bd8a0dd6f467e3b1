"""The scaling law of `families.scaling_law` and its solver's coordinates, in NumPy."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from surrogate.base.shapes import Float64
from surrogate.families.scaling_law import Law
from surrogate.numerics.numpy_backend import jet
from surrogate.numerics.numpy_backend.jet import Jet


class Place(NamedTuple):
    """The law's parameters at the solver's coordinates v, with derivatives in v.

    Attributes:
        theta: `Law.from_solver`; NaN where nothing is left for E.
        first: of each parameter.
        second: likewise.
    """

    theta: Float64[np.ndarray, "R q"]
    first: Float64[np.ndarray, "R q q"]
    second: Float64[np.ndarray, "R q q q"]


def place(law: Law, v: Float64[np.ndarray, "R q"]) -> Place:
    """`Law.from_solver` with its derivatives."""
    at = jet.variables(v)
    if law.scales:
        zero = Jet(*(0 * part for part in at[0]))
        log_gamma = at[-1] if law.is_bent else zero
        amounts, powers = law.places.log_amounts, law.places.log_powers
        pairs = np.stack([amounts, powers], axis=1).tolist()
        parts = [at[slope].plus(at[power], -1.0) for slope, power in pairs]
        total = jet.log_sum_exp(parts)
        power = total.plus(log_gamma, -1.0)
        shift = zero.plus(log_gamma, -1.0).exp().times(power).plus(total, -1.0)
        at[0] = at[0].exp().plus(power.exp(), -1.0).log()
        for slope, part in zip(amounts.tolist(), parts, strict=True):
            at[slope] = part.plus(shift)
    return Place(*(np.stack(parts, axis=1) for parts in zip(*at, strict=True)))


def to_solver(
    law: Law, theta: Float64[np.ndarray, "R q"]
) -> Float64[np.ndarray, "R q"]:
    """`Law.to_solver` of many."""
    if not law.scales:
        return theta
    log_rest, amounts, powers, log_gamma = law.unpack(theta)
    log_gamma = log_gamma if law.is_bent else np.zeros((len(theta), 1))
    total = np.logaddexp.reduce(amounts, axis=1, keepdims=True)
    power = np.exp(log_gamma) * total
    v = theta.copy()
    v[:, 0] = np.logaddexp(log_rest, power[:, 0])
    v[:, law.places.log_amounts] = amounts + powers + log_gamma + power - total
    return v
