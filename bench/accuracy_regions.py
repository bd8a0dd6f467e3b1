"""What fits say of regions that they have not seen: error, coverage, bounds, trust.

    python bench/accuracy_regions.py [--family F] [--only NAME] [--store DIR] [--before]

`surrogate.validate` on Step Law's 31 dense cells, OpenEuroLLM and Step Law's MoE, every
region of equal weight. --before answers as before the law's own error was counted (its
intervals, draws and bounds without `Fit.discrepancy`), from the same fits. What is done
is kept in the store, a file a fold, and not done again. Prints a table for people and,
as its last line, one JSON document.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from harness.dumps import data_dir
from scipy.stats import spearmanr

import surrogate
from surrogate.answers.validation import score
from surrogate.data import Runs
from surrogate.fitting import regions

_DENSE = ("steplaw/dense_lr_bs_loss.csv", "steplaw/dense_14_small_cells.csv")
_KINDS: dict[str, Any] = {"loss_kind": "train_smoothed", "params_kind": "non_embedding"}
_LLM = "openeurollm/loss_all_exps_post_annealing_upto_983m.csv"
DUMPS: dict[str, Callable[[], Runs]] = {
    "dense31": lambda: surrogate.read_runs(
        [data_dir() / name for name in _DENSE], **_KINDS
    ),
    "openeurollm": lambda: surrogate.read_runs(data_dir() / _LLM),
    "moe": lambda: surrogate.read_runs(
        data_dir() / "steplaw/moe_lr_bs_loss.csv", scales={"active": "Na"}
    ),
}
# A level error that is small.
_LEVEL = 0.01
_PARTS = ("mae_ln", "coverage", "half_width", "winkler", "regret", "regret_smoothed")


def main() -> None:
    """Score every region and print the table and the document."""
    arguments = _arguments()
    found: dict[str, Any] = {}
    for name in [n for n in DUMPS if arguments.only in n]:
        runs = DUMPS[name]()
        plan = regions.plan(runs, ["regions"])
        for fold in plan.folds:
            found[f"{name}: {fold.name}"] = _both(runs, name, fold, arguments)
            print(f"{name}: {fold.name}", file=sys.stderr, flush=True)
    rows = {k: v["before" if arguments.before else "after"] for k, v in found.items()}
    for line in table(rows):
        print(line)
    print(json.dumps({"bench": "accuracy_regions", "family": arguments.family} | found))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--family", default="quadratic")
    parser.add_argument("--only", default="", metavar="NAME")
    parser.add_argument("--store", default="regions", type=Path)
    parser.add_argument("--bootstrap", default=50, type=int)
    parser.add_argument("--before", action="store_true", help="show the rows of before")
    return parser.parse_args()


def _both(
    runs: Runs, name: str, fold: regions.Fold, arguments: argparse.Namespace
) -> dict[str, Any]:
    """A region scored with and without the law's own error; from the store if there."""
    key = f"{name}_{arguments.family}_{fold.name}".replace(" ", "_").replace("/", "_")
    path = arguments.store / f"{key}.json"
    if path.exists():
        return json.loads(path.read_text())
    fit = surrogate.fit(
        runs.subset(~fold.held[runs.cell]),
        family=arguments.family,
        bootstrap=arguments.bootstrap,
        backend="numpy",
    )
    found = {
        "before": score(replace(fit, discrepancy=None), runs, fold),
        "after": score(fit, runs, fold),
    }
    document = {key: value.to_json() for key, value in found.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
    return document


def table(rows: dict[str, Any]) -> list[str]:
    """Markdown: a line a region, then the means, the misses and the words of trust."""
    head = "region | cells | error % | covered % | half-width % | Winkler % | regret %"
    lines = [f"| {head} | smoothed % | bound kept % |", "|" + "---|" * 9]
    for name, row in rows.items():
        parts = [_percent(row[part]) for part in _PARTS]
        kept = _percent(row["bounded"], 0)
        lines.append(f"| {name} | {len(row['cells'])} | {' | '.join(parts)} | {kept} |")
    means = [_percent(_mean([row[part] for row in rows.values()])) for part in _PARTS]
    kept = [c["bounded"] for row in rows.values() for c in row["cells"]]
    whole = _percent(_mean(kept), 0)
    lines.append(f"| mean of {len(rows)} | | {' | '.join(means)} | {whole} |")
    covered = np.array([row["coverage"] for row in rows.values()], dtype=float)
    lines += [
        "",
        f"Covered under 80 %: {int((covered < 0.8).sum())} of {len(covered)} regions; "
        f"under 40 %: {int((covered < 0.4).sum())}.",
        *_trust([c for row in rows.values() for c in row["cells"]]),
    ]
    return lines


def _trust(cells: list[dict[str, Any]]) -> list[str]:
    """Medians of what cells of each word missed."""
    lines = []
    for word in ("inside", "near", "far", "too_uncertain"):
        lost = [
            c["regret"] if c["regret_smoothed"] is None else c["regret_smoothed"]
            for c in cells
            if c["trust"] == word
        ]
        named = [c for c in cells if c["loss_trust"] == word]
        off = [c["mae_ln"] for c in named]
        level = [abs(c["bias_ln"]) for c in named if c["bias_ln"] is not None]
        within = sum(value <= _LEVEL for value in level)
        lines.append(
            f"{word}: {len(lost)} settings, median regret {_percent(_median(lost))} %; "
            f"{len(off)} losses, median error {_percent(_median(off))} %, of their "
            f"level {_percent(_median(level))} % ({within} of {len(level)} within 1 %)."
        )
    return [*lines, *_by_distance(cells)]


def _by_distance(cells: list[dict[str, Any]]) -> list[str]:
    """Whether what cells missed goes with the distance that the words go by."""
    lines = []
    for what, key in (
        ("regret", "regret"),
        ("smoothed regret", "regret_smoothed"),
        ("error of the level", "bias_ln"),
    ):
        known = [c for c in cells if c[key] is not None]
        found = spearmanr([c["distance"] for c in known], [abs(c[key]) for c in known])
        lines.append(
            f"Spearman's correlation of {what} with distance: "
            f"{found.statistic:.2f} (p = {found.pvalue:.2g}, {len(known)} cells)."
        )
    return lines


def _mean(values: list[Any]) -> float | None:
    known = [float(value) for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _median(values: list[Any]) -> float | None:
    known = [float(value) for value in values if value is not None]
    return float(np.median(known)) if known else None


def _percent(value: float | None, digits: int = 2) -> str:
    return "-" if value is None else f"{100 * value:.{digits}f}"


if __name__ == "__main__":
    main()
