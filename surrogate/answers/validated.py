"""What a validation found: its folds, their cells, and means over both."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from surrogate.fitting.regions import Skipped
from surrogate.fitting.scores import Band

_PARTS = (
    "mae_ln",
    "bias_ln",
    "coverage",
    "half_width",
    "winkler",
    "regret",
    "regret_smoothed",
    "regret_bound",
)
WORDS = ("inside", "near", "far", "too_uncertain")


@dataclass(frozen=True)
class Held:
    """A left-out cell, scored; NaN where the fit answers nothing.

    Attributes:
        recipe: of the cell.
        params: of the cell.
        tokens: of the cell.
        scales: further scale variables.
        asked_as: the recipe that the fit was asked about.
        runs: that errors count on.
        mae_ln: mean absolute error of ln loss on runs within 10 % of the best.
        bias_ln: mean of predicted minus measured ln loss on them.
        coverage: share of runs within 5 % of the best inside their 95 % interval.
        half_width: mean half-width of those intervals [ln loss].
        winkler: mean of width + 40 x what is missed [ln loss]; less is better.
        lr: suggested.
        batch: suggested [tokens].
        regret: measured at the suggestion.
        regret_smoothed: likewise, on a local cubic; NaN where the cell has too few.
        regret_bound: stated upper end of the suggestion's regret.
        lr_interval: stated for the best lr.
        batch_interval: stated for the best batch [tokens].
        trust: the word for the setting.
        loss_trust: the word for the level of the loss.
        inside: whether the question counts as inside the data.
        distance: from the data, as answers say it.
        status: of the answer.
    """

    recipe: str
    params: float
    tokens: float
    scales: dict[str, float]
    asked_as: str
    runs: int
    mae_ln: float
    bias_ln: float
    coverage: float
    half_width: float
    winkler: float
    lr: float
    batch: float
    regret: float
    regret_smoothed: float
    regret_bound: float
    lr_interval: tuple[float, float]
    batch_interval: tuple[float, float]
    trust: str
    loss_trust: str
    inside: bool
    distance: float
    status: str

    @property
    def is_bounded(self) -> bool | None:
        """Whether the measured regret is within its bound; None where not known.

        The smoothed one where the cell has it: the lowest of many runs is a lucky one.
        """
        measured = self.regret_smoothed
        measured = self.regret if math.isnan(measured) else measured
        if math.isnan(measured) or math.isnan(self.regret_bound):
            return None
        return measured <= self.regret_bound

    def to_json(self) -> dict[str, Any]:
        """Plain numbers; NaN is null."""
        return _plain(asdict(self)) | {"bounded": self.is_bounded}


@dataclass(frozen=True)
class FoldScore:
    """A fold, scored.

    Attributes:
        kind: regions, cells, recipes or asked.
        name: what was left out.
        family: that was fitted to the rest.
        left: cells that were fitted.
        cells: those left out.
        mae_ln: mean absolute error of ln loss over all runs within 10 % of the best of
            their cell.
        coverage: share of all runs within 5 % inside their 95 % interval.
        half_width: mean half-width of those intervals [ln loss].
        winkler: mean Winkler score [ln loss].
        band: precision and recall of the plateau at 0.25 %; None where no run counts.
        warnings: of the fit.
    """

    kind: str
    name: str
    family: str
    left: int
    cells: tuple[Held, ...]
    mae_ln: float
    coverage: float
    half_width: float
    winkler: float
    band: Band | None
    warnings: tuple[str, ...] = ()

    def mean(self, part: str) -> float:
        """Mean of a part over the cells that have it; NaN where none does."""
        return _mean([getattr(cell, part) for cell in self.cells])

    def to_json(self) -> dict[str, Any]:
        """Plain numbers; NaN is null."""
        own = ("mae_ln", "coverage", "half_width", "winkler")
        means = {part: _known(self.mean(part)) for part in _PARTS if part not in own}
        return {
            "kind": self.kind,
            "name": self.name,
            "family": self.family,
            "left": self.left,
            **{part: _known(getattr(self, part)) for part in own},
            **means,
            "bounded": _known(share([cell.is_bounded for cell in self.cells])),
            "band": self.band,
            "cells": [cell.to_json() for cell in self.cells],
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True)
class Validation:
    """Scores of fits on cells that they have not seen.

    Attributes:
        family: asked for.
        folds: what was left out, scored; each of equal weight in every mean.
        skipped: what was not tried, and why.
        level: nominal coverage of intervals.
    """

    family: str
    folds: tuple[FoldScore, ...]
    skipped: tuple[Skipped, ...]
    level: float

    def summary(self) -> dict[str, float]:
        """Means over folds; `bounded` is the share of cells within their bound.

        `covered_80`, `covered_40`: how many folds cover less than 80 and 40 %.
        """
        own = ("mae_ln", "coverage", "half_width", "winkler")
        found = {part: _mean([getattr(f, part) for f in self.folds]) for part in own}
        for part in ("regret", "regret_smoothed", "regret_bound"):
            found[part] = _mean([fold.mean(part) for fold in self.folds])
        cells = [cell for fold in self.folds for cell in fold.cells]
        found["bounded"] = share([cell.is_bounded for cell in cells])
        covered = np.array([fold.coverage for fold in self.folds], dtype=np.float64)
        found["folds"] = float(np.isfinite(covered).sum())
        found["covered_80"] = float((covered < 0.8).sum())
        found["covered_40"] = float((covered < 0.4).sum())
        return found

    def by_trust(self) -> dict[str, dict[str, float]]:
        """What cells of each word of trust really missed, as medians.

        `regret` by the word for the setting, smoothed where known; `mae_ln` by that for
        the level of the loss.
        """
        cells = [cell for fold in self.folds for cell in fold.cells]
        found = {}
        for word in WORDS:
            lost = [
                c.regret if math.isnan(c.regret_smoothed) else c.regret_smoothed
                for c in cells
                if c.trust == word
            ]
            off = [c.mae_ln for c in cells if c.loss_trust == word]
            found[word] = {
                "cells": float(len(lost)),
                "regret": _median(lost),
                "loss_cells": float(len(off)),
                "mae_ln": _median(off),
            }
        return found

    def to_json(self) -> dict[str, Any]:
        """Plain numbers; NaN is null."""
        return {
            "family": self.family,
            "level": self.level,
            "summary": {k: _known(v) for k, v in self.summary().items()},
            "trust": {
                word: {k: _known(v) for k, v in row.items()}
                for word, row in self.by_trust().items()
            },
            "folds": [fold.to_json() for fold in self.folds],
            "skipped": [skip._asdict() for skip in self.skipped],
        }

    def __str__(self) -> str:
        """A line a fold, then the means."""
        rows = [
            (fold.name, fold.mae_ln, fold.coverage, fold.mean("regret"))
            for fold in self.folds
        ]
        means = self.summary()
        rows.append(("mean", means["mae_ln"], means["coverage"], means["regret"]))
        width = max(len(name) for name, *_ in rows)
        lines = [f"{'left out':{width}}  error of ln L  coverage  regret"]
        lines += [
            f"{name:{width}}  {100 * off:11.2f} %  {100 * hit:6.0f} %  "
            f"{100 * lost:.2f} %"
            for name, off, hit, lost in rows
        ]
        lines += [f"not tried: {name}: {why}" for name, why in self.skipped]
        return "\n".join(lines)


def share(marks: Sequence[bool | None]) -> float:
    """Of those that are known, how many are true; NaN where none is."""
    known = [mark for mark in marks if mark is not None]
    return float(np.mean(known)) if known else math.nan


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return float(np.mean(known)) if known else math.nan


def _median(values: Sequence[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return float(np.median(known)) if known else math.nan


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
