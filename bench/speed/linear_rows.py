"""Rows on families that are linear in theta: bootstrap, memory, growth."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from harness.timing import Contender, Timed, in_best_threads, race
from peers import lstsq_loop, naive_jax

from speed import counts, ours
from speed.counts import Counts
from speed.problems import Linear, growth
from speed.rows import Peer, Setting, row

HERE = Path(__file__).resolve().parents[1]
GIB = 2.0**30
MEMORY_LIMIT = 3 * GIB
# Growth counts as flat when the slowest size is within this of the fastest.
FLAT = 1.2
GROWTH_ROUNDS = 5
DTYPE = ours.LINEAR_DTYPE
# Replicas a block with which vmap(X' W X) is at its fastest here.
CACHED = 64


def child(arguments: list[str]) -> dict[str, Any]:
    """The JSON document on the last line of a Python process."""
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{arguments[0]} failed: {done.stderr.strip()[-500:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def broken(run: Callable[[], object]) -> str | None:
    """What a peer says that cannot run, though it is installed; None where it can."""
    try:
        run()
    except Exception as error:
        return f"failed: {error}"
    return None


def at_sizes(run: Any, setting: Setting, most: int) -> list[Timed]:
    """One timing each of 100, 1,000, ... problems."""
    sizes = [10**k for k in range(2, 9) if 10**k <= most]
    return [
        race([Contender(str(size), partial(run, size), size)], 1)[0] for size in sizes
    ]


# ---- the quadratic --------------------------------------------------------------


def quadratic(setting: Setting) -> dict[str, Any]:
    """Bootstrap draws of the quadratic, as `fit` makes them."""
    sweep, family = setting.sweep, setting.sweep.quadratic
    replicas = setting.size(100_000, 16_384)
    few, loops = setting.size(8192, 1024), setting.size(200, 20)
    full = ours.full_fit(sweep, family)
    problem = sweep.linear(full.weights)
    rows, p = problem.design.shape
    counted = ours.cell_counts(few, sweep.cells)[:, problem.cell].astype(np.float32)

    def run(count: int) -> None:
        ours.draws(sweep, family, full, count)

    def run_loop() -> None:
        lstsq_loop.weighted(*problem.least_squares, counted[:loops])

    def run_naive(way: dict[str, Any]) -> None:
        naive_jax.weighted(*problem.least_squares, counted, **way)

    ways: list[dict[str, Any]] = [
        {"dtype": DTYPE},
        {"dtype": DTYPE, "block": CACHED},
        {"dtype": "float32", "block": CACHED},
    ]
    mine, loop, plain, cached, low = race(
        [
            Contender("ours", partial(run, replicas), replicas),
            Contender("loop", in_best_threads(run_loop), loops),
            *(Contender("vmap", partial(run_naive, way), few) for way in ways),
        ],
        setting.rounds,
    )
    return row(
        setting,
        "quadratic",
        f"quadratic, {p} features, {rows:,} rows in {sweep.cells} cells, "
        f"{replicas:,} draws, {DTYPE}",
        mine=mine,
        peers=[
            Peer("vmap(X' W X)", plain, 20.0, f"{DTYPE}, resamples nothing itself"),
            Peer("the same in blocks for the cache", cached),
            Peer("the same in blocks, float32", low),
            Peer("numpy lstsq loop", loop, 60.0, "resamples nothing itself"),
        ],
        # What is summed are cells: rows of one are added up once for all draws.
        counts=counts.linear(sweep.cells, p, DTYPE),
        sizes=at_sizes(run, setting, replicas),
        source=sweep.source,
    )


# ---- memory and growth ----------------------------------------------------------


def memory(setting: Setting) -> dict[str, Any]:
    """Peak memory of many replicas, in a process of its own."""
    replicas = setting.size(1_000_000, 20_000)
    found = child([str(HERE / "memory.py"), str(replicas)])
    mine = Timed("ours", replicas, (found["seconds"],))
    return row(
        setting,
        "memory",
        f"quadratic, 15 features, 20 cells, {replicas:,} replicas: peak "
        f"{found['peak_bytes'] / GIB:.2f} GiB, asked at most 3",
        mine=mine,
        counts=counts.linear(20, 15, DTYPE),
        holds=found["peak_bytes"] <= MEMORY_LIMIT,
        peak_gib=found["peak_bytes"] / GIB,
        before_gib=found["before_bytes"] / GIB,
    )


def growth_row(
    setting: Setting,
    name: str,
    what: str,
    entrants: list[Contender],
    sizes: list[int],
    counted: Callable[[], Counts],
) -> dict[str, Any]:
    """Per-unit time at several sizes; flat where the largest is near the smallest."""
    timed = race(entrants, GROWTH_ROUNDS)
    each = [statistics.median(t.seconds) / t.problems for t in timed]
    spread = max(each) / min(each)
    units = ", ".join(
        f"{size:,}: {1e9 * s:.4g} ns" for size, s in zip(sizes, each, strict=True)
    )
    return row(
        setting,
        name,
        f"{what}; {units}; largest over smallest {spread:.2f}, asked at most {FLAT}",
        mine=timed[-1],
        counts=counted(),
        # Small sizes are all overhead: nothing to judge.
        holds=None if setting.quick else spread <= FLAT,
        growth={"sizes": sizes, "seconds_each": each, "spread": spread},
    )


def growth_replicas(setting: Setting) -> dict[str, Any]:
    """Time a replica of the quadratic, by number of replicas."""
    problem = growth(2000, scales=2)
    shrink = setting.size(1, 100)
    sizes = [10_000 // shrink, 100_000 // shrink, 1_000_000 // shrink]
    entrants = [
        Contender(str(size), partial(_discard, problem, size), size) for size in sizes
    ]
    what = "quadratic, 15 features, 20 cells, time a replica by replicas"
    counted = partial(counts.linear, 20, 15, DTYPE)
    return growth_row(setting, "growth-replicas", what, entrants, sizes, counted)


def _discard(problem: Linear, replicas: int) -> None:
    ours.linear(problem, replicas)
