"""Small tables of real runs, fitted with `auto`, and held against the whole sweeps.

    python bench/real_tables.py [--draws N] [--quick] [--store FILE] [--seconds S]
        [--json]

Each draw takes one to nine cells of a released sweep (Step Law dense and mixtures,
OpenEuroLLM) and up to 14 runs of each: scattered, along lr, a cross, a coarse grid, or
a mixture of these. It is asked at one of its sizes and, beyond them, at the largest of
the sweep. The truth is a parabola over all runs of the cell near its best. Misses: a
best outside its stated 95 % interval by more than the parabola's own error (0.12 in ln
lr, 0.2 in ln batch); a run that lost more than 0.2 % above its stated bound. Needs the
dumps; finished draws are kept in the store, one JSON line each: a store a version.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from harness.dumps import data_dir
from harness.machine import ROOT
from subsampled.sweeps import Cell, Key, small_table, sweeps

import surrogate
from surrogate import DataError
from surrogate.fitting.fit import versions

DRAWS, QUICK = 200, 4
BOOTSTRAP = 40
# What the parabola does not know [ln], and a measured loss likewise (relative).
SLACK = {"lr": 0.12, "batch": 0.2}
LOSS_SLACK = 0.002
# Runs of a cell whose regret is asked.
ASKED = 4
Record = dict[str, Any]


def main() -> None:
    """Run what is not in the store, print the table and the document."""
    options = _options()
    found = sweeps(data_dir())
    draws = QUICK if options.quick else options.draws
    store = options.store or ROOT / "bench" / "out" / "real_tables.jsonl"
    store.parent.mkdir(parents=True, exist_ok=True)
    lines = store.read_text().splitlines() if store.exists() else []
    done = {record["draw"]: record for record in map(json.loads, lines)}
    until = time.monotonic() + options.seconds if options.seconds else math.inf
    for index in range(draws):
        if index in done or time.monotonic() > until:
            continue
        done[index] = trial(index, found)
        with store.open("a") as out:
            out.write(json.dumps(done[index]) + "\n")
        print(f"{index}: {done[index]['seconds']:.1f} s", file=sys.stderr)
    records = [done[index] for index in range(draws) if index in done]
    rows = [summary(records, where) for where in ("inside", "beyond")]
    if not options.json:
        if len(records) < draws:
            print(f"PARTIAL: {len(records)} of {draws} draws.")
        for row in rows:
            print(_line(row))
    document = {
        "bench": "real_tables",
        "partial": len(records) < draws,
        "draws": len(records),
        "rows": rows,
        "versions": versions(),
        "date": datetime.now(UTC).date().isoformat(),
    }
    print(json.dumps(document))


def trial(index: int, found: dict[str, dict[Key, Cell]]) -> Record:
    """One table's record, ready for JSON."""
    start = time.perf_counter()
    rng = np.random.default_rng(index)
    others = [name for name in found if name.startswith("mixture")]
    odds = [0.2 / len(others) if name in others else 0.4 for name in found]
    name = str(rng.choice(list(found), p=odds))
    cells = found[name]
    kind, chosen, rows = small_table(rng, cells)
    columns = dict(
        zip(("lr", "batch", "params", "tokens", "loss"), rows.T, strict=True)
    )
    record: Record = {"draw": index, "sweep": name, "kind": kind, "runs": len(rows)}
    record["cells"] = len(chosen)
    try:
        fit = surrogate.fit(surrogate.Runs.from_arrays(**columns), bootstrap=BOOTSTRAP)
    except DataError as error:
        return record | {"refused": str(error), "seconds": time.perf_counter() - start}
    largest = max(cells, key=lambda key: key[0] * key[1])
    asked = {"inside": chosen[int(rng.integers(len(chosen)))]}
    if largest not in chosen:
        asked["beyond"] = largest
    record["asked"] = {
        where: _ask(fit, cells[key], key, rng) for where, key in asked.items()
    }
    return record | {"seconds": time.perf_counter() - start}


def _ask(fit: surrogate.Fit, cell: Cell, key: Key, rng: np.random.Generator) -> Record:
    """What is answered at a size, beside what its whole cell shows."""
    surface = fit.at(params=key[0], tokens=key[1])
    best = surface.optimum().to_json()
    told: Record = {
        "size": key,
        "truth": cell.best,
        "status": best["status"],
        "trust": best["trust"]["level"],
        "lr": best["interval"]["lr"],
        "batch": best["interval"]["batch"],
        "regrets": [],
    }
    near = cell.runs[cell.runs[:, 4] < 1.03 * cell.runs[:, 4].min()]
    for run in rng.permutation(near)[:ASKED] if cell.best else ():
        lost = surface.regret(lr=run[0], batch=run[1]).to_json()
        bound = lost["interval"]["regret"]
        # A loss of lr alone is no claim of what a better batch would give.
        if bound is not None and all(lost["change"].values()):
            measured = float(np.log(run[4]) - cell.ln_loss)
            told["regrets"].append([measured, bound[1]])
    return told


def summary(records: list[Record], where: str) -> Record:
    """Shares of misses, median widths and statuses."""
    asked = [r["asked"][where] for r in records if where in r.get("asked", {})]
    row: Record = {"where": where, "asked": len(asked)}
    row["refused"] = sum("refused" in record for record in records)
    row["statuses"] = dict(Counter(each["status"] for each in asked))
    for place, name in enumerate(("lr", "batch")):
        known = [a for a in asked if a["truth"] and a[name] and any(a[name])]
        off = [_off(each[name], each["truth"][place]) for each in known]
        closed = [math.sqrt(e[name][1] / e[name][0]) for e in known if all(e[name])]
        row[name] = {
            "intervals": len(known),
            "missed": sum(each > SLACK[name] for each in off),
            "factor": float(np.median(closed)) if closed else None,
        }
    pairs = [pair for each in asked for pair in each["regrets"]]
    over = sum(measured > bound + LOSS_SLACK for measured, bound in pairs)
    row["regret"] = {"bounds": len(pairs), "over": over}
    return row


def _off(ends: list[float | None], truth: float) -> float:
    """By how much a value lies outside an interval [ln], below 0 inside."""
    low, high = ends
    below = -math.inf if not low else math.log(low / truth)
    above = -math.inf if not high else math.log(truth / high)
    return max(below, above)


def _line(row: Record) -> str:
    parts = [f"{row['where']}: {row['asked']} asked, {row['statuses']}"]
    for name in ("lr", "batch"):
        of = row[name]
        share = 100 * of["missed"] / max(of["intervals"], 1)
        parts.append(
            f"  {name}: {of['missed']} of {of['intervals']} intervals missed "
            f"({share:.1f} %), half of them narrower than a factor of "
            f"{of['factor'] or math.nan:.2f}"
        )
    of = row["regret"]
    share = 100 * of["over"] / max(of["bounds"], 1)
    parts.append(
        f"  regret: {of['over']} of {of['bounds']} over the bound ({share:.1f} %)"
    )
    return "\n".join(parts)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=DRAWS, help=f"default {DRAWS}")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} draws")
    parser.add_argument("--store", type=Path, help="finished draws, JSON lines")
    parser.add_argument("--seconds", type=float, help="stop after so many")
    parser.add_argument("--json", action="store_true", help="the document alone")
    return parser.parse_args()


if __name__ == "__main__":
    main()
