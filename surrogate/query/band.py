"""The plateau around an optimum, and what a choice loses."""

from __future__ import annotations

import math

import numpy as np

from surrogate import uncertainty
from surrogate.errors import DataError, Status
from surrogate.features import CHOICES
from surrogate.query import surface
from surrogate.query.answers import UNKNOWN, Pair, Plateau, Regret
from surrogate.query.best import (
    Solved,
    context_of,
    held_settings,
    loss_of,
    nearest_level,
    refusal,
    settings,
    solve_box,
    state,
)
from surrogate.query.fit import Fit
from surrogate.query.question import Question

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
    fit: Fit,
    question: Question,
    *,
    tol: float,
    batch: float | None = None,
    lr: float | None = None,
) -> Plateau:
    """Extents, slices, contour and area, with intervals on the extents.

    A setting that the fit cannot choose is taken as held where it is given.
    """
    check_tol(tol)
    asked = held_settings(fit, lr, batch)
    known = {n: v for n, v in asked.items() if n not in fit.features.choices}
    missing = [n for n in CHOICES if n not in (*fit.features.choices, *known)]
    solved = solve_box(fit, question, question.box)
    if missing:
        known = {missing[0]: nearest_level(fit, question, missing[0])}
    best = settings(fit, solved.minimum.u[0], known)
    found = surface.extents(
        fit.family,
        solved.thetas,
        solved.minimum,
        question.s,
        solved.low,
        solved.high,
        tol,
    )
    extents, intervals, is_open = _edges(fit, found.edges, found.is_open)
    status = state(fit, solved)
    if status is Status.ok and is_open:
        status = Status.plateau_open
    extra: tuple[str, ...] = ()
    offered = None
    if missing:
        offered = {**best}
        status, extra = Status.not_identifiable, (refusal(missing[0], offered),)
    if is_open:
        extra += (_open_warning(is_open),)
    two = len(fit.features.choices) == 2
    flat = _flat(fit, question, solved, found, tol) if two else None
    level = float(solved.minimum.value[0] + np.log1p(tol))
    slices = flat.slices if flat else np.full((2, 2), np.nan)
    contour = fit.features.from_u(flat.contour) if flat else np.zeros((0, 2))
    octaves = np.prod(fit.features.u_scale)
    return Plateau(
        context=context_of(fit, question, best, status, asked, extra),
        tol=tol,
        loss_min=loss_of(fit, solved.minimum.value[0]),
        loss_limit=loss_of(fit, level),
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
        stability=_stability(fit, question, best),
        optimum=(best["lr"], best["batch"]),
        offer=offered,
    )


def regret(
    fit: Fit, question: Question, *, lr: float, batch: float, tol: float
) -> Regret:
    """The loss at a choice over the lowest of the box, with a one-sided interval."""
    check_tol(tol)
    choice = held_settings(fit, lr, batch)
    box, extra = _widened(fit, question, choice)
    solved = solve_box(fit, question, box)
    z = np.concatenate([fit.features.u_of(choice), question.s])[None]
    losses = surface.log_losses(fit.family, solved.thetas, z)[:, 0]
    regrets = np.expm1(losses - solved.minimum.value)
    known = {n: v for n, v in choice.items() if n not in fit.features.choices}
    best = settings(fit, solved.minimum.u[0], known)
    draws = regrets[1:]
    can_tell = len(draws) > 0 and fit.fitted_cells >= uncertainty.MIN_CELLS
    return Regret(
        context=context_of(fit, question, choice, state(fit, solved), choice, extra),
        lr=float(lr),
        batch=float(batch),
        loss=loss_of(fit, losses[0]),
        loss_min=loss_of(fit, solved.minimum.value[0]),
        regret=float(max(regrets[0], 0.0)),
        level=uncertainty.LEVEL,
        upper=uncertainty.upper(float(regrets[0]), draws, fit.fitted_cells),
        is_inside=bool(regrets[0] <= tol),
        probability_inside=float(np.mean(draws <= tol)) if can_tell else math.nan,
        tol=tol,
        stability=_stability(fit, question, choice),
        optimum=(best["lr"], best["batch"]),
    )


def _widened(
    fit: Fit, question: Question, choice: dict[str, float]
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
    fit: Fit, edges: np.ndarray, is_open: np.ndarray
) -> tuple[dict[str, Pair], dict[str, Pair], tuple[str, ...]]:
    """Extents and their intervals in natural units by name, and the open edges."""
    ends = uncertainty.interval(edges[0], edges[1:], fit.fitted_cells)
    extents: dict[str, Pair] = dict.fromkeys(CHOICES, UNKNOWN)
    intervals: dict[str, Pair] = dict.fromkeys(EDGES, UNKNOWN)
    opened = []
    for i, name in enumerate(fit.features.choices):
        extents[name] = _natural(fit, i, edges[0, i])
        for side, word in enumerate(("low", "high")):
            intervals[f"{name}_{word}"] = _natural(fit, i, ends[i, side])
            if is_open[0, i, side]:
                opened.append(f"{name}_{word}")
    return extents, intervals, tuple(opened)


def _natural(fit: Fit, i: int, both: np.ndarray) -> Pair:
    """Two values of coordinate i in natural units."""
    mean, scale = fit.features.mean[i], fit.features.scale[i]
    low, high = np.exp(np.asarray(both) * scale + mean)
    return float(low), float(high)


def _flat(
    fit: Fit,
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
        solved.low,
        solved.high,
        float(solved.minimum.value[0] + np.log1p(tol)),
    )


def _asked(
    fit: Fit,
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
        solved.low,
        solved.high,
        level,
    )
    return value, *_natural(fit, other, edges)


def _open_warning(edges: tuple[str, ...]) -> str:
    return (
        f"The plateau runs into the edge of the box at {', '.join(edges)}: it may go "
        "on beyond what the runs show. Widen --lr-range or --batch-range, or add runs."
    )


def _stability(
    fit: Fit, question: Question, at: dict[str, float]
) -> dict[str, float | None] | None:
    """Probability of divergence there; None where the runs cannot tell."""
    if fit.stability is None or not all(map(math.isfinite, at.values())):
        return None
    where = {"params": question.params, "tokens": question.tokens}
    where |= question.scales | at
    if any(name not in where for name in fit.stability.names):
        return None
    octaves = float(fit.stability.octaves_to_edge(where))
    return {
        "probability": float(fit.stability.probability(where)),
        "octaves_to_edge": octaves if math.isfinite(octaves) else None,
    }
