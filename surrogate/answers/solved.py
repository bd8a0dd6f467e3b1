"""The minimum of the fit, its refits and its draws, over a box in natural units."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float64

from surrogate.answers import beyond, stability_edge, surface
from surrogate.answers.limits.sides import Side, opened, sides
from surrogate.answers.nearest import nearest_cell
from surrogate.answers.question import Question, Range, check_positive
from surrogate.answers.results import (
    UNKNOWN,
    Certificate,
    Pair,
)
from surrogate.answers.stability_edge import Bounds
from surrogate.base.errors import Status
from surrogate.data.coordinates import CHOICES, WIDEN
from surrogate.fitting import intervals as uncertainty
from surrogate.fitting.model import CellRecord, Model


@dataclass(frozen=True)
class Solved:
    """The minimum of the fit, its leaves and its draws over one box.

    Attributes:
        bounds: of the search, coordinates u.
        thetas: the fit, then its leaves, then its draws.
        minimum: of each.
        cells: how many leaves there are.
        freedom: as of the fit.
        beyond: what the law itself may be wrong by at the question.
    """

    bounds: Bounds
    thetas: Float64[np.ndarray, "thetas p"]
    minimum: surface.Minima
    cells: int
    freedom: int | None
    beyond: beyond.Beyond

    def leaves(self, values: np.ndarray) -> np.ndarray:
        """Those of refits without a cell, of what has a line for each theta."""
        return values[1 : 1 + self.cells]

    def draws(self, values: np.ndarray) -> np.ndarray:
        """Those of draws."""
        return values[1 + self.cells :]

    @cached_property
    def moves(self) -> Float64[np.ndarray, "draws choices"]:
        """How far each draw's surface is moved: `intervals.moves` and `beyond`."""
        u = self.minimum.u
        leaves, draws = self.leaves(u), self.draws(u)
        steps = uncertainty.moves(u[0], leaves, draws, self.freedom)
        return steps + self.beyond.moves


def solve_box(
    fit: Model,
    question: Question,
    box: Mapping[str, Range],
    known: Mapping[str, float] | None = None,
) -> Solved:
    """Minimise over a box in natural units; equal ends hold a setting.

    `known` are settings that the fit lacks: divergence may depend on them.
    """
    bounds = limits(fit, question, box, known)
    thetas = np.concatenate([fit.theta[None], fit.leaves, fit.draws])
    minimum = surface.minima(
        fit.family, thetas, question.s, bounds.low, bounds.high, bounds.cut
    )
    wrong = beyond.at(fit, question)
    free = bounds.low < bounds.high
    wrong = wrong._replace(settings=wrong.settings * free, moves=wrong.moves * free)
    return Solved(bounds, thetas, minimum, len(fit.leaves), fit.freedom, wrong)


def limits(
    fit: Model,
    question: Question,
    box: Mapping[str, Range],
    known: Mapping[str, float] | None = None,
) -> Bounds:
    """A box in natural units as bounds of u, cut by the stability edge."""
    low = fit.features.u_of({name: ends[0] for name, ends in box.items()})
    high = fit.features.u_of({name: ends[1] for name, ends in box.items()})
    return stability_edge.bounds(fit, question, low, high, known or {})


def point_only(fit: Model) -> Model:
    """The fit without what says how sure it is, where only its answer is asked."""
    return replace(fit, draws=fit.draws[:0], leaves=fit.leaves[:0])


def settings(fit: Model, u: np.ndarray, known: Mapping[str, float]) -> dict[str, float]:
    """Lr and batch at u, natural units; `known` for what the fit does not see."""
    chosen = fit.features.from_u(u)
    found = dict(zip(fit.features.choices, chosen.tolist(), strict=True))
    return {name: known.get(name, found.get(name, math.nan)) for name in CHOICES}


def solve_sides(
    fit: Model, question: Question, box: Mapping[str, Range], held: Mapping[str, float]
) -> tuple[Solved, dict[str, Side], dict[str, Pair]]:
    """Minimise, kept to what was tried where the best lies beyond it.

    Returns:
        The minimum, the settings of which one side only is told, and intervals of all,
        open where nothing was tried.
    """
    solved = solve_box(fit, question, box, held)
    best = settings(fit, solved.minimum.u[0], held)
    intervals = choice_intervals(fit, solved)
    free = {n: v for n, v in held.items() if n in fit.features.choices}
    found: dict[str, Side] = {}
    if np.isfinite(solved.minimum.value[0]):
        found = sides(fit, question, best, intervals, free)
    asked = {n for n in CHOICES if question.box[n] != default_box(fit, n)}
    found = {name: side for name, side in found.items() if name not in asked}
    for name in fit.features.choices:
        intervals[name] = opened(fit, question, name, best[name], intervals[name])
    if found:
        kept = {name: (side.at, side.at) for name, side in found.items()}
        solved = solve_box(fit, question, {**box, **kept}, held)
        again = choice_intervals(fit, solved)
        for name in fit.features.choices:
            intervals[name] = again[name]
        for name, side in found.items():
            above = side.side == "above"
            than = side.than
            intervals[name] = (than, math.nan) if above else (math.nan, than)
    return solved, found, intervals


