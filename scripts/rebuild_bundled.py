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
from dataclasses import dataclass, replace
from pathlib import Path

import surrogate
from surrogate.engine import Progress

ROOT = Path(__file__).resolve().parents[1]
SEED = 0
DRAWS = 200


@dataclass(frozen=True)
class Bundle:
    """One bundled fit: its dump and how it is fitted."""

    file: str
    family: str
    terms: int


BUNDLES = {
    "steplaw-dense": Bundle("steplaw/dense_lr_bs_loss.csv", "posynomial", 3),
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
    for name, bundle in BUNDLES.items():
        runs = surrogate.read_runs(data / bundle.file)
        fit = surrogate.fit(
            runs,
            family=bundle.family,
            terms=bundle.terms,
            bootstrap=DRAWS,
            seed=SEED,
            progress=Log(),
        )
        folder = ROOT / "surrogate" / "bundled" / name
        shutil.rmtree(folder, ignore_errors=True)
        replace(fit, runs=None).save(folder)
        print(folder, fit.scores, fit.provenance.fit)


if __name__ == "__main__":
    main()
