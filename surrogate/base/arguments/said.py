"""A value in a message: one short line, whatever was given."""

from __future__ import annotations

import math
import reprlib

from surrogate.base.units import quote

# Digits of a whole number that is told as it is.
_DIGITS = 40
_short = reprlib.Repr()
_short.maxlevel, _short.maxlist, _short.maxtuple, _short.maxdict = 2, 3, 3, 2
_short.maxother = _short.maxstring = _short.maxlong = 60


def printable(text: str) -> str:
    """`text` with whatever cannot be printed as its escape."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def said(value: object) -> str:
    """A value as it is told to whoever gave it."""
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, int) and value.bit_length() > _DIGITS * math.log2(10):
        digits = math.ceil(value.bit_length() * math.log10(2))
        return f"a whole number of about {digits:,} digits"
    kind = type(value).__name__
    if value is None or isinstance(value, bool | int | float):
        return repr(value)
    try:
        text = " ".join(_short.repr(value).split())
    except Exception:  # whatever a stranger's repr does
        text = ""
    if not text or text.startswith("<"):
        return f"a value of type {quote(kind)[1:-1]}"
    line = printable(text)
    is_plain = kind in line or isinstance(value, list | tuple | dict | set)
    return line if is_plain else f"{line} ({kind})"
