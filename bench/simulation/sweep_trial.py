"""One simulation: a sweep is drawn and fitted, and its intervals held to the truth."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

import surrogate
from simulation.sweep_truth import Truth, fitted
from surrogate import families
from surrogate.answers import Fit, Surface
from surrogate.answers.fit import DEFAULT_PROBABILITY, DEFAULT_TOL
from surrogate.answers.predict import Points, surface_at
from surrogate.data import Runs
from surrogate.data.coordinates import Features
from surrogate.families import Shape
from surrogate.fitting.replicates import fit_all
from surrogate.fitting.task import Task

REPLICAS = 199
EDGES = ("lr_low", "lr_high", "batch_low", "batch_high")
# True regrets, in tolerances, of the choices whose one-sided interval is tried.
REGRETS = (0.0, 0.5, 1.0, 4.0)
# Points a side of the grid on which bands are compared, and how far it goes beyond the
# true band, in shares of its extents.
_GRID, _MARGIN = 61, 0.5


class Known(NamedTuple):
    """The truth's own answers.

    Attributes:
        values: ln of lr*, batch*, loss*, and of the four edges, by name.
        choices: (lr, batch) of each of `REGRETS`.
        grid: lr and batch of points about the band.
        inside: which of them are in the band.
    """

    values: dict[str, float]
    choices: list[tuple[float, float]]
    grid: tuple[np.ndarray, np.ndarray]
    inside: np.ndarray


def known(truth: Truth, place: dict[str, Any]) -> Known:
    """Optimum, band and choices of known regret."""
    surface = truth.fit.at(**place)
    best, band = surface.optimum(), surface.plateau()
    values = {"lr": best.lr, "batch": best.batch, "loss": best.loss}
    values |= dict(zip(EDGES, (*band.lr, *band.batch), strict=True))
    choices = [(best.lr, best.batch)]
    for share in REGRETS[1:]:
        wider = surface.plateau(tol=share * DEFAULT_TOL)
        choices.append((wider.lr_at_optimal_batch[1], best.batch))
    axes = []
    for low, high in (band.lr, band.batch):
        ends = np.log([low, high])
        room = _MARGIN * (ends[1] - ends[0])
        axes.append(np.exp(np.linspace(ends[0] - room, ends[1] + room, _GRID)))
    lr, batch = (axis.ravel() for axis in np.meshgrid(*axes, indexing="ij"))
    inside = _inside(truth.fit, lr, batch, place)
    logs = {name: float(np.log(value)) for name, value in values.items()}
    return Known(logs, choices, (lr, batch), inside)


def _inside(
    fit: Fit, lr: np.ndarray, batch: np.ndarray, place: dict[str, float]
) -> np.ndarray:
    params, tokens = (np.full(len(lr), place[name]) for name in ("params", "tokens"))
    recipe = np.full(len(lr), "", dtype=str)
    _, excess = surface_at(fit, Points(lr, batch, params, tokens, {}, recipe))
    return excess <= np.log1p(DEFAULT_TOL)


def fit_sweep(family: str, runs: Runs, seed: int) -> Fit:
    """As `surrogate.fit`, without held-out scores, which no interval needs."""
    if family == "auto":
        return surrogate.fit(runs, bootstrap=REPLICAS, seed=seed)
    features = Features.of(runs)
    shape = Shape(len(features.choices), len(features.givens), features.offsets)
    found = fit_all(
        families.make(family, shape, 3),
        Task(features.rows(runs), features.box(), features.u_scale, REPLICAS, seed),
        "xla",
    )
    like = fitted(family)
    return replace(
        like,
        family=found.family,
        features=features,
        theta=found.theta,
        draws=found.draws,
        freedom=found.freedom,
        leaves=found.leaves,
        is_converged=True,
        stability=None,
        runs=None,
    )


def trial(fit: Fit, place: dict[str, Any], truth: Known) -> dict[str, Any]:
    """What was covered and how wide it was; NaN where there was no interval."""
    surface = fit.at(**place)
    best, band = surface.optimum(), surface.plateau()
    pairs = {
        "lr": best.lr_interval,
        "batch": best.batch_interval,
        "loss": best.loss_interval,
        **band.edge_intervals,
    }
    row: dict[str, Any] = {"outside": float(not best.context.inside)}
    for name, (low, high) in pairs.items():
        ends = np.log([low, high])
        is_known = np.isfinite(ends).all()
        covered = ends[0] <= truth.values[name] <= ends[1]
        row[f"{name}/covered"] = float(covered) if is_known else np.nan
        row[f"{name}/width"] = float(ends[1] - ends[0])
    for share, (lr, batch) in zip(REGRETS, truth.choices, strict=True):
        upper = surface.regret(lr=lr, batch=batch).upper
        is_covered = upper >= share * DEFAULT_TOL * (1 - 1e-9)
        row[f"regret {share:g} tol/covered"] = float(is_covered)
        row[f"regret {share:g} tol/width"] = upper / DEFAULT_TOL
    mine = _inside(fit, *truth.grid, place)
    both = float((mine & truth.inside).sum())
    row["band/precision"] = both / mine.sum() if mine.any() else np.nan
    row["band/recall"] = both / truth.inside.sum()
    return row | _robust(surface, truth)


def _robust(surface: Surface, truth: Known) -> dict[str, float]:
    """The robust plateau on the grid, against the true band."""
    mine = surface.probability_inside(*truth.grid) >= DEFAULT_PROBABILITY
    both = float((mine & truth.inside).sum())
    return {
        "robust/precision": both / mine.sum() if mine.any() else np.nan,
        "robust/recall": both / truth.inside.sum(),
    }
