"""Times the reading of a log of many rows against Python's csv module.

    python bench/large_tables.py [--rows 1000000] [--keep FOLDER] [--ways WAY ...]

Makes a log of 1,000 runs (CSV, and Parquet where pyarrow is there) and reads it in new
processes: by `read_runs`; the same without pyarrow; and by a loop over `csv.reader`
that keeps the last row of each run. Prints seconds, seconds of CPU and the largest
memory of each process, and as the last line one JSON document.
"""

from __future__ import annotations

import argparse
import importlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

_RUNS = 1000
_HEADER = "run_id,step,tokens,lr,batch,params,val_loss,grad_norm"
_WAYS = ("read_runs", "parquet", "csv_path", "csv_module")


def write(folder: Path, rows: int) -> None:
    """The log: runs one after another, losses that fall; in two formats."""
    rng = np.random.default_rng(0)
    steps = rows // _RUNS
    step = np.arange(1, steps + 1)
    with (folder / "log.csv").open("w", encoding="utf-8") as stream:
        stream.write(_HEADER + "\n")
        for k in range(_RUNS):
            lr, batch = 1e-4 * 2 ** (k % 7), 2 ** (16 + k // 7 % 5)
            best = 2.9 + 0.01 * (k % 7 - 3.2) ** 2 + 0.002 * (k // 7 % 5 - 2) ** 2
            loss = best + 3 * step**-0.5 + 1e-3 * rng.normal(size=steps)
            norm = rng.random(steps)
            stream.writelines(
                f"run-{k},{s},{s * batch},{lr:g},{batch},124000000,{x:.5f},{g:.4f}\n"
                for s, x, g in zip(
                    *map(np.ndarray.tolist, (step, loss, norm)), strict=True
                )
            )
    try:
        arrow = importlib.import_module("pyarrow.csv")
        parquet = importlib.import_module("pyarrow.parquet")
    except ImportError:
        return
    with arrow.open_csv(folder / "log.csv") as reader:
        with parquet.ParquetWriter(folder / "log.parquet", reader.schema) as writer:
            for batch in reader:
                writer.write_batch(batch)


def one(way: str, folder: Path) -> dict[str, Any]:
    """Reads once, in this process."""
    start = time.perf_counter()
    if way == "csv_module":
        import csv

        last: dict[str, list[str]] = {}
        with (folder / "log.csv").open(newline="", encoding="utf-8") as stream:
            for row in csv.reader(stream):
                last[row[0]] = row
        runs, total = len(last) - 1, sum(float(r[6]) for r in list(last.values())[1:])
    else:
        if way == "csv_path":
            sys.modules["pyarrow"] = None  # type: ignore[assignment]
            sys.modules["pyarrow.csv"] = None  # type: ignore[assignment]
        from surrogate import read_runs

        name = "log.parquet" if way == "parquet" else "log.csv"
        found = read_runs(folder / name)
        runs, total = len(found), float(found.loss.sum())
    seconds = time.perf_counter() - start
    spent = time.process_time()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {
        "way": way,
        "runs": runs,
        "loss": total,
        "s": seconds,
        "cpu": spent,
        "gib": memory,
    }


def main() -> int:
    """Make, read, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--keep", type=Path, help="where the files stay")
    parser.add_argument("--ways", nargs="+", default=_WAYS, choices=_WAYS)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(one(given.one[0], Path(given.one[1]))))
        return 0
    with tempfile.TemporaryDirectory() as made:
        folder = given.keep or Path(made)
        if not (folder / "log.csv").exists():
            write(folder, given.rows)
        found = []
        for way in given.ways:
            if way == "parquet" and not (folder / "log.parquet").exists():
                continue
            words = [sys.executable, "-P", __file__, "--one", way, str(folder)]
            said = subprocess.run(words, capture_output=True, text=True, check=True)
            found.append(json.loads(said.stdout.splitlines()[-1]))
            last = found[-1]
            print(
                f"{way:12} {last['s']:8.1f} s ({last['cpu']:.1f} of CPU) "
                f"{last['gib']:6.2f} GiB, {last['runs']:,} runs, losses "
                f"{last['loss']:.5f}"
            )
        size = (folder / "log.csv").stat().st_size
    print(json.dumps({"rows": given.rows, "bytes": size, "ways": found}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
