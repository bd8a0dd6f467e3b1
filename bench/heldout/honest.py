"""What answers say of how sure they are, on cells of Step Law's dense dump left out.

Membership of the plateau, the probability of divergence, and predictive intervals: each
asked of a fit that did not see the cell.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from scipy.special import expit

from heldout.baselines import Ols15, near_best
from heldout.surrogates import SEED
from heldout.tables import new_table
from surrogate import families
from surrogate.data import Runs
from surrogate.data.coordinates import Features, Rows, settings_of
from surrogate.families import Family, Shape
from surrogate.fitting import intervals, irls
from surrogate.fitting.objective import measure_noise
from surrogate.fitting.scores import band
from surrogate.fitting.stability import Stability

TOLS = (0.0025, 0.005, 0.01)
FAMILIES = ("bowl", "posynomial", "quadratic")
# The family whose intervals are tried: what `auto` takes here.
INTERVALS_OF = "bowl"
# Predictive intervals count on runs this close to their cell's best.
WITHIN = 0.05
# Runs of a cell near enough to fit the cubic that the oracle reads its band off.
_ORACLE_WITHIN = 0.02


class Folds(NamedTuple):
    """One family fitted without each cell in turn.

    Attributes:
        family: what was fitted.
        fits: one a cell.
        counts: which rows each fit had.
    """

    family: Family
    fits: irls.Estimate
    counts: np.ndarray


def honest(runs: Runs) -> dict[str, Any]:
    """All rows, as numbers."""
    features = Features.of(runs)
    rows = features.rows(runs)
    folds = {name: _folds(name, features, rows) for name in FAMILIES}
    return {
        "band": _bands(runs, features, rows, folds),
        "divergence": _divergence(runs),
        "intervals": {"family": INTERVALS_OF}
        | _intervals(runs, features, rows, folds[INTERVALS_OF]),
    }


def _folds(name: str, features: Features, rows: Rows) -> Folds:
    shape = Shape(len(features.choices), len(features.givens), features.offsets)
    family = families.make(name, shape, 3)
    counts = (rows.cell != np.unique(rows.cell)[:, None]).astype(np.float64)
    fits = irls.estimate(family, rows, counts, features.box(), seed=SEED)
    return Folds(family, fits, counts)


def _bands(
    runs: Runs, features: Features, rows: Rows, folds: dict[str, Folds]
) -> list[dict[str, Any]]:
    """Precision and recall of plateau membership at each tolerance."""
    own = np.arange(len(rows.target))
    excess = {
        f"surrogate, {name}": found.fits.surface.excess[rows.cell, own]
        for name, found in folds.items()
    }
    excess["15-parameter OLS"] = _ols(runs, features, rows)
    excess["oracle: a cubic of the cell itself"] = _oracle(rows)
    loss = runs.loss[runs.usable]
    best = np.array([c.best for c in runs.cells])[rows.cell]
    found = []
    for tol in TOLS:
        inside = {name: values <= np.log1p(tol) for name, values in excess.items()}
        ours = folds[INTERVALS_OF]
        inside["constant width"] = _constant(rows, ours, tol)
        found += [
            {"method": name, **band(mask, loss, best, tol)}
            | {"se": _band_se(mask, loss, best, tol, rows.cell)}
            for name, mask in inside.items()
        ]
    return found


def _band_se(
    mask: np.ndarray, loss: np.ndarray, best: np.ndarray, tol: float, cell: np.ndarray
) -> dict[str, float]:
    """Standard errors by resampling cells."""
    rng = np.random.default_rng(SEED)
    groups = [np.flatnonzero(cell == k) for k in np.unique(cell)]
    drawn = []
    for _ in range(500):
        at = np.concatenate(
            [groups[k] for k in rng.integers(0, len(groups), len(groups))]
        )
        one = band(mask[at], loss[at], best[at], tol)
        drawn.append([one["precision"] or np.nan, one["recall"] or np.nan])
    precision, recall = np.nanstd(drawn, axis=0)
    return {"precision": float(precision), "recall": float(recall)}


def _ols(runs: Runs, features: Features, rows: Rows) -> np.ndarray:
    """Excess of each run over the optimum of the regression without its cell."""
    x = _logs(runs)[runs.usable]
    loss = runs.loss[runs.usable]
    low, high = np.log(np.array([features.fitted[n] for n in ("lr", "batch")])).T
    excess = np.empty(len(x))
    for cell in np.unique(rows.cell):
        held = rows.cell == cell
        kept = np.flatnonzero(~held)[near_best(loss[~held], rows.cell[~held], 0.01)]
        model = Ols15(x[kept], np.log(loss[kept]))
        s = x[held][0, 2:]
        place = model.argmin(s, low - np.log(4), high + np.log(4))
        least = model.log_loss(np.concatenate([place, s])[None])[0]
        excess[held] = model.log_loss(x[held]) - least
    return excess


def _logs(runs: Runs) -> np.ndarray:
    """Logarithms of the four settings, one row a run."""
    columns = settings_of(runs)
    return np.log(
        np.stack([columns[n] for n in ("lr", "batch", "params", "tokens")], 1)
    )


def _oracle(rows: Rows) -> np.ndarray:
    """Excess of each run by a cubic through its own cell: what no fit can know."""
    excess = np.empty(len(rows.target))
    for cell in np.unique(rows.cell):
        held = rows.cell == cell
        u, y = rows.z[held, :2], rows.target[held]
        terms = np.stack(
            [u[:, 0] ** i * u[:, 1] ** j for i in range(4) for j in range(4 - i)], 1
        )
        near = y <= y.min() + np.log1p(_ORACLE_WITHIN)
        fitted = terms @ np.linalg.lstsq(terms[near], y[near], rcond=None)[0]
        # Beyond the runs that it was fitted to, a cubic is no guide: the run itself is.
        value = np.where(near, fitted, y)
        excess[held] = value - value.min()
    return excess


def _constant(rows: Rows, ours: Folds, tol: float) -> np.ndarray:
    """A box of one size about each optimum: the other cells' mean half-width."""
    surface = ours.fits.surface
    inside = np.zeros(len(rows.target), dtype=bool)
    cells = np.unique(rows.cell)
    for fold, cell in enumerate(cells):
        halves = []
        for other in cells[cells != cell]:
            mine = rows.cell == other
            within = mine & (
                rows.target <= rows.target[mine].min() + np.log1p(tol + 8e-4)
            )
            halves.append(0.5 * np.ptp(rows.z[within, :2], axis=0))
        half = np.mean(halves, axis=0)
        off = np.abs(rows.z[:, :2] - surface.cell_u[fold, cell])
        inside |= (rows.cell == cell) & (off <= half).all(axis=1)
    return inside


