"""Designs of small sweeps: where runs stand, and what goes wrong with some of them.

Every design has as many runs in every draw, and as many that are usable where all is
judged rightly, so that its programs are compiled once; most share 60 runs in 5 cells.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product
from typing import NamedTuple

import numpy as np

from simulation.small_truths import PARAMS, TOKENS, Truth, Wall
from simulation.small_truths import draw as draw_truth

Size = tuple[float, float]
ONE: tuple[Size, ...] = ((PARAMS, TOKENS),)
THREE = ((5e7, 1e9), (PARAMS, TOKENS), (2e8, 4e9))
FOUR = ((5e7, 1e9), (PARAMS, TOKENS), (2e8, 4e9), (2e8, 1e10))
FIVE = ((5e7, 1e9), (PARAMS, TOKENS), (2e8, 4e9), (1e8, 8e9), (4e8, 8e9))
# What is shared by the runs of a cell, standard deviation of ln loss.
CELL_LEVEL = 0.002
# ln of the loss of guessing among 65,536 tokens: diverged runs end below it.
_GUESSING = float(np.log(11.0))


class Grid(NamedTuple):
    """One row a run, natural units, and the truth's label of each ("" for ordinary)."""

    lr: np.ndarray
    batch: np.ndarray
    params: np.ndarray
    tokens: np.ndarray
    loss: np.ndarray
    label: np.ndarray


Spoil = Callable[[np.random.Generator, Truth, Grid], Grid]


