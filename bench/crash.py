"""Whether a fit is ever lost: saves killed, interrupted, out of space, beside others.

    python bench/crash.py [--quick] [--json] [--part TEXT]...

Saves go through orbax, to real disks, on both roads: Linux's exchange of two folders,
and the two steps of systems without it. `--quick` copies the arrays that orbax wrote
once, and does a tenth of the cases. Prints a table and, as its last line, one JSON
document. Full disks need the right to mount a tmpfs, and are left out without it.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orbax.checkpoint  # noqa: F401 - once, not in every child
from rich.console import Console
from rich.table import Table
from trust import crash_events as events
from trust import crash_folders

from surrogate.base.errors import DataError
from surrogate.storage import checkpoint

KILLS, SECONDS, STEP = 200, 30.0, 1
QUICK_KILLS, QUICK_SECONDS, QUICK_STEP = 20, 3.0, 7
# Free kB of a full disk that holds a fit, and free inodes where kB are not short.
FREE = ((0, 99), (4, 99), (16, 99), (32, 99), (48, 99), (64, 99), (80, 99))
INODES = ((999, 0), (999, 1), (999, 5), (999, 12), (999, 18))


def main() -> None:
    """Run the parts, print the table and the document."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the cases")
    parser.add_argument("--json", action="store_true", help="no table")
    parser.add_argument("--part", action="append", help="parts that contain this")
    arguments = parser.parse_args()
    # JAX warns of every fork; here each child saves and ends.
    warnings.filterwarnings("ignore", message="os.fork")
    rows = []
    with tempfile.TemporaryDirectory() as name:
        for title, part in parts(Path(name), quick=arguments.quick):
            if arguments.part and not any(text in title for text in arguments.part):
                continue
            start = time.perf_counter()
            row = {"what": title, **part()}
            rows.append({**row, "seconds": round(time.perf_counter() - start, 1)})
            if not arguments.json:
                print(f"{title}: {row['outcomes']}", flush=True)
    if not arguments.json:
        print_table(rows)
    how = " --quick" if arguments.quick else ""
    how += "".join(f' --part "{text}"' for text in arguments.part or ())
    command = f"python bench/crash.py{how}"
    print(json.dumps({"bench": "crash", "command": command, "rows": rows}))


