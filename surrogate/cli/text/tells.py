"""What runs can and cannot tell, and what to type next; what fits on a screen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from surrogate.cli.output import usual_width
from surrogate.cli.text import common
from surrogate.cli.text.common import Document, Row

if TYPE_CHECKING:
    from rich.console import RenderableType

# Lines of `check` and `fit` without --all.
MOST_LINES = 32
_NOTE = 300


def rows(document: Document) -> list[Row]:
    """What the runs tell, what not, and what would mend that."""
    told = document.get("tells") or {}
    names = (("can tell", "can"), ("cannot tell", "cannot"), ("to mend it", "do"))
    return [(name, f"{'; '.join(told[key])}.") for name, key in names if told.get(key)]


def following(document: Document) -> list[RenderableType]:
    """Commands to type next."""
    commands = [("Next", document.get("next")), ("or", document.get("compare_with"))]
    lines = [f"{name}: {line}" for name, line in commands if line]
    if not lines:
        return []
    found = [common.title(""), *map(common.command, lines)]
    if document.get("compare_with"):
        found.insert(
            2,
            common.plain_line(
                "These runs are few: see how a fit of 1,911 others does on them,"
            ),
        )
    return found


def short(notes: Sequence[str]) -> list[str]:
    """Notes of some four lines at most; `check --all` has them whole."""
    return [
        note if len(note) <= _NOTE else f"{note[: _NOTE - 4].rstrip()} ..."
        for note in notes
    ]


def lines_of(parts: Sequence[RenderableType]) -> int:
    """How many lines these take on this terminal."""
    from rich.console import Console

    console = Console(markup=False, highlight=False, emoji=False, width=usual_width())
    with console.capture() as captured:
        for part in parts:
            is_command = bool(getattr(part, "no_wrap", False))
            console.print(part, soft_wrap=is_command)
    return len(captured.get().splitlines())
