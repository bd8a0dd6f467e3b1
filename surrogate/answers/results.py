"""What answers hold, in natural units, and their JSON: design.md section 5's keys.

Not a number means unknown and becomes null in JSON.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from surrogate.answers.decision.document import Decision, Deferred
from surrogate.answers.decision.readable import Readable
from surrogate.answers.limits.carried import Transfer
from surrogate.base import shown
from surrogate.base.defaults import SCHEMA
from surrogate.base.errors import Status
from surrogate.fitting.scores import Band, CellScore, LossErrors, Spread

Pair = tuple[float, float]
UNKNOWN: Pair = (math.nan, math.nan)


@dataclass(frozen=True)
class Context:
    """What every answer says of its question and its fit.

    Attributes:
        params: parameters asked about, counted as the fit's runs count them.
        tokens: training tokens asked about.
        scales: further scale variables asked about.
        recipe: asked about; None where the fit has one unnamed recipe.
        family: of the surface.
        loss_kind: which loss it predicts.
        device: where the answer was computed.
        backend: of the kernels.
        inside: `distance` is at most 1, and two fitted cells are within a factor of 3
            in every size.
        distance: square root of the leverage: 1 where nine in ten of the fitted cells,
            each left out, are nearer to the others.
        status: how it went.
        warnings: what to know before using the answer.
        interval_unit: what intervals are over: cells, or runs, the weaker kind, or
            clusters, where runs share trunks.
        loss_unit: of every loss: nats per token, or bits per byte.
        one_sided: settings of which the runs tell one side only (`sides.Side`).
        is_box_given: the box is not the default one.
        unstable: the lowest lr that went unstable near by (`unstable.Unstable`).
    """

    params: float
    tokens: float
    scales: dict[str, float]
    recipe: str | None
    family: str
    loss_kind: str
    device: str
    backend: str
    inside: bool
    distance: float
    status: Status
    warnings: tuple[str, ...]
    interval_unit: str = "cells"
    loss_unit: str = "nats"
    one_sided: dict[str, dict[str, Any]] = field(default_factory=dict)
    is_box_given: bool = False
    unstable: dict[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """The keys that all answers share."""
        return {
            "schema": SCHEMA,
            "params": self.params,
            "tokens": self.tokens,
            "scales": self.scales,
            "recipe": self.recipe,
            "family": self.family,
            "loss_kind": self.loss_kind,
            "loss_unit": self.loss_unit,
            "device": self.device,
            "backend": self.backend,
            "extrapolation": {"inside": self.inside, "distance": known(self.distance)},
            "status": str(self.status),
            "one_sided": self.one_sided,
            "box": "given" if self.is_box_given else "default",
            "unstable": self.unstable,
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True)
class Certificate:
    """Proof that no better point is in the box.

    Attributes:
        gradient_norm: of ln loss in (ln lr, ln batch), pushes against bounds left out.
        gap: ln loss is nowhere in the box lower by more than this.
        hessian_eigenvalues: of ln loss in (ln lr, ln batch), ascending.
    """

    gradient_norm: float
    gap: float
    hessian_eigenvalues: tuple[float, ...]

    def to_json(self) -> dict[str, Any]:
        """The contract's keys."""
        return {
            "gradient_norm": known(self.gradient_norm),
            "gap": known(self.gap),
            "hessian_eigenvalues": [known(value) for value in self.hessian_eigenvalues],
        }


@dataclass(frozen=True)
class Scan:
    """What was scanned for an optimum whose sizes move with the choice.

    Attributes:
        over: `batch` or `params`.
        fixed: what was held: steps, or flops.
        params_interval: of the best params; a point where they were given.
        tokens_interval: likewise.
    """

    over: str
    fixed: dict[str, float]
    params_interval: Pair
    tokens_interval: Pair

    def to_json(self) -> dict[str, Any]:
        """Keys beside the contract's."""
        return {
            "over": self.over,
            **self.fixed,
            "interval": {
                "params": pair(self.params_interval),
                "tokens": pair(self.tokens_interval),
            },
        }


