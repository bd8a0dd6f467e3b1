"""Which runs belong together: levels of a setting, cells, and each cell's best."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from surrogate.base.shapes import Bool, Float64, Int64
from surrogate.base.units import format_count, quote

Column: TypeAlias = Float64[np.ndarray, " runs"]
Marks: TypeAlias = Bool[np.ndarray, " runs"]
# An anonymous axis: the groups of one list differ in length.
Rows: TypeAlias = Int64[np.ndarray, " _"]

# Files store one learning rate in two roundings (0.00276 and 0.002762): 0.45 % apart
# at three digits against four, while real grids step by 10 % and more.
LR_SPAN = 0.008
# Steps x batch misses a nominal number of tokens by up to half a step at each batch.
TOKENS_SPAN = 0.005
# Parameter counts and scales are exact: this only forgives the writing of a float.
EXACT_SPAN = 1e-6


@dataclass(frozen=True)
class Cell:
    """All runs of one recipe at one (params, tokens) and further scales.

    `params`, `tokens` and `scales` are the commonest values of the runs, `best` their
    lowest loss [nats per token] that did not diverge (nan where all did), `runs` counts
    all of them and `diverged` those of them that diverged.
    """

    recipe: str
    params: float
    tokens: float
    scales: tuple[tuple[str, float], ...]
    best: float
    runs: int
    diverged: int

    def __str__(self) -> str:
        """The cell's coordinates for people."""
        recipe = f"recipe {quote(self.recipe)}, " if self.recipe else ""
        further = "".join(f", {name} {value:g}" for name, value in self.scales)
        sizes = f"params {format_count(self.params)}, tokens"
        return f"{recipe}{sizes} {format_count(self.tokens)}{further}"


def levels(values: Column, span: float) -> Int64[np.ndarray, " runs"]:
    """Number the groups of equal values, ascending; independent of the order.

    From the smallest on, each group takes all values up to (1 + span) times its first:
    the width of a group is bounded, so that dense values never chain into one.
    """
    distinct, inverse = np.unique(values, return_inverse=True)
    labels = np.zeros(distinct.size, dtype=np.int64)
    start = 0
    for k in range(1, distinct.size):
        if distinct[k] > distinct[start] * (1 + span):
            labels[k:] += 1
            start = k
    return labels[inverse]


def snap(lr: Column) -> Column:
    """Each level's value: the one written with most digits, then the commonest."""
    label = levels(lr, LR_SPAN)
    snapped = lr.copy()
    for k in range(int(label.max()) + 1):
        values, counts = np.unique(lr[label == k], return_counts=True)
        rank = [(_digits(v), c, -v) for v, c in zip(values, counts, strict=True)]
        snapped[label == k] = -max(rank)[2]
    return snapped


def _digits(value: float) -> int:
    """Significant digits of the shortest decimal that reads back as `value`."""
    mantissa = repr(float(value)).split("e")[0].replace(".", "")
    return len(mantissa.strip("0"))


def group(
    recipe: np.ndarray, params: Column, tokens: Column, scales: Mapping[str, Column]
) -> list[Rows]:
    """The rows of each cell, ordered by recipe, params, tokens, then scales.

    params and scales are equal up to the writing of a float, tokens within 0.5 %, as
    steps x batch would have it.
    """
    _, names = np.unique(recipe, return_inverse=True)
    groups = [np.flatnonzero(names == k) for k in range(int(names.max()) + 1)]
    for values, span in (
        (params, EXACT_SPAN),
        *((values, EXACT_SPAN) for values in scales.values()),
        (tokens, TOKENS_SPAN),
    ):
        groups = [part for rows in groups for part in _split(rows, values, span)]

    def order(rows: Rows) -> tuple[str, float, float, list[float]]:
        further = [commonest(values[rows]) for values in scales.values()]
        return (
            str(recipe[rows[0]]),
            commonest(params[rows]),
            commonest(tokens[rows]),
            further,
        )

    return sorted(groups, key=order)


def _split(rows: Rows, values: Column, span: float) -> list[Rows]:
    label = levels(values[rows], span)
    return [rows[label == k] for k in range(int(label.max()) + 1)]


def commonest(values: Column) -> float:
    """The value that occurs most often, the smallest of equals."""
    distinct, counts = np.unique(values, return_counts=True)
    return float(distinct[counts.argmax()])


def lowest(loss: Column, usable: Marks) -> float:
    """The lowest usable loss, nan where there is none."""
    return float(loss[usable].min()) if usable.any() else math.nan


def varies_jointly(lr: Column, batch: Column) -> bool:
    """Whether runs tell the effect of lr and batch together from that of each alone.

    Runs on a cross, one setting at a time, leave the product of the two logarithms a
    combination of their own parabolas.
    """
    x, y = (np.log(values) - np.log(values).mean() for values in (lr, batch))
    parabolas = np.stack([np.ones_like(x), x, y, x**2, y**2], axis=1)
    product = x * y
    fitted = parabolas @ np.linalg.lstsq(parabolas, product, rcond=None)[0]
    return bool(np.abs(product - fitted).max() > 1e-6 * (1 + np.abs(product).max()))
