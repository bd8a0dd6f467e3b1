"""How wrong a fitted law is where there is no data: refits without whole regions.

Every region (`regions`) is left out of a refit of the family that was chosen. What it
misses there is the law's error and noise. A scale tau of the law's error is that of
highest likelihood, a region counting once whatever the number of its cells, which share
their error. Few regions are filled up with what released sweeps show.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar

from surrogate.base.shapes import Bool, Float64
from surrogate.data import Runs
from surrogate.data.coordinates import Features, Rows
from surrogate.families import Family, Mix
from surrogate.fitting import cross_validation, discrepancy, irls, regions
from surrogate.fitting.cross_validation import Folds, HeldOut
from surrogate.fitting.discrepancy import Discrepancy
from surrogate.fitting.intervals import LEVEL
from surrogate.fitting.objective import NORMAL_MAD, Noise
from surrogate.numerics.least_squares import Progress
from surrogate_kernels.backends import Backend

# Of a region's scales: so many regions at least, filled up with these usual values (of
# three released sweeps fitted by three families, the medians; docs/log.md).
LEAST_REGIONS = 4
USUAL_LEVEL, USUAL_SETTING = 0.008, 0.1
# Errors of the level count on runs this close to their cell's best.
_NEAR = 0.05
# Runs from which a cell's own optimum is read: so many, within so much of its best.
_OWN_RUNS, _OWN_WITHIN = 10, 0.02
# How far beyond its runs such an optimum may lie [ln].
_OWN_BEYOND = 0.3
# Variances are sought between these.
_LEAST, _MOST = 1e-12, 10.0
_LEAST_NOISE = 1e-8


class Errors(NamedTuple):
    """Of the cells of regions left out.

    Attributes:
        region: of each.
        share: k above what is usual among the cells that were fitted.
        level: measured minus fitted ln loss, the mean over near runs.
        settings: measured minus fitted ln lr and ln batch of the optimum; NaN where the
            cell's runs show none.
    """

    region: np.ndarray
    share: Float64[np.ndarray, " n"]
    level: Float64[np.ndarray, " n"]
    settings: Float64[np.ndarray, "n choices"]


def leave_out(
    parts: Mapping[str, Family],
    weights: Mapping[str, float],
    features: Features,
    rows: Rows,
    runs: Runs,
    box: Float64[np.ndarray, "2 choices"],
    *,
    seed: int,
    backend: Backend,
    progress: Progress | None = None,
) -> HeldOut | None:
    """Refit without each region; None where there is none to leave out.

    Args:
        parts: what was chosen: a family, or the members of a mix.
        weights: of the parts.
        features: coordinates of the fit.
        rows: that are fitted.
        runs: all of them.
        box: lower and upper bounds of u within which a cell's minimum is sought.
        seed: of the starts.
        backend: of the arithmetic.
        progress: told of finished fits.
    """
    plan = regions.plan(runs, ["regions"])
    if not plan.folds or not features.givens:
        return None
    names = tuple(fold.name for fold in plan.folds)
    masks = np.array([fold.held for fold in plan.folds])
    folds = Folds(("regions",) * len(names), names, masks)
    if progress is not None:
        progress.start("Leaving out regions", len(names) * len(parts))
    held = {
        name: cross_validation.leave_out(
            part,
            features,
            rows,
            runs,
            box,
            folds,
            seed=seed,
            backend=backend,
            progress=progress,
        )
        for name, part in parts.items()
    }
    first, *more = held.values()
    if not more:
        return first
    every, theta = _mixed(held, weights)
    surface = irls.evaluate(every, rows, theta, box, backend)
    return cross_validation.read(every, features, rows, runs, folds, theta, surface)


def _mixed(
    held: Mapping[str, HeldOut], weights: Mapping[str, float]
) -> tuple[Mix, Float64[np.ndarray, "folds p"]]:
    """A mix of the parts, fold by fold."""
    parts = list(held.values())
    every = Mix(parts[0].family.shape, tuple(part.family for part in parts))
    shares = np.array([weights[name] for name in held])
    thetas = [part.theta for part in parts]
    return every, every.join(np.tile(shares, (len(thetas[0]), 1)), thetas)


def measure(
    held: HeldOut | None,
    one_out: HeldOut,
    features: Features,
    rows: Rows,
    runs: Runs,
    noise: Noise,
) -> Discrepancy | None:
    """Scales of the law's error; None where the cells do not span their scales.

    Args:
        held: scores without each region, if any can be left out.
        one_out: scores of the same, each cell left out, and perhaps more.
        features: coordinates of the fit.
        rows: that were fitted.
        runs: all of them.
        noise: what the fit leaves unexplained.
    """
    used = np.unique(rows.cell)
    logs = features.cell_logs(runs)
    if len(used) < logs.shape[1] + 2 or not features.givens:
        return None
    errors = None if held is None else _errors(held, features, rows, runs)
    within = noise.cell**2 + noise.floor**2 / _OWN_RUNS
    level, freedom = _scale(errors, None, within, USUAL_LEVEL)
    own = _own(one_out, features, rows)
    if errors is not None:
        errors = errors._replace(settings=errors.settings - own.centre)
    settings = [
        _scale(errors, i, float(own.variance[i]), USUAL_SETTING)[0]
        for i in range(len(features.choices))
    ]
    return Discrepancy(
        cells=tuple(tuple(row) for row in logs[used].tolist()),
        usual=discrepancy.usual(logs[used]),
        level=level,
        settings=tuple(settings),
        freedom=freedom,
        regret=_lost(one_out, held),
        regions=0 if held is None else len(held.folds.held),
    )


def _errors(held: HeldOut, features: Features, rows: Rows, runs: Runs) -> Errors | None:
    """Of every region that came to a number; None where none did."""
    logs, used = features.cell_logs(runs), np.unique(rows.cell)
    found: list[tuple[int, float, float, np.ndarray]] = []
    for fold, mask in enumerate(held.folds.held):
        fitted = logs[used[~mask[used]]]
        system, usual = discrepancy.System.of(fitted), discrepancy.usual(fitted)
        for scored in held.cells:
            if scored.fold != fold:
                continue
            near = _near(rows, scored.cell, _NEAR)
            share = float(system.variance(logs[[scored.cell]])[0]) - usual
            level = float(held.error[fold, near].mean())
            off = _off(scored, features, rows)
            if np.isfinite(level):
                found.append((fold, max(share, 0.0), level, off))
    if not found:
        return None
    region, shares, level, off = (list(part) for part in zip(*found, strict=True))
    return Errors(np.array(region), np.array(shares), np.array(level), np.array(off))


def _near(rows: Rows, cell: int, within: float) -> Bool[np.ndarray, " n"]:
    mine = rows.cell == cell
    return mine & (rows.target <= rows.target[mine].min() + np.log1p(within))


def _off(
    scored: cross_validation.HeldCell, features: Features, rows: Rows
) -> Float64[np.ndarray, " choices"]:
    """Measured minus proposed optimum of a cell [ln]."""
    given = {"lr": scored.score["lr"], "batch": scored.score["batch"]}
    proposed = np.array([given[name] or np.nan for name in features.choices], float)
    own = own_optimum(rows, scored.cell, len(features.choices))
    return own * features.u_scale + features.mean[: len(own)] - np.log(proposed)


def own_optimum(rows: Rows, cell: int, choices: int) -> Float64[np.ndarray, " choices"]:
    """Where a cell's own quadratic is lowest, coordinates u; NaN where it is not."""
    none = np.full(choices, np.nan)
    near = _near(rows, cell, _OWN_WITHIN)
    if near.sum() < _OWN_RUNS:
        return none
    u, y = rows.z[near, :choices], rows.target[near]
    centre = u.mean(axis=0)
    v = u - centre
    pairs = [(i, j) for i in range(choices) for j in range(i, choices)]
    columns = [np.ones(len(v)), *v.T, *(v[:, i] * v[:, j] for i, j in pairs)]
    found, _, rank, _ = np.linalg.lstsq(np.stack(columns, 1), y, rcond=1e-10)
    if rank < len(columns):
        return none
    hessian = np.zeros((choices, choices))
    for value, (i, j) in zip(found[1 + choices :], pairs, strict=True):
        hessian[i, j] += value
        hessian[j, i] += value
    if np.linalg.eigvalsh(hessian).min() <= 0:
        return none
    at = centre - np.linalg.solve(hessian, found[1 : 1 + choices])
    is_far = (at < u.min(axis=0) - _OWN_BEYOND) | (at > u.max(axis=0) + _OWN_BEYOND)
    return none if is_far.any() else at


