"""The row on answers: optimum and plateau of many scales, checked in NumPy."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from harness.timing import Contender, race
from peers import posynomial_lm

from speed import counts, ours
from speed.linear_rows import at_sizes
from speed.rows import Peer, Setting, row

PLATEAU = 0.0025
# Largest distance of an answer from where it should be, in ln.
TOLERANCE = 1e-10
CHECKED = 50


def plateau_points(setting: Setting) -> dict[str, Any]:
    """Argmin and plateau extents at random scales, four further terms."""
    points = setting.size(100_000, 2000)
    sweep, exact = setting.sweep, setting.full.theta
    three, four = sweep.posynomial(3), sweep.posynomial(4)
    theta, box = ours.fourth_term(sweep, setting.full), sweep.features.box()
    s = _scales(setting, max(points, ours.POINTS_BLOCK))
    ends: dict[str, ours.Answers] = {}

    def run(count: int) -> None:
        at = s[: _whole(count)]
        ends["four"] = ours.answers(four, theta, at, box, PLATEAU)

    def run_three() -> None:
        ends["three"] = ours.answers(three, exact, s[:points], box, PLATEAU)

    def closed() -> None:
        posynomial_lm.argmin(exact, s[:points])

    mine, same, form = race(
        [
            Contender("four", partial(run, points), points),
            Contender("three", run_three, points),
            Contender("closed", closed, points),
        ],
        setting.rounds,
    )
    check = _check(setting, theta, s, ends["four"], box)
    off = posynomial_lm.argmin(exact, s[:points]) - ends["three"].u
    inside = np.all((ends["three"].u > box[0]) & (ends["three"].u < box[1]), axis=1)
    check["closed_form_off"] = float(
        np.abs(off[inside] * sweep.features.u_scale).max(initial=0.0)
    )
    return row(
        setting,
        "plateau",
        f"optimum and plateau extents at {points:,} (N, D), posynomial K = 4, off by "
        f"at most {check['worst']:.1e} in ln",
        mine=mine,
        peers=[
            Peer("ours, K = 3", same, None, "printed beside"),
            Peer("closed form, K = 3", form, None, "NumPy, the optimum alone"),
        ],
        counts=counts.answers(four.pattern.terms),
        asked_rate=1e5,
        holds=check["worst"] <= TOLERANCE and check["converged"] == 1.0,
        sizes=at_sizes(run, setting, points),
        check=check,
        source=sweep.source,
    )


def _whole(count: int) -> int:
    """Rounded up to whole blocks."""
    return -(-count // ours.POINTS_BLOCK) * ours.POINTS_BLOCK


def _scales(setting: Setting, count: int) -> np.ndarray:
    """Standardised scales, log-uniform over the fitted N and D."""
    rng, fitted = np.random.default_rng(0), setting.sweep.features.fitted

    def draw(name: str) -> np.ndarray:
        low, high = np.log(fitted[name])
        return np.exp(rng.uniform(low, high, count))

    return setting.sweep.given(draw("params"), draw("tokens"))


def _check(
    setting: Setting,
    theta: np.ndarray,
    s: np.ndarray,
    found: ours.Answers,
    box: np.ndarray,
) -> dict[str, float]:
    """Distances in ln of the first answers from those of Newton's method in NumPy."""
    scale, worst, open_edges = setting.sweep.features.u_scale, 0.0, 0
    for i in range(CHECKED):
        u = posynomial_lm.polish_argmin(theta, s[i], found.u[i])
        worst = max(worst, float(np.abs((found.u[i] - u) * scale).max()))
        level = posynomial_lm.local(theta, s[i], u)[0] + np.log1p(PLATEAU)
        for along in (0, 1):
            for side in (0, 1):
                edge = found.edges[i, along, side]
                if edge in (box[0, along], box[1, along]):
                    open_edges += 1
                    continue
                right = posynomial_lm.polish_edge(
                    theta, s[i], along, edge, found.other[i, along, side], level
                )
                worst = max(worst, abs(edge - right) * scale[along])
    return {
        "worst": worst,
        "checked": CHECKED,
        "open_edges": open_edges,
        "converged": float(found.converged.mean()),
    }
