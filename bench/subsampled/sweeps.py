"""Released sweeps by cell, the best of each, and small tables taken from them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from surrogate import Runs, read_runs

# Runs this near the best of their cell [ln loss] tell where it is.
NEAR, LEAST, SCALE = 0.02, 9, 0.01
# A best so far beyond what was run [ln] is none.
BEYOND = 0.3
KINDS = ("scatter", "line", "cross", "grid")
MOST_RUNS = 14
Key = tuple[float, float]


@dataclass(frozen=True)
class Cell:
    """All runs of one size.

    Attributes:
        runs: lr, batch, params, tokens and loss, each row one [runs, 5].
        best: lr and batch of a parabola over ln lr and ln batch; None without one.
        ln_loss: its lowest value; NaN likewise.
    """

    runs: np.ndarray
    best: tuple[float, float] | None
    ln_loss: float

    @classmethod
    def of(cls, runs: np.ndarray) -> Cell:
        """By least squares of the runs near the lowest, the nearer the heavier."""
        y = np.log(runs[:, 4])
        above = y - y.min()
        near = above < max(NEAR, np.sort(above)[min(LEAST, len(y)) - 1] + 1e-9)
        u = np.log(runs[near, :2])
        centre = u.mean(axis=0)
        x = (u - centre).T
        terms = np.stack([x[0] ** 0, *x, x[0] ** 2, x[0] * x[1], x[1] ** 2], axis=1)
        weight = np.exp(-0.5 * (above[near] / SCALE) ** 2)[:, None]
        fitted, _, rank, _ = np.linalg.lstsq(
            terms * weight, y[near] * weight[:, 0], rcond=1e-9
        )
        if rank < terms.shape[1]:
            return cls(runs, None, np.nan)
        hessian = np.array([[2 * fitted[3], fitted[4]], [fitted[4], 2 * fitted[5]]])
        if np.linalg.eigvalsh(hessian)[0] <= 1e-4:
            return cls(runs, None, np.nan)
        at = -np.linalg.solve(hessian, fitted[1:3])
        if (np.abs(at) > np.abs(x).max(axis=1) + BEYOND).any():
            return cls(runs, None, np.nan)
        lr, batch = np.exp(at + centre).tolist()
        return cls(runs, (lr, batch), float(fitted[0] + 0.5 * fitted[1:3] @ at))


def sweeps(folder: Path) -> dict[str, dict[Key, Cell]]:
    """Step Law's dense runs and mixtures, and OpenEuroLLM's, by name and size."""
    dense = read_runs(folder / "steplaw" / "dense_lr_bs_loss.csv")
    moe = read_runs(folder / "steplaw" / "moe_lr_bs_loss.csv")
    europe = next((folder / "openeurollm").glob("*.csv"))
    found = {"step law": _cells(dense), "openeurollm": _cells(read_runs(europe))}
    for name in sorted(set(moe.recipe.tolist())):
        found[f"mixture {name}"] = _cells(moe, moe.recipe == name)
    return found


def _cells(runs: Runs, kept: np.ndarray | None = None) -> dict[Key, Cell]:
    columns = (runs.lr, runs.batch, runs.params, runs.tokens, runs.loss)
    rows = np.stack([np.asarray(column) for column in columns], axis=1)
    rows = rows[(slice(None) if kept is None else kept)]
    rows = rows[np.isfinite(rows).all(axis=1)]
    keys = sorted({(n, d) for _, _, n, d, _ in rows.tolist()})
    return {k: Cell.of(rows[(rows[:, 2] == k[0]) & (rows[:, 3] == k[1])]) for k in keys}


def small_table(
    rng: np.random.Generator, cells: dict[Key, Cell]
) -> tuple[str, list[Key], np.ndarray]:
    """The kind, the sizes and the runs of a table of one to nine cells."""
    kind = str(rng.choice([*KINDS, "mixed"]))
    count = int(rng.choice([1, 2, 3, 4, 6, 9], p=[0.1, 0.15, 0.2, 0.2, 0.2, 0.15]))
    names = list(cells)
    order = rng.permutation(len(names))[:count]
    chosen = [names[k] for k in order]
    rows = []
    for key in chosen:
        how = str(rng.choice(KINDS)) if kind == "mixed" else kind
        rows.append(_some(rng, how, cells[key].runs))
    return kind, chosen, np.concatenate(rows)


def _some(rng: np.random.Generator, how: str, runs: np.ndarray) -> np.ndarray:
    """A few runs of a cell: at random, along lr, along both, or a coarse grid."""
    lrs, batches = np.unique(runs[:, 0]), np.unique(runs[:, 1])
    quarter = len(lrs) // 4
    lr = rng.choice(lrs[quarter : max(quarter + 1, 3 * quarter)])
    batch = rng.choice(batches)
    if how == "scatter":
        kept = rng.permutation(len(runs))[: int(rng.integers(4, 16))]
    elif how == "line":
        kept = np.flatnonzero(runs[:, 1] == batch)
    elif how == "cross":
        kept = np.flatnonzero((runs[:, 1] == batch) | np.isclose(runs[:, 0], lr))
    else:
        some = [
            x[int(rng.integers(2)) :: int(rng.integers(2, 4))] for x in (lrs, batches)
        ]
        kept = np.flatnonzero(
            np.isin(runs[:, 0], some[0]) & np.isin(runs[:, 1], some[1])
        )
    return runs[rng.permutation(kept)[:MOST_RUNS]]
