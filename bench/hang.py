"""Whether fits end: small fits of random shapes, beside load, each in its own process.

    python bench/hang.py [--quick] [--json] [--store FILE] [--case FILE] [--together N]

60 fits of 1 to 12 recipes and 3 to 150 cells, of each family in turn, with 1, 2 and 4
calls at a time, one in five compiled, beside four busy loops. One hangs that uses no
processor for a minute.
`--quick`: six fits of at most 30 cells without load. `--case`: this table first
(additive, no draws), which hung for ever in jaxlib 0.10 (docs/log.md, 2026-11-29).
Finished fits are kept in the store and not run again.

Prints a line a fit, and as its last line one JSON document.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from harness import watched

from surrogate.base import interrupts

FAMILIES = ("quadratic", "additive", "posynomial", "bowl")
WORKERS = (1, 2, 4)
# Tables of such sizes are fitted in NumPy; the compiler's own threads once hung.
BACKENDS = ("auto", "auto", "auto", "auto", "xla")
FITS, QUICK = 60, 6
LOOPS = 4
# A child that has used no processor for so long hangs [s]; where the system does not
# tell, one that takes so long.
IDLE, GUARD = 60.0, 300.0
_MOST_CELLS, _QUICK_CELLS = 150, 30
_FOUND = ("outcome", "seconds")


def main() -> int:
    """Run what is not in the store; 1 where one hung."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="six small fits, no load")
    parser.add_argument("--json", action="store_true", help="the document alone")
    parser.add_argument("--store", type=Path, help="finished fits")
    parser.add_argument("--case", type=Path, help="a table with a column `recipe`")
    parser.add_argument("--together", type=int, default=1, help="fits side by side")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        fit_one(json.loads(options.child))
        return 0
    most = _QUICK_CELLS if options.quick else _MOST_CELLS
    plans = [plan(seed, most) for seed in range(QUICK if options.quick else FITS)]
    if options.case:
        case = {"case": str(options.case.resolve()), "family": "additive"}
        case |= {"workers": 2, "backend": "xla"}
        plans = [case, *plans]
    rows = _stored(options.store)
    busy = [multiprocessing.Process(target=_spin, daemon=True) for _ in range(LOOPS)]
    for process in [] if options.quick else busy:
        process.start()
    left = [planned for planned in plans if _key(planned) not in rows]
    with ThreadPoolExecutor(options.together) as pool:
        for row in pool.map(_guarded, left):
            rows[_key({name: row[name] for name in row if name not in _FOUND})] = row
            interrupts.finished()
            if options.store:
                options.store.write_text(json.dumps(rows))
            if not options.json:
                print(_line(row), flush=True)
    found = [rows[_key(planned)] for planned in plans]
    hung = sum(row["outcome"] != "ended" for row in found)
    print(json.dumps({"bench": "hang", "fits": len(found), "hung": hung}))
    return int(hung > 0)


def _key(planned: dict[str, Any]) -> str:
    return json.dumps(planned, sort_keys=True)


def plan(seed: int, most_cells: int) -> dict[str, Any]:
    """Fit number `seed`: family and workers in turn, the rest by chance."""
    rng = np.random.default_rng(seed)
    return {
        "seed": seed,
        "family": FAMILIES[seed % len(FAMILIES)],
        "workers": WORKERS[(seed + seed // len(FAMILIES)) % len(WORKERS)],
        "recipes": int(rng.integers(1, 13)),
        "cells": round(np.exp(rng.uniform(np.log(3), np.log(most_cells)))),
        "bootstrap": int(rng.choice([0, 50])),
        "backend": BACKENDS[seed % len(BACKENDS)],
    }


def fit_one(planned: dict[str, Any]) -> None:
    """Fit in this process, with so many calls at a time."""
    import surrogate
    from surrogate.numerics import batches

    batches.cores = lambda: planned["workers"]
    if "case" in planned:
        runs = surrogate.read_runs(planned["case"], recipe=["recipe"])
    else:
        runs = surrogate.read_runs(sweep(planned))
    surrogate.fit(
        runs,
        family=planned["family"],
        bootstrap=planned.get("bootstrap", 0),
        backend=planned["backend"],
    )


def sweep(planned: dict[str, Any]) -> Path:
    """A table of smooth bowls with noise, a grid of 4 lr x 3 batches a cell."""
    rng = np.random.default_rng(planned["seed"])
    lines = ["recipe,lr,batch,params,tokens,loss"]
    for cell in range(planned["cells"]):
        recipe = cell % planned["recipes"]
        params, tokens = 10 ** rng.uniform(7.8, 9), 10 ** rng.uniform(9.5, 11)
        best = -2.5 - 0.4 * np.log(params / 1e8) + 0.1 * recipe / 12
        for lr in best + np.array([-1.0, -0.3, 0.4, 1.1]):
            for batch in (2.0**17, 2.0**18, 2.0**19):
                excess = 0.01 * (lr - best) ** 2 + 0.005 * np.log(batch / 2**18) ** 2
                level = 1.8 + 60 * params**-0.3 + 90 * tokens**-0.25
                loss = level * np.exp(excess + 1e-3 * rng.normal())
                lines.append(
                    f"r{recipe},{np.exp(lr):.4e},{batch:.0f},{params:.6g},"
                    f"{tokens:.6g},{loss:.6f}"
                )
    folder = Path(os.environ["HANG_FOLDER"])
    file = folder / f"{planned['seed']}.csv"
    file.write_text("\n".join(lines) + "\n")
    return file


def _guarded(planned: dict[str, Any]) -> dict[str, Any]:
    """Its outcome: ended, hung, or failed with the last line it said."""
    # After a signal no further child is begun, which nobody would wait for.
    if interrupts.now().signal is not None:
        raise KeyboardInterrupt
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--child", json.dumps(planned)]
        where = os.environ | {"HANG_FOLDER": folder}
        with open(Path(folder) / "said", "w+") as said:
            child = subprocess.Popen(command, env=where, stdout=said, stderr=said)
            outcome = _outcome(child)
            if outcome == "failed":
                said.seek(0)
                outcome += ": " + (said.read().strip().splitlines() or ["?"])[-1]
    return {**planned, "outcome": outcome, "seconds": time.monotonic() - start}


def _outcome(child: subprocess.Popen[bytes]) -> str:
    """Wait for a child, and end one that has stopped working.

    On a busy machine a fit takes long; one that hangs uses no processor at all.
    """
    used, since = -1.0, time.monotonic()
    while child.poll() is None:
        time.sleep(1)
        now = _processor_time(child.pid)
        if now != used:
            used, since = now, time.monotonic()
        elif time.monotonic() - since > (IDLE if used else GUARD):
            child.kill()
            child.wait()
            return "hung"
    return "ended" if child.returncode == 0 else "failed"


def _processor_time(process: int) -> float:
    """Ticks that a process has used; 0 where the system does not tell."""
    try:
        about = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return float(about[11]) + float(about[12])


def _stored(file: Path | None) -> dict[str, dict[str, Any]]:
    return json.loads(file.read_text()) if file and file.is_file() else {}


def _line(row: dict[str, Any]) -> str:
    shape = (
        Path(row["case"]).name
        if "case" in row
        else f"{row['recipes']:2d} recipes, {row['cells']:3d} cells"
    )
    return (
        f"{row['family']:<10} {shape}, {row['workers']} at a time: "
        f"{row['outcome']} ({row['seconds']:.0f} s)"
    )


def _spin() -> None:
    while os.getppid() != 1:
        sum(range(100_000))


if __name__ == "__main__":
    watched.run(main)
