"""The verb: plan the runs that most lower what matters at a target."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from jaxtyping import Float64

from surrogate.answers.context import context_of
from surrogate.answers.limits.transfer import check_law
from surrogate.answers.planned import Plan, PlannedRun, Standing, Wanted
from surrogate.answers.planning.belief import Belief, believe
from surrogate.answers.planning.candidates import Candidates, candidates
from surrogate.answers.planning.choose import State, after, choose, trim
from surrogate.answers.planning.lean import leans
from surrogate.answers.planning.places import cost
from surrogate.answers.planning.standing import standing
from surrogate.answers.planning.stop import stop
from surrogate.answers.planning.target import Target
from surrogate.answers.question import Question
from surrogate.answers.solved import state as state_of
from surrogate.base.errors import DataError
from surrogate.base.units import format_count
from surrogate.fitting.model import CellRecord, Model

# A cell of so many levels of lr and of batch tells its own optimum.
_FINISHED = 3
_SAME = 0.01


def next_runs(
    fit: Model, question: Question, wanted: Wanted, *, is_prior: bool = False
) -> Plan:
    """Plan runs for a question.

    Args:
        fit: of the runs so far; or another lab's, as a prior.
        question: the target.
        wanted: limits.
        is_prior: there are no own runs yet.

    Raises:
        DataError: the limits leave no run, the target is finished already, or the fit
            does not say how sure it is.
    """
    wanted.check()
    check_law(wanted.transfer)
    if not is_prior:
        _check_target(fit, question)
    target = Target.of(fit, question, wanted.transfer)
    found = candidates(target, wanted)
    if wanted.runs > len(found) and not wanted.repeats:
        raise DataError(
            f"Expected runs of at most {len(found):,}, the candidates within the "
            f"limits, got {wanted.runs:,}. Ask for fewer, raise the budget, or allow "
            "repeats."
        )
    belief = believe(target, found, is_prior=is_prior)
    aim = aim_of(target, wanted.aim)
    limits = (wanted.budget, wanted.runs)
    chosen = choose(belief, found.flops, aim, *limits, repeats=wanted.repeats)
    chosen = trim(belief, found.flops, aim, chosen)
    return _plan(target, wanted, found, belief, aim, chosen, is_prior)


def aim_of(target: Target, aim: str) -> Float64[np.ndarray, "rows rows"]:
    """What matters, as weights of the covariance of the target's rows."""
    choices = len(target.shift)
    found = np.zeros((2 * choices + 2, 2 * choices + 2))
    whole = slice(choices, 2 * choices)
    if aim == "loss":
        found[-1, -1] = 1.0
    else:
        own = np.eye(choices) if aim == "lr" else 0.5 * target.hessian
        found[whole, whole] = own
    return found


def _plan(
    target: Target,
    wanted: Wanted,
    found: Candidates,
    belief: Belief,
    aim: np.ndarray,
    chosen: list[int],
    is_prior: bool,
) -> Plan:
    fit, question = target.fit, target.question
    state = State(belief, found.flops)
    before, runs = standing(target, belief.target, belief.target), []
    stages, spent = [belief.target], [0.0]
    for j in chosen:
        state.add(j)
        stages.append(state.target)
        spent.append(state.spent)
        then = standing(target, belief.target, state.target)
        runs.append(_run(found, j, state.spent, then))
    more = choose(
        belief,
        found.flops,
        aim,
        state.spent or wanted.budget,
        wanted.runs,
        repeats=True,
        made=chosen,
    )
    further = after(belief, found.flops, [*chosen, *more])
    asked = {"params": question.params, "tokens": question.tokens, **question.scales}
    said = stop(
        target,
        cost(question.params, question.tokens, asked),
        [*stages, further.target],
        [*spent, further.spent],
        standing(target, belief.target, further.target),
    )
    context = context_of(fit, question, target.settings, state_of(fit, target.solved))
    extra = leans(target, belief, found, chosen, aim, is_prior=is_prior)
    return Plan(
        context=replace(context, warnings=(*context.warnings, *extra)),
        wanted=wanted,
        runs=tuple(runs),
        **target.settings,
        before=before,
        after=runs[-1].then if runs else before,
        stop=said,
        candidates=len(found),
        is_prior=is_prior,
    )


def _run(found: Candidates, j: int, total: float, then: Standing) -> PlannedRun:
    place = found.places[found.place[j]]
    return PlannedRun(
        lr=_typed(found.settings["lr"][j]),
        batch=_typed(found.settings["batch"][j]),
        params=place.params,
        tokens=place.tokens,
        scales=dict(place.scales),
        flops=float(found.flops[j]),
        total=total,
        probability=float(found.probability[j]),
        excess=float(np.expm1(found.excess[j])),
        is_new=place.is_new,
        then=then,
    )


def _typed(value: float) -> float:
    """Without the rounding that a logarithm left."""
    return float(f"{value:.12g}")


def _check_target(fit: Model, question: Question) -> None:
    """Refuse a target whose own runs tell its optimum.

    Raises:
        DataError: naming the cell.
    """
    for cell in fit.cells:
        if cell.recipe == question.recipe and _is_finished(cell, question):
            raise DataError(
                f"Expected a target beyond the finished cells, got "
                f"{format_count(cell.params)} parameters and "
                f"{format_count(cell.tokens)} tokens, of which the fit has "
                f"{cell.runs} runs at {len(cell.lr)} learning rates and "
                f"{len(cell.batch)} batches: its optimum is measured. Ask `surrogate "
                "plateau` there, or plan for the size that you will train."
            )


def _is_finished(cell: CellRecord, question: Question) -> bool:
    asked: Mapping[str, float] = question.scales
    own = {"params": cell.params, "tokens": cell.tokens, **cell.scales}
    sizes = {"params": question.params, "tokens": question.tokens, **asked}
    is_same = all(abs(math.log(own[n] / v)) <= _SAME for n, v in sizes.items())
    return is_same and min(len(cell.lr), len(cell.batch)) >= _FINISHED
