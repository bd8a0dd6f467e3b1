"""Accuracy on cells that were left out of the fit, beside baselines.

    python bench/accuracy.py [--json]

Reads the Step Law dense dump in SURROGATE_DATA. Every method is fitted without a cell
and then asked for that cell's best (lr, batch) and for its losses; the published law
needs no fit. Prints a table (--json: leaves it out) and, as its last line, one JSON
document.

Columns: mean over the 17 cells with its standard error. `regret` is the loss measured
at the proposal over the cell's lowest, minus 1; `smoothed` the same on a local cubic;
`error of ln L` the mean absolute error on the held-out cell's runs within 2 % of its
best. How each is read off is defined in surrogate/scores.py.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from baselines import Ols15, near_best, step_law_recipe
from data import data_dir
from rich.console import Console
from rich.table import Table

import surrogate
from surrogate import families, fitting, selection
from surrogate.families import Shape
from surrogate.features import Features
from surrogate.runs import Runs
from surrogate.scores import Spread, mean_se, score_cell

FILE = "steplaw/dense_lr_bs_loss.csv"
SEED = 0
# Step Law's authors take the runs this near to their cell's best.
RECIPE_WITHIN = 0.0025
Proposal = tuple[float, float]
Scores = dict[str, Spread | None]


def main() -> None:
    """Score every method and print the table and the document."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="no table")
    arguments = parser.parse_args()
    runs = surrogate.read_runs(data_dir() / FILE)
    rows = []
    for name, held_out, score in methods(runs):
        start = time.perf_counter()
        scores = score()
        seconds = time.perf_counter() - start
        rows.append({"method": name, "held_out": held_out, **scores} | {"s": seconds})
    if not arguments.json:
        print_table(rows)
    document = {
        "bench": "accuracy",
        "protocol": "leave-one-cell-out",
        "file": FILE,
        "sha256": runs.sources[0].sha256,
        "cells": len(runs.cells),
        "runs": len(runs),
        "diverged": int(runs.diverged.sum()),
        "versions": fitting.versions(),
        "rows": rows,
    }
    print(json.dumps(document, allow_nan=False))


def methods(runs: Runs) -> Iterator[tuple[str, bool, Callable[[], Scores]]]:
    """Name, whether it is scored on cells that it has not seen, and its scores."""
    for family in families.NAMES:
        name = f"{family} K = 3" if family == "posynomial" else family
        yield f"surrogate, {name}", True, lambda f=family: surrogate_scores(runs, f)
    for within in (0.005, 0.01, 0.02):
        name = f"15-parameter OLS within {within:.1%}"
        yield name, True, lambda w=within: ols_scores(runs, w)
    for in_batch in (False, True):
        name = "Step Law's recipe" + (", N in batch" if in_batch else "")
        yield name, True, lambda n=in_batch: recipe_scores(runs, n)
    yield "Step Law published", False, lambda: law_scores(runs)


def surrogate_scores(runs: Runs, family: str) -> Scores:
    """Scores of one of our families."""
    features = Features.of(runs)
    shape = Shape(len(features.choices), len(features.givens), features.offsets)
    member = families.make(family, shape, fitting.DEFAULT_TERMS)
    held = selection.leave_one_cell_out(
        member, features, features.rows(runs), runs, features.box(), seed=SEED
    )
    return dict(held.summary())


def ols_scores(runs: Runs, within: float) -> Scores:
    """Full quadratic in the four logs, ordinary least squares on near-best runs."""
    x = np.log(np.stack([runs.lr_level, runs.batch, runs.params, runs.tokens], axis=1))
    usable = near_best(runs.loss, runs.cell, within) & ~runs.diverged
    low, high = x[:, :2].min(axis=0), x[:, :2].max(axis=0)

    def propose(cell: int) -> tuple[Proposal, float]:
        kept = usable & (runs.cell != cell)
        model = Ols15(x[kept], np.log(runs.loss[kept]))
        here = np.flatnonzero(runs.cell == cell)
        u = model.argmin(x[here[0], 2:], low, high)
        near = here[near_best(runs.loss, runs.cell, selection.NEAR)[here]]
        error = np.abs(model.log_loss(x[near]) - np.log(runs.loss[near])).mean()
        lr, batch = np.exp(u)
        return (float(lr), float(batch)), float(error)

    return collect(runs, propose)


def recipe_scores(runs: Runs, is_params_in_batch: bool) -> Scores:
    """Power laws through the near-best runs of the other cells."""
    best = near_best(runs.loss, runs.cell, RECIPE_WITHIN)

    def propose(cell: int) -> tuple[Proposal, None]:
        kept = best & (runs.cell != cell)
        law = step_law_recipe(
            runs.lr_level[kept],
            runs.batch[kept],
            runs.params[kept],
            runs.tokens[kept],
            is_params_in_batch=is_params_in_batch,
        )
        at = runs.cells[cell]
        lr, batch = law(at.params, at.tokens)
        return (float(lr), float(batch)), None

    return collect(runs, propose)


def law_scores(runs: Runs) -> Scores:
    """Li et al. 2025, equation 1; its authors fitted it to these very cells."""

    def propose(cell: int) -> tuple[Proposal, None]:
        at = runs.cells[cell]
        lr = 1.79 * at.params**-0.713 * at.tokens**0.307
        return (lr, 0.58 * at.tokens**0.571), None

    return collect(runs, propose)


def collect(
    runs: Runs, propose: Callable[[int], tuple[Proposal, float | None]]
) -> Scores:
    """Read a method's proposals off every cell."""
    scored, errors = [], []
    for cell in range(len(runs.cells)):
        (lr, batch), error = propose(cell)
        members = runs.cell == cell
        scored.append(
            score_cell(
                runs.lr_level[members],
                runs.batch[members],
                runs.loss[members],
                lr,
                batch,
            )
        )
        errors.append(error)
    return {
        "regret": mean_se([row["regret"] for row in scored]),
        "regret_smoothed": mean_se([row["regret_smoothed"] for row in scored]),
        "mae_ln": mean_se(errors) if any(e is not None for e in errors) else None,
    }


def print_table(rows: list[dict[str, Any]]) -> None:
    """Permille, for people."""
    table = Table(title="Left-out cells of the Step Law dense dump, permille")
    table.add_column("method")
    for column in ("regret", "smoothed", "error of ln L", "seconds"):
        table.add_column(column, justify="right")
    for row in rows:
        name = row["method"] + ("" if row["held_out"] else " (in-sample)")
        parts = [row[key] for key in ("regret", "regret_smoothed", "mae_ln")]
        table.add_row(name, *map(_permille, parts), f"{row['s']:.1f}")
    Console(width=88).print(table)


def _permille(spread: Spread | None) -> str:
    if spread is None or spread["mean"] is None:
        return "-"
    return f"{1e3 * spread['mean']:.2f} +- {1e3 * (spread['se'] or 0):.2f}"


if __name__ == "__main__":
    main()
