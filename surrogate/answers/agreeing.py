"""What parts of a manifest have in common: names, lengths, counts and units."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from surrogate.answers.expected import Check, Unlike, maybe, number, record, rows
from surrogate.data.coordinates import CHOICES

# A logarithm of anything that is between LEAST and MOST; any number of ours.
LOG, ANY = number(-200.0, 200.0), number(-1e15, 1e15)
# By which a mean of logarithms may miss what it is of.
_SLACK = 0.1
_SIZES = ("params", "tokens")


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
    """Refuse a manifest whose parts are each as they must be, but not together.

    Raises:
        Unlike: naming the place.
    """
    _check_units(manifest)
    _check_standardisation(manifest["standardisation"])
    _check_cells(manifest)
    _check_stability(manifest)
    _check_discrepancy(manifest)


def _leverage(size: int | None) -> Check:
    square = rows(rows(ANY, size=size), size=size)
    names = ("mean", "precision", "offset", "largest")
    positive = number(1e-300, 1e15)
    checks = (rows(LOG, size=size), square, number(0.0, 1e15), positive)
    return record(dict(zip(names, checks, strict=True)), names)


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
        rows(LOG if name == "mean" else ANY, size=size)(found[name], f"{where}.{name}")
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
    recipes, givens = (manifest["standardisation"][k] for k in ("recipes", "givens"))
    cells = manifest["cells"]
    if not cells:
        raise Unlike("manifest.cells must not be empty")
    for k, cell in enumerate(cells):
        where = f"manifest.cells[{k}]"
        if cell["diverged"] > cell["runs"]:
            raise Unlike(f"{where}.diverged must be at most its runs")
        if cell["recipe"] not in recipes:
            raise Unlike(f"{where}.recipe must be one of the fit's")
        if not (cell["lr"] and cell["batch"]):
            raise Unlike(f"{where} must have a learning rate and a batch")
        for name in givens:
            if name not in (*_SIZES, *cell["scales"]):
                raise Unlike(f"{where}.scales must have {name[:60]}")
    runs = sum(cell["runs"] for cell in cells)
    about = manifest.get("provenance", {})
    if runs != about.get("runs", runs):
        raise Unlike(
            f"manifest.provenance.runs must be {runs}, those of the cells, and is "
            f"{about['runs']}"
        )
    if about.get("diverged", 0) > runs:
        raise Unlike("manifest.provenance.diverged must be at most its runs")


def _check_stability(manifest: Mapping[str, Any]) -> None:
    """Where training diverges is told by settings and scales that there are."""
    stability, where = manifest.get("stability"), "manifest.stability"
    if stability is None:
        return
    sizes = {len(stability[name]) for name in ("names", "centre", "slope")}
    if len(sizes) > 1 or stability["diverged"] > stability["runs"]:
        raise Unlike(f"{where} must have names, centres and slopes of one length")
    known = {*CHOICES, *_SIZES, *manifest["standardisation"]["givens"]}
    for k, name in enumerate(stability["names"]):
        if name not in known:
            raise Unlike(f"{where}.names[{k}] must be one of the fit's, and is {name}")


def _check_discrepancy(manifest: Mapping[str, Any]) -> None:
    """What the law is wrong by has the fit's scales and settings."""
    found, where = manifest.get("discrepancy"), "manifest.discrepancy"
    if found is None:
        return
    known = manifest["standardisation"]
    if not found["cells"]:
        raise Unlike(f"{where}.cells must not be empty")
    rows(rows(LOG, size=len(known["givens"])))(found["cells"], f"{where}.cells")
    rows(ANY, size=len(known["choices"]))(found["settings"], f"{where}.settings")
