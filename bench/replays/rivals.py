"""Ways to choose the next runs of a pool: ours and what people do instead.

Each gives runs in order, of those not yet made, within what may be spent; none sees a
loss that it has not paid for.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from replays.targets import Replay
from surrogate.answers.fit import Fit
from surrogate.answers.planned import Wanted
from surrogate.answers.planning.belief import believe
from surrogate.answers.planning.candidates import at
from surrogate.answers.planning.choose import Problem, State, choose
from surrogate.answers.planning.places import placed
from surrogate.answers.planning.plan import aim_of
from surrogate.answers.planning.standing import standing
from surrogate.answers.planning.target import Target as Goal

# Runs of one stage at most, ours.
MOST = 48

Choose = Callable[[Replay, list[int], float, np.random.Generator], list[int]]


def within(order: np.ndarray, cost: np.ndarray, budget: float) -> list[int]:
    """Runs in order while they can be paid; one too dear is passed over."""
    chosen, left = [], budget
    for j in order:
        if cost[j] <= left:
            chosen.append(int(j))
            left -= cost[j]
    return chosen


def _open(found: Replay, made: list[int]) -> np.ndarray:
    return np.setdiff1d(np.arange(len(found.pool)), made)


def random(
    found: Replay, made: list[int], budget: float, rng: np.random.Generator
) -> list[int]:
    """At random, one over its cost as likely."""
    free = _open(found, made)
    keys = rng.exponential(size=len(free)) * found.cost[free]
    return within(free[np.argsort(keys)], found.cost, budget)


def grid(
    found: Replay, made: list[int], budget: float, rng: np.random.Generator
) -> list[int]:
    """The smallest cells first, each whole."""
    free = _open(found, made)
    keys = np.lexsort((rng.random(len(free)), found.cost[free]))
    return within(free[keys], found.cost, budget)


def one_factor(
    found: Replay, made: list[int], budget: float, rng: np.random.Generator
) -> list[int]:
    """Smallest cells first: lr at the middle batch, then batch at the best lr."""
    pool, chosen, left = found.pool, [], budget
    cells = np.unique(pool.cell)
    for cell in sorted(cells, key=lambda c: found.cost[pool.cell == c][0]):
        own = np.flatnonzero(pool.cell == cell)
        batches = np.unique(pool.batch[own])
        middle = batches[len(batches) // 2]
        for stage in (0, 1):
            if stage == 0:
                line = own[pool.batch[own] == middle]
            else:
                told = [j for j in own if j in made or j in chosen]
                told = [j for j in told if np.isfinite(pool.loss[j])]
                if not told:
                    break
                best = min(told, key=lambda j: pool.loss[j])
                line = own[pool.lr_level[own] == pool.lr_level[best]]
            for j in line:
                if j not in made and j not in chosen and found.cost[j] <= left:
                    chosen.append(int(j))
                    left -= found.cost[j]
    return chosen


def _logs(found: Replay) -> np.ndarray:
    pool = found.pool
    x = np.log(np.stack([pool.lr, pool.batch, pool.params, pool.tokens], axis=1))
    return (x - x.mean(axis=0)) / x.std(axis=0)


def maximin(
    found: Replay, made: list[int], budget: float, rng: np.random.Generator
) -> list[int]:
    """Each as far as can be from those made, in standardised logarithms."""
    x, left, chosen = _logs(found), budget, []
    gap = np.linalg.norm(x[:, None] - x[made], axis=2).min(axis=1)
    while True:
        can = np.where(found.cost <= left, gap, -1.0)
        j = int(np.argmax(can))
        if can[j] <= 0:
            return chosen
        chosen.append(j)
        left -= found.cost[j]
        gap = np.minimum(gap, np.linalg.norm(x - x[j], axis=1))


def d_optimal(
    found: Replay, made: list[int], budget: float, rng: np.random.Generator
) -> list[int]:
    """Greedy in the log determinant of a full quadratic's information, per FLOP."""
    x, left, chosen = _logs(found), budget, []
    rows, columns = np.triu_indices(x.shape[1])
    z = np.concatenate([np.ones((len(x), 1)), x, x[:, rows] * x[:, columns]], axis=1)
    inverse = np.linalg.inv(1e-3 * np.eye(z.shape[1]) + z[made].T @ z[made])
    free = np.ones(len(x), dtype=bool)
    free[made] = False
    while True:
        gain = np.log1p(np.einsum("ni,ij,nj->n", z, inverse, z)) / found.cost
        gain = np.where(free & (found.cost <= left), gain, -1.0)
        j = int(np.argmax(gain))
        if gain[j] <= 0:
            return chosen
        chosen.append(j)
        free[j] = False
        left -= found.cost[j]
        step = inverse @ z[j]
        inverse -= np.outer(step, step) / (1 + z[j] @ step)


RIVALS: dict[str, Choose] = {
    "random": random,
    "grid": grid,
    "one-factor": one_factor,
    "maximin": maximin,
    "d-optimal": d_optimal,
}


def ours(
    found: Replay, made: list[int], budget: float, fit: Fit
) -> tuple[list[int], dict[str, float]]:
    """What `surrogate next` would choose of the pool, and what it promises."""
    target, pool = found.target, found.pool
    none: dict[str, float] = {}
    asked = fit.at(params=target.params, tokens=target.tokens, p_max=0.1)
    goal = Goal.of(asked.question, target.law)
    wanted = Wanted(budget=budget, runs=MOST, transfer=target.law)
    cells = [(float(c.params), float(c.tokens), ()) for c in pool.cells]
    places = placed(goal, wanted, cells, set())
    settings = {"lr": pool.lr_level, "batch": pool.batch}
    logs = np.log(np.stack([settings[n] for n in fit.features.choices], axis=1))
    every = at(fit, places, pool.cell, logs)
    free = _open(found, made)
    calm = free[(every.probability[free] <= 0.2) & (every.excess[free] <= 0.2)]
    if not len(calm):
        return [], none
    some = every.keep(calm)
    belief, aim = believe(goal, some), aim_of(goal, "regret")
    picked = choose(Problem(belief, some.flops, aim), budget, MOST)
    state = State(belief, some.flops)
    for j in picked:
        state.add(j)
    ends = [standing(goal, belief.target, c) for c in (belief.target, state.target)]
    said = {"before": ends[0].regret_upper, "after": ends[1].regret_upper}
    said |= dict(zip(("low", "high"), ends[1].regret_range, strict=True))
    return [int(calm[j]) for j in picked], said
