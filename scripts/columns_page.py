"""Writes docs/columns.md: the names under which columns are found, from the table.

    python scripts/columns_page.py [--check]

--check writes nothing and exits 1 where the page is not what the table gives.
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from pathlib import Path

from surrogate.data.readers.columns.roles import (
    ALIASES_BY_SOURCE,
    LAYOUTS,
    PREFIXES,
)

PAGE = Path(__file__).resolve().parents[1] / "docs" / "columns.md"
_ROLES = {
    "lr": "peak learning rate",
    "batch": "batch in tokens per optimiser step",
    "sequences": "batch in sequences",
    "device": "sequences that one device takes at once (proposed, never assumed)",
    "devices": "how many devices share a step (proposed)",
    "nodes": "how many nodes share a step (proposed)",
    "per_node": "devices of a node (proposed)",
    "params": "parameters",
    "tokens": "training tokens",
    "loss": "final loss",
    "recipe": "what else differs",
    "status": "how a run ended",
    "diverged": "whether it diverged",
    "name": "what tells runs apart",
    "seq_len": "length of a sequence",
    "steps": "optimiser steps of the training",
    "last_step": "where a log stands (steps, if nothing else says them)",
    "accumulation": "parts of a batch that a step adds up",
    "min_lr": "the schedule's last lr",
    "flops": "training FLOPs (proposed: tokens = FLOPs / (6 params))",
    "layers": "layers (proposed: params = 12 layers width^2)",
    "width": "width (likewise)",
    "samples": "sequences of the whole training (proposed)",
    "ratio": "tokens a parameter (proposed)",
}
_HEAD = """\
# Names of columns

Written by `python scripts/columns_page.py` from
`surrogate/data/readers/columns/roles.py` and `more_names.py`; do not edit. Case,
blanks, `-`, `_`, `.` and `/` do not matter, and prefixes are taken off:
`config.learning_rate`, `Learning Rate` and Optuna's `params_learning_rate` are
`learning_rate`; `val/loss` is `val_loss`. The
prefixes:
{prefixes}.

Two columns that could be one role are never chosen between: the refusal ends with a
command to paste. Roles marked "proposed" are only used in such a command.

| what | names | written so by |
|---|---|---|
"""


def page() -> str:
    """The page as the table gives it."""
    prefixes = textwrap.fill(", ".join(f"`{name}.`" for name in sorted(PREFIXES)), 88)
    lines = [_HEAD.format(prefixes=prefixes).rstrip("\n")]
    for alias in ALIASES_BY_SOURCE:
        names = ", ".join(f"`{name}`" for name in alias.names)
        lines.append(f"| {_ROLES[alias.role]} | {names} | {alias.source} |")
    lines += ["", "Files that are known by their header:", ""]
    for layout in LAYOUTS:
        roles = ", ".join(f"{role} = `{text}`" for role, text in layout.roles.items())
        lines.append(f"- {layout.title}: {roles}.")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Write the page, or compare it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="write nothing")
    if parser.parse_args().check:
        return int(PAGE.read_text(encoding="utf-8") != page())
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
