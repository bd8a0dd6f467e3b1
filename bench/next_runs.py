"""Does a plan of runs tell more for its FLOPs? Replays on released sweeps.

Run: SURROGATE_DATA=... python bench/next_runs.py [--seeds 8] [--targets NAME,NAME]
[--methods ours,random,...] [--family quadratic] [--out bench/results/next_runs.jsonl]

One row a target, seed and method; rows that stand in the file are not run again.
`--table` prints the table of the rows so far and nothing else.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from replays.rivals import RIVALS, ours
from replays.table import table
from replays.targets import TARGETS, fitted, measured, proposal, replay

SHARES = (0.01, 0.02, 0.05, 0.10, 0.20)
DRAWS = 200


def row(name: str, seed: int, method: str, family: str) -> dict[str, Any]:
    """One replay: after each budget the proposal's regret and what was spent."""
    target = next(each for each in TARGETS if each.name == name)
    found = replay(target, seed)
    rng = np.random.default_rng([seed, 1])
    made, begun = list(map(int, found.start)), time.monotonic()
    stages: list[dict[str, Any]] = []
    draws = DRAWS if method == "ours" else 0
    fit = fitted(found, made, family, draws)
    first = measured(found, *proposal(found, fit)[:2])
    if method == "pool":
        fit = fitted(found, list(range(len(found.pool))), family, 0)
        lr, batch, _ = proposal(found, fit)
        stages.append({"share": 1.0, "regret": measured(found, lr, batch)})
    else:
        spent = 0.0
        for share in SHARES:
            left, said = found.budget(share) - spent, {}
            if method == "ours":
                assert fit is not None
                more, said = ours(found, made, left, fit)
            else:
                more = RIVALS[method](found, made, left, rng)
            made += more
            spent += float(found.cost[more].sum())
            fit = fitted(found, made, family, draws) or fit
            lr, batch, is_own = proposal(found, fit)
            stages.append(
                {
                    "share": share,
                    "spent": spent / float(found.cost.sum()),
                    "runs": len(made),
                    "cells": len(np.unique(found.pool.cell[made])),
                    "lr": lr,
                    "batch": batch,
                    "answered": is_own,
                    "regret": measured(found, lr, batch),
                    **said,
                }
            )
    return {
        "target": name,
        "seed": seed,
        "method": method,
        "family": family,
        "start": first,
        "pool": len(found.pool),
        "stages": stages,
        "seconds": time.monotonic() - begun,
    }


def main() -> None:
    """Run the rows that are missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--targets", default=",".join(each.name for each in TARGETS))
    parser.add_argument("--methods", default=",".join(("ours", "pool", *RIVALS)))
    parser.add_argument("--family", default="quadratic")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--out", default="bench/results/next_runs.jsonl", type=Path)
    asked = parser.parse_args()
    done = (
        [json.loads(line) for line in asked.out.read_text().splitlines()]
        if (asked.out.exists())
        else []
    )
    keys = {(r["target"], r["seed"], r["method"], r["family"]) for r in done}
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    for seed in range(0 if asked.table else asked.seeds):
        for name in asked.targets.split(","):
            for method in asked.methods.split(","):
                if (name, seed, method, asked.family) in keys:
                    continue
                found = row(name, seed, method, asked.family)
                done.append(found)
                with asked.out.open("a") as stream:
                    stream.write(json.dumps(found) + "\n")
                ends = [f"{1000 * s['regret']:.2f}" for s in found["stages"]]
                print(
                    name, seed, method, *ends, f"{found['seconds']:.0f} s", flush=True
                )
    print(table(done))


if __name__ == "__main__":
    main()
