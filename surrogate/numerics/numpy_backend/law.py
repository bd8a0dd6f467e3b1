"""The scaling law of `families.scaling_law` and its solver's coordinates, in NumPy."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

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
        slopes, decays = at[1 : 1 + 2 * law.scales : 2], at[2 : 2 + 2 * law.scales : 2]
        parts = [slope.plus(d, -1.0) for slope, d in zip(slopes, decays, strict=True)]
        total = jet.log_sum_exp(parts)
        power = total.plus(log_gamma, -1.0)
        shift = zero.plus(log_gamma, -1.0).exp().times(power).plus(total, -1.0)
        at[0] = at[0].exp().plus(power.exp(), -1.0).log()
        at[1 : 1 + 2 * law.scales : 2] = [part.plus(shift) for part in parts]
    return Place(*(np.stack(parts, axis=1) for parts in zip(*at, strict=True)))


def to_solver(
    law: Law, theta: Float64[np.ndarray, "R q"]
) -> Float64[np.ndarray, "R q"]:
    """`Law.to_solver` of many."""
    if not law.scales:
        return theta
    end = 1 + 2 * law.scales
    log_gamma = theta[:, -1:] if law.is_bent else np.zeros((len(theta), 1))
    amounts = theta[:, 1:end:2]
    total = np.logaddexp.reduce(amounts, axis=1, keepdims=True)
    power = np.exp(log_gamma) * total
    v = theta.copy()
    v[:, 0] = np.logaddexp(theta[:, 0], power[:, 0])
    v[:, 1:end:2] = amounts + theta[:, 2:end:2] + log_gamma + power - total
    return v
