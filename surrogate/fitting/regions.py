"""Which cells are left out together, to see what a fit is worth where there are none.

A region is an end of the table: its largest or smallest params or tokens, the most or
least tokens a parameter, the largest product. A fit without it is asked about it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from surrogate.base.defaults import FOLDS
from surrogate.base.errors import DataError
from surrogate.base.shapes import Bool, Float64
from surrogate.base.units import format_count, quote
from surrogate.data import MIN_LOG_SPAN, Runs
from surrogate.data.cells import levels

# A fit of fewer cells says too little for its errors to say more.
LEAST_LEFT = 5
# Sizes that differ by less are one.
_ALIKE = 0.05
# Of the cells, those of the most extreme ratio or product, at least.
_SHARE = 0.1


class Fold(NamedTuple):
    """Cells that are left out together.

    Attributes:
        kind: one of `FOLDS`, or `asked`.
        name: for people.
        held: which of `Runs.cells`.
    """

    kind: str
    name: str
    held: Bool[np.ndarray, " cells"]


class Skipped(NamedTuple):
    """A fold that is not tried, and why."""

    name: str
    why: str


class Plan(NamedTuple):
    """Folds, no two of them the same cells, and those that are not tried."""

    folds: tuple[Fold, ...]
    skipped: tuple[Skipped, ...]


def plan(
    runs: Runs,
    kinds: Sequence[str],
    asked: Mapping[str, Bool[np.ndarray, " cells"]] | None = None,
) -> Plan:
    """What is left out of these runs.

    Args:
        runs: of at least one cell.
        kinds: out of `FOLDS`.
        asked: further folds by name, one boolean a cell.
    """
    usable = _usable(runs)
    candidates = [fold for kind in kinds for fold in _MADE[kind](runs, usable)]
    candidates += [Fold("asked", name, mask) for name, mask in (asked or {}).items()]
    folds: list[Fold] = []
    skipped: list[Skipped] = []
    for fold in candidates:
        why = _unfit(fold, usable, folds)
        if why is None:
            folds.append(fold)
        else:
            skipped.append(Skipped(fold.name, why))
    return Plan(tuple(folds), tuple(skipped))


def _unfit(
    fold: Fold, usable: Bool[np.ndarray, " cells"], before: Sequence[Fold]
) -> str | None:
    """Why a fold is not tried; None if it is."""
    left = int((usable & ~fold.held).sum())
    if not (usable & fold.held).any():
        return "it leaves out no cell with a finished run"
    if left < LEAST_LEFT:
        return f"only {left} cells would be left, and a fold needs {LEAST_LEFT}"
    for other in before:
        if (other.held & usable == fold.held & usable).all():
            return f"the same cells as {other.name}"
    return None


def _usable(runs: Runs) -> Bool[np.ndarray, " cells"]:
    """The cells of which a run finished."""
    found = np.zeros(len(runs.cells), dtype=bool)
    found[np.unique(runs.cell[runs.usable])] = True
    return found


def _ends(runs: Runs, usable: Bool[np.ndarray, " cells"]) -> Iterator[Fold]:
    """The largest and smallest of every scale, of tokens / params and of the product.

    A scale that hardly varies has no ends.
    """
    axes = _axes(runs)
    for name, values in axes.items():
        if np.ptp(np.log(values[usable])) < MIN_LOG_SPAN:
            continue
        level = levels(values, _ALIKE)
        some = np.unique(level[usable])
        wanted = [("largest", some[-1:]), ("smallest", some[:1])]
        if name == "params":
            wanted.insert(1, ("two largest", some[-2:]))
        for word, chosen in wanted:
            held = np.isin(level, chosen)
            yield Fold("regions", f"{word} {name}: {_shown(values[held])}", held)
    if not all(np.ptp(np.log(axes[n][usable])) >= MIN_LOG_SPAN for n in _SIZES):
        return
    ratio = axes["tokens"] / axes["params"]
    product = axes["tokens"] * axes["params"]
    for name, values, sign in (
        ("highest tokens / params", ratio, 1),
        ("lowest tokens / params", ratio, -1),
        ("largest params x tokens", product, 1),
    ):
        held = _top(sign * np.log(values), usable)
        yield Fold("regions", f"{name}: {_shown(values[held])}", held)


_SIZES = ("params", "tokens")


def _axes(runs: Runs) -> dict[str, Float64[np.ndarray, " cells"]]:
    """Every scale of the cells, in natural units."""
    names = (*_SIZES, *runs.scales)
    return {
        name: np.array(
            [
                {"params": c.params, "tokens": c.tokens, **dict(c.scales)}[name]
                for c in runs.cells
            ],
            dtype=np.float64,
        )
        for name in names
    }


def _shown(values: Float64[np.ndarray, " _"]) -> str:
    """One value or a range, three digits."""
    low, high = (format_count(float(f"{v:.3g}")) for v in (values.min(), values.max()))
    return low if low == high else f"{low} to {high}"


def _top(
    values: Float64[np.ndarray, " cells"], usable: Bool[np.ndarray, " cells"]
) -> Bool[np.ndarray, " cells"]:
    """A tenth of the cells, those of the largest logarithms, with what is alike."""
    kept = np.sort(values[usable])
    least = kept[-max(1, int(np.ceil(_SHARE * len(kept))))]
    return usable & (values >= least - _ALIKE)


def _each_cell(runs: Runs, usable: Bool[np.ndarray, " cells"]) -> Iterator[Fold]:
    for index in np.flatnonzero(usable).tolist():
        held = np.arange(len(runs.cells)) == index
        yield Fold("cells", str(runs.cells[index]), held)


def _each_recipe(runs: Runs, usable: Bool[np.ndarray, " cells"]) -> Iterator[Fold]:
    recipes = np.array([cell.recipe for cell in runs.cells])
    names = np.unique(recipes[usable])
    for name in names.tolist() if len(names) > 1 else ():
        yield Fold("recipes", f"recipe {quote(name)}", recipes == name)


_MADE: dict[str, Callable[[Runs, np.ndarray], Iterator[Fold]]] = dict(
    zip(FOLDS, (_ends, _each_cell, _each_recipe), strict=True)
)


def check_masks(runs: Runs, masks: Mapping[str, object]) -> dict[str, np.ndarray]:
    """Folds that a caller made: one boolean a cell.

    Raises:
        DataError: one is of another length or type.
    """
    found: dict[str, np.ndarray] = {}
    for name, mask in masks.items():
        array = np.asarray(mask)
        if array.dtype != bool or array.shape != (len(runs.cells),):
            raise DataError(
                f"Expected the fold {quote(name)} as {len(runs.cells)} booleans, one "
                f"for each of Runs.cells, got {array.dtype} of shape {array.shape}."
            )
        found[name] = array
    return found
