"""What the runs leave open: an optimum beyond the grid, or along a setting no optimum.

Whether an answer is open is decided at the question: the best is carried there from the
cells nearest to it, and with it the range that was tried about their own best. The
explorer does the same in explorer/assets/told.js.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from surrogate.answers.limits.levels import distance as level_distance
from surrogate.answers.nearest import distances, nearest_cell
from surrogate.answers.question import Question
from surrogate.base.units import plain
from surrogate.fitting.evidence import Direction, setting

# Of the cells of a recipe, the nearest of which tell what was tried.
SHARE = 1 / 3
AGREE = 1e-6


@dataclass(frozen=True)
class Side:
    """An optimum of which the runs tell one side only.

    Attributes:
        side: `above` or `below`.
        than: a value that it lies above, or below, natural units; NaN if none is known.
        at: the end of what was tried, carried to the question: the answer is there.
        count: in so many groups of runs the end of the grid was best.
        groups: of so many.
        is_sure: that many are more than chance gives, at 5 %.
        levels: that the setting takes in a cell, at most.
        capped: in so many of `count` runs above the end of the grid diverged.
    """

    side: str
    than: float
    at: float
    count: int
    groups: int
    is_sure: bool
    levels: int
    capped: int = 0

    def to_json(self) -> dict[str, Any]:
        """Plain numbers; `than` null where it is not known."""
        known = self.than if math.isfinite(self.than) else None
        return asdict(self) | {"than": known}


def sides(
    question: Question,
    best: dict[str, float],
    intervals: dict[str, tuple[float, float]],
    held: dict[str, float],
    is_cut: bool = False,
) -> dict[str, Side]:
    """The settings of which the answer tells one side only.

    Args:
        question: where, of a fit with what its runs say of each setting.
        best: of the surface in the box, natural units.
        intervals: of it.
        held: settings that are not chosen.
        is_cut: the minimum lies on the edge of stability.
    """
    fit = question.fit
    found = {}
    for name in fit.features.choices:
        told = fit.evidence.get(name)
        if told is None or name in held:
            continue
        if told.is_curved:
            beyond = _capped if is_cut and name == "lr" else _beyond
            side = beyond(question, name, told, best[name], intervals[name])
        else:
            side = _monotone(question, name, told)
        if side is not None:
            found[name] = side
    return found


def _monotone(question: Question, name: str, told: Direction) -> Side | None:
    """No curvature is seen, but one end is best more often than chance has it."""
    cells = question.fit.cells
    index = nearest_cell(cells, question)
    assert index is not None
    lowest, highest = cells[index].ends(name)
    if told.is_high:
        side, than, at = "above", told.above, highest
        count, capped = told.high, told.capped
    elif told.is_low:
        side, than, at = "below", told.below, lowest
        count, capped = told.low, 0
    else:
        return None
    # Without a bend nothing tells how the best moves beyond the sizes of the runs.
    is_far = level_distance(question.fit, question.columns, {})[0] > 1
    known = math.nan if than is None or is_far else than
    return Side(side, known, at, count, told.groups, True, told.levels, capped)


def _beyond(
    question: Question,
    name: str,
    told: Direction,
    best: float,
    interval: tuple[float, float],
) -> Side | None:
    """The surface bends, and its best lies beyond what was tried."""
    low, high = tried(question, name)
    if high < -AGREE:
        return _above(told, plain(best * math.exp(high)), interval[0])
    if low > AGREE:
        than = told.below if told.is_low and told.below is not None else interval[1]
        at = plain(best * math.exp(low))
        return Side(
            "below", max(than, at), at, told.low, told.groups, told.is_low, told.levels
        )
    return None


def _capped(
    question: Question,
    name: str,
    told: Direction,
    best: float,
    interval: tuple[float, float],
) -> Side | None:
    """The best lies beyond the edge of stability, which the fitted minimum lies on.

    Where the highest stable lr is best all over, nothing but runs that diverged stands
    above it: the edge between them is a guess, and the answer stays at what ran, as it
    does where the edge lies above all that ran. What was tried about the cells' own
    optima says nothing here: these lie beyond the edge.
    """
    cells = question.fit.cells
    index = nearest_cell(cells, question)
    assert index is not None
    highest = cells[index].ends(name)[1]
    if not (told.is_high and told.capped) and best <= highest * (1 + AGREE):
        return None
    at = min(highest, best)
    return _above(told, at, interval[0] if math.isfinite(interval[0]) else at)


def _above(told: Direction, at: float, low: float) -> Side:
    """A best above `at`, and above what runs tell, or else its interval's lower end."""
    than = told.above if told.is_high and told.above is not None else low
    return Side(
        side="above",
        than=min(than, at),
        at=at,
        count=told.high,
        groups=told.groups,
        is_sure=told.is_high,
        levels=told.levels,
        capped=told.capped,
    )


