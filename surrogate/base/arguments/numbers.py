"""Numbers among the arguments: they come back as Python's own, and fit in a float64.

A boolean is no number here, nor is a date or a text.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from surrogate.base.arguments.said import said
from surrogate.base.errors import DataError
from surrogate.base.late import Late
from surrogate.base.units import parse_number

if TYPE_CHECKING:
    import numpy as np
else:
    # What takes no arrays asks for no NumPy: `surrogate law` is there at once.
    np = Late("numpy")

# Sizes of anything: logarithms and the squares of their distances stay numbers.
LEAST, MOST = 1e-30, 1e30
MOST_SPREAD = 10.0


def fault(name: str, expected: str, value: object, hint: str = "") -> DataError:
    """The error of an argument."""
    tail = f" {hint}" if hint else ""
    return DataError(f"Expected {name} to be {expected}, got {said(value)}.{tail}")


def is_masked(value: Any) -> bool:
    """Whether a value is a masked array, which needs a module that few import."""
    masked = sys.modules.get("numpy.ma")
    return masked is not None and isinstance(value, masked.MaskedArray)


def real(value: Any) -> float | None:
    """A real number as a float64, None where it is none or does not fit."""
    if is_masked(value):
        return None
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    if isinstance(kind, str) and kind and kind in "iuf" and np.ndim(value) == 0:
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def as_typed(value: Any) -> str:
    """What to write instead of a text that holds a number."""
    if not isinstance(value, str):
        return ""
    try:
        return f"Write {parse_number(value):g}, without quotes."
    except DataError:
        return ""


def positive(name: str, value: Any) -> float:
    """A number above 0, of a size that anything could have."""
    found = real(value)
    if found is None or not 0 < found < math.inf:
        raise fault(name, "a positive number", value, as_typed(value))
    if not LEAST <= found <= MOST:
        bounds = f"from {LEAST:g} to {MOST:g}"
        raise fault(name, f"a positive number {bounds}", value)
    return found


def spread(name: str, value: Any) -> float:
    """A standard deviation of ln loss."""
    found = positive(name, value)
    if found > MOST_SPREAD:
        expected = f"a standard deviation of ln loss, at most {MOST_SPREAD:g}"
        raise fault(name, expected, value)
    return found


def share(name: str, value: Any) -> float:
    """A number between 0 and 1, both left out."""
    found = real(value)
    if found is None or not 0 < found < 1:
        expected = "a number between 0 and 1, such as 0.05"
        raise fault(name, expected, value, as_typed(value))
    return found


def tolerance(name: str, value: Any) -> float:
    """A number above 0, at most 1."""
    found = real(value)
    if found is None or not 0 < found <= 1:
        expected = "a number above 0 and at most 1, such as 0.0025 (0.25 %)"
        raise fault(name, expected, value, as_typed(value))
    return found


def whole(low: int, high: int, example: str) -> Callable[[str, Any], int]:
    """A whole number from `low` to `high`."""

    def kind(name: str, value: Any) -> int:
        found = real(value)
        is_whole = found is not None and found.is_integer()
        if not (is_whole and low <= value <= high):
            bounds = f"from {low:,} to {high:,}"
            raise fault(name, f"a whole number {bounds}, such as {example}", value)
        return int(value)

    return kind


def pair(name: str, value: Any) -> tuple[float, float]:
    """Two positive numbers, the smaller one first."""
    expected = "two positive numbers, the smaller one first, such as (1e-4, 1e-2)"
    is_row = isinstance(value, list | tuple) or getattr(value, "ndim", 0) == 1
    if not is_row or len(value) != 2 or is_masked(value):
        raise fault(name, expected, value)
    low, high = map(real, value)
    if low is None or high is None or not LEAST <= low < high <= MOST:
        raise fault(name, expected, value)
    return low, high


def levels(name: str, value: Any) -> tuple[float, ...]:
    """Positive numbers, any count of them."""
    is_row = isinstance(value, list | tuple) or getattr(value, "ndim", 0) == 1
    if not is_row or is_masked(value):
        raise fault(name, "a list of positive numbers", value)
    return tuple(positive(f"{name}[{i}]", item) for i, item in enumerate(value))


def margin(name: str, value: Any) -> float:
    """A share above 0, or infinity."""
    found = real(value)
    if found is None or not found > 0:
        raise fault(name, "a number above 0, or infinity", value, as_typed(value))
    return found
