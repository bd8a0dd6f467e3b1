"""Questions about one (params, tokens), checked against what a fit knows."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from surrogate.answers.checks import (
    check_allow,
    check_positive,
    check_recipe,
    check_scales,
    check_share,
    check_sizes,
)
from surrogate.answers.slips import check_range
from surrogate.answers.third_setting import best_level
from surrogate.base.defaults import ACTIVE, SMALL
from surrogate.base.errors import DataError
from surrogate.base.shapes import Float64
from surrogate.data.coordinates import CHOICES, WIDEN
from surrogate.fitting.model import Model
from surrogate.fitting.stability import P_MAX

Range = tuple[float, float]
# ArrayLike has complex numbers, of which a type checker at run time takes no float.
Values: TypeAlias = ArrayLike | float | int
_PLAUSIBLE_RATIO = (0.1, 1e5)
_POINT = np.ones(1)
_SIZES = ("params", "tokens")
# Training FLOPs a parameter and token.
FLOPS = 6.0


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
    if flops is not None and len(names) == 2 and steps is None:
        return _of_budget(fit, flops, params, tokens)
    if names == ("flops",):
        return Sizes(middle["params"], middle["tokens"], False)
    raise DataError(
        "Expected two of params, tokens and flops, or params and steps, or flops "
        f"alone, got {' and '.join(names) or 'none of them'}. Add or leave out what "
        "differs, for example --params 1B --tokens 20B."
    )


def _of_budget(
    fit: Model, flops: float, params: float | None, tokens: float | None
) -> Sizes:
    """Params and tokens, of which one is given, where 6 params tokens = flops.

    Raises:
        DataError: FLOPs go by active parameters, or a number is not positive.
    """
    active = [name for name in fit.scale_names if name in ACTIVE]
    if active:
        raise DataError(
            f"Expected params and tokens, since the FLOPs of these runs go by "
            f"{active[0]}, got flops."
        )
    check_positive("flops", flops)
    for name, value in (("params", params), ("tokens", tokens)):
        if value is not None:
            check_positive(name, value)
    if params is not None:
        return Sizes(params, flops / (FLOPS * params), True)
    assert tokens is not None
    return Sizes(flops / (FLOPS * tokens), tokens, True)


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
    box = {name: _range(fit, name, ranges[name]) for name in CHOICES}
    for name in CHOICES:
        check_range(fit, name, ranges[name], asked.allow)
    return Question(
        fit=fit,
        params=params,
        tokens=tokens,
        scales=given,
        recipe=recipe,
        s=coordinates(fit, params, tokens, given, recipe),
        box=box,
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