def _scale(
    errors: Errors | None, choice: int | None, noise: float, usual: float
) -> tuple[float, int]:
    """Tau and its degrees of freedom, of the level or of a setting."""
    logs: dict[int, np.ndarray] = {}
    if errors is not None:
        off = errors.level if choice is None else errors.settings[:, choice]
        known = np.isfinite(off)
        for region in np.unique(errors.region[known]).tolist():
            mine = known & (errors.region == region)
            logs[region] = np.stack([off[mine] ** 2, errors.share[mine]])
    count, more = len(logs), max(LEAST_REGIONS - len(logs), 0)
    variance = _likeliest(logs, max(noise, _LEAST_NOISE)) if logs else 0.0
    variance = (count * variance + more * usual**2) / (count + more)
    return float(np.sqrt(variance)), count + more - 1


def _likeliest(
    squares: Mapping[int, Float64[np.ndarray, "2 _"]], noise: float
) -> float:
    """The variance a unit of k under which the errors are likeliest."""

    def cost(log_variance: float) -> float:
        total = 0.0
        for square, share in squares.values():
            variance = np.exp(log_variance) * share + noise
            total += float(np.mean(np.log(variance) + square / variance))
        return total

    ends = np.log(_LEAST), np.log(_MOST)
    found: Any = minimize_scalar(cost, bounds=ends, method="bounded")
    return float(np.exp(found.x))


