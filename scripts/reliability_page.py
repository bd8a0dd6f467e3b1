"""Write docs/reliability.md from the documents of the campaigns.

    python scripts/reliability_page.py [--check]

Reads the last line of every bench/results/reliability/*.txt, which bench/fuzz.py
prints; `--check` compares instead of writing and exits 1 on a difference.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reliability.md"
RESULTS = ROOT / "bench" / "results" / "reliability"
HEAD = """# Reliability

Hostile input by the thousand: what came of it, each row with the command that made it.
Written by `python scripts/reliability_page.py`. A case is *refused* if it raised one
`DataError` whose message is printable and short; else it was answered. A *fault* is
anything else: another exception, a message that cannot be read, no answer within 5 s,
a damaged fit that answers otherwise than the intact one.

| campaign | part | cases | refused | faults | command |
|---|---|---|---|---|---|
"""
TAIL = """
The four faults of folders are time-outs on a machine with 16 processes for 2 cores;
repeated alone, cases 248, 261, 262 and 268 end in under 1 s (0.2 s of CPU).

Kills, full disks and two writers at once are `python bench/crash.py` (200 random kills
and every file event; `--quick` a tenth). What a machine may be out of (memory, space,
open output, home, locale, width) is `tests/cli/test_run_time.py`, in real children. The
short forms of all of these run with the tests: `tests/base/test_arguments.py` (every
public function, every argument), `tests/answers/test_schema.py` (forged
manifests), `tests/bench/test_fuzz.py`, `tests/storage/test_crash.py`.

Limits, each named with its number in the message: a table of 1 GiB, 10,000 columns, 20
million cells, JSON 32 levels deep; a manifest of 256 MiB, 32 levels, 20 million values;
an expression of the length and depth that its message names; 100,000 draws; sizes,
learning rates and batches from 1e-30 to 1e30; names of 255 bytes, paths of 4,095.
"""


def main() -> int:
    """Write or check the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare, do not write")
    asked = parser.parse_args()
    text = HEAD + "".join(map(row, documents())) + TAIL
    if not asked.check:
        PAGE.write_text(text, encoding="utf-8")
        return 0
    return int(PAGE.read_text(encoding="utf-8") != text)


def documents() -> list[tuple[str, str, dict[str, Any], str]]:
    """Campaign, part, counts and command of every row."""
    found = []
    for file in sorted(RESULTS.glob("*.txt")):
        last = file.read_text(encoding="utf-8").splitlines()[-1]
        document = json.loads(last)
        for part, counts in document["parts"].items():
            found.append((document["bench"], part, counts, document["command"]))
    return found


def row(each: tuple[str, str, dict[str, Any], str]) -> str:
    """A line of the table."""
    bench, part, counts, command = each
    numbers = counts["cases"], counts["refused"], len(counts["faults"])
    cells = [bench, part, *(f"{number:,}" for number in numbers), f"`{command}`"]
    return f"| {' | '.join(cells)} |\n"


if __name__ == "__main__":
    sys.exit(main())
