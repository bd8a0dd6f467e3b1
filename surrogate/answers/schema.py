"""What the manifest of a fit must say: types, units, signs, lengths, and their accord.

The seal of a folder tells that it is as it was written, not that a right program wrote
it. What is not known here may stand in a manifest, so that fits of later versions load.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from surrogate.answers.expected import (
    Check,
    Unlike,
    count,
    flag,
    maybe,
    number,
    one_of,
    plain,
    record,
    rows,
    table,
    text,
)
from surrogate.base.arguments.numbers import LEAST, MOST
from surrogate.base.defaults import LOSS_KINDS, PARAMS_KINDS
from surrogate.data.coordinates import CHOICES
from surrogate.families import MIX, NAMES

# A logarithm of anything that is between LEAST and MOST.
_LOG = number(-200.0, 200.0)
_SIZE = number(LEAST, MOST)
_ANY = number(-1e15, 1e15)
_SHARE = number(0.0, 100.0)
# By which a mean of logarithms may miss what it is of.
_SLACK = 0.1
_SIZES = ("params", "tokens")
_NOISE = ("cell", "floor", "growth")
_TERMS = maybe(count(2, 64))
_FAMILY = one_of(MIX, *NAMES)
_SCORE = record(dict.fromkeys(("mean", "median", "max", "se"), maybe(_ANY)))
_LEAVES = record(
    {
        "is_settled": maybe(flag),
        "relative_gradient": maybe(_ANY),
        "steps": maybe(count()),
        "second_best_start": maybe(_ANY),
        **dict.fromkeys(("draws_unsettled", "draws_singular"), maybe(count())),
        "leaves_unsettled": maybe(count()),
        "draws_block": maybe(count()),
        "draws_interrupted": maybe(flag),
    }
)
_SOURCE = record(
    {"file": text, "sha256": text, "rows": count()}, ("file", "sha256", "rows")
)
_DROPPED = record(
    {"file": text, "line": count(), "column": text, "value": text, "reason": text}
)


def units_of(loss_unit: str, params_kind: str) -> dict[str, str]:
    """The units that a manifest names."""
    return {
        "loss": loss_unit,
        "lr": "peak learning rate",
        "batch": "tokens per optimiser step",
        "params": f"parameters, {params_kind}",
        "tokens": "training tokens",
    }


def check(manifest: Mapping[str, Any]) -> None:
    """Refuse a manifest that describes no fit of ours.

    Raises:
        Unlike: naming the place, what must be there, and what is.
    """
    plain(manifest)
    record(_WHOLE, _NEEDED)(manifest, "manifest")
    _check_units(manifest)
    _check_standardisation(manifest["standardisation"])
    _check_cells(manifest)


def _leverage(size: int | None) -> Check:
    square = rows(rows(_ANY, size=size), size=size)
    names = ("mean", "precision", "offset", "largest")
    positive = number(1e-300, 1e15)
    checks = (rows(_LOG, size=size), square, number(0.0, 1e15), positive)
    return record(dict(zip(names, checks, strict=True)), names)


_LINE = record(
    {"slopes": rows(_LOG), "low": _LOG, "high": _LOG}, ("slopes", "low", "high")
)
_STANDARDISATION = record(
    {
        "choices": rows(one_of(*CHOICES), once=True),
        "givens": rows(text, once=True),
        "recipes": rows(text, once=True),
        "mean": rows(_LOG),
        "scale": rows(number(1e-12, 1e6)),
        "level": _LOG,
        "fitted": table(rows(_SIZE, size=2)),
        "lines": table(_LINE),
    },
    ("choices", "givens", "recipes", "mean", "scale", "level", "fitted"),
)
_STABILITY = record(
    {
        "names": rows(text, once=True),
        "centre": rows(_SIZE),
        "slope": rows(_ANY),
        "intercept": _ANY,
        "diverged": count(),
        "runs": count(),
    },
    ("names", "centre", "slope", "intercept", "diverged", "runs"),
)
_CELL = record(
    {
        "recipe": text,
        "params": _SIZE,
        "tokens": _SIZE,
        "scales": table(_SIZE),
        "runs": count(1),
        "diverged": count(),
        "lr": rows(_SIZE),
        "batch": rows(_SIZE),
        "around": table(rows(_LOG, size=2)),
        "unstable": rows(rows(_SIZE, size=2)),
    },
    ("recipe", "params", "tokens", "scales", "runs", "diverged", "lr", "batch"),
)
_DIRECTION = record(
    {
        **dict.fromkeys(("levels", "low", "high", "groups", "capped"), count()),
        **dict.fromkeys(("is_curved", "is_hill", "is_low", "is_high"), flag),
        **dict.fromkeys(("above", "below"), maybe(_SIZE)),
        "ends": rows(_SIZE, size=2),
    }
)
_LAW = ("cells", "usual", "level", "settings", "freedom", "regret", "regions")
_DISCREPANCY = record(
    {
        "cells": rows(rows(_LOG)),
        **dict.fromkeys(("usual", "level"), number(0.0, 1e6)),
        "settings": rows(number(0.0, 1e6)),
        "freedom": number(0.0, 1e6),
        "regret": maybe(number(0.0, 1e6)),
        "regions": count(),
    },
    _LAW,
)
_SELECTION = record(
    {
        "protocol": text,
        "chosen": text,
        "margin": maybe(_ANY),
        **dict.fromkeys(("totals", "shares", "weights"), maybe(table(maybe(_ANY)))),
        "folds": rows(text),
        "parts": table(table(table(maybe(_ANY)))),
        "distance_rank_correlation": maybe(number(-1.0, 1.0)),
        "distance_rank_correlations": maybe(table(maybe(number(-1.0, 1.0)))),
    }
)
_PROVENANCE = record(
    {
        "sources": rows(_SOURCE),
        "versions": table(text),
        "created": text,
        "seed": count(),
        "bootstrap": count(),
        "device": text,
        "backend": text,
        **dict.fromkeys(("runs", "diverged", "dropped"), count()),
        "fit": _LEAVES,
        "selection": maybe(_SELECTION),
    }
)
_RUNS = record(
    {
        "loss_kind": one_of(*LOSS_KINDS),
        "loss_unit": one_of("nats", "bits_per_byte"),
        "params_kind": one_of(*PARAMS_KINDS),
        "scales": rows(text, once=True),
        "also": text,
        "seed_noise": maybe(_SHARE),
        "dropped": rows(_DROPPED),
        "notes": rows(text),
        "sources": rows(_SOURCE),
    }
)
_WHOLE: dict[str, Check] = {
    "family": _FAMILY,
    "k": _TERMS,
    "members": maybe(rows(record({"family": _FAMILY, "k": _TERMS}, ("family", "k")))),
    "units": table(text),
    "loss_kind": one_of(*LOSS_KINDS),
    "loss_unit": one_of("nats", "bits_per_byte"),
    "params_kind": one_of(*PARAMS_KINDS),
    "about": table(text),
    "standardisation": _STANDARDISATION,
    "noise": record(dict.fromkeys(_NOISE, _SHARE), _NOISE),
    "stability": maybe(_STABILITY),
    "cells": rows(_CELL),
    "freedom": maybe(count(1)),
    "clusters": count(),
    "evidence": table(_DIRECTION),
    "discrepancy": maybe(_DISCREPANCY),
    "scores": table(maybe(_SCORE)),
    "is_converged": flag,
    "provenance": _PROVENANCE,
    "warnings": rows(text),
    "runs": maybe(_RUNS),
}
_NEEDED = (
    "family",
    "noise",
    "standardisation",
    "cells",
    "units",
    "loss_kind",
    "params_kind",
)


def _check_units(manifest: Mapping[str, Any]) -> None:
    """Units that are not ours would be answered from as if they were."""
    unit = manifest.get("loss_unit", "nats")
    expected = units_of(unit, manifest["params_kind"])
    units = manifest["units"]
    # So the first fits called it.
    loss = "nats" if units.get("loss") == "nats per token" else units.get("loss")
    if {**units, "loss": loss} != expected:
        wrong = next(n for n in (*expected, *units) if units.get(n) != expected.get(n))
        raise Unlike(
            f"manifest.units.{wrong[:60]} must be {expected.get(wrong, 'left out')}, "
            f"and is {units.get(wrong, 'left out')[:60]}"
        )


def _check_standardisation(found: Mapping[str, Any]) -> None:
    """Lengths that belong together, and ends in their order."""
    where = "manifest.standardisation"
    if found["choices"] != [name for name in CHOICES if name in found["choices"]]:
        raise Unlike(f"{where}.choices must be in the order {', '.join(CHOICES)}")
    if not found["choices"] or not found["recipes"]:
        raise Unlike(f"{where} must have a choice and a recipe")
    size = len(found["choices"]) + len(found["givens"])
    for name in ("mean", "scale"):
        rows(_LOG if name == "mean" else _ANY, size=size)(
            found[name], f"{where}.{name}"
        )
    widths = {"cell_leverage": len(found["givens"]), "run_leverage": size}
    for name, width in widths.items():
        maybe(_leverage(width))(found.get(name), f"{where}.{name}")
    for name in {*CHOICES, *_SIZES, *found["givens"]}:
        if name not in found["fitted"]:
            raise Unlike(f"{where}.fitted must have {name[:60]}")
    for name, (low, high) in found["fitted"].items():
        if low > high:
            raise Unlike(f"{where}.fitted.{name[:60]} must have the smaller end first")
    for k, name in enumerate((*found["choices"], *found["givens"])):
        low, high = (math.log(end) for end in found["fitted"][name])
        if not low - _SLACK <= found["mean"][k] <= high + _SLACK:
            raise Unlike(
                f"{where}.mean[{k}] must lie among what was fitted of {name[:60]}, "
                f"{low:.3g} to {high:.3g}, and is {found['mean'][k]:g}"
            )


def _check_cells(manifest: Mapping[str, Any]) -> None:
    """Cells, runs and where training diverges agree with one another."""
    recipes, cells = manifest["standardisation"]["recipes"], manifest["cells"]
    if not cells:
        raise Unlike("manifest.cells must not be empty")
    for k, cell in enumerate(cells):
        where = f"manifest.cells[{k}]"
        if cell["diverged"] > cell["runs"]:
            raise Unlike(f"{where}.diverged must be at most its runs")
        if cell["recipe"] not in recipes:
            raise Unlike(f"{where}.recipe must be one of the fit's")
    runs = sum(cell["runs"] for cell in cells)
    about = manifest.get("provenance", {})
    if runs != about.get("runs", runs):
        raise Unlike(
            f"manifest.provenance.runs must be {runs}, those of the cells, and is "
            f"{about['runs']}"
        )
    if about.get("diverged", 0) > runs:
        raise Unlike("manifest.provenance.diverged must be at most its runs")
    stability = manifest.get("stability")
    if stability is not None:
        sizes = {len(stability[name]) for name in ("names", "centre", "slope")}
        if len(sizes) > 1 or stability["diverged"] > stability["runs"]:
            raise Unlike(
                "manifest.stability must have names, centres and slopes of one length"
            )
