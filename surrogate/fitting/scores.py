"""What a proposed setting costs, read off runs that were really made, and loss errors.

Nothing here knows a fit: the functions take the runs of one cell as arrays and a
proposed (lr, batch), whoever proposed it, so a surrogate, a published law and a guess
are all scored alike. `lr` is snapped to the sweep's levels (`Runs.lr_level`), `batch`
is in tokens, `loss` in nats per token. Relative quantities are fractions.

All measured runs of the cell take part, diverged ones too where their loss is finite:
a proposal beside a run that blew up is charged for it. A run without a finite loss is
a missing corner. Runs repeated at one setting count as their mean in the read-off.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypedDict

import numpy as np

from surrogate.base.errors import DataError
from surrogate.base.shapes import Bool, Float
from surrogate.fitting.read_off import (
    POWERS,
    SAME,
    cubic,
    cubic_terms,
    hull_of,
    is_inside,
    lowest_in_hull,
    nearest,
    on_rectangle,
    on_triangle,
)

# One value a run. The lengths are not in the type: that they agree is checked with a
# message, which a shape error of the type checker would hide from the tests.
Column = Float[np.ndarray, " _"]

# Repeated runs of one setting differ by this much, so a run is counted inside a
# plateau up to that far above its edge.
BAND_NOISE = 0.0008
NEAR_BEST = 0.015
MIN_NEAR_RUNS = 14


class ReadOff(NamedTuple):
    """A loss [nats per token] read off a cell, and whether it is beyond its runs."""

    loss: float
    outside_grid: bool


class Regret(NamedTuple):
    """Measured loss at a setting over the cell's lowest, minus 1 (a fraction)."""

    regret: float
    outside_grid: bool


class SmoothedRegret(NamedTuple):
    """Regret on a smooth local picture of the cell.

    `regret` is None where the cell has fewer than 14 runs within 1.5 % of its best
    (`runs` says how many), or where those do not determine ten coefficients.
    `outside_hull`: the setting is beyond these runs, so `regret` is extrapolated and
    can be far off, even negative; None where `regret` is None.
    """

    regret: float | None
    runs: int
    outside_hull: bool | None


class Spread(TypedDict):
    """A mean over cells with its standard error (sd / sqrt(n); None under two)."""

    mean: float | None
    median: float | None
    max: float | None
    se: float | None


class CellScore(TypedDict):
    """One cell's row of `Fit.evaluate`; None is unknown, never a stand-in number."""

    runs: int
    lr: float | None
    batch: float | None
    best_lr: float | None
    best_batch: float | None
    regret: float | None
    regret_smoothed: float | None
    outside_grid: bool | None
    outside_hull: bool | None


class LossErrors(TypedDict):
    """How far predicted losses are from measured ones, in nats but r2 and spearman."""

    r2: float | None
    mae: float
    rmse: float
    bias: float
    spearman: float | None


class Band(TypedDict):
    """How well a plateau's members are told: None where there is nothing to count."""

    tol: float
    precision: float | None
    recall: float | None


def read_off(
    lr: Column,
    batch: Column,
    loss: Column,
    at_lr: float,
    at_batch: float,
) -> ReadOff:
    """The loss that a cell's own runs show at a setting.

    Bilinear in (ln lr, ln batch) between the four surrounding runs on the grid of the
    cell's levels (two on a grid line, one on a grid point; a cell of one lr or of one
    batch is read along its line). Where a corner that carries weight is missing,
    linear over the Delaunay triangle of the cell's settings (no scaling of the axes).
    Outside the box of levels, or inside it but outside the convex hull of the runs,
    the nearest run in (ln lr, ln batch), and `outside_grid` says so.

    Args:
        lr: peak learning rates of the cell's runs, snapped to levels: two roundings
            of one level would be two levels, and neither a full grid.
        batch: tokens per step.
        loss: nats per token; a run whose loss is not finite is left out.
        at_lr: the proposed learning rate.
        at_batch: the proposed batch [tokens].

    Returns:
        The loss and whether the setting is outside the grid.

    Raises:
        DataError: arrays of different lengths, a setting that is not positive, or no
            run with a finite loss.
    """
    u, value = _settings(lr, batch, loss)
    at = _point(at_lr, at_batch)
    if len(value) == 0:
        raise DataError(
            "Expected at least one run with a finite loss in the cell, got none of "
            f"{len(loss)}; leave this cell out of the score."
        )
    levels, inverse = np.unique(u, axis=0, return_inverse=True)
    inverse = inverse.reshape(-1)
    mean = np.bincount(inverse, weights=value) / np.bincount(inverse)
    found = on_rectangle(levels, mean, at)
    if found is None:
        found = on_triangle(levels, mean, at)
    if found is None:
        return ReadOff(nearest(levels, mean, at), True)
    return ReadOff(found, False)


