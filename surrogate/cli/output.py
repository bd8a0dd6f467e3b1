"""What leaves the program: one JSON document or text on stdout, the rest on stderr."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from surrogate.base import interrupts
from surrogate.base.defaults import SCHEMA
from surrogate.base.errors import Status
from surrogate.cli import screen

if TYPE_CHECKING:
    from rich.console import RenderableType


_WIDEST = 100
_USUAL, _NARROWEST = 80, 20
# What stands for characters that an old terminal lacks.
_PLAINER = str.maketrans({"·": ".", "░": "-", "▓": "#", "●": "@", "┤": "|", "±": "~"})
_COLOURS = {"warning": "\x1b[33m", "error": "\x1b[31m"}
_PLAIN = "\x1b[0m"


def plain(text: str) -> str:
    """Return `text` as one line whose control characters are escaped."""
    line = " ".join(text.split())
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)


def json_value(value: object) -> Any:
    """Turn a value into what JSON can hold; NaN and infinities become null.

    Raises:
        TypeError: for a type that no answer should carry (our bug).
    """
    # NumPy's arrays and scalars have it; importing NumPy would slow `--help`.
    tolist = getattr(value, "tolist", None)
    if tolist is not None:
        return json_value(tolist())
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return str(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Mapping):
        return {str(key): json_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return json_value(dataclasses.asdict(value))
    raise TypeError(f"{type(value).__name__} has no place in a JSON answer")


def write_json(document: Mapping[str, object]) -> None:
    """Write the one JSON document, on one line, with floats that read back exactly."""
    screen.clear()
    sys.stdout.write(json.dumps(json_value(document), allow_nan=False) + "\n")
    sys.stdout.flush()


def write_text(renderables: Sequence[RenderableType]) -> None:
    """Write renderables to stdout: styled on a terminal, plain elsewhere."""
    from rich.console import Console

    # Strings from data are never markup, and numbers need no colours of their own.
    console = Console(markup=False, highlight=False, emoji=False, width=usual_width())
    with console.capture() as captured:
        for renderable in renderables:
            # A command to type stays on its line.
            is_command = bool(getattr(renderable, "no_wrap", False))
            console.print(renderable, soft_wrap=is_command)
    # Rich pads each line of a table to its width.
    lines = captured.get().splitlines()
    screen.clear()
    sys.stdout.write(_writable("".join(f"{line.rstrip()}\n" for line in lines)))
    sys.stdout.flush()


def usual_width() -> int | None:
    """A width that text fits in, where COLUMNS says one that none does; else None."""
    said = os.environ.get("COLUMNS", "")
    return _USUAL if said.isdigit() and int(said) < _NARROWEST else None


def _writable(text: str) -> str:
    """`text` in characters that standard output takes."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_PLAINER).encode(encoding, "replace").decode(encoding)
    return text


def note(kind: str, message: str) -> None:
    """Write a message to stderr: one line, or a list of one thing a line.

    On a terminal the first is wrapped and coloured.
    """
    screen.clear()
    sys.stdout.flush()
    first, *more = message.split("\n")
    head, said = f"surrogate: {kind}:", plain(first)
    print(_shown(kind, head, said), file=sys.stderr)
    for line in more:
        print(f"  {plain(line)}", file=sys.stderr)


def _shown(kind: str, head: str, said: str) -> str:
    if not sys.stderr.isatty():
        return f"{head} {said}"
    import shutil
    import textwrap

    width = min(shutil.get_terminal_size().columns, _WIDEST)
    wrapped = textwrap.fill(f"{head} {said}", width, subsequent_indent="  ")
    colour = "" if os.environ.get("NO_COLOR") else _COLOURS.get(kind, "")
    return wrapped.replace(head, f"{colour}{head}{_PLAIN}" if colour else head, 1)


def emit(
    document: dict[str, Any],
    as_json: bool,
    render: Callable[[dict[str, Any]], Sequence[RenderableType]],
    *,
    hide: Sequence[str] = (),
) -> int:
    """Print an answer and its warnings.

    Args:
        document: the answer in the contract's keys.
        as_json: whether stdout gets the document itself.
        render: makes the text from the document's JSON form, so that the two agree.
        hide: beginnings of warnings that the text itself says.

    Returns:
        The exit code: 1 if the status is one of the failed ones, or the answer lies on
        the edge of the default box and is not stated as one-sided; else 0.
    """
    document = json_value(document)
    with interrupts.writing():
        if as_json:
            write_json(document)
        else:
            write_text(render(document))
    for warning in document.get("warnings") or ():
        if not warning.startswith(tuple(hide)):
            note("warning", warning)
    status = document.get("status")
    if status is None:
        return 0
    is_edge = Status(status) is Status.at_bound and document.get("box") == "default"
    is_loose = is_edge and not document.get("one_sided")
    return int(Status(status).is_failed or is_loose)


def fail(message: str, as_json: bool, status: str = "error") -> None:
    """Report that there is no answer: a paragraph on stderr, and JSON where asked."""
    if as_json:
        error = {"message": plain(message)}
        # What cannot be written to may be what the message is about.
        with contextlib.suppress(OSError):
            write_json({"schema": SCHEMA, "status": status, "error": error})
    note("error", message)
