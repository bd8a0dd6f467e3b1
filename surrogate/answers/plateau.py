"""The plateau around an optimum, and what a choice loses."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from surrogate.answers import beyond, stability_edge, surface
from surrogate.answers.alone import alone
from surrogate.answers.context import context_of
from surrogate.answers.decision.deferred import answered, undecided
from surrogate.answers.decision.document import Limits
from surrogate.answers.limits import carry
from surrogate.answers.limits.offers import not_told, offer
from surrogate.answers.limits.sides import say
from surrogate.answers.limits.unfitted import unfitted
from surrogate.answers.limits.unstable import (
    plateau_warnings,
    reaches,
    unstable_near,
    unstable_within,
)
from surrogate.answers.question import Question, check_share
from surrogate.answers.results import UNKNOWN, Pair, Plateau, Regret, ends
from surrogate.answers.robust import Robust, robust
from surrogate.answers.solved import (
    Solved,
    held_settings,
    is_cut,
    loss_of,
    nearest_level,
    only_levels,
    settings,
    solve_box,
    solve_sides,
    state,
)
from surrogate.base.errors import DataError, Status
from surrogate.data.coordinates import CHOICES
from surrogate.fitting import intervals as uncertainty
from surrogate.fitting.model import Model

EDGES = ("lr_low", "lr_high", "batch_low", "batch_high")


def check_tol(tol: float) -> None:
    """Refuse a tolerance that is no fraction.

    Raises:
        DataError: not in (0, 1].
    """
    if not 0 < tol <= 1:
        raise DataError(
            f"Expected a tolerance above 0 and at most 100 %, such as 0.25% or 0.0025, "
            f"got {tol!r}."
        )


def plateau(
    fit: Model,
    question: Question,
    *,
    tol: float,
    probability: float,
    batch: float | None = None,
    lr: float | None = None,
    limits: Limits | None = None,
) -> Plateau:
    """Extents, slices, contour and area, intervals of the extents, robust extents.

    A setting that the fit cannot choose is taken as held where it is given.
    """
    check_tol(tol)
    check_share("probability of the robust plateau", probability)
    asked = held_settings(fit, lr, batch)
    unknown = unfitted(fit, question)
    if unknown is not None:
        offered = carry.offer(fit, question)
        return _no_plateau(fit, question, tol, asked, unknown, *offered)
    asked = only_levels(fit) | asked
    known = {n: v for n, v in asked.items() if n not in fit.features.choices}
    given, why = known, not_told(fit, question, known)
    if len(why) == len(CHOICES):
        return _no_plateau(
            fit, question, tol, asked, offer(fit, question, why, given)[0]
        )
    box = dict(question.box)
    for name in why:
        level = nearest_level(fit, question, name)
        known = known | {name: level}
        box[name] = (level, level)
    solved, one_sided, _ = solve_sides(fit, question, box, known)
    best = settings(fit, solved.minimum.u[0], known)
    found = surface.extents(
        fit.family,
        solved.thetas,
        solved.minimum,
        question.s,
        solved.bounds.low,
        solved.bounds.high,
        tol,
        solved.bounds.cut,
    )
    extents, intervals, is_open = _edges(fit, solved, found)
    status = state(fit, solved)
    for name in (*why, *one_sided):
        # Held there, so that the plateau has no extent along it.
        extents[name] = UNKNOWN
        intervals |= {edge: UNKNOWN for edge in EDGES if edge.startswith(name)}
    for name, side in one_sided.items():
        # Beyond what was tried nothing tells how far the plateau goes.
        than = side.than if math.isfinite(side.than) else side.at
        extents[name] = (than, math.nan) if side.side == "above" else (math.nan, than)
        end = "high" if side.side == "above" else "low"
        is_open = (*(e for e in is_open if not e.startswith(name)), f"{name}_{end}")
    if status is Status.ok and one_sided:
        status = Status.at_bound
    if status is Status.ok and is_open:
        status = Status.plateau_open
    extra: tuple[str, ...] = ()
    offered = None
    has_best = not why or not set(fit.features.choices) <= {*why, *one_sided}
    if why:
        offered = {**best}
        status, extra = Status.not_identifiable, (offer(fit, question, why, given)[0],)
    else:
        extra += tuple(say(name, side) for name, side in one_sided.items())
    if is_open and not one_sided:
        extra += (_open_warning(is_open),)
    extra += stability_edge.warnings_of(
        question, is_cut(solved), solved.bounds.is_beyond
    )
    safe = (
        None
        if one_sided
        else _robust(fit, question, solved, found, tol, probability, tuple(why))
    )
    extra += _unstable(fit, question, best, extents, safe)
    two = len(fit.features.choices) == 2 and not (one_sided or why)
    flat = _flat(fit, question, solved, found, tol) if two else None
    level = float(solved.minimum.value[0] + np.log1p(tol))
    slices = flat.slices if flat else np.full((2, 2), np.nan)
    contour = fit.features.from_u(flat.contour) if flat else np.zeros((0, 2))
    octaves = np.prod(fit.features.u_scale)
    context = context_of(fit, question, best, status, asked, extra, one_sided)
    deferred = (
        undecided(fit, question, "tolerance", " ".join(why.values()), context.distance)
        if why
        else answered(
            *(fit, question, solved, box, known, one_sided, context.distance),
            of="tolerance",
            limits=limits,
            tol=tol,
            probability=probability,
            edges=found,
        )
    )
    return Plateau(
        context=context,
        tol=tol,
        # Where no setting has a best there is no lowest loss either.
        loss_min=loss_of(fit, solved.minimum.value[0]) if has_best else math.nan,
        loss_limit=loss_of(fit, level) if has_best else math.nan,
        lr=extents["lr"],
        batch=extents["batch"],
        lr_at_optimal_batch=_natural(fit, 0, slices[0]) if flat else UNKNOWN,
        batch_at_optimal_lr=_natural(fit, 1, slices[1]) if flat else UNKNOWN,
        lr_at_batch=_asked(fit, question, solved, level, extents, "batch", asked),
        batch_at_lr=_asked(fit, question, solved, level, extents, "lr", asked),
        area_octaves2=flat.area * float(octaves) if flat else math.nan,
        contour_lr=contour[:, 0],
        contour_batch=contour[:, 1],
        open_edges=is_open,
        level=uncertainty.LEVEL,
        edge_intervals=intervals,
        robust=safe,
        stability=_stability(fit, question, solved, best, found),
        optimum=(best["lr"], best["batch"]),
        largest_batch=_largest_batch(fit, found) if has_best else UNKNOWN,
        deferred=deferred,
        offer=offered,
    )


def regret(
    fit: Model,
    question: Question,
    *,
    lr: float,
    batch: float,
    tol: float,
    limits: Limits | None = None,
) -> Regret:
    """The loss at a choice over the lowest of the box, with a one-sided interval.

    Beyond the stability edge a choice may lose nothing, but it is outside the plateau.
    """
    check_tol(tol)
    choice = held_settings(fit, lr, batch)
    unknown = unfitted(fit, question)
    if unknown is not None:
        return _no_regret(
            fit, question, tol, choice, unknown, *carry.offer(fit, question)
        )
    box, extra = _widened(fit, question, choice)
    lacking = {n: v for n, v in choice.items() if n not in fit.features.choices}
    why = {n: t for n, t in not_told(fit, question, lacking).items() if t}
    if len(why) == len(fit.features.choices):
        return _no_regret(fit, question, tol, choice, " ".join(why.values()))
    for name, text in why.items():
        box[name] = (choice[name], choice[name])
        extra += (f"{text} The regret is that of the other setting alone.",)
    solved, one_sided, _ = solve_sides(fit, question, box, lacking)
    if one_sided:
        for name, side in one_sided.items():
            ends = sorted((side.at, choice[name]))
            box[name] = (ends[0], ends[1])
        solved = solve_box(fit, question, box, lacking)
        extra += tuple(say(name, side) for name, side in one_sided.items())
    status = state(fit, solved)
    if status is Status.ok and one_sided:
        status = Status.at_bound
    risk = stability_edge.risk(fit, question, choice)
    extra += stability_edge.choice_warnings(question, risk)
    u = fit.features.u_of(choice)
    is_stable = bool(solved.bounds.hold(u[None])[0])
    z = np.concatenate([u, question.s])[None]
    log_loss = float(surface.log_losses(fit.family, fit.theta[None], z)[0, 0])
    # np: beyond a float64 it is infinite, which `check_loss` refuses.
    with np.errstate(over="ignore"):
        lost = float(np.expm1(log_loss - float(solved.minimum.value[0])))
    best = settings(fit, solved.minimum.u[0], lacking)
    drawn = surface.log_losses(
        fit.family, solved.draws(solved.thetas), z, solved.moves
    )[:, 0]
    draws = np.expm1(drawn - solved.draws(solved.minimum.value))
    context = context_of(fit, question, choice, status, choice, extra, one_sided)
    deferred = answered(
        *(fit, question, solved, box, lacking, one_sided, context.distance),
        of="choice",
        limits=limits,
        tol=tol,
        choice=choice,
    )
    return Regret(
        context=context,
        lr=float(lr),
        batch=float(batch),
        loss=loss_of(fit, log_loss),
        loss_min=loss_of(fit, solved.minimum.value[0]),
        regret=max(lost, 0.0),
        level=uncertainty.LEVEL,
        upper=beyond.regret_bound(fit, max(lost, 0.0), draws),
        is_inside=is_stable and lost <= tol,
        probability_inside=(
            float(np.mean(draws <= tol)) * is_stable if len(draws) else math.nan
        ),
        tol=tol,
        stability=risk,
        optimum=(best["lr"], best["batch"]),
        change={
            # Of a setting of which no best is shown there is none to change to.
            name: None
            if name in why
            else alone(fit, question, choice, name, solved, tol, box[name])
            for name in CHOICES
        },
        deferred=deferred,
    )


def _unstable(
    fit: Model,
    question: Question,
    best: dict[str, float],
    extents: dict[str, Pair],
    safe: dict[str, Any] | None,
) -> tuple[str, ...]:
    """Whether the plateau reaches an lr that went unstable at one of its batches."""
    low, high = extents["batch"]
    if math.isnan(low) and math.isnan(high):
        low = high = best["batch"]
    found = unstable_within(fit, question, low, high)
    is_known = not all(map(math.isnan, extents["lr"]))
    if not is_known or reaches(best["lr"], unstable_near(fit, question, best)):
        # No plateau along lr; or its optimum says so already.
        return ()
    return plateau_warnings(extents["lr"][1], safe, found)


def _no_plateau(
    fit: Model, question: Question, tol: float, asked: dict[str, float], *why: str
) -> Plateau:
    """No number at all, and why."""
    status = Status.not_identifiable
    context = context_of(fit, question, {}, status, asked, why)
    return Plateau(
        context=context,
        tol=tol,
        loss_min=math.nan,
        loss_limit=math.nan,
        lr=UNKNOWN,
        batch=UNKNOWN,
        lr_at_optimal_batch=UNKNOWN,
        batch_at_optimal_lr=UNKNOWN,
        lr_at_batch=None,
        batch_at_lr=None,
        area_octaves2=math.nan,
        contour_lr=np.zeros(0),
        contour_batch=np.zeros(0),
        open_edges=(),
        level=uncertainty.LEVEL,
        edge_intervals=dict.fromkeys(EDGES, UNKNOWN),
        robust=None,
        stability=None,
        optimum=UNKNOWN,
        largest_batch=UNKNOWN,
        deferred=undecided(fit, question, "tolerance", " ".join(why), context.distance),
    )


def _no_regret(
    fit: Model, question: Question, tol: float, choice: dict[str, float], *why: str
) -> Regret:
    """The choice, and why nothing is known of it."""
    status = Status.not_identifiable
    context = context_of(fit, question, choice, status, choice, why)
    return Regret(
        context=context,
        lr=choice["lr"],
        batch=choice["batch"],
        loss=math.nan,
        loss_min=math.nan,
        regret=math.nan,
        level=uncertainty.LEVEL,
        upper=math.nan,
        is_inside=False,
        probability_inside=math.nan,
        tol=tol,
        stability=None,
        optimum=UNKNOWN,
        change=dict.fromkeys(CHOICES),
        deferred=undecided(fit, question, "choice", " ".join(why), context.distance),
    )


def _widened(
    fit: Model, question: Question, choice: dict[str, float]
) -> tuple[dict[str, tuple[float, float]], tuple[str, ...]]:
    """The box, stretched to hold the choice, so that no regret is negative."""
    box, extra = dict(question.box), ()
    for name in fit.features.choices:
        low, high = box[name]
        value = choice[name]
        if not low <= value <= high:
            box[name] = min(low, value), max(high, value)
            extra += (
                f"{name} = {value:g} lies outside {low:g} to {high:g}, where the "
                "optimum is sought; the search was widened to hold it.",
            )
    return box, extra


def _edges(
    fit: Model, solved: Solved, found: surface.Edges
) -> tuple[dict[str, Pair], dict[str, Pair], tuple[str, ...]]:
    """Extents and their intervals in natural units by name, and the open edges.

    An open edge is the box's, of which no sample says anything: it has no interval,
    nor has a bound that stability moved.
    """
    spans = fit.spans(found.edges[0], solved.leaves(found.edges))
    spans = beyond.widened(spans, solved.beyond.settings[:, None])
    extents: dict[str, Pair] = dict.fromkeys(CHOICES, UNKNOWN)
    intervals: dict[str, Pair] = dict.fromkeys(EDGES, UNKNOWN)
    opened = []
    for i, name in enumerate(fit.features.choices):
        extents[name] = _natural(fit, i, found.edges[0, i])
        for side, word in enumerate(("low", "high")):
            if not found.is_open[0, i, side]:
                intervals[f"{name}_{word}"] = _natural(fit, i, spans[i, side])
            elif not solved.bounds.is_edge[i, side]:
                opened.append(f"{name}_{word}")
    return extents, intervals, tuple(opened)


def _robust(
    fit: Model,
    question: Question,
    solved: Solved,
    found: surface.Edges,
    tol: float,
    probability: float,
    untold: tuple[str, ...],
) -> dict[str, Any] | None:
    """Extents of the robust plateau in natural units; None without draws.

    Along the settings `untold`, which are held, it has none.
    """
    edges = solved.draws(found.edges)
    if not np.isfinite(edges).all(axis=(1, 2)).any():
        return None
    safe: Robust = robust(fit, question, solved, edges, tol, probability)
    pairs: dict[str, Pair] = dict.fromkeys(CHOICES, UNKNOWN)
    for i, name in enumerate(fit.features.choices):
        if name not in untold:
            pairs[name] = _natural(fit, i, safe.edges[i])
    return {
        "probability": safe.probability,
        "max_probability": safe.largest,
        "lr": ends(pairs["lr"]),
        "batch": ends(pairs["batch"]),
        "pieces": safe.pieces,
    }


def _stability(
    fit: Model,
    question: Question,
    solved: Solved,
    best: dict[str, float],
    found: surface.Edges,
) -> dict[str, Any] | None:
    """Risk at the optimum, and which edges of the plateau are stability's."""
    risk = stability_edge.risk(fit, question, best)
    if risk is None:
        return None
    is_cut = found.is_cut[0] | (found.is_open[0] & solved.bounds.is_edge)
    names = [
        f"{name}_{word}"
        for i, name in enumerate(fit.features.choices)
        for side, word in enumerate(("low", "high"))
        if is_cut[i, side]
    ]
    return {**risk, "cuts": names}


