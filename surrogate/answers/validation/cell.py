"""One left-out cell: what a fit that has not seen it says, beside its measured runs."""

from __future__ import annotations

import math

import numpy as np

from surrogate.answers import Fit
from surrogate.answers.predict import Points, surface_at
from surrogate.answers.validated import Held
from surrogate.base.shapes import Bool, Float64
from surrogate.data import Runs
from surrogate.data.cells import Cell
from surrogate.fitting import cross_validation
from surrogate.fitting.intervals import LEVEL

# Errors of ln loss count on runs this close to their cell's best, intervals likewise.
WITHIN_ERRORS, WITHIN_INTERVALS = 0.10, 0.05


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
