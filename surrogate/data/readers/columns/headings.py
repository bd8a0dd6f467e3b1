"""Names of columns as people write them: Val PPL ↓, #Params, Batch size (tokens).

Arrows, marks and brackets that say what the column's name says anyway are taken off.
A unit that the cells must be multiplied by, as in `tokens (B)` or `lr (x1e-4)`, is told
apart: it is proposed, never applied.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from surrogate.data.readers.powers import plain_power

_FACTORS = {
    **dict.fromkeys(("k", "thousand", "thousands"), "1e3"),
    **dict.fromkeys(("m", "million", "millions", "mio", "mn"), "1e6"),
    **dict.fromkeys(("b", "billion", "billions", "bn", "g"), "1e9"),
    **dict.fromkeys(("t", "trillion", "trillions"), "1e12"),
    **dict.fromkeys(("ki", "kib"), "1024"),
    **dict.fromkeys(("mi", "mib"), "1048576"),
    **dict.fromkeys(("gi", "gib"), "1073741824"),
}
# A factor that is written into its unit, as in Mtok.
_GLUED = re.compile(r"([KMBGTk]i?)(tokens?|toks?|params?|flops?)")
# What a bracket may say that changes nothing, and what it says of a unit.
_SAID = {
    **dict.fromkeys(("tokens", "token", "tok", "toks"), "tokens"),
    **dict.fromkeys(("seqs", "seq", "sequences", "samples"), "sequences"),
    **dict.fromkeys(("nats", "nat", "nats/token", "nats per token"), ""),
    **dict.fromkeys(("bits/byte", "bits per byte", "bpb"), "bits_per_byte"),
    **dict.fromkeys(("bits/token", "bits per token"), "bits_per_token"),
    **dict.fromkeys(("ppl", "perplexity"), "ppl"),
    **dict.fromkeys(("peak", "max"), "peak"),
    **dict.fromkeys(("final", "end", "last", "mean", "avg"), ""),
    **dict.fromkeys(("params", "parameters", "param"), "params"),
    **dict.fromkeys(("flops", "flop"), "flops"),
    **dict.fromkeys(("val", "validation", "valid"), "val"),
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("total", "count", "#"), ""),
}
_BRACKET = re.compile(r"(.+?)\s*[(\[{]\s*([^()\[\]{}]+?)\s*[)\]}]\s*")
_BEHIND = re.compile(
    r"(.+?)(?:\s*/\s*|\s+in\s+|,\s*|[\s_]+in[\s_]+|\s+|_)"
    r"(K|M|B|T|[kmbt]illions?|millions?|billions?|trillions?|thousands?"
    r"|[x×*]?\s?10\^?\{?[-+⁻0-9⁰¹²³⁴⁵⁶⁷⁸⁹]+\}?|[x×]?\s?1e-?[0-9]+"  # noqa: RUF001
    r"|(?<=_)[kmbt])"
)
_DECOR = re.compile(r"[↓↑*`$†‡]|\(\s*[↓↑]\s*\)|\[\^?[0-9]+\]|\\[du]ownarrow|\\uparrow")
_LEADING = re.compile(r"^(?:#\s*(?:of\s+)?|n(?:o|um|umber)?\.?\s+of\s+)", re.IGNORECASE)
_NUMBERED = re.compile(r"\.[0-9]{1,3}$")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


class Heading(NamedTuple):
    """A name taken apart.

    Attributes:
        base: the name without its unit.
        factor: what the cells are to be multiplied by, as text; "" for nothing.
        said: the rest of the unit: tokens, sequences, bits_per_byte, ...
    """

    base: str
    factor: str
    said: str


def bare(name: str) -> str:
    """A name without arrows, footnotes and number signs."""
    text = _DECOR.sub(" ", name).strip()
    if text.isidentifier() or len(text) > 200:
        return text
    return _LEADING.sub("", text).strip() or text


def heading(name: str) -> Heading | None:
    """A name with a unit taken apart; None where it has none that is known."""
    text = bare(name)
    if len(text) > 200:
        return None
    found = _BRACKET.fullmatch(text)
    if found:
        unit = _unit(found[2])
        return None if unit is None else Heading(found[1].strip(), *unit)
    found = _BEHIND.fullmatch(text)
    if found:
        unit = _unit(found[2])
        if unit is not None and unit[0]:
            return Heading(found[1].strip(" ,/"), *unit)
    return None


def variants(name: str) -> Iterator[str]:
    """Ways to read a name, the plainest first; none with a factor to multiply by."""
    yield name
    text = bare(name)
    yield text
    unit = heading(name)
    if unit is not None and not unit.factor:
        yield f"{unit.base} {unit.said}".strip()
        # "loss (val)" is val_loss, and "lr (peak)" peak_lr.
        yield f"{unit.said} {unit.base}".strip()
        text = unit.base
    yield _HUMP.sub("_", text)
    # Of several columns of one name: loss.1, loss.2.
    yield _NUMBERED.sub("", text)
    yield text.replace(". ", " ").rstrip(".")


def unit_of(text: str) -> tuple[str, str] | None:
    """The factor and the rest of a unit; None where it is none that is known."""
    return _unit(text)


def _unit(text: str) -> tuple[str, str] | None:
    """The factor and the rest of a unit such as `M tokens`, `x1e-4` or `nats`."""
    text = text.strip().removeprefix("in ").strip()
    if text.lower() in _SAID and not text.isupper():
        return "", _SAID[text.lower()]
    if text.lower() in _SAID and text.lower() not in _FACTORS:
        return "", _SAID[text.lower()]
    if text.lower() in _FACTORS:
        return _FACTORS[text.lower()], ""
    power = plain_power(text.lstrip("x×*· ").strip())  # noqa: RUF001
    if power is not None:
        return power, ""
    first, _, rest = text.partition(" ")
    if first.lower() in _FACTORS and rest.lower() in _SAID:
        return _FACTORS[first.lower()], _SAID[rest.lower()]
    power = plain_power(first.lstrip("x×*· "))  # noqa: RUF001
    if power is not None and rest.lower() in _SAID:
        return power, _SAID[rest.lower()]
    glued = _GLUED.fullmatch(text)
    if glued:
        return _FACTORS[glued[1].lower()], _SAID[glued[2].lower()]
    if text.lower() in ("pf-days", "pfdays", "petaflop-days", "pflop/s-days"):
        return "8.64e19", "flops"
    return None
