"""The page's outline of a set that is known on lines: every line crosses it rightly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support import report as report_support

pytestmark = pytest.mark.skipif(report_support.NODE is None, reason="node is missing")
Line = dict[str, Any]


def outlines(cases: list[list[Line]]) -> list[list[np.ndarray]]:
    """Loops of each case, whose lines are 1 apart."""
    script = "return given.map((lines) => loopsOf(lines, 1));"
    found = report_support.run_core(script, cases)
    return [[np.array(loop) for loop in loops] for loops in found]


def crossings(loops: list[np.ndarray], at: float) -> list[float]:
    """Where a line off all corners crosses closed loops."""
    found = []
    for loop in loops:
        for (x, y), (p, q) in zip(loop, np.roll(loop, -1, axis=0), strict=True):
            if (y < at) != (q < at):
                found.append(x + (at - y) / (q - y) * (p - x))
    return sorted(found)


def lines_of(rows: list[list[list[float]]]) -> list[Line]:
    return [{"at": float(k), "segments": row} for k, row in enumerate(rows)]


def random_rows(rng: np.random.Generator) -> list[list[list[float]]]:
    """Up to four segments on each of twelve lines, some lines without any."""
    rows = []
    for count in rng.integers(0, 5, 12):
        ends = np.sort(rng.uniform(0, 1, 2 * count))
        rows.append(ends.reshape(-1, 2).tolist())
    return rows


def test_each_line_crosses_the_outline_at_its_segments() -> None:
    """Property: just beside a line the loops are crossed where its segments end."""
    rng = np.random.default_rng(5)
    cases = [lines_of(random_rows(rng)) for _ in range(200)]
    for lines, loops in zip(cases, outlines(cases), strict=True):
        for line in lines:
            wanted = [end for segment in line["segments"] for end in segment]
            for side in (-1e-9, 1e-9):
                found = crossings(loops, line["at"] + side)
                np.testing.assert_allclose(found, wanted, atol=1e-7)


def test_pieces_and_holes_are_loops_of_their_own() -> None:
    one = [[0.0, 3.0]]
    ring = lines_of([one, [[0.0, 1.0], [2.0, 3.0]], one])
    apart = lines_of([[[0.0, 1.0]], [], [[0.0, 1.0]]])
    fork = lines_of([one, [[0.0, 1.0], [2.0, 3.0]]])
    assert [len(loops) for loops in outlines([ring, apart, fork])] == [2, 2, 1]
