"""The lowest learning rate that visibly went unstable near a question.

It is known where far fewer runs diverged than an edge of stability takes, and nothing
at or above it is answered without saying so. The rule is also in told.js of
explorer/assets.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from surrogate.answers.nearest import nearest_cell
from surrogate.answers.question import Question
from surrogate.base.units import (
    format_count,
    format_lr,
    format_percent,
    format_tokens_exact,
)
from surrogate.fitting.model import CellRecord
from surrogate.fitting.stability import P_MAX

_ROUNDING = 1e-9


@dataclass(frozen=True)
class Unstable:
    """The lowest lr at which a run diverged, at one batch of one cell.

    Attributes:
        lr: of that run.
        batch: of it [tokens].
        params: of the cell.
        tokens: of the cell.
    """

    lr: float
    batch: float
    params: float
    tokens: float

    def to_json(self) -> dict[str, Any]:
        """Plain numbers."""
        return asdict(self)

    def __str__(self) -> str:
        """For people, after "the"."""
        return (
            f"lowest lr that went unstable at a batch of "
            f"{format_tokens_exact(round(self.batch))} tokens in the runs of "
            f"{format_count(self.params)} parameters and {format_count(self.tokens)} "
            "tokens"
        )


def unstable_near(question: Question, settings: Mapping[str, float]) -> Unstable | None:
    """In the nearest cell, at its batch that is nearest; None where none diverged.

    Args:
        question: where, of a fit with the cells of its runs.
        settings: lr and batch of the answer; without a batch all of the cell's count.
    """
    batch = settings.get("batch", math.nan)
    return unstable_within(question, batch, batch)


def unstable_within(question: Question, low: float, high: float) -> Unstable | None:
    """The same at batches from `low` to `high` [tokens], NaN where open."""
    cells = question.fit.cells
    index = nearest_cell(cells, question)
    if index is None or not cells[index].unstable:
        return None
    return _lowest(cells[index], _nearest_batches(cells[index], low, high))


def _nearest_batches(cell: CellRecord, low: float, high: float) -> list[float]:
    """Batches of a cell in a range and nearest to its ends, of which NaN is open."""
    first = 0.0 if math.isnan(low) else low
    last = math.inf if math.isnan(high) else high
    ends = {
        min(cell.batch, key=lambda b: abs(math.log(b / end)))
        for end in (low, high)
        if not math.isnan(end)
    }
    return [b for b in cell.batch if b in ends or first <= b <= last]


def _lowest(cell: CellRecord, batches: list[float]) -> Unstable | None:
    found = [(lr, batch) for batch, lr in cell.unstable if batch in batches]
    if not found:
        return None
    return Unstable(*min(found), cell.params, cell.tokens)


def reaches(lr: float, found: Unstable | None) -> bool:
    """Whether a learning rate is as high as one that went unstable."""
    return found is not None and lr >= found.lr * (1 - _ROUNDING)


def setting_warnings(lr: float, found: Unstable | None) -> tuple[str, ...]:
    """About a learning rate that is answered, or was given."""
    if found is None or not reaches(lr, found):
        return ()
    return (f"lr {format_lr(lr)} is not below {format_lr(found.lr)}, the {found}.",)


def plateau_warnings(
    high: float, robust: Mapping[str, Any] | None, found: Unstable | None
) -> tuple[str, ...]:
    """About a plateau whose learning rates reach one that went unstable.

    Args:
        high: its largest lr; NaN where it is open.
        robust: the robust plateau's JSON.
        found: the lowest that went unstable at its batches.
    """
    top = math.inf if math.isnan(high) else high
    if found is None or not reaches(top, found):
        return ()
    ends = (robust or {}).get("lr") or {}
    both = reaches(ends.get("high") or 0.0, found)
    what = "The plateau and its robust part reach" if both else "The plateau reaches"
    return (f"{what} lr {format_lr(found.lr)}, the {found}.",)


def p_max_warnings(question: Question) -> tuple[str, ...]:
    """Whether a limit that was given does nothing."""
    if question.p_max == P_MAX or question.fit.stability is not None:
        return ()
    return (
        f"--p-max {format_percent(question.p_max)} cannot bind: too few runs diverged "
        "to tell an edge of stability, which takes 5 in 2 cells, two of them at most 2 "
        "octaves of lr above a stable run.",
    )
