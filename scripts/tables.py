"""Writes docs/tables.md: what the tool says of ../shared/cases, beside good answers.

    python scripts/tables.py [--only NAME]... [--json] [--page FILE]

Each table is read, fitted (--bootstrap 200) and asked by the `surrogate` command, as a
user would type it (`table_cases.py`: flags, questions, expectations). Tables are found
by SURROGATE_CASES, default ../shared/cases. --only runs the files whose name contains
NAME again and keeps what the store (out/tables.json) has of the others; until it has
all, the page is printed and not written. Exits 1 where a table does not agree.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from table_cases import CASES
from table_expect import Case, Outcome, get

ROOT = Path(__file__).resolve().parents[1]
PAGE, STORE = ROOT / "docs" / "tables.md", ROOT / "out" / "tables.json"
# Of one command; `auto` compiles for a minute.
_SECONDS = 600
# Of `check`, on the page.
_WARNINGS = 4
_FIT = "fit FILE FLAGS --out FIT --bootstrap 200"
_HEAD = """\
# Tables as people have them

Written by `python scripts/tables.py`, which reads the tables in ../shared/cases, fits
them (`--bootstrap 200`) and asks with the `surrogate` command; do not edit. "Agrees" is
checked by the expectations in `scripts/table_cases.py`; what is not met is named.

| file | flags | what the tool says | a good answer | agrees |
|---|---|---|---|---|
"""
Row = dict[str, Any]


def main() -> int:
    """Run what is asked for and write the page; 1 where a table does not agree."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", action="append", help="files that contain this")
    parser.add_argument("--json", action="store_true", help="the document alone")
    parser.add_argument("--page", type=Path, default=PAGE, help="what to write")
    options = parser.parse_args()
    done: dict[str, Row] = json.loads(STORE.read_text()) if STORE.exists() else {}
    asked = [c for c in CASES if any(t in c.file for t in options.only or [""])]
    for case in asked:
        done[case.file] = run(case)
        STORE.parent.mkdir(parents=True, exist_ok=True)
        STORE.write_text(json.dumps(done, indent=1))
        print(f"{case.file}: {_agrees(done[case.file])}", file=sys.stderr)
    rows = [done[case.file] for case in CASES if case.file in done]
    text = _HEAD + "\n".join(map(line, rows)) + "\n"
    if len(rows) == len(CASES):
        options.page.write_text(text)
    elif not options.json:
        print(f"PARTIAL: {len(rows)} of {len(CASES)} tables; no page is written.\n")
    if not options.json:
        print(text)
    shown = [done[case.file] for case in asked]
    print(json.dumps({"tables": shown}))
    return int(any(row["missed"] for row in shown))


def cases_dir() -> Path:
    """Where the tables lie."""
    return Path(os.environ.get("SURROGATE_CASES", ROOT.parent / "shared" / "cases"))


def run(case: Case) -> Row:
    """One table's commands, what they say, and which expectations are missed."""
    steps = {"check": "check FILE FLAGS", "fit": _FIT} | case.steps
    # A fit comes before what asks it, wherever a case names it.
    order = sorted(steps, key=lambda name: {"check": 0, "fit": 1}.get(name, 2))
    outcomes, commands = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for name in order:
            words = _words(steps[name], case, Path(folder) / "fit")
            outcomes[name] = execute(words)
            commands[name] = steps[name].replace("FLAGS", case.flags)
    missed = [text for text, test in case.expects.items() if not test(outcomes)]
    return {
        "file": case.file,
        "flags": case.flags,
        "good": case.good,
        "commands": commands,
        "exit": {name: outcome.code for name, outcome in outcomes.items()},
        "says": decisive(outcomes),
        "text": {name: outcome.text for name, outcome in outcomes.items()},
        "missed": missed,
    }


def _words(step: str, case: Case, fit: Path) -> list[str]:
    places = {"FILE": str(cases_dir() / case.file), "FIT": str(fit)}
    words = shlex.split(step.replace("FLAGS", case.flags))
    return [places.get(word, word) for word in words]


