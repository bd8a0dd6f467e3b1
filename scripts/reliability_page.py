"""Write docs/reliability.md from the documents of the campaigns.

    python scripts/reliability_page.py [--check]

Reads the last line of every bench/results/reliability/*.txt, which bench/fuzz.py and
bench/crash.py print; `--check` compares instead of writing and exits 1 on a difference.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reliability.md"
RESULTS = ROOT / "bench" / "results" / "reliability"
HEAD = """# Reliability

Hostile input by the thousand: what came of it, each row with the command that made it.
Written by `python scripts/reliability_page.py`. A case is *refused* if it raised one
`DataError` whose message is printable and short; else it was answered. A *fault* is
anything else: another exception, a message that cannot be read, no answer after 5 s of
a core (or 60 s of waiting), a damaged fit that answers otherwise than the intact one.

| campaign | part | cases | refused | faults | command |
|---|---|---|---|---|---|
"""
CRASHES = """
Is a saved fit ever lost? A save that is stopped must leave the old fit or the new one,
whole; what is no fit must not be replaced.

| what | cases | not as expected | outcomes | command |
|---|---|---|---|---|
"""
TAIL = """
The hour (a core shared by six processes: 18 minutes of work, on the tree of November
30) found two kinds of fault, mended since, each with tests: a name in a forged manifest
came unescaped into its refusal (manifests, 4 cases), and the cells of a forged
discrepancy of unlike lengths loaded and then raised (folders 1760, 5378, 7193, 7861).
The other seven of folders are time-outs by the clock, when five seconds held none of
ours; alone each ends in 0.3 s (0.15 s of a core). All fifteen were run again on the
mended code: none is a fault. Forged manifests that are sealed anew and asked every verb
(`sealed`) found three more kinds in 2,258 cases: cells without a scale of the fit, an
edge told by no name of the fit, cells without a learning rate; mended, then none in two
times 2,081. The 1,200 s are of the mended code beside seven busy processes at the least
priority, so of few cases; strangers' tables and folders of runs had 15,294 and 9,612
more cases by themselves, without a fault.

What a machine may be out of (memory, space, open output, home, locale, width) is
`tests/cli/test_run_time.py`, in real children. The short forms of all of these run with
the tests: `tests/base/test_arguments.py` (every public function, every argument),
`tests/answers/test_schema.py` (forged manifests), `tests/bench/test_fuzz.py`,
`tests/storage/test_crash.py`.

Limits, each named with its number in the message: a table of 1 GiB (256 MiB unfolded
from .gz and the like), 10,000 columns, 20 million cells, JSON 32 levels deep; a
manifest of 256 MiB, 32 levels, 20 million values; an expression of the length and
depth that its message names; 100,000 draws; sizes, learning rates and batches from
1e-30 to 1e30; names of 255 bytes, paths of 4,095.
"""


def main() -> int:
    """Write or check the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare, do not write")
    asked = parser.parse_args()
    found = list(documents())
    fuzzed = (one for one in found if one["bench"] == "fuzz")
    text = HEAD + "".join(line for one in fuzzed for line in rows(one))
    crashed = (one for one in found if one["bench"] == "crash")
    text += CRASHES + "".join(line for one in crashed for line in crashes(one)) + TAIL
    if not asked.check:
        PAGE.write_text(text, encoding="utf-8")
        return 0
    return int(PAGE.read_text(encoding="utf-8") != text)


def documents() -> Iterator[dict[str, Any]]:
    """What the campaigns printed last."""
    for file in sorted(RESULTS.glob("*.txt")):
        yield json.loads(file.read_text(encoding="utf-8").splitlines()[-1])


def rows(document: dict[str, Any]) -> Iterator[str]:
    """Lines of the table of a campaign of the fuzzer."""
    for part, counts in document["parts"].items():
        numbers = counts["cases"], counts["refused"], len(counts["faults"])
        cells = [document["bench"], part, *(f"{number:,}" for number in numbers)]
        yield _line([*cells, f"`{document['command']}`"])


def crashes(document: dict[str, Any]) -> Iterator[str]:
    """Lines of the table of stopped saves."""
    for row in document["rows"]:
        outcomes = ", ".join(f"{n:,} {name}" for name, n in row["outcomes"].items())
        numbers = f"{row['cases']:,}", f"{row['not_as_expected']:,}"
        yield _line([row["what"], *numbers, outcomes, f"`{document['command']}`"])


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


if __name__ == "__main__":
    sys.exit(main())
