"""Settings that were probably typed wrong: batches in sequences, an lr of 3."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

from surrogate.base.defaults import SMALL
from surrogate.base.errors import UnlikelyError
from surrogate.base.shown import lr as format_lr
from surrogate.base.units import format_count, format_tokens_exact
from surrogate.fitting.model import Model

# Nobody trains on so many sequences a step, and few on so few tokens: of the released
# sweeps no batch is below 8,192 tokens.
_MOST_SEQUENCES = 8192
# A batch under this share of the smallest fitted is far below all of them.
_FAR_BELOW = 1 / 4
# What a batch in sequences comes to must be this near to those fitted.
_NEAR = 16.0
# Of models trained today; said to be a guess where it stands for an unknown length.
_USUAL_LENGTH = 2048
# No lr so large, or so far from those fitted, is meant.
_LARGE_LR, _OVER, _FAR_LR = 1.0, 10.0, 1e3
# A corrected lr lies within the box that is searched.
_ROOM = 4.0

Settings = Mapping[str, Any]


def check_settings(
    fit: Model,
    settings: Settings,
    allow: Collection[str],
    tokens: float = math.inf,
) -> None:
    """Refuse settings that were probably typed wrong; those not given are None.

    Args:
        fit: what is asked.
        settings: by the names of arguments: `lr` and `lr_max`, `batch` and `batch_max`.
        allow: `small` lets all pass.
        tokens: that are trained on.

    Raises:
        UnlikelyError: what was probably meant.
    """
    if SMALL in allow:
        return
    for name, value in settings.items():
        found = None if value is None else unlikely_setting(fit, name, value, tokens)
        if found is not None:
            raise found


def check_range(
    fit: Model, name: str, ends: tuple[float, float] | None, allow: Collection[str]
) -> None:
    """Refuse a range that ends below all settings; given in sequences, it may be meant.

    Args:
        fit: what is asked.
        name: `lr` or `batch`.
        ends: of the range, if one is given.
        allow: `small` lets all pass.

    Raises:
        UnlikelyError: what was probably meant.
    """
    if ends is None or SMALL in allow:
        return
    found = unlikely_setting(fit, f"{name}_range", ends[1])
    if found is None:
        return
    meant = found.meant
    if meant is not None and "x" in meant:
        first, length = meant.split("x")
        meant = f"{ends[0]:g}x{length}:{first}x{length}"
    else:
        meant = None
    raise UnlikelyError(found.said, SMALL, name=found.name, meant=meant)


def unlikely_setting(
    fit: Model, name: str, value: float, tokens: float = math.inf
) -> UnlikelyError | None:
    """Why a setting was probably typed wrong; None if it was not.

    Args:
        fit: what is asked.
        name: of the argument, which begins with `lr` or `batch`.
        value: given.
        tokens: that are trained on.
    """
    if not 0 < value < math.inf:
        return None
    if name.startswith("lr"):
        return _unlikely_lr(fit, name, value)
    return _unlikely_batch(fit, name, value, tokens)


def _unlikely_batch(
    fit: Model, name: str, value: float, tokens: float
) -> UnlikelyError | None:
    low, high = fit.features.fitted["batch"]
    if name == "batch" and value > tokens:
        return UnlikelyError(
            f"batch {value:g} is more than all {format_count(tokens)} tokens of the "
            "run: it would not make one step.",
            SMALL,
            name=name,
        )
    length = int(float(fit.about.get("seq_len") or 0)) or None
    whole = value * (length or _USUAL_LENGTH)
    is_few = value < _FAR_BELOW * low and value <= _MOST_SEQUENCES
    # Sequences are counted in whole numbers.
    if not (
        is_few and float(value).is_integer() and low / _NEAR <= whole <= _NEAR * high
    ):
        return None
    known = " as in the fitted runs" if length else ", say"
    length = length or _USUAL_LENGTH
    return UnlikelyError(
        f"{name} {value:g} reads as {value:g} tokens, 1/"
        f"{float(f'{low / value:.2g}'):,.0f} of the smallest fitted "
        f"({format_tokens_exact(round(low))}). Were sequences meant, {value:g} of "
        f"{length:,} tokens{known}?",
        SMALL,
        name=name,
        meant=f"{value:g}x{length}",
    )


def _unlikely_lr(fit: Model, name: str, value: float) -> UnlikelyError | None:
    low, high = fit.features.fitted["lr"]
    is_large = value > _FAR_LR * high or (value >= _LARGE_LR and value > _OVER * high)
    # A bound that binds nothing does no harm.
    if is_large and name != "lr":
        return None
    if not is_large and value >= low / _FAR_LR:
        return None
    end, which = (high, "largest") if is_large else (low, "smallest")
    ratio = float(f"{max(value / end, end / value):.2g}")
    times = f"{ratio:,.0f} times" if is_large else f"1/{ratio:,.0f} of"
    meant = _near_lr(value, low, high)
    asked = f": did you mean {meant}?" if meant else "."
    return UnlikelyError(
        f"{name} {value:g} is {times} the {which} fitted ({format_lr(end)}){asked}",
        SMALL,
        name=name,
        meant=meant,
    )


def _near_lr(value: float, low: float, high: float) -> str | None:
    """The same digits with the exponent that brings them amid those fitted."""
    middle = math.sqrt(low * high)
    power = round(math.log10(middle / value))
    meant = value * 10.0**power
    if not low / _ROOM <= meant <= high * _ROOM:
        return None
    return format_lr(meant, 6)
