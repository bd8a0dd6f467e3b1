"""A map of the plateau in characters, from an answer's document alone."""

from __future__ import annotations

import math
from collections.abc import Sequence

from surrogate.base import shown
from surrogate.cli.text.common import Document

# From so many columns on it stands beside the numbers, of which the text has the rest.
BESIDE = 120
WIDTH, HEIGHT = 34, 9
# Room at the left for a batch, and the axis.
_LABEL = 7
# Of the plateau's size, how much is shown around it.
_MARGIN = 0.12
_OUT, _IN, _BOX, _USE = "·", "░", "▓", "●"


def lines(document: Document) -> list[str]:
    """Rows of the map, the largest batch on top; none where there is no outline."""
    outline = document.get("contour") or {}
    lr, batch = outline.get("lr") or [], outline.get("batch") or []
    if len(lr) < 3 or len(batch) < 3:
        return []
    corners = [
        (math.log(x), math.log(y)) for x, y in zip(lr, batch, strict=True) if x and y
    ]
    across = _span([x for x, _ in corners])
    up = _span([y for _, y in corners])
    box = document.get("inner_robust") or document.get("inner") or {}
    use = document.get("suggestion") or {}
    middle = _cell(use, across, up)
    found = []
    for row in range(HEIGHT):
        y = up[1] - (row + 0.5) * (up[1] - up[0]) / HEIGHT
        cells = []
        for column in range(WIDTH):
            x = across[0] + (column + 0.5) * (across[1] - across[0]) / WIDTH
            if (row, column) == middle:
                cells.append(_USE)
            elif _in_box(box, x, y):
                cells.append(_BOX)
            else:
                cells.append(_IN if _inside(corners, x, y) else _OUT)
        at = {0: up[1], HEIGHT // 2: 0.5 * sum(up), HEIGHT - 1: up[0]}.get(row)
        label = "" if at is None else shown.count(math.exp(at))
        found.append(f"{label:>{_LABEL - 1}}┤{''.join(cells)}")
    ends = [shown.lr(math.exp(value)) for value in across]
    name = "batch by lr"
    gap = WIDTH - len(ends[0]) - len(ends[1]) - len(name)
    pad = " " * _LABEL
    return [
        *found,
        f"{pad}{ends[0]}{name.center(gap + len(name))}{ends[1]}",
        f"{pad}{_USE} use  {_BOX} any lr with any batch",
        f"{pad}{_IN} within {shown.percent(document['tol'])} of the best",
    ]


def _span(values: Sequence[float]) -> tuple[float, float]:
    """What is shown of an axis."""
    low, high = min(values), max(values)
    more = _MARGIN * (high - low) or 0.1
    return low - more, high + more


def _cell(
    use: Document, across: tuple[float, float], up: tuple[float, float]
) -> tuple[int, int] | None:
    """Row and column of the suggestion."""
    if not use.get("lr") or not use.get("batch"):
        return None
    x = (math.log(use["lr"]) - across[0]) / (across[1] - across[0])
    y = (up[1] - math.log(use["batch"])) / (up[1] - up[0])
    return int(y * HEIGHT), int(x * WIDTH)


def _in_box(box: Document, x: float, y: float) -> bool:
    """Whether a point is in the box; an open side holds all beyond."""
    if not box:
        return False
    for value, (low, high) in ((x, box["lr"]), (y, box["batch"])):
        if low is not None and value < math.log(low):
            return False
        if high is not None and value > math.log(high):
            return False
    return True


def _inside(corners: Sequence[tuple[float, float]], x: float, y: float) -> bool:
    """Whether a point is within the outline: an odd number of its sides lie right."""
    is_in = False
    for (x0, y0), (x1, y1) in zip(corners, [*corners[1:], corners[0]], strict=True):
        if (y0 > y) != (y1 > y) and x < x0 + (y - y0) * (x1 - x0) / (y1 - y0):
            is_in = not is_in
    return is_in
