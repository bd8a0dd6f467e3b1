"""What can go wrong, in three kinds: asked wrongly, did not work out, our bug.

Asked wrongly is a `DataError`, raised where it is noticed. A numerical outcome is a
`Status`, which travels in the result; what a failed one cannot be used for, such as a
picture of it, raises a `SolveError`. Our own bugs are plain assertions.
"""

from __future__ import annotations

import enum
import shlex
from collections.abc import Sequence


class DataError(ValueError):
    """The question or the data are wrong: says what was expected, came, and to do."""


class FlagsError(DataError):
    """A table that needs a word from its owner: what to add, ready to paste.

    Attributes:
        said: what cannot be told, a line each.
        flags: what to add to the command.
    """

    def __init__(self, said: str, file: str, flags: Sequence[str]) -> None:
        """Say it with a command that checks the file, or a call where it is a frame."""
        self.said, self.flags = said, tuple(flags)
        source = "-" if file == "standard input" else file
        command = (
            _call(flags) if file.startswith("<") else _type(["check", source, *flags])
        )
        super().__init__(f"{said}\n{command}")

    def typed(self, given: Sequence[str]) -> str:
        """The message of a command that was given these words."""
        return f"{self.said}\n{_type([*given, *self.flags])}"


def _type(words: Sequence[str]) -> str:
    """A command on one line, whatever a column is called."""
    line = f"Type: surrogate {shlex.join(words)}"
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)


def _call(flags: Sequence[str]) -> str:
    """The same for Python: flags as arguments of `read_runs`."""
    values: dict[str, list[str]] = {}
    for flag, value in zip(flags[::2], flags[1::2], strict=True):
        values.setdefault(flag.removeprefix("--").replace("-", "_"), []).append(value)
    said = []
    for name, texts in values.items():
        if name == "map":
            pairs = [text.partition("=") for text in texts]
            said.append(f"map={ {role: text for role, _, text in pairs} }")
        elif name == "seq_len":
            said.append(f"seq_len={texts[0]}")
        elif name in ("allow", "finished", "failed"):
            said.append(f"{name}={texts[0].split(',')}")
        else:
            said.append(f"{name}={texts[0]!r}")
    return f"Pass: read_runs(frame, {', '.join(said)})"


class UnlikelyError(DataError):
    """A question that was probably typed wrong, which `allow` lets pass all the same.

    Attributes:
        said: what is unlikely, and what was probably meant; begins with the argument.
        allow: what to allow.
        name: of the argument; None where it is the answer that is unlikely.
        meant: the value that was probably meant, None where there is no telling.
    """

    def __init__(
        self,
        said: str,
        allow: str,
        *,
        name: str | None = None,
        meant: str | None = None,
    ) -> None:
        """Say it as Python has it; the command line puts its dashes on."""
        super().__init__(f"{said} Correct it, or pass allow={allow!r}.")
        self.said, self.allow, self.name, self.meant = said, allow, name, meant


class SolveError(RuntimeError):
    """What was asked for cannot be made of a result whose status is failed."""


class Status(enum.StrEnum):
    """How an answer came out; it is part of every answer."""

    ok = "ok"
    at_bound = "at_bound"
    plateau_open = "plateau_open"
    no_optimum = "no_optimum"
    not_converged = "not_converged"
    not_identifiable = "not_identifiable"

    @property
    def sentence(self) -> str:
        """One sentence that says what this status means."""
        return _SENTENCES[self]

    @property
    def is_failed(self) -> bool:
        """Whether the answer is not usable (exit code 1 on the command line)."""
        return self in FAILED


_SENTENCES = {
    Status.ok: "The answer was found inside the box and is certified.",
    Status.at_bound: (
        "The lowest loss lies on an edge of the allowed box, so the true optimum may "
        "be outside it."
    ),
    Status.plateau_open: (
        "The plateau reaches an edge of the allowed box, so it may extend further."
    ),
    Status.no_optimum: (
        "The fitted loss has no minimum over learning rate and batch size."
    ),
    Status.not_converged: (
        "The computation stopped before its certificate held, so the answer is not "
        "to be trusted."
    ),
    Status.not_identifiable: (
        "The fitted runs do not tell what this answer needs: the warnings say what "
        "does."
    ),
}

FAILED = frozenset({Status.no_optimum, Status.not_converged, Status.not_identifiable})
