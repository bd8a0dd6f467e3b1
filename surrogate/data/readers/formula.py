"""Cells of a CSV that a spreadsheet would run as a formula, made text.

Excel, LibreOffice and Google's sheets take a cell that begins with = + - @ or a tab for
one, quoted or not. An apostrophe before it makes it text. Numbers keep their sign.
"""

from __future__ import annotations

from collections.abc import Iterable

_BEGINS = ("=", "+", "-", "@", "\t", "\r")


def guarded(cell: str) -> str:
    """A cell with an apostrophe in front if it could be run."""
    if not cell.lstrip(" ").startswith(_BEGINS):
        return cell
    try:
        float(cell)
    except ValueError:
        return f"'{cell}"
    return cell


def guarded_row(cells: Iterable[str]) -> list[str]:
    """A row of them."""
    return [guarded(cell) for cell in cells]
