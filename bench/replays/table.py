"""The table of bench/next_runs.py: plans against rivals at equal cost."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from typing import Any

import numpy as np

from replays.targets import FLOOR

# Budgets over which the comparison is averaged.
FIRST = 0.02
RESAMPLES = 2000


def _logs(row: dict[str, Any]) -> float:
    values = [s["regret"] for s in row["stages"] if s["share"] >= FIRST]
    return float(np.mean(np.log(np.array(values) + FLOOR)))


def _interval(by_target: dict[str, list[float]]) -> tuple[float, float]:
    """95 % by a bootstrap over targets, then over seeds."""
    rng, names = np.random.default_rng(0), list(by_target)
    means = []
    for _ in range(RESAMPLES):
        drawn = [by_target[names[k]] for k in rng.integers(0, len(names), len(names))]
        means.append(np.mean([rng.choice(each, len(each)).mean() for each in drawn]))
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def _reached(row: dict[str, Any], goal: float) -> float:
    """The share at which the pool's regret is reached and kept; 1 for never."""
    found = 1.0
    for stage in reversed(row["stages"]):
        if stage["regret"] > goal + FLOOR:
            break
        found = stage["share"]
    return found


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown: each rival's difference to ours, regret by budget, promises."""
    by = {(r["target"], r["seed"], r["method"]): r for r in rows}
    methods = [m for m in dict.fromkeys(r["method"] for r in rows) if m != "pool"]
    lines = [
        "| method | rows | regret at 1, 2, 5, 10, 20 % (permille, median) | spent at "
        "20 % | ln ratio of ours to it, 2 to 20 % (95 %) | reaches the pool's at |",
        "|---|---|---|---|---|---|",
    ]
    for method in methods:
        own = [r for r in rows if r["method"] == method]
        stages = np.array([[s["regret"] for s in r["stages"]] for r in own])
        spent = np.median([r["stages"][-1]["spent"] for r in own])
        said = ", ".join(f"{v:.2f}" for v in 1000 * np.median(stages, axis=0))
        gaps: dict[str, list[float]] = defaultdict(list)
        reach = []
        for r in own:
            key = (r["target"], r["seed"])
            if (*key, "ours") in by:
                gaps[r["target"]].append(_logs(by[(*key, "ours")]) - _logs(r))
            if (*key, "pool") in by:
                goal = by[(*key, "pool")]["stages"][0]["regret"]
                reach.append(_reached(r, goal))
        compared = ""
        if method != "ours" and gaps:
            mean = np.mean([np.mean(each) for each in gaps.values()])
            low, high = _interval(gaps)
            compared = f"{mean:+.2f} ({low:+.2f} to {high:+.2f})"
        at = f"{100 * np.median(reach):.0f} %" if reach else ""
        lines.append(
            f"| {method} | {len(own)} | {said} | {100 * spent:.0f} % | {compared} | "
            f"{at} |"
        )
    return "\n".join(
        [*lines, "", *_promises([r for r in rows if r["method"] == "ours"])]
    )


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a, b)[0, 1])


def _promises(rows: list[dict[str, Any]]) -> list[str]:
    """What our plans promised against the bound and the regret that came."""
    ratios, within, promised, realised, held, widths = [], [], [], [], [], []
    for r in rows:
        stages = r["stages"]
        for now, then in pairwise(stages):
            if "after" in now and "before" in then:
                ratios.append(then["before"] / now["after"])
                promised.append(np.log(now["before"] / now["after"]))
                realised.append(np.log(now["before"] / then["before"]))
                if "low" in now:
                    held.append(now["low"] <= then["before"] <= now["high"])
                    widths.append(now["high"] / now["low"])
        within += [s["regret"] <= s["after"] + FLOOR for s in stages if "after" in s]
    if not ratios:
        return []
    ranks = [np.argsort(np.argsort(part)) for part in (promised, realised)]
    low, middle, high = np.quantile(ratios, (0.1, 0.5, 0.9))
    return [
        f"Promised bound against the refit's ({len(ratios)} stages): the refit's is "
        f"{middle:.2f} times it in the median (80 %: {low:.2f} to {high:.2f}); rank "
        f"correlation of reductions {_correlation(*ranks):.2f}; measured regret "
        f"within the promised bound + 0.1 permille in "
        f"{100 * np.mean(within):.0f} % of {len(within)} stages. The refit's bound is "
        f"within the promised range (80 %) in {100 * np.mean(held or [0]):.0f} % of "
        f"{len(held)}; the median ratio of its ends is {np.median(widths or [0]):.1f}.",
    ]