def regret(
    lr: Column,
    batch: Column,
    loss: Column,
    at_lr: float,
    at_batch: float,
) -> Regret:
    """`read_off` over the cell's lowest measured loss, minus 1.

    It carries the luck of the best run: the true optimum itself reads above 0.
    Arguments and errors are those of `read_off`.
    """
    measured, is_outside = read_off(lr, batch, loss, at_lr, at_batch)
    best = float(loss[np.isfinite(loss)].min())
    return Regret(measured / best - 1.0, is_outside)


def regret_smoothed(
    lr: Column,
    batch: Column,
    loss: Column,
    at_lr: float,
    at_batch: float,
) -> SmoothedRegret:
    """Rise of a local cubic of ln loss from its minimum to a setting.

    A full cubic in (ln lr, ln batch), ten coefficients, by least squares on ln loss of
    the runs within 1.5 % of the cell's best; its value at the setting minus its
    minimum over the convex hull of those runs. The difference is left in ln loss: it
    is less than the ratio minus 1 by half its square (0.03 permille at 8 permille).
    With that, the two laws that the dense dump is checked by read 0.333 and 7.81
    permille; the ratio would read 0.333 and 7.84.

    Args:
        lr: peak learning rates of the cell's runs.
        batch: tokens per step.
        loss: nats per token; a run whose loss is not finite is left out.
        at_lr: the proposed learning rate.
        at_batch: the proposed batch [tokens].

    Returns:
        The rise, the number of runs used, and whether the setting is beyond them.

    Raises:
        DataError: arrays of different lengths, or a setting that is not positive.
    """
    u, value = _settings(lr, batch, loss)
    at = _point(at_lr, at_batch)
    near = value <= (1.0 + NEAR_BEST) * value.min(initial=np.inf)
    count = int(near.sum())
    if count < MIN_NEAR_RUNS:
        return SmoothedRegret(None, count, None)
    centre, scale = u[near].mean(axis=0), u[near].std(axis=0)
    if not np.all(scale > SAME):
        return SmoothedRegret(None, count, None)
    z = (u[near] - centre) / scale
    coefficients, _, rank, _ = np.linalg.lstsq(
        cubic_terms(z), np.log(value[near]), rcond=1e-10
    )
    if rank < len(POWERS):
        return SmoothedRegret(None, count, None)
    corners, edges = hull_of(z)
    place = (at - centre) / scale
    rise = cubic(coefficients, place) - lowest_in_hull(coefficients, corners, edges)
    return SmoothedRegret(float(rise), count, not bool(is_inside(edges, place)))


def score_cell(
    lr: Column,
    batch: Column,
    loss: Column,
    at_lr: float,
    at_batch: float,
) -> CellScore:
    """Everything `Fit.evaluate` says of one cell and a proposed setting.

    A cell with fewer than two finite losses has no regret: its fields are None.
    Arguments and errors are those of `regret_smoothed`.
    """
    u, _ = _settings(lr, batch, loss)
    _point(at_lr, at_batch)
    finite = np.isfinite(loss)
    row = CellScore(
        runs=len(loss),
        lr=float(at_lr),
        batch=float(at_batch),
        best_lr=None,
        best_batch=None,
        regret=None,
        regret_smoothed=None,
        outside_grid=None,
        outside_hull=None,
    )
    if len(u):
        best = int(np.where(finite, loss, np.inf).argmin())
        row["best_lr"], row["best_batch"] = float(lr[best]), float(batch[best])
    if len(u) >= 2:
        raw = regret(lr, batch, loss, at_lr, at_batch)
        smooth = regret_smoothed(lr, batch, loss, at_lr, at_batch)
        row["regret"], row["outside_grid"] = raw
        row["regret_smoothed"] = smooth.regret
        row["outside_hull"] = smooth.outside_hull
    return row


def mean_se(values: Sequence[float | None]) -> Spread:
    """Mean, median, largest and standard error of the values that are known.

    Args:
        values: one number a cell; None where a cell has no score, which is left out
            (the cells' own rows show which).

    Returns:
        Each None where there is nothing to compute it from.

    Raises:
        DataError: a value is NaN or infinite.
    """
    known = np.array([value for value in values if value is not None], dtype=np.float64)
    if not np.all(np.isfinite(known)):
        raise DataError(
            f"Expected finite scores, got {known.tolist()}; write None for a cell "
            "that has no score."
        )
    if len(known) == 0:
        return Spread(mean=None, median=None, max=None, se=None)
    several = len(known) > 1
    return Spread(
        mean=float(known.mean()),
        median=float(np.median(known)),
        max=float(known.max()),
        se=float(known.std(ddof=1) / np.sqrt(len(known))) if several else None,
    )


