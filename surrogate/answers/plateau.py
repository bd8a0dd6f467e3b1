"""The plateau around an optimum."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from surrogate.answers import arrays, beyond, stability_edge
from surrogate.answers.context import context_of
from surrogate.answers.decision.answered import Answered
from surrogate.answers.decision.deferred import answered, undecided
from surrogate.answers.decision.document import Deferred, Limits
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
from surrogate.answers.results import UNKNOWN, Pair, Plateau, ends
from surrogate.answers.robust import robust
from surrogate.answers.solved import (
    Sided,
    Solved,
    loss_of,
    nearest_level,
    only_levels,
    solve_sides,
)
from surrogate.base.defaults import PROBABILITY
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


@dataclass(frozen=True)
class Wanted:
    """What is wanted of a plateau.

    Attributes:
        tol: tolerance, a fraction of the loss.
        probability: share of the draws of its robust part.
        slices: lr or batch at which the other one's interval is wanted.
        limits: on what is suggested.
    """

    tol: float
    probability: float = PROBABILITY
    slices: Mapping[str, float] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)

    def check(self) -> Wanted:
        """Refuse what cannot be wanted.

        Raises:
            DataError: a number is not what it must be.
        """
        check_tol(self.tol)
        check_share("probability of the robust plateau", self.probability)
        self.limits.check()
        return self


@dataclass(frozen=True)
class _Found:
    """What a plateau is told from.

    Attributes:
        wanted: of it.
        asked: settings that were given, or that all runs share.
        untold: settings of which the runs show no best, which are held, and why.
        sided: the minimum.
    """

    wanted: Wanted
    asked: Mapping[str, float]
    untold: Mapping[str, str]
    sided: Sided

    @property
    def solved(self) -> Solved:
        """The minimum of every theta."""
        return self.sided.solved

    @property
    def edges(self) -> arrays.Edges:
        """Of the plateau of every theta."""
        return self.solved.edges(self.wanted.tol)

    @property
    def level(self) -> float:
        """The largest ln loss on it."""
        return float(self.solved.minimum.value[0] + np.log1p(self.wanted.tol))


class _Extents(NamedTuple):
    """How far a plateau goes, natural units.

    Attributes:
        of: smallest and largest of each setting; NaN where it is open or not told.
        intervals: of each edge.
        is_open: edges that are the box's.
    """

    of: dict[str, Pair]
    intervals: dict[str, Pair]
    is_open: tuple[str, ...]


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
    why = not_told(fit, given)
    if len(why) == len(CHOICES):
        return _no_plateau(question, wanted.tol, asked, offer(question, why, given)[0])
    held = {name: nearest_level(question, name) for name in why}
    box = question.box | {name: (level, level) for name, level in held.items()}
    sided = solve_sides(question, box, given | held)
    return _answer(_Found(wanted, asked, why, sided), given)


def _answer(found: _Found, given: Mapping[str, float]) -> Plateau:
    solved, one_sided, _ = found.sided
    fit, best, why = solved.fit, solved.best, found.untold
    extents = _extents(found)
    safe = None if one_sided else _robust(found)
    extra = _warnings(found, extents, given)
    extra += _unstable(solved, extents.of, safe)
    flat = _flat(found)
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
        lr_at_optimal_batch=_natural(fit, 0, slices[0]) if flat else UNKNOWN,
        batch_at_optimal_lr=_natural(fit, 1, slices[1]) if flat else UNKNOWN,
        lr_at_batch=_slice(found, extents.of, "batch"),
        batch_at_lr=_slice(found, extents.of, "lr"),
        area_octaves2=flat.area * float(np.prod(fit.features.u_scale))
        if flat
        else math.nan,
        contour_lr=contour[:, 0],
        contour_batch=contour[:, 1],
        open_edges=extents.is_open,
        level=uncertainty.LEVEL,
        edge_intervals=extents.intervals,
        robust=safe,
        stability=_stability(found),
        optimum=(best["lr"], best["batch"]),
        largest_batch=_largest_batch(fit, found.edges) if has_best else UNKNOWN,
        deferred=_deferred(found, context.distance),
        offer={**best} if why else None,
    )


def _status(found: _Found, is_open: tuple[str, ...]) -> Status:
    if found.untold:
        return Status.not_identifiable
    status = found.sided.status
    return Status.plateau_open if status is Status.ok and is_open else status


def _warnings(
    found: _Found, extents: _Extents, given: Mapping[str, float]
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


def _deferred(found: _Found, distance: float) -> Deferred:
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


def _extents(found: _Found) -> _Extents:
    """How far the plateau goes; nothing along what is held, open beyond what is tried.

    An open edge is the box's, of which no sample says anything: it has no interval,
    nor has a bound that stability moved.
    """
    solved, one_sided, _ = found.sided
    extents, intervals, is_open = _edges(solved, found.edges)
    for name in (*found.untold, *one_sided):
        # Held there, so that the plateau has no extent along it.
        extents[name] = UNKNOWN
        intervals |= {edge: UNKNOWN for edge in EDGES if edge.startswith(name)}
    for name, side in one_sided.items():
        # Beyond what was tried nothing tells how far the plateau goes.
        than = side.than if math.isfinite(side.than) else side.at
        extents[name] = (than, math.nan) if side.side == "above" else (math.nan, than)
        end = "high" if side.side == "above" else "low"
        is_open = (*(e for e in is_open if not e.startswith(name)), f"{name}_{end}")
    return _Extents(extents, intervals, is_open)


def _edges(solved: Solved, found: arrays.Edges) -> _Extents:
    """Edges as the surface has them, each with its interval."""
    fit = solved.fit
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
    return _Extents(extents, intervals, tuple(opened))


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
        level=uncertainty.LEVEL,
        edge_intervals=dict.fromkeys(EDGES, UNKNOWN),
        robust=None,
        stability=None,
        optimum=UNKNOWN,
        largest_batch=UNKNOWN,
        deferred=undecided(question, "tolerance", " ".join(why), context.distance),
    )


def _robust(found: _Found) -> dict[str, Any] | None:
    """Extents of the robust plateau in natural units; None without draws.

    Along settings that are held, as the runs show no best of them, it has none.
    """
    solved, wanted = found.solved, found.wanted
    if not np.isfinite(solved.draws(found.edges.edges)).all(axis=(1, 2)).any():
        return None
    safe = robust(solved, wanted.tol, wanted.probability)
    pairs: dict[str, Pair] = dict.fromkeys(CHOICES, UNKNOWN)
    for i, name in enumerate(solved.fit.features.choices):
        if name not in found.untold:
            pairs[name] = _natural(solved.fit, i, safe.edges[i])
    return {
        "probability": safe.probability,
        "max_probability": safe.largest,
        "lr": ends(pairs["lr"]),
        "batch": ends(pairs["batch"]),
        "pieces": safe.pieces,
    }


def _stability(found: _Found) -> dict[str, Any] | None:
    """Risk at the optimum, and which edges of the plateau are stability's."""
    solved, edges = found.solved, found.edges
    risk = stability_edge.risk(solved.question, solved.best)
    if risk is None:
        return None
    is_cut = edges.is_cut[0] | (edges.is_open[0] & solved.bounds.is_edge)
    names = [
        f"{name}_{word}"
        for i, name in enumerate(solved.fit.features.choices)
        for side, word in enumerate(("low", "high"))
        if is_cut[i, side]
    ]
    return {**risk, "cuts": names}


