"""Reads what a method said of cells that it had not seen off their runs."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from heldout.baselines import near_best
from heldout.protocols import Protocol
from surrogate.data import Runs
from surrogate.data.coordinates import Features
from surrogate.fitting import cross_validation
from surrogate.fitting.scores import Spread, mean_se

# Parts of a score: the first two need a proposal, the last two a predicted loss.
PARTS = ("regret", "regret_smoothed", "mae_ln", "worst_ln")


class Answer(NamedTuple):
    """What a method says of a cell, each None where it says nothing of it.

    Attributes:
        proposed: lr and batch, natural units.
        log_loss: of the cell's runs that did not diverge.
    """

    proposed: tuple[float, float] | None
    log_loss: np.ndarray | None


class Answers(NamedTuple):
    """Of a fold, by cell, and what the method chose on the fold's training part."""

    cells: dict[int, Answer]
    chosen: str | None = None


class Held(NamedTuple):
    """A cell of a fold, scored.

    Attributes:
        fold: an index into the protocol's folds.
        cell: which.
        regret: of the proposal.
        regret_smoothed: likewise, on a local cubic.
        near: absolute errors of ln loss on the runs that count.
        worst_ln: the largest of all runs that did not diverge.
    """

    fold: int
    cell: int
    regret: float | None
    regret_smoothed: float | None
    near: np.ndarray
    worst_ln: float | None

    @property
    def mae_ln(self) -> float | None:
        """Mean over the cell's runs that count."""
        return float(self.near.mean()) if len(self.near) else None


def score(runs: Runs, protocol: Protocol, folds: list[Answers]) -> list[Held]:
    """Every cell of every fold; what is no number stays NaN until `summary`."""
    features = Features.of(runs)
    return [
        _cell(runs, features, protocol, fold, cell, answer)
        for fold, answers in enumerate(folds)
        for cell, answer in answers.cells.items()
    ]


def _cell(
    runs: Runs,
    features: Features,
    protocol: Protocol,
    fold: int,
    cell: int,
    answer: Answer,
) -> Held:
    regret = smoothed = worst = None
    if answer.proposed is not None:
        place = np.array(answer.proposed)
        regret = smoothed = np.nan
        if np.all(np.isfinite(place) & (place > 0)):
            found = cross_validation.score(runs, cell, features, place)
            regret, smoothed = found["regret"], found["regret_smoothed"]
    near = np.zeros(0)
    members = (runs.cell == cell) & runs.usable
    if answer.log_loss is not None and members.any():
        loss = runs.loss[members]
        error = np.abs(np.log(loss) - answer.log_loss)
        near = error[near_best(loss, runs.cell[members], protocol.within)]
        worst = float(error.max())
    return Held(fold, cell, regret, smoothed, near, worst)


def summary(protocol: Protocol, held: list[Held]) -> dict[str, Any]:
    """Means over folds, the parts of each fold, and the folds that came to no number.

    A part that failed on a fold has no mean: the folds that are left would flatter it.
    """
    count = range(len(protocol.folds))
    columns = {
        part: [_of_fold([h for h in held if h.fold == fold], part) for fold in count]
        for part in PARTS
    }
    failed: set[int] = set()
    result: dict[str, Any] = {}
    for part, values in columns.items():
        bad = {i for i, v in enumerate(values) if v is not None and not np.isfinite(v)}
        failed |= bad
        known = [None if i in bad else v for i, v in enumerate(values)]
        result[f"{part}_folds"] = known
        result[part] = mean_se([] if bad else known)
    worst = [v for v in result["worst_ln_folds"] if v is not None]
    result["worst_ln"] = max(worst) if worst and not failed else None
    return result | {"failed_folds": [protocol.folds[i] for i in sorted(failed)]}


def _of_fold(held: list[Held], part: str) -> float | None:
    """One number of a fold: regrets weigh cells alike, errors weigh runs alike."""
    if part == "mae_ln":
        near = np.concatenate([h.near for h in held]) if held else np.zeros(0)
        return float(near.mean()) if len(near) else None
    known = [v for h in held if (v := getattr(h, part)) is not None]
    if not known:
        return None
    return float(np.max(known) if part == "worst_ln" else np.mean(known))


def permille(spread: Spread | None) -> str:
    """Mean and standard error for people."""
    if spread is None or spread["mean"] is None:
        return "-"
    return f"{1e3 * spread['mean']:.2f} +- {1e3 * (spread['se'] or 0):.2f}"