@dataclass(frozen=True, repr=False)
class Optimum(Readable):
    """The settings of the lowest loss; lr or batch is NaN where it has no optimum.

    Attributes:
        context: question, fit, extrapolation, status.
        lr: peak learning rate.
        batch: tokens per optimiser step.
        loss: predicted there [nats per token].
        level: nominal coverage of the intervals.
        lr_interval: NaN where the fit has too few cells or no draws.
        batch_interval: likewise [tokens].
        loss_interval: of the surface, not of one run [nats per token].
        certificate: of the minimisation, never of the fit.
        stability: probability of divergence there, octaves of lr to the edge.
        deferred: what a person decides by, as `decision` gives it.
        offer: where lr or batch cannot be fitted: the other one's optimum, at the
            value that the nearest cell used.
        scan: where steps or a budget were given; the sizes are then the context's.
        transfer: where the runs tell nothing at these sizes, what published laws carry
            there: the answer where one was asked for, else an offer.
    """

    context: Context
    lr: float
    batch: float
    loss: float
    level: float
    lr_interval: Pair
    batch_interval: Pair
    loss_interval: Pair
    certificate: Certificate
    stability: dict[str, float | None] | None
    deferred: Deferred = field(repr=False, compare=False)
    offer: dict[str, float] | None = None
    scan: Scan | None = None
    transfer: Transfer | None = None

    @property
    def status(self) -> Status:
        """How it went."""
        return self.context.status

    @property
    def decision(self) -> Decision:
        """Inner boxes, suggestion, price, ladder and trust; made when first asked."""
        return self.deferred.value

    def _own(self) -> list[tuple[str, str]]:
        if not math.isfinite(self.loss):
            return []
        said = f"lr {shown.lr(self.lr, 3)}, batch {shown.count(self.batch)}"
        return [("optimum", said), ("loss", shown.loss(self.loss))]

    def to_json(self) -> dict[str, Any]:
        """The contract's document."""
        return (
            self.context.to_json()
            | self.decision.to_json()
            | {
                "lr": known(self.lr),
                "batch": known(self.batch),
                "loss": known(self.loss),
                "scan": self.scan.to_json() if self.scan else None,
                "interval": {
                    "level": self.level,
                    "unit": self.context.interval_unit,
                    "lr": open_pair(self.lr_interval),
                    "batch": open_pair(self.batch_interval),
                    "loss": pair(self.loss_interval),
                },
                "certificate": self.certificate.to_json(),
                "stability": self.stability,
                "offer": self.offer,
                "transfer": self.transfer.to_json() if self.transfer else None,
            }
        )


@dataclass(frozen=True, repr=False)
class Plateau(Readable):
    """Every (lr, batch) whose loss is within a tolerance of the best.

    Attributes:
        context: question, fit, extrapolation, status.
        tol: tolerance, a fraction of the loss.
        loss_min: lowest predicted loss in the box [nats per token].
        loss_limit: (1 + tol) x that.
        lr: smallest and largest lr of the plateau.
        batch: smallest and largest batch of the plateau [tokens].
        lr_at_optimal_batch: lr interval at the optimum's batch.
        batch_at_optimal_lr: batch interval at the optimum's lr.
        lr_at_batch: (batch asked, low, high); None where not asked.
        batch_at_lr: (lr asked, low, high); None where not asked.
        area_octaves2: area in octaves of lr x octaves of batch.
        contour_lr: of the boundary, in order.
        contour_batch: of the boundary, in order.
        open_edges: edges that are the box's and not the plateau's: lr_low, ...
        level: nominal coverage of the edges' intervals.
        edge_intervals: by edge, lr_low, lr_high, batch_low, batch_high; NaN where open.
        robust: extents of the settings inside in a share of the draws, and the most
            that any setting reaches; None without draws.
        stability: probability of divergence at the optimum, octaves of lr to the edge
            of `p_max`, and which edges of the plateau are that edge; None where the
            runs cannot tell.
        optimum: (lr, batch) of the lowest loss.
        largest_batch: (lr, batch) of the largest batch on the plateau: how far to
            scale out.
        deferred: as in `Optimum`.
        offer: as in `Optimum`.
    """

    context: Context
    tol: float
    loss_min: float
    loss_limit: float
    lr: Pair
    batch: Pair
    lr_at_optimal_batch: Pair
    batch_at_optimal_lr: Pair
    lr_at_batch: tuple[float, float, float] | None
    batch_at_lr: tuple[float, float, float] | None
    area_octaves2: float
    contour_lr: np.ndarray
    contour_batch: np.ndarray
    open_edges: tuple[str, ...]
    level: float
    edge_intervals: dict[str, Pair]
    robust: dict[str, Any] | None
    stability: dict[str, Any] | None
    optimum: Pair
    largest_batch: Pair
    deferred: Deferred = field(repr=False, compare=False)
    offer: dict[str, float] | None = None

    @property
    def status(self) -> Status:
        """How it went."""
        return self.context.status

    @property
    def decision(self) -> Decision:
        """Inner boxes, suggestion, price, ladder and trust; made when first asked."""
        return self.deferred.value

    def _own(self) -> list[tuple[str, str]]:
        return [("tolerance", shown.percent(self.tol))]

    def to_json(self) -> dict[str, Any]:
        """The contract's document."""
        contour = {"lr": self.contour_lr.tolist(), "batch": self.contour_batch.tolist()}
        return (
            self.context.to_json()
            | self.decision.to_json()
            | {
                "tol": self.tol,
                "optimum": {
                    "lr": known(self.optimum[0]),
                    "batch": known(self.optimum[1]),
                },
                "loss_min": known(self.loss_min),
                "loss_limit": known(self.loss_limit),
                "lr": extent(self.lr),
                "batch": extent(self.batch),
                "lr_at_optimal_batch": ends(self.lr_at_optimal_batch),
                "batch_at_optimal_lr": ends(self.batch_at_optimal_lr),
                "lr_at_batch": at("batch", self.lr_at_batch),
                "batch_at_lr": at("lr", self.batch_at_lr),
                "largest_batch": place(self.largest_batch),
                "area_octaves2": known(self.area_octaves2),
                "contour": contour if len(self.contour_lr) else None,
                "open_edges": list(self.open_edges),
                "interval": {"level": self.level, "unit": self.context.interval_unit}
                | {name: pair(value) for name, value in self.edge_intervals.items()},
                "robust": self.robust,
                "stability": self.stability,
                "offer": self.offer,
            }
        )


