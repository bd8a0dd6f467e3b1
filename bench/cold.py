"""What a new process costs: user CPU seconds, as ratios taken in one run, in turn.

    python bench/cold.py [--against COMMIT] [--only ROW]... [--quick] [--json]
        [--repeats N] [--store FILE]

Answers are held against R, `python -c "import jax, orbax.checkpoint"`, and fits against
the same fit by another commit, which is checked out into a temporary folder and
installed without dependencies beside this Python's own packages. Each row runs its
contenders in turn, after an unmeasured turn where they are short; a ratio is one of
medians, with the lowest and highest of its turns, and wall-clock seconds stand beside.
Files have been read before; there is no cache of compiled programs but in the row that
asks for one. Without --against fits are only timed. --quick: three turns, of answers
and the smallest fit. --store keeps finished rows, which the same code does not measure
again.

Prints a table and, as its last line, one JSON document. Exit 1: a command failed; a
limit may be missed at exit 0.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness import commits, watched
from rich.console import Console
from rich.table import Table
from speed.cold_rows import ANSWERS, FITS, SMALLEST, Command, Row, rows_in

import surrogate
from surrogate.base import interrupts

QUICK = 3
# Environment that would make a process find programs compiled by another.
_CACHES = ("JAX_COMPILATION_CACHE_DIR", "JAX_ENABLE_COMPILATION_CACHE")
Seconds = dict[str, dict[str, list[float]]]


def main() -> int:
    """Measure what is not in the store; 1 where a command failed."""
    options = _options()
    stored = _stored(options.store)
    code = _code()
    done: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name, _other(options.against) as other:
        for row in _wanted(options, Path(name), other):
            turns = _turns(options, row)
            key = json.dumps([row.name, code, options.against, turns])
            if key not in stored:
                interrupts.begin(row.name)
                stored[key] = measured(row, turns, Path(name))
                if options.store and "error" not in stored[key]:
                    options.store.write_text(json.dumps(stored))
            done.append(stored[key])
            if not options.json:
                print(line(done[-1]), file=sys.stderr, flush=True)
    if not options.json:
        print_table(done)
    document = {
        "bench": "cold",
        "cpus": os.cpu_count(),
        "load": os.getloadavg()[0],
        "against": options.against,
        "rows": done,
    }
    print(json.dumps(document, allow_nan=False))
    return int(any("error" in row for row in done))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--against", metavar="COMMIT", help="whose fits ours are held")
    names = [*ANSWERS, *FITS]
    parser.add_argument("--only", action="append", choices=names, help="repeatable")
    parser.add_argument("--quick", action="store_true", help="answers, three turns")
    parser.add_argument("--json", action="store_true", help="no table")
    parser.add_argument("--repeats", type=int, help="turns of every row")
    parser.add_argument("--store", type=Path, help="finished rows")
    return parser.parse_args()


def _turns(options: argparse.Namespace, row: Row) -> int:
    usual = min(row.turns, QUICK) if options.quick else row.turns
    return options.repeats or usual


def _wanted(
    options: argparse.Namespace, folder: Path, other: Path | None
) -> Iterator[Row]:
    some = options.only or [*ANSWERS, *((SMALLEST,) if options.quick else FITS)]
    yield from rows_in(some, folder, other)


@contextmanager
def _other(commit: str | None) -> Iterator[Path | None]:
    """The Python of another commit, or None where none is asked for."""
    if commit is None:
        yield None
        return
    with commits.installed(commit) as python:
        yield python


def measured(row: Row, turns: int, folder: Path) -> dict[str, Any]:
    """Seconds of every contender and the ratios that are asked."""
    seconds: Seconds = {name: {"cpu": [], "wall": []} for name in row.contenders}
    try:
        # In the unmeasured turn of a long row only what fills a cache runs.
        first = {n: c for n, c in row.contenders.items() if not row.is_long or c.cache}
        for command in first.values():
            run(command, folder)
        for _ in range(turns):
            for name, command in row.contenders.items():
                wall, cpu = run(command, folder)
                seconds[name]["cpu"].append(cpu)
                seconds[name]["wall"].append(wall)
                interrupts.finished()
    except subprocess.CalledProcessError as error:
        said = (error.stderr or "").strip().splitlines() or [f"exit {error.returncode}"]
        return {"row": row.name, "what": row.what, "error": said[-1]}
    return {
        "row": row.name,
        "what": row.what,
        "turns": turns,
        "seconds": {n: _summary(taken) for n, taken in seconds.items()},
        "ratios": [
            _ratio(seconds, *limit) for limit in row.limits if limit[1] in seconds
        ],
    }


def run(command: Command, folder: Path) -> tuple[float, float]:
    """Wall-clock and user CPU seconds of one process.

    Raises:
        CalledProcessError: it gave no answer; with what it wrote to stderr.
    """
    environment = {k: v for k, v in os.environ.items() if k not in _CACHES}
    environment |= {"SURROGATE_CACHE": "on" if command.cache else "off"}
    environment |= {"XDG_CACHE_HOME": str(command.cache or folder / "none")}
    with tempfile.TemporaryDirectory(dir=folder) as out:
        argv = [word.replace("{out}", out) for word in command.argv]
        with open(Path(out) / "said", "w+") as said, open(os.devnull, "w") as nowhere:
            start = time.perf_counter()
            with _cores(1 if command.on_one_core else None):
                child = subprocess.Popen(
                    argv, cwd=folder, env=environment, stdout=nowhere, stderr=said
                )
            _, status, used = os.wait4(child.pid, 0)
            wall = time.perf_counter() - start
            child.returncode = os.waitstatus_to_exitcode(status)
            # 1: answered, with a status that says why not to use it.
            if child.returncode not in (0, 1):
                said.seek(0)
                raise subprocess.CalledProcessError(
                    child.returncode, argv, stderr=said.read()
                )
    return wall, used.ru_utime


@contextmanager
def _cores(count: int | None) -> Iterator[None]:
    """So many for what is begun here, which inherits them; None leaves all."""
    if count is None:
        yield
        return
    every = os.sched_getaffinity(0)
    os.sched_setaffinity(0, set(sorted(every)[:count]))
    try:
        yield
    finally:
        os.sched_setaffinity(0, every)


def _summary(taken: dict[str, list[float]]) -> dict[str, float]:
    cpu, wall = taken["cpu"], taken["wall"]
    return {
        "cpu": statistics.median(cpu),
        "cpu_low": min(cpu),
        "cpu_high": max(cpu),
        "wall": statistics.median(wall),
    }


def _ratio(seconds: Seconds, over: str, under: str, limit: float) -> dict[str, Any]:
    ours, theirs = seconds[over]["cpu"], seconds[under]["cpu"]
    pairs = [a / b for a, b in zip(ours, theirs, strict=True)]
    found = statistics.median(ours) / statistics.median(theirs)
    return {
        "of": over,
        "to": under,
        "ratio": found,
        "low": min(pairs),
        "high": max(pairs),
        "limit": limit,
        "met": found <= limit,
    }


def _code() -> str:
    """A digest of the installed package."""
    digest = hashlib.sha256()
    home = Path(surrogate.__file__).parent
    for file in sorted(home.rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _stored(file: Path | None) -> dict[str, Any]:
    return json.loads(file.read_text()) if file and file.is_file() else {}


def line(row: dict[str, Any]) -> str:
    """A row, while others are still measured."""
    if "error" in row:
        return f"{row['row']}: failed: {row['error']}"
    ratios = ", ".join(
        f"{r['ratio']:.2f} of {r['to']} (asked {r['limit']:g})" for r in row["ratios"]
    )
    taken = ", ".join(f"{n} {s['cpu']:.2f}" for n, s in row["seconds"].items())
    return f"{row['row']}: {ratios or 'nothing to compare with'}; CPU seconds {taken}"


def print_table(rows: list[dict[str, Any]]) -> None:
    """For people: a line a ratio."""
    table = Table(title="User CPU seconds of a new process (wall-clock beside)")
    table.add_column("what", overflow="fold")
    for column in ("seconds", "wall", "ratio", "asked", "met"):
        table.add_column(column, justify="right")
    for row in rows:
        if "error" in row:
            table.add_row(f"{row['what']}: {row['error']}")
            continue
        for name, taken in row["seconds"].items():
            ratios = [r for r in row["ratios"] if r["of"] == name] or [None]
            what = row["what"] if name == "ours" else f"  {name}"
            seconds = f"{taken['cpu']:.2f}", f"{taken['wall']:.2f}"
            for ratio in ratios:
                table.add_row(what, *seconds, *_told(ratio))
                what, seconds = "", ("", "")
        table.add_section()
    Console(width=110).print(table)


def _told(ratio: dict[str, Any] | None) -> tuple[str, str, str]:
    """Ratio, what was asked, and whether it was met."""
    if ratio is None:
        return "", "", ""
    spread = f"({ratio['low']:.2f} to {ratio['high']:.2f})"
    return (
        f"{ratio['ratio']:.2f} {ratio['to']} {spread}",
        f"{ratio['limit']:g}",
        "yes" if ratio["met"] else "no",
    )


if __name__ == "__main__":
    watched.run(main)
