"""Columns that hold a loss relative to another: a loss only once that one is added."""

from __future__ import annotations

import re

from surrogate.data.readers.formats.csv import Table

_WORDS = re.compile(
    r"delta|Δ|∆|\bvs\b|versus|excess|relative|\brel\b|regret|\bgap\b|diff|worse|over"
)
_LOSS = re.compile(r"loss|nll|entropy")


def is_share(table: Table, name: str) -> bool:
    """Whether the cells of a column end in a per cent sign, in most rows."""
    place = table.header.index(name)
    cells = [row.fields[place] for row in table.rows if row.fields[place]]
    return sum(cell.endswith("%") for cell in cells) * 2 > len(cells)


def relative_to(name: str) -> str:
    """The loss of a column of shares of a base."""
    return f"BASE_LOSS*(1+{_spelled(name)})"


def _spelled(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z_]\w*", name) else f'"{name}"'


def difference(table: Table, name: str) -> str | None:
    """The loss that a relative one makes of a base; None where a column is none."""
    text = name.lower().replace("_", " ")
    if not _LOSS.search(text):
        return None
    spelled = _spelled(name)
    if is_share(table, name):
        return relative_to(name)
    if not _WORDS.search(text):
        return None
    if "%" in text or "percent" in text:
        return f"BASE_LOSS*(1+{spelled}/100)"
    return f"BASE_LOSS+{spelled}"
