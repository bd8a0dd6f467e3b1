"""Rebuild the bundled fits from the released dumps.

    python scripts/rebuild_bundled.py

Reads the dumps in SURROGATE_DATA (default ../shared/data from the project's root) and
writes surrogate/bundled/NAME. A bundled fit carries no losses of its dump: cells, grid
levels, parameters, draws and scores only.
"""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import surrogate
from surrogate.numerics.least_squares import Progress

ROOT = Path(__file__).resolve().parents[1]
SEED = 0
DRAWS = 200


@dataclass(frozen=True)
class Bundle:
    """One bundled fit: its dump, and further scale variables of it."""

    file: str
    scales: dict[str, str] = field(default_factory=dict)


BUNDLES = {
    "steplaw-dense": Bundle("steplaw/dense_lr_bs_loss.csv"),
    # The structures differ in active parameters; all have 2.15B in total.
    "steplaw-moe": Bundle("steplaw/moe_lr_bs_loss.csv", {"active": "Na"}),
    # Another lab, schedule and loss (validation); to 983M parameters.
    "openeurollm-dense": Bundle(
        "openeurollm/loss_all_exps_post_annealing_upto_983m.csv"
    ),
}


class Log(Progress):
    """Progress as lines on stderr."""

    def start(self, task: str, total: int) -> None:
        """Name the task."""
        print(f"{task} ({total})", file=sys.stderr)

    def advance(self, n: int) -> None:
        """Say nothing of single steps."""

    def stop(self) -> None:
        """Say nothing at the end."""


def main() -> None:
    """Fit every bundle and write it in place of the old one."""
    data = Path(os.environ.get("SURROGATE_DATA", ROOT / "../shared/data")).resolve()
    # The manifest names the dump as it is called here, not where this machine has it.
    os.chdir(data)
    for name, bundle in BUNDLES.items():
        runs = surrogate.read_runs(bundle.file, scales=bundle.scales)
        fit = surrogate.fit(runs, bootstrap=DRAWS, seed=SEED, progress=Log())
        folder = ROOT / "surrogate" / "bundled" / name
        shutil.rmtree(folder, ignore_errors=True)
        replace(fit, runs=None).save(folder)
        print(folder, fit.family, fit.scores, fit.provenance.fit)


if __name__ == "__main__":
    main()
