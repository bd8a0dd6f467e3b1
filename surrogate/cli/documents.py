"""The JSON documents that are made here and not by `answers`: check, predict, demo."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from surrogate.base.defaults import A_COPY, SAID_FAILED
from surrogate.cli import output

if TYPE_CHECKING:
    from surrogate.data import Runs
    from surrogate.data.cells import Cell

_COMMON = (
    "schema",
    "params",
    "tokens",
    "scales",
    "recipe",
    "family",
    "loss_kind",
    "device",
    "backend",
    "extrapolation",
    "status",
    "warnings",
)


def with_common_keys(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document with every answer's keys, null where it has no one value."""
    return {**dict.fromkeys(_COMMON), **document}


def merged_warnings(answers: Iterable[Mapping[str, Any]]) -> list[str]:
    """The warnings of several answers, each once, in order."""
    every = (warning for answer in answers for warning in answer["warnings"])
    return list(dict.fromkeys(every))


def tells(runs: Runs, others: str) -> dict[str, Any]:
    """What runs can tell, and a command to compare them where that is little.

    Args:
        runs: the table.
        others: the command that asks how a bundled fit does on them.
    """
    from surrogate.data.tells import tells

    told = tells(runs)
    lists = {"can": told.can, "cannot": told.cannot, "do": told.do}
    return {
        "tells": {name: list(said) for name, said in lists.items()},
        "compare_with": others if told.is_few and _is_comparable(runs) else None,
    }


def _is_comparable(runs: Runs) -> bool:
    """Whether the bundled fit answers at a size of these runs."""
    from surrogate.answers import load
    from surrogate.answers.checks import unlikely_size
    from surrogate.cli.reading import OTHERS

    fitted = load(f"bundled:{OTHERS}").features.fitted
    return any(
        unlikely_size("params", cell.params, *fitted["params"]) is None
        and unlikely_size("tokens", cell.tokens, *fitted["tokens"]) is None
        for cell in runs.cells
    )


def check(runs: Runs, following: str = "", others: str = "") -> dict[str, Any]:
    """What was read, in the contract's keys and some more.

    Args:
        runs: the table.
        following: the command to type next.
        others: the command that asks how a bundled fit does on them.
    """
    # Not above: NumPy would slow `--help`.
    from surrogate.data.recipes import best_recipe
    from surrogate.data.third_setting import compare

    best = best_recipe(runs.cells)
    aside = (~(runs.usable | runs.diverged)).nonzero()[0].tolist()
    return {
        "schema": output.SCHEMA,
        "runs": len(runs),
        "cells": len(runs.cells),
        "diverged": int(runs.diverged.sum()),
        "set_aside": len(aside),
        "dropped": list(runs.dropped),
        "warnings": list(runs.warnings),
        "identifiable": runs.identifiable(),
        "spikes": [_spike(runs, row, excess) for row, excess in runs.spikes()],
        "aside": [_aside(runs, row) for row in aside],
        "seed_noise": runs.seed_noise,
        "best_recipe": None if best is None else best.to_json(),
        "also": [item.to_json() for item in compare(runs)],
        "loss_kind": runs.loss_kind,
        "loss_unit": runs.loss_unit,
        "params_kind": runs.params_kind,
        "recipes": sorted(set(runs.recipe.tolist())),
        "notes": list(runs.notes),
        "understood": list(runs.understood),
        "next": following or None,
        **tells(runs, others),
        "sources": list(runs.sources),
        "levels": {
            "lr": len(set(runs.lr_level.tolist())),
            "batch": len(set(runs.batch.tolist())),
        },
        "ranges": _ranges(runs),
        "cell_table": [_cell(cell) for cell in runs.cells],
    }


def _spike(runs: Runs, row: int, excess: float) -> dict[str, Any]:
    names = ("params", "tokens", "lr", "batch", "loss")
    recipe = runs.cells[runs.cell[row]].recipe or None
    return {"recipe": recipe, **_numbers(runs, row, names), "excess": excess}


def _aside(runs: Runs, row: int) -> dict[str, Any]:
    from surrogate.data.divergence import REASONS, Verdict

    names = ("lr", "batch", "params", "tokens", "loss")
    reason = REASONS[Verdict(int(runs.verdict[row]))]
    own = _numbers(runs, row, names)
    return {"where": str(runs.where[row]), **own, "reason": reason}


def _numbers(runs: Runs, row: int, names: Iterable[str]) -> dict[str, float]:
    return {name: float(getattr(runs, name)[row]) for name in names}


def _ranges(runs: Runs) -> dict[str, list[float]]:
    names = ("lr", "batch", "params", "tokens")
    columns = {name: getattr(runs, name) for name in names} | dict(runs.scales)
    return {
        name: [min(values.tolist()), max(values.tolist())]
        for name, values in columns.items()
    }


def _cell(cell: Cell) -> dict[str, Any]:
    return {
        "recipe": cell.recipe,
        "params": cell.params,
        "tokens": cell.tokens,
        "scales": dict(cell.scales),
        "runs": cell.runs,
        "diverged": cell.diverged,
        "best": cell.best,
    }


def dropped_too_many(runs: Runs, max_dropped: float) -> str | None:
    """Why the share of dropped rows calls for exit 1, or None if it does not.

    Args:
        runs: what was read.
        max_dropped: the share of all rows that may be dropped.
    """
    rows = len(runs) + len(runs.dropped)
    # What the user calls failed was not lost, and what is there twice neither.
    dropped = sum(row.reason not in (SAID_FAILED, A_COPY) for row in runs.dropped)
    if dropped <= max_dropped * rows:
        return None
    return (
        f"{dropped:,} of {rows:,} rows were dropped, more than --max-dropped "
        f"{max_dropped:.3g} allows. `surrogate check` lists each with its reason."
    )
