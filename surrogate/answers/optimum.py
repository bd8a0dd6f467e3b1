"""The optimum, and what every answer says of its question."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float64

from surrogate.answers import beyond, neighbours, stability_edge, surface
from surrogate.answers.decision.document import Decision, Deferred, Limits
from surrogate.answers.fit import CellRecord, Fit, Range
from surrogate.answers.limits import levels
from surrogate.answers.limits.measured import best_measured
from surrogate.answers.limits.sides import (
    Side,
    opened,
    say,
    say_open,
    sides,
    unclear,
)
from surrogate.answers.limits.unfitted import unfitted
from surrogate.answers.limits.unstable import (
    p_max_warnings,
    setting_warnings,
    unstable_near,
)
from surrogate.answers.nearest import nearest_cell
from surrogate.answers.question import Question, check_positive
from surrogate.answers.results import (
    UNKNOWN,
    Certificate,
    Context,
    Optimum,
    Pair,
)
from surrogate.answers.stability_edge import Bounds
from surrogate.base.defaults import PROBABILITY, TOL
from surrogate.base.errors import DataError, Status
from surrogate.base.units import (
    format_count,
    format_lr,
    format_tokens_exact,
)
from surrogate.data.advice import count
from surrogate.data.coordinates import CHOICES, WIDEN
from surrogate.fitting import intervals as uncertainty

# A batch this far below the smallest fitted one was probably given in sequences.
_FEW_TOKENS = 1 / 16
_POINT = np.ones(1)


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
        """How far each draw's surface is moved: `uncertainty.moves` and `beyond`."""
        u = self.minimum.u
        leaves, draws = self.leaves(u), self.draws(u)
        steps = uncertainty.moves(u[0], leaves, draws, self.freedom)
        return steps + self.beyond.moves


def solve_box(
    fit: Fit,
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
    fit: Fit,
    question: Question,
    box: Mapping[str, Range],
    known: Mapping[str, float] | None = None,
) -> Bounds:
    """A box in natural units as bounds of u, cut by the stability edge."""
    low = fit.features.u_of({name: ends[0] for name, ends in box.items()})
    high = fit.features.u_of({name: ends[1] for name, ends in box.items()})
    return stability_edge.bounds(fit, question, low, high, known or {})


def point_only(fit: Fit) -> Fit:
    """The fit without what says how sure it is, where only its answer is asked."""
    return replace(fit, draws=fit.draws[:0], leaves=fit.leaves[:0])


def settings(fit: Fit, u: np.ndarray, known: Mapping[str, float]) -> dict[str, float]:
    """Lr and batch at u, natural units; `known` for what the fit does not see."""
    chosen = fit.features.from_u(u)
    found = dict(zip(fit.features.choices, chosen.tolist(), strict=True))
    return {name: known.get(name, found.get(name, math.nan)) for name in CHOICES}


def optimum(
    fit: Fit,
    question: Question,
    *,
    batch: float | None = None,
    lr: float | None = None,
    batch_multiple: float | None = None,
    limits: Limits | None = None,
) -> Optimum:
    """The lowest loss over the box, or along a held lr or batch."""
    held = held_settings(fit, lr, batch)
    if len(held) == len(CHOICES):
        raise DataError(
            "Expected at most one of lr and batch, got both, so nothing is left to "
            "choose. Ask for the regret of the pair."
        )
    if batch_multiple is not None:
        check_positive("batch_multiple", batch_multiple)
        if "batch" in held:
            raise DataError(
                "Expected batch_multiple or a batch, got both. Leave one of them out."
            )
    is_bounded = False
    unknown = unfitted(fit, question)
    if unknown is not None:
        return refused(fit, question, unknown)
    _check_choice(fit, held)
    held = only_levels(fit) | held
    box = question.box | {name: (value, value) for name, value in held.items()}
    why = not_told(fit, held)
    if why:
        return refused(fit, question, *offer(fit, question, why, held))
    if batch_multiple is not None:
        value, is_bounded = _multiple(fit, question, box, batch_multiple)
        held = held | {"batch": value}
        box = box | {"batch": (value, value)}
    solved, one_sided, intervals = solve_sides(fit, question, box, held)
    best = settings(fit, solved.minimum.u[0], held)
    best |= {name: side.at for name, side in one_sided.items()}
    for name in held:
        intervals[name] = UNKNOWN
    unsure = tuple(
        text
        for name in fit.features.choices
        if name not in one_sided and name not in held
        for text in say_open(fit, question, name, best[name], intervals[name])
    )
    status = state(fit, solved)
    if status is Status.ok and (is_bounded or one_sided):
        status = Status.at_bound
    extra = stability_edge.warnings_of(
        question, is_cut(solved), solved.bounds.is_beyond
    )
    extra += tuple(say(name, side) for name, side in one_sided.items()) + unsure
    context = context_of(fit, question, best, status, held, extra, one_sided)
    told = answered(
        *(fit, question, solved, box, held, one_sided, context.distance),
        limits=limits,
        of="suggestion",
    )
    return Optimum(
        context=context,
        lr=best["lr"],
        batch=best["batch"],
        loss=loss_of(fit, solved.minimum.value[0]),
        level=uncertainty.LEVEL,
        lr_interval=intervals["lr"],
        batch_interval=intervals["batch"],
        loss_interval=loss_interval(fit, solved),
        certificate=certificate(fit, solved),
        stability=stability_edge.risk(fit, question, best),
        deferred=told,
    )


