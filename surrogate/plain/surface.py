"""Ln loss over (x, y), the standardised lr and batch, with derivatives, in NumPy.

Every family is, at given scales, a constant, a quadratic, or a log or plain sum of
exponentials of affine functions: its coefficients there are computed once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from jaxtyping import Float64

from surrogate.families import Bowl, Family, Mix, Posynomial, Quadratic
from surrogate.plain.curved import forms_of
from surrogate.plain.least_squares import features
from surrogate.solve import Local

Surface: TypeAlias = Callable[[np.ndarray, np.ndarray], Local]
"""Ln loss and its derivatives at x and y, [problems, places] each."""


def surfaces(
    family: Family, theta: Float64[np.ndarray, "R p"], s: Float64[np.ndarray, "C g"]
) -> Surface:
    """Of every theta at every s; y is 0 where there is one choice."""
    if isinstance(family, Quadratic):
        return _quadratic(family, theta, s)
    if isinstance(family, Mix):
        parts = [surfaces(member, t, s) for member, t in _members(family, theta)]
        return _mean(theta[:, : len(parts), None], parts)
    assert isinstance(family, Bowl | Posynomial)
    return _exponentials(family, theta, s)


def log_losses(
    family: Family, theta: Float64[np.ndarray, "R p"], z: Float64[np.ndarray, "n k"]
) -> Float64[np.ndarray, "R n"]:
    """`Family.log_losses` of many thetas."""
    if isinstance(family, Quadratic):
        return theta @ features(family, z).T
    if isinstance(family, Mix):
        parts = [log_losses(member, t, z) for member, t in _members(family, theta)]
        return np.sum(theta[:, : len(parts)].T[:, :, None] * np.stack(parts), axis=0)
    assert isinstance(family, Bowl | Posynomial)
    ones = np.ones((len(z), 1))
    with np.errstate(all="ignore"):
        return _of_points(family, theta, np.concatenate([ones, z], axis=1))


def _of_points(
    family: Bowl | Posynomial, theta: np.ndarray, rows: np.ndarray
) -> np.ndarray:
    terms = _matrix(family, theta) @ rows.T
    level = _level(family, terms)
    inner = family.shape.choices + family.shape.scales
    return level + theta[:, family.free :] @ rows[:, 1 + inner :].T


def _members(
    family: Mix, theta: Float64[np.ndarray, "R p"]
) -> list[tuple[Family, np.ndarray]]:
    ends = np.cumsum([len(family.members), *(m.size for m in family.members)])
    return [
        (member, theta[:, begin:end])
        for member, begin, end in zip(family.members, ends, ends[1:], strict=False)
    ]


def _mean(weights: np.ndarray, parts: list[Surface]) -> Surface:
    def local(x: np.ndarray, y: np.ndarray) -> Local:
        found = [part(x, y) for part in parts]
        return Local(
            *(
                sum(weights[:, i] * value for i, value in enumerate(values))
                for values in zip(*found, strict=True)
            )
        )

    return local


def _quadratic(family: Quadratic, theta: np.ndarray, s: np.ndarray) -> Surface:
    """By the values at six points, which are exact but for rounding."""
    choices = family.shape.choices

    def at(x: int, y: int) -> np.ndarray:
        u = np.broadcast_to(np.array([x, y])[:choices], (len(s), choices))
        return theta @ features(family, np.concatenate([u, s], axis=1)).T

    middle = at(0, 0)
    gx, hxx = 0.5 * (at(1, 0) - at(-1, 0)), at(1, 0) + at(-1, 0) - 2 * middle
    gy, hyy, hxy = (np.zeros_like(middle) for _ in range(3))
    if choices == 2:
        gy, hyy = 0.5 * (at(0, 1) - at(0, -1)), at(0, 1) + at(0, -1) - 2 * middle
        hxy = at(1, 1) - at(1, 0) - at(0, 1) + middle

    def local(x: np.ndarray, y: np.ndarray) -> Local:
        slope_x, slope_y = gx + hxx * x + hxy * y, gy + hxy * x + hyy * y
        value = middle + 0.5 * ((gx + slope_x) * x + (gy + slope_y) * y)
        return Local(value, slope_x, slope_y, hxx, hxy, hyy)

    return local


def _matrix(
    family: Bowl | Posynomial, theta: np.ndarray
) -> Float64[np.ndarray, "R t d"]:
    pattern = family.pattern
    matrix = np.zeros((len(theta), pattern.terms, pattern.coordinates))
    coefficients = forms_of(family).coefficients(theta).value
    matrix[:, np.array(pattern.term), np.array(pattern.coordinate)] = coefficients
    return matrix


def _level(
    family: Bowl | Posynomial, terms: Float64[np.ndarray, "R t n"]
) -> np.ndarray:
    if isinstance(family, Posynomial):
        return np.logaddexp.reduce(terms, axis=1)
    inner = terms.shape[1] - family.shape.choices - 2
    law = family.law.level(terms[:, :inner].transpose(1, 0, 2))
    added = np.exp(terms[:, inner:])
    return law - added[:, 0] + added[:, 1:].sum(axis=1)


def _exponentials(
    family: Bowl | Posynomial, theta: np.ndarray, s: np.ndarray
) -> Surface:
    choices, scales, _ = family.shape
    matrix = _matrix(family, theta)
    constant = matrix[:, :, :1] + matrix[:, :, 1 + choices :] @ s.T
    ax = matrix[:, :, 1, None]
    ay = matrix[:, :, 2, None] if choices == 2 else np.zeros_like(ax)
    base = theta[:, family.free :] @ s[:, scales:].T
    is_sum = isinstance(family, Posynomial)
    if not is_sum:
        # The walls alone depend on u.
        inner = constant.shape[1] - choices - 1
        base = base + _level(
            family,
            np.where(np.arange(constant.shape[1])[:, None] < inner, constant, -np.inf),
        )
        constant, ax, ay = constant[:, inner:], ax[:, inner:], ay[:, inner:]

    def local(x: np.ndarray, y: np.ndarray) -> Local:
        exponents = constant + ax * x[:, None] + ay * y[:, None]
        top = exponents.max(axis=1, keepdims=True) if is_sum else np.zeros(1)
        part = np.exp(exponents - top)
        total = part.sum(axis=1)
        if is_sum:
            part = part / total[:, None]
        gx, gy = (part * ax).sum(axis=1), (part * ay).sum(axis=1)
        hxx, hxy, hyy = (
            (part * left * right).sum(axis=1)
            for left, right in ((ax, ax), (ax, ay), (ay, ay))
        )
        if not is_sum:
            return Local(base + total, gx, gy, hxx, hxy, hyy)
        value = base + np.log(total) + top[:, 0]
        return Local(value, gx, gy, hxx - gx * gx, hxy - gx * gy, hyy - gy * gy)

    return local
