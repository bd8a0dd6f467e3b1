"""Questions about one (params, tokens), checked against what a fit knows."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Float64
from numpy.typing import ArrayLike

from surrogate.answers.also import best_level
from surrogate.base.defaults import ALLOWED, SMALL
from surrogate.base.errors import DataError, UnlikelyError
from surrogate.base.units import format_count, quote
from surrogate.data.coordinates import CHOICES, WIDEN
from surrogate.fitting.model import Model
from surrogate.fitting.stability import P_MAX

Range = tuple[float, float]
# ArrayLike has complex numbers, of which a type checker at run time takes no float.
Values: TypeAlias = ArrayLike | float | int
_PLAUSIBLE_RATIO = (0.1, 1e5)
_POINT = np.ones(1)
_SIZES = ("params", "tokens")
# A size under this share of the smallest fitted lacks a K, M, B or T.
SMALL_SHARE = 1e-3
_UNITS = (1e3, 1e6, 1e9, 1e12)
# A guess at random among 160,000 tokens costs so many nats.
MOST_LOSS = 12.0


@dataclass(frozen=True)
class Question:
    """A checked question about one size, and the fit that it is put to.

    Attributes:
        fit: what is asked.
        params: asked about.
        tokens: asked about.
        scales: further scale variables.
        recipe: one of the fit's.
        s: the given coordinates.
        box: where to look, natural units, lr and batch.
        p_max: what the probability of divergence may reach.
        warnings: about the question itself.
        kept: what was solved for it, so that nothing is solved twice.
    """

    fit: Model = field(repr=False, compare=False)
    params: float
    tokens: float
    scales: dict[str, float]
    recipe: str
    s: Float64[np.ndarray, " g"]
    box: dict[str, Range]
    p_max: float
    warnings: tuple[str, ...]
    kept: dict[Any, Any] = field(
        init=False, repr=False, compare=False, default_factory=dict
    )

    @property
    def sizes(self) -> dict[str, float]:
        """Params, tokens and further scales, by name."""
        return {"params": self.params, "tokens": self.tokens, **self.scales}

    @property
    def columns(self) -> dict[str, Float64[np.ndarray, " one"]]:
        """`sizes` as columns of one row, for what takes many questions."""
        return {name: np.array([float(v)]) for name, v in self.sizes.items()}

    def at(
        self, params: float, tokens: float, scales: Mapping[str, float] | None = None
    ) -> Question:
        """The same question about other sizes; scales stay where none are given."""
        further = dict(self.scales if scales is None else scales)
        s = coordinates(self.fit, params, tokens, further, self.recipe)
        return replace(self, params=params, tokens=tokens, scales=further, s=s)


class Sizes(NamedTuple):
    """What is trained; where it moves with the choice, a size from among the fitted.

    Attributes:
        params: asked about.
        tokens: asked about.
        is_known: both, before anything is chosen.
    """

    params: float
    tokens: float
    is_known: bool


def sizes(
    fit: Model,
    params: float | None,
    tokens: float | None,
    steps: float | None,
    flops: float | None,
    batch: float | None,
) -> Sizes:
    """The sizes meant by params and tokens, params and steps, or a budget alone.

    Raises:
        DataError: they are given in no or in more than one way.
    """
    given = {"params": params, "tokens": tokens, "steps": steps, "flops": flops}
    names = tuple(name for name, value in given.items() if value is not None)
    middle = {n: math.sqrt(math.prod(fit.features.fitted[n])) for n in _SIZES}
    if names == ("params", "tokens"):
        assert params is not None
        assert tokens is not None
        return Sizes(params, tokens, True)
    if names == ("params", "steps"):
        assert params is not None
        assert steps is not None
        check_positive("steps", steps)
        if batch is not None:
            check_positive("batch", batch)
            return Sizes(params, steps * batch, True)
        return Sizes(params, middle["tokens"], False)
    if names == ("flops",):
        return Sizes(middle["params"], middle["tokens"], False)
    raise DataError(
        "Expected params and tokens, or params and steps, or flops alone, got "
        f"{' and '.join(names) or 'none of them'}. Add or leave out what differs, for "
        "example --params 1B --tokens 20B."
    )


@dataclass(frozen=True)
class Asked:
    """A question as a user puts it, unchecked; the arguments are those of `Fit.at`."""

    params: float
    tokens: float
    scales: Mapping[str, float] | None = None
    recipe: str | None = None
    lr_range: Range | None = None
    batch_range: Range | None = None
    p_max: float = P_MAX
    allow: Collection[str] = ()


def ask(fit: Model, asked: Asked) -> Question:
    """Check what is asked against what the fit knows.

    Raises:
        DataError: what was expected, what came, what to do.
        UnlikelyError: a size is far below the fitted ones, and `allow` has no `small`.
    """
    params, tokens = asked.params, asked.tokens
    check_positive("params", params)
    check_positive("tokens", tokens)
    check_share("largest probability of divergence", asked.p_max)
    given = check_scales(fit, asked.scales or {})
    chosen, said = best_level(fit, params, tokens, given, asked.recipe)
    recipe = check_recipe(fit, chosen)
    check_allow(asked.allow)
    if SMALL not in asked.allow:
        check_sizes(fit, {"params": params, "tokens": tokens, **given})
    ranges = {"lr": asked.lr_range, "batch": asked.batch_range}
    return Question(
        fit=fit,
        params=params,
        tokens=tokens,
        scales=given,
        recipe=recipe,
        s=coordinates(fit, params, tokens, given, recipe),
        box={name: _range(fit, name, ranges[name]) for name in CHOICES},
        p_max=asked.p_max,
        warnings=(*said, *_ratio_warnings(tokens / params)),
    )


def coordinates(
    fit: Model, params: float, tokens: float, scales: Mapping[str, float], recipe: str
) -> Float64[np.ndarray, " g"]:
    """The standardised coordinates s of one size."""
    further = {name: value * _POINT for name, value in scales.items()}
    s = fit.features.given(
        params * _POINT, tokens * _POINT, further, np.array([recipe])
    )
    return s[0]


def _ratio_warnings(ratio: float) -> tuple[str, ...]:
    """Whether tokens a parameter are what nobody trains."""
    if _PLAUSIBLE_RATIO[0] <= ratio <= _PLAUSIBLE_RATIO[1]:
        return ()
    return (
        f"tokens / params is {ratio:.3g}, outside 0.1 to 100,000: check the units of "
        "both.",
    )


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


def unlikely_loss(fit: Model, loss: float) -> UnlikelyError | None:
    """Why a predicted loss [nats per token] says nothing; None if it may.

    A fit whose own losses are that high is of another unit, of which we know nothing.
    """
    if not (loss > MOST_LOSS and has_known_losses(fit)):
        return None
    return UnlikelyError(
        f"The predicted loss is {loss:.3g} nats a token, over {MOST_LOSS:g}, more than "
        "a guess at random costs: what is asked lies where the surface says nothing.",
        SMALL,
    )


def check_loss(fit: Model, loss: float, allow: Collection[str]) -> None:
    """Refuse an answer whose loss no model has.

    Raises:
        UnlikelyError: it is over 12 nats a token, and `allow` has no `small`.
    """
    unlikely = unlikely_loss(fit, loss)
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
                f"from {low:g} to {high:g}, and has no default for it."
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


def _range(fit: Model, name: str, asked: Range | None) -> Range:
    if asked is None:
        low, high = fit.features.fitted[name]
        return low / WIDEN, high * WIDEN
    low, high = asked
    if not 0 < low < high < math.inf:
        raise DataError(
            f"Expected the range of {name} as two positive numbers, the smaller one "
            f"first, got {low:g} to {high:g}."
        )
    return low, high
