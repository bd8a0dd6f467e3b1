"""A best setting that the runs hold too loosely is none.

Where every run has sizes of its own, a joint fit alone tells what a setting does, and
its curvature may be seen though the place of its optimum is not: an answer is given
where its 95 % interval is within a factor of 4 each way. At fitted sizes, a setting of
which every value that was tried may be the best is not told either.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import replace

from surrogate.answers.limits.pairs import untried
from surrogate.answers.question import Question
from surrogate.answers.sided import solve_sides
from surrogate.answers.solved import point_only, solve_box
from surrogate.base.units import format_count
from surrogate.data.extrapolation import HELD_SPAN
from surrogate.fitting.model import Model

# By more than this each way, a best setting is not told by runs that share no sizes.
FACTOR = 4.0
# With fewer runs a cell than this, runs are scattered (`data.coordinates`).
_SHARED = 1.5


def is_scattered(fit: Model) -> bool:
    """Whether runs share no cells, as in a random design."""
    runs = sum(cell.runs - cell.diverged for cell in fit.cells)
    return runs < _SHARED * fit.fitted_cells


def too_loose(
    question: Question, held: Mapping[str, float], untold: Collection[str]
) -> dict[str, str]:
    """The settings whose best is held too loosely at the question, and the words.

    Args:
        question: where.
        held: settings that are given.
        untold: settings of which the runs show no best anyhow.
    """
    fit = question.fit
    if not len(fit.leaves):
        return {}
    box = question.box | {name: (value, value) for name, value in held.items()}
    solved, one_sided, opened = solve_sides(question, box, held)
    u = solved.minimum.u
    if not math.isfinite(float(u[0].sum())):
        return {}
    ends = fit.spans(u[0], solved.leaves(u))
    halves = 0.5 * (ends[:, 1] - ends[:, 0]) * fit.features.u_scale
    if not held and not untold:
        at = solved.best | {name: side.at for name, side in one_sided.items()}
        free = solved.best
        if solved.is_cut or one_sided:
            # Pairs are told about the surface's own best, beyond the edge or not.
            whole = point_only(question)
            bare = replace(whole, fit=replace(whole.fit, stability=None))
            free = solve_box(bare, box).best
        far = untried(question, free, at)
        if far is not None:
            return {"batch": far}
    scattered = is_scattered(fit)
    most = math.log(FACTOR) if scattered else math.inf
    is_fitted = _is_fitted(question)
    found = {}
    for name, half in zip(fit.features.choices, halves.tolist(), strict=True):
        # Open on both sides: every value that was tried may be the best.
        is_any = is_fitted and all(math.isnan(end) for end in opened[name])
        is_free = name not in held and name not in one_sided
        if is_free and (is_any or not half <= most):
            found[name] = _said(name, question, half, scattered)
    return found


def _is_fitted(question: Question) -> bool:
    """Whether the sizes lie among those that were fitted."""
    asked, fitted = question.sizes, question.fit.features.fitted
    ends = {name: fitted[name] for name in asked}
    near = math.exp(HELD_SPAN)
    return all(
        ends[name][0] / near <= value <= ends[name][1] * near
        for name, value in asked.items()
    )


def _said(name: str, question: Question, half: float, is_scattered: bool) -> str:
    sizes = f"{format_count(question.params)} params"
    sizes += f" and {format_count(question.tokens)} tokens"
    if not is_scattered:
        return (
            f"These runs do not tell the best {name} at {sizes}: within the errors of "
            "the fit it may be any that was tried, or beyond. Add runs farther apart, "
            "or repeats."
        )
    factor = math.exp(min(half, 50.0)) if math.isfinite(half) else math.inf
    known = f"to no better than a factor of {factor:.2g}" if factor < 1e4 else "not"
    return (
        f"These runs share no sizes, and together they tell the best {name} at {sizes} "
        f"{known} each way (95 %); {FACTOR:g} is the most that counts as told. Add "
        "runs there, or several at one size."
    )