def _divergence(runs: Runs) -> list[dict[str, Any]]:
    """AUC and Brier score of the probability of divergence, cells left out."""
    columns = settings_of(runs)
    ours, plain = np.empty(len(runs)), np.empty(len(runs))
    x = _logs(runs)
    for cell in range(len(runs.cells)):
        held = runs.cell == cell
        model = Stability.of(runs.subset(~held))
        assert model is not None
        ours[held] = model.probability({n: v[held] for n, v in columns.items()})
        plain[held] = _logistic(x[~held], runs.diverged[~held], x[held])
    return [
        {
            "method": name,
            "auc": _auc(p, runs.diverged),
            "brier": float(np.mean((p - runs.diverged) ** 2)),
        }
        for name, p in (("surrogate", ours), ("plain logistic regression", plain))
    ]


def _logistic(x: np.ndarray, y: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Maximum likelihood by Newton's method, nothing bound."""
    centre = x.mean(axis=0)

    def design(points: np.ndarray) -> np.ndarray:
        return np.concatenate([np.ones((len(points), 1)), points - centre], axis=1)

    a, beta = design(x), np.zeros(x.shape[1] + 1)
    for _ in range(50):
        p = expit(a @ beta)
        hessian = (a * (p * (1 - p))[:, None]).T @ a + 1e-9 * np.eye(len(beta))
        beta = beta - np.linalg.solve(hessian, a.T @ (p - y))
    return expit(design(at) @ beta)


def _auc(p: np.ndarray, y: np.ndarray) -> float:
    """Chance that a diverged run has the larger probability than one that did not."""
    yes, no = p[y][:, None], p[~y][None]
    return float(np.mean((yes > no) + 0.5 * (yes == no)))


def _intervals(
    runs: Runs, features: Features, rows: Rows, ours: Folds
) -> dict[str, Any]:
    """Share of held-out runs inside their predictive interval, and the widths.

    Each fold's own leaves are its fit without one more cell.
    """
    cells = np.unique(rows.cell)
    near = near_best(runs.loss[runs.usable], rows.cell, WITHIN)
    covered, width, by_cell = [], [], {}
    t = intervals.student(len(cells) - 1)
    for fold, cell in enumerate(cells):
        counts = ours.counts[fold]
        others = cells[cells != cell]
        pairs = counts * (rows.cell != others[:, None])
        theta, weights = ours.fits.solution.theta[fold], ours.fits.weights[fold]
        leaves = irls.refit_without(
            ours.family, rows, weights, pairs, theta, features.box()
        ).theta
        surface = ours.fits.surface
        kept = counts > 0
        residual = rows.target - surface.fitted[fold]
        noise = measure_noise(
            residual[kept], surface.excess[fold][kept], rows.cell[kept]
        )
        held = near & (rows.cell == cell)
        moved = irls.evaluate(ours.family, rows, leaves, features.box()).fitted
        spread = intervals.standard_error(surface.fitted[fold][held], moved[:, held])
        inner = noise.within(surface.excess[fold][held])
        half = t * np.sqrt(spread**2 + noise.cell**2 + inner**2)
        hits = np.abs(residual[held]) <= half
        covered.append(hits)
        width.append(2 * half)
        by_cell[str(runs.cells[cell])] = float(hits.mean())
    return {
        "pooled": float(np.concatenate(covered).mean()),
        "worst_cell": min(by_cell.values()),
        "by_cell": by_cell,
        "median_width": float(np.median(np.concatenate(width))),
        "runs": int(near.sum()),
    }


def show_honest(found: dict[str, Any]) -> None:
    """The three tables."""
    console = Console(width=88)
    table = new_table(
        "Band on cells left out: precision / recall",
        *(f"tol {100 * tol:g} %" for tol in TOLS),
    )
    for name in dict.fromkeys(row["method"] for row in found["band"]):
        parts = [row for row in found["band"] if row["method"] == name]
        table.add_row(
            name, *(f"{p['precision']:.2f} / {p['recall']:.2f}" for p in parts)
        )
    console.print(table)
    table = new_table("Divergence, cells left out", "AUC", "Brier")
    for row in found["divergence"]:
        table.add_row(row["method"], f"{row['auc']:.4f}", f"{row['brier']:.4f}")
    console.print(table)
    part = found["intervals"]
    console.print(
        f"95 % predictive intervals of {part['family']}, cells left out, "
        f"{part['runs']} runs within 5 % of the best: {100 * part['pooled']:.1f} % "
        f"inside, worst cell {100 * part['worst_cell']:.0f} %, median width "
        f"{1e3 * part['median_width']:.1f} permille",
        highlight=False,
    )
