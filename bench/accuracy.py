"""Accuracy on cells that were left out of the fit, beside baselines.

    python bench/accuracy.py [--json] [--no-auto]

Reads the Step Law dense dump in SURROGATE_DATA. Two protocols: each of the 17 cells
left out in turn; and six folds that leave the largest out together (params > 1e9;
params > 5e8; tokens >= 8e10; tokens >= 4e10; the cells (1.074B, 56.9B), (537M, 50B) and
(1.074B, 20B); the six cells of largest params x tokens). Every method is fitted without
the cells of a fold and then asked for their best (lr, batch) and for their losses; the
published law needs no fit. `auto` chooses its family on the cells of each fold's
training part alone. Prints a table a protocol (--json: leaves them out) and, as its
last line, one JSON document.

Columns: mean over folds, of means over a fold's cells, with its standard error; the six
folds overlap, so that theirs is too small. `regret` is the loss measured at the
proposal over the cell's lowest, minus 1; `smoothed` the same on a local cubic; `error
of ln L` the mean absolute error on the held-out runs within 2 % (one cell) or 10 % (the
largest) of their cell's best. How each is read off is in surrogate/scores.py.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from baselines import Ols15, near_best, step_law_recipe
from data import data_dir
from rich.console import Console
from rich.table import Table

import surrogate
from surrogate import estimate, families, fitting, selection
from surrogate.families import Shape
from surrogate.features import Features
from surrogate.runs import Runs
from surrogate.scores import Spread, mean_se

FILE = "steplaw/dense_lr_bs_loss.csv"
SEED = 0
# Step Law's authors take the runs this near to their cell's best.
RECIPE_WITHIN = 0.0025
# Cells of one of the six folds: params, tokens.
THREE = ((1.074e9, 5.69e10), (5.37e8, 5e10), (1.074e9, 2e10))
ALIKE = 0.02


class Protocol(NamedTuple):
    """Cells left out together, a line a fold, and how near the best errors count."""

    name: str
    folds: list[str]
    held: np.ndarray
    within: float


class Answer(NamedTuple):
    """What a method says of a cell: its lr, batch, and ln loss of its runs or None."""

    lr: float
    batch: float
    log_loss: np.ndarray | None


# Fitted to the cells that are not held, asked for those that are: an answer a cell.
Method = Callable[[Runs, np.ndarray], dict[int, Answer]]


def main() -> None:
    """Score every method and print the tables and the document."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="no tables")
    parser.add_argument("--no-auto", action="store_true", help="skip auto (minutes)")
    arguments = parser.parse_args()
    runs = surrogate.read_runs(data_dir() / FILE)
    tables = {}
    for protocol in protocols(runs):
        rows = []
        for name, held_out, score in methods(runs, protocol, not arguments.no_auto):
            start = time.perf_counter()
            scores = score()
            seconds = time.perf_counter() - start
            rows.append({"method": name, "held_out": held_out, **scores, "s": seconds})
        tables[protocol.name] = {"folds": protocol.folds, "rows": rows}
        if not arguments.json:
            print_table(protocol, rows)
    document = {
        "bench": "accuracy",
        "file": FILE,
        "sha256": runs.sources[0].sha256,
        "cells": len(runs.cells),
        "runs": len(runs),
        "diverged": int(runs.diverged.sum()),
        "versions": fitting.versions(),
        "protocols": tables,
    }
    print(json.dumps(document, allow_nan=False))


def protocols(runs: Runs) -> list[Protocol]:
    """Each cell in turn, and the six folds of the largest."""
    params = np.array([cell.params for cell in runs.cells])
    tokens = np.array([cell.tokens for cell in runs.cells])
    size = params * tokens
    three = [
        any(abs(n / a - 1) < ALIKE and abs(d / b - 1) < ALIKE for a, b in THREE)
        for n, d in zip(params, tokens, strict=True)
    ]
    largest = {
        "N > 1e9": params > 1e9,
        "N > 5e8": params > 5e8,
        "D >= 8e10": tokens >= 8e10,
        "D >= 4e10": tokens >= 3.99e10,
        "three cells": np.array(three),
        "six of largest N D": size >= np.sort(size)[-6],
    }
    cells = [f"cell {i}" for i in range(len(params))]
    return [
        Protocol(selection.ONE, cells, np.eye(len(params), dtype=bool), 0.02),
        Protocol(selection.LARGEST, list(largest), np.array([*largest.values()]), 0.1),
    ]


