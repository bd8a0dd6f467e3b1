"""Numbers as people write them ("7B", "512Ki", "0.25%", "256x2048"), both ways.

K M B T are decimal (512K = 512,000) and Ki Mi Gi binary (512Ki = 524,288). Every
parser takes `what`, the name of the argument as its reader knows it, and raises a
`DataError` that names it, shows the text and says what to write instead.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from decimal import Decimal

from surrogate.base.errors import DataError

_SUFFIXES = {
    "": 1,
    "K": 10**3,
    "M": 10**6,
    "B": 10**9,
    "T": 10**12,
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
}
_PLAIN = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
_SUFFIXED = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))([A-Za-z]+)")
_GROUPED = re.compile(r"[+-]?[0-9]{1,3}([,_' ][0-9]{3})+(\.[0-9]*)?")
_HOW = "a number such as 1e9, 7B, 512K (512,000) or 512Ki (524,288)"


def quote(text: str, limit: int = 60) -> str:
    """`text` in quotes on one line: control characters escaped, cut at `limit`."""
    return repr(text if len(text) <= limit else text[: limit - 3] + "...")


def _fault(what: str, text: str, expected: str, hint: str = "") -> DataError:
    tail = f" {hint}" if hint else ""
    return DataError(f"{what}: expected {expected}, got {quote(text)}.{tail}")


def _suggest(text: str) -> str:
    """What the writer of an unreadable number probably meant, as advice, or nothing."""
    if _GROUPED.fullmatch(text):
        return f"Write it without separators: {re.sub(r'[,_ ]', '', text)}."
    match = _SUFFIXED.fullmatch(text)
    if match:
        digits, suffix = match.groups()
        by_folding = {known.lower(): known for known in _SUFFIXES if known}
        meant = {**by_folding, "g": "B", "bn": "B"}.get(suffix.lower())
        if meant:
            return f"Did you mean {digits}{meant}?"
        return f"Suffixes are {', '.join(s for s in _SUFFIXES if s)}."
    return ""


def parse_number(text: str, *, what: str = "number") -> float:
    """Read a finite number with an optional suffix or percent sign.

    The product with the suffix is exact before it is rounded once to a float64.

    Args:
        text: such as "1e9", "7B", "512Ki" or "0.25%" (which is 0.0025).
        what: the name of the argument, for messages.

    Raises:
        DataError: if `text` is anything else, nan, infinite or beyond a float64.
    """
    bare = text.strip()
    if _PLAIN.fullmatch(bare):
        exact = Decimal(bare)
    elif bare.endswith("%") and _PLAIN.fullmatch(bare[:-1]):
        exact = Decimal(bare[:-1]) / 100
    else:
        match = _SUFFIXED.fullmatch(bare)
        if match is None or match.group(2) not in _SUFFIXES:
            raise _fault(what, text, _HOW, _suggest(bare))
        exact = Decimal(match.group(1)) * _SUFFIXES[match.group(2)]
    value = float(exact)
    if not math.isfinite(value) or (value == 0) != (exact == 0):
        raise _fault(what, text, "a number that fits in a float64")
    return value


def parse_positive(text: str, *, what: str = "number") -> float:
    """Read a number above 0, no percentage; raise a DataError otherwise."""
    if text.strip().endswith("%"):
        raise _fault(what, text, "a plain number, not a percentage")
    value = parse_number(text, what=what)
    if value <= 0:
        raise _fault(what, text, "a number above 0")
    return value


def parse_count(text: str, *, what: str = "count") -> float:
    """Read a count of parameters or tokens, at least 1; raise a DataError otherwise."""
    value = parse_positive(text, what=what)
    if value < 1:
        raise _fault(what, text, "a count of at least 1", "Write 1e9 or 1B.")
    return value


def parse_fraction(text: str, *, what: str = "fraction") -> float:
    """Read a fraction above 0 and below 1: "0.25%" and "0.0025" are both 0.0025."""
    value = parse_number(text, what=what)
    if not 0 < value < 1:
        raise _fault(
            what, text, "a share above 0% and below 100%", "Write 0.25% or 0.0025."
        )
    return value


def parse_batch(text: str, *, what: str = "batch") -> float:
    """Read a batch size and return it in tokens.

    Args:
        text: tokens ("524288", "512Ki") or sequences x length ("256x2048").
        what: the name of the argument, for messages.

    Raises:
        DataError: if it is neither, or a factor is not a whole number above 0.
    """
    factors = text.split("x")
    if len(factors) > 2 or re.search("[*X×]", text):  # noqa: RUF001
        raise _fault(
            what, text, "tokens, or sequences x length", "Write 524288 or 256x2048."
        )
    values = [parse_count(factor, what=what) for factor in factors]
    if any(not value.is_integer() for value in values):
        raise _fault(what, text, "whole numbers of tokens or sequences")
    return math.prod(values)


def parse_range(
    text: str,
    *,
    what: str = "range",
    parse: Callable[..., float] = parse_positive,
) -> tuple[float, float]:
    """Read "LO:HI" with LO below HI, each end by `parse`.

    Raises:
        DataError: if there is no single colon, an end is unreadable, or LO >= HI.
    """
    ends = text.split(":")
    if len(ends) != 2:
        raise _fault(what, text, "LO:HI, such as 1e-4:1e-2")
    low, high = (parse(end, what=what) for end in ends)
    if low >= high:
        raise _fault(what, text, "LO:HI with LO below HI")
    return low, high


def _trimmed(value: float) -> str:
    """Three significant digits, no trailing zeros, no exponent below 1000."""
    rounded = f"{value:.3g}"
    return f"{float(rounded):g}"


def plain(value: float) -> float:
    """A setting without what rounding leaves of it after a logarithm and back."""
    return float(f"{value:.12g}")


def format_count(value: float | int) -> str:
    """Three significant digits and a decimal suffix: 1.074e9 is "1.07B"."""
    if not math.isfinite(value):
        return "unknown"
    rounded = float(f"{value:.3g}")
    for suffix in ("T", "B", "M", "K"):
        if abs(rounded) >= _SUFFIXES[suffix]:
            return f"{_trimmed(rounded / _SUFFIXES[suffix])}{suffix}"
    return _trimmed(rounded)


def format_tokens_exact(value: float | int) -> str:
    """Every digit of a number of tokens, grouped for reading: 524288 is "524,288"."""
    if not math.isfinite(value):
        return "unknown"
    return f"{int(value):,}" if float(value).is_integer() else f"{float(value):,}"


def format_lr(value: float | int) -> str:
    """A learning rate to three significant digits: 0.0012345 is "1.23e-03"."""
    return f"{value:.2e}" if math.isfinite(value) else "unknown"


def format_percent(fraction: float | int) -> str:
    """A fraction as a percentage of three significant digits: 0.0025 is "0.25%"."""
    return f"{_trimmed(100 * fraction)}%" if math.isfinite(fraction) else "unknown"


def format_octaves(octaves: float | int) -> str:
    """A width in octaves (factors of two) to three significant digits."""
    return f"{_trimmed(octaves)} octaves" if math.isfinite(octaves) else "unknown"
