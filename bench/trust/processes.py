"""Draws per second of processes that share them, against one worker.

    python bench/trust/processes.py [--processes 2] [--replicas 512] [--repeats 3]
        [--json]

Each process may use one core. All fit the same table's draws (posynomial of three
terms, NumPy) through `surrogate.fitting.shards`; what comes out is compared bit for
bit. Times are from when all processes have the table to when the last has all draws.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from surrogate.answers.simulate import simulate
from surrogate.data.coordinates import Features
from surrogate.families import Posynomial, Shape
from surrogate.fitting import ranges, resampling
from surrogate.fitting.shards import Shards

_SEED = 3


class Outcome(NamedTuple):
    """Medians over repeats.

    Attributes:
        processes: that shared the draws.
        replicas: draws.
        alone: draws a second of one process on one core.
        together: of all, a core each.
        is_same: draws were equal, bit for bit, every time.
    """

    processes: int
    replicas: int
    alone: float
    together: float
    is_same: bool

    @property
    def speedup(self) -> float:
        """Of all over one."""
        return self.together / self.alone


def _draw(folder: str, process: int, processes: int, replicas: int) -> np.ndarray:
    runs = simulate(0)
    rows = Features.of(runs).rows(runs)
    family = Posynomial(Shape(2, 2, 0), 3)
    rng = np.random.default_rng(0)
    theta = family.starts(rng, 1)[0]
    weights = np.full(len(rows.target), 1e4)
    none = np.zeros((0, family.size))
    shards = Shards(Path(folder), process, processes, patience=60.0)
    asked = ranges.Asked(family, rows, weights, theta, _SEED, replicas, "numpy")
    return resampling.draw(asked, none, shards=shards).theta


def _child(core: int, start: Any, results: Any, *arguments: Any) -> None:
    os.sched_setaffinity(0, {core})
    import surrogate.fitting.irls
    import surrogate.fitting.ranges  # noqa: F401

    start.wait()
    began = time.monotonic()
    found = _draw(*arguments)
    results.put((arguments[1], began, time.monotonic(), found))


def measure(processes: int, replicas: int) -> tuple[float, np.ndarray]:
    """Seconds and draws."""
    spawn = multiprocessing.get_context("spawn")
    cores = sorted(os.sched_getaffinity(0))
    start, results = spawn.Barrier(processes), spawn.Queue()
    with tempfile.TemporaryDirectory() as folder:
        running = [
            spawn.Process(
                target=_child,
                args=(
                    cores[k % len(cores)],
                    start,
                    results,
                    f"{folder}/fit.draws",
                    k,
                    processes,
                    replicas,
                ),
            )
            for k in range(processes)
        ]
        for process in running:
            process.start()
        found = [results.get() for _ in running]
        for process in running:
            process.join()
    first = found[0][3]
    assert all(np.array_equal(first, each[3]) for each in found)
    seconds = max(each[2] for each in found) - min(each[1] for each in found)
    return seconds, first


def compare(processes: int, replicas: int, repeats: int) -> Outcome:
    """One process and several, in turn."""
    alone, together, same = [], [], True
    for _ in range(repeats):
        seconds, one = measure(1, replicas)
        alone.append(replicas / seconds)
        seconds, all_of_them = measure(processes, replicas)
        together.append(replicas / seconds)
        same &= np.array_equal(one, all_of_them)
    medians = statistics.median(alone), statistics.median(together)
    return Outcome(processes, replicas, *medians, same)


def main() -> int:
    """Measure and print; 1 where draws differ."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--replicas", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="the document alone")
    options = parser.parse_args()
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    found = compare(options.processes, options.replicas, options.repeats)
    document = found._asdict() | {"speedup": found.speedup}
    print(json.dumps(document) if options.json else document)
    return int(not found.is_same)


if __name__ == "__main__":
    sys.exit(main())
