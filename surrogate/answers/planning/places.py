"""The sizes at which runs could be made: those fitted, and doublings of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from surrogate.answers.planned import Wanted
from surrogate.answers.planning.target import (
    Target,
    lowest_at,
    shift_of,
)
from surrogate.base.defaults import ACTIVE
from surrogate.base.errors import DataError
from surrogate.base.shapes import Float64
from surrogate.base.units import format_count

FLOPS = 6.0
# Tokens a parameter, beyond those fitted and asked about.
_RATIO_ROOM = 2.0
_MOST_PLACES = 130
# Sizes that are one.
_SAME = 1e-3
# Parameters, tokens and further scale variables.
Size: TypeAlias = tuple[float, float, tuple[tuple[str, float], ...]]


@dataclass(frozen=True)
class Place:
    """A size at which runs could be made.

    Attributes:
        params: of it.
        tokens: of it.
        scales: further scale variables.
        s: the fit's coordinates.
        shift: [ln] of the optimum there against the nearest fitted size.
        best: [ln] the best settings there, by the fit.
        lowest: ln loss there, relative to the fit's level.
        is_new: no fitted run has this size.
    """

    params: float
    tokens: float
    scales: dict[str, float]
    s: Float64[np.ndarray, " g"]
    shift: Float64[np.ndarray, " choices"]
    best: Float64[np.ndarray, " choices"]
    lowest: float
    is_new: bool

    @property
    def flops(self) -> float:
        """Of one run, by the active parameters where the fit knows them."""
        return cost(self.params, self.tokens, self.scales)


def cost(params: float, tokens: float, scales: Mapping[str, float]) -> float:
    """FLOPs of training: 6 x parameters x tokens, active parameters where known."""
    active = next((scales[name] for name in ACTIVE if name in scales), params)
    return FLOPS * active * tokens


def places_of(target: Target, wanted: Wanted) -> list[Place]:
    """Sizes to consider: those fitted, and doublings of them up to the target's."""
    fit, question = target.fit, target.question
    fitted = {
        (cell.params, cell.tokens, tuple(cell.scales.items()))
        for cell in fit.cells
        if cell.recipe == question.recipe
    }
    asked = (question.params, question.tokens, tuple(question.scales.items()))
    models = {(params, scales) for params, _, scales in (*fitted, asked)}
    if not fit.scale_names:
        sizes = {size for size, _ in models}
        models |= {(size, ()) for size in doublings(sizes)}
    if wanted.max_params is not None:
        models = {each for each in models if each[0] <= wanted.max_params}
    tokens = {each[1] for each in (*fitted, asked)}
    tokens |= set(doublings(tokens))
    ratios = [each[1] / each[0] for each in (*fitted, asked)]
    low, high = min(ratios) / _RATIO_ROOM, max(ratios) * _RATIO_ROOM
    found = sorted(
        (cost(params, amount, dict(scales)), params, amount, scales)
        for params, scales in models
        for amount in tokens
        if low <= amount / params <= high or (params, amount, scales) in fitted
    )
    if not found:
        smallest = min(params for params, _, _ in fitted)
        raise DataError(
            f"Expected max_params of at least {format_count(smallest)}, the smallest "
            f"fitted, got {wanted.max_params:g}."
        )
    chosen = [found[0], *(each for each in found[1:] if each[0] <= wanted.most)]
    chosen = _thinned(chosen, fitted)
    return placed(target, wanted, [each[1:] for each in chosen], fitted)


def doublings(sizes: set[float]) -> list[float]:
    """Doublings of the smallest size up to the largest that are near none of them."""
    low, high = min(sizes), max(sizes)
    steps = [low * 2.0**k for k in range(1, 1 + math.floor(math.log2(high / low)))]
    typed = [float(f"{size:.2g}") for size in steps]
    # Beside a size that people have, a rounder one tells nothing more.
    return [t for t in typed if all(abs(math.log(t / s)) > 0.25 for s in sizes)]


def _thinned(found: list[tuple], fitted: set[Size]) -> list[tuple]:
    """At most so many places, evenly over cost, those fitted first."""
    if len(found) <= _MOST_PLACES:
        return found
    own = [each for each in found if each[1:] in fitted][:_MOST_PLACES]
    other = [each for each in found if each[1:] not in fitted]
    picked = np.linspace(0, len(other) - 1, _MOST_PLACES - len(own)).round()
    return sorted({*own, *(other[int(k)] for k in np.unique(picked))})


def placed(
    target: Target, wanted: Wanted, sizes: Sequence[Size], fitted: set[Size]
) -> list[Place]:
    """Sizes with the fit's best settings at each.

    Args:
        target: whose fit.
        wanted: names the law that carries where the runs tell nothing.
        sizes: of the places.
        fitted: sizes of fitted runs.
    """
    fit, count = target.fit, len(target.shift)
    questions = [
        target.question.at(params, tokens, dict(scales))
        for params, tokens, scales in sizes
    ]
    s = np.array([question.s for question in questions])
    lowest, u = lowest_at(target.question, s)
    mean = np.asarray(fit.features.mean[:count])
    shifts = [shift_of(question, wanted.transfer) for question in questions]
    return [
        Place(
            params=question.params,
            tokens=question.tokens,
            scales=question.scales,
            s=question.s,
            shift=shift,
            best=u[k] * fit.features.u_scale + mean + shift,
            lowest=float(lowest[k]),
            is_new=not any(_is_same(size, other) for other in fitted),
        )
        for k, (question, shift, size) in enumerate(
            zip(questions, shifts, sizes, strict=True)
        )
    ]


def _is_same(size: Size, other: Size) -> bool:
    near = [
        abs(math.log(a / b)) < _SAME for a, b in zip(size[:2], other[:2], strict=True)
    ]
    return all(near) and dict(size[2]) == dict(other[2])
