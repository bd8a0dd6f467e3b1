"""One format a quantity, for text that a person reads."""

from __future__ import annotations

import math
from collections.abc import Callable

from surrogate.base.units import format_count

_BINARY = (("Gi", 2**30), ("Mi", 2**20), ("Ki", 2**10))
# A count of so many units is still typed with the suffix.
_MOST_UNITS = 4096


def lr(value: float | int, digits: int = 2) -> str:
    """A learning rate: 1.3e-3; no digit that is not needed."""
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    bare = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    return f"{bare}e{int(exponent)}"


def count(value: float | int) -> str:
    """A count in two or three digits: 237K, 1.2B."""
    return format_count(value)


def typed_tokens(value: float | int) -> str:
    """A batch as one types it: 4Mi, 384Ki, else every digit without separators."""
    whole = round(value)
    for suffix, size in _BINARY:
        if whole % size == 0 and whole // size <= _MOST_UNITS:
            return f"{whole // size}{suffix}"
    return str(whole)


def tokens(value: float | int, seq_len: float | int | None = None) -> str:
    """A batch: 655,360 (160 x 4,096), or 4Mi tokens (2,048 x 2,048)."""
    whole = round(value)
    typed = typed_tokens(value)
    same = "" if typed == str(whole) else f"{whole:,}"
    if seq_len and whole % int(seq_len) == 0:
        same = f"{whole // int(seq_len):,} x {int(seq_len):,}"
    shown = typed if typed != str(whole) else f"{whole:,}"
    return f"{shown} tokens ({same})" if same else f"{shown} tokens"


def percent(share: float | int) -> str:
    """A share in two digits: 0.25 %, 1.0 %, 10 %, -0.33 %, under 0.01 %."""
    if share == 0:
        return "0 %"
    if not math.isfinite(share):
        return "unknown"
    if share < 0:
        return f"-{percent(-share)}" if share <= -1e-4 else "over -0.01 %"
    if share < 1e-4:
        return "under 0.01 %"
    rounded = float(f"{100 * share:.2g}")
    if rounded >= 10:
        return f"{rounded:,.0f} %"
    places = 1 - math.floor(math.log10(rounded))
    return f"{rounded:.{places}f} %"


def power(value: float | int) -> str:
    """A large number as a power of ten: 1.9e19."""
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def loss(value: float | int) -> str:
    """Four decimals."""
    return f"{value:.4f}"


def steps(value: float | int) -> str:
    """Optimiser steps: 477K steps."""
    return f"{format_count(value)} steps" if math.isfinite(value) else ""


def span(
    low: float | int | None,
    high: float | int | None,
    form: Callable[[float], str] = count,
) -> str:
    """Two ends; an open one as up to, or or more."""
    if low is None:
        return "any" if high is None else f"up to {form(high)}"
    return f"{form(low)} or more" if high is None else f"{form(low)} to {form(high)}"