def _largest_batch(fit: Model, found: arrays.Edges) -> Pair:
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


def _flat(found: _Found) -> arrays.Band | None:
    """Slices, contour and area; None where a setting is held or not fitted."""
    solved = found.solved
    is_held = found.untold or found.sided.one_sided
    if is_held or len(solved.fit.features.choices) != 2:
        return None
    region = solved.region(found.level)
    return arrays.band(region, found.edges, solved.minimum.u[0])


def _slice(
    found: _Found, extents: Mapping[str, Pair], held: str
) -> tuple[float, float, float] | None:
    """The other setting's interval where `held` was asked to be a value."""
    if held not in found.asked:
        return None
    solved, fit = found.solved, found.solved.fit
    value = found.asked[held]
    other = 0 if held == "batch" else 1
    if len(fit.features.choices) == 1:
        # What is not fitted changes nothing; what is has no other setting to bound.
        return value, *extents[CHOICES[other]]
    mean, scale = fit.features.mean[1 - other], fit.features.scale[1 - other]
    at = (math.log(value) - mean) / scale
    edges = arrays.slice_at(solved.region(found.level), other, at)
    return value, *_natural(fit, other, edges)


def _open_warning(edges: tuple[str, ...]) -> str:
    return (
        f"The plateau runs into the edge of the box at {', '.join(edges)}: it may go "
        "on beyond what the runs show. Widen --lr-range or --batch-range, or add runs."
    )
