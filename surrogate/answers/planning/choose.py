"""The set of runs that most lowers what matters: greedy, then exchange."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from surrogate.answers.planning.belief import Belief
from surrogate.base.shapes import Bool, Float64

# Powers of a run's cost by which its gain is divided: few large runs to many small.
_POWERS = (1.0, 0.5, 0.0)
# A run that lowers what is left by less than this is none.
LEAST_GAIN = 1e-3
# A run goes whose share of what the plan lowers is under this times its share of the
# cost.
_POOR = 0.1
# Sweeps of exchanges, and candidates that may come in.
_SWEEPS, _SHORTLIST = 3, 1500
_ROUNDING = 1e-9


class State:
    """A belief after some runs.

    Attributes:
        chosen: the runs, in order.
        target: covariance of the target's rows.
        spent: FLOPs.
    """

    def __init__(self, belief: Belief, flops: Float64[np.ndarray, " m"]) -> None:
        """Before any run."""
        self.belief, self.flops = belief, flops
        self.chosen: list[int] = []
        self.spent = 0.0
        self.target = belief.target.copy()
        self._variance = belief.variance
        self._with_target = belief.with_target.copy()
        self._columns = np.empty((16, len(flops)))

    def gains(self, aim: Float64[np.ndarray, "rows rows"]) -> Float64[np.ndarray, " m"]:
        """By how much one more run, each of them, lowers the trace of aim x target."""
        weighted = np.einsum("mi,ij,mj->m", self._with_target, aim, self._with_target)
        return weighted / (self._variance + self.belief.noise)

    def value(self, aim: Float64[np.ndarray, "rows rows"]) -> float:
        """What is left: the trace of aim x target."""
        return float(np.sum(aim * self.target))

    def add(self, j: int) -> State:
        """Make run j; returns itself."""
        count = len(self.chosen)
        known = self._columns[:count]
        column = self.belief.column(j) - known[:, j] @ known
        own = self._variance[j] + self.belief.noise[j]
        column /= np.sqrt(own)
        shared = self._with_target[j] / np.sqrt(own)
        if count == len(self._columns):
            self._columns = np.concatenate([self._columns, np.empty_like(known)])
        self._columns[count] = column
        self._variance = np.maximum(self._variance - column**2, 0.0)
        self._with_target = self._with_target - np.outer(column, shared)
        self.target = self.target - np.outer(shared, shared)
        self.chosen.append(j)
        self.spent += float(self.flops[j])
        return self


def after(belief: Belief, flops: np.ndarray, runs: Sequence[int]) -> State:
    """The belief after runs."""
    state = State(belief, flops)
    for j in runs:
        state.add(j)
    return state


class Problem(NamedTuple):
    """What runs are chosen from, and what for.

    Attributes:
        belief: of candidates and target.
        flops: of each candidate.
        aim: what matters is the trace of its product with the target's covariance.
        repeats: a run may be made more than once.
        made: runs that are made already, at no cost.
    """

    belief: Belief
    flops: Float64[np.ndarray, " m"]
    aim: Float64[np.ndarray, "rows rows"]
    repeats: bool = False
    made: Sequence[int] = ()

    def after(self, runs: Sequence[int]) -> State:
        """The belief after runs, beside those that are made."""
        return after(self.belief, self.flops, [*self.made, *runs])

    def left(self, runs: Sequence[int]) -> float:
        """What matters and is not known after runs."""
        return self.after(runs).value(self.aim)


def choose(problem: Problem, budget: float, runs: int) -> list[int]:
    """Runs within a budget that leave the least of what matters, in order of worth.

    Greedy by gain over a power of the cost, for three powers; the best of those is then
    improved by exchanging one run at a time until nothing improves.

    Args:
        problem: what to choose from, and what for.
        budget: FLOPs of all runs.
        runs: how many at most.
    """
    plans = [_greedy(problem, budget, runs, power) for power in _POWERS]
    best = plans[int(np.argmin([problem.left(plan) for plan in plans]))]
    if not best:
        return []
    return order(problem, _exchange(problem, budget, best))


def _greedy(problem: Problem, budget: float, runs: int, power: float) -> list[int]:
    flops, aim, repeats = problem.flops, problem.aim, problem.repeats
    state = problem.after(())
    first, begun = len(problem.made), state.spent
    open_ = _open(len(flops), problem.made, repeats)
    while len(state.chosen) - first < runs:
        left = budget - (state.spent - begun)
        can = open_ & (flops <= left * (1 + _ROUNDING))
        gains = np.where(can, state.gains(aim), -1.0)
        j = int(np.argmax(gains / flops**power))
        if gains[j] <= LEAST_GAIN * state.value(aim):
            j = int(np.argmax(gains))
            if gains[j] <= LEAST_GAIN * state.value(aim):
                break
        state.add(j)
        open_[j] = repeats
    return state.chosen[first:]


def _open(count: int, made: Sequence[int], repeats: bool) -> Bool[np.ndarray, " m"]:
    """Which candidates may be chosen."""
    found = np.ones(count, dtype=bool)
    if not repeats:
        found[list(made)] = False
    return found


def _exchange(problem: Problem, budget: float, plan: list[int]) -> list[int]:
    """Swap a run for a better one while there is one."""
    kept = _shortlist(problem, plan)
    place = {int(j): k for k, j in enumerate(kept)}
    cost, aim = problem.flops[kept], problem.aim
    done = [place[j] for j in problem.made]
    small = Problem(problem.belief.keep(kept), cost, aim, problem.repeats, done)
    own = [place[j] for j in plan]
    best = small.left(own)
    for _ in range(_SWEEPS):
        before = best
        for i in range(len(own)):
            others = [*own[:i], *own[i + 1 :]]
            state = small.after(others)
            left = budget - float(cost[others].sum())
            can = _open(len(kept), [*done, *others], problem.repeats)
            can &= cost <= left * (1 + _ROUNDING)
            gains = np.where(can, state.gains(aim), -1.0)
            j = int(np.argmax(gains))
            value = state.value(aim) - gains[j]
            if value < best * (1 - _ROUNDING):
                own[i], best = j, value
        if best > before * (1 - LEAST_GAIN):
            break
    return [int(kept[k]) for k in own]


def _shortlist(problem: Problem, plan: Sequence[int]) -> np.ndarray:
    """Candidates that may come in: of the largest gains, at first and at the end."""
    flops = problem.flops
    if len(flops) <= _SHORTLIST:
        return np.arange(len(flops))
    scores = []
    for state in (State(problem.belief, flops), problem.after(plan)):
        gains = state.gains(problem.aim)
        scores += [gains / flops**power for power in _POWERS]
    rank = np.min([np.argsort(np.argsort(-score)) for score in scores], axis=0)
    rank[[*problem.made, *plan]] = -1
    return np.sort(np.argsort(rank, kind="stable")[:_SHORTLIST])


def trim(problem: Problem, plan: Sequence[int]) -> list[int]:
    """The plan without runs that cost much more than they tell, the worst first."""
    kept, flops = list(plan), problem.flops
    while len(kept) > 1:
        whole, end = problem.left(()), problem.left(kept)
        cost = float(flops[kept].sum())
        shares = []
        for i in range(len(kept)):
            told = problem.left([*kept[:i], *kept[i + 1 :]]) - end
            shares.append(told / (whole - end) / (flops[kept[i]] / cost))
        worst = int(np.argmin(shares))
        if shares[worst] >= _POOR:
            break
        kept.pop(worst)
    return kept


def order(problem: Problem, plan: Sequence[int]) -> list[int]:
    """The runs of a plan, those first that lower most for their cost."""
    state = problem.after(())
    left, found = list(plan), []
    while left:
        gains = state.gains(problem.aim)[left] / problem.flops[left]
        j = left.pop(int(np.argmax(gains)))
        found.append(j)
        state.add(j)
    return found