def methods(
    runs: Runs, protocol: Protocol, with_auto: bool
) -> list[tuple[str, bool, Callable[[], dict[str, Any]]]]:
    """Name, whether it is scored on cells that it has not seen, and its scores."""
    found: list[tuple[str, bool, Callable[[], dict[str, Any]]]] = []
    for family, terms in (
        ("quadratic", 3),
        ("posynomial", 3),
        ("posynomial", 4),
        ("bowl", 3),
    ):
        name = f"{family} K = {terms}" if family == "posynomial" else family
        run = partial(family_scores, runs, protocol, family, terms)
        found.append((f"surrogate, {name}", True, run))

    def add(name: str, method: Method, held_out: bool = True) -> None:
        found.append((name, held_out, partial(scores_of, runs, protocol, method)))

    if with_auto and protocol.name == selection.LARGEST:
        add("surrogate, auto", auto)
    for within in (0.005, 0.01, 0.02, 0.1):
        add(f"15-parameter OLS within {within:.1%}", partial(ols, within))
    for in_batch in (False, True):
        name = "Step Law's recipe" + (", N in batch" if in_batch else "")
        add(name, partial(recipe, in_batch))
    add("Step Law published", published, held_out=False)
    return found


def family_scores(
    runs: Runs, protocol: Protocol, family: str, terms: int
) -> dict[str, Any]:
    """Of one of our families, all folds in one batch."""
    features = Features.of(runs)
    rows = features.rows(runs)
    shape = Shape(len(features.choices), len(features.givens), features.offsets)
    member = families.make(family, shape, terms)
    counts = (~protocol.held[:, rows.cell]).astype(np.float64)
    found = estimate.estimate(member, rows, counts, features.box(), seed=SEED).surface
    answers = []
    for fold, held in enumerate(protocol.held):
        said = {}
        for cell in np.flatnonzero(held).tolist():
            lr, batch = features.from_u(found.cell_u[fold, cell])
            fitted = found.fitted[fold, rows.cell == cell] + features.level
            said[cell] = Answer(float(lr), float(batch), fitted)
        answers.append(said)
    return summary(runs, protocol, answers)


def scores_of(runs: Runs, protocol: Protocol, method: Method) -> dict[str, Any]:
    """Of a method that is fitted fold by fold."""
    return summary(runs, protocol, [method(runs, held) for held in protocol.held])


def summary(
    runs: Runs, protocol: Protocol, answers: list[dict[int, Answer]]
) -> dict[str, Any]:
    """Means over folds, and the error of each fold."""
    features = Features.of(runs)
    columns: dict[str, list[float | None]] = {
        name: [] for name in ("regret", "regret_smoothed", "mae_ln")
    }
    for said in answers:
        scores = [
            selection.score(runs, cell, features, np.array([a.lr, a.batch]))
            for cell, a in said.items()
        ]
        columns["regret"].append(_mean([s["regret"] for s in scores]))
        columns["regret_smoothed"].append(_mean([s["regret_smoothed"] for s in scores]))
        errors = [
            error
            for cell, a in said.items()
            if a.log_loss is not None
            for error in _errors(runs, cell, a.log_loss, protocol.within)
        ]
        columns["mae_ln"].append(_mean(errors))
    result: dict[str, Any] = {name: mean_se(values) for name, values in columns.items()}
    return result | {"mae_ln_folds": columns["mae_ln"]}


