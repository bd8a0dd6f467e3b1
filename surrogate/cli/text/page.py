"""The lines of an answer as they grow, and what was asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from surrogate.cli.output import plain, usual_width

if TYPE_CHECKING:
    from rich.console import RenderableType

_INDENT, _LABEL = 2, 9
_WIDEST = 100


@dataclass(frozen=True)
class Asked:
    """How the question was typed, for the lines that offer the next command.

    Attributes:
        fit: its name.
        options: sizes, recipe and scales, as typed.
    """

    fit: str
    options: tuple[str, ...]

    def command(self, name: str, *more: str) -> str:
        """A command to paste, about the same question."""
        return " ".join(
            _quoted(w) for w in ("surrogate", name, self.fit, *self.options, *more)
        )


def _quoted(word: str) -> str:
    import shlex

    return shlex.quote(word)


class Page:
    """Lines of labelled text, wrapped to the terminal."""

    def __init__(self, title: str, name: str) -> None:
        """A title on the left, the fit's name on the right."""
        self.lines: list[Any] = []
        self.map: list[str] = []
        self._title = (title, name)

    def say(self, label: str, said: str, style: str = "") -> None:
        """Add a line; a label of one mark is a note, `command` is not wrapped."""
        self.lines.append((label, said, style))

    def done(self) -> list[RenderableType]:
        """All lines, wrapped, with the map beside them."""
        import textwrap

        from rich.console import Console
        from rich.text import Text

        whole = Console(width=usual_width()).width
        title, name = self._title
        side = max(map(len, self.map)) + 2 if self.map else 0
        width = min(whole - side, _WIDEST)
        gap = max(width + side - len(title) - len(name), 2)
        found: list[RenderableType] = [
            Text(plain(title), style="bold")
            + Text(" " * gap + plain(name), style="dim")
        ]
        for label, said, style in self.lines:
            if label == "command":
                found.append(Text(said, no_wrap=True, overflow="ignore", style=style))
                continue
            is_mark = len(label) == 1
            indent = _INDENT + (2 if is_mark else _LABEL if label is not None else 0)
            # A number and its % stay on one line.
            joined = plain(said).replace(" %", "\xa0%")
            parts = textwrap.wrap(joined, max(width - indent, 20)) or [""]
            for k, part in enumerate(part.replace("\xa0", " ") for part in parts):
                head = (label or "") if k == 0 else ""
                line = Text(" " * _INDENT + head.ljust(indent - _INDENT), style="cyan")
                found.append(line + Text(part, style=style))
        return _with_map(found, self.map, width)


def _with_map(
    lines: list[RenderableType], rows: Sequence[str], width: int
) -> list[RenderableType]:
    """The map at the right of the lines below the title, while they are short."""
    from rich.text import Text

    left = list(rows)
    found = [lines[0]]
    for line in [*lines[1:], *[Text("")] * max(len(rows) - len(lines) + 1, 0)]:
        assert isinstance(line, Text)
        # A command to paste may be longer than its column.
        if left and line.cell_len <= width:
            gap = " " * (width + 2 - line.cell_len)
            line = line + Text(gap) + Text(left.pop(0), no_wrap=True)
        found.append(line)
    return [*found, *(Text(" " * (width + 2) + row) for row in left)]
