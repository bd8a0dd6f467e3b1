"""What must not change an answer: properties, each on random tables by hypothesis.

    python bench/invariances.py [--cases 1000] [--only NAME]... [--store FILE] [--json]

Every property (`trust/properties.py`) changes a small sweep, made of numbers that
hypothesis chooses, in a way that means nothing, and tells how far answers moved over
what may be. Exits 1 where one moved further. Cases come in lots of 50, every property
in turn; with a store a run goes on where the last one ended.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import hypothesis
from trust.properties import CASES, PROPERTIES, Case

# Of every property its cases, the largest share, where it was and seconds.
Kept = dict[str, dict[str, Any]]
# Cases of one property until it is another's turn.
_LOT = 50


class Outcome(NamedTuple):
    """Of a property: cases, the largest share of what is allowed, and where."""

    cases: int
    worst: float
    where: Case | None
    seconds: float


def run(name: str, cases: int, lot: int = 0) -> Outcome:
    """Ask hypothesis for so many cases; the worst of all is kept, none stops it."""
    check, begun = PROPERTIES[name], time.monotonic()
    worst, where, done = -1.0, None, 0

    @hypothesis.seed(lot)
    @hypothesis.settings(
        max_examples=cases,
        deadline=None,
        database=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=[
            hypothesis.HealthCheck.too_slow,
            hypothesis.HealthCheck.filter_too_much,
        ],
    )
    @hypothesis.given(CASES)
    def ask(case: Case) -> None:
        nonlocal worst, where, done
        moved = check(case)
        done += 1
        if moved > worst:
            worst, where = moved, case

    ask()
    return Outcome(done, worst, where, time.monotonic() - begun)


def grown(names: Iterable[str], cases: int, store: Path | None) -> Kept:
    """Run lot after lot until every property has so many cases; what the store knows.

    Args:
        names: of properties.
        cases: of each, those of the store included.
        store: where to go on, and to note it after every lot.
    """
    known: Kept = json.loads(_text(store) or "{}")
    none = {"cases": 0, "worst": -1.0, "where": None, "seconds": 0.0}
    found = {name: known.get(name, dict(none)) for name in names}
    while short := [name for name, kept in found.items() if kept["cases"] < cases]:
        for name in short:
            kept = found[name]
            asked = min(_LOT, cases - kept["cases"])
            outcome = run(name, asked, kept["cases"])
            kept["cases"] += outcome.cases
            kept["seconds"] += outcome.seconds
            if outcome.worst > kept["worst"]:
                kept |= {"worst": outcome.worst, "where": outcome.where}
            if store:
                store.write_text(json.dumps(known | found, indent=1) + "\n")
    return found


def main() -> int:
    """Run what is asked for; 1 where an answer moved."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--only", action="append", choices=PROPERTIES)
    parser.add_argument("--store", type=Path, help="where to go on, and to note it")
    parser.add_argument("--json", action="store_true", help="the document alone")
    options = parser.parse_args()
    names = options.only or PROPERTIES
    found = grown(names, options.cases, options.store)
    if not options.json:
        for name, kept in found.items():
            print(f"{name:20} {kept}", flush=True)
    print(json.dumps(found))
    return int(any(kept["worst"] > 1 for kept in found.values()))


def _text(file: Path | None) -> str:
    return file.read_text(encoding="utf-8") if file and file.exists() else ""


if __name__ == "__main__":
    sys.exit(main())
