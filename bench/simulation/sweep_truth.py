"""Known truths on real designs: what the coverage simulations draw runs from.

A design is the (lr, batch) grid of Step Law's dense cells. A truth is a surface fitted
to that dump once, taken as exact, so that optimum, plateau and regret are known.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple

import numpy as np
from harness.dumps import data_dir

import surrogate
from surrogate.answers import Fit
from surrogate.answers.predict import Points, surface_at
from surrogate.data import Runs

DUMP = "steplaw/dense_lr_bs_loss.csv"
# What a cell is off by, standard deviations of ln loss and of ln lr and ln batch of its
# optimum: those of the dump about a fitted bowl are 0.0012, 0.042 and 0.048.
CELL_LEVEL = 0.002
CELL_SHIFT = 0.05
GROWTH = 0.05
# Runs worse than this are left out of a design: noise could carry them over the 25 %
# above which a run counts as diverged.
_WORST = 0.15
_BEYOND = 10.0


class Design(NamedTuple):
    """Where runs stand, natural units, and the cell of each."""

    lr: np.ndarray
    batch: np.ndarray
    params: np.ndarray
    tokens: np.ndarray
    cell: np.ndarray


@dataclass(frozen=True)
class Truth:
    """A surface taken as exact on a design.

    Attributes:
        fit: the surface.
        design: where runs stand.
        log_loss: at each run.
        excess: over the lowest of its cell.
    """

    fit: Fit
    design: Design
    log_loss: np.ndarray
    excess: np.ndarray

    @classmethod
    def of(cls, family: str, cells: int) -> Truth:
        """A family fitted to the dump, on a design of so many cells."""
        fit = fitted(family)
        design = design_of(cells)
        log_loss, excess = cls._surface(fit, design)
        kept = excess <= _WORST
        design = Design(*(column[kept] for column in design))
        return cls(fit, design, log_loss[kept], excess[kept])

    @staticmethod
    def _surface(fit: Fit, design: Design) -> tuple[np.ndarray, np.ndarray]:
        recipe = np.full(len(design.lr), "", dtype=str)
        columns = design.lr, design.batch, design.params, design.tokens
        loss, excess = surface_at(fit, Points(*columns, {}, recipe))
        return np.log(loss), excess

    def draw(self, noise: float, has_offsets: bool, seed: int) -> Runs:
        """One sweep from the truth.

        Args:
            noise: standard deviation of ln loss within a cell, at the optimum.
            has_offsets: each cell's level and optimum are off by chance.
            seed: of this sweep.
        """
        rng = np.random.default_rng(seed)
        design, log_loss, excess = self.design, self.log_loss, self.excess
        cells = int(design.cell.max()) + 1
        level = rng.normal(size=cells) * CELL_LEVEL
        shift = rng.normal(size=(cells, 2)) * CELL_SHIFT
        if has_offsets:
            factor = np.exp(-shift[design.cell])
            moved = design._replace(
                lr=design.lr * factor[:, 0], batch=design.batch * factor[:, 1]
            )
            log_loss, excess = self._surface(self.fit, moved)
            log_loss = log_loss + level[design.cell]
        spread = np.sqrt(noise**2 + (GROWTH * excess) ** 2)
        loss = np.exp(log_loss + spread * rng.normal(size=len(log_loss)))
        return Runs.from_arrays(
            lr=design.lr,
            batch=design.batch,
            params=design.params,
            tokens=design.tokens,
            loss=loss,
        )

    def place(self, is_beyond: bool) -> dict[str, float]:
        """The question: the middle of the design, or 10 x beyond its largest cell."""
        sizes = {"params": self.design.params, "tokens": self.design.tokens}
        if is_beyond:
            return {name: _BEYOND * float(v.max()) for name, v in sizes.items()}
        return {
            name: float(np.exp(np.log(np.unique(v)).mean()))
            for name, v in sizes.items()
        }


@cache
def dump() -> Runs:
    """Step Law's dense runs."""
    return surrogate.read_runs(data_dir() / DUMP)


@cache
def fitted(family: str) -> Fit:
    """The truth of a family."""
    found = surrogate.fit(dump(), family=family, bootstrap=0)
    return replace(found, stability=None)


def design_of(cells: int) -> Design:
    """The grids of some, all, or more cells than the dump has.

    Fewer are spread over the sizes. More are further pairs of the dump's own params and
    tokens, each with the grid of the dump's cell nearest to it.
    """
    runs = dump()
    sizes = np.array([[cell.params, cell.tokens] for cell in runs.cells])
    groups = [np.flatnonzero((runs.cell == k) & runs.usable) for k in range(len(sizes))]
    columns: list[tuple[np.ndarray, ...]] = []
    for number, (size, source) in enumerate(_pairs(sizes, cells)):
        rows = groups[source]
        count = len(rows)
        columns.append(
            (
                runs.lr_level[rows],
                runs.batch[rows],
                np.full(count, size[0]),
                np.full(count, size[1]),
                np.full(count, number),
            )
        )
    return Design(*map(np.concatenate, zip(*columns, strict=True)))


def _pairs(sizes: np.ndarray, cells: int) -> list[tuple[np.ndarray, int]]:
    """(params, tokens) of each cell, and which cell of the dump gives its grid."""
    logs = np.log(sizes)
    if cells <= len(sizes):
        return [(sizes[k], k) for k in _spread(logs, cells)]
    every = [np.array([n, d]) for n in np.unique(sizes[:, 0]) for d in _levels(sizes)]
    known = [(size, k) for k, size in enumerate(sizes)]
    rest = [
        pair
        for pair in every
        if np.abs(np.log(pair) - logs).max(axis=1).min() > math.log(1.2)
    ]
    chosen = _spread(np.log(np.array(rest)), cells - len(sizes))
    near = [int(np.argmin(((np.log(rest[k]) - logs) ** 2).sum(axis=1))) for k in chosen]
    return known + [(rest[k], source) for k, source in zip(chosen, near, strict=True)]


def _levels(sizes: np.ndarray) -> list[float]:
    """Token counts that differ by more than 10 %."""
    found: list[float] = []
    for value in np.unique(sizes[:, 1]).tolist():
        if not found or value > 1.1 * found[-1]:
            found.append(value)
    return found


def _spread(points: np.ndarray, count: int) -> list[int]:
    """Points far from each other, each in turn the farthest from those before it."""
    scaled = (points - points.mean(axis=0)) / points.std(axis=0)
    chosen = [int(np.argmin((scaled**2).sum(axis=1)))]
    while len(chosen) < count:
        off = ((scaled[:, None] - scaled[chosen][None]) ** 2).sum(axis=2).min(axis=1)
        chosen.append(int(np.argmax(off)))
    return sorted(chosen)