def answered(
    fit: Fit,
    question: Question,
    solved: Solved,
    box: Mapping[str, Range],
    known: Mapping[str, float],
    one_sided: Mapping[str, Side],
    distance: float,
    *,
    of: str,
    limits: Limits | None = None,
    tol: float = TOL,
    probability: float = PROBABILITY,
    choice: Mapping[str, float] | None = None,
    edges: surface.Edges | None = None,
) -> Deferred:
    """The decision of an answer, to be made when it is looked at: `decide.Answered`."""

    def make() -> Decision:
        from surrogate.answers.decision import decide

        # The box of a regret reaches from the last value tried to the choice.
        held = {} if choice else one_sided
        kept = {name: (side.at, side.at) for name, side in held.items()}
        return decide.decide(
            decide.Answered(
                *(fit, question, solved, {**box, **kept}, known, tol, probability),
                *(limits or Limits(), distance, of, choice, one_sided, edges),
            )
        )

    return Deferred(make)


def undecided(
    fit: Fit, question: Question, of: str, why: str, distance: float
) -> Deferred:
    """The decision of an answer that has no number."""

    def make() -> Decision:
        from surrogate.answers.decision import decide

        return decide.nothing(fit, question, of, why, distance)

    return Deferred(make)


def _check_choice(fit: Fit, held: Mapping[str, float]) -> None:
    """Refuse to hold one setting where all runs share the other.

    Raises:
        DataError: nothing is left to choose.
    """
    for name, level in only_levels(fit).items():
        other = "lr" if name == "batch" else "batch"
        if other in held and name not in held:
            shared = f"lr {level:.3g}"
            if name == "batch":
                shared = f"a batch of {level:,.0f} tokens"
            raise DataError(
                f"Expected no {other}, since all fitted runs have {shared}, so that "
                "nothing is left to choose: leave it out, or ask for the regret of "
                "the pair."
            )


def not_told(fit: Fit, held: Mapping[str, float]) -> dict[str, str]:
    """The settings of which the runs show no best value, and why; "" if not fitted."""
    free = [name for name in CHOICES if name not in held]
    why = {n: unclear(fit, n) if n in fit.features.choices else "" for n in free}
    return {name: text for name, text in why.items() if text is not None}


def offer(
    fit: Fit, question: Question, why: Mapping[str, str], held: Mapping[str, float]
) -> tuple[str, dict[str, float] | None]:
    """Why nothing is answered, and what the other setting's best would be."""
    is_held = any(name in held for name in CHOICES) and all(why.values())
    if len(why) == len(CHOICES) or is_held:
        # No surface tells anything: a measured level is all there is.
        texts = [text for text in why.values() if text]
        found = best_measured(fit, question, why, held)
        if found is None:
            return " ".join(texts), None
        return " ".join([*texts, str(found)]), found.settings
    only = point_only(fit)
    (name, text), *_ = why.items()
    offered = _offered(fit, question, name)
    if not text:
        return refusal(name, offered), offered
    other = "lr" if name == "batch" else "batch"
    box = question.box | {name: (offered[name], offered[name])}
    known = only_levels(fit) | {name: offered[name]}
    _, one_sided, _ = solve_sides(only, question, box, known)
    said = [f" {say(part, side)}" for part, side in one_sided.items()]
    return (
        f"{text} What they can tell: {setting(other, offered)} at "
        f"{setting(name, offered)}; hold it with --{name}." + "".join(said),
        offered,
    )


