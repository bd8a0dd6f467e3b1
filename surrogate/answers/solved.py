"""The minimum of the fit, its refits and its draws, over a box in natural units."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from surrogate.answers import arrays, beyond, stability_edge
from surrogate.answers.checks import check_positive
from surrogate.answers.limits.unfitted import telling
from surrogate.answers.nearest import nearest_cell
from surrogate.answers.question import Question, Range
from surrogate.answers.results import (
    UNKNOWN,
    Certificate,
    Pair,
)
from surrogate.answers.stability_edge import Bounds
from surrogate.base.errors import Status
from surrogate.base.shapes import Bool, Float64
from surrogate.data.coordinates import CHOICES
from surrogate.families.forms import form
from surrogate.fitting.intervals import moves
from surrogate.fitting.model import CellRecord, Model
from surrogate.numerics.plateau_shape import Region

# Boxes of one question whose minima are kept: each holds a line a draw.
_MOST_KEPT = 32


@dataclass(frozen=True, eq=False)
class Solved:
    """The minimum of a fit, its leaves and its draws at one question, over one box.

    Attributes:
        question: where, and of which fit.
        box: natural units; equal ends hold a setting.
        known: settings that are given or that the fit lacks.
        bounds: of the search, coordinates u.
        thetas: the fit, then its leaves, then its draws.
        minimum: of each.
        beyond: what the law itself may be wrong by at the question.
    """

    question: Question
    box: Mapping[str, Range]
    known: Mapping[str, float]
    bounds: Bounds
    thetas: Float64[np.ndarray, "thetas p"]
    minimum: arrays.Minima
    beyond: beyond.Beyond
    _edges: dict[float, arrays.Edges] = field(
        init=False, repr=False, default_factory=dict
    )

    @property
    def fit(self) -> Model:
        """What was asked."""
        return self.question.fit

    def leaves(self, values: np.ndarray) -> np.ndarray:
        """Those of refits without a cell, of what has a line for each theta."""
        return values[1 : 1 + len(self.fit.leaves)]

    def draws(self, values: np.ndarray) -> np.ndarray:
        """Those of draws."""
        return values[1 + len(self.fit.leaves) :]

    @cached_property
    def moves(self) -> Float64[np.ndarray, "draws choices"]:
        """How far each draw's surface is moved: `intervals.moves` and `beyond`."""
        u = self.minimum.u
        leaves, draws = self.leaves(u), self.draws(u)
        steps = moves(u[0], leaves, draws, self.fit.freedom)
        return steps + self.beyond.moves

    @property
    def value(self) -> float:
        """Ln of the fit's own lowest loss, relative to its level."""
        return float(self.minimum.value[0])

    @cached_property
    def best(self) -> dict[str, float]:
        """Lr and batch of the fit's own minimum, natural units."""
        return settings(self.fit, self.minimum.u[0], self.known)

    def edges(self, tol: float) -> arrays.Edges:
        """The plateau's edges of every theta; kept."""
        if tol not in self._edges:
            low, high, cut = self.bounds.low, self.bounds.high, self.bounds.cut
            with np.errstate(all="ignore"):
                surfaces = form(self.fit.family, self.thetas, self.question.s)
            found = arrays.extents(surfaces, self.minimum, low, high, tol, cut)
            self._edges[tol] = found
        return self._edges[tol]

    def region(self, level: float) -> Region:
        """Where the fit's own ln loss is up to a level."""
        with np.errstate(all="ignore"):
            own = form(self.fit.family, self.fit.theta, self.question.s)
        box = self.bounds.low, self.bounds.high
        return Region(own, *box, np.asarray(level), self.bounds.cut)

    def log_losses(
        self, u: Float64[np.ndarray, "m choices"]
    ) -> Float64[np.ndarray, " m"]:
        """Ln loss of the fit itself, relative to its level."""
        z = arrays.points(u, self.question.s)
        return arrays.log_losses(self.fit.family, self.fit.theta[None], z)[0]

    def drawn_losses(
        self, u: Float64[np.ndarray, "m choices"]
    ) -> Float64[np.ndarray, "draws m"]:
        """Likewise of every draw, its surface moved."""
        z = arrays.points(u, self.question.s)
        thetas = self.draws(self.thetas)
        return arrays.log_losses(self.fit.family, thetas, z, self.moves)

    def drawn_regrets(
        self, u: Float64[np.ndarray, " choices"]
    ) -> Float64[np.ndarray, " draws"]:
        """The regret of a setting in every draw."""
        losses = self.drawn_losses(u[None])[:, 0]
        # Far up a wall that a draw puts elsewhere it is beyond all numbers.
        with np.errstate(over="ignore"):
            return np.expm1(losses - self.draws(self.minimum.value))

    @property
    def is_cut(self) -> bool:
        """Whether the fit's own minimum lies on the stability edge."""
        return bool(self.minimum.is_cut[0] or self.on_edge.any())

    @property
    def on_edge(self) -> Bool[np.ndarray, " choices"]:
        """Bounds that the fit's own minimum lies on and that are the stability edge."""
        bounds, u = self.bounds, self.minimum.u[0]
        is_upper = u - bounds.low > bounds.high - u
        sides = np.where(is_upper, bounds.is_edge[:, 1], bounds.is_edge[:, 0])
        return self.minimum.at_bound[0] & sides

    @property
    def status(self) -> Status:
        """How the minimisation, and the fit before it, went."""
        if not np.isfinite(self.value):
            return Status.no_optimum
        if not (self.fit.is_converged and self.minimum.converged[0]):
            return Status.not_converged
        is_bounded = (self.minimum.at_bound[0] & ~self.on_edge).any()
        return Status.at_bound if is_bounded else Status.ok

    @property
    def edge_warnings(self) -> tuple[str, ...]:
        """What the stability edge did to the answer."""
        return stability_edge.warnings_of(
            self.question, self.is_cut, self.bounds.is_beyond
        )