@dataclass(frozen=True, repr=False)
class Regret(Readable):
    """What one choice of (lr, batch) loses.

    Attributes:
        context: question, fit, extrapolation, status.
        lr: the choice.
        batch: the choice [tokens].
        loss: predicted there [nats per token].
        loss_min: lowest predicted loss in the box [nats per token].
        regret: loss / loss_min - 1.
        level: nominal coverage of [0, upper].
        upper: one-sided upper end of the regret; NaN where that is not known, as where
            the runs tell one side of the optimum only.
        is_inside: within the plateau; None where it may be, of one side of the optimum.
        probability_inside: share of draws whose plateau holds the choice; NaN likewise.
        tol: of the plateau.
        stability: probability of divergence at the choice, octaves of lr to the edge.
        optimum: (lr, batch) of the lowest loss.
        change: of lr alone and of batch alone: the best value, the regret then, and
            the nearest value within `tol`; None where the fit does not choose it.
        deferred: as in `Optimum`.
    """

    context: Context
    lr: float
    batch: float
    loss: float
    loss_min: float
    regret: float
    level: float
    upper: float
    is_inside: bool | None
    probability_inside: float
    tol: float
    stability: dict[str, float | None] | None
    optimum: Pair
    change: dict[str, dict[str, float] | None]
    deferred: Deferred = field(repr=False, compare=False)

    @property
    def status(self) -> Status:
        """How it went."""
        return self.context.status

    @property
    def decision(self) -> Decision:
        """Inner boxes, suggestion, price, ladder and trust; made when first asked."""
        return self.deferred.value

    def _own(self) -> list[tuple[str, str]]:
        said = f"lr {shown.lr(self.lr, 3)}, batch {shown.count(self.batch)}"
        lost = shown.percent(self.regret) if math.isfinite(self.regret) else "unknown"
        return [("choice", said), ("loses", f"{lost} of the loss")]

    def to_json(self) -> dict[str, Any]:
        """The contract's document."""
        upper = None if math.isnan(self.upper) else [0.0, self.upper]
        return (
            self.context.to_json()
            | self.decision.to_json()
            | {
                "lr": self.lr,
                "batch": self.batch,
                "loss": known(self.loss),
                "loss_min": known(self.loss_min),
                "regret": known(self.regret),
                "interval": {
                    "level": self.level,
                    "unit": self.context.interval_unit,
                    "regret": upper,
                },
                "inside": self.is_inside if math.isfinite(self.regret) else None,
                "probability_inside": known(self.probability_inside),
                "tol": self.tol,
                "stability": self.stability,
                "optimum": {
                    "lr": known(self.optimum[0]),
                    "batch": known(self.optimum[1]),
                },
                "change": {
                    name: change and {part: known(v) for part, v in change.items()}
                    for name, change in self.change.items()
                },
            }
        )


