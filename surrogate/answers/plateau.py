"""The plateau around an optimum."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from surrogate.answers.context import context_of
from surrogate.answers.decision.answered import Answered
from surrogate.answers.decision.deferred import answered, undecided
from surrogate.answers.decision.document import Deferred
from surrogate.answers.extents import (
    EDGES,
    Extents,
    Found,
    Wanted,
    extents_of,
    flat_of,
    largest_batch,
    natural,
    robust_of,
    slice_of,
    stability_of,
)
from surrogate.answers.limits import carry
from surrogate.answers.limits.offers import not_told, offer
from surrogate.answers.limits.sides import say
from surrogate.answers.limits.unfitted import unfitted, untried_choice
from surrogate.answers.limits.unstable import (
    plateau_warnings,
    reaches,
    unstable_near,
    unstable_within,
)
from surrogate.answers.question import Question
from surrogate.answers.results import UNKNOWN, Pair, Plateau
from surrogate.answers.sided import solve_sides
from surrogate.answers.solved import Solved, loss_of, nearest_level, only_levels
from surrogate.base.errors import Status
from surrogate.data.coordinates import CHOICES
from surrogate.fitting import intervals


def plateau(question: Question, wanted: Wanted) -> Plateau:
    """Extents, slices, contour and area, intervals of the extents, robust extents.

    A setting that the fit cannot choose is taken as held where it is given.
    """
    fit = question.fit
    unknown = unfitted(question)
    if unknown is not None:
        said = unknown, *carry.offer(question)
        return _no_plateau(question, wanted.tol, wanted.slices, *said)
    asked = only_levels(fit) | dict(wanted.slices)
    given = {n: v for n, v in asked.items() if n not in fit.features.choices}
    far = untried_choice(question, given)
    if far is not None:
        return _no_plateau(question, wanted.tol, asked, far)
    why = not_told(question, given)
    if len(why) == len(CHOICES):
        return _no_plateau(question, wanted.tol, asked, offer(question, why, given)[0])
    held = {name: nearest_level(question, name) for name in why}
    box = question.box | {name: (level, level) for name, level in held.items()}
    sided = solve_sides(question, box, given | held)
    return _answer(Found(wanted, asked, why, sided), given)


def _answer(found: Found, given: Mapping[str, float]) -> Plateau:
    solved, one_sided, _ = found.sided
    fit, best, why = solved.fit, solved.best, found.untold
    extents = extents_of(found)
    safe = None if one_sided else robust_of(found)
    extra = _warnings(found, extents, given)
    extra += _unstable(solved, extents.of, safe)
    flat = flat_of(found)
    slices = flat.slices if flat else np.full((2, 2), np.nan)
    contour = fit.features.from_u(flat.contour) if flat else np.zeros((0, 2))
    status = _status(found, extents.is_open)
    context = context_of(solved.question, best, status, found.asked, extra, one_sided)
    # Where no setting has a best there is no lowest loss either.
    has_best = not why or not set(fit.features.choices) <= {*why, *one_sided}
    return Plateau(
        context=context,
        tol=found.wanted.tol,
        loss_min=loss_of(fit, solved.minimum.value[0]) if has_best else math.nan,
        loss_limit=loss_of(fit, found.level) if has_best else math.nan,
        lr=extents.of["lr"],
        batch=extents.of["batch"],
        lr_at_optimal_batch=natural(fit, 0, slices[0]) if flat else UNKNOWN,
        batch_at_optimal_lr=natural(fit, 1, slices[1]) if flat else UNKNOWN,
        lr_at_batch=slice_of(found, extents.of, "batch"),
        batch_at_lr=slice_of(found, extents.of, "lr"),
        area_octaves2=flat.area * float(np.prod(fit.features.u_scale))
        if flat
        else math.nan,
        contour_lr=contour[:, 0],
        contour_batch=contour[:, 1],
        open_edges=extents.is_open,
        level=intervals.LEVEL,
        edge_intervals=extents.intervals,
        robust=safe,
        stability=stability_of(found),
        optimum=(best["lr"], best["batch"]),
        largest_batch=largest_batch(fit, found.edges) if has_best else UNKNOWN,
        deferred=_deferred(found, context.distance),
        offer={**best} if why else None,
    )


def _status(found: Found, is_open: tuple[str, ...]) -> Status:
    if found.untold:
        return Status.not_identifiable
    status = found.sided.status
    return Status.plateau_open if status is Status.ok and is_open else status


def _warnings(
    found: Found, extents: Extents, given: Mapping[str, float]
) -> tuple[str, ...]:
    """What is not told, what is told on one side only, and where the box cuts it."""
    solved, one_sided, _ = found.sided
    if found.untold:
        extra = (offer(solved.question, found.untold, given)[0],)
    else:
        extra = tuple(say(name, side) for name, side in one_sided.items())
    if extents.is_open and not one_sided:
        extra += (_open_warning(extents.is_open),)
    return extra + solved.edge_warnings


def _deferred(found: Found, distance: float) -> Deferred:
    """What a person decides by."""
    solved, one_sided, _ = found.sided
    wanted = found.wanted
    if found.untold:
        why = " ".join(found.untold.values())
        return undecided(solved.question, "tolerance", why, distance)
    return answered(
        Answered(
            *(solved, one_sided, distance, "tolerance", wanted.limits),
            *(wanted.tol, wanted.probability),
        )
    )


def _unstable(
    solved: Solved, extents: dict[str, Pair], safe: dict[str, Any] | None
) -> tuple[str, ...]:
    """Whether the plateau reaches an lr that went unstable at one of its batches."""
    question, best = solved.question, solved.best
    low, high = extents["batch"]
    if math.isnan(low) and math.isnan(high):
        low = high = best["batch"]
    found = unstable_within(question, low, high)
    is_known = not all(map(math.isnan, extents["lr"]))
    if not is_known or reaches(best["lr"], unstable_near(question, best)):
        # No plateau along lr; or its optimum says so already.
        return ()
    return plateau_warnings(extents["lr"][1], safe, found)


def _no_plateau(
    question: Question, tol: float, asked: Mapping[str, float], *why: str
) -> Plateau:
    """No number at all, and why."""
    status = Status.not_identifiable
    context = context_of(question, {}, status, asked, why)
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
        level=intervals.LEVEL,
        edge_intervals=dict.fromkeys(EDGES, UNKNOWN),
        robust=None,
        stability=None,
        optimum=UNKNOWN,
        largest_batch=UNKNOWN,
        deferred=undecided(question, "tolerance", " ".join(why), context.distance),
    )


def _open_warning(edges: tuple[str, ...]) -> str:
    return (
        f"The plateau runs into the edge of the box at {', '.join(edges)}: it may go "
        "on beyond what the runs show. Widen --lr-range or --batch-range, or add runs."
    )
