"""The set of runs that most lowers what matters: greedy, then exchange."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float64

from surrogate.answers.planning.belief import Belief

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


def choose(
    belief: Belief,
    flops: Float64[np.ndarray, " m"],
    aim: Float64[np.ndarray, "rows rows"],
    budget: float,
    runs: int,
    *,
    repeats: bool = False,
    made: Sequence[int] = (),
) -> list[int]:
    """Runs within a budget that leave the least of what matters, in order of worth.

    Greedy by gain over a power of the cost, for three powers; the best of those is then
    improved by exchanging one run at a time until nothing improves.

    Args:
        belief: of candidates and target.
        flops: of each candidate.
        aim: what matters is the trace of its product with the target's covariance.
        budget: FLOPs of all runs.
        runs: how many at most.
        repeats: a run may be made more than once.
        made: runs that are made already, at no cost.
    """
    plans = [
        _greedy(belief, flops, aim, budget, runs, power, repeats, made)
        for power in _POWERS
    ]
    ends = [after(belief, flops, [*made, *plan]).value(aim) for plan in plans]
    best = plans[int(np.argmin(ends))]
    if not best:
        return []
    best = _exchange(belief, flops, aim, budget, best, repeats, made)
    return order(belief, flops, aim, best, made)


def _greedy(
    belief: Belief,
    flops: np.ndarray,
    aim: np.ndarray,
    budget: float,
    runs: int,
    power: float,
    repeats: bool,
    made: Sequence[int],
) -> list[int]:
    state = after(belief, flops, made)
    first, begun = len(made), state.spent
    open_ = _open(len(flops), made, repeats)
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


def _exchange(
    belief: Belief,
    flops: np.ndarray,
    aim: np.ndarray,
    budget: float,
    plan: list[int],
    repeats: bool,
    made: Sequence[int],
) -> list[int]:
    """Swap a run for a better one while there is one."""
    kept = _shortlist(belief, flops, aim, [*made, *plan])
    place = {int(j): k for k, j in enumerate(kept)}
    small, cost = belief.keep(kept), flops[kept]
    own, done = [place[j] for j in plan], [place[j] for j in made]
    best = after(small, cost, [*done, *own]).value(aim)
    for _ in range(_SWEEPS):
        before = best
        for i in range(len(own)):
            others = [*own[:i], *own[i + 1 :]]
            state = after(small, cost, [*done, *others])
            left = budget - float(cost[others].sum())
            can = _open(len(kept), [*done, *others], repeats)
            can &= cost <= left * (1 + _ROUNDING)
            gains = np.where(can, state.gains(aim), -1.0)
            j = int(np.argmax(gains))
            value = state.value(aim) - gains[j]
            if value < best * (1 - _ROUNDING):
                own[i], best = j, value
        if best > before * (1 - LEAST_GAIN):
            break
    return [int(kept[k]) for k in own]


def _shortlist(
    belief: Belief, flops: np.ndarray, aim: np.ndarray, chosen: Sequence[int]
) -> np.ndarray:
    """Candidates that may come in: of the largest gains, at first and at the end."""
    if len(flops) <= _SHORTLIST:
        return np.arange(len(flops))
    scores = []
    for state in (State(belief, flops), after(belief, flops, chosen)):
        gains = state.gains(aim)
        scores += [gains / flops**power for power in _POWERS]
    rank = np.min([np.argsort(np.argsort(-score)) for score in scores], axis=0)
    rank[list(chosen)] = -1
    return np.sort(np.argsort(rank, kind="stable")[:_SHORTLIST])


def trim(
    belief: Belief,
    flops: np.ndarray,
    aim: np.ndarray,
    plan: Sequence[int],
    made: Sequence[int] = (),
) -> list[int]:
    """The plan without runs that cost much more than they tell, the worst first."""
    kept = list(plan)
    while len(kept) > 1:
        whole = after(belief, flops, made).value(aim)
        end = after(belief, flops, [*made, *kept]).value(aim)
        cost = float(flops[kept].sum())
        shares = []
        for i in range(len(kept)):
            rest = [*made, *kept[:i], *kept[i + 1 :]]
            told = after(belief, flops, rest).value(aim) - end
            shares.append(told / (whole - end) / (flops[kept[i]] / cost))
        worst = int(np.argmin(shares))
        if shares[worst] >= _POOR:
            break
        kept.pop(worst)
    return kept


def order(
    belief: Belief,
    flops: np.ndarray,
    aim: np.ndarray,
    plan: Sequence[int],
    made: Sequence[int] = (),
) -> list[int]:
    """The runs of a plan, those first that lower most for their cost."""
    state = after(belief, flops, made)
    left, found = list(plan), []
    while left:
        gains = state.gains(aim)[left] / flops[left]
        j = left.pop(int(np.argmax(gains)))
        found.append(j)
        state.add(j)
    return found
