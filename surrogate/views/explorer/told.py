"""What the page knows of what the runs tell: of which setting a best, at which sizes.

Sentences and counts that depend on the runs alone are made here; told.js carries them
to the question by the rules of answers/limits/sides.py and unfitted.py, loose.js by
those of loose.py and pairs.py.
"""

from __future__ import annotations

from typing import Any

from surrogate.answers import Fit
from surrogate.answers.checks import MOST_LOSS, SMALL_SHARE, has_known_losses
from surrogate.answers.context import interval_warnings
from surrogate.answers.limits.levels import few_levels
from surrogate.answers.limits.loose import FACTOR, is_scattered
from surrogate.answers.limits.measured import measured_in
from surrogate.answers.limits.pairs import APART, tried_pairs
from surrogate.answers.limits.sides import AGREE, SHARE
from surrogate.answers.limits.transfer import OFFERED, carriers
from surrogate.answers.limits.unfitted import (
    followed,
    telling,
    tried_words,
)
from surrogate.answers.solved import middle_level, only_levels
from surrogate.data.cells import Cell
from surrogate.data.coordinates import CHOICES
from surrogate.fitting.evidence import unclear
from surrogate.fitting.model import CellRecord
from surrogate.laws import Law, LogLine, find
from surrogate.laws.law import Formula


def document(fit: Fit) -> dict[str, Any]:
    """How many cells there are, the largest, and what their runs tell.

    All cells are needed only for what is carried from the nearest: the page looks for
    it among them.
    """
    largest = max(fit.cells, key=lambda cell: cell.params * cell.tokens)
    only, fitted = only_levels(fit), fit.features.choices
    missing = [name for name in CHOICES if name not in fitted]
    why = {name: unclear(fit.evidence.get(name), name) for name in fitted}
    untold = {name: text for name, text in why.items() if text is not None}
    held = [*missing, *untold]
    names = [name for name in fitted if name not in only]
    is_lost = set(untold) >= set(fitted)
    has_cells = held or fit.evidence or any(cell.unstable for cell in fit.cells)
    return {
        "cell_count": len(fit.cells),
        "largest_cell": where(largest),
        "cells": [
            _cell(fit, cell, held)
            | {"measured": _measured(fit, index, names, only) if is_lost else ""}
            | {"tried": tried_pairs(fit, index)}
            for index, cell in enumerate(fit.cells)
        ]
        if has_cells
        else [],
        "only": only,
        "untried": {name: _untried(fit, name) for name in missing},
        "untold": {n: "" for n in missing if n not in only} | untold,
        "evidence": {name: each.to_json() for name, each in fit.evidence.items()},
        "held_sizes": [n for n in fit.features.held if n not in CHOICES],
        "most_loss": MOST_LOSS if has_known_losses(fit) else None,
        "small_share": SMALL_SHARE,
        "near_share": SHARE,
        "agree": AGREE,
        "loose_factor": FACTOR,
        "apart": APART,
        "is_scattered": is_scattered(fit),
        "interval_warnings": interval_warnings(fit),
        "few_levels": {
            name: few._asdict() | {"room": list(few.room)}
            for name, few in few_levels(fit).items()
        },
        "offered": OFFERED,
        "carriers": [_carrier(find(name)) for name in carriers()],
    }


def _untried(fit: Fit, name: str) -> dict[str, Any]:
    """By recipe where runs stand along a setting that is not fitted."""
    found = {}
    for recipe in fit.recipes:
        if telling(fit, name, recipe):
            line = followed(fit, name, recipe)
            at = tried_words(fit, name, recipe)
            found[recipe] = {"line": line and line._asdict(), "at": at}
    return found


def where(cell: Cell | CellRecord) -> dict[str, Any]:
    """Recipe and sizes of a cell."""
    return {
        "recipe": cell.recipe,
        "params": cell.params,
        "tokens": cell.tokens,
        "scales": dict(cell.scales),
    }


def _cell(fit: Fit, cell: CellRecord, held: list[str]) -> dict[str, Any]:
    """A cell, what is held at its own, and what was tried in it."""
    return where(cell) | {
        "held": {name: middle_level(cell, name) for name in held},
        "levels": {name: cell.levels(name) for name in held},
        "telling": [n for n in held if cell in telling(fit, n, cell.recipe)],
        "ends": {name: list(cell.ends(name)) for name in fit.evidence},
        "unstable": [list(pair) for pair in cell.unstable],
        "batches": list(cell.batch) if cell.unstable else [],
        "around": {name: list(cell.around[name]) for name in cell.around},
    }


def _measured(fit: Fit, index: int, names: list[str], only: dict[str, float]) -> str:
    """The best measured level of a cell, where no setting has a fitted best."""
    if fit.runs is None:
        return ""
    found = measured_in(fit.runs, index, names, only)
    return "" if found is None else str(found)


def _carrier(law: Law) -> dict[str, Any]:
    """A law's formulas in N and D, up to factors: only ratios are taken."""
    batch = None if law.is_batch_critical else law.batch
    return {
        "name": law.name,
        "counts": law.counts,
        "needs_active": law.experts == "moe",
        "limit": law.limits.get("N"),
        "lr": _exponents(law.lr),
        "batch": _exponents(batch),
    }


def _exponents(formula: Formula | None) -> dict[str, float] | None:
    """Of N and D, C being 6 N D; a line in ln N as it is; None of anything else."""
    if formula is None or not formula.variables <= {"N", "D", "C"}:
        return None
    if isinstance(formula, LogLine):
        return {"constant": formula.constant, "slope": formula.slope}
    found = {"params": 0.0, "tokens": 0.0}
    for power in formula.powers:
        for name in {"N": ["params"], "D": ["tokens"]}.get(
            power.variable, ["params", "tokens"]
        ):
            found[name] += float(power.exponent)
    return found