def solve_box(
    question: Question,
    box: Mapping[str, Range],
    known: Mapping[str, float] | None = None,
) -> Solved:
    """Minimise over a box in natural units; equal ends hold a setting.

    What was minimised for the same question is kept. `known` are settings that the fit
    lacks: divergence may depend on them.
    """
    key = tuple(sorted(box.items())), tuple(sorted((known or {}).items()))
    found = question.kept.get(key)
    if found is None:
        found = _solve(question, box, known or {})
        # Of very many boxes, each of a choice far out, the first ones.
        if len(question.kept) < _MOST_KEPT:
            question.kept[key] = found
    return found


def _solve(
    question: Question, box: Mapping[str, Range], known: Mapping[str, float]
) -> Solved:
    fit, bounds = question.fit, limits(question, box, known)
    thetas = fit.replicates
    minimum = arrays.minima(
        fit.family, thetas, question.s, bounds.low, bounds.high, bounds.cut
    )
    wrong = beyond.at(question)
    free = bounds.low < bounds.high
    wrong = wrong._replace(settings=wrong.settings * free, moves=wrong.moves * free)
    return Solved(question, {**box}, {**known}, bounds, thetas, minimum, wrong)


def limits(
    question: Question, box: Mapping[str, Range], known: Mapping[str, float]
) -> Bounds:
    """A box in natural units as bounds of u, cut by the stability edge."""
    features = question.fit.features
    low = features.u_of({name: ends[0] for name, ends in box.items()})
    high = features.u_of({name: ends[1] for name, ends in box.items()})
    return stability_edge.bounds(question, low, high, known)


def point_only(question: Question) -> Question:
    """The question put to the fit without what says how sure it is.

    For where only its answer is asked.
    """
    fit = question.fit
    return replace(
        question, fit=replace(fit, draws=fit.draws[:0], leaves=fit.leaves[:0])
    )


def settings(fit: Model, u: np.ndarray, known: Mapping[str, float]) -> dict[str, float]:
    """Lr and batch at u, natural units; `known` for what the fit does not see."""
    chosen = fit.features.from_u(u)
    found = dict(zip(fit.features.choices, chosen.tolist(), strict=True))
    return {name: known.get(name, found.get(name, math.nan)) for name in CHOICES}


def held_settings(lr: float | None, batch: float | None) -> dict[str, float]:
    """What was asked to be held, checked."""
    held = {"lr": lr, "batch": batch}
    for name, value in held.items():
        if value is not None:
            check_positive(name, value)
    return {name: value for name, value in held.items() if value is not None}


def choice_intervals(solved: Solved) -> dict[str, Pair]:
    """Intervals of the optimum's lr and batch, natural units."""
    fit, u = solved.fit, solved.minimum.u
    ends = fit.spans(u[0], solved.leaves(u))
    ends = beyond.widened(ends, solved.beyond.settings)
    intervals: dict[str, Pair] = dict.fromkeys(CHOICES, UNKNOWN)
    natural = fit.features.from_u(np.moveaxis(ends, -1, 0))
    for i, name in enumerate(fit.features.choices):
        intervals[name] = float(natural[0, i]), float(natural[1, i])
    return intervals


def loss_interval(solved: Solved) -> Pair:
    """Interval of the lowest loss [nats per token]."""
    fit, value = solved.fit, solved.minimum.value
    ends = fit.spans(value[0], solved.leaves(value))
    ends = beyond.widened(ends, solved.beyond.level)
    return loss_of(fit, ends[0]), loss_of(fit, ends[1])


def loss_of(fit: Model, value: float | np.ndarray) -> float:
    """Nats per token from ln loss relative to the level."""
    # Far below the fitted sizes a loss may be more than a float holds.
    with np.errstate(over="ignore"):
        return float(np.exp(value + fit.features.level))


def certificate(solved: Solved) -> Certificate:
    """Of the fit's own minimum, slopes and curvatures in ln and not in u."""
    least = arrays.Minima(*(array[0] for array in solved.minimum))
    scale = solved.fit.features.u_scale
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


def only_levels(fit: Model) -> dict[str, float]:
    """Settings that are the same in all fitted runs: answers are at those."""
    return {
        name: ends[0]
        for name, ends in fit.features.fitted.items()
        if name in CHOICES and ends[0] == ends[1]
    }


def nearest_level(question: Question, missing: str) -> float:
    """The middle value of a setting in the cell nearest to what is asked.

    Of the cells that tell the other setting, where there are some: a single run of its
    own batch does not tell which lr is best there.
    """
    fit = question.fit
    cells = telling(fit, missing, question.recipe) or fit.cells
    index = nearest_cell(cells, question)
    # A question's recipe is one of the fit's, and each of those has cells.
    assert index is not None
    return middle_level(cells[index], missing)


def middle_level(cell: CellRecord, name: str) -> float:
    """The middle value of a setting in a cell, the upper one of two."""
    levels = cell.levels(name)
    return levels[len(levels) // 2]
