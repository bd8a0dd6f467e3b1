"""What a plan of runs holds, in natural units, and its JSON."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from surrogate.answers.results import Context, Pair
from surrogate.base.errors import DataError, Status
from surrogate.base.units import quote

# What a plan lowers at the target.
AIMS = ("regret", "lr", "loss")
# So many runs fit on a screen; more are asked for.
RUNS = 12


@dataclass(frozen=True)
class Wanted:
    """Limits of a plan.

    Attributes:
        budget: FLOPs of all runs together, 6 x params x tokens each.
        runs: how many at most.
        per_run_max: FLOPs of one run at most; None for no limit but the budget.
        lr_levels: the only learning rates to try; none for two-digit ones around the
            best of each size.
        batch_multiple: batches are multiples of this [tokens].
        max_params: the largest model to train.
        repeats: a setting may be run again, with another seed.
        aim: `regret`, of the proposal; `lr`, the intervals of the best lr and batch;
            or `loss`, the interval of the lowest loss.
        transfer: the published law by whose exponents the best settings are first
            guessed at sizes that the runs tell nothing of.
    """

    budget: float
    runs: int = RUNS
    per_run_max: float | None = None
    lr_levels: tuple[float, ...] = ()
    batch_multiple: float | None = None
    max_params: float | None = None
    repeats: bool = False
    aim: str = "regret"
    transfer: str = "step-law"

    @property
    def most(self) -> float:
        """FLOPs that one run may cost."""
        return min(self.budget, self.per_run_max or math.inf)

    def check(self) -> Wanted:
        """Refuse what is no limit.

        Raises:
            DataError: naming the argument.
        """
        numbers = {
            "budget": self.budget,
            "per_run_max": self.per_run_max,
            "batch_multiple": self.batch_multiple,
            "max_params": self.max_params,
        }
        numbers |= {f"lr_levels[{k}]": v for k, v in enumerate(self.lr_levels)}
        for name, value in numbers.items():
            if value is None:
                continue
            if not (isinstance(value, int | float) and 0 < value < math.inf):
                raise DataError(
                    f"Expected {name} to be a positive number, got {value!r}."
                )
        if not (isinstance(self.runs, int) and self.runs >= 1):
            raise DataError(
                f"Expected runs to be a whole number above 0, got {self.runs!r}."
            )
        if self.aim not in AIMS:
            raise DataError(
                f"Expected aim to be one of {', '.join(AIMS)}, got {quote(self.aim)}."
            )
        return self


@dataclass(frozen=True)
class Standing:
    """What is known of the target's best settings.

    Attributes:
        lr: interval of the best lr; NaN where the fit does not see it.
        batch: likewise [tokens].
        loss: of the lowest loss [nats per token].
        lr_factor: half of lr's interval, as a factor; 1 is exact.
        batch_factor: likewise.
        regret: expected, of the best setting as the fit has it.
        regret_upper: one-sided upper end of it.
        regret_range: where a refit's own upper end will lie, in 80 % of cases: standard
            errors are themselves known only as far as cells are many.
    """

    lr: Pair
    batch: Pair
    loss: Pair
    lr_factor: float
    batch_factor: float
    regret: float
    regret_upper: float
    regret_range: Pair

    def to_json(self) -> dict[str, Any]:
        """Plain numbers; unknown is None."""
        return {
            "lr": _ends(self.lr),
            "batch": _ends(self.batch),
            "loss": _ends(self.loss),
            "lr_factor": _known(self.lr_factor),
            "batch_factor": _known(self.batch_factor),
            "regret": _known(self.regret),
            "regret_upper": _known(self.regret_upper),
            "regret_upper_range": _ends(self.regret_range),
        }


@dataclass(frozen=True)
class Stop:
    """What the plan and as much again are worth.

    Attributes:
        target_flops: of one run at the target.
        worth: FLOPs of the target's run that the plan saves, by the fit's price of a
            loss in tokens; NaN where it has none.
        more_flops: of a second plan after this one.
        more_worth: that it saves.
        more_upper: the regret's upper end then.
        pays: the plan saves more than it costs; None where that is not known.
        runs: after how many of its runs it saves most for its cost; 0 where none pays,
            None where that is not known.
        more_pays: so does a second one.
    """

    target_flops: float
    worth: float
    more_flops: float
    more_worth: float
    more_upper: float
    pays: bool | None
    more_pays: bool | None
    runs: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain numbers; unknown is None."""
        return {
            "worth_flops": _known(self.worth),
            "pays": self.pays,
            "runs": self.runs,
            "more": {
                "flops": self.more_flops,
                "regret_upper": _known(self.more_upper),
                "worth_flops": _known(self.more_worth),
                "pays": self.more_pays,
            },
        }


@dataclass(frozen=True)
class PlannedRun:
    """One run of a plan.

    Attributes:
        lr: peak learning rate.
        batch: tokens per optimiser step.
        params: parameters.
        tokens: training tokens.
        scales: further scale variables.
        flops: what it costs.
        total: what it and those before it cost.
        probability: that it diverges; 0 where the runs cannot tell.
        excess: how far above the best of its size it is expected to end, of the loss.
        is_new: no fitted run has this size.
        then: what is known of the target after it and those before it.
    """

    lr: float
    batch: float
    params: float
    tokens: float
    scales: dict[str, float]
    flops: float
    total: float
    probability: float
    excess: float
    is_new: bool
    then: Standing

    def to_json(self) -> dict[str, Any]:
        """Plain numbers."""
        return {
            "lr": self.lr,
            "batch": None if math.isnan(self.batch) else self.batch,
            "params": self.params,
            "tokens": self.tokens,
            "scales": self.scales,
            "flops": self.flops,
            "flops_total": self.total,
            "probability_diverged": self.probability,
            "excess": self.excess,
            "new_size": self.is_new,
            "after": self.then.to_json(),
        }


@dataclass(frozen=True)
class Plan:
    """Runs to make next, in order, and what they buy.

    Attributes:
        context: question, fit, extrapolation, warnings.
        wanted: the limits.
        runs: in the order to run them.
        lr: the best at the target as the fit has it now.
        batch: likewise [tokens].
        before: what is known of the target now.
        after: with all runs.
        stop: whether the plan and more of it pay.
        candidates: how many runs were compared.
        is_prior: planned from another lab's fit.
    """

    context: Context
    wanted: Wanted
    runs: tuple[PlannedRun, ...]
    lr: float
    batch: float
    before: Standing
    after: Standing
    stop: Stop
    candidates: int
    is_prior: bool

    @property
    def flops(self) -> float:
        """Of all runs."""
        return self.runs[-1].total if self.runs else 0.0

    @property
    def status(self) -> Status:
        """How it went."""
        return self.context.status

    def to_json(self) -> dict[str, Any]:
        """The contract's document."""
        return self.context.to_json() | {
            "runs": [run.to_json() for run in self.runs],
            "flops": self.flops,
            "budget": self.wanted.budget,
            "aim": self.wanted.aim,
            "target": {
                "params": self.context.params,
                "tokens": self.context.tokens,
                "flops": self.stop.target_flops,
                "lr": _known(self.lr),
                "batch": _known(self.batch),
            },
            "before": self.before.to_json(),
            "after": self.after.to_json(),
            "stop": self.stop.to_json(),
            "candidates": self.candidates,
            "prior": self.is_prior,
        }


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _ends(pair: Pair) -> list[float] | None:
    return list(pair) if all(map(math.isfinite, pair)) else None
