"""One family fitted to all runs, with its draws; a mix, member by member."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from surrogate.base import interrupts
from surrogate.base.shapes import Float64
from surrogate.families import Family, Mix
from surrogate.fitting import clusters, irls, ranges, resampling
from surrogate.fitting.freedom import Parts
from surrogate.fitting.propagation import Propagated, propagate, sharpen
from surrogate.fitting.resampling import Draws
from surrogate.fitting.task import Task
from surrogate.numerics import least_squares
from surrogate.numerics.least_squares import Progress
from surrogate_kernels.dispatch import Backend

# Of `Fitted.quality`, what is of the fit itself.
_OF_THE_FIT = ("is_settled", "relative_gradient", "steps", "second_best_start")


class Fitted(NamedTuple):
    """What became of a family on all runs.

    Attributes:
        family: what was fitted.
        theta: its parameters.
        draws: of the bootstrap; none where they were not asked for or cells are few.
        leaves: refits without each cell, of under 12 the steps of `propagation`; none
            likewise.
        excess: of the runs, ln loss over the best of their cell, by weights of no
            table's own: what evidence is weighed by.
        freedom: degrees of freedom of intervals from steps, or over trunks that runs
            share; None of those over cells.
        misfit: where there are steps, how far the fit misses runs near the optimum.
        spare: where there are steps, degrees of freedom of the noise.
        parts: where there are steps, what of the optimum's variance is of which cause.
        quality: how well all that was reached.
        backend: that ran the draws; the fit's own where none was solved.
        warnings: what a user should hear of it.
    """

    family: Family
    theta: Float64[np.ndarray, " p"]
    draws: Float64[np.ndarray, "draws p"]
    leaves: Float64[np.ndarray, "cells p"]
    quality: dict[str, Any]
    backend: str
    warnings: tuple[str, ...]
    excess: Float64[np.ndarray, " n"]
    freedom: int | None = None
    misfit: float = 0.0
    spare: int | None = None
    parts: Parts | None = None


def fit_all(
    family: Family, task: Task, backend: Backend, *, completes: bool = True
) -> Fitted:
    """Fit a family that is no mix, then resample its cells.

    Args:
        family: what is fitted.
        task: the table, and how many draws.
        backend: of the kernels that draws are to be solved with.
        completes: with its draws there is a fit to keep, should a signal come.
    """
    bare, weights = _whole(family, task, backend)
    if task.is_few:
        theta, weights = sharpen(family, task.rows, weights, bare.theta, task.box)
        bare = bare._replace(theta=theta)
        steps = propagate(family, task.rows, weights, theta, task.box, task.unit)
        if task.has_draws:
            return _stepped(bare, steps, task.bootstrap)
        return bare._replace(misfit=steps.misfit, spare=steps.spare, parts=steps.parts)
    if not task.has_draws:
        return bare
    return _resampled(bare, weights, task, backend, completes)


def _whole(
    family: Family, task: Task, backend: Backend
) -> tuple[Fitted, Float64[np.ndarray, " n"]]:
    """The fit to all rows, without draws; and its weights."""
    rows, ones = task.rows, np.ones((1, len(task.rows.target)))
    start(task.progress, f"Fitting {family.name}", 1)
    full = irls.estimate(
        family,
        rows,
        ones,
        task.box,
        seed=task.seed,
        backend=least_squares.arithmetic(backend),
        progress=task.progress,
    )
    solution = full.solution
    quality: dict[str, Any] = {
        "is_settled": bool(irls.is_settled(solution, len(rows.target))[0]),
        "relative_gradient": float(solution.decrement[0]),
        "steps": int(solution.iterations[0]),
        "second_best_start": float(full.second_start[0]),
    }
    none = np.zeros((0, family.size))
    fit = Fitted(
        *(family, solution.theta[0], none, none, quality, solution.backend, ()),
        excess=full.surface.excess[0],
    )
    return fit, full.weights[0]


def _resampled(
    fit: Fitted,
    weights: Float64[np.ndarray, " n"],
    task: Task,
    backend: Backend,
    completes: bool,
) -> Fitted:
    """A fit of many cells with its leaves and draws."""
    family, rows, theta = fit.family, task.rows, fit.theta
    left_out = clusters.units(rows)
    start(task.progress, "Leaving out each cell", len(left_out.kept))
    host = least_squares.arithmetic(backend)
    leaves, unsettled = resampling.leave_each_out(
        family, rows, weights, theta, task.box, task.progress, host
    )
    interrupts.keep(completes)
    fits = task.bootstrap * resampling.starts(family, task.cells)
    start(task.progress, "Resampling cells", fits)
    asked = ranges.Asked(
        family, rows, weights, theta, task.seed, task.bootstrap, backend
    )
    drawn = resampling.draw(asked, leaves, progress=task.progress, shards=task.shards)
    more = {
        "leaves_unsettled": unsettled,
        "draws_unsettled": drawn.unsettled,
        "draws_singular": drawn.singular,
        "draws_block": drawn.block,
        "draws_interrupted": not drawn.is_whole,
    }
    return fit._replace(
        draws=drawn.theta,
        leaves=leaves,
        quality=fit.quality | more,
        backend=drawn.backend or fit.backend,
        warnings=_shortfalls(drawn, task.bootstrap),
        freedom=left_out.freedom,
    )


def _stepped(fit: Fitted, steps: Propagated, bootstrap: int) -> Fitted:
    """A fit of few cells: its draws are its leaves, moved when they are asked."""
    return fit._replace(
        draws=steps.leaves[np.arange(bootstrap) % len(steps.leaves)],
        leaves=steps.leaves,
        freedom=steps.parts.freedom(steps.spare),
        misfit=steps.misfit,
        spare=steps.spare,
        parts=steps.parts,
    )


class Shares(NamedTuple):
    """Weights of the members of a mix: in the fit, in each draw, in each leaf."""

    fit: Float64[np.ndarray, " members"]
    draws: Float64[np.ndarray, "draws members"]
    leaves: Float64[np.ndarray, "cells members"]


def join(family: Mix, shares: Shares, members: Mapping[str, Fitted]) -> Fitted:
    """A mix of its fitted members: draw k is the mean of their draws k.

    All members see the same resampled cells. Of what says how well a fit was reached
    the worst counts: of the members in the fit, and of draws and leaves of all.
    """
    parts = list(members.values())
    count = min(len(part.draws) for part in parts)
    present = [p for p, share in zip(parts, shares.fit, strict=True) if share > 0]
    quality: dict[str, Any] = {}
    for key in parts[0].quality:
        some = present if key in _OF_THE_FIT else parts
        found = [part.quality[key] for part in some if key in part.quality]
        worst = min if key in ("is_settled", "draws_block") else max
        if len(found) == len(some):
            quality[key] = worst(found)
    backends = dict.fromkeys(part.backend for part in parts)
    return Fitted(
        family,
        family.join(shares.fit[None], [part.theta[None] for part in parts])[0],
        family.join(shares.draws[:count], [part.draws[:count] for part in parts]),
        family.join(shares.leaves, [part.leaves for part in parts]),
        quality | {"members": {name: p.quality for name, p in members.items()}},
        "+".join(backends),
        tuple(dict.fromkeys(text for part in parts for text in part.warnings)),
        shares.fit @ np.array([part.excess for part in parts]),
    )


def _shortfalls(drawn: Draws, asked: int) -> tuple[str, ...]:
    """What a user should hear of draws that went otherwise than asked."""
    found = []
    if not drawn.is_whole:
        found.append(
            f"Interrupted: {len(drawn.theta)} of {asked} draws were finished and are "
            "kept; intervals from fewer draws are rougher."
        )
    if drawn.is_halved:
        found.append(
            "The device had no memory for a block of draws: it was halved to "
            f"{drawn.block} a call."
        )
    return tuple(found)


def start(progress: Progress | None, task: str, total: int) -> None:
    """Tell what runs now, where somebody listens."""
    interrupts.begin(task)
    if progress is not None:
        progress.start(task, total)