def loss_errors(predicted: Column, measured: Column) -> LossErrors:
    """Errors of predicted losses [nats per token] of non-diverged runs.

    Args:
        predicted: losses a fit says.
        measured: losses that were measured; bias is mean(predicted - measured).

    Returns:
        r2 = 1 - sum(error^2) / sum((measured - mean)^2), None where all measured
        losses are equal; spearman (ties share their mean rank), None where either
        side is constant.

    Raises:
        DataError: different lengths, no run, or a loss that is not finite.
    """
    _same_length(predicted=predicted, measured=measured)
    if not len(measured):
        raise DataError("Expected at least one run to compare losses on, got none.")
    bad = np.flatnonzero(~(np.isfinite(predicted) & np.isfinite(measured)))
    if len(bad):
        row = int(bad[0])
        raise DataError(
            f"Expected finite losses, got predicted {predicted[row]} and measured "
            f"{measured[row]} in row {row}; leave diverged runs out."
        )
    error = predicted - measured
    total = float(np.sum((measured - measured.mean()) ** 2))
    is_flat = bool(np.all(measured == measured[0]))
    return LossErrors(
        r2=None if is_flat else 1.0 - float(np.sum(error**2)) / total,
        mae=float(np.abs(error).mean()),
        rmse=float(np.sqrt(np.mean(error**2))),
        bias=float(error.mean()),
        spearman=spearman(predicted, measured),
    )


def band(
    predicted_inside: Bool[np.ndarray, " _"],
    loss: Column,
    best: Column,
    tol: float,
) -> Band:
    """How well predicted plateau membership matches the measured losses.

    A run is inside when its loss is at most (1 + tol + 0.0008) x its cell's lowest.

    Args:
        predicted_inside: what a fit says of each run, all cells pooled.
        loss: measured losses [nats per token] of the same non-diverged runs.
        best: the lowest measured loss of each run's cell.
        tol: relative tolerance, a fraction.

    Returns:
        precision = right / said inside, recall = right / truly inside; None where the
        denominator is 0.

    Raises:
        DataError: different lengths, a loss below its cell's lowest or not finite, or
            a tolerance that is not positive.
    """
    _same_length(predicted_inside=predicted_inside, loss=loss, best=best)
    if not (np.isfinite(tol) and tol > 0):
        raise DataError(f"Expected a positive tolerance such as 0.0025, got {tol}.")
    bad = np.flatnonzero(~(np.isfinite(loss) & (loss >= best) & (best > 0)))
    if len(bad):
        row = int(bad[0])
        raise DataError(
            "Expected a finite loss not below its cell's lowest, got loss "
            f"{loss[row]} and lowest {best[row]} in row {row}; leave diverged runs "
            "out and take the lowest over the same runs."
        )
    inside = loss <= (1.0 + tol + BAND_NOISE) * best
    right = int(np.sum(inside & predicted_inside))
    said, true = int(predicted_inside.sum()), int(inside.sum())
    return Band(
        tol=float(tol),
        precision=right / said if said else None,
        recall=right / true if true else None,
    )


def _same_length(**columns: np.ndarray) -> None:
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise DataError(f"Expected arrays of one length, got {lengths}.")


def _settings(
    lr: np.ndarray, batch: np.ndarray, loss: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(ln lr, ln batch) [finite, 2] and loss [finite] of runs with a finite loss."""
    _same_length(lr=lr, batch=batch, loss=loss)
    for name, column in (("lr", lr), ("batch", batch)):
        bad = np.flatnonzero(~(np.isfinite(column) & (column > 0)))
        if len(bad):
            row = int(bad[0])
            raise DataError(
                f"Expected a positive {name} in every run, got {column[row]} in row "
                f"{row}; correct or drop that run."
            )
    bad = np.flatnonzero(np.isfinite(loss) & (loss <= 0))
    if len(bad):
        row = int(bad[0])
        raise DataError(
            f"Expected a positive loss in every run, got {loss[row]} in row {row}; "
            "correct or drop that run."
        )
    finite = np.isfinite(loss)
    u = np.stack([np.log(lr[finite]), np.log(batch[finite])], axis=1)
    return u.astype(np.float64), loss[finite].astype(np.float64)


def _point(at_lr: float, at_batch: float) -> np.ndarray:
    if not (0 < at_lr < np.inf and 0 < at_batch < np.inf):
        raise DataError(
            "Expected a positive learning rate and batch to score, got lr "
            f"{at_lr} and batch {at_batch}."
        )
    return np.array([np.log(at_lr), np.log(at_batch)])


def spearman(a: np.ndarray, b: np.ndarray) -> float | None:
    """Rank correlation; ties share their mean rank; None where a column is constant."""
    ranks = []
    for column in (a, b):
        _, inverse, count = np.unique(column, return_inverse=True, return_counts=True)
        if len(count) < 2:
            return None
        middle = np.cumsum(count) - (count - 1) / 2
        ranks.append(middle[inverse] - (len(column) + 1) / 2)
    x, y = ranks
    return float(x @ y / np.sqrt((x @ x) * (y @ y)))
