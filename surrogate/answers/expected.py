"""What a value of a JSON document must be: small checks that are put together.

Each takes a value and the words for its place, and raises `Unlike` where it is
something else. A number is finite; a boolean is none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeAlias

from surrogate.base.arguments.said import printable, said

Check: TypeAlias = Callable[[Any, str], None]
# Of a whole document: levels, values, characters of one text.
MOST_DEPTH, MOST_VALUES, MOST_TEXT = 32, 20_000_000, 1_000_000


class Unlike(Exception):
    """Where a document is not as it must be, as a clause that follows a colon.

    Names in it are the document's own: what of them cannot be printed is escaped.
    """

    def __init__(self, clause: str) -> None:
        """Of a clause."""
        super().__init__(printable(clause))


def unlike(where: str, expected: str, value: object) -> Unlike:
    """The error of a value."""
    return Unlike(f"{where} must be {expected}, and is {said(value)}")


def number(low: float = -math.inf, high: float = math.inf) -> Check:
    """A finite number between two."""

    def check(value: Any, where: str) -> None:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not low <= value <= high or abs(value) == math.inf:
            raise unlike(where, f"a number from {low:g} to {high:g}", value)

    return check


def count(low: int = 0, high: int = 2**63 - 1) -> Check:
    """A whole number between two."""

    def check(value: Any, where: str) -> None:
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        if not is_whole or not low <= value <= high:
            raise unlike(where, f"a whole number from {low:,} to {high:,}", value)

    return check


def flag(value: Any, where: str) -> None:
    """True or false."""
    if not isinstance(value, bool):
        raise unlike(where, "true or false", value)


def text(value: Any, where: str) -> None:
    """A text."""
    if not isinstance(value, str) or len(value) > MOST_TEXT:
        raise unlike(where, f"a text of at most {MOST_TEXT:,} characters", value)


def one_of(*known: object) -> Check:
    """One of these texts."""

    def check(value: Any, where: str) -> None:
        if not isinstance(value, str) or value not in known:
            raise unlike(where, " or ".join(map(str, known)), value)

    return check


def maybe(check: Check) -> Check:
    """That, or null."""

    def checked(value: Any, where: str) -> None:
        if value is not None:
            check(value, where)

    return checked


def rows(check: Check, *, size: int | None = None, once: bool = False) -> Check:
    """A list, of so many; `once` of values that differ."""

    def checked(value: Any, where: str) -> None:
        if not isinstance(value, list):
            raise unlike(where, "a list", value)
        if size is not None and len(value) != size:
            raise Unlike(f"{where} must have {size} values, and has {len(value)}")
        for k, item in enumerate(value):
            check(item, f"{where}[{k}]")
        if once and len(set(value)) != len(value):
            raise Unlike(f"{where} must not name anything twice")

    return checked


def table(check: Check) -> Check:
    """An object whose values are all of one kind."""

    def checked(value: Any, where: str) -> None:
        if not isinstance(value, Mapping):
            raise unlike(where, "an object", value)
        for key, item in value.items():
            check(item, f"{where}.{key[:60]}")

    return checked


def record(checks: Mapping[str, Check], required: Collection[str] = ()) -> Check:
    """An object in which these names, where they are there, hold these values."""

    def checked(value: Any, where: str) -> None:
        if not isinstance(value, Mapping):
            raise unlike(where, "an object", value)
        for name in required:
            if name not in value:
                raise Unlike(f"{where} must have {name}")
        for name, check in checks.items():
            if name in value:
                check(value[name], f"{where}.{name}")

    return checked


def plain(document: Any) -> None:
    """Refuse what is too deep, too long, or holds a number that is none.

    Raises:
        Unlike: it does.
    """
    waiting: list[tuple[Any, int]] = [(document, 1)]
    seen = 0
    while waiting:
        value, depth = waiting.pop()
        seen += 1
        if seen > MOST_VALUES:
            raise Unlike(f"it must hold at most {MOST_VALUES:,} values")
        if isinstance(value, dict | list):
            if depth > MOST_DEPTH:
                raise Unlike(f"it must be at most {MOST_DEPTH} levels deep")
            items = value.values() if isinstance(value, dict) else value
            waiting.extend((item, depth + 1) for item in items)
        elif isinstance(value, float) and not math.isfinite(value):
            raise Unlike("it must hold finite numbers, or null")
        elif isinstance(value, int) and value.bit_length() > 64:
            raise unlike("every whole number in it", "of at most 64 bits", value)
