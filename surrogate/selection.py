"""Scores on cells left out of the fit, and `auto`, which picks a family by them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64

from surrogate import estimate
from surrogate.engine import Progress
from surrogate.families import Family
from surrogate.features import Features, Rows
from surrogate.runs import DIVERGED_EXCESS, Runs
from surrogate.scores import CellScore, Spread, mean_se, score_cell

# Errors of ln loss count on runs this near to their cell's best: there one chooses.
NEAR = 0.02
MIN_CELLS = 3


class HeldOut(NamedTuple):
    """Every cell scored by a fit that did not see it.

    Attributes:
        family: what was fitted.
        cells: a score a cell: measured regret of the proposed setting.
        mae_ln: a cell's mean absolute error of ln loss near its best.
    """

    family: Family
    cells: list[CellScore]
    mae_ln: list[float | None]

    def summary(self) -> dict[str, Spread]:
        """Means over cells with standard errors."""
        return {
            "regret": mean_se([cell["regret"] for cell in self.cells]),
            "regret_smoothed": mean_se(
                [cell["regret_smoothed"] for cell in self.cells]
            ),
            "mae_ln": mean_se(self.mae_ln),
        }

    def total(self) -> float:
        """What `auto` compares: regret (smoothed where known) plus error of ln loss."""
        parts = self.summary()
        regret = parts["regret_smoothed"]["mean"]
        regret = parts["regret"]["mean"] if regret is None else regret
        error = parts["mae_ln"]["mean"]
        return (regret or 0.0) + (error if error is not None else np.inf)


def leave_one_cell_out(
    family: Family,
    features: Features,
    rows: Rows,
    runs: Runs,
    box: Float64[np.ndarray, "2 choices"],
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> HeldOut:
    """Fit without each cell in turn and ask for that cell's optimum and losses.

    Only the standardisation of the coordinates sees all cells.
    """
    held = np.unique(rows.cell)
    counts = np.stack([(rows.cell != cell).astype(np.float64) for cell in held])
    fits = estimate.estimate(family, rows, counts, box, seed=seed, progress=progress)
    scores, errors = [], []
    for fold, cell in enumerate(held):
        members = rows.cell == cell
        residual = rows.target - fits.surface.fitted[fold]
        best = rows.target[members].min()
        near = members & (rows.target <= best + np.log1p(NEAR))
        errors.append(float(np.abs(residual[near]).mean()))
        proposed = features.from_u(fits.surface.cell_u[fold, cell])
        scores.append(score(runs, int(cell), features, proposed))
    return HeldOut(family, scores, errors)


def score(
    runs: Runs, cell: int, features: Features, proposed: Float64[np.ndarray, " u"]
) -> CellScore:
    """Read a proposal off a cell; a setting that is not fitted is the cell's own.

    Diverged runs take part, since next to one is no good place, but at the mark of
    25 % over the cell's best that makes them so: beyond it a loss (some dumps hold
    1e13) says no more than that.
    """
    members = runs.cell == cell
    mark = (1 + DIVERGED_EXCESS) * runs.cells[cell].best
    loss = np.where(
        runs.diverged[members], np.fmin(runs.loss[members], mark), runs.loss[members]
    )
    lr, batch = runs.lr_level[members], runs.batch[members]
    at = dict(zip(features.choices, proposed.tolist(), strict=True))
    return score_cell(
        lr,
        batch,
        loss,
        at.get("lr", float(np.median(lr))),
        at.get("batch", float(np.median(batch))),
    )


def choose(candidates: Mapping[str, HeldOut]) -> tuple[str, dict[str, Any]]:
    """The candidate of the lowest total, and what the manifest says of the choice."""
    totals = {name: held.total() for name, held in candidates.items()}
    ranked = sorted(totals, key=lambda name: totals[name])
    return ranked[0], {
        "protocol": "leave-one-cell-out",
        "chosen": ranked[0],
        "totals": totals,
        "margin": totals[ranked[1]] - totals[ranked[0]] if len(ranked) > 1 else None,
    }
