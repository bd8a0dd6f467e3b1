"""Whether 95 % intervals cover: sweeps drawn from known truths, fitted, and asked.

    python bench/coverage.py [--quick] [--json] [--setting TEXT]... [--family NAME]...
        [--simulations N] [--workers N] [--store FILE]

Twelve settings (`coverage_settings.py`) on the grids of Step Law's dense dump
(SURROGATE_DATA). Each simulation draws a sweep, fits it with 199 draws, and asks for
optimum, plateau and regret; the truth is a surface of the family that is fitted (the
bowl where `auto` chooses). Settings run side by side, a process on a core each;
finished ones are kept in the store and not run again.

Prints a table, and as its last line one JSON document.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jax
import numpy as np
from harness import watched
from harness.machine import ROOT
from simulation.sweep_settings import SETTINGS
from simulation.sweep_trial import EDGES, REGRETS, REPLICAS, fit_sweep, known, trial
from simulation.sweep_truth import CELL_LEVEL, CELL_SHIFT, GROWTH, Truth

from surrogate.base import interrupts
from surrogate.fitting.fit import versions
from surrogate.numerics import batches

# Simulations of a family. A quick run leaves `auto` out, whose programs take minutes.
COUNTS = {"quadratic": 500, "posynomial": 500, "auto": 500}
QUICK = {"quadratic": 40, "posynomial": 20, "auto": 0}
TRUTH = {"auto": "bowl"}
_INTERVALS = ("lr", "batch", "loss", *EDGES)


def main() -> None:
    """Run what is not in the store, print the table and the document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="few simulations a setting"
    )
    parser.add_argument("--json", action="store_true", help="the document alone")
    parser.add_argument("--setting", action="append", help="settings that contain this")
    parser.add_argument("--family", action="append", help="only these families")
    parser.add_argument("--simulations", type=int, help="of each family, fewer or more")
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count(), help="settings side by side"
    )
    parser.add_argument("--store", type=Path, help="finished settings")
    options = parser.parse_args()
    counts = QUICK if options.quick else COUNTS
    name = "coverage_quick.json" if options.quick else "coverage_full.json"
    store = options.store or ROOT / "bench" / "out" / name
    done: dict[str, Any] = json.loads(store.read_text()) if store.exists() else {}
    asked = [
        (number, family, options.simulations or counts[family])
        for number, setting in enumerate(SETTINGS)
        for family in setting.families
        if not options.setting or any(t in setting.name for t in options.setting)
        if not options.family or family in options.family
    ]
    asked = [task for task in asked if task[2]]
    missing = [
        task
        for task in asked
        if done.get(_key(task), {"simulations": 0})["simulations"] < task[2]
    ]
    # The longest first, so that none is left alone at the end.
    missing.sort(key=lambda task: (task[1], -SETTINGS[task[0]].cells))
    context = multiprocessing.get_context("spawn")
    cores = context.Queue()
    for worker in range(options.workers):
        cores.put(worker % (os.cpu_count() or 1))
    # A core each: threads that wait for each other's cores would waste both.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    with ProcessPoolExecutor(options.workers, context, _settle, (cores,)) as pool:
        running = {pool.submit(run, *task): task for task in missing}
        for future in as_completed(running):
            done[_key(running[future])] = row = future.result()
            interrupts.finished()
            store.parent.mkdir(parents=True, exist_ok=True)
            store.write_text(json.dumps(done, indent=1))
            print(f"{row['family']}, {row['setting']}: done", file=sys.stderr)
    rows = [done[_key(task)] for task in asked]
    if not options.json:
        for row in rows:
            print(_line(row))
    print(json.dumps(_document(rows)))


def _key(task: tuple[int, str, int]) -> str:
    number, family, _ = task
    return f"{family}; {SETTINGS[number].name}"


def _settle(cores: Any) -> None:
    """Keep a worker to one core, and end it with the process that started it."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {cores.get()})
    parent = multiprocessing.parent_process()

    def follow() -> None:
        if parent is not None:
            parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def run(number: int, family: str, count: int) -> dict[str, Any]:
    """All simulations of one setting and family."""
    setting = SETTINGS[number]
    start = time.perf_counter()
    truth = Truth.of(TRUTH.get(family, family), setting.cells)
    place = truth.place(setting.is_beyond)
    answers = known(truth, place)
    trials = []
    for i in range(count):
        # Each size of table compiles programs, of which a process holds so many.
        if batches.is_full():
            jax.clear_caches()
        runs = truth.draw(setting.noise, setting.has_offsets, 10_000 * number + i)
        trials.append(trial(fit_sweep(family, runs, i), place, answers))
        if (i + 1) % 50 == 0:
            print(f"{family}, {setting.name}: {i + 1}/{count}", file=sys.stderr)
    return {
        "family": family,
        "setting": setting.name,
        **setting._asdict(),
        "simulations": count,
        "runs": len(truth.log_loss),
        "question": place,
        "intervals": {n: _covered(trials, n) for n in _INTERVALS},
        "regret": {
            f"{r:g} tol": _covered(trials, f"regret {r:g} tol") for r in REGRETS
        },
        "band": {
            part: _mean(trials, f"band/{part}") for part in ("precision", "recall")
        },
        "robust": {
            part: _mean(trials, f"robust/{part}") for part in ("precision", "recall")
        },
        "flagged_as_extrapolation": _mean(trials, "outside"),
        "date": datetime.now(UTC).date().isoformat(),
        "seconds": time.perf_counter() - start,
    }


def _covered(trials: list[dict[str, float]], name: str) -> dict[str, float]:
    """Share covered of all simulations, its Monte-Carlo error, and the mean width.

    Where there was no interval (an open edge), nothing was covered.
    """
    hits = np.nan_to_num([t[f"{name}/covered"] for t in trials])
    share = float(hits.mean())
    return {
        "coverage": share,
        "error": float(
            np.sqrt(max(share * (1 - share), 1 / len(hits) / 4) / len(hits))
        ),
        "none": int(np.isnan([t[f"{name}/covered"] for t in trials]).sum()),
        "width": float(np.nanmean([t[f"{name}/width"] for t in trials])),
    }


def _mean(trials: list[dict[str, float]], name: str) -> float | None:
    values = np.array([t[name] for t in trials])
    return float(np.nanmean(values)) if np.isfinite(values).any() else None


def _line(row: dict[str, Any]) -> str:
    """One line of at most 100 columns."""

    def per_cent(part: dict[str, float]) -> str:
        return f"{100 * part['coverage']:5.1f}"

    parts = row["intervals"]
    edges = [parts[name]["coverage"] for name in EDGES]
    regrets = " ".join(per_cent(part) for part in row["regret"].values())
    band = f"{row['band']['precision']:.2f}/{row['band']['recall']:.2f}"
    return (
        f"{row['family']:<10} {row['setting']:<40} lr {per_cent(parts['lr'])} batch "
        f"{per_cent(parts['batch'])} loss {per_cent(parts['loss'])} edges "
        f"{100 * min(edges):5.1f}-{100 * max(edges):5.1f} regret {regrets} band {band} "
        f"(+-{100 * parts['lr']['error']:.1f}, n {row['simulations']})"
    )


def _document(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "bench": "coverage",
        "level": 0.95,
        "replicas": REPLICAS,
        "noise": {
            "cell_level": CELL_LEVEL,
            "cell_shift": CELL_SHIFT,
            "growth": GROWTH,
        },
        "rows": rows,
        "cores": os.cpu_count(),
        "versions": versions(),
        "date": datetime.now(UTC).date().isoformat(),
    }


if __name__ == "__main__":
    watched.run(main)
