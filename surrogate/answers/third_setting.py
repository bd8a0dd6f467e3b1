"""Which level of a further setting a question is answered at, where none is named."""

from __future__ import annotations

from collections.abc import Mapping

from surrogate.base.units import format_count, format_percent
from surrogate.data.third_setting import Levels, compare, nearest
from surrogate.fitting.model import Model

_SHOWN = 4


def best_level(
    fit: Model,
    params: float,
    tokens: float,
    scales: Mapping[str, float],
    recipe: str | None,
) -> tuple[str | None, list[str]]:
    """The recipe to ask about, and what to say of the choice.

    Args:
        fit: whose runs may have a further setting.
        params: asked about.
        tokens: asked about.
        scales: further scale variables.
        recipe: as it was asked: one of the fit's, what is in front of its level, or
            None.
    """
    if recipe in fit.recipes or fit.runs is None or not fit.runs.also:
        return recipe, []
    found = tuple(
        item for item in compare(fit.runs) if recipe is None or item.recipe == recipe
    )
    if len({item.recipe for item in found}) != 1:
        return recipe, []
    sizes = {"params": params, "tokens": tokens, **scales}
    item = nearest(found, sizes)
    assert item is not None
    return item.levels[0].recipe, [_said(item, found)]


def _said(item: Levels, found: tuple[Levels, ...]) -> str:
    """The best level, where it was found, and what the others lose."""
    best = item.levels[0]
    size = f"{format_count(item.params)} params, {format_count(item.tokens)} tokens"
    wins = sum(other.levels[0].level == best.level for other in found)
    sizes = f" ({wins} of {len(found)} sizes)" if len(found) > 1 else ""
    others = []
    for level in item.levels[1 : 1 + _SHOWN]:
        ends = level.interval
        span = (
            ""
            if ends is None
            else f" ({format_percent(ends[0])} to {format_percent(ends[1])})"
        )
        others.append(f"{level.level} loses {format_percent(level.loses)}{span}")
    alike = [level.level for level in item.as_good]
    unsure = (
        f"; these runs do not tell {', '.join(alike)} from it"
        if alike and not item.is_measured
        else ""
    )
    return (
        f"{item.name} {best.level} is taken, the best of {len(item.levels)} levels at "
        f"{size}{sizes}: {', '.join(others)}{unsure}. --recipe "
        f"{item.levels[1].recipe} asks about another."
    )
