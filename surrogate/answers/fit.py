"""A fit: all that an answer needs, and the questions it can be asked."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from jaxtyping import Float64
from numpy.typing import ArrayLike

from surrogate.base.defaults import MIN_CELLS_FOR_INTERVALS
from surrogate.base.defaults import PROBABILITY as DEFAULT_PROBABILITY
from surrogate.base.defaults import TOL as DEFAULT_TOL
from surrogate.base.errors import DataError
from surrogate.data import Runs
from surrogate.data.coordinates import CHOICES, Features
from surrogate.data.recipes import best_recipe
from surrogate.families import Family
from surrogate.fitting.discrepancy import Discrepancy
from surrogate.fitting.evidence import Direction
from surrogate.fitting.objective import Noise
from surrogate.fitting.stability import P_MAX, Stability

if TYPE_CHECKING:
    from surrogate.answers.results import (
        Evaluation,
        Optimum,
        Plateau,
        Prediction,
        Regret,
    )

SCORES = ("regret", "regret_smoothed", "mae_ln")
Range = tuple[float, float]
# ArrayLike has complex numbers, of which a type checker at run time takes no float.
Values: TypeAlias = ArrayLike | float | int


@dataclass(frozen=True)
class CellRecord:
    """What a fit remembers of a cell; no losses.

    Attributes:
        recipe: of the cell, "" where unnamed.
        params: of the cell.
        tokens: of the cell.
        scales: further scale variables.
        runs: how many, diverged ones included.
        diverged: of them.
        lr: its levels of learning rate.
        batch: its batch sizes [tokens].
        around: lowest and highest tried value of lr and batch over the fitted optimum
            of the cell, in ln; of what is fitted.
        unstable: (batch, lr) at each batch where a run diverged, the lowest such lr.
    """

    recipe: str
    params: float
    tokens: float
    scales: dict[str, float]
    runs: int
    diverged: int
    lr: tuple[float, ...]
    batch: tuple[float, ...]
    around: dict[str, tuple[float, float]] = field(default_factory=dict)
    unstable: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class Provenance:
    """Where a fit comes from and how well it was reached.

    Attributes:
        sources: file, SHA-256 and rows of every file read.
        versions: of Python and of the packages that computed it.
        created: date, ISO 8601.
        seed: of starts and resampling.
        bootstrap: draws asked for.
        device: that computed it.
        backend: of the kernels.
        runs: in the table.
        diverged: of them.
        dropped: rows that were not used.
        fit: convergence: decrement, steps, second-best start, draws unsettled, ...
        selection: what `auto` compared and by how much it chose.
    """

    sources: tuple[dict[str, Any], ...]
    versions: dict[str, str]
    created: str
    seed: int
    bootstrap: int
    device: str
    backend: str
    runs: int
    diverged: int
    dropped: int
    fit: dict[str, Any]
    selection: dict[str, Any] | None


@dataclass(frozen=True, eq=False)
class Fit:
    """A fitted surface, with draws that say how sure it is.

    Made by `surrogate.fit` or `surrogate.load`.

    Attributes:
        family: the form of ln loss.
        features: coordinates and standardisation.
        theta: the fitted parameters.
        draws: of the bootstrap, one row each; none where cells are too few.
        leaves: refits without each cell, or steps of few cells; none likewise.
        noise: what the surface leaves unexplained.
        stability: where training diverges; None where the runs cannot tell.
        cells: what was fitted.
        scores: held-out, by leave-one-cell-out: regret, regret_smoothed, mae_ln.
        is_converged: the fit settled.
        loss_kind: which loss it predicts.
        params_kind: which parameters are counted.
        provenance: where it comes from.
        warnings: what to know before using it.
        runs: of the user; None in a bundled fit.
        freedom: degrees of freedom where `leaves` are steps, one a cause of error; None
            where they are refits without each cell.
        evidence: what the runs say of an optimum along lr and batch; none in fits of
            before it was asked.
        loss_unit: of every loss: `nats` per token, or `bits_per_byte`.
        about: the recipe of the runs, as far as it was told: optimizer, schedule, ...
        discrepancy: how wrong the law may be beyond the data; None where it was not
            measured.
    """

    family: Family
    features: Features
    theta: Float64[np.ndarray, " p"]
    draws: Float64[np.ndarray, "draws p"]
    leaves: Float64[np.ndarray, "cells p"]
    noise: Noise
    stability: Stability | None
    cells: tuple[CellRecord, ...]
    scores: dict[str, Any]
    is_converged: bool
    loss_kind: str
    params_kind: str
    provenance: Provenance
    warnings: tuple[str, ...] = ()
    runs: Runs | None = field(default=None, repr=False)
    freedom: int | None = None
    evidence: dict[str, Direction] = field(default_factory=dict)
    loss_unit: str = "nats"
    about: dict[str, str] = field(default_factory=dict)
    discrepancy: Discrepancy | None = None

    @property
    def recipes(self) -> tuple[str, ...]:
        """All fitted recipes; ("",) where there is one unnamed."""
        return self.features.recipes

    @property
    def scale_names(self) -> tuple[str, ...]:
        """Further scale variables that a question must give."""
        return tuple(n for n in self.features.givens if n not in ("params", "tokens"))

    @property
    def unit(self) -> str:
        """What intervals are over: cells, or runs where cells are too few."""
        is_few = self.fitted_cells < MIN_CELLS_FOR_INTERVALS
        return "runs" if is_few and self.freedom is not None else "cells"

    def spans(self, point: np.ndarray | np.float64, leaves: np.ndarray) -> np.ndarray:
        """`uncertainty.interval` of an estimate and its values from `leaves`."""
        from surrogate.fitting import intervals

        return intervals.interval(point, leaves, freedom=self.freedom)

    @property
    def fitted_cells(self) -> int:
        """How many cells have a run that finished: those that draws resample."""
        return sum(cell.runs > cell.diverged for cell in self.cells)

    def optimum(
        self,
        *,
        params: float | None = None,
        tokens: float | None = None,
        steps: float | None = None,
        flops: float | None = None,
        scales: Mapping[str, float] | None = None,
        recipe: str | None = None,
        batch: float | None = None,
        lr: float | None = None,
        batch_multiple: float | None = None,
        lr_range: Range | None = None,
        batch_range: Range | None = None,
        p_max: float = P_MAX,
        allow: Collection[str] = (),
        transfer: str | None = None,
        lr_max: float | None = None,
        batch_max: float | None = None,
    ) -> Optimum:
        """The learning rate and batch size of the lowest loss.

        Args:
            params: number of parameters, counted as in the fitted runs.
            tokens: training tokens.
            steps: instead of tokens: so many optimiser steps, tokens = steps x batch.
            flops: instead of params and tokens: a budget, 6 x params x tokens.
            scales: further scale variables, those of `scale_names`.
            recipe: which, where the fit has several.
            batch: hold the batch at this [tokens] and choose lr.
            lr: hold lr at this and choose the batch.
            batch_multiple: the batch must be a multiple of this [tokens].
            lr_range: where to look; default the fitted range widened by 4 each way.
            batch_range: likewise [tokens].
            p_max: what the probability of divergence may reach.
            allow: `small`, for sizes under 1/1,000 of the smallest fitted and losses
                over 12 nats a token, which are otherwise taken for a slip.
            transfer: a published law, `step-law` say, by whose exponents the optimum is
                carried to sizes of which the fitted runs tell nothing; without it
                there is no answer there, and `Optimum.transfer` holds the offer.
            lr_max: the largest lr that may be suggested.
            batch_max: likewise [tokens].

        Raises:
            DataError: a number is not positive, a recipe or scale is missing or
                unknown, both lr and batch are held, sizes are given in no or in
                more than one way, what is asked is unlikely, or no law of that name
                carries an optimum.
        """
        from surrogate.answers import budget
        from surrogate.answers.decision.document import Limits
        from surrogate.answers.limits import carry
        from surrogate.answers.question import ask, check_loss, sizes

        size = sizes(self, params, tokens, steps, flops, batch)
        where = scales, recipe, lr_range, batch_range, p_max, allow
        question = ask(self, size.params, size.tokens, *where)
        if not size.is_known and batch_multiple is not None:
            raise DataError(
                "Expected batch_multiple with params and tokens, got it with steps or "
                "flops. Ask for the optimum, then for that of its sizes."
            )
        if not size.is_known and transfer is not None:
            raise DataError(
                "Expected transfer with params and tokens, got it with steps or flops, "
                "where the sizes are what is chosen."
            )
        if size.is_known:
            found = carry.optimum(
                self,
                question,
                transfer=transfer,
                batch=batch,
                lr=lr,
                batch_multiple=batch_multiple,
                limits=Limits(lr_max, batch_max, batch_multiple).check(),
            )
        elif flops is not None:
            found = budget.fixed_flops(self, question, flops, lr=lr, batch=batch)
        else:
            assert steps is not None
            found = budget.fixed_steps(self, question, steps, lr=lr)
        check_loss(self, found.loss, allow)
        return found

    def plateau(
        self,
        *,
        params: float,
        tokens: float,
        scales: Mapping[str, float] | None = None,
        recipe: str | None = None,
        tol: float = DEFAULT_TOL,
        probability: float = DEFAULT_PROBABILITY,
        batch: float | None = None,
        lr: float | None = None,
        lr_range: Range | None = None,
        batch_range: Range | None = None,
        p_max: float = P_MAX,
        allow: Collection[str] = (),
        lr_max: float | None = None,
        batch_max: float | None = None,
        batch_multiple: float | None = None,
    ) -> Plateau:
        """Every (lr, batch) within `tol` of the lowest loss.

        Args:
            params: number of parameters, counted as in the fitted runs.
            tokens: training tokens.
            scales: further scale variables, those of `scale_names`.
            recipe: which, where the fit has several.
            tol: relative tolerance, a fraction in (0, 1].
            probability: share of the draws in which a robust setting is inside.
            batch: ask also for the lr interval at this batch [tokens].
            lr: ask also for the batch interval at this lr.
            lr_range: where to look; default the fitted range widened by 4 each way.
            batch_range: likewise [tokens].
            p_max: what the probability of divergence may reach.
            allow: as of `optimum`.
            lr_max: the largest lr that may be suggested, and of the inner boxes.
            batch_max: likewise [tokens].
            batch_multiple: the suggested batch is a multiple of this [tokens].

        Raises:
            DataError: as `optimum`, `tol` is not in (0, 1], or
                `probability` not in (0, 1).
        """
        from surrogate.answers import plateau as band
        from surrogate.answers.decision.document import Limits
        from surrogate.answers.question import ask, check_loss

        where = scales, recipe, lr_range, batch_range, p_max, allow
        question = ask(self, params, tokens, *where)
        found = band.plateau(
            self,
            question,
            tol=tol,
            probability=probability,
            batch=batch,
            lr=lr,
            limits=Limits(lr_max, batch_max, batch_multiple).check(),
        )
        check_loss(self, found.loss_min, allow)
        return found

    def tolerance(
        self,
        share: float,
        *,
        params: float,
        tokens: float,
        scales: Mapping[str, float] | None = None,
        recipe: str | None = None,
        lr_range: Range | None = None,
        batch_range: Range | None = None,
        p_max: float = P_MAX,
        allow: Collection[str] = (),
    ) -> float:
        """The tolerance that costs a share of the tokens, for `plateau` and `regret`.

        Args:
            share: of the tokens, between 0 and 1.
            params: as of `plateau`.
            tokens: as of `plateau`.
            scales: as of `plateau`.
            recipe: as of `plateau`.
            lr_range: as of `plateau`.
            batch_range: as of `plateau`.
            p_max: as of `plateau`.
            allow: as of `plateau`.

        Raises:
            DataError: as `plateau`, or the loss cannot have such a price.
        """
        from surrogate.answers.decision import price
        from surrogate.answers.question import ask

        where = scales, recipe, lr_range, batch_range, p_max, allow
        return price.tolerance(self, ask(self, params, tokens, *where), share)

    def regret(
        self,
        *,
        params: float,
        tokens: float,
        lr: float,
        batch: float,
        scales: Mapping[str, float] | None = None,
        recipe: str | None = None,
        tol: float = DEFAULT_TOL,
        lr_range: Range | None = None,
        batch_range: Range | None = None,
        p_max: float = P_MAX,
        allow: Collection[str] = (),
        lr_max: float | None = None,
        batch_max: float | None = None,
        batch_multiple: float | None = None,
    ) -> Regret:
        """What one choice of (lr, batch [tokens]) loses against the best.

        Other arguments and errors are those of `plateau`.
        """
        from surrogate.answers import plateau as band
        from surrogate.answers.decision.document import Limits
        from surrogate.answers.question import ask, check_loss

        where = scales, recipe, lr_range, batch_range, p_max, allow
        question = ask(self, params, tokens, *where)
        found = band.regret(
            self,
            question,
            lr=lr,
            batch=batch,
            tol=tol,
            limits=Limits(lr_max, batch_max, batch_multiple).check(),
        )
        check_loss(self, found.loss, allow)
        return found

    def predict(
        self,
        lr: Values,
        batch: Values,
        params: Values,
        tokens: Values,
        *,
        scales: Mapping[str, Values] | None = None,
        recipe: str | Sequence[str] | None = None,
        seed_noise: float | None = None,
        allow: Collection[str] = (),
    ) -> Prediction:
        """Predicted losses of many points, arrays of one length or single numbers.

        Args:
            lr: peak learning rates.
            batch: tokens per optimiser step.
            params: numbers of parameters.
            tokens: training tokens.
            scales: further scale variables, by name.
            recipe: one for all points, or one each.
            seed_noise: standard deviation of ln loss between seeds, where you know it;
                default what the fitted runs show near their optimum.
            allow: as of `optimum`; a point that it would let pass is otherwise told in
                `status`, and has no loss.

        Raises:
            DataError: there is no point, a value is not positive, lengths differ, or a
                recipe or scale is missing or unknown.
        """
        from surrogate.answers import predict as many

        return many.predict(
            self, lr, batch, params, tokens, scales or {}, recipe, seed_noise, allow
        )

    def evaluate(self, runs: Runs, *, tol: float = DEFAULT_TOL) -> Evaluation:
        """Score the fit on runs that it has not seen.

        Raises:
            DataError: the runs have a recipe that the fit lacks, lack a scale, or
                none of them finished; or `tol` is not in (0, 1].
        """
        from surrogate.answers import predict as many

        return many.evaluate(self, runs, tol)

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write the fit to a folder: manifest.json and an orbax checkpoint.

        Raises:
            DataError: the folder is not empty and `overwrite` is False, or it holds
                something that is no fit.
        """
        from surrogate.answers import saving

        saving.save(self, path, overwrite=overwrite)

    def _scores(self, part: str) -> dict[str, float | None]:
        """One number of each held-out score, None where it is not known."""
        return {name: self.scores.get(name, {}).get(part) for name in SCORES}

    def summary_json(self) -> dict[str, Any]:
        """What the `fit` command says, in the contract's keys and some more."""
        best = None if self.runs is None else best_recipe(self.runs.cells)
        return {
            "family": self.family.name,
            "k": self.family.terms,
            "runs": self.provenance.runs,
            "cells": len(self.cells),
            "diverged": self.provenance.diverged,
            "dropped": self.provenance.dropped,
            "bootstrap": len(self.draws),
            "seed": self.provenance.seed,
            "scores": self._scores("mean"),
            "scores_se": self._scores("se"),
            "selection": self.provenance.selection,
            "noise": self.noise._asdict(),
            "convergence": self.provenance.fit,
            "loss_kind": self.loss_kind,
            "loss_unit": self.loss_unit,
            "params_kind": self.params_kind,
            "seed_noise": None if self.runs is None else self.runs.seed_noise,
            "best_recipe": None if best is None else best.to_json(),
            "about": self.about,
            "not_fitted": [n for n in CHOICES if n not in self.features.choices],
            "device": self.provenance.device,
            "backend": self.provenance.backend,
            "status": "ok" if self.is_converged else "not_converged",
            "warnings": list(self.warnings),
            "notes": [] if self.runs is None else list(self.runs.notes),
        }
