"""Expectations of what a command printed, for `table_cases.py`."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple


class Outcome(NamedTuple):
    """Of one step: its exit code, all that it printed, and its JSON document."""

    code: int
    text: str
    document: dict[str, Any]


Test = Callable[[dict[str, Outcome]], bool]


class Case(NamedTuple):
    """One table.

    Attributes:
        file: its name.
        flags: the fewest that are reasonable, of the `fit`.
        good: the owner's good answer.
        steps: by name, arguments; `fit` is made of the flags where it is not named.
        expects: by what is missed where one fails, tests on the outcomes.
    """

    file: str
    flags: str
    good: str
    steps: dict[str, str]
    expects: dict[str, Test]


def exits(step: str, *codes: int) -> Test:
    """The step ended with one of these codes."""
    return lambda done: done[step].code in codes


def says(step: str, pattern: str) -> Test:
    """The step's text matches, whatever its line breaks and capitals."""
    regex = re.compile(pattern, re.IGNORECASE)
    return lambda done: bool(regex.search(" ".join(done[step].text.split())))


def silent(step: str, pattern: str) -> Test:
    """The step's text does not match."""
    found = says(step, pattern)
    return lambda done: not found(done)


def between(step: str, path: str, low: float, high: float) -> Test:
    """A number of the JSON document lies in a range."""

    def test(done: dict[str, Outcome]) -> bool:
        value = get(done[step].document, path)
        return isinstance(value, int | float) and low <= value <= high

    return test


def unknown(step: str, path: str) -> Test:
    """The step answered with JSON in which this is null."""
    return lambda done: (
        bool(done[step].document) and get(done[step].document, path) is None
    )


def either(*tests: Test) -> Test:
    """At least one holds."""
    return lambda done: any(test(done) for test in tests)


def get(document: Any, path: str) -> Any:
    """What stands at a.b.0 in a document; None where there is nothing."""
    for part in path.split("."):
        if isinstance(document, list) and part.isdigit() and int(part) < len(document):
            document = document[int(part)]
        elif isinstance(document, dict):
            document = document.get(part)
        else:
            return None
    return document
