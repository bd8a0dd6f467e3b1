"""What an argument must be: each kind takes its name and value and returns the value.

The table at the end says of every name in a public function what it must be.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from surrogate.base.arguments.numbers import (
    as_typed,
    fault,
    is_masked,
    levels,
    margin,
    pair,
    positive,
    share,
    spread,
    tolerance,
    whole,
)
from surrogate.base.defaults import (
    ALLOWED,
    CHECKPOINTS,
    FOLDS,
    LOSS_KINDS,
    LOSS_UNITS,
    PARAMS_KINDS,
)
from surrogate.base.late import Late
from surrogate.base.units import quote

if TYPE_CHECKING:
    import numpy as np
else:
    # What takes no arrays asks for no NumPy: `surrogate law` is there at once.
    np = Late("numpy")

Kind: TypeAlias = Callable[[str, Any], Any]

# Draws that one process can hold, and what a generator takes as its seed.
MOST_DRAWS = 100_000
MOST_SEED = 2**63 - 1
# Bytes of a name and of a path on the usual file systems.
MOST_NAME, MOST_PATH = 255, 4095


def flag(name: str, value: Any) -> bool:
    """True or False."""
    if not isinstance(value, bool | np.bool_):
        raise fault(name, "True or False", value)
    return bool(value)


def text(name: str, value: Any) -> str:
    """A text."""
    if not isinstance(value, str):
        raise fault(name, "a text", value)
    _check_unicode(name, value)
    return value


def word(name: str, value: Any) -> str:
    """A text of at least one character, all of them printable."""
    if not (isinstance(value, str) and value.isprintable() and 0 < len(value) <= 80):
        raise fault(name, "a name", value)
    return text(name, value)


def _check_unicode(name: str, value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise fault(name, "text of Unicode characters", value) from error


def _many(value: Any) -> list[Any] | None:
    """The items of a list or the like; None where it is none."""
    if isinstance(value, np.ndarray):
        return value.tolist() if value.ndim == 1 else None
    is_one = isinstance(value, str | bytes | bytearray | Mapping)
    return list(value) if isinstance(value, Collection) and not is_one else None


def texts(name: str, value: Any) -> tuple[str, ...]:
    """Texts, or a single one."""
    if isinstance(value, str):
        return (text(name, value),)
    many = _many(value)
    if many is None or not all(isinstance(item, str) for item in many):
        raise fault(name, "a list of texts", value)
    return tuple(text(name, item) for item in many)


def text_or_texts(name: str, value: Any) -> str | list[str]:
    """A text, or a list of them."""
    if isinstance(value, str):
        return text(name, value)
    return list(texts(name, value))


def _mapping(name: str, value: Any, expected: str) -> Mapping[str, Any]:
    is_named = isinstance(value, Mapping) and all(isinstance(key, str) for key in value)
    if not is_named:
        raise fault(name, expected, value)
    return value


def document(name: str, value: Any) -> Mapping[str, Any]:
    """A document of JSON."""
    return _mapping(name, value, "a dict of values by name")


def texts_by_name(name: str, value: Any) -> dict[str, str]:
    """A mapping from texts to texts."""
    expected = "a dict of texts by name"
    found = _mapping(name, value, expected)
    if not all(isinstance(item, str) for item in found.values()):
        raise fault(name, expected, value)
    return {text(name, key): text(name, item) for key, item in found.items()}


def numbers_by_name(name: str, value: Any) -> dict[str, float]:
    """A mapping from names to positive numbers."""
    found = _mapping(name, value, "a dict of positive numbers by name")
    return {key: positive(f"{name}[{quote(key)}]", v) for key, v in found.items()}


def codes(name: str, value: Any) -> np.ndarray:
    """A list of whole numbers."""
    found = array(name, value)
    if found.dtype.kind not in "iu" or found.ndim != 1:
        raise fault(name, "a list of whole numbers, one a run", value)
    return found


def measures(name: str, value: Any) -> np.ndarray:
    """A list of real numbers."""
    found = array(name, value)
    if found.dtype.kind not in "iuf" or found.ndim != 1:
        raise fault(name, "a list of numbers, one a run", value)
    return found.astype(np.float64)


def columns_by_name(name: str, value: Any) -> dict[str, np.ndarray]:
    """A mapping from names to columns of real numbers."""
    found = _mapping(name, value, "a dict of columns of numbers by name")
    return {key: column(f"{name}[{quote(key)}]", v) for key, v in found.items()}


def arrays_by_name(name: str, value: Any) -> dict[str, np.ndarray]:
    """A mapping from names to arrays."""
    found = _mapping(name, value, "a dict of columns of numbers by name")
    return {key: array(f"{name}[{quote(key)}]", v) for key, v in found.items()}


def folds(name: str, value: Any) -> list[str] | dict[str, np.ndarray]:
    """Kinds of folds, one or a list of them, or masks by name."""
    if isinstance(value, Mapping) and value:
        return arrays_by_name(name, value)
    found = list(texts(name, value))
    if not found or not set(found) <= set(FOLDS):
        raise fault(name, f"some of {', '.join(FOLDS)}, or masks by name", value)
    return found


def array(name: str, value: Any) -> np.ndarray:
    """An array of any kind but of objects; masked values are refused."""
    if is_masked(value) and np.ma.getmaskarray(value).any():
        raise fault(name, "an array without masked values", value)
    try:
        found = np.asarray(value)
    except Exception as error:  # lists of unequal length, and whatever converts itself
        raise fault(name, "a list of one length throughout", value) from error
    if found.dtype.kind == "O":
        raise fault(name, "a list of values of one kind", value)
    return found


def column(name: str, value: Any) -> np.ndarray:
    """A real number, or a list of them; as float64."""
    found = array(name, value)
    if found.dtype.kind not in "iuf":
        hint = as_typed(value)
        raise fault(name, "a number, or a list of numbers", value, hint)
    return found.astype(np.float64)


def labels(name: str, value: Any) -> str | np.ndarray:
    """A text for all, or a list of one each."""
    return text(name, value) if isinstance(value, str) else array(name, value)


def path(name: str, value: Any) -> str | os.PathLike[str]:
    """A path that a file could have."""
    expected = "a path: a text or a pathlib.Path"
    if not isinstance(value, str | os.PathLike):
        raise fault(name, expected, value)
    plain = os.fspath(value)
    if not isinstance(plain, str) or not plain:
        raise fault(name, expected, value)
    if "\0" in plain:
        raise fault(name, "a path without NUL characters", plain)
    try:
        raw = os.fsencode(plain)
    except UnicodeEncodeError as error:
        raise fault(name, "a path of Unicode characters", plain) from error
    longest = max(len(part) for part in raw.split(os.fsencode(os.sep)))
    if longest > MOST_NAME or len(raw) > MOST_PATH:
        limits = f"names of at most {MOST_NAME} bytes, {MOST_PATH:,} in all"
        raise fault(name, f"a path with {limits}", plain)
    return value


def having(methods: str, expected: str) -> Kind:
    """An object with these methods."""

    def kind(name: str, value: Any) -> Any:
        if not all(callable(getattr(value, each, None)) for each in methods.split()):
            raise fault(name, expected, value)
        return value

    return kind


def one_of(known: Collection[str]) -> Kind:
    """One of these words."""

    def kind(name: str, value: Any) -> str:
        if not isinstance(value, str) or value not in known:
            raise fault(name, f"one of {', '.join(known)}", value)
        return str(value)

    return kind


def some_of(known: Collection[str]) -> Kind:
    """Some of these words."""

    def kind(name: str, value: Any) -> tuple[str, ...]:
        found = texts(name, value)
        if not set(found) <= set(known):
            raise fault(name, f"a list of {' or '.join(known)}", value)
        return found

    return kind


def margin_or_text(name: str, value: Any) -> float | str:
    """A share above 0, infinity, or a text."""
    return text(name, value) if isinstance(value, str) else margin(name, value)


def instance(kinds: type | tuple[type, ...], how: str) -> Kind:
    """An object of ours; `how` one comes by it."""

    def kind(name: str, value: Any) -> Any:
        if not isinstance(value, kinds):
            raise fault(name, how, value)
        return value

    return kind


def listed(kind: type, how: str) -> Kind:
    """A list of objects of ours."""

    def check(name: str, value: Any) -> tuple[Any, ...]:
        many = _many(value)
        if many is None or not all(isinstance(item, kind) for item in many):
            raise fault(name, how, value)
        return tuple(many)

    return check


def anything(name: str, value: Any) -> Any:
    """What the function itself looks at."""
    return value


_TEXT = "recipe transfer"
_MORE = "cluster loss_se lr_is_schedule name"
# By name, which means the same in every public function.
BY_NAME: dict[str, Kind] = {
    **dict.fromkeys(("params", "tokens", "steps", "flops", "lr", "batch"), positive),
    **dict.fromkeys(("lr_max", "batch_max", "batch_multiple"), positive),
    **dict.fromkeys(("lr_range", "batch_range"), pair),
    **dict.fromkeys(("p_max", "probability", "share"), share),
    **dict.fromkeys(("family", "device", "backend"), word),
    **dict.fromkeys(_TEXT.split(), text),
    **dict.fromkeys(_MORE.split(), text),
    **dict.fromkeys(("finished", "failed", "notes", "cautions"), texts),
    **dict.fromkeys(("map", "about", "called"), texts_by_name),
    **dict.fromkeys(("budget", "per_run_max", "max_params"), positive),
    **dict.fromkeys(("overwrite", "any_loss", "repeats", "is_prior"), flag),
    **dict.fromkeys(("also", "aim"), text),
    "lr_levels": levels,
    "loss_kind": one_of(LOSS_KINDS),
    "params_kind": one_of(PARAMS_KINDS),
    "loss_unit": one_of(LOSS_UNITS),
    "checkpoints": one_of(CHECKPOINTS),
    "scales": numbers_by_name,
    "document": document,
    "folds": folds,
    "tol": tolerance,
    "seed_noise": spread,
    "path": path,
    "bootstrap": whole(0, MOST_DRAWS, "1000"),
    "seed": whole(0, MOST_SEED, "0"),
    "terms": whole(2, 8, "3"),
    "seq_len": whole(1, 2**31, "2048"),
    "progress": having("start advance", "an object with start and advance"),
    "allow": some_of(ALLOWED),
    "axes": anything,
    "shards": having("clear wait kept", "shards of draws, as fit --resume keeps them"),
}
