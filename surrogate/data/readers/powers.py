"""Numbers as mathematics sets them: powers of 10 and 2, multiples of them, 1/1024."""

from __future__ import annotations

import re

_SUPERSCRIPTS = str.maketrans("⁻⁺⁰¹²³⁴⁵⁶⁷⁸⁹", "-+0123456789")
_RAISED = re.compile(r"(?<=[0-9])[⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+")
_TIMES = re.compile(r"\s*(?:\\times|\\cdot|×|·|\*|x)\s*")  # noqa: RUF001
_POWER = re.compile(
    r"([+-]?[0-9]+\.?[0-9]*\*)?(10|2)(?:\^|\*\*)[{(]?([+-]?[0-9]{1,4})[})]?"
)
_BARE = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)[eE][+-]?[0-9]+")
_FRACTION = re.compile(r"([0-9]{1,6})\s?/\s?([0-9]{1,12})")


def plain_power(text: str) -> str | None:
    """A power of 10 or 2, or a multiple of one, as a plain number; None if none."""
    bare = text.strip().strip("$").strip()
    if _BARE.fullmatch(bare):
        return bare
    bare = _RAISED.sub(lambda m: f"^{m[0].translate(_SUPERSCRIPTS)}", bare)
    # 2**-10 is a power, 2*10^-4 a product.
    bare = _TIMES.sub("*", bare.replace("**", "^"))
    found = _POWER.fullmatch(bare)
    if found is None:
        return None
    factor, base, exponent = (found[1] or "").rstrip("*"), found[2], int(found[3])
    if base == "10":
        return f"{factor or 1}e{exponent}"
    if abs(exponent) > 200:
        return None
    value = float(factor or 1) * 2.0**exponent
    return str(int(value)) if value.is_integer() else repr(value)


def plain_fraction(text: str) -> str | None:
    """A fraction of whole numbers below 1, such as 1/1024; None if it is none."""
    found = _FRACTION.fullmatch(text.strip())
    if found is None or not 0 < int(found[1]) < int(found[2]):
        return None
    return repr(int(found[1]) / int(found[2]))
