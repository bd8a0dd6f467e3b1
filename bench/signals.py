"""Ctrl-C and SIGTERM at random moments of a fit: what is said, kept, left, and when.

    python bench/signals.py [--quick] [--json] [--moments N] [--seed S]
        [--family NAME]

A sweep of 14 cells is fitted (bowl, 400 draws) once undisturbed, for its time, and
then once a moment drawn from that time, each with a signal. A moment is as it should be
where the process says so within 1 s, ends within 2 s with nothing kept (130, 143) or
within 10 s with a fit that loads (1), and nothing else is left in the folder.

Prints a line a moment, and as its last line one JSON document.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from harness import watched

MOMENTS, QUICK = 40, 4
ACKNOWLEDGED, STOPPED, SAVED = 1.0, 2.0, 10.0


def main() -> int:
    """Run all moments; 1 where one was not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="four moments")
    parser.add_argument("--json", action="store_true", help="the document alone")
    parser.add_argument("--moments", type=int, help="how many")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--family", default="bowl", help="what is fitted")
    options = parser.parse_args()
    count = options.moments or (QUICK if options.quick else MOMENTS)
    rng = np.random.default_rng(options.seed)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table = folder / "runs.csv"
        table.write_text(sweep())
        whole = disturbed(table, folder / "whole", options.family, None, 0.0)
        for number in range(count):
            after = float(rng.uniform(0, whole["ended"]))
            kind = (signal.SIGINT, signal.SIGTERM)[number % 2]
            home = folder / str(number)
            home.mkdir()
            row = disturbed(table, home / "fit", options.family, kind, after)
            row["left"] = sorted(entry.name for entry in home.iterdir())
            row["is_right"] = is_right(row, kind)
            rows.append(row)
            if not options.json:
                print(_line(row), flush=True)
    wrong = sum(not row["is_right"] for row in rows)
    kept = sum(row["code"] == 1 for row in rows)
    document = {"bench": "signals", "moments": count, "kept": kept, "wrong": wrong}
    print(json.dumps(document))
    return int(wrong > 0)


def sweep() -> str:
    """A table of 14 smooth bowls with noise, 5 lr x 3 batches a cell."""
    rng = np.random.default_rng(11)
    lines = ["lr,batch,params,tokens,loss"]
    for cell in range(14):
        params, tokens = 10 ** (7.9 + 0.08 * cell), 10 ** rng.uniform(9.5, 11)
        best = -2.5 - 0.4 * np.log(params / 1e8) + 0.1 * np.log(tokens / 1e10)
        level = 1.8 + 60 * params**-0.3 + 90 * tokens**-0.25
        for lr in best + 0.7 * np.arange(-2, 3):
            for batch in (2.0**17, 2.0**18, 2.0**19):
                excess = 0.01 * (lr - best) ** 2 + 0.005 * np.log(batch / 2**18) ** 2
                loss = level * np.exp(excess + 1e-3 * rng.normal())
                lines.append(
                    f"{np.exp(lr):.4e},{batch:.0f},{params:.6g},{tokens:.6g},{loss:.6f}"
                )
    return "\n".join(lines) + "\n"


def disturbed(
    table: Path, out: Path, family: str, kind: signal.Signals | None, after: float
) -> dict[str, Any]:
    """A fit with a signal so long after its start: its code, its words, its times."""
    command = [sys.executable, "-m", "surrogate.cli.start", "fit", str(table)]
    start = time.monotonic()
    process = subprocess.Popen(
        [
            *(*command, "--out", str(out), "--family", family),
            *("--bootstrap", "400", "--json"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background jobs ignore Ctrl-C, and so would what they start.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    said: list[tuple[float, str]] = []

    def listen() -> None:
        assert process.stderr is not None
        for line in process.stderr:
            said.append((time.monotonic(), line.strip()))

    ear = threading.Thread(target=listen)
    ear.start()
    if kind is not None:
        time.sleep(after)
        start = time.monotonic()
        process.send_signal(kind)
    assert process.stdout is not None
    printed = process.stdout.read()
    code = process.wait()
    ended = time.monotonic() - start
    ear.join()
    heard = [at - start for at, _ in said if at >= start]
    return {
        "signal": kind.name if kind else None,
        "after": after,
        "code": code,
        "acknowledged": min(heard, default=None),
        "ended": ended,
        "loads": _loads(out),
        "document": printed[:80],
        "said": [line for at, line in said if at >= start][:3],
    }


def _loads(out: Path) -> bool:
    from surrogate import load

    if not out.exists():
        return False
    load(out)
    return True


def is_right(row: dict[str, Any], kind: signal.Signals) -> bool:
    """Whether a moment went as it should."""
    if row["code"] == 0:
        # The signal came when all was done.
        return row["loads"] and row["left"] == ["fit"]
    prompt = row["acknowledged"] is not None and row["acknowledged"] <= ACKNOWLEDGED
    if row["code"] == 1:
        saved = row["loads"] and row["left"] == ["fit"]
        return saved and prompt and row["ended"] <= SAVED
    stopped = row["code"] == 128 + kind and row["left"] == []
    return stopped and prompt and row["ended"] <= STOPPED


def _line(row: dict[str, Any]) -> str:
    heard = row["acknowledged"]
    return (
        f"{row['signal']:<7} after {row['after']:6.2f} s: code {row['code']:3d}, said "
        f"{'nothing' if heard is None else f'{heard:.2f} s'}, ended {row['ended']:.2f}"
        f" s, left {row['left']}{'' if row['is_right'] else '  WRONG'} {row['said']}"
    )


if __name__ == "__main__":
    watched.run(main)
