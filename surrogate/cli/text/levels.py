"""The text of levels of a further setting: the best, and what the others lose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from surrogate.cli.text import common
from surrogate.cli.text.common import Document

if TYPE_CHECKING:
    from rich.console import RenderableType

_SIZES = 6


def tables(found: Sequence[Document]) -> list[RenderableType]:
    """A table for each size, the first of many."""
    if not found:
        return []
    shown, more = common.first(found, _SIZES, "sizes", "--json")
    body = [part for item in shown for part in _table(item)]
    return [*body, *more]


def _table(item: Document) -> list[RenderableType]:
    name, levels = item["name"], item["levels"]
    where = (
        f"{common.count(item['params'])} params, {common.count(item['tokens'])} tokens"
    )
    what = f"{item['recipe']}, {where}" if item["recipe"] else where
    said = "lowest measured losses" if item["is_measured"] else "each at its best lr"
    names = [name, "runs", "lr", "batch", "loss", "loses", "95 %"]
    rows = [
        [
            str(level["level"]),
            f"{level['runs']:,}",
            f"{common.lr(level['lr'])}{' (edge)' if level['at_edge'] else ''}",
            common.count(level["batch"]),
            common.loss(level["loss"]),
            "best" if k == 0 else common.percent(level["loses"]),
            _interval(level["interval"]),
        ]
        for k, level in enumerate(levels)
    ]
    return [
        common.title(""),
        common.title(f"{name} at {what} ({said})"),
        common.columns(names, rows, left=[name]),
        common.title(_verdict(item)),
    ]


def _interval(ends: Sequence[float] | None) -> str:
    return "" if ends is None else common.span(ends, common.percent)


def _verdict(item: Document) -> str:
    """Which levels these runs do not tell from the best."""
    best = item["levels"][0]
    alike = [
        level["level"]
        for level in item["levels"][1:]
        if level["interval"] is None or level["interval"][0] <= 0
    ]
    if item["is_measured"]:
        return "Too few runs of each level for intervals."
    if not alike:
        return f"{item['name']} {best['level']} is the best of those tried."
    seen = min(item["levels"], key=lambda level: level["measured"])
    names = ", ".join(alike)
    return (
        f"These runs do not tell {names} from the best; the lowest measured loss is at "
        f"{seen['level']}."
    )
