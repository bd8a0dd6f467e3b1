"""Scores on cells left out of the fit, and `auto`, which picks a family by them.

Two protocols: each cell in turn, which asks how well a family interpolates; and the
largest cells together, by each scale and by their product, which asks what it is worth
on the next, larger run. A score has three parts, all in ln loss: the regret of the
proposed setting, the error near the plateau, and the error over all runs that did not
diverge. Their sum over both protocols, of equal weight, is what `auto` compares.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from surrogate.base.late import Late
from surrogate.base.shapes import Bool, Float64, Int
from surrogate.data import WORSE, Runs
from surrogate.data.coordinates import Features, Rows
from surrogate.data.extrapolation import Leverage
from surrogate.families import Family
from surrogate.fitting.scores import (
    CellScore,
    Spread,
    mean_se,
    score_cell,
    spearman,
)
from surrogate_kernels.backends import Backend

if TYPE_CHECKING:
    from surrogate.fitting import irls
    from surrogate.numerics import least_squares
else:
    # Answers are scored by what is here, and wait for no fit.
    least_squares, irls = (
        Late("surrogate.numerics.least_squares"),
        Late("surrogate.fitting.irls"),
    )

ONE = "leave-one-cell-out"
LARGEST = "leave-largest-out"
# Of the cells, to see how sure a choice of family is; all refits are at hand.
RESAMPLES = 100
# Errors of ln loss count as near on runs this close to their cell's best.
NEAR = 0.02
MIN_CELLS = 3
# With fewer, what is left without the largest cells says too little.
MIN_CELLS_LARGEST = 6
# Of the cells, the largest of each scale that are left out together, at least.
_SHARES = (0.1, 0.25)
# Sizes that differ by less in ln are one.
_ALIKE = 0.05


class Folds(NamedTuple):
    """What is left out together, a line each.

    Attributes:
        protocol: `ONE` or `LARGEST`.
        name: for people.
        held: which cells.
    """

    protocol: tuple[str, ...]
    name: tuple[str, ...]
    held: Bool[np.ndarray, "folds cells"]


class HeldCell(NamedTuple):
    """One cell scored by a fit that did not see it.

    Attributes:
        fold: an index into `Folds`.
        cell: which.
        score: measured regret of the proposed setting.
        mae_ln: mean absolute error of ln loss near the cell's best.
        mae_wide: the same over all runs that did not diverge.
        distance: of the cell from the cells that were fitted; 1 is their edge.
    """

    fold: int
    cell: int
    score: CellScore
    mae_ln: float
    mae_wide: float
    distance: float


class HeldOut(NamedTuple):
    """Every left-out cell of every fold.

    Attributes:
        family: what was fitted.
        folds: what was left out.
        cells: scores.
        theta: of each fold's fit.
        error: target minus fitted ln loss of all rows, by each fold's fit.
        unsettled: folds whose fit had not converged.
    """

    family: Family
    folds: Folds
    cells: list[HeldCell]
    theta: Float64[np.ndarray, "folds p"]
    error: Float64[np.ndarray, "folds n"]
    unsettled: int = 0

    def of(self, protocol: str) -> list[HeldCell]:
        """The cells of one protocol's folds."""
        return [c for c in self.cells if self.folds.protocol[c.fold] == protocol]

    def summary(self, protocol: str = ONE) -> dict[str, Spread]:
        """Means over folds, of means over their cells, with standard errors.

        Folds of the largest cells overlap, so that their standard error is too small.
        """
        cells = self.of(protocol)
        columns = {
            "regret": [c.score["regret"] for c in cells],
            "regret_smoothed": [c.score["regret_smoothed"] for c in cells],
            "mae_ln": [c.mae_ln for c in cells],
            "mae_wide": [c.mae_wide for c in cells],
        }
        folds = [c.fold for c in cells]
        return {name: mean_se(_by_fold(folds, v)) for name, v in columns.items()}

    def total(self) -> float:
        """What `auto` compares: regret (smoothed where known) plus both errors."""
        cells = 1 + max(c.cell for c in self.cells)
        return float(self.totals_under(np.ones((1, cells)))[0])

    def totals_under(
        self, weights: Float64[np.ndarray, "replicas cells"]
    ) -> Float64[np.ndarray, " replicas"]:
        """`total` where cells count as often as a resample has them."""
        totals = np.zeros(len(weights))
        for protocol in dict.fromkeys(self.folds.protocol):
            cells = self.of(protocol)
            count = weights[:, [c.cell for c in cells]]
            fold = np.array([c.fold for c in cells])
            smoothed = [c.score["regret_smoothed"] for c in cells]
            has_none = all(value is None for value in smoothed)
            for column in (
                [c.score["regret"] for c in cells] if has_none else smoothed,
                [c.mae_ln for c in cells],
                [c.mae_wide for c in cells],
            ):
                values = np.array([np.nan if v is None else v for v in column], float)
                known = np.flatnonzero(~np.isnan(values))
                # A fold counts once, whatever the number of its cells.
                share = count[:, known] / np.bincount(fold[known])[fold[known]]
                mass = np.maximum(share.sum(axis=1), 1e-300)
                totals += share @ values[known] / mass
        return totals

    def is_whole(self) -> bool:
        """Whether every fold came to a number."""
        errors = [error for c in self.cells for error in (c.mae_ln, c.mae_wide)]
        return bool(np.isfinite(errors).all())

    def distance_rank(self) -> float | None:
        """Spearman's correlation of distance and error over the largest cells."""
        cells = self.of(LARGEST)
        if len(cells) < 3:
            return None
        distance = np.array([c.distance for c in cells])
        return spearman(distance, np.array([c.mae_wide for c in cells]))


