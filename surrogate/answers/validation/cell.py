"""One left-out cell: what a fit that has not seen it says, beside its measured runs."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64

from surrogate.answers import Fit
from surrogate.answers.predict import Points, surface_at
from surrogate.data import Runs
from surrogate.data.cells import Cell
from surrogate.fitting import cross_validation
from surrogate.fitting.intervals import LEVEL

# Errors of ln loss count on runs this close to their cell's best, intervals likewise.
WITHIN_ERRORS, WITHIN_INTERVALS = 0.10, 0.05


@dataclass(frozen=True)
class Held:
    """A left-out cell, scored; NaN where the fit answers nothing.

    Attributes:
        recipe: of the cell.
        params: of the cell.
        tokens: of the cell.
        scales: further scale variables.
        asked_as: the recipe that the fit was asked about.
        runs: that errors count on.
        mae_ln: mean absolute error of ln loss on runs within 10 % of the best.
        bias_ln: mean of predicted minus measured ln loss on them.
        coverage: share of runs within 5 % of the best inside their 95 % interval.
        half_width: mean half-width of those intervals [ln loss].
        winkler: mean of width + 40 x what is missed [ln loss]; less is better.
        lr: suggested.
        batch: suggested [tokens].
        regret: measured at the suggestion.
        regret_smoothed: likewise, on a local cubic; NaN where the cell has too few.
        regret_bound: stated upper end of the suggestion's regret.
        lr_interval: stated for the best lr.
        batch_interval: stated for the best batch [tokens].
        trust: the word for the setting.
        loss_trust: the word for the level of the loss.
        inside: whether the question counts as inside the data.
        distance: from the data, as answers say it.
        status: of the answer.
    """

    recipe: str
    params: float
    tokens: float
    scales: dict[str, float]
    asked_as: str
    runs: int
    mae_ln: float
    bias_ln: float
    coverage: float
    half_width: float
    winkler: float
    lr: float
    batch: float
    regret: float
    regret_smoothed: float
    regret_bound: float
    lr_interval: tuple[float, float]
    batch_interval: tuple[float, float]
    trust: str
    loss_trust: str
    inside: bool
    distance: float
    status: str

    @property
    def is_bounded(self) -> bool | None:
        """Whether the measured regret is within its bound; None where not known.

        The smoothed one where the cell has it: the lowest of many runs is a lucky one.
        """
        measured = self.regret_smoothed
        measured = self.regret if math.isnan(measured) else measured
        if math.isnan(measured) or math.isnan(self.regret_bound):
            return None
        return measured <= self.regret_bound

    def to_json(self) -> dict[str, Any]:
        """Plain numbers; NaN is null."""
        return _plain(asdict(self)) | {"bounded": self.is_bounded}


class Predicted:
    """Predictions and measured losses of a cell's runs that did not diverge."""

    def __init__(self, fit: Fit, runs: Runs, index: int, recipe: str) -> None:
        """Ask the fit about the runs of one cell, as of `recipe`."""
        members = (runs.cell == index) & runs.usable
        self.loss = runs.loss[members]
        columns = runs.lr_level, runs.batch, runs.params, runs.tokens
        lr, batch, params, tokens = (values[members] for values in columns)
        scales = {n: v[members] for n, v in runs.scales.items()}
        scales = {n: v for n, v in scales.items() if n in fit.features.fitted}
        told = fit.predict(
            lr, batch, params, tokens, scales=scales, recipe=recipe, allow=("small",)
        )
        self.predicted, self.low, self.high = told.loss, told.loss_low, told.loss_high
        recipes = np.full(len(lr), recipe)
        at = Points(lr, batch, params, tokens, scales, recipes)
        _, self.excess = surface_at(fit, at)
        self.excess = np.where(np.isnan(self.predicted), np.nan, self.excess)

    def near(self, share: float) -> Bool[np.ndarray, " runs"]:
        """Runs this close to the lowest."""
        return self.loss <= (1 + share) * self.loss.min()

    @property
    def errors(self) -> Float64[np.ndarray, " _"]:
        """Predicted minus measured ln loss, of the runs that errors count on."""
        near = self.near(WITHIN_ERRORS)
        return np.log(self.predicted[near]) - np.log(self.loss[near])

    def intervals(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of the runs that count: inside or not, half-width and Winkler's score."""
        near = self.near(WITHIN_INTERVALS)
        low, high, y = (np.log(v[near]) for v in (self.low, self.high, self.loss))
        known = np.isfinite(low) & np.isfinite(high)
        low, high, y = low[known], high[known], y[known]
        missed = np.maximum(low - y, 0) + np.maximum(y - high, 0)
        width = high - low
        return missed == 0, 0.5 * width, width + 2 / (1 - LEVEL) * missed


def score(fit: Fit, runs: Runs, index: int, points: Predicted, recipe: str) -> Held:
    """What the fit says of one cell, beside what was measured."""
    cell = runs.cells[index]
    scales = {n: v for n, v in cell.scales if n in fit.features.fitted}
    best = fit.optimum(
        params=cell.params,
        tokens=cell.tokens,
        scales=scales,
        recipe=recipe,
        allow=("small",),
    )
    use = best.decision.suggestion
    at = (use.lr, use.batch) if use else (best.lr, best.batch)
    raw, smoothed = _measured(runs, index, fit, at)
    inside, half, winkler = points.intervals()
    trust = best.decision.trust
    return Held(
        recipe=cell.recipe,
        params=cell.params,
        tokens=cell.tokens,
        scales=dict(cell.scales),
        asked_as=recipe,
        runs=len(points.errors),
        mae_ln=mean(np.abs(points.errors)),
        bias_ln=mean(points.errors),
        coverage=mean(inside),
        half_width=mean(half),
        winkler=mean(winkler),
        lr=at[0],
        batch=at[1],
        regret=raw,
        regret_smoothed=smoothed,
        regret_bound=use.regret_upper if use else math.nan,
        lr_interval=best.lr_interval,
        batch_interval=best.batch_interval,
        trust=trust.level,
        loss_trust=trust.loss_level,
        inside=best.context.inside,
        distance=best.context.distance,
        status=str(best.status),
    )


def _measured(
    runs: Runs, index: int, fit: Fit, at: tuple[float, float]
) -> tuple[float, float]:
    """Regret of a setting read off the cell, raw and smoothed; NaN where not known."""
    given: dict[str, float] = {"lr": at[0], "batch": at[1]}
    values = np.array([given[name] for name in fit.features.choices])
    if not np.isfinite(values).all():
        return math.nan, math.nan
    found = cross_validation.score(runs, index, fit.features, values)
    raw, smoothed = found["regret"], found["regret_smoothed"]
    return (
        math.nan if raw is None else float(raw),
        math.nan if smoothed is None else float(smoothed),
    )


def asked_as(fit: Fit, cell: Cell) -> str:
    """The cell's recipe; where the fit has never seen it, that of its nearest cell."""
    if cell.recipe in fit.recipes:
        return cell.recipe
    own = np.log([cell.params, cell.tokens])
    off = [np.abs(np.log([c.params, c.tokens]) - own).sum() for c in fit.cells]
    return fit.cells[int(np.argmin(off))].recipe


def mean(values: np.ndarray) -> float:
    """Of the values that are known; NaN where none is."""
    known = values[np.isfinite(values)] if len(values) else values
    return float(known.mean()) if len(known) else math.nan


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
