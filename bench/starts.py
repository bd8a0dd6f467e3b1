"""Cold starts of the posynomial: the library's, and a first-order search as the peer.

    python bench/starts.py [--json]

Fits the Step Law dense dump in SURROGATE_DATA from several seeds under the weights of
the quadratic: as the library does (many starts, a few second-order steps in float32,
the best few go on), with all starts going on, and with Adam (optax, extra `bench`) in
place of the first steps. Prints the excess of the cost over the best that any run
found, and seconds; the last line is one JSON document.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator

import numpy as np
from harness import watched
from harness.dumps import data_dir
from peers import adam_search
from rich.console import Console
from rich.table import Table

import surrogate
from surrogate import families
from surrogate.data.coordinates import Features, Rows
from surrogate.families import Posynomial, Shape
from surrogate.fitting import irls
from surrogate.fitting.objective import Objective

FILE = "steplaw/dense_lr_bs_loss.csv"
SEEDS = range(8)
TERMS = (3, 4)
# The library's before it used second-order steps from the beginning.
ADAM_STARTS, ADAM_STEPS, ADAM_KEPT = 24, 150, 6


def main() -> None:
    """Fit from every seed both ways and print the table and the document."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="no table")
    arguments = parser.parse_args()
    runs = surrogate.read_runs(data_dir() / FILE)
    features = Features.of(runs)
    rows = features.rows(runs)
    shape = Shape(len(features.choices), len(features.givens), features.offsets)
    table = [row for terms in TERMS for row in compare(terms, shape, features, rows)]
    document = {"bench": "starts", "seeds": len(SEEDS), "rows": table}
    if not arguments.json:
        print_table(document["rows"])
    print(json.dumps(document, allow_nan=False))


def compare(terms: int, shape: Shape, features: Features, rows: Rows) -> list[dict]:
    """Excess and seconds of each way to start, for one K."""
    family = families.Posynomial(shape, terms)
    ones = np.ones((1, len(rows.target)))
    weights = irls.estimate(
        families.Quadratic(shape),
        rows,
        ones,
        features.box(),
        objective=Objective(growth=family.misfit),
    ).weights
    found: dict[str, list[tuple[float, float]]] = {}
    for seed in (SEEDS[0], *SEEDS):  # the first one compiles and is written over
        for name, run in ways(family, rows, weights, seed):
            clock = time.perf_counter()
            pair = run(), time.perf_counter() - clock
            found.setdefault(name, []).append(pair)
    found = {name: pairs[1:] for name, pairs in found.items()}
    least = min(cost for pairs in found.values() for cost, _ in pairs)
    return [
        {
            "terms": terms,
            "starts": name,
            "least_cost": least,
            "excess": [cost / least - 1 for cost, _ in pairs],
            "seconds": float(np.median([seconds for _, seconds in pairs])),
        }
        for name, pairs in found.items()
    ]


def ways(
    family: Posynomial, rows: Rows, weights: np.ndarray, seed: int
) -> Iterator[tuple[str, Callable[[], float]]]:
    """Name, and a function that returns the lowest cost it found."""
    starts = family.starts(np.random.default_rng(seed), irls.STARTS)
    last = irls.START_STEPS

    def lowest(theta: np.ndarray) -> float:
        _, cost = irls.descend(family, rows, weights, theta[None], (last, last))
        return float(cost[0, 0])

    def library() -> float:
        near = starts
        for steps, kept in irls.SEARCH:
            found, _ = irls.descend(family, rows, weights, near[None], (steps, 0))
            near = found[0, :kept]
        return lowest(near)

    def everything() -> float:
        return lowest(starts)

    def adam() -> float:
        return lowest(
            adam_search.search(
                family,
                rows.z,
                rows.target,
                weights[0],
                starts[:ADAM_STARTS],
                steps=ADAM_STEPS,
                keep=ADAM_KEPT,
            )
        )

    yield f"{irls.STARTS}, {irls.SEARCH[-1][1]} go on (the library)", library
    yield f"{irls.STARTS}, all go on", everything
    yield f"{ADAM_STARTS}, {ADAM_STEPS} of Adam, {ADAM_KEPT} go on", adam


def print_table(rows: list[dict]) -> None:
    """Permille of the cost, for people."""
    table = Table(title=f"Cost over the best found, permille, {len(SEEDS)} seeds")
    table.add_column("K")
    table.add_column("starts")
    for column in ("median", "worst", "seconds"):
        table.add_column(column, justify="right")
    for row in rows:
        excess = 1e3 * np.array(row["excess"])
        numbers = np.median(excess), excess.max(), row["seconds"]
        table.add_row(
            str(row["terms"]), row["starts"], *(f"{number:.2f}" for number in numbers)
        )
    Console(width=88).print(table)


if __name__ == "__main__":
    watched.run(main)
