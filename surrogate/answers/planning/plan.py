"""The verb: plan the runs that most lower what matters at a target."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from surrogate.answers.context import context_of
from surrogate.answers.limits.transfer import check_law
from surrogate.answers.planned import Plan, PlannedRun, Standing, Wanted
from surrogate.answers.planning.belief import believe
from surrogate.answers.planning.candidates import Candidates, candidates
from surrogate.answers.planning.choose import Problem, State, choose, trim
from surrogate.answers.planning.lean import leans
from surrogate.answers.planning.places import cost
from surrogate.answers.planning.standing import standing
from surrogate.answers.planning.stop import stop
from surrogate.answers.planning.target import Target
from surrogate.answers.question import Question
from surrogate.base.errors import DataError
from surrogate.base.shapes import Float64
from surrogate.base.units import format_count, plain
from surrogate.fitting.model import CellRecord

# A cell of so many levels of lr and of batch tells its own optimum.
_FINISHED = 3
_SAME = 0.01


class _Search(NamedTuple):
    """What a plan is chosen in.

    Attributes:
        target: where the answer is wanted.
        wanted: limits.
        found: runs that could be made.
        problem: what they tell, and what matters.
        is_prior: the fit is of another lab's runs.
    """

    target: Target
    wanted: Wanted
    found: Candidates
    problem: Problem
    is_prior: bool

    def standing(self, then: np.ndarray) -> Standing:
        """How sure the answer is after the target's covariance became `then`."""
        return standing(self.target, self.problem.belief.target, then)


def next_runs(question: Question, wanted: Wanted, *, is_prior: bool = False) -> Plan:
    """Plan runs for a question.

    Args:
        question: the target, put to a fit of the runs so far; or of another lab's.
        wanted: limits.
        is_prior: there are no own runs yet.

    Raises:
        DataError: the limits leave no run, the target is finished already, or the fit
            does not say how sure it is.
    """
    wanted.check()
    check_law(wanted.transfer)
    if not is_prior:
        _check_target(question)
    target = Target.of(question, wanted.transfer)
    found = candidates(target, wanted)
    if wanted.runs > len(found) and not wanted.repeats:
        raise DataError(
            f"Expected runs of at most {len(found):,}, the candidates within the "
            f"limits, got {wanted.runs:,}. Ask for fewer, raise the budget, or allow "
            "repeats."
        )
    belief = believe(target, found, is_prior=is_prior)
    aim = aim_of(target, wanted.aim)
    problem = Problem(belief, found.flops, aim, wanted.repeats)
    chosen = trim(problem, choose(problem, wanted.budget, wanted.runs))
    return _plan(_Search(target, wanted, found, problem, is_prior), chosen)


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


def _plan(search: _Search, chosen: list[int]) -> Plan:
    target, wanted, found, problem, is_prior = search
    belief, question = problem.belief, target.question
    state = State(belief, found.flops)
    before, runs = search.standing(belief.target), []
    stages, spent = [belief.target], [0.0]
    for j in chosen:
        state.add(j)
        stages.append(state.target)
        spent.append(state.spent)
        runs.append(_run(found, j, state.spent, search.standing(state.target)))
    again = problem._replace(repeats=True, made=chosen)
    further = again.after(choose(again, state.spent or wanted.budget, wanted.runs))
    said = stop(
        target,
        cost(question.params, question.tokens, question.sizes),
        [*stages, further.target],
        [*spent, further.spent],
        search.standing(further.target),
    )
    context = context_of(question, target.settings, target.solved.status)
    extra = leans(target, belief, found, chosen, problem.aim, is_prior=is_prior)
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
        lr=plain(found.settings["lr"][j]),
        batch=plain(found.settings["batch"][j]),
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


def _check_target(question: Question) -> None:
    """Refuse a target whose own runs tell its optimum.

    Raises:
        DataError: naming the cell.
    """
    for cell in question.fit.cells:
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
    asked = question.sizes
    own = {"params": cell.params, "tokens": cell.tokens, **cell.scales}
    is_same = all(abs(math.log(own[n] / v)) <= _SAME for n, v in asked.items())
    return is_same and min(len(cell.lr), len(cell.batch)) >= _FINISHED