class _Own(NamedTuple):
    """Measured minus proposed optima where one cell is left out [ln].

    Attributes:
        centre: median: a cell's own quadratic lies off every surface that is steeper on
            one side, by as much in all cells.
        variance: about it.
    """

    centre: Float64[np.ndarray, " choices"]
    variance: Float64[np.ndarray, " choices"]


def _own(one_out: HeldOut, features: Features, rows: Rows) -> _Own:
    off = np.array(
        [_off(cell, features, rows) for cell in one_out.of(cross_validation.ONE)]
    )
    off = off.reshape(-1, len(features.choices))
    off = off[np.isfinite(off).all(axis=1)]
    if not len(off):
        none = np.zeros(len(features.choices))
        return _Own(none, none + USUAL_SETTING**2)
    centre = np.median(off, axis=0)
    return _Own(centre, (NORMAL_MAD * np.median(np.abs(off - centre), axis=0)) ** 2)


def _lost(one_out: HeldOut, held: HeldOut | None) -> float:
    """What all but 5 % of new cells would be measured to lose, as those left out did.

    Alone or with their region. The quantile counts the new cell among the others (split
    conformal prediction), so that under 20 of them it is the largest. Smoothed regret,
    where a cell has it.
    """
    cells = [*one_out.of(cross_validation.ONE), *([] if held is None else held.cells)]
    lost = []
    for cell in cells:
        smoothed, raw = cell.score["regret_smoothed"], cell.score["regret"]
        value = raw if smoothed is None else smoothed
        if value is not None:
            lost.append(max(float(value), 0.0))
    if len(lost) < regions.LEAST_LEFT:
        return float("nan")
    rank = min(int(np.ceil(LEVEL * (len(lost) + 1))), len(lost))
    return float(np.sort(lost)[rank - 1])
