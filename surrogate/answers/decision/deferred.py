"""Decisions that are made when they are first looked at."""

from __future__ import annotations

from surrogate.answers.decision.answered import Answered
from surrogate.answers.decision.document import Decision, Deferred
from surrogate.answers.question import Question


def answered(told: Answered) -> Deferred:
    """The decision of an answer, to be made when it is looked at."""

    def make() -> Decision:
        from surrogate.answers.decision import decide

        return decide.decide(told)

    return Deferred(make)


def undecided(question: Question, of: str, why: str, distance: float) -> Deferred:
    """The decision of an answer that has no number."""

    def make() -> Decision:
        from surrogate.answers.decision import decide

        return decide.nothing(question, of, why, distance)

    return Deferred(make)
