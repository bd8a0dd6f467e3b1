"""What figures ask of a fit beside its answers: grids of losses, the nearest cell."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from surrogate.answers import arrays, beyond
from surrogate.answers.fit import Fit
from surrogate.answers.nearest import distances, nearest_cell
from surrogate.answers.predict import Points, check_comparable, surface_at
from surrogate.answers.question import Question
from surrogate.answers.results import Optimum, Plateau
from surrogate.answers.solved import nearest_level
from surrogate.base.errors import SolveError, Status
from surrogate.base.shapes import Float64
from surrogate.base.units import format_count
from surrogate.data import Runs
from surrogate.data.coordinates import CHOICES
from surrogate.fitting.evidence import unclear
from surrogate.views.plots import canvas

Column = Float64[np.ndarray, " m"]
Given = Float64[np.ndarray, " g"]
# A cell this near to a question [ln] is called the question's own.
_SAME = 0.01


@dataclass(frozen=True)
class Nearest:
    """The cell nearest to a question; measured losses where runs are at hand.

    Attributes:
        title: its sizes, for people.
        is_same: the question's own sizes.
        lr: of its runs, or of its grid where there are none.
        batch: likewise [tokens].
        excess: measured loss over the cell's best, minus 1; NaN where diverged;
            None without runs.
        residual: ln measured loss minus ln fitted loss; likewise.
    """

    title: str
    is_same: bool
    lr: Column
    batch: Column
    excess: Column | None
    residual: Column | None


def runs_of(fit: Fit, runs: Runs | None) -> Runs | None:
    """The runs named, else the fit's own; None for a bundled fit.

    Raises:
        DataError: they are not of the fit's recipes or lack a scale.
    """
    found = fit.runs if runs is None else runs
    if found is not None:
        check_comparable(fit, found)
    return found


def log_losses(
    fit: Fit, thetas: np.ndarray, s: Given, settings: Mapping[str, Column]
) -> Float64[np.ndarray, "thetas m"]:
    """Ln loss [nats per token] of several thetas at m settings and one s."""
    z = arrays.points(fit.features.u_of(settings), s)
    return arrays.log_losses(fit.family, thetas, z) + fit.features.level


def banded(
    fit: Fit, question: Question, settings: Mapping[str, Column]
) -> tuple[Column, Column, Column]:
    """Loss at m settings and the ends of the surface's interval [nats per token].

    The interval is t times the jackknife's standard error, with what the law itself may
    be wrong by; NaN without jackknife refits.
    """
    thetas = fit.refits
    losses = log_losses(fit, thetas, question.s, settings)
    wrong = beyond.at(question).level
    ends = beyond.widened(fit.spans(losses[0], losses[1:]), wrong)
    return np.exp(losses[0]), np.exp(ends[..., 0]), np.exp(ends[..., 1])


def without_draws(fit: Fit) -> Fit:
    """The fit without draws: intervals alone need only the jackknife refits."""
    return replace(fit, draws=fit.draws[:0])


def missing(fit: Fit) -> str | None:
    """The choice that the fit cannot make, if there is one."""
    return next((name for name in CHOICES if name not in fit.features.choices), None)


def untold(fit: Fit) -> dict[str, str]:
    """Fitted settings of which the runs show no best, and why."""
    why = {name: unclear(fit.evidence.get(name), name) for name in fit.features.choices}
    return {name: text for name, text in why.items() if text is not None}


def held(fit: Fit, question: Question) -> dict[str, float]:
    """What the fit or its runs cannot tell, at the nearest cell's value.

    Raises:
        SolveError: nothing is left to draw along.
    """
    why, name = untold(fit), missing(fit)
    if len(why) == len(fit.features.choices):
        raise SolveError(f"{' '.join(why.values())} There is nothing to draw.")
    names = [*why, *(() if name is None else (name,))]
    return {name: nearest_level(question, name) for name in names}


def check_found(answer: Optimum | Plateau) -> None:
    """Refuse to draw a surface that has no minimum, or no answer.

    Raises:
        SolveError: it has none.
    """
    if answer.status is Status.not_identifiable:
        raise SolveError(f"{answer.context.warnings[0]} There is nothing to draw.")
    if answer.status is Status.no_optimum:
        raise SolveError(f"{answer.status.sentence} There is nothing to draw.")


def called(optimum: Optimum) -> str:
    """What the answer is: where one side is open it is the end of what was tried."""
    return "end of what was tried" if optimum.context.one_sided else "optimum"


def nearest(fit: Fit, question: Question, runs: Runs | None) -> Nearest | None:
    """The cell nearest to what is asked, of those with runs; None where none is."""
    cells = fit.cells if runs is None else runs.cells
    index = nearest_cell(cells, question)
    if index is None:
        return None
    found = cells[index]
    title = _sizes(found.params, found.tokens)
    is_same = bool(distances(cells, question)[index] < _SAME)
    if runs is not None:
        members = runs.subset(runs.cell == index)
        excess, residual = measured(fit, members)
        return Nearest(title, is_same, members.lr, members.batch, excess, residual)
    record = fit.cells[index]
    grid = np.meshgrid(np.array(record.lr), np.array(record.batch))
    return Nearest(title, is_same, grid[0].ravel(), grid[1].ravel(), None, None)


def measured(fit: Fit, runs: Runs) -> tuple[Column, Column]:
    """Measured excess over the cell's best, and residual of ln loss; NaN if diverged.

    Both are fractions, one entry a run.
    """
    fitted, _ = fitted_at(fit, runs)
    best = np.array([cell.best for cell in runs.cells])[runs.cell]
    loss = np.where(runs.usable, runs.loss, np.nan)
    return loss / best - 1, np.log(loss / fitted)


def fitted_at(fit: Fit, runs: Runs) -> tuple[Column, Column]:
    """Fitted loss of runs, and its excess in ln over their cell's fitted minimum."""
    columns = runs.lr_level, runs.batch, runs.params, runs.tokens
    return surface_at(fit, Points(*columns, runs.scales, runs.recipe))


def span(values: Mapping[str, list], margin: float) -> dict[str, tuple[float, float]]:
    """Smallest and largest finite value by name, and a margin of ln on each side."""
    ends = {}
    for name, parts in values.items():
        every = np.concatenate([np.ravel(part) for part in parts])
        every = np.log(every[np.isfinite(every)])
        room = margin * max(float(np.ptp(every)), 0.5)
        ends[name] = (math.exp(every.min() - room), math.exp(every.max() + room))
    return ends


def title_of(question: Question, inside: bool, distance: float) -> str:
    """The question in a figure's title, and whether it extrapolates."""
    parts = [_sizes(question.params, question.tokens)]
    parts += [
        f"{canvas.text(n)} = {format_count(v)}" for n, v in question.scales.items()
    ]
    if question.recipe:
        parts.append(canvas.text(question.recipe))
    if not inside:
        parts.append(f"extrapolated, distance {distance:.3g}")
    return ", ".join(parts)


def _sizes(params: float, tokens: float) -> str:
    return f"N = {format_count(params)}, D = {format_count(tokens)}"
