"""Runs that share no sizes: a best setting that they hold too loosely is none.

Where every run has sizes of its own, a joint fit alone tells what a setting does, and
its curvature may be seen though the place of its optimum is not. An answer is then
given where its 95 % interval is within a factor of 4 each way, and nothing otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from surrogate.answers.question import Question
from surrogate.answers.solved import solve_sides
from surrogate.base.units import format_count
from surrogate.fitting.model import Model

# By more than this each way, a best setting is not told.
FACTOR = 4.0
# With fewer runs a cell than this, runs are scattered (`data.coordinates`).
_SHARED = 1.5


def is_scattered(fit: Model) -> bool:
    """Whether runs share no cells, as in a random design."""
    runs = sum(cell.runs - cell.diverged for cell in fit.cells)
    return runs < _SHARED * fit.fitted_cells


def too_wide(
    fit: Model, question: Question, held: Mapping[str, float]
) -> dict[str, str]:
    """The settings whose best is held too loosely at the question, and the words."""
    if not is_scattered(fit) or not len(fit.leaves):
        return {}
    box = question.box | {name: (value, value) for name, value in held.items()}
    bare = replace(fit, draws=fit.draws[:0])
    solved, one_sided, _ = solve_sides(bare, question, box, dict(held))
    u = solved.minimum.u
    ends = fit.spans(u[0], solved.leaves(u))
    halves = 0.5 * (ends[:, 1] - ends[:, 0]) * fit.features.u_scale
    found = {}
    for name, half in zip(fit.features.choices, halves.tolist(), strict=True):
        if name not in held and name not in one_sided and not half <= math.log(FACTOR):
            found[name] = _said(name, question, half)
    return found


def _said(name: str, question: Question, half: float) -> str:
    sizes = f"{format_count(question.params)} params"
    sizes += f" and {format_count(question.tokens)} tokens"
    known = "not at all" if half > math.log(1e4) else "to no better than a factor of"
    factor = "" if half > math.log(1e4) else f" {math.exp(half):.2g}"
    return (
        f"These runs share no sizes, and together they tell the best {name} at {sizes} "
        f"{known}{factor} each way (95 %), where {FACTOR:g} is the most that counts as "
        "told. Add runs there, or several at one size."
    )
