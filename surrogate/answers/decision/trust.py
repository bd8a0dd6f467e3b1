"""The rule by which an answer is called inside, near or far, or too uncertain.

Two words: for the setting, and for the level of the loss, which errs sooner: level
errors of 2 % come with regrets of 0.1 %.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from surrogate.base.shown import lr as format_lr
from surrogate.base.shown import percent
from surrogate.base.units import format_count
from surrogate.data.coordinates import CHOICES

Word = Literal["inside", "near", "far", "too_uncertain"]

# Fitted cells this near in every scale count as near, and so many make an `inside`.
NEAR_FACTOR, NEAR_CELLS = 3.0, 2
# Beyond the fitted range by more than this, or farther than so many distances: far.
FAR_FACTOR, FAR_DISTANCE = 4.0, 2.0
# The level of the loss goes wrong sooner.
FAR_FACTOR_LOSS = 2.0
# The best lr known to a factor above this, or a regret to no better than so many tol.
LR_FACTOR, REGRET_TOLS = 2.0, 4.0
# A factor below this goes without saying, and one above the other says no more.
_SAID, _HARDLY = 1.05, 99
# Half of the interval of the loss, relative.
LOSS_WIDTH = 0.02

_WHAT = {
    "params": ("model", "largest", "smallest"),
    "tokens": ("run", "longest", "shortest"),
}


@dataclass(frozen=True)
class Evidence:
    """What the rule looks at.

    Attributes:
        distance: of the question, 1 at the edge of the data.
        sizes: asked about, by name; with lr and batch where a limit moves them.
        fitted: smallest and largest fitted of each.
        cells_near: fitted cells within a factor of 3 in every size.
        lr: interval of the best lr; NaN where there is none.
        regret_upper: of the suggestion, one-sided; NaN without draws.
        tol: of the plateau.
        loss: interval of the lowest loss; NaN where there is none.
        untold: why the runs do not tell the setting, if so.
    """

    distance: float
    sizes: dict[str, float]
    fitted: dict[str, tuple[float, float]]
    cells_near: int
    lr: tuple[float, float]
    regret_upper: float
    tol: float
    loss: tuple[float, float]
    untold: tuple[str, ...] = ()


@dataclass(frozen=True)
class Trust:
    """How far to believe an answer.

    Attributes:
        level: of the setting.
        loss_level: of the predicted loss.
        reasons: in plain words.
    """

    level: Word
    loss_level: Word
    reasons: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, object]:
        """The contract's keys, and the word for the loss."""
        return {
            "level": self.level,
            "loss_level": self.loss_level,
            "reasons": list(self.reasons),
        }


def judge(told: Evidence) -> Trust:
    """Two words and their reasons."""
    reasons = list(told.untold)
    ratios = {name: _beyond(told, name) for name in told.sizes if name in told.fitted}
    reasons += [_said(told, name) for name, times in ratios.items() if times >= _SAID]
    most = max(ratios.values(), default=1.0)
    is_alone = told.cells_near < NEAR_CELLS
    is_off = any(ratios.get(name, 1.0) >= _SAID for name in CHOICES)
    if is_alone and most <= NEAR_FACTOR:
        what = ("no fitted cell lies", "only one fitted cell lies")[told.cells_near]
        reasons.append(f"{what} within a factor of {NEAR_FACTOR:.0f} in every size")
    factor = math.sqrt(told.lr[1] / told.lr[0]) if _is_known(told.lr) else math.nan
    if factor >= _SAID:
        known = f"{factor:.2g}" if factor < _HARDLY else f"over {_HARDLY}"
        reasons.append(f"the best lr is known to a factor of {known}")
    elif math.isnan(factor) and not told.untold:
        reasons.append("how sure the best lr is, is not known: it has no interval")
    place = _place(told, most, FAR_FACTOR, is_alone)
    is_wide = factor > LR_FACTOR
    is_loose = told.regret_upper > REGRET_TOLS * told.tol
    if is_loose:
        reasons.append(
            f"even the suggestion may lose {percent(told.regret_upper)} of the loss"
        )
    level: Word = "near" if place == "inside" and is_off else place
    if is_wide or is_loose or told.untold:
        level = "too_uncertain"
    elif place == "inside" and not math.isfinite(factor):
        level = "near"
    return Trust(level, _loss_word(told, most, is_alone), tuple(reasons))


def _loss_word(told: Evidence, most: float, is_alone: bool) -> Word:
    half = 0.5 * math.log(told.loss[1] / told.loss[0]) if _is_known(told.loss) else 0.0
    if half > LOSS_WIDTH:
        return "too_uncertain"
    word = _place(told, most, FAR_FACTOR_LOSS, is_alone)
    return "near" if word == "inside" and not _is_known(told.loss) else word


def _is_known(ends: tuple[float, float]) -> bool:
    return math.isfinite(ends[0]) and math.isfinite(ends[1])


def _place(told: Evidence, most: float, far: float, is_alone: bool) -> Word:
    if most > far or told.distance > FAR_DISTANCE:
        return "far"
    return "near" if told.distance > 1 or is_alone else "inside"


def _beyond(told: Evidence, name: str) -> float:
    low, high = told.fitted[name]
    value = told.sizes[name]
    return max(value / high, low / value, 1.0)


def _said(told: Evidence, name: str) -> str:
    low, high = told.fitted[name]
    value = told.sizes[name]
    what, most, least = _WHAT.get(name, (name, "largest", "smallest"))
    shown = format_lr(value) if name == "lr" else format_count(value)
    if value > high:
        return f"{shown} is {times(value / high)} the {most} {what} fitted"
    return f"{shown} is 1/{low / value:.2g} of the {least} {what} fitted"


def times(ratio: float) -> str:
    """A ratio in two digits: 1.5 times, 20 times."""
    return f"{float(f'{ratio:.2g}'):g} times"
