"""The target of a plan: what a fit says there, and how far its refits disagree."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from surrogate.answers import arrays
from surrogate.answers.limits.transfer import OFFERED, check_law
from surrogate.answers.limits.unfitted import nearest_fitted
from surrogate.answers.question import Question
from surrogate.answers.solved import Solved, solve_box
from surrogate.base.errors import DataError
from surrogate.base.shapes import Float64
from surrogate.data.coordinates import CHOICES
from surrogate.data.extrapolation import HELD_SPAN
from surrogate.families.forms import form
from surrogate.fitting import intervals
from surrogate.fitting.model import Model
from surrogate.laws import Point, evaluate, find

# Above this slope of ln loss in ln tokens a loss has no price, as in `decision.price`.
LEAST_SLOPE = -0.01
# For the slope [ln].
_STEP = 1e-3


@dataclass(frozen=True)
class Target:
    """Where the answer is wanted.

    Attributes:
        solved: the minimum of the fit, its refits and its draws at the sizes asked
            about, `shift` left out.
        shift: [ln] by which the optimum moves from the nearest sizes that the runs tell
            of, by a published law; 0 where they tell themselves.
        carries: sizes that the runs tell nothing of.
    """

    solved: Solved
    shift: Float64[np.ndarray, " choices"]
    carries: tuple[str, ...]

    @property
    def fit(self) -> Model:
        """Whose answer."""
        return self.solved.fit

    @property
    def question(self) -> Question:
        """The sizes asked about."""
        return self.solved.question

    @classmethod
    def of(cls, question: Question, transfer: str = OFFERED) -> Target:
        """Solve the question.

        Args:
            question: of the target.
            transfer: the published law by whose exponents an optimum is first guessed
                at sizes that the runs tell nothing of.

        Raises:
            DataError: the fit has no draws, no setting to choose, or no optimum there.
        """
        check_fit(question.fit)
        shift = shift_of(question, transfer)
        solved = solve_box(question, question.box)
        if not np.isfinite(solved.value):
            raise DataError(
                "Expected a fit with an optimum at the target, got one without. Ask "
                "`surrogate optimum` why, and add runs by hand."
            )
        return cls(solved, shift, carried(question))

    @property
    def u(self) -> Float64[np.ndarray, " choices"]:
        """The best settings of the fit [ln]."""
        scale, mean = self.fit.features.u_scale, self._mean
        return self.solved.minimum.u[0] * scale + mean + self.shift

    @property
    def _mean(self) -> np.ndarray:
        return np.asarray(self.fit.features.mean[: len(self.shift)])

    @property
    def settings(self) -> dict[str, float]:
        """The best settings of the fit, natural units; NaN for one it does not see."""
        found = dict(self.solved.best)
        for i, name in enumerate(self.fit.features.choices):
            found[name] = float(np.exp(self.u[i]))
        return found

    @cached_property
    def hessian(self) -> Float64[np.ndarray, "choices choices"]:
        """Of ln loss in ln of the settings, at the optimum."""
        scale = self.fit.features.u_scale
        return self.solved.minimum.hessian[0] / np.outer(scale, scale)

    @cached_property
    def slope(self) -> float:
        """Of ln of the lowest loss in ln tokens; NaN where it tells no price."""
        fit, question = self.fit, self.question
        if "tokens" not in fit.features.givens:
            return math.nan
        i = fit.features.givens.index("tokens")
        unit = fit.features.scale[len(self.shift) + i]
        u = self.solved.minimum.u[0]
        values = []
        for step in (-_STEP, _STEP):
            s = question.s.copy()
            s[i] += step / unit
            y = u[1] if len(u) == 2 else 0.0
            at = form(fit.family, fit.theta, s).value(np.asarray(u[0]), np.asarray(y))
            values.append(float(at))
        slope = (values[1] - values[0]) / (2 * _STEP)
        return slope if slope < LEAST_SLOPE else math.nan

    @cached_property
    def multiple(self) -> float:
        """Standard errors in half an interval: Student's t, as answers have it."""
        return intervals.student(len(self.fit.leaves), freedom=self.fit.freedom)


def check_fit(fit: Model) -> None:
    """Refuse a fit that does not say how sure it is.

    Raises:
        DataError: and what to do.
    """
    if not (len(fit.draws) and len(fit.leaves)):
        raise DataError(
            "Expected a fit with draws, which tell what is not known, got one without: "
            "it has too few runs in its cells, or was fitted with --bootstrap 0. Model "
            "again with draws, or plan from a bundled fit with --prior steplaw-dense."
        )


def carried(question: Question) -> tuple[str, ...]:
    """Sizes of a question that the fitted runs tell nothing of."""
    near = nearest_fitted(question)
    held = [n for n in question.fit.features.held if n not in CHOICES]
    off = [
        n for n, v in question.sizes.items() if abs(math.log(v / near[n])) > HELD_SPAN
    ]
    return tuple(name for name in off if name in held)


def shift_of(
    question: Question, transfer: str = OFFERED
) -> Float64[np.ndarray, " choices"]:
    """How a published law moves the optimum to sizes that the runs tell nothing of.

    A first guess by others' exponents, for runs to correct.
    """
    choices = question.fit.features.choices
    names = carried(question)
    if not names:
        return np.zeros(len(choices))
    near = nearest_fitted(question)
    asked = {"params": question.params, "tokens": question.tokens}
    start = {n: near[n] if n in names else v for n, v in asked.items()}
    law = find(check_law(transfer))
    ends = [
        evaluate(
            law, Point(size["params"], size["tokens"]), is_compute_approximate=True
        )
        for size in (start, asked)
    ]
    moved = {}
    for name in CHOICES:
        low, high = (getattr(end, name) for end in ends)
        moved[name] = 0.0 if low is None or high is None else math.log(high / low)
    return np.array([moved[name] for name in choices])


def lowest_at(
    question: Question, s: Float64[np.ndarray, "places g"]
) -> tuple[np.ndarray, np.ndarray]:
    """Lowest ln loss of the fit over the question's box, and where, at many places."""
    fit = question.fit
    low = fit.features.u_of({n: ends[0] for n, ends in question.box.items()})
    high = fit.features.u_of({n: ends[1] for n, ends in question.box.items()})
    return arrays.minima_at(fit.family, fit.theta, s, low, high)