def default_box(fit: Model, name: str) -> Range:
    """Where a setting is sought by default: the fitted range, widened."""
    low, high = fit.features.fitted[name]
    return low / WIDEN, high * WIDEN


def is_cut(solved: Solved) -> bool:
    """Whether the fit's own minimum lies on the stability edge."""
    return bool(solved.minimum.is_cut[0] or _on_edge(solved).any())


def _on_edge(solved: Solved) -> Bool[np.ndarray, " choices"]:
    """Bounds that the fit's own minimum lies on and that are the stability edge."""
    bounds, u = solved.bounds, solved.minimum.u[0]
    is_upper = u - bounds.low > bounds.high - u
    sides = np.where(is_upper, bounds.is_edge[:, 1], bounds.is_edge[:, 0])
    return solved.minimum.at_bound[0] & sides


def held_settings(
    fit: Model, lr: float | None, batch: float | None
) -> dict[str, float]:
    """What was asked to be held, checked."""
    held = {"lr": lr, "batch": batch}
    for name, value in held.items():
        if value is not None:
            check_positive(name, value)
    return {name: value for name, value in held.items() if value is not None}


def choice_intervals(fit: Model, solved: Solved) -> dict[str, Pair]:
    """Intervals of the optimum's lr and batch, natural units."""
    u = solved.minimum.u
    ends = fit.spans(u[0], solved.leaves(u))
    ends = beyond.widened(ends, solved.beyond.settings)
    intervals: dict[str, Pair] = dict.fromkeys(CHOICES, UNKNOWN)
    natural = fit.features.from_u(np.moveaxis(ends, -1, 0))
    for i, name in enumerate(fit.features.choices):
        intervals[name] = float(natural[0, i]), float(natural[1, i])
    return intervals


def loss_interval(fit: Model, solved: Solved) -> Pair:
    """Interval of the lowest loss [nats per token]."""
    value = solved.minimum.value
    ends = fit.spans(value[0], solved.leaves(value))
    ends = beyond.widened(ends, solved.beyond.level)
    return loss_of(fit, ends[0]), loss_of(fit, ends[1])


def loss_of(fit: Model, value: float | np.ndarray) -> float:
    """Nats per token from ln loss relative to the level."""
    # Far below the fitted sizes a loss may be more than a float holds.
    with np.errstate(over="ignore"):
        return float(np.exp(value + fit.features.level))


def certificate(fit: Model, solved: Solved) -> Certificate:
    """Of the fit's own minimum, slopes and curvatures in ln and not in u."""
    least = surface.Minima(*(array[0] for array in solved.minimum))
    scale = fit.features.u_scale
    free = (solved.bounds.low < solved.bounds.high) & ~least.at_bound
    slope = np.where(free, least.gradient / scale, 0.0)
    cut = solved.bounds.cut
    if cut is not None and least.is_cut:
        # What pushes against the stability edge is no gradient either.
        along = np.array([-cut.normal[1], cut.normal[0]]) * scale
        slope = along * (slope @ along) / (along @ along)
    hessian = least.hessian / np.outer(scale, scale)
    values = (
        np.linalg.eigvalsh(hessian)
        if np.isfinite(hessian).all()
        else np.full(len(scale), np.nan)
    )
    return Certificate(
        gradient_norm=float(np.linalg.norm(slope)),
        gap=float(least.gap),
        hessian_eigenvalues=tuple(values.tolist()),
    )


def state(fit: Model, solved: Solved) -> Status:
    """How the minimisation, and the fit before it, went."""
    if not np.isfinite(solved.minimum.value[0]):
        return Status.no_optimum
    if not (fit.is_converged and solved.minimum.converged[0]):
        return Status.not_converged
    is_bounded = (solved.minimum.at_bound[0] & ~_on_edge(solved)).any()
    return Status.at_bound if is_bounded else Status.ok


def only_levels(fit: Model) -> dict[str, float]:
    """Settings that are the same in all fitted runs: answers are at those."""
    return {
        name: ends[0]
        for name, ends in fit.features.fitted.items()
        if name in CHOICES and ends[0] == ends[1]
    }


def nearest_level(fit: Model, question: Question, missing: str) -> float:
    """The middle value of a setting in the cell nearest to what is asked."""
    index = nearest_cell(fit.cells, question)
    # A question's recipe is one of the fit's, and each of those has cells.
    assert index is not None
    return middle_level(fit.cells[index], missing)


def middle_level(cell: CellRecord, name: str) -> float:
    """The middle value of a setting in a cell, the upper one of two."""
    levels = cell.lr if name == "lr" else cell.batch
    return levels[len(levels) // 2]
