"""What a loss above the lowest costs in tokens, and what each batch costs.

The price of a loss is the smallest share x > 0 such that the lowest loss of (1 - x) D
tokens is that loss: the choice wastes so many.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from surrogate.answers import arrays
from surrogate.answers.checks import check_share
from surrogate.answers.decision.document import Price, Rung
from surrogate.answers.limits.unfitted import unfitted
from surrogate.answers.question import Question
from surrogate.answers.solved import (
    Solved,
    limits,
    loss_of,
    only_levels,
    point_only,
    solve_box,
)
from surrogate.answers.stability_edge import Bounds
from surrogate.base.errors import DataError
from surrogate.base.shapes import Float64
from surrogate.base.units import format_count
from surrogate.families.forms import form
from surrogate.fitting import intervals
from surrogate.fitting.model import Model
from surrogate.numerics.half_plane import Cut
from surrogate.numerics.roots import first_roots

# A slope of ln loss in ln tokens above this tells no price.
LEAST_SLOPE = -0.01
# Tokens below this share of the smallest fitted say nothing.
LEAST_TOKENS = 0.5
# Training FLOPs a parameter and token.
FLOPS = 6.0
# A bound of a cut that no box reaches [logit].
_FAR = 1e6
# For the slope [ln].
_STEP = 1e-4
# Octaves of batch beyond the plateau, and rungs at most.
_AROUND, _MOST_RUNGS = 2, 24


@dataclass(frozen=True)
class Line:
    """The lowest loss along ln tokens, params and further scales held.

    Attributes:
        solved: the minimum at the question where it begins.
    """

    solved: Solved

    @property
    def fit(self) -> Model:
        """Whose."""
        return self.solved.fit

    @property
    def question(self) -> Question:
        """Where it begins."""
        return self.solved.question

    @cached_property
    def _place(self) -> tuple[int, float]:
        """Where ln tokens stands in s, and ln units in one unit of it."""
        i = self.fit.features.givens.index("tokens")
        return i, self.fit.features.scale[len(self.fit.features.choices) + i]

    def at(self, t: float) -> Question:
        """The question at other tokens [ln]."""
        i, scale = self._place
        s = self.question.s.copy()
        s[i] += (t - math.log(self.question.tokens)) / scale
        return replace(self.question, tokens=math.exp(t), s=s)

    def lowest(self, t: Float64[np.ndarray, " m"]) -> Float64[np.ndarray, " m"]:
        """The lowest ln loss at ln tokens."""
        places = [self.at(float(each)) for each in t]
        box, known = self.solved.box, self.solved.known
        every = [limits(question, box, known) for question in places]
        return _lowest(self.fit, np.array([place.s for place in places]), every)[0]

    def slopes(self) -> Float64[np.ndarray, " thetas"]:
        """Of ln of the lowest loss in ln tokens, of every theta.

        The setting of the lowest loss stays, to first order.
        """
        i, scale = self._place
        thetas, u = self.solved.thetas, self.solved.minimum.u
        values = []
        for step in (-_STEP, _STEP):
            s = self.question.s.copy()
            s[i] += step / scale
            y = u[:, 1] if u.shape[1] == 2 else np.zeros(len(u))
            with np.errstate(all="ignore"):
                values.append(form(self.fit.family, thetas, s).value(u[:, 0], y))
        return (values[1] - values[0]) / (2 * _STEP)


def _lowest(
    fit: Model, s: Float64[np.ndarray, "m g"], bounds: Sequence[Bounds]
) -> tuple[np.ndarray, np.ndarray]:
    """The lowest ln loss, and where, at many places in boxes of their own."""
    low, high = (np.array([getattr(b, end) for b in bounds]) for end in ("low", "high"))
    first = next((b.cut for b in bounds if b.cut is not None), None)
    cuts = None
    if first is not None:
        # Where there is no cut, a half-plane that holds the box.
        each = [b.cut or Cut(first.normal, np.asarray(_FAR)) for b in bounds]
        cuts = Cut(
            np.array([cut.normal for cut in each])[:, None],
            np.array([cut.bound for cut in each])[:, None],
        )
    thetas = np.repeat(fit.theta[None], len(s), axis=0)
    values, u = arrays.minima_each(
        fit.family, thetas, s[:, None], low[:, None], high[:, None], cuts
    )
    return values[:, 0], u[:, 0]


@dataclass(frozen=True)
class Prices:
    """Prices of several losses of one answer, computed together.

    Attributes:
        line: along which.
        reason: why there is none; None where there are prices.
        slope: of ln of the lowest loss in ln tokens, of every theta; empty if unknown.
    """

    line: Line
    reason: str | None
    slope: Float64[np.ndarray, " thetas"]

    @classmethod
    def of(cls, line: Line) -> Prices:
        """Whether the fit tells a price here."""
        fit, none = line.fit, np.zeros(0)
        if "tokens" not in fit.features.givens:
            return cls(
                line,
                "the fitted runs do not vary tokens apart from their other sizes, so "
                "nothing tells what a token is worth",
                none,
            )
        slope = line.slopes()
        point = float(slope[0])
        low, high = (
            float(end) for end in fit.spans(slope[0], line.solved.leaves(slope))
        )
        if not point <= LEAST_SLOPE:
            return cls(
                line,
                f"more tokens hardly lower the fitted loss here (exponent {point:.3f})",
                slope,
            )
        if math.isfinite(high) and low <= 0 <= high:
            return cls(
                line,
                "whether more tokens lower the loss here is not certain (exponent "
                f"{point:.3f}, {100 * intervals.LEVEL:.0f}% {low:.3f} to {high:.3f})",
                slope,
            )
        if line.question.tokens <= line_end(fit):
            return cls(line, "there are no fitted runs of so few tokens", slope)
        return cls(line, None, slope)

    def shares(self, regrets: Float64[np.ndarray, " m"]) -> Float64[np.ndarray, " m"]:
        """The share of tokens that each regret wastes; NaN beyond what was fitted."""
        if self.reason is not None:
            return np.full(len(regrets), np.nan)
        start = math.log(self.line.question.tokens)
        levels = self.line.solved.value + np.log1p(regrets)
        end = math.log(line_end(self.line.fit))
        roots = first_roots(self.line.lowest, start, end, levels)
        # At the lowest loss itself the two minimisations differ by rounding.
        return np.where(regrets <= 0, 0.0, 0.0 - np.expm1(roots - start))

    def beyond(self) -> str:
        """What a share is that the fitted runs do not reach."""
        share = 1 - line_end(self.line.fit) / self.line.question.tokens
        return f"over {100 * share:.2g} % of the tokens, beyond what was fitted"

    def price(
        self, of: str, regret: float, share: float, upper: float = math.nan
    ) -> Price:
        """One price, in tokens and in FLOPs.

        Args:
            of: what it is of.
            regret: of that.
            share: from `shares`.
            upper: one-sided upper end of the share.
        """
        question = self.line.question
        tokens = share * question.tokens
        reason = self.reason
        if reason is None and math.isnan(share) and math.isfinite(regret):
            reason = self.beyond()
        return Price(
            of=of,
            share=share,
            tokens=tokens,
            flops=FLOPS * question.params * tokens,
            upper=upper,
            reason=reason,
            slope=float(self.slope[0]) if len(self.slope) else math.nan,
        )

    def regret_bound(self, regrets: Float64[np.ndarray, " draws"]) -> float:
        """The regret whose price bounds that of a choice, one-sided; NaN without draws.

        Of each draw the price is that of the fit at a regret that counts its own slope
        in ln tokens: both are a loss over a slope, to first order.
        """
        slope = self.line.solved.draws(self.slope)
        if self.reason is not None or not len(regrets) or len(slope) != len(regrets):
            return math.nan
        is_told = slope < 0
        scaled = np.where(
            is_told, self.slope[0] / np.where(is_told, slope, 1.0), np.inf
        )
        prices = np.log1p(regrets) * scaled
        return float(np.expm1(intervals.known_quantile(prices, intervals.LEVEL)))


def tolerance(question: Question, share: float) -> float:
    """The regret whose price is a share of the tokens, by the fit alone.

    Raises:
        DataError: the runs tell no price, or not of so large a share.
    """
    check_share("share of the tokens", share)
    fit = question.fit
    why = unfitted(question)
    line = Line(solve_box(point_only(question), question.box, only_levels(fit)))
    reason = why or Prices.of(line).reason
    left = (1 - share) * question.tokens
    if reason is None and left < line_end(fit):
        reason = f"the fitted runs do not reach {format_count(left)} tokens"
    if reason is not None:
        raise DataError(
            f"Expected a tolerance that the runs can price, got {100 * share:g} % of "
            f"the tokens: {reason}. Give a share of the loss, such as 0.25%."
        )
    rise = line.lowest(np.array([math.log(left)]))[0] - line.solved.value
    return float(np.expm1(rise))


def line_end(fit: Model) -> float:
    """The fewest tokens of which the fit says anything."""
    return LEAST_TOKENS * fit.features.fitted["tokens"][0]


def unpriced(of: str, reason: str) -> Price:
    """No price, and why."""
    none = math.nan
    return Price(of, none, none, none, none, reason, none)


def rungs(
    solved: Solved, edges: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Batches 2^k about the plateau, the best lr of each and its regret.

    Args:
        solved: the minimum over the box.
        edges: smallest and largest batch of the plateau, coordinate u.
    """
    fit = solved.fit
    i = fit.features.choices.index("batch")
    mean, scale = fit.features.mean[i], fit.features.scale[i]
    bounds = solved.bounds

    def octave(u: float) -> float:
        return (u * scale + mean) / math.log(2)

    first = max(math.ceil(octave(edges[0]) - _AROUND), math.ceil(octave(bounds.low[i])))
    last = min(
        math.floor(octave(edges[1]) + _AROUND), math.floor(octave(bounds.high[i]))
    )
    powers = np.arange(max(first, 0), last + 1, dtype=np.float64)[:_MOST_RUNGS]
    u = (powers * math.log(2) - mean) / scale
    every = [_held(bounds, i, float(each)) for each in u]
    s = np.repeat(solved.question.s[None], len(u), axis=0)
    values, places = _lowest(fit, s, every)
    j = 1 - i
    lr = np.exp(places[:, j] * fit.features.scale[j] + fit.features.mean[j])
    lost = np.maximum(np.expm1(values - solved.value), 0.0)
    is_told = np.isfinite(lost)
    return np.exp2(powers)[is_told], lr[is_told], lost[is_told]


def _held(bounds: Bounds, i: int, value: float) -> Bounds:
    """The box with coordinate i held."""
    low, high = bounds.low.copy(), bounds.high.copy()
    low[i], high[i] = value, value
    return replace(bounds, low=low, high=high)


def ladder(
    solved: Solved,
    found: tuple[np.ndarray, ...],
    shares: Float64[np.ndarray, " m"],
) -> tuple[Rung, ...]:
    """The rungs with their losses, prices and steps."""
    return tuple(
        Rung(
            batch=batch,
            lr=lr,
            loss=loss_of(solved.fit, solved.value + math.log1p(regret)),
            regret=regret,
            share=share,
            steps=solved.question.tokens / batch,
        )
        for batch, lr, regret, share in zip(
            *(part.tolist() for part in (*found, shares)), strict=True
        )
    )
