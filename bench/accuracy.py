"""Accuracy on cells that were left out of the fit, beside baselines.

    python bench/accuracy.py [--json] [--no-auto] [--only NAME]

Reads the released dumps in SURROGATE_DATA. Protocols (--only: those with NAME in their
key, such as `moe` or `leave-largest-out`):

    dense/leave-one-cell-out         each of the 17 cells in turn
    dense/leave-largest-out          six folds: params > 1e9; params > 5e8; tokens >=
                                     8e10; tokens >= 4e10; the cells (1.074B, 56.9B),
                                     (537M, 50B) and (1.074B, 20B); the six cells of
                                     largest params x tokens
    moe/leave-one-structure-out      each count of active parameters, which is a scale
                                     variable; the total spans 0.3 % and is dropped
    marin/leave-one-token-budget-out each multiple of 20 tokens a parameter, over two
                                     sizes and twelve optimizers as recipes, where lr
                                     and batch never vary together

Every method is fitted without the cells of a fold and then asked for their best (lr,
batch) and for their losses; the published law needs no fit. `mix` and `auto` choose on
the cells of each fold's training part alone (minutes a fold: --no-auto skips them; the
single cells never have them). Prints tables a protocol (--json: none; rows done are
named on stderr) and, as its last line, one JSON document. Rows that need scikit-learn
say so where it is absent.

Columns: mean over folds, of means over a fold's cells, with its standard error; the six
folds overlap, so that theirs is too small, and differences are also given by distinct
cell. `regret` is the loss measured at the proposal over the cell's lowest, minus 1;
`smoothed` the same on a local cubic; `error of ln L` the mean absolute error on the
held-out runs within 2 % (one cell, one structure), 10 % (the largest) or 25 % (Marin)
of their cell's best; `worst run` the largest error of any held-out run that did not
diverge. How regrets are read off is in surrogate/fitting/scores.py.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from harness import watched
from heldout import protocols
from heldout.honest import honest, show_honest
from heldout.methods import AUTO, BOWL, Method, methods
from heldout.pairs import pairs
from heldout.protocols import DUMPS, Protocol
from heldout.scores import Held, score, summary
from heldout.surrogates import SEED
from heldout.tables import show

from surrogate.data import Runs
from surrogate.fitting import cross_validation, fit


def main() -> None:
    """Score every method and print the tables and the document."""
    arguments = _arguments()
    asked = protocols.keys(arguments.only)
    dumps: dict[str, Any] = {}
    tables: dict[str, Any] = {}
    for name in dict.fromkeys(key.split("/")[0] for key in asked):
        runs = DUMPS[name].read()
        dumps[name] = _about(name, runs)
        for protocol in protocols.of(name, runs):
            if protocol.key not in asked:
                continue
            found = table(runs, protocol, not arguments.no_auto)
            if protocol.key == f"dense/{cross_validation.ONE}":
                found["honest"] = honest(runs)
            tables[protocol.key] = found
            if not arguments.json:
                title = f"{DUMPS[name].title}, {protocol.name}"
                show(title, found, has_worst=name == "marin")
                if "honest" in found:
                    show_honest(found["honest"])
    document = {
        "bench": "accuracy",
        "dumps": dumps,
        "seed": SEED,
        "versions": fit.versions() | _versions("scipy", "scikit-learn"),
        "protocols": tables,
    }
    print(json.dumps(document, allow_nan=False))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="no tables")
    parser.add_argument(
        "--no-auto", action="store_true", help="skip mix and auto (minutes a fold)"
    )
    parser.add_argument(
        "--only", default="", metavar="NAME", help="protocols with NAME in their key"
    )
    arguments = parser.parse_args()
    if not protocols.keys(arguments.only):
        known = ", ".join(protocols.keys())
        parser.error(
            f"no protocol has {arguments.only!r} in its key; there are {known}"
        )
    return arguments


def _about(name: str, runs: Runs) -> dict[str, Any]:
    return {
        "file": DUMPS[name].file,
        "sha256": runs.sources[0].sha256,
        "cells": len(runs.cells),
        "runs": len(runs),
        "diverged": int(runs.diverged.sum()),
        "dropped": len(runs.dropped),
    }


def _versions(*packages: str) -> dict[str, str]:
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def table(runs: Runs, protocol: Protocol, with_auto: bool) -> dict[str, Any]:
    """All rows of a protocol, and how they compare."""
    rows: list[dict[str, Any]] = []
    scored: dict[str, list[Held]] = {}
    known = methods(runs, protocol, with_auto)
    for method in known:
        row, held = _row(runs, protocol, method)
        rows.append(row)
        if held is not None:
            scored[method.name] = held
        print(f"{protocol.key}: {method.name}", file=sys.stderr, flush=True)
    found: dict[str, Any] = {"folds": protocol.folds, "within": protocol.within}
    found |= {"rows": rows, "pairs": None}
    found["best_single"] = {part: best(rows, part) for part in ("mae_ln", "regret")}
    if protocol.key == f"dense/{cross_validation.LARGEST}":
        ours = AUTO if AUTO in scored else BOWL
        kinds = {method.name: method.kind for method in known}
        against = {n: h for n, h in scored.items() if kinds[n] == "baseline"}
        found["pairs"] = pairs(ours, {ours: scored[ours], **against})
    return found


def _row(
    runs: Runs, protocol: Protocol, method: Method
) -> tuple[dict[str, Any], list[Held] | None]:
    row = {"method": method.name, "kind": method.kind, "held_out": method.held_out}
    if method.missing:
        return row | {"missing": method.missing}, None
    start = time.perf_counter()
    answers = method.answers(runs, protocol)
    held = score(runs, protocol, answers)
    row |= summary(protocol, held) | {"s": time.perf_counter() - start}
    if method.kind == "nested":
        row["chosen_folds"] = [fold.chosen for fold in answers]
    return row, held


def best(rows: list[dict[str, Any]], part: str) -> dict[str, Any]:
    """The single family that is best on each fold, and `mix` and `auto` minus it."""
    key = f"{part}_folds"
    single = {row["method"]: row[key] for row in rows if row["kind"] == "single"}
    names: list[str | None] = []
    values: list[float | None] = []
    for fold in range(len(next(iter(single.values())))):
        known = {n: v[fold] for n, v in single.items() if v[fold] is not None}
        names.append(min(known, key=lambda name: known[name]) if known else None)
        values.append(min(known.values()) if known else None)
    over = {
        row["method"]: [
            None if ours is None or least is None else ours - least
            for ours, least in zip(row[key], values, strict=True)
        ]
        for row in rows
        if row["kind"] == "nested"
    }
    return {"method": names, "value": values, "over": over}


if __name__ == "__main__":
    watched.run(main)
