"""Small, uneven sweeps drawn from known truths, fitted with `auto`, and asked.

    python bench/small.py [--quick] [--json] [--designs NAME,...] [--draws N] [--again]
        [--bootstrap R] [--store FILE] [--seconds S] [--verdicts]

29 designs (`small_designs.py`: nine lr at one size, crosses, random designs, ranges
that miss the optimum, walls, true divergence, no bowl at all, one wrong number), truths
half inside the families and half not (`small_truths.py`). Each draw is fitted and
asked at a fitted size; what is answered is held against the truth and against the t
interval of a regression that starts at it (`small_reference.py`). One process;
finished draws are kept in the store, one JSON line each, and not run again by the same
code. --again: 1,000 fresh draws of each design that missed over 9 % so far. --seconds:
stop after so many; the rest is for the next time. --verdicts: only what becomes of the
runs, without fits and without a store: 200 draws of all designs in a minute.

Prints a line a design, and what issue 16 asks beside what was found: "closed" intervals
count as answered ok, "bare" is an ok without any interval. Last a JSON document.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jax
from harness import watched
from harness.machine import ROOT
from simulation.small_designs import DESIGNS, QUICK, Design
from simulation.small_summary import (
    AGAIN,
    Share,
    by_design,
    line,
    of_verdicts,
    pooled,
    row,
    widths,
)
from simulation.small_trial import Record, trial, verdict_trial

from surrogate.base import interrupts
from surrogate.fitting.fit import versions
from surrogate.numerics import batches

DRAWS, QUICK_DRAWS, FRESH = 200, 4, 1_000
# Fresh draws have numbers that no first draw has.
_FRESH_FROM = 1_000_000
# Draws of each fit: intervals need some, their jackknife not more.
BOOTSTRAP = 40
_CLEAN = "five-by-12"
Key = tuple[str, int]


def main() -> None:
    """Run what is not in the store, print the table and the document."""
    options = _options()
    names: list[str] = [*QUICK] if options.quick else [*DESIGNS]
    draws = options.draws or (QUICK_DRAWS if options.quick else DRAWS)
    if options.designs:
        names = options.designs.split(",")
    unknown = [name for name in names if name not in DESIGNS]
    if unknown:
        sys.exit(f"Unknown: {', '.join(unknown)}. Designs: {', '.join(DESIGNS)}.")
    if options.verdicts:
        _only_verdicts(names, draws, options.json)
        return
    store = options.store or ROOT / "bench" / "out" / "small.jsonl"
    store.parent.mkdir(parents=True, exist_ok=True)
    # Compiled programs are kept beside the store: most of a first draw's time.
    jax.config.update("jax_compilation_cache_dir", str(store.parent / "xla"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
    code = f"{code_now()}, bootstrap {options.bootstrap}"
    done = stored(store, code)
    wanted = _wanted(names, draws, options.again, done)
    until = time.perf_counter() + options.seconds if options.seconds else None
    run(wanted, done, store, code, options.bootstrap, until)
    records = [done[key] for key in wanted if key in done]
    groups = by_design(records)
    rows = [row(name, group) for name, group in groups.items()]
    shares = pooled(groups, options.again)
    wide = widths(rows)
    missing = len(wanted) - len(records)
    if missing and not options.json:
        print(f"PARTIAL: {missing} of {len(wanted)} draws are not run yet.")
    if not options.json:
        _show(rows, shares, wide)
    document = {
        "bench": "small",
        "partial": missing > 0,
        "again": options.again,
        "rows": rows,
        "asked": [share._asdict() | {"verdict": share.verdict} for share in shares],
        "widths": wide,
        "code": code,
        "versions": versions(),
        "date": datetime.now(UTC).date().isoformat(),
    }
    print(json.dumps(document))


def _show(rows: list[Record], shares: list[Share], wide: list[Record]) -> None:
    """For people: a line a design, then a line for each number that is asked."""
    for each in rows:
        print(line(each))
    for share in shares:
        print(share.line())
    for each in wide:
        print(
            f"{each['verdict']:<5} {each['value']:7.2f} x asked <= "
            f"{each['limit']:g} x  {each['name']}"
        )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="3 designs x 4 draws")
    parser.add_argument("--json", action="store_true", help="the document alone")
    parser.add_argument("--designs", help="only these, NAME,NAME")
    parser.add_argument("--draws", type=int, help=f"of each design, default {DRAWS}")
    parser.add_argument("--again", action="store_true", help="fresh draws of the worst")
    parser.add_argument("--bootstrap", type=int, default=BOOTSTRAP, help="of each fit")
    parser.add_argument("--store", type=Path, help="finished draws, JSON lines")
    parser.add_argument("--seconds", type=float, help="stop after so many")
    parser.add_argument("--verdicts", action="store_true", help="no fits")
    return parser.parse_args()


def _only_verdicts(names: list[str], draws: int, is_json: bool) -> None:
    records = [verdict_trial(DESIGNS[n], i) for n in names for i in range(draws)]
    shares = of_verdicts(records)
    for share in () if is_json else shares:
        print(share.line())
    asked = [share._asdict() | {"verdict": share.verdict} for share in shares]
    print(json.dumps({"bench": "small, verdicts", "draws": draws, "asked": asked}))


def _wanted(
    names: list[str], draws: int, again: bool, done: dict[Key, Record]
) -> list[Key]:
    """Which draws, design after design, so that programs are used while they last."""
    if not again:
        return [(name, index) for name in names for index in range(draws)]
    first = by_design(r for (_, index), r in done.items() if index < _FRESH_FROM)
    worst = []
    for name in names:
        part = row(name, first[name])["lr"] if name in first else None
        if part and part["judged"] and part["missed"] > AGAIN * part["judged"]:
            worst.append(name)
    fresh = range(_FRESH_FROM, _FRESH_FROM + FRESH)
    return [(name, index) for name in worst for index in fresh]


def run(
    wanted: list[Key],
    done: dict[Key, Record],
    store: Path,
    code: str,
    bootstrap: int,
    until: float | None,
) -> None:
    """Each draw that is missing; a line in the store when it is done."""
    for name, index in _missing(wanted, done):
        if until is not None and time.perf_counter() > until:
            return
        # Each size of table compiles programs, of which a process holds so many.
        if batches.is_full():
            jax.clear_caches()
        design = DESIGNS[name]
        if design.wrong and (_CLEAN, index) not in done:
            _one(DESIGNS[_CLEAN], index, done, store, code, bootstrap)
        record = _one(design, index, done, store, code, bootstrap)
        interrupts.finished()
        print(f"{name} {index}: {record['seconds']:.1f} s", file=sys.stderr)


def _missing(wanted: list[Key], done: dict[Key, Record]) -> Iterator[Key]:
    return (key for key in wanted if key not in done)


def _one(
    design: Design,
    index: int,
    done: dict[Key, Record],
    store: Path,
    code: str,
    bootstrap: int,
) -> Record:
    clean = done.get((_CLEAN, index)) if design.wrong else None
    record = trial(design, index, bootstrap, clean) | {"code": code}
    with store.open("a") as file:
        file.write(json.dumps(record) + "\n")
    done[design.name, index] = record
    return record


def stored(store: Path, code: str) -> dict[Key, Record]:
    """Records that this code made; the last line may be cut short by a kill."""
    if not store.exists():
        return {}
    found: dict[Key, Record] = {}
    for text in store.read_text().splitlines():
        try:
            record: dict[str, Any] = json.loads(text)
        except json.JSONDecodeError:
            continue
        if record.get("code") == code and record["design"] in DESIGNS:
            found[record["design"], record["draw"]] = record
    return found


def code_now() -> str:
    """A digest of the library and of what draws are made of."""
    files = sorted((ROOT / "surrogate").rglob("*.py"))
    parts = ("truths", "designs", "reference", "trial")
    simulation = ROOT / "bench" / "simulation"
    files += [simulation / f"small_{part}.py" for part in parts]
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


if __name__ == "__main__":
    watched.run(main)
