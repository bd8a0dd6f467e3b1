"""One size of a fit: its surface over lr and batch, and what can be asked of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from surrogate.answers.checks import check_loss
from surrogate.answers.question import Question, Range, Values
from surrogate.answers.results import Optimum, Plateau, Regret
from surrogate.answers.slips import check_settings
from surrogate.base.arguments import checked, kinds
from surrogate.base.defaults import PROBABILITY, TOL
from surrogate.base.errors import DataError
from surrogate.base.shapes import Float64
from surrogate.fitting.evidence import setting
from surrogate.fitting.model import Model


@dataclass(frozen=True, eq=False)
class Surface:
    """Loss over (lr, batch) at one size, made by `Fit.at`.

    What is solved for one answer is kept for the next: ask for the optimum, the plateau
    and any number of regrets, and the minimum is found once.

    Attributes:
        question: the size, the recipe and where to look, checked.
        allow: as of `Fit.optimum`.
    """

    question: Question
    allow: Collection[str] = ()

    @property
    def fit(self) -> Model:
        """Whose surface."""
        return self.question.fit

    @property
    def params(self) -> float:
        """Number of parameters."""
        return self.question.params

    @property
    def tokens(self) -> float:
        """Training tokens."""
        return self.question.tokens

    @property
    def box(self) -> dict[str, Range]:
        """Where lr and batch are sought."""
        return dict(self.question.box)

    @checked()
    def optimum(
        self,
        *,
        batch: float | None = None,
        lr: float | None = None,
        batch_multiple: float | None = None,
        transfer: str | None = None,
        lr_max: float | None = None,
        batch_max: float | None = None,
    ) -> Optimum:
        """The learning rate and batch size of the lowest loss: see `Fit.optimum`."""
        from surrogate.answers.decision.document import Limits
        from surrogate.answers.limits import carry

        most = {"lr_max": lr_max, "batch_max": batch_max}
        self._check({"lr": lr, "batch": batch, **most})
        for name, held in (("lr", lr), ("batch", batch)):
            limit = most[f"{name}_max"]
            if held is not None and limit is not None and held > limit:
                raise DataError(
                    f"Expected {name} up to {name}_max ({setting(name, limit)}), got "
                    f"{setting(name, held)}. Change one of them."
                )
        found = carry.optimum(
            self.question,
            transfer=transfer,
            batch=batch,
            lr=lr,
            batch_multiple=batch_multiple,
            limits=Limits(lr_max, batch_max, batch_multiple).check(),
        )
        check_loss(self.fit, found.loss, self.allow, {"lr": lr, "batch": batch})
        return found

    @checked()
    def plateau(
        self,
        *,
        tol: float = TOL,
        probability: float = PROBABILITY,
        batch: float | None = None,
        lr: float | None = None,
        lr_max: float | None = None,
        batch_max: float | None = None,
        batch_multiple: float | None = None,
    ) -> Plateau:
        """Every (lr, batch) within `tol` of the lowest loss: see `Fit.plateau`."""
        from surrogate.answers.decision.document import Limits
        from surrogate.answers.extents import Wanted
        from surrogate.answers.plateau import plateau
        from surrogate.answers.solved import held_settings

        limits = Limits(lr_max, batch_max, batch_multiple)
        slices = held_settings(lr, batch)
        wanted = Wanted(tol, probability, slices, limits).check()
        self._check({**slices, "lr_max": lr_max, "batch_max": batch_max})
        found = plateau(self.question, wanted)
        check_loss(self.fit, found.loss_min, self.allow)
        return found

    @checked()
    def regret(
        self,
        *,
        lr: float,
        batch: float,
        tol: float = TOL,
        lr_max: float | None = None,
        batch_max: float | None = None,
        batch_multiple: float | None = None,
    ) -> Regret:
        """What one choice of (lr, batch [tokens]) loses: see `Fit.regret`."""
        from surrogate.answers.decision.document import Limits
        from surrogate.answers.extents import Wanted
        from surrogate.answers.regret import regret
        from surrogate.answers.solved import held_settings

        limits = Limits(lr_max, batch_max, batch_multiple)
        wanted = Wanted(tol, limits=limits).check()
        choice = held_settings(lr, batch)
        self._check({**choice, "lr_max": lr_max, "batch_max": batch_max})
        found = regret(self.question, choice, wanted)
        check_loss(self.fit, found.loss, self.allow, choice)
        return found

    def _check(self, settings: Mapping[str, float | None]) -> None:
        """Refuse settings that were probably typed wrong."""
        check_settings(self.fit, settings, self.allow, self.tokens)
        for name in self.fit.features.choices:
            most, low = settings.get(f"{name}_max"), self.box[name][0]
            if most is not None and most < low:
                raise DataError(
                    f"Expected {name}_max of at least {setting(name, low)}, the "
                    f"smallest that is searched, got {setting(name, most)}. Raise it, "
                    f"or search further down with {name}_range."
                )

    @checked()
    def tolerance(self, share: float) -> float:
        """The tolerance that costs a share of the tokens: see `Fit.tolerance`."""
        from surrogate.answers.decision import price

        return price.tolerance(self.question, share)

    @checked(lr=kinds.column, batch=kinds.column)
    def probability_inside(
        self, lr: Values, batch: Values, *, tol: float = TOL
    ) -> Float64[np.ndarray, " m"]:
        """The share of resampled fits whose plateau holds each choice.

        It is what `regret` says of each choice, and what the robust plateau is made
        of: 0 beyond the stability edge, NaN where the fit has no draws or the runs tell
        nothing here, or one side of the optimum only. One minimum serves all choices in
        the box.

        Args:
            lr: peak learning rates, an array or one number.
            batch: tokens per optimiser step, likewise.
            tol: of the plateau, a fraction in (0, 1].

        Raises:
            DataError: a number is not positive, or lengths differ.
        """
        from surrogate.answers.regret import probability_inside

        return probability_inside(self.question, lr, batch, tol)
