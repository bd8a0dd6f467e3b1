"""A fit and the questions that it can be asked."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from surrogate.answers.question import Range, Values
from surrogate.base.arguments import Kind, checked, kinds
from surrogate.base.defaults import AUTO, FOLDS, TERMS, VALIDATION_DRAWS
from surrogate.base.defaults import PROBABILITY as DEFAULT_PROBABILITY
from surrogate.base.defaults import TOL as DEFAULT_TOL
from surrogate.base.errors import DataError
from surrogate.base.late import Late
from surrogate.data import Runs
from surrogate.data.arguments import RUNS
from surrogate.data.coordinates import CHOICES
from surrogate.data.recipes import best_recipe
from surrogate.data.third_setting import compare
from surrogate.fitting.model import Model
from surrogate.fitting.stability import P_MAX

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from surrogate.answers.planned import Plan
    from surrogate.answers.results import (
        Evaluation,
        Optimum,
        Plateau,
        Prediction,
        Regret,
    )
    from surrogate.answers.surface import Surface
    from surrogate.answers.validated import Validation
    from surrogate.numerics.least_squares import Progress

# Rooms above this one, whose verbs a fit offers as its own.
planning = Late("surrogate.answers.planning")
validation = Late("surrogate.answers.validation")
SCORES = ("regret", "regret_smoothed", "mae_ln")
# Of a prediction, which has many points.
_COLUMNS: dict[str, Kind] = {
    **dict.fromkeys((*CHOICES, "params", "tokens"), kinds.column),
    "scales": kinds.columns_by_name,
    "recipe": kinds.text_or_texts,
}


@dataclass(frozen=True, eq=False)
class Fit(Model):
    """A fitted surface, with draws that say how sure it is, and its questions.

    Made by `surrogate.fit` or `surrogate.load`; attributes are those of `Model`.
    """

    @checked()
    def at(
        self,
        *,
        params: float,
        tokens: float,
        scales: Mapping[str, float] | None = None,
        recipe: str | None = None,
        lr_range: Range | None = None,
        batch_range: Range | None = None,
        p_max: float = P_MAX,
        allow: Collection[str] = (),
    ) -> Surface:
        """The surface over lr and batch at one size, to be asked more than once.

        Its minimum is solved when it is first needed and then kept, so that its
        optimum, its plateau and the regrets of many choices cost hardly more than one
        of them. `optimum`, `plateau`, `regret` and `tolerance` ask it for one answer.

        Args:
            params: number of parameters, counted as in the fitted runs.
            tokens: training tokens.
            scales: further scale variables, those of `Model.scale_names`.
            recipe: which, where the fit has several.
            lr_range: where to look; default the fitted range widened by 4 each way.
            batch_range: likewise [tokens].
            p_max: what the probability of divergence may reach.
            allow: as of `optimum`.

        Raises:
            DataError: a number is not positive, a recipe or scale is missing or
                unknown, or what is asked is unlikely.
        """
        from surrogate.answers.question import Asked, ask
        from surrogate.answers.surface import Surface

        ranges = lr_range, batch_range
        asked = Asked(params, tokens, scales, recipe, *ranges, p_max, allow)
        return Surface(ask(self, asked), allow)

    @checked()
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
            flops: instead of params and tokens, or of one of them: a budget, 6 x
                params x tokens.
            scales: further scale variables, those of `Model.scale_names`.
            recipe: which, where the fit has several.
            batch: hold the batch at this [tokens] and choose lr.
            lr: hold lr at this and choose the batch.
            batch_multiple: the batch must be a multiple of this [tokens].
            lr_range: where to look; default the fitted range widened by 4 each way.
            batch_range: likewise [tokens].
            p_max: what the probability of divergence may reach.
            allow: `small`, for sizes under 1/1,000 of the smallest fitted, batches
                that look like sequences and losses over 12 nats a token, which are
                otherwise taken for a slip.
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
        from surrogate.answers.budget import scanned
        from surrogate.answers.checks import check_loss
        from surrogate.answers.question import sizes
        from surrogate.answers.slips import check_settings

        size = sizes(self, params, tokens, steps, flops, batch)
        surface = self.at(
            params=size.params,
            tokens=size.tokens,
            scales=scales,
            recipe=recipe,
            lr_range=lr_range,
            batch_range=batch_range,
            p_max=p_max,
            allow=allow,
        )
        if size.is_known:
            return surface.optimum(
                batch=batch,
                lr=lr,
                batch_multiple=batch_multiple,
                transfer=transfer,
                lr_max=lr_max,
                batch_max=batch_max,
            )
        bounds = {"lr_max": lr_max, "batch_max": batch_max}
        _check_scanned({**bounds, "batch_multiple": batch_multiple}, transfer)
        held = {"lr": lr, "batch": batch}
        check_settings(self, held, allow)
        found = scanned(surface.question, held, steps=steps, flops=flops)
        check_loss(self, found.loss, allow)
        return found

    @checked()
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
            scales: further scale variables, those of `Model.scale_names`.
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
        surface = self.at(
            params=params,
            tokens=tokens,
            scales=scales,
            recipe=recipe,
            lr_range=lr_range,
            batch_range=batch_range,
            p_max=p_max,
            allow=allow,
        )
        return surface.plateau(
            tol=tol,
            probability=probability,
            batch=batch,
            lr=lr,
            lr_max=lr_max,
            batch_max=batch_max,
            batch_multiple=batch_multiple,
        )

    @checked()
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
        surface = self.at(
            params=params,
            tokens=tokens,
            scales=scales,
            recipe=recipe,
            lr_range=lr_range,
            batch_range=batch_range,
            p_max=p_max,
            allow=allow,
        )
        return surface.tolerance(share)

    @checked()
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
        surface = self.at(
            params=params,
            tokens=tokens,
            scales=scales,
            recipe=recipe,
            lr_range=lr_range,
            batch_range=batch_range,
            p_max=p_max,
            allow=allow,
        )
        return surface.regret(
            lr=lr,
            batch=batch,
            tol=tol,
            lr_max=lr_max,
            batch_max=batch_max,
            batch_multiple=batch_multiple,
        )

    @checked(**_COLUMNS)
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

    @checked(runs=RUNS)
    def evaluate(self, runs: Runs, *, tol: float = DEFAULT_TOL) -> Evaluation:
        """Score the fit on runs that it has not seen.

        Raises:
            DataError: the runs have a recipe that the fit lacks, lack a scale, or
                none of them finished; or `tol` is not in (0, 1].
        """
        from surrogate.answers import predict as many

        return many.evaluate(self, runs, tol)

    @checked(runs=kinds.whole(1, 10**9, "12"))
    def next_runs(
        self,
        *,
        params: float,
        tokens: float,
        budget: float,
        runs: int | None = None,
        per_run_max: float | None = None,
        lr_levels: Sequence[float] = (),
        batch_multiple: float | None = None,
        max_params: float | None = None,
        repeats: bool = False,
        aim: str = "regret",
        is_prior: bool = False,
        scales: Mapping[str, float] | None = None,
        recipe: str | None = None,
        lr_range: Range | None = None,
        batch_range: Range | None = None,
        p_max: float = P_MAX,
        allow: Collection[str] = (),
        transfer: str | None = None,
    ) -> Plan:
        """The runs to make next: those that most lower what matters at a target.

        Args:
            params: of the target.
            tokens: of the target.
            budget: FLOPs of all runs together, 6 x params x tokens each.
            runs: how many at most; default 12.
            per_run_max: FLOPs of one run at most.
            lr_levels: the only learning rates to try.
            batch_multiple: batches are multiples of this [tokens].
            max_params: the largest model to train.
            repeats: a setting may be run again, with another seed.
            aim: what to lower: `regret`, of the proposal; `lr`, the intervals of the
                best lr and batch; or `loss`, the interval of the lowest loss.
            is_prior: this fit is of another lab's runs, and there are none yet.
            scales: as of `optimum`.
            recipe: as of `optimum`.
            lr_range: as of `optimum`.
            batch_range: as of `optimum`.
            p_max: as of `optimum`; runs more likely to diverge are not planned.
            allow: as of `optimum`.
            transfer: the published law by which the best settings are first guessed at
                sizes that the runs tell nothing of; default Step Law.

        Raises:
            DataError: as `optimum`; the budget is under the cheapest run's cost, the
                target is a finished cell, all candidates diverge, there are fewer than
                `runs`, or the fit has no draws.
        """
        from surrogate.answers.planned import Wanted
        from surrogate.answers.slips import check_settings

        surface = self.at(
            params=params,
            tokens=tokens,
            scales=scales,
            recipe=recipe,
            lr_range=lr_range,
            batch_range=batch_range,
            p_max=p_max,
            allow=allow,
        )
        for level in lr_levels:
            check_settings(self, {"lr": level}, allow)
        given = {"runs": runs, "transfer": transfer}
        wanted = Wanted(
            budget=budget,
            per_run_max=per_run_max,
            lr_levels=tuple(lr_levels),
            batch_multiple=batch_multiple,
            max_params=max_params,
            repeats=repeats,
            aim=aim,
            **{name: value for name, value in given.items() if value is not None},
        )
        return planning.next_runs(surface.question, wanted, is_prior=is_prior)

    @checked()
    def calibration(
        self,
        *,
        folds: str | Sequence[str] | Mapping[str, ArrayLike] = FOLDS[1],
        bootstrap: int = VALIDATION_DRAWS,
        progress: Progress | None = None,
    ) -> Validation:
        """How far this fit's own statements hold on cells of its runs left out.

        Fits without each fold, of the same family, or `auto` anew where several were
        compared; `surrogate.validate` is the same for a table of runs and any family.

        Args:
            folds: as of `surrogate.validate`; default each cell in turn.
            bootstrap: draws of every fold's fit.
            progress: told what runs and how far it is.

        Raises:
            DataError: as `surrogate.validate`, or the fit has no runs of its own.
        """
        if self.runs is None:
            raise DataError(
                "Expected a fit with its runs, and a bundled fit has none. Give your "
                "own to its `evaluate`, or validate the table of runs it was fitted to."
            )
        compared = (self.provenance.selection or {}).get("totals", ())
        return validation.validate(
            self.runs,
            folds=folds,
            family=AUTO if len(compared) > 1 else self.family.name,
            terms=self.family.terms or TERMS,
            bootstrap=bootstrap,
            seed=self.provenance.seed,
            progress=progress,
        )

    @checked()
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
        also = () if self.runs is None else compare(self.runs)
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
            "also": [item.to_json() for item in also],
            "about": self.about,
            "not_fitted": [n for n in CHOICES if n not in self.features.choices],
            "device": self.provenance.device,
            "backend": self.provenance.backend,
            "status": "ok" if self.is_converged else "not_converged",
            "warnings": list(self.warnings),
            "notes": [] if self.runs is None else list(self.runs.notes),
        }


def _check_scanned(bounds: Mapping[str, float | None], transfer: str | None) -> None:
    """Refuse what needs sizes that are known.

    Raises:
        DataError: naming it.
    """
    for name, value in bounds.items():
        if value is not None:
            raise DataError(
                f"Expected {name} with params and tokens, got it with steps or flops. "
                "Ask for the optimum, then for that of its sizes."
            )
    if transfer is not None:
        raise DataError(
            "Expected transfer with params and tokens, got it with steps or flops, "
            "where the sizes are what is chosen."
        )
