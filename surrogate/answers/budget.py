"""Optima where the sizes move with the choice: fixed steps, or a budget of compute.

At a fixed number of steps the tokens are steps x batch; with a budget C = 6 N D the
params are free. What is given then moves with what is chosen, and only the posynomial
is convex in all of it together: for every family one variable is scanned, the rest is a
certified minimum at each of its values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from surrogate.answers import arrays, beyond, stability_edge
from surrogate.answers.checks import check_positive
from surrogate.answers.context import context_of
from surrogate.answers.decision.answered import Answered
from surrogate.answers.decision.deferred import answered
from surrogate.answers.decision.document import Limits
from surrogate.answers.limits.offers import untried
from surrogate.answers.limits.unfitted import unfitted
from surrogate.answers.optimum import refused
from surrogate.answers.question import FLOPS, Question
from surrogate.answers.results import Optimum, Pair, Scan
from surrogate.answers.solved import (
    certificate,
    held_settings,
    limits,
    loss_of,
    solve_box,
)
from surrogate.base.errors import DataError, Status
from surrogate.base.shapes import Float64
from surrogate.data.coordinates import WIDEN
from surrogate.fitting import intervals
from surrogate.fitting.model import Model
from surrogate.numerics.half_plane import Cut

# Points of a scan, and how often the best of them is looked at more closely.
_POINTS, _ROUNDS = 65, 4

Place = Callable[[float], Question]


class _Path(NamedTuple):
    """What is scanned.

    Attributes:
        fit: what is asked.
        over: its name.
        fixed: what is held instead.
        ends: smallest and largest value of it.
        at: the question at a value of it.
        is_batch: it is the batch, which is then held in each minimisation.
    """

    fit: Model
    over: str
    fixed: dict[str, float]
    ends: tuple[float, float]
    at: Place
    is_batch: bool

    def more(self, held: dict[str, float], value: float) -> dict[str, float]:
        """What is held at a value of it."""
        return held | ({"batch": value} if self.is_batch else {})


def scanned(
    question: Question,
    held: Mapping[str, float | None],
    *,
    steps: float | None,
    flops: float | None,
) -> Optimum:
    """The optimum at fixed steps, or of a budget.

    Args:
        question: where to look, about some size.
        held: lr and batch, None where it is chosen.
        steps: optimiser steps, or None.
        flops: the budget, where no steps are given.

    Raises:
        DataError: the fit does not tell what is chosen, or a number is not positive.
    """
    if flops is not None:
        return fixed_flops(question, flops, lr=held["lr"], batch=held["batch"])
    assert steps is not None
    return fixed_steps(question, steps, lr=held["lr"])


def fixed_steps(question: Question, steps: float, *, lr: float | None) -> Optimum:
    """The best (lr, batch) where tokens = steps x batch.

    Raises:
        DataError: the fit knows no batch, or a number is not positive.
    """
    fit = question.fit
    check_positive("steps", steps)
    if "batch" not in fit.features.choices:
        raise DataError(
            "Expected a fit that knows batch, since at fixed steps batch is what is "
            "chosen, but in its runs batch does not vary inside any cell. Give "
            "--tokens instead of --steps."
        )

    def at(batch: float) -> Question:
        return question.at(question.params, steps * batch)

    path = _Path(fit, "batch", {"steps": steps}, question.box["batch"], at, True)
    return _optimum(path, held_settings(lr, None))


def fixed_flops(
    question: Question,
    flops: float,
    *,
    lr: float | None,
    batch: float | None,
) -> Optimum:
    """The best params, tokens, lr and batch where 6 params tokens = flops.

    Raises:
        DataError: the fit cannot tell params from tokens, or a number is not positive.
    """
    fit = question.fit
    check_positive("flops", flops)
    missing = [n for n in ("params", "tokens") if n not in fit.features.givens]
    if missing:
        raise DataError(
            f"Expected a fit that tells params from tokens, but {missing[0]} is left "
            "out of this one (its cells do not vary it apart). Give --params and "
            "--tokens."
        )
    low, high = fit.features.fitted["params"]

    def at(params: float) -> Question:
        return question.at(params, flops / (FLOPS * params))

    ends = low / WIDEN, high * WIDEN
    path = _Path(fit, "params", {"flops": flops}, ends, at, False)
    return _optimum(path, held_settings(lr, batch))


def _optimum(path: _Path, held: dict[str, float]) -> Optimum:
    fit = path.fit
    thetas = fit.refits
    chosen = _scanned(path, thetas, held)
    question = path.at(float(chosen[0]))
    unknown = unfitted(question)
    if unknown is not None:
        return refused(question, unknown)
    far = untried(question, held)
    if far is not None:
        return refused(question, *far)
    more = path.more(held, float(chosen[0]))
    box = question.box | {name: (value, value) for name, value in more.items()}
    solved = solve_box(question, box, more)
    found, status = solved.best, solved.status
    is_end = min(abs(math.log(chosen[0] / end)) for end in path.ends) < 1e-3
    if status is Status.ok and is_end:
        status = Status.at_bound
    extra = (*solved.edge_warnings, _said(path, fit.family.name))
    spans = _spans(path, thetas, chosen, held)
    context = context_of(question, found, status, held, extra)
    told = Answered(solved, {}, context.distance, "suggestion", Limits())
    return Optimum(
        context=context,
        lr=found["lr"],
        batch=found["batch"],
        loss=loss_of(fit, solved.minimum.value[0]),
        level=intervals.LEVEL,
        lr_interval=spans["lr"],
        batch_interval=spans["batch"],
        loss_interval=spans["loss"],
        certificate=certificate(solved),
        stability=stability_edge.risk(question, found),
        deferred=answered(told),
        scan=Scan(path.over, path.fixed, spans["params"], spans["tokens"]),
    )


def _scanned(
    path: _Path, thetas: Float64[np.ndarray, "thetas p"], held: dict[str, float]
) -> Float64[np.ndarray, " thetas"]:
    """The best value of the scan, of every theta."""
    low, high = np.log(path.ends)
    t = np.tile(np.linspace(low, high, _POINTS), (len(thetas), 1))
    for _ in range(_ROUNDS):
        values, _ = _minima(path, thetas, np.exp(t), held)
        k = np.nanargmin(np.where(np.isnan(values), np.inf, values), axis=1)
        rows = np.arange(len(t))
        left, right = (
            t[rows, np.maximum(k - 1, 0)],
            t[rows, np.minimum(k + 1, _POINTS - 1)],
        )
        t = np.linspace(left, right, _POINTS, axis=1)
    return np.exp(0.5 * (t[:, 0] + t[:, -1]))


def _said(path: _Path, family: str) -> str:
    """What a scan certifies."""
    certain = (
        "; the posynomial is convex along it, so the best of them is best of all."
        if family == "posynomial"
        else ": between them nothing is certified."
    )
    return (
        f"{path.over} was scanned at {_POINTS} values, with a certified optimum at each"
        + certain
    )


def _minima(
    path: _Path,
    thetas: Float64[np.ndarray, "thetas p"],
    values: Float64[np.ndarray, "thetas points"],
    held: dict[str, float],
) -> tuple[np.ndarray, np.ndarray]:
    """Lowest ln loss, and where, of every theta at each of its own values."""
    known: dict[float, tuple[np.ndarray, stability_edge.Bounds]] = {}
    for value in np.unique(values).tolist():
        question = path.at(value)
        more = path.more(held, value)
        box = question.box | {name: (v, v) for name, v in more.items()}
        known[value] = question.s, limits(question, box, more)
    cells = [[known[value] for value in line] for line in values.tolist()]
    s, low, high = (
        np.array([[part(cell) for cell in line] for line in cells])
        for part in (
            lambda cell: cell[0],
            lambda cell: cell[1].low,
            lambda cell: cell[1].high,
        )
    )
    family = path.fit.family
    return arrays.minima_each(family, thetas, s, low, high, _cuts(cells))


def _cuts(cells: list[list[tuple[np.ndarray, stability_edge.Bounds]]]) -> Cut | None:
    """The cuts of all places; where one has none, a half-plane that holds the box."""
    flat = [bounds for line in cells for _, bounds in line]
    first = next((b.cut for b in flat if b.cut is not None), None)
    if first is None:
        return None
    none = Cut(first.normal, np.asarray(1e6))
    cuts = [b.cut or none for b in flat]
    shape = len(cells), len(cells[0])
    return Cut(
        np.array([cut.normal for cut in cuts]).reshape(*shape, 2),
        np.array([cut.bound for cut in cuts]).reshape(shape),
    )


def _spans(
    path: _Path,
    thetas: Float64[np.ndarray, "thetas p"],
    chosen: Float64[np.ndarray, " thetas"],
    held: dict[str, float],
) -> dict[str, Pair]:
    """Intervals of what was found, each leaf at its own best value of the scan."""
    fit = path.fit
    losses, u = _minima(path, thetas, chosen[:, None], held)
    settings = fit.features.from_u(u[:, 0])
    columns = dict(zip(fit.features.choices, np.log(settings).T, strict=True))
    sizes = [path.at(float(value)) for value in chosen]
    columns |= {
        "loss": losses[:, 0] + fit.features.level,
        "params": np.log([q.params for q in sizes]),
        "tokens": np.log([q.tokens for q in sizes]),
    }
    wrong = beyond.at(sizes[0])
    half = {"loss": wrong.level}
    half |= dict(
        zip(fit.features.choices, wrong.settings * fit.features.u_scale, strict=True)
    )
    spans: dict[str, Pair] = {}
    for name in ("lr", "batch", "loss", "params", "tokens"):
        column = columns.get(name, np.full(len(chosen), np.nan))
        if name in held:
            column = np.full(len(chosen), np.nan)
        ends = beyond.widened(fit.spans(column[0], column[1:]), half.get(name, 0.0))
        low, high = np.exp(ends)
        spans[name] = float(low), float(high)
    return spans