def _largest_batch(fit: Model, found: surface.Edges) -> Pair:
    """Where the plateau reaches its largest batch."""
    if len(fit.features.choices) < 2:
        return UNKNOWN
    lr, batch = fit.features.from_u(
        np.array([found.other[0, 1, 1], found.edges[0, 1, 1]])
    ).tolist()
    return lr, batch


def _natural(fit: Model, i: int, both: np.ndarray) -> Pair:
    """Two values of coordinate i in natural units."""
    mean, scale = fit.features.mean[i], fit.features.scale[i]
    low, high = np.exp(np.asarray(both) * scale + mean)
    return float(low), float(high)


def _flat(
    fit: Model,
    question: Question,
    solved: Solved,
    found: surface.Edges,
    tol: float,
) -> surface.Band:
    return surface.band(
        fit.family,
        fit.theta,
        found,
        solved.minimum.u[0],
        question.s,
        solved.bounds.low,
        solved.bounds.high,
        float(solved.minimum.value[0] + np.log1p(tol)),
        solved.bounds.cut,
    )


def _asked(
    fit: Model,
    question: Question,
    solved: Solved,
    level: float,
    extents: dict[str, Pair],
    held: str,
    asked: dict[str, float],
) -> tuple[float, float, float] | None:
    """The other setting's interval where `held` was asked to be a value."""
    if held not in asked:
        return None
    value = asked[held]
    other = 0 if held == "batch" else 1
    if len(fit.features.choices) == 1:
        # What is not fitted changes nothing; what is has no other setting to bound.
        edges = extents[CHOICES[other]]
        return value, *edges
    mean, scale = fit.features.mean[1 - other], fit.features.scale[1 - other]
    edges = surface.slice_at(
        fit.family,
        fit.theta,
        question.s,
        other,
        (math.log(value) - mean) / scale,
        solved.bounds.low,
        solved.bounds.high,
        level,
        solved.bounds.cut,
    )
    return value, *_natural(fit, other, edges)


def _open_warning(edges: tuple[str, ...]) -> str:
    return (
        f"The plateau runs into the edge of the box at {', '.join(edges)}: it may go "
        "on beyond what the runs show. Widen --lr-range or --batch-range, or add runs."
    )
