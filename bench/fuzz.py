"""Broken input by the thousand: nothing but an answer or one sentence may come of it.

    python bench/fuzz.py [--seconds 3600] [--part TEXT]... [--state FILE] [--json]

Parts: tables (CSV, JSON, JSON lines, markdown), tables of strangers, folders of runs,
units, expressions, manifests, folders of fits, manifests sealed anew with every verb
asked, and, where node is there, the address of the page. A case is its number, so a run
goes on where the state file says that the last one ended; a failing case is printed
with what repeats it. It hangs after 5 s of work or, where it waits, 60. Prints a table
and, as its last line, one JSON document.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import tempfile
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from trust import fuzz_parts as parts

# Seconds of a core after which a case counts as a hang, and those by the clock, since
# beside other work 5 s may hold none of ours; those of a turn of one part.
HANG, WAIT, TURN = 5, 60, 5.0


def main() -> None:
    """Run the parts in turn, print the table and the document."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="in all")
    parser.add_argument("--part", action="append", help="parts that contain this")
    parser.add_argument("--state", type=Path, help="where to go on, and to note it")
    parser.add_argument("--json", action="store_true", help="no table")
    asked = parser.parse_args()
    wanted = asked.part or [""]
    names = [n for n in parts.PARTS if any(text in n for text in wanted)]
    state = _read(asked.state)
    warnings.simplefilter("ignore")
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        tools = {name: parts.PARTS[name](Path(folder)) for name in names}
        while time.monotonic() - start < asked.seconds:
            for name, case in tools.items():
                row = state.setdefault(name, {"cases": 0, "refused": 0, "faults": []})
                until = min(TURN, asked.seconds / len(tools))
                turn(name, case, row, until)
            if asked.state:
                asked.state.write_text(json.dumps(state), encoding="utf-8")
    _print(state, as_json=asked.json, seconds=time.monotonic() - start)


def turn(name: str, case: parts.Case, row: dict[str, Any], seconds: float) -> None:
    """Run cases of one part for a while, from the number that is next."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        number = row["cases"]
        row["cases"] += case.width
        refused, fault = attempt(name, case, number)
        row["refused"] += refused
        if fault:
            row["faults"].append(fault)


def attempt(name: str, case: parts.Case, number: int) -> tuple[int, str | None]:
    """How many were refused in a case, and what went wrong."""
    has_alarm = hasattr(signal, "SIGALRM")
    if has_alarm:
        for each in (signal.SIGALRM, signal.SIGPROF):
            signal.signal(each, _late)
        signal.alarm(WAIT)
        signal.setitimer(signal.ITIMER_PROF, HANG)
    try:
        return case.run(random.Random(f"{name} {number}"), number), None
    except parts.Fault as fault:
        return 0, f"{name} {number}: {fault}"
    except Exception as error:  # what is looked for
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(last.filename).name}:{last.lineno}"
        return 0, f"{name} {number}: {type(error).__name__} at {place}: {error}"[:300]
    finally:
        if has_alarm:
            signal.alarm(0)
            signal.setitimer(signal.ITIMER_PROF, 0)


def _late(*_: Any) -> None:
    raise TimeoutError(f"no answer after {HANG} s of work, or {WAIT} of waiting")


def _read(file: Path | None) -> dict[str, Any]:
    if file is None or not file.exists():
        return {}
    return json.loads(file.read_text(encoding="utf-8"))


def _print(state: dict[str, Any], *, as_json: bool, seconds: float) -> None:
    if not as_json:
        table = Table("part", "cases", "refused", "faults")
        for name, row in state.items():
            counts = row["cases"], row["refused"], len(row["faults"])
            table.add_row(name, *(f"{count:,}" for count in counts))
        Console(width=100).print(table)
        for row in state.values():
            for fault in row["faults"][:10]:
                print(fault)
    command = f"python bench/fuzz.py --seconds {seconds:.0f}"
    print(json.dumps({"bench": "fuzz", "command": command, "parts": state}))


if __name__ == "__main__":
    main()