def _errors(
    runs: Runs, cell: int, fitted: np.ndarray, within: float
) -> list[float | None]:
    """Absolute errors of ln loss on the runs that count."""
    members = (runs.cell == cell) & ~runs.diverged
    loss = runs.loss[members]
    near = near_best(loss, runs.cell[members], within)
    return np.abs(np.log(loss) - fitted)[near].tolist()


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def auto(runs: Runs, held: np.ndarray) -> dict[int, Answer]:
    """`surrogate.fit` as users call it, on the fold's training runs."""
    kept = ~held[runs.cell]
    columns = ("lr", "batch", "params", "tokens", "loss", "diverged")
    training = Runs.from_arrays(**{name: getattr(runs, name)[kept] for name in columns})
    fit = surrogate.fit(training, bootstrap=0, seed=SEED)
    said = {}
    for cell in np.flatnonzero(held).tolist():
        at = runs.cells[cell]
        members = (runs.cell == cell) & ~runs.diverged
        best = fit.optimum(params=at.params, tokens=at.tokens)
        points = [getattr(runs, name)[members] for name in columns[:4]]
        assert best.lr is not None
        assert best.batch is not None
        fitted = np.log(fit.predict(*points).loss)
        said[cell] = Answer(best.lr, best.batch, fitted)
    return said


def ols(within: float, runs: Runs, held: np.ndarray) -> dict[int, Answer]:
    """Full quadratic in the four logs, ordinary least squares on near-best runs."""
    x = np.log(np.stack([runs.lr_level, runs.batch, runs.params, runs.tokens], axis=1))
    usable = near_best(runs.loss, runs.cell, within) & ~runs.diverged
    low, high = x[:, :2].min(axis=0), x[:, :2].max(axis=0)
    kept = usable & ~held[runs.cell]
    model = Ols15(x[kept], np.log(runs.loss[kept]))
    said = {}
    for cell in np.flatnonzero(held).tolist():
        members = (runs.cell == cell) & ~runs.diverged
        lr, batch = np.exp(model.argmin(x[members][0, 2:], low, high))
        said[cell] = Answer(float(lr), float(batch), model.log_loss(x[members]))
    return said


def recipe(is_params_in_batch: bool, runs: Runs, held: np.ndarray) -> dict[int, Answer]:
    """Power laws through the near-best runs of the other cells."""
    kept = near_best(runs.loss, runs.cell, RECIPE_WITHIN) & ~held[runs.cell]
    law = step_law_recipe(
        runs.lr_level[kept],
        runs.batch[kept],
        runs.params[kept],
        runs.tokens[kept],
        is_params_in_batch=is_params_in_batch,
    )
    said = {}
    for cell in np.flatnonzero(held).tolist():
        at = runs.cells[cell]
        lr, batch = law(at.params, at.tokens)
        said[cell] = Answer(float(lr), float(batch), None)
    return said


def published(runs: Runs, held: np.ndarray) -> dict[int, Answer]:
    """Li et al. 2025, equation 1; its authors fitted it to these very cells."""
    said = {}
    for cell in np.flatnonzero(held).tolist():
        at = runs.cells[cell]
        lr = 1.79 * at.params**-0.713 * at.tokens**0.307
        said[cell] = Answer(lr, 0.58 * at.tokens**0.571, None)
    return said


def print_table(protocol: Protocol, rows: list[dict[str, Any]]) -> None:
    """Permille, for people."""
    table = Table(title=f"Step Law dense dump, {protocol.name}, permille")
    table.add_column("method")
    for column in ("regret", "smoothed", "error of ln L", "seconds"):
        table.add_column(column, justify="right")
    for row in rows:
        name = row["method"] + ("" if row["held_out"] else " (in-sample)")
        parts = [row[key] for key in ("regret", "regret_smoothed", "mae_ln")]
        table.add_row(name, *map(_permille, parts), f"{row['s']:.1f}")
    console = Console(width=88)
    console.print(table)
    if protocol.name == selection.LARGEST:
        folds = Table(title="error of ln L, each fold, permille")
        for column in ("method", *protocol.folds):
            folds.add_column(column)
        for row in rows:
            errors = row["mae_ln_folds"]
            if None not in errors:
                numbers = (f"{1e3 * error:.2f}" for error in errors)
                folds.add_row(row["method"], *numbers)
        console.print(folds)


def _permille(spread: Spread | None) -> str:
    if spread is None or spread["mean"] is None:
        return "-"
    return f"{1e3 * spread['mean']:.2f} +- {1e3 * (spread['se'] or 0):.2f}"


if __name__ == "__main__":
    main()
