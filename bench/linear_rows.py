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

import counts
import numpy as np
import ours
import peers
from counts import Counts
from peers import lstsq_loop, naive_jax
from problems import Linear, growth
from rows import Peer, Setting, row
from timing import Contender, Timed, in_best_threads, race

HERE = Path(__file__).resolve().parent
GIB = 2.0**30
MEMORY_LIMIT = 3 * GIB
# Growth counts as flat when the slowest size is within this of the fastest.
FLAT = 1.2
GROWTH_ROUNDS = 5
DTYPE = ours.LINEAR_DTYPE
# Replicas a block with which vmap(X' W X) is at its fastest here.
CACHED = 64
# What the authors' tool runs by default.
TOOL_REPLICAS = 1000


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


# ---- Step Law's regressions -----------------------------------------------------


def regressions(setting: Setting) -> dict[str, Any]:
    """Step Law's two regressions, bootstrapped."""
    problem = setting.sweep.regressions
    replicas = setting.size(100_000, 50_000)

    def run(count: int) -> None:
        ours.regressions(problem, count)

    def run_loop() -> None:
        lstsq_loop.regressions(*problem, loops)

    loops = setting.size(5000, 200)
    entrants = [
        Contender("ours", partial(run, replicas), replicas),
        Contender("numpy", in_best_threads(run_loop), loops),
    ]
    lacking = {
        "sklearn": _lacking(setting, None),
        "tool": _lacking(setting, setting.tool)
        if setting.tool
        else "name it with --steplaw-tool PATH",
    }
    if lacking["sklearn"] is None:
        entrants.append(_tool(setting, TOOL_REPLICAS, None))
    if lacking["tool"] is None:
        entrants.append(_tool(setting, TOOL_REPLICAS, setting.tool))
    mine, loop, *others = race(entrants, setting.rounds)
    by_name = {t.name: t for t in others}
    written, tool = by_name.get("sklearn"), by_name.get("tool")
    return row(
        setting,
        "steplaw-regressions",
        f"Step Law's two regressions, {len(problem.log_lr)} rows, {replicas:,} "
        "replicas, weights drawn",
        mine=mine,
        peers=[
            Peer("the authors' tool", tool, 1800.0 if tool else None, lacking["tool"]),
            # It stands in for the tool where that did not run.
            Peer(
                "scikit-learn, as the tool does it",
                written,
                None if tool else 1800.0,
                lacking["sklearn"],
            ),
            Peer("numpy lstsq loop", loop, 18.0),
        ],
        counts=counts.regressions(len(problem.log_lr), DTYPE),
        sizes=at_sizes(run, setting, replicas),
        source=setting.sweep.source,
    )


def _lacking(setting: Setting, tool: str | None) -> str | None:
    """Why this way to bootstrap cannot run here."""
    needs = peers.missing("steplaw-tool" if tool else "sklearn")
    return needs or broken(_tool(setting, 2, tool).run)


def _discard(_: object) -> None:
    return None


def _tool(setting: Setting, replicas: int, tool: str | None) -> Contender:
    """The authors' bootstrap in a process; its own seconds count, not its start."""
    problem = setting.sweep.regressions
    path = setting.folder / "regressions.csv"
    table = np.column_stack(
        [problem.design_lr[:, 1:], problem.log_lr, problem.log_batch]
    )
    np.savetxt(path, table, delimiter=",", header="logN,logD,loglr,logbs", comments="")
    command = [str(HERE / "peers/authors_tool.py"), str(path), str(replicas)]
    command += ["--tool", tool] if tool else []

    def run() -> float:
        return child(command)["seconds"]

    return Contender("tool" if tool else "sklearn", run, replicas)


# ---- the quadratic --------------------------------------------------------------


