"""Joins what the steps of scripts/gpu_checks.sh left into one JSON file.

    python bench/collect.py STEPS SECONDS

STEPS holds, for every step, NAME.rc, NAME.seconds and NAME.out. The document has their
exit status, the end of their output and, where the last line is JSON, that. Written to
bench/results/ under device and date, and to $OUT where that is set.
"""

from __future__ import annotations

import argparse
import json
import os
import re
from pathlib import Path
from typing import Any

import jax
from harness import machine

TAIL = 4000
# `timeout` exits so when it had to end a step.
TIMED_OUT = (124, 137)


def main() -> None:
    """Write the document and print where."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("steps", type=Path, help="folder with what steps left")
    parser.add_argument("seconds", type=float, help="that they took together")
    options = parser.parse_args()
    folder, seconds = options.steps, options.seconds
    device = jax.local_devices()[0]
    about = machine.describe(device)
    is_gpu = device.platform == "gpu"
    document = {
        "checks": "gpu",
        "gpu": device.device_kind if is_gpu else None,
        "note": None
        if is_gpu
        else "There is no GPU here: nothing below is a timing or a check of one.",
        **about,
        "seconds": seconds,
        "steps": [step(path) for path in sorted(folder.glob("*.rc"))],
    }
    text = json.dumps(document, allow_nan=False, indent=1) + "\n"
    for path in places(device.device_kind, about["date"]):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        print(path)
    for done in document["steps"]:
        state = "timed out" if done["timed_out"] else f"exit {done['rc']}"
        print(f"{done['step']}: {state}, {done['seconds']:.0f} s")


def step(path: Path) -> dict[str, Any]:
    """One step as plain values."""
    rc = int(path.read_text())
    output = path.with_suffix(".out").read_text(errors="replace").strip()
    last = output.splitlines()[-1] if output else ""
    try:
        document = json.loads(last)
    except json.JSONDecodeError:
        document = None
    is_document = isinstance(document, dict)
    return {
        "step": path.stem.split("-", 1)[1],
        "rc": rc,
        "timed_out": rc in TIMED_OUT,
        "seconds": float(path.with_suffix(".seconds").read_text()),
        "tail": (output[: -len(last)] if is_document else output)[-TAIL:],
        "document": document if is_document else None,
    }


def places(kind: str, date: str) -> list[Path]:
    """Where the document goes."""
    device = re.sub(r"[^a-z0-9]+", "-", kind.lower()).strip("-")
    name = f"gpu_checks_{device}_{date[:10]}.json"
    homes = [machine.ROOT / "bench/results"]
    if os.environ.get("OUT"):
        homes.append(Path(os.environ["OUT"]))
    return [home / name for home in homes]


if __name__ == "__main__":
    main()
