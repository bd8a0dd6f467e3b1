"""What can go wrong, in three kinds: asked wrongly, did not work out, our bug.

Asked wrongly is a `DataError`, raised where it is noticed. A numerical outcome is a
`Status`, which travels in the result; what a failed one cannot be used for, such as a
picture of it, raises a `SolveError`. Our own bugs are plain assertions.
"""

from __future__ import annotations

import enum


class DataError(ValueError):
    """The question or the data are wrong: says what was expected, came, and to do."""


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
