"""Values of other formats as the text of a cell, to the last digit.

A missing value is an empty cell, which drops the run; a number that is not finite keeps
its name, which in a loss says that the run diverged.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


class Number(str):
    """A number as a JSON file writes it: its digits are kept."""

    __slots__ = ()


def text_of(value: object) -> str:
    """A value as the text of a cell.

    Args:
        value: a scalar of Python, NumPy, pandas, polars or pyarrow, or None.
    """
    if isinstance(value, str):
        return str(value).strip()
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(float(value)) if math.isfinite(value) else str(float(value))
    plain = getattr(value, "item", None)
    if callable(plain) and not getattr(value, "shape", ()):
        return text_of(plain())
    # pandas.NA and NaT are equal to nothing, themselves included.
    name = type(value).__name__
    if name in ("NAType", "NaTType"):
        return ""
    written = getattr(value, "isoformat", None)
    return str(written()) if callable(written) else str(value).strip()


def is_wrapped(value: Mapping[Any, Any]) -> bool:
    """Whether a mapping is a value with a description, as W&B writes its configs."""
    return "value" in value and set(value) <= {"value", "desc"}