def _by_fold(folds: list[int], values: list[float | None]) -> list[float | None]:
    """The mean of the known values of each fold."""
    found: list[float | None] = []
    for fold in dict.fromkeys(folds):
        known = [v for f, v in zip(folds, values, strict=True) if f == fold]
        known = [v for v in known if v is not None]
        found.append(float(np.mean(known)) if known else None)
    return found


def one_by_one(rows: Rows) -> Folds:
    """Each cell that has a row, in turn."""
    cells = np.unique(rows.cell)
    held = np.arange(len(rows.cell_s))[None] == cells[:, None]
    names = tuple(f"cell {cell}" for cell in cells.tolist())
    return Folds((ONE,) * len(cells), names, held)


def largest(runs: Runs, rows: Rows, features: Features) -> Folds:
    """The largest cells by each scale, and by the product of params and tokens.

    None where there are too few cells, or too few would be left.
    """
    cells = np.unique(rows.cell)
    axes = dict(zip(features.givens, features.cell_logs(runs).T, strict=True))
    if {"params", "tokens"} <= axes.keys():
        axes["params x tokens"] = axes["params"] + axes["tokens"]
    names: list[str] = []
    masks: list[np.ndarray] = []
    for name, values in axes.items() if len(cells) >= MIN_CELLS_LARGEST else ():
        for share in _SHARES:
            mask = _top(values, cells, share)
            seen = any((mask == other).all() for other in masks)
            if mask.any() and 2 * mask.sum() <= len(cells) and not seen:
                names.append(f"{name} >= {np.exp(values[mask].min()):.3g}")
                masks.append(mask)
    held = np.array(masks, dtype=bool).reshape(len(masks), len(rows.cell_s))
    return Folds((LARGEST,) * len(masks), tuple(names), held)


def _top(
    values: Float64[np.ndarray, " cells"], cells: np.ndarray, share: float
) -> Bool[np.ndarray, " cells"]:
    """The cells of the largest values, at least this share of them; alike together."""
    kept = values[cells]
    floor = np.sort(kept)[-max(1, int(np.ceil(share * len(cells))))] - _ALIKE
    mask = np.zeros(len(values), dtype=bool)
    mask[cells] = kept >= floor
    return mask


def both(runs: Runs, rows: Rows, features: Features) -> Folds:
    """Folds of both protocols: one batch of fits."""
    first, second = one_by_one(rows), largest(runs, rows, features)
    return Folds(
        first.protocol + second.protocol,
        first.name + second.name,
        np.concatenate([first.held, second.held]),
    )


def leave_out(
    family: Family,
    features: Features,
    rows: Rows,
    runs: Runs,
    box: Float64[np.ndarray, "2 choices"],
    folds: Folds,
    *,
    seed: int = 0,
    backend: Backend = "numpy",
    progress: least_squares.Progress | None = None,
) -> HeldOut:
    """Fit without the cells of each fold and ask for their optima and losses.

    Only the standardisation of the coordinates sees all cells.
    """
    counts = (~folds.held[:, rows.cell]).astype(np.float64)
    fits = irls.estimate(
        family, rows, counts, box, seed=seed, backend=backend, progress=progress
    )
    theta, surface = fits.solution.theta, fits.surface
    settled = irls.is_settled(fits.solution, len(rows.target))
    found = read(family, features, rows, runs, folds, theta, surface)
    return found._replace(unsettled=int((~settled).sum()))


