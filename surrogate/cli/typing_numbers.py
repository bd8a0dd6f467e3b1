"""Numbers as people type them after an option: read as meant, or refused.

`units` reads one strict form, of files too. Here what has one meaning only is brought
into that form first: `7b`, `2t`, `300BT`, `20x` tokens a parameter, `1024*4096`. What
may mean two things is refused with both to type: a batch of `512k`, a tol of `0.25`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from surrogate.base import defaults, units
from surrogate.base.errors import DataError

_SUFFIXES = {
    **{name.lower(): name for name in ("K", "M", "B", "T", "Ki", "Mi", "Gi")},
    **{f"{name.lower()}t": name for name in ("K", "M", "B", "T")},
    **{"bn": "B", "mn": "M", "mln": "M", "bln": "B", "tn": "T"},
    **{"thousand": "K", "million": "M", "billion": "B", "trillion": "T"},
}
_NOUNS = re.compile(
    r"\s*(parameters?|params?|tokens?|toks?|steps?|flops?)$", re.IGNORECASE
)
_NUMBER = r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)"
_SUFFIXED = re.compile(rf"({_NUMBER})\s*([A-Za-z]+)")
_POWER = re.compile(r"([0-9]{1,3})\s*(?:\^|\*\*)\s*([0-9]{1,3})")
_GROUPED = re.compile(r"[0-9]{1,3}(?:([,_' ])[0-9]{3})(?:\1[0-9]{3})+")
_RATIO = re.compile(
    rf"({_NUMBER})\s*(?:[x*×]\s*n?|n|tpp|tokens?\s*(?:/|per|a)\s*param(?:eter)?s?)",  # noqa: RUF001
    re.IGNORECASE,
)
_SCIENTIFIC = re.compile(rf"({_NUMBER})\s*[x*×·]\s*10\s*(?:\^|\*\*)\s*(-?[0-9]{{1,2}})")  # noqa: RUF001
_DASHES = str.maketrans({"−": "-", "–": "-", "—": "-"})  # noqa: RUF001
_PREFIXES = {"T": 1e12, "P": 1e15, "E": 1e18, "Z": 1e21, "Y": 1e24}
# 1 PF-day is 1e15 FLOPs a second for a day.
_DAY = 86_400.0
_FLOPS = re.compile(
    rf"({_NUMBER}(?:e[+-]?[0-9]+)?)\s*([TPEZY])(?:F|FLOPS?)"
    r"((?:/?s)?[\s-]*days?)?",
    re.IGNORECASE,
)
_RATE = re.compile(
    rf"{_NUMBER}(?:e[+-]?[0-9]+)?\s*[TPEZY]?F(?:LOPS?)?(?:/s|ps|\s*per\s*second)",
    re.IGNORECASE,
)
# Larger than any lr: a sign of the exponent was left out.
_LARGEST_LR = 100.0
_OF_TOKENS = re.compile(r"(.*%)\s*(?:of\s+(?:the\s+)?)?(?:tokens?|t)", re.IGNORECASE)


def _strict(text: str) -> str:
    """A count in the form that `units` reads, where it has one meaning."""
    bare = _NOUNS.sub("", text.strip())
    power = _POWER.fullmatch(bare)
    if power:
        return str(int(power[1]) ** int(power[2]))
    if _GROUPED.fullmatch(bare):
        return re.sub(r"[,_' ]", "", bare)
    scientific = _SCIENTIFIC.fullmatch(bare)
    if scientific:
        return f"{scientific[1]}e{scientific[2]}"
    suffixed = _SUFFIXED.fullmatch(bare)
    if suffixed and suffixed[2].lower() in _SUFFIXES:
        return suffixed[1] + _SUFFIXES[suffixed[2].lower()]
    return bare


def _of_bytes(text: str) -> str | None:
    """What a number with the sign of bytes was meant to be: 7GB, 4MiB, 2,000B."""
    bare = _NOUNS.sub("", text.strip())
    grouped = re.fullmatch(r"([0-9]{1,3}(?:,[0-9]{3})+)\s?([KMBTkmbt])", bare)
    if grouped:
        return grouped[1].replace(",", "") + grouped[2].upper()
    found = re.fullmatch(rf"({_NUMBER})\s?([KMGT])(i?)B", bare, re.IGNORECASE)
    if not found:
        return None
    letter = found[2].upper()
    plain = {"G": "B"}.get(letter, letter)
    return found[1] + (f"{letter}i" if found[3] and letter != "T" else plain)


def count(text: str, *, what: str) -> float:
    """Read a count of parameters, tokens, steps or FLOPs.

    Raises:
        DataError: it is none, or may mean two things.
    """
    bare = text.strip()
    if _RATIO.fullmatch(bare):
        raise DataError(
            f"{what}: {units.quote(text)} looks like tokens a parameter. Write a count "
            "here, such as 7B, and --tokens 20x beside --params."
        )
    try:
        return units.parse_count(_strict(text), what=what)
    except DataError as error:
        raise _renamed(error, text, _strict(text)) from None


def flops(text: str, *, what: str = "--flops") -> float:
    """Read FLOPs: a count, e21, 3 EF, or 100 PF-days.

    Raises:
        DataError: it is none, or a rate.
    """
    bare = text.strip()
    if _RATE.fullmatch(bare):
        raise DataError(
            f"{what}: expected FLOPs, got the rate {units.quote(text)}. Give the "
            "total, such as 1e21, 3EF or 100PF-days."
        )
    found = _FLOPS.fullmatch(bare)
    if found:
        times = _PREFIXES[found[2].upper()] * (_DAY if found[3] else 1.0)
        return units.parse_positive(found[1], what=what) * times
    if re.fullmatch(r"e[0-9]{1,2}", bare, re.IGNORECASE):
        bare = f"1{bare}"
    return count(bare, what=what)


def _hinted(error: DataError, text: str) -> DataError:
    """With what the sign of bytes was meant to be."""
    meant = _of_bytes(text)
    if meant is None:
        return error
    said = str(error).partition(" Suffixes are")[0]
    return DataError(f"{said} Did you mean {meant}?")


def scale(text: str, *, what: str) -> float:
    """Read a further scale's value, any positive number.

    Raises:
        DataError: it is none.
    """
    return units.parse_positive(_strict(text), what=what)


def tokens(text: str, params: float | None, *, what: str = "--tokens") -> float:
    """Read training tokens: a count, or so many a parameter, as `20x`.

    Args:
        text: as typed.
        params: what a ratio multiplies.
        what: the option's name.

    Raises:
        DataError: it is neither, or a ratio without params.
    """
    ratio = _RATIO.fullmatch(text.strip())
    if not ratio:
        return count(text, what=what)
    if params is None:
        raise DataError(
            f"{what}: {units.quote(text)} means {ratio[1]} tokens a parameter: "
            "expected --params with it. Add --params, or write a count such as 2T."
        )
    return units.parse_positive(ratio[1], what=what) * params


def params_of_budget(product: float, tokens: str) -> float:
    """Parameters whose product with the tokens is given; these may be `20x`.

    Args:
        product: params x tokens.
        tokens: as typed.

    Raises:
        DataError: they cannot be read.
    """
    ratio = _RATIO.fullmatch(tokens.strip())
    if ratio:
        return (product / units.parse_positive(ratio[1], what="--tokens")) ** 0.5
    return product / count(tokens, what="--tokens")


def batch(text: str, *, what: str = "--batch") -> float:
    """Read a batch in tokens, or sequences x length.

    Raises:
        DataError: it is neither, or may mean two things.
    """
    bare = _NOUNS.sub("", text.strip().replace("**", "^"))
    if re.search(r"(seqs?|sequences?|examples?|samples?)$", bare, re.IGNORECASE):
        number = re.match(r"[0-9.]*", bare)
        first = number[0] if number and number[0] else "1024"
        raise DataError(
            f"{what}: expected tokens, or sequences x length, got {units.quote(text)}. "
            f"Write {first}x4096 for sequences of 4,096 tokens."
        )
    factors = [part.strip() for part in re.split("[x*X×]", bare)]  # noqa: RUF001
    for factor in factors:
        suffixed = _SUFFIXED.fullmatch(factor)
        if suffixed and suffixed[2] in ("k", "m", "g"):
            name = suffixed[2].upper()
            decimal = "B" if name == "G" else name
            raise DataError(
                f"{what}: {units.quote(text)} may mean decimal or binary. Write "
                f"{suffixed[1]}{decimal} ({_exact(suffixed[1] + decimal)} tokens) or "
                f"{suffixed[1]}{name}i ({_exact(suffixed[1] + name + 'i')} tokens)."
            )
    strict = "x".join(map(_strict, factors))
    try:
        return units.parse_batch(strict, what=what)
    except DataError as error:
        raise _renamed(error, text, strict) from None


def _exact(text: str) -> str:
    return units.format_tokens_exact(units.parse_number(text))


def lr(text: str, *, what: str = "--lr") -> float:
    """Read a peak learning rate.

    Raises:
        DataError: it is none, or larger than any.
    """
    bare = text.strip().translate(_DASHES)
    scientific = _SCIENTIFIC.fullmatch(bare)
    if scientific:
        bare = f"{scientific[1]}e{scientific[2]}"
    if re.fullmatch(r"[0-9],[0-9]+", bare):
        raise DataError(
            f"{what}: expected a number, got {units.quote(text)}. Write "
            f"{bare.replace(',', '.')}."
        )
    share = re.fullmatch(r"([0-9.]+)\s*/\s*([0-9.]+)", bare)
    if share:
        raise DataError(
            f"{what}: expected a number, got {units.quote(text)}. Write it out, such "
            "as 3e-4."
        )
    try:
        value = units.parse_positive(bare, what=what)
    except DataError as error:
        said = str(error).partition("expected a number such as")
        if not said[1]:
            raise
        raise DataError(
            f"{what}: expected a learning rate such as 3e-4, got {units.quote(text)}."
        ) from None
    if value > _LARGEST_LR:
        meant = bare.lower().replace("e+", "e").replace("e", "e-")
        hint = f" Did you mean {meant}?" if "e" in bare.lower() else " Write 3e-4."
        raise DataError(
            f"{what}: expected a learning rate, got {units.quote(text)}, larger than "
            f"any.{hint}"
        )
    return value


@dataclass(frozen=True)
class TokensShare:
    """A tolerance that is asked in tokens: a share of them."""

    share: float


def tolerance(text: str, *, what: str = "--tol") -> float | TokensShare:
    """Read a share of the loss, `0.25%`, or of the tokens, `5%tokens`.

    Raises:
        DataError: it is neither, or may mean two things.
    """
    bare = text.strip()
    of_tokens = _OF_TOKENS.fullmatch(bare)
    if of_tokens:
        number = re.sub(r"\s", "", of_tokens[1])
        return TokensShare(units.parse_fraction(number, what=what))
    other = re.fullmatch(rf"({_NUMBER})\s*(bps?|‰|permille)", bare, re.IGNORECASE)
    if other:
        per = 100 if other[2].lower().startswith("bp") else 10
        share = units.parse_number(other[1]) / per
        raise DataError(
            f"{what}: expected a share in per cent, got {units.quote(text)}. Write "
            f"{share:g}%."
        )
    return share_of_loss(what, re.sub(r"\s+%", "%", bare))


def share_of_loss(option: str, text: str) -> float:
    """Read a share of the loss; above 5% only with its sign, since 0.5 may mean 0.5%.

    Args:
        option: the option's name, for messages.
        text: such as 0.25% or 0.0025.

    Raises:
        DataError: it is no share between 0% and 100%, or may mean two things.
    """
    value = units.parse_fraction(text, what=option)
    bare = text.strip()
    if value > defaults.MOST_BARE and not bare.endswith("%"):
        raise DataError(
            f"{option}: {units.quote(text)} without a sign may mean {bare}% or "
            f"{100 * value:g}%. Write {option} {bare}% or {option} {100 * value:g}%."
        )
    return value


def _renamed(error: DataError, typed: str, strict: str) -> DataError:
    """The message about what was typed, not what became of it, and what was meant."""
    said = str(error).replace(units.quote(strict), units.quote(typed))
    return _hinted(DataError(said), typed)
