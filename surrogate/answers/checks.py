"""What a question may hold: numbers, recipes and scales of the fit, likely sizes."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

import numpy as np

from surrogate.base.defaults import ALLOWED, SMALL
from surrogate.base.errors import DataError, UnlikelyError
from surrogate.base.units import format_count, quote
from surrogate.data.coordinates import CHOICES
from surrogate.fitting.model import Model

# A size under this share of the smallest fitted lacks a K, M, B or T.
SMALL_SHARE = 1e-3
_UNITS = (1e3, 1e6, 1e9, 1e12)
# A guess at random among 160,000 tokens costs so many nats.
MOST_LOSS = 12.0


def check_sizes(fit: Model, sizes: Mapping[str, float]) -> None:
    """Refuse sizes that were probably typed wrong.

    Raises:
        UnlikelyError: one is far below the fitted ones.
    """
    for name, size in sizes.items():
        small = unlikely_size(name, size, *fit.features.fitted[name])
        if small is not None:
            raise small


def check_allow(allow: Collection[str]) -> None:
    """Refuse what cannot be allowed.

    Raises:
        DataError: naming what can.
    """
    names = [allow] if isinstance(allow, str) else allow
    for name in names:
        if name not in ALLOWED:
            raise DataError(
                f"Expected allow to hold {' or '.join(ALLOWED)}, got {quote(name)}."
            )


def unlikely_size(
    name: str, value: float, low: float, high: float
) -> UnlikelyError | None:
    """Why a size was probably typed wrong: a forgotten K, M, B or T; None if not.

    Args:
        name: of the argument.
        value: asked about.
        low: the smallest fitted.
        high: the largest fitted.
    """
    if value >= SMALL_SHARE * low:
        return None
    times = float(f"{low / value:.3g}")
    meant = min(
        (value * unit for unit in _UNITS),
        key=lambda size: max(low / size, size / high, 1.0),
    )
    is_near = max(low / meant, meant / high) <= 1 / SMALL_SHARE
    shown = format_count(meant) if is_near else None
    return UnlikelyError(
        f"{name} {value:g} is 1/{times:,.0f} of the smallest fitted "
        f"({format_count(low)})" + (f": did you mean {shown}?" if shown else "."),
        SMALL,
        name=name,
        meant=shown,
    )


def has_known_losses(fit: Model) -> bool:
    """Whether a loss over `MOST_LOSS` would be a slip: those fitted are far below."""
    return fit.loss_unit == "nats" and math.exp(fit.features.level) <= MOST_LOSS


def unlikely_loss(
    fit: Model, loss: float, settings: Mapping[str, float | None] | None = None
) -> UnlikelyError | None:
    """Why a predicted loss [nats per token] says nothing; None if it may.

    A fit whose own losses are that high is of another unit, of which we know nothing.
    """
    if not (loss > MOST_LOSS and has_known_losses(fit)):
        return None
    far = _farthest(fit, settings or {})
    return UnlikelyError(
        f"The predicted loss is {loss:.3g} nats a token, over {MOST_LOSS:g}, more than "
        "a guess at random costs: what is asked lies where the surface says nothing"
        f"{far}.",
        SMALL,
    )


def _farthest(fit: Model, settings: Mapping[str, float | None]) -> str:
    """Which setting lies farthest beyond those fitted, and how far."""
    said, most = "", 1.0
    for name, value in settings.items():
        if value is None or not 0 < value < math.inf:
            continue
        low, high = fit.features.fitted[name]
        beyond = max(value / high, low / value)
        if beyond > most:
            most, end = beyond, high if value > high else low
            how = "times the largest" if value > high else "times below the smallest"
            said = f": {name} {value:g} is {beyond:.2g} {how} fitted ({end:.3g})"
    return said


def check_loss(
    fit: Model,
    loss: float,
    allow: Collection[str],
    settings: Mapping[str, float | None] | None = None,
) -> None:
    """Refuse an answer whose loss no model has.

    Args:
        fit: what was asked.
        loss: predicted [nats per token].
        allow: `small` lets all pass.
        settings: lr and batch as they were given.

    Raises:
        UnlikelyError: it is over 12 nats a token, and `allow` has no `small`.
    """
    unlikely = unlikely_loss(fit, loss, settings)
    if unlikely is not None and SMALL not in allow:
        raise unlikely


def check_recipe(fit: Model, recipe: str | None) -> str:
    """The recipe meant, one of the fit's.

    Raises:
        DataError: there are several and none is named, or it is unknown.
    """
    if recipe is None:
        if len(fit.recipes) == 1:
            return fit.recipes[0]
        raise DataError(
            f"Expected --recipe, since the fit has {len(fit.recipes)}: "
            f"{', '.join(map(quote, fit.recipes))}. Name one of them."
        )
    if recipe not in fit.recipes:
        known = ", ".join(map(quote, fit.recipes))
        if fit.recipes == ("",):
            raise DataError(
                f"Expected no --recipe, since the fit has one unnamed recipe, got "
                f"{quote(recipe)}. Leave it out."
            )
        raise DataError(
            f"Expected one of the fit's recipes ({known}), got {quote(recipe)}."
        )
    return recipe


def check_scales(fit: Model, scales: Mapping[str, float]) -> dict[str, float]:
    """The further scale variables that the fit needs, no more.

    Raises:
        DataError: one is missing, unknown or not positive.
    """
    known = [n for n in fit.features.fitted if n not in (*CHOICES, "params", "tokens")]
    for name, value in scales.items():
        if name not in known:
            raise DataError(
                f"Expected a scale variable of the fit ({', '.join(known) or 'none'}), "
                f"got --scale {quote(name)}. Leave it out or correct the name."
            )
        check_positive(f"scale {name}", value)
    for name in fit.scale_names:
        if name not in scales:
            low, high = fit.features.fitted[name]
            raise DataError(
                f"Expected --scale {name}=VALUE: the fit depends on {name}, fitted "
                f"from {format_count(low)} to {format_count(high)}, and has no default "
                f"for it. Add it, such as --scale {name}={format_count(high)}."
            )
    return dict(scales)


def check_positive(name: str, value: float) -> None:
    """Refuse what is no positive number.

    Raises:
        DataError: naming it.
    """
    if not (isinstance(value, int | float | np.number) and 0 < value < math.inf):
        raise DataError(f"Expected {name} to be a positive number, got {value!r}.")


def check_share(what: str, value: float) -> None:
    """Refuse what is no probability.

    Raises:
        DataError: not between 0 and 1.
    """
    if not 0 < value < 1:
        raise DataError(
            f"Expected the {what} between 0 and 1, such as 5% or 0.05, got {value!r}."
        )