def execute(words: list[str]) -> Outcome:
    """The step as people see it, and again as JSON."""
    command = [sys.executable, "-m", "surrogate.cli.start", *words]
    script = Path(sys.executable).parent / "surrogate"
    if script.exists():
        command = [str(script), *words]
    plain = _spoken(command)
    text = plain.stdout + plain.stderr
    # What a fit read stands in the document of `check`; it is made once.
    if words[0] == "fit":
        return Outcome(plain.returncode, text, {})
    try:
        document = json.loads(_spoken([*command, "--json"]).stdout)
    except json.JSONDecodeError:
        document = {}
    return Outcome(plain.returncode, text, document)


def _spoken(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, capture_output=True, text=True, timeout=_SECONDS, check=False
    )


def decisive(outcomes: dict[str, Outcome]) -> list[str]:
    """One line a question: exit code, status, lr, batch, and its warnings.

    Of `check` what it recognised and its first warnings; of a step that has no answer,
    the last line that it printed.
    """
    lines = []
    for name, outcome in outcomes.items():
        document = outcome.document
        refusal = get(document, "error.message")
        if document and not refusal:
            parts = [str(get(document, "status") or "read")]
            parts += [_number(document, key) for key in ("lr", "batch", "loss")]
            parts += [_number(document, key) for key in ("regret", "diverged")]
            parts += _named(document)
            warnings = list(get(document, "warnings") or [])
            if name == "check":
                # After the columns: what was inferred and converted.
                notes = [n.partition("; ")[2] for n in get(document, "notes") or []]
                warnings = [*filter(None, notes), *warnings[:_WARNINGS]]
            said = ", ".join(part for part in parts if part)
            text = " ".join(f"{part.rstrip('.')}." for part in [said, *warnings])
        else:
            text = refusal or _last_word(outcome.text)
        text = text.replace(f"{cases_dir()}/", "")
        lines.append(f"{name} (exit {outcome.code}): {text}")
    return lines


def _named(document: dict[str, Any]) -> list[str]:
    """What is named or offered beside an answer."""
    parts = []
    if best := get(document, "best_recipe.recipe"):
        parts.append(f"best recipe {best}")
    if offer := get(document, "offer"):
        parts.append(f"offered {_number(offer, 'lr')} at {_number(offer, 'batch')}")
    if law := get(document, "transfer.law"):
        found = document["transfer"]
        low, high = (f"{end:.3g}" for end in found["lr_range"])
        verb = "offered" if document.get("lr") is None else "carried"
        parts.append(
            f"{verb} by {law}'s exponents: {_number(found, 'lr')}, "
            f"{_number(found, 'batch')} ({len(found['laws'])} laws: lr {low} to {high})"
        )
    is_asked = "stability" in document and document.get("lr") is not None
    if is_asked and document["stability"] is None and not get(document, "transfer"):
        lowest = _number(get(document, "unstable") or {}, "lr")
        parts.append(f"divergence not known{lowest and f', seen at {lowest}'}")
    return parts


def _last_word(text: str) -> str:
    """The error that was printed, or else the first warning, or the last line."""
    printed = text.strip().splitlines() or [""]
    for kind in ("error: ", "warning: "):
        for each in printed:
            if each.startswith(f"surrogate: {kind}"):
                return each.removeprefix("surrogate: ")
    return printed[-1].strip()


def _number(document: dict[str, Any], key: str) -> str:
    value, ends = document.get(key), get(document, f"interval.{key}")
    if isinstance(value, dict):
        ends, value = [value.get("low"), value.get("high")], None
    shown = _short(value) if isinstance(value, int | float) else ""
    if isinstance(ends, list):
        low, high = (_short(e) if e is not None else "open" for e in ends)
        shown = f"{shown} ({low} to {high})".strip()
    return f"{key} {shown}" if shown else ""


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def line(row: Row) -> str:
    """One row of the page."""
    said = "<br>".join(_cell(text) for text in row["says"])
    flags = f"`{_cell(row['flags'])}`" if row["flags"] else "none"
    cells = (row["file"], flags, said, _cell(row["good"]), _agrees(row))
    return f"| {' | '.join(cells)} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _agrees(row: Row) -> str:
    return f"no: {'; '.join(row['missed'])}" if row["missed"] else "yes"


if __name__ == "__main__":
    sys.exit(main())
