"""Replays of plans on released sweeps: targets, pools, starts and scores.

A pool holds the runs of cells smaller than a target; a replay begins with nine runs of
its cheapest cell and may then choose among runs that exist, paying for each.
"""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple

import numpy as np
from harness.dumps import data_dir

import surrogate
from surrogate.answers.fit import Fit
from surrogate.base.errors import DataError
from surrogate.data import Runs
from surrogate.fitting.scores import regret, regret_smoothed
from surrogate.laws import Point, evaluate, find

STARTS = 9
FLOPS = 6.0
# Added to a regret before its logarithm is taken.
FLOOR = 1e-4


class Target(NamedTuple):
    """What is replayed.

    Attributes:
        name: as `--targets` takes it.
        file: of the dump.
        map: columns, where names do not tell.
        seq_len: tokens a sequence, where batches are in sequences.
        params: of the target's cell.
        tokens: likewise.
        most_params: of the pool's cells.
        law: another lab's, whose exponents carry where a fit refuses.
    """

    name: str
    file: str
    map: dict[str, str] | None
    seq_len: int | None
    params: float
    tokens: float
    most_params: float
    law: str


_DENSE = ("steplaw/dense_lr_bs_loss.csv", None, 2048)
_EURO = (
    "openeurollm/loss_all_exps_post_annealing_upto_983m.csv",
    {"batch": "gbsz*4096", "tokens": "D"},
    None,
)
TARGETS = (
    Target("steplaw-1.07B-20B", *_DENSE, 1.07374e9, 20e9, 5.4e8, "deepseek"),
    Target("steplaw-1.07B-57B", *_DENSE, 1.07374e9, 56.9e9, 5.4e8, "deepseek"),
    *(
        Target(f"openeuro-983M-{d}B", *_EURO, 9.83e8, d * 1e9, 3.1e8, "step-law")
        for d in (12, 20, 30, 50, 80, 120, 200, 300)
    ),
)


@cache
def dump(file: str, column_map: tuple, seq_len: int | None) -> Runs:
    """All runs of a released dump."""
    return surrogate.read_runs(
        data_dir() / file, map=dict(column_map) or None, seq_len=seq_len
    )


class Replay(NamedTuple):
    """One target and seed.

    Attributes:
        target: of the replay.
        pool: runs to choose from, the nine of the start among them.
        start: of the pool, which runs those are.
        cost: FLOPs of each run of the pool.
        truth: runs of the target's cell.
    """

    target: Target
    pool: Runs
    start: np.ndarray
    cost: np.ndarray
    truth: Runs

    def budget(self, share: float) -> float:
        """FLOPs that a share of the pool is, beyond the start."""
        return share * float(self.cost.sum())


def replay(target: Target, seed: int) -> Replay:
    """The pool's random half and the nine runs that a seed draws."""
    runs = dump(target.file, tuple((target.map or {}).items()), target.seq_len)
    near = np.abs(np.log(runs.params / target.params)) < 0.05
    near &= np.abs(np.log(runs.tokens / target.tokens)) < 0.05
    rng = np.random.default_rng([seed, len(target.name)])
    small = np.flatnonzero(runs.params <= target.most_params)
    costs = FLOPS * runs.params * runs.tokens
    cell = runs.cell[small[np.argmin(costs[small])]]
    ready = np.flatnonzero((runs.cell == cell) & runs.usable)
    start = rng.choice(ready, STARTS, replace=False)
    half = rng.choice(small, len(small) // 2, replace=False)
    kept = np.union1d(half, start)
    mask = np.isin(np.arange(len(runs)), kept)
    return Replay(
        target,
        runs.subset(mask),
        np.flatnonzero(np.isin(kept, start)),
        costs[kept],
        runs.subset(near & runs.usable),
    )


def fitted(found: Replay, chosen: list[int], family: str, draws: int) -> Fit | None:
    """The fit to the runs so far; None where they tell neither lr nor batch."""
    mask = np.zeros(len(found.pool), dtype=bool)
    mask[chosen] = True
    try:
        return surrogate.fit(
            found.pool.subset(mask), family=family, bootstrap=draws, backend="numpy"
        )
    except DataError:
        return None


def proposal(found: Replay, fit: Fit | None) -> tuple[float, float, bool]:
    """The setting for the target, and whether the fit itself answers.

    Refused, it is carried by another lab's exponents from the nearest sizes that the
    runs tell of, and failing that from the best run of the start.
    """
    target = found.target
    if fit is not None:
        for law in (None, target.law):
            try:
                best = fit.optimum(
                    params=target.params, tokens=target.tokens, transfer=law
                )
            except DataError:
                continue
            if math.isfinite(best.lr) and math.isfinite(best.batch):
                return best.lr, best.batch, law is None
    loss = found.pool.loss[found.start]
    first = found.start[int(np.argmin(loss))]
    pool = found.pool
    at = [
        evaluate(find(target.law), Point(n, d), is_compute_approximate=True)
        for n, d in (
            (float(pool.params[first]), float(pool.tokens[first])),
            (target.params, target.tokens),
        )
    ]
    ratio = [
        1.0 if b is None or a is None else b / a
        for a, b in ((at[0].lr, at[1].lr), (at[0].batch, at[1].batch))
    ]
    lr, batch = float(pool.lr[first]), float(pool.batch[first])
    return lr * ratio[0], batch * ratio[1], False


def measured(found: Replay, lr: float, batch: float) -> float:
    """Regret of a setting in the target's cell: smoothed, or raw beyond its runs."""
    truth = found.truth
    smooth = regret_smoothed(truth.lr, truth.batch, truth.loss, lr, batch)
    if smooth.regret is not None and not smooth.outside_hull:
        return max(smooth.regret, 0.0)
    return max(regret(truth.lr, truth.batch, truth.loss, lr, batch).regret, 0.0)