def tried(question: Question, name: str) -> tuple[float, float]:
    """Lowest and highest value tried over the best [ln], in the cells nearest by.

    Without bounds where the fit does not remember.
    """
    fit = question.fit
    ends = [fit.cells[i].around[name] for i in nearest_cells(question, name)]
    if not ends:
        return -math.inf, math.inf
    return min(low for low, _ in ends), max(high for _, high in ends)


def nearest_cells(question: Question, name: str) -> list[int]:
    """Of the cells that know where a setting was tried, the nearest third."""
    cells = question.fit.cells
    off = distances(cells, question)
    known = [i for i in np.argsort(off, kind="stable") if np.isfinite(off[i])]
    known = [int(i) for i in known if name in cells[i].around]
    return known[: math.ceil(SHARE * len(known))]


def opened(
    question: Question,
    name: str,
    best: float,
    interval: tuple[float, float],
) -> tuple[float, float]:
    """An interval whose ends beyond what was tried are not known."""
    if name not in question.fit.evidence:
        return interval
    low, high = tried(question, name)
    lower, upper = interval
    return (
        lower if lower >= best * math.exp(low) * (1 - AGREE) else math.nan,
        upper if upper <= best * math.exp(high) * (1 + AGREE) else math.nan,
    )


def say_open(
    question: Question,
    name: str,
    best: float,
    interval: tuple[float, float],
) -> tuple[str, ...]:
    """Why an interval is open, where the best itself lies inside what was tried."""
    told = question.fit.evidence.get(name)
    is_open = [math.isnan(end) for end in interval]
    if told is None or all(is_open) or not any(is_open):
        return ()
    low, high = tried(question, name)
    below = is_open[0]
    end = setting(name, best * math.exp(low if below else high))
    beyond, side, of = (
        ("under", "below", told.low) if below else ("over", "above", told.high)
    )
    what = "cells" if name == "batch" else "groups of runs of one size and batch"
    word = "lowest" if below else "highest"
    count = f", and the {word} is best in {of} of {told.groups} {what}" if of else ""
    return (
        f"Nothing {beyond} {end} was tried{count}: the interval of {name} is open "
        f"{side}.",
    )


def say(name: str, side: Side) -> str:
    """A side in words."""
    end = "highest" if side.side == "above" else "lowest"
    than = (
        f"so the best lies {side.side} {setting(name, side.than)}"
        if math.isfinite(side.than)
        else f"so the best may lie {side.side} it"
    )
    if not side.count:
        return (
            f"The fitted best {name} lies {side.side} all that was tried about it: the "
            f"answer is at the end of that, {setting(name, side.at)}, {than}."
        )
    what = "cells" if name == "batch" else "groups of runs of one size and batch"
    sure = "" if side.is_sure else ", which may be chance"
    step = " (two values tell a slope and no optimum)" if side.levels == 2 else ""
    beyond = {"above": "over", "below": "under"}[side.side]
    rest = f"nothing {beyond} {setting(name, side.at)} was tried"
    if side.capped:
        end = "highest stable"
        rest = f"over {setting(name, side.at)} runs diverged"
        rest += "" if side.capped == side.count else " or none was tried"
    return (
        f"The {end} {name} is best in {side.count} of {side.groups} {what}{sure}, "
        f"{than}{step}; {rest}."
    )
