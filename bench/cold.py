"""Cold times of the command: a new process each, median of 5.

    python bench/cold.py [--json]

Times the installed `surrogate` beside this Python, files read once before, no
compilation cache. Prints a table and, as its last line, one JSON document. The peer in
each row is `python -c "import jax"`, timed in turn with it: what no command that
computes can go below.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import watched
from rich.console import Console
from rich.table import Table

from surrogate import interrupts

REPEATS = 5
AT = ["--params", "1B", "--tokens", "20B"]
PEER = [sys.executable, "-c", "import jax"]


def main() -> None:
    """Time every command and print the table and the document."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="no table")
    arguments = parser.parse_args()
    command = str(Path(sys.executable).with_name("surrogate"))
    with tempfile.TemporaryDirectory() as folder:
        cases = {
            "surrogate --help": ([command, "--help"], REPEATS, 0.25),
            "surrogate optimum steplaw-dense": (
                [command, "optimum", "steplaw-dense", *AT],
                REPEATS,
                2.5,
            ),
            "surrogate plateau steplaw-dense": (
                [command, "plateau", "steplaw-dense", *AT],
                REPEATS,
                None,
            ),
            "surrogate demo": ([command, "demo", "--out", f"{folder}/demo"], 3, 60.0),
        }
        rows = [
            measure(name, argv, repeats, limit, folder)
            for name, (argv, repeats, limit) in cases.items()
        ]
    if not arguments.json:
        print_table(rows)
    document = {"bench": "cold", "cpus": os.cpu_count(), "rows": rows}
    print(json.dumps(document, allow_nan=False))


def measure(
    name: str, argv: list[str], repeats: int, limit: float | None, folder: str
) -> dict:
    """Median seconds of a command and of the peer, run in turn after one warm-up."""
    seconds, peers = [], []
    interrupts.begin(name)
    for turn in range(repeats + 1):
        unused = [a.replace(f"{folder}/demo", f"{folder}/demo{turn}") for a in argv]
        taken, peer = run(unused, folder), run(PEER, folder)
        if turn:
            seconds.append(taken)
            peers.append(peer)
    return {
        "command": name,
        "seconds": statistics.median(seconds),
        "lowest": min(seconds),
        "highest": max(seconds),
        "import_jax_seconds": statistics.median(peers),
        "limit": limit,
        "runs": repeats,
    }


def run(argv: list[str], folder: str) -> float:
    """Wall-clock seconds of one process; a failure ends the benchmark."""
    environment = {k: v for k, v in os.environ.items() if "COMPILATION_CACHE" not in k}
    start = time.perf_counter()
    subprocess.run(argv, cwd=folder, env=environment, check=True, capture_output=True)
    return time.perf_counter() - start


def print_table(rows: list[dict]) -> None:
    """Seconds, for people."""
    table = Table(title="Cold wall-clock seconds")
    table.add_column("command")
    for column in ("median", "lowest", "highest", "import jax", "limit"):
        table.add_column(column, justify="right")
    for row in rows:
        keys = ("seconds", "lowest", "highest", "import_jax_seconds", "limit")
        numbers = ["-" if row[key] is None else f"{row[key]:.2f}" for key in keys]
        table.add_row(row["command"], *numbers)
    Console(width=88).print(table)


if __name__ == "__main__":
    watched.run(main)
