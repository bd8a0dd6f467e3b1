"""Inner boxes of random plateaus: corners inside, and as large as a grid finds.

    python bench/boxes.py [--questions N] [--json]

N questions (2,000 by default) are shared out among all families, the mix included:
random parameters, sizes, tested ranges and tolerances, every other one cut by a random
half-plane as the edge of divergence cuts. A corner fails where its loss is above the
limit or the cut takes it. Every eighth question is also held against brute force: a
grid of 41 x 41 about the box and another over all that was tested. Prints a table and,
as its last line, one JSON document. Exit 1: a corner was outside, or a grid had a box
more than 1 % larger.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from harness import watched
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from support.boxes import (  # noqa: E402  # pyright: ignore[reportMissingImports]
    NAMES,
    WILD,
    brute,
    family_of,
    question,
)

from surrogate.answers import arrays  # noqa: E402
from surrogate.answers.decision import boxes  # noqa: E402

QUESTIONS, BRUTE, LINES = 2_000, 8, 41


def main() -> int:
    """Ask all questions and print what failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--questions", type=int, default=QUESTIONS)
    parser.add_argument("--json", action="store_true", help="no table")
    arguments = parser.parse_args()
    rows = [asked(name, arguments.questions // len(NAMES)) for name in NAMES]
    if not arguments.json:
        table = Table(title="Inner boxes of random plateaus")
        for column in rows[0]:
            table.add_column(column, justify="right")
        for row in rows:
            table.add_row(*(str(value) for value in row.values()))
        Console(width=100).print(table)
    print(json.dumps({"bench": "boxes", "rows": rows}, allow_nan=False))
    return int(any(r["outside"] or r["none"] or r["least_area"] < 0.99 for r in rows))


def asked(name: str, count: int) -> dict:
    """Questions of one family."""
    found = {"family": name, "questions": count, "wild": 0, "cut": 0}
    found |= {"none": 0, "outside": 0}
    least, held = np.inf, 0
    # The tests have the first ones.
    for seed in range(count):
        family = family_of(name)
        theta, s, bounds, level = question(name, seed)
        if abs(level) > WILD:
            found["wild"] += 1
            continue
        box = boxes.inner(family, theta, s, bounds, level)
        if box is None:
            found["none"] += 1
            continue
        found["cut"] += bounds.cut is not None
        corners = np.array([[x, y] for x in box[0] for y in box[1]])
        found["outside"] += not is_held(family, theta, s, bounds, level, corners).all()
        if seed % BRUTE:
            continue
        wide = (box[:, 1] - box[:, 0])[:, None] * [-0.3, 0.3] + box
        most = 0.0
        for span in (wide, np.stack([bounds.low, bounds.high], axis=1)):
            axes = [np.linspace(ends[0], ends[1], LINES) for ends in span]
            mesh = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2)
            inside = is_held(family, theta, s, bounds, level, mesh)
            most = max(most, brute(inside.reshape(LINES, LINES), axes))
        least = min(least, np.prod(box[:, 1] - box[:, 0]) / most)
        held += 1
    return {**found, "by_brute_force": held, "least_area": round(float(least), 4)}


def is_held(family, theta, s, bounds, level, points) -> np.ndarray:
    """Which points are within the plateau, the cut and what was tested."""
    losses = arrays.log_losses(family, theta[None], arrays.points(points, s))[0]
    return (losses <= level) & bounds.hold(points)


if __name__ == "__main__":
    sys.exit(watched.run(main))
