"""How far a plateau goes, in natural units: its edges, slices and robust part."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from surrogate.answers import arrays, beyond, stability_edge
from surrogate.answers.checks import check_share
from surrogate.answers.decision.document import Limits
from surrogate.answers.results import UNKNOWN, Pair, ends
from surrogate.answers.robust import robust
from surrogate.answers.sided import Sided
from surrogate.answers.solved import Solved
from surrogate.base.defaults import PROBABILITY
from surrogate.base.errors import DataError
from surrogate.data.coordinates import CHOICES
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
class Found:
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


class Extents(NamedTuple):
    """How far a plateau goes, natural units.

    Attributes:
        of: smallest and largest of each setting; NaN where it is open or not told.
        intervals: of each edge.
        is_open: edges that are the box's.
    """

    of: dict[str, Pair]
    intervals: dict[str, Pair]
    is_open: tuple[str, ...]


def extents_of(found: Found) -> Extents:
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
    return Extents(extents, intervals, is_open)


def _edges(solved: Solved, found: arrays.Edges) -> Extents:
    """Edges as the surface has them, each with its interval."""
    fit = solved.fit
    spans = fit.spans(found.edges[0], solved.leaves(found.edges))
    spans = beyond.widened(spans, solved.beyond.settings[:, None])
    extents: dict[str, Pair] = dict.fromkeys(CHOICES, UNKNOWN)
    intervals: dict[str, Pair] = dict.fromkeys(EDGES, UNKNOWN)
    opened = []
    for i, name in enumerate(fit.features.choices):
        extents[name] = natural(fit, i, found.edges[0, i])
        for side, word in enumerate(("low", "high")):
            if not found.is_open[0, i, side]:
                intervals[f"{name}_{word}"] = natural(fit, i, spans[i, side])
            elif not solved.bounds.is_edge[i, side]:
                opened.append(f"{name}_{word}")
    return Extents(extents, intervals, tuple(opened))


def robust_of(found: Found) -> dict[str, Any] | None:
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
            pairs[name] = natural(solved.fit, i, safe.edges[i])
    return {
        "probability": safe.probability,
        "max_probability": safe.largest,
        "lr": ends(pairs["lr"]),
        "batch": ends(pairs["batch"]),
        "pieces": safe.pieces,
    }


def stability_of(found: Found) -> dict[str, Any] | None:
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


def largest_batch(fit: Model, found: arrays.Edges) -> Pair:
    """Where the plateau reaches its largest batch."""
    if len(fit.features.choices) < 2:
        return UNKNOWN
    lr, batch = fit.features.from_u(
        np.array([found.other[0, 1, 1], found.edges[0, 1, 1]])
    ).tolist()
    return lr, batch


def natural(fit: Model, i: int, both: np.ndarray) -> Pair:
    """Two values of coordinate i in natural units."""
    mean, scale = fit.features.mean[i], fit.features.scale[i]
    low, high = np.exp(np.asarray(both) * scale + mean)
    return float(low), float(high)


def flat_of(found: Found) -> arrays.Band | None:
    """Slices, contour and area; None where a setting is held or not fitted."""
    solved = found.solved
    is_held = found.untold or found.sided.one_sided
    if is_held or len(solved.fit.features.choices) != 2:
        return None
    region = solved.region(found.level)
    return arrays.band(region, found.edges, solved.minimum.u[0])


def slice_of(
    found: Found, extents: Mapping[str, Pair], held: str
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
    return value, *natural(fit, other, edges)