@dataclass(frozen=True)
class Prediction:
    """Predicted losses of many points; arrays of one entry a point.

    Attributes:
        loss: of the surface [nats per token].
        loss_low: lower end for the loss of one new run there; NaN without draws.
        loss_high: upper end.
        inside: as in `Context`.
        distance: as in `Context`.
        status: `ok`; `not_identifiable` where the fitted runs say nothing of the size;
            else why there is no prediction.
        level: nominal coverage.
        family: of the surface.
        loss_kind: which loss it predicts.
        device: where it was computed.
        backend: of the kernels.
        warnings: what to know before using it.
    """

    loss: np.ndarray
    loss_low: np.ndarray
    loss_high: np.ndarray
    inside: np.ndarray
    distance: np.ndarray
    status: tuple[str, ...]
    level: float
    family: str
    loss_kind: str
    device: str
    backend: str
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """What holds for all points; the points themselves go into a file."""
        return {
            "schema": SCHEMA,
            "level": self.level,
            "family": self.family,
            "loss_kind": self.loss_kind,
            "device": self.device,
            "backend": self.backend,
            "inside": int(self.inside.sum()),
            "extrapolated": int((~self.inside).sum()),
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True)
class Evaluation:
    """A fit scored on runs that it has not seen.

    Attributes:
        runs: how many, diverged ones included.
        runs_diverged: of them.
        errors: of predicted losses, non-diverged runs.
        regret: of proposals read off measured runs, over cells.
        regret_smoothed: the same off a smooth local picture, over cells.
        cells: one row a cell.
        band: how well plateau membership is told.
        family: of the surface.
        loss_kind: which loss it predicts.
        device: where it was computed.
        backend: of the kernels.
        warnings: what to know before using it.
        status: of each cell, as of `Prediction`; all `ok` where there is none.
    """

    runs: int
    runs_diverged: int
    errors: LossErrors
    regret: Spread
    regret_smoothed: Spread
    cells: list[tuple[str, float, float, CellScore]]
    band: Band
    family: str
    loss_kind: str
    device: str
    backend: str
    warnings: tuple[str, ...] = field(default=())
    status: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The contract's document."""
        status = self.status or ("ok",) * len(self.cells)
        return {
            "schema": SCHEMA,
            "family": self.family,
            "loss_kind": self.loss_kind,
            "device": self.device,
            "backend": self.backend,
            "runs": self.runs,
            "runs_diverged": self.runs_diverged,
            **self.errors,
            "regret": self.regret,
            "regret_smoothed": self.regret_smoothed,
            "cells": [
                {"recipe": recipe or None, "params": params, "tokens": tokens, **score}
                | ({} if told == "ok" else {"status": told})
                for (recipe, params, tokens, score), told in zip(
                    self.cells, status, strict=True
                )
            ],
            "band": self.band,
            "status": str(Status.ok),
            "warnings": list(self.warnings),
        }


def known(value: float) -> float | None:
    """The number, None where it is not known or not finite."""
    return float(value) if math.isfinite(value) else None


def pair(value: Pair) -> list[float] | None:
    """Both ends, None where either is not known."""
    return [float(v) for v in value] if all(map(math.isfinite, value)) else None


def open_pair(value: Pair) -> list[float | None] | None:
    """Both ends, None where one is open; None alone where neither is known."""
    both = [known(v) for v in value]
    return None if both == [None, None] else both


def ends(value: Pair) -> dict[str, float] | None:
    """`{low, high}`, None where not known."""
    both = pair(value)
    return None if both is None else {"low": both[0], "high": both[1]}


def extent(value: Pair) -> dict[str, float | None] | None:
    """`{low, high, octaves}`, null where open; None where neither end is known."""
    both = open_pair(value)
    if both is None:
        return None
    low, high = both
    octaves = None if low is None or high is None else math.log2(high / low)
    return {"low": low, "high": high, "octaves": octaves}


def place(value: Pair) -> dict[str, float] | None:
    """`{lr, batch}`, None where not known."""
    both = pair(value)
    return None if both is None else {"lr": both[0], "batch": both[1]}


def at(name: str, value: tuple[float, float, float] | None) -> dict[str, Any] | None:
    """`{name, low, high}` where asked; low and high null if nothing is inside."""
    if value is None:
        return None
    return {name: value[0], "low": known(value[1]), "high": known(value[2])}