def solve_sides(
    fit: Fit, question: Question, box: Mapping[str, Range], held: Mapping[str, float]
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
    asked = {n for n in CHOICES if question.box[n] != _default(fit, n)}
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


def _default(fit: Fit, name: str) -> Range:
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


def held_settings(fit: Fit, lr: float | None, batch: float | None) -> dict[str, float]:
    """What was asked to be held, checked."""
    held = {"lr": lr, "batch": batch}
    for name, value in held.items():
        if value is not None:
            check_positive(name, value)
    return {name: value for name, value in held.items() if value is not None}


def _multiple(
    fit: Fit, question: Question, box: Mapping[str, Range], multiple: float
) -> tuple[float, bool]:
    """The multiple of lowest loss, and whether the box keeps the batch from a lower.

    Along batch the minimum over lr is convex, so the multiple is a neighbour of the
    free optimum.
    """
    only = point_only(fit)
    least = solve_box(only, question, box).minimum
    free = settings(fit, least.u[0], {})["batch"]
    low, high = box["batch"]
    near = (math.floor(free / multiple), math.ceil(free / multiple))
    usable = sorted({max(n, 1) * multiple for n in near})
    usable = [value for value in usable if low <= value <= high]
    if not usable:
        raise DataError(
            f"Expected a multiple of {multiple:g} tokens between {low:g} and {high:g}, "
            "and there is none near the optimum. Use a smaller multiple or a wider "
            "--batch-range."
        )
    values = [
        solve_box(only, question, {**box, "batch": (value, value)}).minimum.value[0]
        for value in usable
    ]
    is_bounded = bool(least.at_bound[0, fit.features.choices.index("batch")])
    return usable[int(np.argmin(values))], is_bounded


def choice_intervals(fit: Fit, solved: Solved) -> dict[str, Pair]:
    """Intervals of the optimum's lr and batch, natural units."""
    u = solved.minimum.u
    ends = fit.spans(u[0], solved.leaves(u))
    ends = beyond.widened(ends, solved.beyond.settings)
    intervals: dict[str, Pair] = dict.fromkeys(CHOICES, UNKNOWN)
    natural = fit.features.from_u(np.moveaxis(ends, -1, 0))
    for i, name in enumerate(fit.features.choices):
        intervals[name] = float(natural[0, i]), float(natural[1, i])
    return intervals


def loss_interval(fit: Fit, solved: Solved) -> Pair:
    """Interval of the lowest loss [nats per token]."""
    value = solved.minimum.value
    ends = fit.spans(value[0], solved.leaves(value))
    ends = beyond.widened(ends, solved.beyond.level)
    return loss_of(fit, ends[0]), loss_of(fit, ends[1])


def loss_of(fit: Fit, value: float | np.ndarray) -> float:
    """Nats per token from ln loss relative to the level."""
    # Far below the fitted sizes a loss may be more than a float holds.
    with np.errstate(over="ignore"):
        return float(np.exp(value + fit.features.level))


def certificate(fit: Fit, solved: Solved) -> Certificate:
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


def state(fit: Fit, solved: Solved) -> Status:
    """How the minimisation, and the fit before it, went."""
    if not np.isfinite(solved.minimum.value[0]):
        return Status.no_optimum
    if not (fit.is_converged and solved.minimum.converged[0]):
        return Status.not_converged
    is_bounded = (solved.minimum.at_bound[0] & ~_on_edge(solved)).any()
    return Status.at_bound if is_bounded else Status.ok


def context_of(
    fit: Fit,
    question: Question,
    best: Mapping[str, float],
    status: Status,
    held: Mapping[str, float] | None = None,
    extra: tuple[str, ...] = (),
    one_sided: Mapping[str, Side] | None = None,
) -> Context:
    """The keys that all answers share, with distance and warnings."""
    chosen = {n: v * _POINT for n, v in best.items() if math.isfinite(v)}
    asked = {"params": question.params, "tokens": question.tokens, **question.scales}
    sizes = {name: value * _POINT for name, value in asked.items()}
    distance = float(levels.distance(fit, sizes, chosen)[0])
    warnings = [*question.warnings, *extra]
    where = sizes, np.array([question.recipe])
    is_inside = bool(neighbours.inside(fit, *where, np.array([distance]))[0])
    if not is_inside:
        near = int(neighbours.cells_near(fit, *where)[0])
        warnings.append(neighbours.outside_warning(distance, near))
    if status is Status.at_bound and not one_sided:
        warnings.append(
            "The lowest loss lies on the edge of the box that was searched, so the "
            "optimum may lie beyond it: widen --lr-range or --batch-range, or add runs "
            "there."
        )
    if status is Status.not_converged and not fit.is_converged:
        warnings.append("The fit had not converged: fit again with another --seed.")
    warnings += interval_warnings(fit)
    level = only_levels(fit).get("lr")
    if level is not None:
        warnings.append(
            f"All fitted runs have lr {level:.3g}: the answer is at that lr, and "
            "nothing tells whether another is better."
        )
    warnings += batch_warnings(fit, (held or {}).get("batch"))
    near = unstable_near(fit, question, best)
    warnings += setting_warnings(best.get("lr", math.nan), near)
    warnings += p_max_warnings(fit, question)
    return Context(
        params=float(question.params),
        tokens=float(question.tokens),
        scales=dict(question.scales),
        recipe=question.recipe or None,
        family=fit.family.name,
        loss_kind=fit.loss_kind,
        **surface.ran(),
        inside=is_inside,
        distance=distance,
        status=status,
        warnings=tuple(warnings),
        interval_unit=fit.unit,
        loss_unit=fit.loss_unit,
        one_sided={n: side.to_json() for n, side in (one_sided or {}).items()},
        unstable=near.to_json() if near else None,
        is_box_given=any(question.box[n] != _default(fit, n) for n in CHOICES),
    )


def interval_warnings(fit: Fit) -> list[str]:
    """Why there are no intervals, where there are none."""
    cells = fit.fitted_cells
    if fit.freedom is not None and cells < uncertainty.MIN_CELLS:
        return [
            f"{count(cells, 'cell')}: intervals are over runs ({fit.freedom} degrees "
            "of freedom), the weaker kind: how cells differ is taken from released "
            "sweeps."
        ]
    if fit.freedom is not None:
        return []
    if len(fit.leaves):
        return []
    if cells >= uncertainty.MIN_CELLS:
        return [f"No intervals: the fit has {cells} cells and no draws."]
    return [
        f"No intervals: {count(cells, 'cell')}, and too few runs in them, or no draws."
    ]


def batch_warnings(fit: Fit, batch: float | None) -> list[str]:
    """Whether a batch that was given looks like sequences, or the fit cannot see it."""
    if batch is None:
        return []
    warnings = []
    low, high = fit.features.fitted["batch"]
    if batch < low * _FEW_TOKENS:
        warnings.append(
            f"A batch of {batch:,.0f} tokens is under 1/16 of the smallest fitted one "
            f"({low:,.0f} tokens). Were sequences meant? Give tokens, or sequences x "
            "length such as 256x2048."
        )
    if "batch" not in fit.features.choices:
        warnings.append(
            f"All fitted runs have a batch of {low:,.0f} tokens: the answer is at that "
            "batch, and nothing tells whether another is better."
            if low == high
            else "In the fitted runs batch does not vary inside any cell "
            f"({format_count(low)} to {format_count(high)} tokens), so its effect is "
            "not known: the answer holds at the runs' own batch."
        )
    return warnings


def only_levels(fit: Fit) -> dict[str, float]:
    """Settings that are the same in all fitted runs: answers are at those."""
    return {
        name: ends[0]
        for name, ends in fit.features.fitted.items()
        if name in CHOICES and ends[0] == ends[1]
    }


def nearest_level(fit: Fit, question: Question, missing: str) -> float:
    """The middle value of a setting in the cell nearest to what is asked."""
    index = nearest_cell(fit.cells, question)
    # A question's recipe is one of the fit's, and each of those has cells.
    assert index is not None
    return middle_level(fit.cells[index], missing)


def middle_level(cell: CellRecord, name: str) -> float:
    """The middle value of a setting in a cell, the upper one of two."""
    levels = cell.lr if name == "lr" else cell.batch
    return levels[len(levels) // 2]


def refusal(missing: str, offered: Mapping[str, float]) -> str:
    """Why there is no optimum over a setting, and what can be had instead."""
    other = "lr" if missing == "batch" else "batch"
    return (
        f"In the fitted runs {missing} does not vary inside any cell, so they cannot "
        f"tell an optimum over it. What they can tell: {setting(other, offered)} at "
        f"{setting(missing, offered)}. Hold it with --{missing}, or add runs with at "
        f"least 3 values of {missing} at one params and tokens."
    )


def setting(name: str, settings: Mapping[str, float]) -> str:
    """One setting for people."""
    value = settings[name]
    if name == "lr":
        return f"lr {format_lr(value)}"
    return f"batch {format_tokens_exact(round(value))} tokens"


def _offered(fit: Fit, question: Question, missing: str) -> dict[str, float]:
    """The best setting where the missing one is the nearest cell's own."""
    level = nearest_level(fit, question, missing)
    known = only_levels(fit) | {missing: level}
    box = question.box
    if missing in fit.features.choices:
        box = box | {missing: (level, level)}
    solved, _, _ = solve_sides(point_only(fit), question, box, known)
    return settings(fit, solved.minimum.u[0], known)


def refused(
    fit: Fit, question: Question, why: str, offered: dict[str, float] | None = None
) -> Optimum:
    """No number but what is offered, and why."""
    context = context_of(fit, question, {}, Status.not_identifiable, extra=(why,))
    return Optimum(
        context=context,
        lr=math.nan,
        batch=math.nan,
        loss=math.nan,
        level=uncertainty.LEVEL,
        lr_interval=UNKNOWN,
        batch_interval=UNKNOWN,
        loss_interval=UNKNOWN,
        certificate=Certificate(math.nan, math.nan, ()),
        stability=None,
        deferred=undecided(fit, question, "suggestion", why, context.distance),
        offer=offered,
    )