def parts(
    folder: Path, *, quick: bool
) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    """What is tried, and how."""
    prepared = folder / "prepared"
    for number in (events.OLD, events.NEW, events.NEXT):
        events.in_child(lambda n=number: events.write(prepared / str(n), n))
    if quick:
        checkpoint.save = events.copied(prepared)
    kills = QUICK_KILLS if quick else KILLS
    seconds = QUICK_SECONDS if quick else SECONDS
    step = QUICK_STEP if quick else STEP
    for road in events.ROADS:
        for how in events.HOWS:
            goal = fresh(folder)
            yield (
                f"{how} at each event of a save, {road}",
                lambda goal=goal, road=road, how=how: stops(goal, road, how, step),
            )
    for road in events.ROADS:
        goal = fresh(folder)
        yield (
            f"kill -9 at random, {road}",
            lambda goal=goal, road=road: random_kills(goal, road, kills // 2),
        )
    for road in events.ROADS:
        for writers in (1, 2):
            goal = fresh(folder)
            yield (
                f"{writers} writing beside 2 reading, {road}",
                lambda goal=goal, road=road, writers=writers: beside(
                    goal, road, writers, seconds
                ),
            )
    yield "--overwrite of what is no fit", lambda: no_fits(fresh(folder), prepared)
    yield "full disk", lambda: full_disks(folder)


def fresh(folder: Path) -> Path:
    """A goal in a folder of its own, in which nothing else is."""
    return Path(tempfile.mkdtemp(dir=folder)) / "goals" / "fit"


def stops(goal: Path, road: str, how: str, step: int) -> dict[str, Any]:
    """Stop a save at each of its events."""
    goal.parent.mkdir()
    report = goal.parent.with_name("stops")

    def run() -> None:
        report.write_text(json.dumps(events.every_stop(goal, road, how, step)))

    assert events.in_child(run) == 0
    found = [events.Stop(*stop) for stop in json.loads(report.read_text())]
    names = {events.OLD: "old", events.NEW: "new"}
    return judged(
        Counter(stop.fault or names.get(stop.found or 0, "lost") for stop in found),
        ("old", "new"),
    )


def random_kills(goal: Path, road: str, count: int) -> dict[str, Any]:
    """Kill a process that saves without pause, at random moments."""
    outcomes: Counter[str] = Counter()
    dice = random.Random(0)

    def save_on() -> None:
        events.take_road(road)
        while True:
            for number in (events.OLD, events.NEW):
                events.write(goal, number)

    def look() -> None:
        events.take_road(road)
        assert events.read(goal) in (events.OLD, events.NEW)

    events.in_child(lambda: events.write(goal, events.OLD))
    for _ in range(count):
        child = events.start(save_on)
        # Past the first save, which starts JAX.
        time.sleep(dice.uniform(0.3, 1.0))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        outcomes["loads" if events.in_child(look) == 0 else "lost"] += 1
    events.in_child(lambda: events.write(goal, events.NEXT))
    litter = len(os.listdir(goal.parent)) - 1
    return judged(outcomes + Counter({"litter after the next save": litter}), "loads")


def beside(goal: Path, road: str, writers: int, seconds: float) -> dict[str, Any]:
    """Read in two processes what others save without pause."""
    assert events.in_child(lambda: events.write(goal, events.OLD)) == 0
    last = time.monotonic() + seconds

    def loop(kind: str, step: Callable[[int], object], report: Path) -> None:
        events.take_road(road)
        outcomes: Counter[str] = Counter()
        number = 0
        while time.monotonic() < last:
            number = number % 3 + 1
            try:
                step(number)
                outcomes[f"{kind}"] += 1
            except DataError as error:
                outcomes[f"{kind}: one sentence"] += 1
                outcomes[f"said: {str(error).rpartition('fit')[2][:60]}"] += 0
            except AssertionError:
                outcomes["mixed"] += 1
            except Exception as error:
                outcomes[f"{type(error).__name__}: {error}"[:60]] += 1
        report.write_text(json.dumps(outcomes))

    loops = [("saved", lambda number: events.write(goal, number))] * writers
    loops += [("read whole", lambda _: events.read(goal))] * 2
    reports = [goal.parent.with_name(f"loop{i}") for i in range(len(loops))]
    children = [
        events.start(lambda k=kind, s=step, r=report: loop(k, s, r))
        for (kind, step), report in zip(loops, reports, strict=True)
    ]
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    outcomes: Counter[str] = Counter({"ended badly": sum(code != 0 for code in codes)})
    for report in reports:
        if report.exists():
            outcomes.update(json.loads(report.read_text()))
    outcomes["litter"] = len(os.listdir(goal.parent)) - 1
    fine = ("read whole", "read whole: one sentence", "saved", "saved: one sentence")
    return judged(outcomes, fine)


def no_fits(goal: Path, prepared: Path) -> dict[str, Any]:
    """Ask the command to overwrite each kind of folder that is no fit."""
    report = goal.parent.with_name("outcomes")

    def run() -> None:
        report.write_text(json.dumps(ask_command(goal.parent, prepared)))

    assert events.in_child(run) == 0
    return judged(Counter(json.loads(report.read_text())), ("exit 2, untouched",))


def ask_command(folder: Path, prepared: Path) -> Counter[str]:
    """Exit codes of `fit --overwrite`, in this process, and what became of folders."""
    from surrogate.answers.simulate import simulate
    from surrogate.cli.main import main as command

    folder.mkdir()
    runs = simulate(0)
    table = folder / "runs.csv"
    names = ("lr", "batch", "params", "tokens", "loss")
    lines = zip(*(getattr(runs, name) for name in names), strict=True)
    text = [",".join(names), *(",".join(map(str, line)) for line in lines)]
    table.write_text("\n".join(text) + "\n")
    outcomes: Counter[str] = Counter()
    for _, make in crash_folders.KINDS.values():
        place = Path(tempfile.mkdtemp(dir=folder)) / "fit"
        shutil.copytree(prepared / "1", place)
        make(place)
        before = crash_folders.picture(place.parent)
        with contextlib.redirect_stderr(io.StringIO()):
            code = command(["fit", str(table), "--out", str(place), "--overwrite"])
        same = crash_folders.picture(place.parent) == before
        outcomes[f"exit {code}, {'untouched' if same else 'TOUCHED'}"] += 1
    return outcomes


def full_disks(folder: Path) -> dict[str, Any]:
    """Save to disks with little room, or few inodes, that hold a fit."""
    outcomes: Counter[str] = Counter()
    for free, inodes in FREE + INODES:
        disk = Path(tempfile.mkdtemp(dir=folder))
        mount = ["mount", "-t", "tmpfs", "-o", "size=9m,nr_inodes=9k", "tmpfs", disk]
        if subprocess.run(mount, capture_output=True, check=False).returncode:
            return judged(Counter({"left out: no right to mount": 1}), ("left out",))
        try:
            outcomes[on_full_disk(disk, free, inodes)] += 1
        finally:
            subprocess.run(["umount", disk], check=True)
    return judged(outcomes, ("one sentence, old fit stands", "saved"))


def on_full_disk(disk: Path, free: int, inodes: int) -> str:
    """What becomes of a save where so many kB and inodes are free."""
    goal = disk / "fit"
    events.in_child(lambda: events.write(goal, events.OLD))
    about = os.statvfs(disk)
    size = (about.f_blocks - about.f_bfree) * about.f_frsize + 1024 * free
    files = about.f_files - about.f_ffree + inodes
    # A tmpfs takes 0 for no limit.
    limits = f"remount,size={max(size, 4096)},nr_inodes={files}"
    subprocess.run(["mount", "-o", limits, disk], check=True)
    said = Path(tempfile.mkdtemp()) / "said"

    def save() -> int:
        try:
            events.write(goal, events.NEW)
        except DataError as error:
            said.write_text(str(error))
            return 2
        return 0

    code = events.in_child(save)
    expected = {0: events.NEW, 2: events.OLD}.get(code)
    whole = events.in_child(lambda: int(events.read(goal) != expected)) == 0
    litter = sorted(set(os.listdir(disk)) - {"fit"})
    text = said.read_text() if said.exists() else ""
    shutil.rmtree(said.parent)
    if expected is None or not whole or litter:
        return f"code {code}, whole {whole}, litter {litter}"
    if code == 2 and "no space left" not in text:
        return text
    return "saved" if code == 0 else "one sentence, old fit stands"


def judged(outcomes: Counter[str], fine: tuple[str, ...] | str) -> dict[str, Any]:
    """A row: how many cases came out how, and how many not as they must."""
    bad = sum(n for name, n in outcomes.items() if name not in fine)
    return {
        "cases": outcomes.total(),
        "not_as_expected": bad,
        "outcomes": dict(outcomes),
    }


def print_table(rows: list[dict[str, Any]]) -> None:
    """For people: what was tried, how often, and what went wrong."""
    table = Table(title="Is a fit ever lost?")
    for column in ("what", "cases", "not as expected", "outcomes", "s"):
        table.add_column(column, justify="left" if column in "outcomes" else "right")
    for row in rows:
        outcomes = ", ".join(f"{n} {name}" for name, n in row["outcomes"].items() if n)
        table.add_row(
            row["what"],
            str(row["cases"]),
            str(row["not_as_expected"]),
            outcomes,
            f"{row['seconds']:.0f}",
        )
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