@dataclass(frozen=True)
class Design:
    """One kind of small sweep.

    Attributes:
        name: of it, a key of the store.
        sizes: (params, tokens) of its cells.
        lr: levels, octaves about lr* at the question, before the jitter.
        batch: likewise about batch*.
        question: which size is asked about.
        cross: one factor at a time about the middle levels.
        random: so many runs that share no size; 0 for a grid.
        kind: of the truth where it has no bowl.
        jitter: the grid's centre is off by up to this [octaves of lr].
        spoil: what goes wrong, after the noise.
        wrong: one number is wrong: the same runs without it are `five-by-12`.
        identifies: "lr" and "batch" where the design can tell them.
    """

    name: str
    sizes: tuple[Size, ...] = FIVE
    lr: tuple[float, ...] = (-2.0, -0.7, 0.7, 2.0)
    batch: tuple[float, ...] = (-2.0, 0.0, 2.0)
    question: int = 1
    cross: bool = False
    random: int = 0
    kind: str | None = None
    jitter: float = 0.5
    spoil: Spoil | None = None
    wall: Callable[[np.random.Generator, Truth], Wall] | None = None
    wrong: bool = False
    identifies: tuple[str, ...] = ("lr", "batch")

    @property
    def seed_name(self) -> str:
        """Whose random numbers it takes: one wrong number spoils a known sweep."""
        return "five-by-12" if self.wrong else self.name

    def rng(self, index: int) -> np.random.Generator:
        """Of one draw: from letters of the name, so that new designs change none."""
        return np.random.default_rng([index, *self.seed_name.encode()])

    def draw(self, index: int) -> tuple[Truth, Grid, np.ndarray]:
        """The truth, the runs, and each run's noise [s.d. of ln loss]."""
        rng = self.rng(index)
        truth = draw_truth(rng, self.kind, index)
        if self.wall is not None:
            truth = replace(truth, wall=self.wall(rng, truth))
        lr, batch, params, tokens = self._settings(rng, truth)
        sd = float(np.exp(rng.uniform(np.log(0.001), np.log(0.005))))
        sd = 0.001 if self.kind == "constant" else sd
        _, cell = np.unique(np.stack([params, tokens]), axis=1, return_inverse=True)
        cell = np.ravel(cell)
        shared = rng.normal(0.0, CELL_LEVEL, cell.max() + 1)[cell]
        log_loss = truth.log_loss(lr, batch, params, tokens)
        loss = np.exp(log_loss + shared + rng.normal(0.0, sd, lr.size))
        grid = Grid(lr, batch, params, tokens, loss, _labels(truth, lr, params, tokens))
        if self.spoil is not None:
            grid = self.spoil(rng, truth, grid)
        return truth, grid, np.full(lr.size, sd)

    def _settings(self, rng: np.random.Generator, truth: Truth) -> tuple:
        off = np.exp2(rng.uniform(-1, 1, 2) * (self.jitter, 0.5))
        if self.random:
            params = np.exp(rng.uniform(np.log(5e7), np.log(8e8), self.random))
            tokens = params * np.exp(rng.uniform(np.log(10), np.log(60), self.random))
            params[0], tokens[0] = PARAMS, TOKENS
            reach = rng.uniform(-2.5, 2.5, (2, self.random))
            lr = np.exp(truth.lr(params, tokens)) * np.exp2(reach[0]) * off[0]
            batch = np.exp(truth.batch(params, tokens)) * np.exp2(reach[1]) * off[1]
            return lr, _whole(batch), params, tokens
        lr_best, batch_best = truth.best(*self.asked)
        pairs = list(product(self.lr, self.batch))
        if self.cross:
            mid = self.lr[len(self.lr) // 2], self.batch[len(self.batch) // 2]
            pairs = [p for p in pairs if p[0] == mid[0] or p[1] == mid[1]]
        rows = np.array([(*size, *pair) for size in self.sizes for pair in pairs])
        params, tokens = rows[:, 0], rows[:, 1]
        lr = np.exp2(rows[:, 2]) * lr_best * off[0]
        # Powers of two apart to the last token, as people double batches.
        centre = _whole(np.array(batch_best * off[1]), 8192)
        return lr, np.exp2(rows[:, 3]) * centre, params, tokens

    @property
    def asked(self) -> Size:
        """The size that is asked about, which is fitted."""
        return ONE[0] if self.random else self.sizes[self.question % len(self.sizes)]


def _whole(batch: np.ndarray, unit: int = 1024) -> np.ndarray:
    """Batches of whole sequences [tokens]."""
    return np.maximum(np.round(batch / unit), 1) * unit


def _labels(
    truth: Truth, lr: np.ndarray, params: np.ndarray, tokens: np.ndarray
) -> np.ndarray:
    """Runs over 10 % worse by the cold wall, over 25 % by the hot one."""
    x = np.log(lr) - truth.lr(params, tokens)
    raised = truth.phi(x, np.zeros_like(x)) + truth.wall(x)
    label = np.full(lr.size, "", dtype="<U12")
    if truth.kind not in ("constant", "hill"):
        label[(x < 0) & (raised > np.log(1.10))] = "undertrained"
        label[(x > 0) & (raised > np.log(1.25))] = "wall"
    return label


# ---- what goes wrong --------------------------------------------------------------


def cold_wall(rng: np.random.Generator, truth: Truth) -> Wall:
    """The coldest run of the question's size up to 60 % above the best."""
    x = -4.7 * np.log(2.0)
    raised = np.log(1 + rng.uniform(0.3, 0.6)) - truth.phi(np.array(x), np.array(0.0))
    return Wall(cold=max(float(raised), 0.0) / (-x - 0.7) ** 2)


def hot_wall(rng: np.random.Generator, truth: Truth) -> Wall:
    """The hottest run of the question's size 30 to 200 % above the best."""
    rate, x = rng.uniform(0.8, 1.25), 3.0 * np.log(2.0)
    raised = np.log(1 + rng.uniform(0.3, 2.0)) - truth.phi(np.array(x), np.array(0.0))
    return Wall(
        hot=max(float(raised), 0.0) / (np.expm1(rate * x) - rate * x), rate=rate
    )


def sharp_edge(rng: np.random.Generator, truth: Truth, grid: Grid) -> Grid:
    """The two hottest levels of lr diverged everywhere."""
    del truth
    hot = grid.lr >= np.unique(grid.lr)[-2] * 0.999
    return _diverge(rng, grid, hot, 0.45)


def soft_edge(rng: np.random.Generator, truth: Truth, grid: Grid) -> Grid:
    """A third of the runs diverged, by a probability that rises slowly with lr.

    Half of them by more than a jump.
    """
    x = (np.log(grid.lr) - truth.lr(grid.params, grid.tokens)) / np.log(2.0)
    score = (x - 1.5) / 0.4 + rng.logistic(size=x.size)
    lost = np.zeros(x.size, dtype=bool)
    lost[np.argsort(score)[-x.size // 3 :]] = True
    return _diverge(rng, grid, lost, 0.1)


def dead_batch(rng: np.random.Generator, truth: Truth, grid: Grid) -> Grid:
    """Every lr of the smallest batch diverged, in every cell."""
    del truth
    lost = grid.batch == grid.batch.min()
    found = _diverge(rng, grid, lost, 0.5)
    return found._replace(label=np.where(lost, "dead", found.label))


def spike(rng: np.random.Generator, truth: Truth, grid: Grid) -> Grid:
    """One run inside the grid went bad, with good ones at higher lr."""
    del truth
    levels = np.unique(grid.lr)
    row = rng.choice(np.flatnonzero((grid.lr > levels[0]) & (grid.lr < levels[-1])))
    loss, label = grid.loss.copy(), grid.label.copy()
    loss[row] = min(loss[row] * np.exp(rng.uniform(0.35, 1.2)), 11.0)
    label[row] = "spike"
    return grid._replace(loss=loss, label=label)


def _diverge(
    rng: np.random.Generator, grid: Grid, lost: np.ndarray, least: float
) -> Grid:
    """Losses of diverged runs; "jump" where no smooth wall would explain them."""
    best = grid.loss.min()
    room = np.maximum(_GUESSING - np.log(grid.loss) - least, 0.05)
    raised = least + rng.random(lost.size) * room
    loss = np.where(lost, grid.loss * np.exp(raised), grid.loss)
    label = np.where(lost, "soft", grid.label)
    for row in np.flatnonzero(lost):
        line = (grid.params == grid.params[row]) & (grid.tokens == grid.tokens[row])
        line &= (grid.batch == grid.batch[row]) & ~lost & (grid.lr < grid.lr[row])
        if line.any() and loss[row] > 1.45 * max(grid.loss[line].max(), best):
            label[row] = "jump"
    return grid._replace(loss=loss, label=label)


def wrong(field: str, factor: float, value: float | None = None) -> Spoil:
    """One number of one run multiplied, or replaced."""

    def spoil(rng: np.random.Generator, truth: Truth, grid: Grid) -> Grid:
        del truth
        row = int(np.random.default_rng(rng.integers(2**31)).integers(grid.lr.size))
        column, label = getattr(grid, field).copy(), grid.label.copy()
        column[row] = column[row] * factor if value is None else value
        label[row] = "wrong"
        return grid._replace(**{field: column, "label": label})

    return spoil


# ---- all of them ------------------------------------------------------------------

_NINE = tuple(np.linspace(-2, 2, 9))
_SEVEN = tuple(np.linspace(-2, 2, 7))
_HOT6 = (-2.0, -1.0, 0.0, 1.0, 2.0, 3.0)
_WRONG = {
    "wrong-loss-x10": wrong("loss", 10.0),
    "wrong-loss-scrubbed": wrong("loss", 1.0, 0.001),
    "wrong-loss-20-low": wrong("loss", 0.8),
    "wrong-lr-x100": wrong("lr", 100.0),
    "wrong-lr-by-1000": wrong("lr", 1e-3),
    "wrong-batch-x2048": wrong("batch", 2048.0),
    "wrong-tokens-x1000": wrong("tokens", 1000.0),
}
_LR = ("lr",)
_ALL = (
    Design("nine-lr", ONE, _NINE, (0.0,), identifies=_LR),
    Design("nine-lr-and-a-batch", ONE, _NINE, (0.0, 1.0), identifies=_LR),
    Design("two-sizes", THREE[:2], _SEVEN, (0.0,), identifies=_LR),
    Design("five-by-12"),
    Design("undertrained", lr=(-4.7, -2.8, -0.9, 1.0), wall=cold_wall, jitter=0.3),
    Design("smooth-wall", lr=_HOT6, wall=hot_wall, jitter=0.3),
    Design("below", lr=(-5.0, -4.2, -3.4, -2.6), identifies=("batch",)),
    Design("above", lr=(2.6, 3.4, 4.2, 5.0), identifies=("batch",)),
    Design("constant", kind="constant", identifies=()),
    Design("hill", kind="hill", identifies=()),
    Design("saddle", kind="saddle", identifies=_LR),
    Design("flat-batch", kind="flat-batch", identifies=_LR),
    Design("sharp-edge", lr=_HOT6, spoil=sharp_edge),
    Design("spike", spoil=spike),
    *(Design(name, spoil=spoil, wrong=True) for name, spoil in _WRONG.items()),
    Design("grid-3x3x3", THREE, (-1.5, 0.0, 1.5), (-2.0, 0.0, 2.0)),
    Design(
        "cross-5", FIVE, (-2.0, -1.0, 0.0, 1.0, 2.0), (-2.0, -1.0, 0.0, 1.0, 2.0),
        cross=True,
    ),
    Design(
        "two-batches", FOUR, (-2.0, -1.0, 0.0, 1.0, 2.0), (0.0, 1.0), identifies=_LR
    ),
    Design("random-30", random=30),
    Design("random-60", random=60),
    Design("random-100", random=100),
    # Last: as many usable runs as are judged so, and so many programs.
    Design("soft-edge", lr=_HOT6, spoil=soft_edge),
    Design("dead-batch", batch=(-2.0, -1.0, 0.0, 1.0), spoil=dead_batch),
)  # fmt: skip
DESIGNS = {design.name: design for design in _ALL}
QUICK = ("nine-lr", "two-sizes", "nine-lr-and-a-batch")