def quadratic(setting: Setting) -> dict[str, Any]:
    """The quadratic on the dense dump, a weight for every row."""
    problem = setting.sweep.quadratic
    replicas = setting.size(100_000, 16_384)
    few, loops = setting.size(8192, 1024), setting.size(200, 20)
    rows, p = problem.design.shape

    def run(count: int) -> None:
        ours.quadratic_rows(problem, count)

    def run_cells() -> None:
        ours.quadratic_cells(problem, replicas)

    def run_loop() -> None:
        lstsq_loop.weighted(*problem.least_squares, loops)

    mine, loop, cells, asked, cached, held, low = race(
        [
            Contender("ours", partial(run, replicas), replicas),
            Contender("loop", in_best_threads(run_loop), loops),
            Contender("cells", run_cells, replicas),
            *_naive(problem, few),
        ],
        setting.rounds,
    )
    return row(
        setting,
        "quadratic-rows",
        f"quadratic, {p} features, {rows:,} rows, {replicas:,} replicas, {DTYPE}, "
        "weights drawn a row",
        mine=mine,
        peers=[
            Peer("vmap(X' W X)", asked, 20.0, f"{DTYPE}, draws by thresholds too"),
            Peer("the same in blocks for the cache", cached),
            Peer("the same in blocks, weights given", held, None, "draws nothing"),
            Peer("the same in blocks, float32", low),
            Peer("numpy lstsq loop", loop, 60.0),
            Peer("ours, weights a cell", cells, None, "printed beside"),
        ],
        counts=counts.linear(rows, p, DTYPE),
        sizes=at_sizes(run, setting, replicas),
        source=setting.sweep.source,
    )


def _naive(problem: Linear, replicas: int) -> list[Contender]:
    """Plain; in blocks for the cache; so with weights given; so in float32."""
    given = np.random.default_rng(0).poisson(1.0, (replicas, len(problem.target)))
    ways: list[dict[str, Any]] = [
        {"dtype": DTYPE},
        {"dtype": DTYPE, "block": CACHED},
        {"dtype": DTYPE, "block": CACHED, "counts": given.astype(np.float32)},
        {"dtype": "float32", "block": CACHED},
    ]

    def run(way: dict[str, Any]) -> None:
        naive_jax.weighted(*problem.least_squares, replicas, **way)

    return [Contender("vmap", partial(run, way), replicas) for way in ways]


# ---- memory and growth ----------------------------------------------------------


def memory(setting: Setting) -> dict[str, Any]:
    """Peak memory of many replicas, in a process of its own."""
    replicas = setting.size(1_000_000, 20_000)
    found = child([str(HERE / "memory.py"), str(replicas)])
    mine = Timed("ours", replicas, (found["seconds"],))
    return row(
        setting,
        "memory",
        f"quadratic, 15 features, 2,000 rows, {replicas:,} replicas: peak "
        f"{found['peak_bytes'] / GIB:.2f} GiB, asked at most 3",
        mine=mine,
        counts=counts.linear(2000, 15, DTYPE),
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
    unit: str = "problem",
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
        unit=unit,
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
    entrants = [_entrant(problem, size, size) for size in sizes]
    what = "quadratic, 15 features, 2,000 rows, time a replica by replicas"
    counted = partial(counts.linear, 2000, 15, DTYPE)
    return growth_row(setting, "growth-replicas", what, entrants, sizes, counted)


def growth_rows(setting: Setting) -> dict[str, Any]:
    """Time a row and replica of the quadratic, by number of rows."""
    replicas = setting.size(10_000, 64)
    sizes = [2_000, 20_000, 200_000]
    entrants = [
        _entrant(growth(size, scales=2), replicas, size * replicas) for size in sizes
    ]
    what = f"quadratic, 15 features, {replicas:,} replicas, time a row and replica"
    name, unit = "growth-rows", "row and problem"
    counted = partial(counts.linear_row, sizes[-1], 15, DTYPE)
    return growth_row(setting, name, f"{what} by rows", entrants, sizes, counted, unit)


def _entrant(problem: Linear, replicas: int, units: int) -> Contender:
    name = f"{len(problem.z)} x {replicas}"
    return Contender(
        name, lambda: _discard(ours.quadratic_rows(problem, replicas)), units
    )