def read(
    family: Family,
    features: Features,
    rows: Rows,
    runs: Runs,
    folds: Folds,
    theta: Float64[np.ndarray, "folds p"],
    surface: irls.Surface,
) -> HeldOut:
    """Score what was fitted without the cells of each fold."""
    error = rows.target - surface.fitted
    s = features.cell_logs(runs)
    usable = np.unique(rows.cell)
    found = []
    for fold, held in enumerate(folds.held):
        fitted = usable[~held[usable]]
        leverage = Leverage.of_cells(s[fitted]) if features.givens else None
        off = np.abs(error[fold])
        for cell in np.flatnonzero(held).tolist():
            members = rows.cell == cell
            near = members & is_near(rows, cell)
            proposed = features.from_u(surface.cell_u[fold, cell])
            found.append(
                HeldCell(
                    fold,
                    cell,
                    score(runs, cell, features, proposed),
                    float(off[near].mean()),
                    float(off[members].mean()),
                    float(leverage.distance(s[[cell]])[0]) if leverage else 0.0,
                )
            )
    return HeldOut(family, folds, found, theta, error)


def is_near(rows: Rows, cell: int) -> Bool[np.ndarray, " n"]:
    """Which rows are low enough to count as near this cell's best."""
    return rows.target <= rows.target[rows.cell == cell].min() + np.log1p(NEAR)


def score(
    runs: Runs, cell: int, features: Features, proposed: Float64[np.ndarray, " u"]
) -> CellScore:
    """Read a proposal off a cell; a setting that is not fitted is the cell's own."""
    lr, batch, loss = measured(runs, cell)
    at = dict(zip(features.choices, proposed.tolist(), strict=True))
    return score_cell(
        lr,
        batch,
        loss,
        at.get("lr", float(np.median(lr))),
        at.get("batch", float(np.median(batch))),
    )


def measured(
    runs: Runs, cell: int
) -> tuple[
    Float64[np.ndarray, " _"], Float64[np.ndarray, " _"], Float64[np.ndarray, " _"]
]:
    """A cell's levels of lr, batches [tokens] and losses, as proposals are read off.

    Diverged runs take part, since next to one is no good place, but at most at 25 %
    over the cell's best: beyond it a loss (some dumps hold 1e13) says no more than
    that. What is set aside is not read off.
    """
    members = (runs.cell == cell) & (runs.usable | runs.diverged)
    mark = (1 + WORSE) * runs.cells[cell].best
    loss = np.where(
        runs.diverged[members], np.fmin(runs.loss[members], mark), runs.loss[members]
    )
    return runs.lr_level[members], runs.batch[members], loss


def choose(
    candidates: Mapping[str, HeldOut],
    asked: str | None = None,
    weights: Mapping[str, float] | None = None,
) -> tuple[str, dict[str, Any]]:
    """The candidate asked for, else that of the lowest total, and what is said of it.

    `margin` is how much lower its total is than the best of the others; `shares`, how
    often each would have been chosen had other cells been run, by resampling them;
    `weights` are those of a mix.
    """
    totals = {name: held.total() for name, held in candidates.items()}
    chosen = asked or min(totals, key=lambda name: totals[name])
    others = [total for name, total in totals.items() if name != chosen]
    best = candidates[chosen]
    protocols = list(dict.fromkeys(best.folds.protocol))
    return chosen, {
        "protocol": " + ".join(protocols),
        "chosen": chosen,
        "totals": totals,
        "margin": min(others) - totals[chosen] if others else None,
        "shares": _shares(candidates),
        "weights": dict(weights) if weights else None,
        "folds": list(best.folds.name),
        "parts": {
            name: {
                protocol: {k: v["mean"] for k, v in held.summary(protocol).items()}
                for protocol in protocols
            }
            for name, held in candidates.items()
        },
        "distance_rank_correlation": best.distance_rank(),
        "distance_rank_correlations": {
            name: held.distance_rank() for name, held in candidates.items()
        },
    }


def winners(
    candidates: Sequence[HeldOut], counts: Float64[np.ndarray, "replicas cells"]
) -> Int[np.ndarray, " replicas"]:
    """Which candidate has the lowest total where cells count as often as they do."""
    totals = np.stack([held.totals_under(counts) for held in candidates])
    return np.argmin(totals, axis=0)


def _shares(candidates: Mapping[str, HeldOut]) -> dict[str, float]:
    """How often each candidate has the lowest total among resampled cells."""
    first = next(iter(candidates.values()))
    cells = np.unique([c.cell for c in first.cells])
    drawn = np.random.default_rng(0).integers(0, len(cells), (RESAMPLES, len(cells)))
    weights = np.zeros((RESAMPLES, int(cells.max()) + 1))
    for weight, at in zip(weights, cells[drawn], strict=True):
        np.add.at(weight, at, 1.0)
    best = winners(list(candidates.values()), weights)
    return {name: float(np.mean(best == k)) for k, name in enumerate(candidates)}
