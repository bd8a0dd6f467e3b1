"""What can be had where the runs show no best value of a setting."""

from __future__ import annotations

from collections.abc import Mapping

from surrogate.answers.limits.loose import too_loose
from surrogate.answers.limits.measured import best_measured
from surrogate.answers.limits.sides import say
from surrogate.answers.limits.unfitted import untried_choice
from surrogate.answers.question import Question
from surrogate.answers.sided import solve_sides
from surrogate.answers.solved import nearest_level, only_levels, point_only
from surrogate.base.units import (
    format_lr,
    format_tokens_exact,
)
from surrogate.data.coordinates import CHOICES
from surrogate.fitting.evidence import unclear


def not_told(question: Question, held: Mapping[str, float]) -> dict[str, str]:
    """The settings of which the runs show no best value, and why; "" if not fitted."""
    fit = question.fit
    free = [name for name in CHOICES if name not in held]
    why = {
        n: unclear(fit.evidence.get(n), n) if n in fit.features.choices else ""
        for n in free
    }
    found = {name: text for name, text in why.items() if text is not None}
    if len(found) < len(free):
        found = too_loose(question, held, found) | found
    return found


def offer(
    question: Question, why: Mapping[str, str], held: Mapping[str, float]
) -> tuple[str, dict[str, float] | None]:
    """Why nothing is answered, and what the other setting's best would be."""
    is_held = any(name in held for name in CHOICES) and all(why.values())
    if len(why) == len(CHOICES) or is_held:
        # No surface tells anything: a measured level is all there is.
        texts = [text for text in why.values() if text]
        found = best_measured(question, why, held)
        if found is None:
            return " ".join(texts), None
        return " ".join([*texts, str(found)]), found.settings
    (name, text), *_ = why.items()
    offered = _offered(question, name)
    if not text:
        return refusal(name, offered), offered
    other = "lr" if name == "batch" else "batch"
    box = question.box | {name: (offered[name], offered[name])}
    known = only_levels(question.fit) | {name: offered[name]}
    sided = solve_sides(point_only(question), box, known)
    said = [f" {say(part, side)}" for part, side in sided.one_sided.items()]
    return (
        f"{text} What they can tell: {setting(other, offered)} at "
        f"{setting(name, offered)}; hold it with --{name}." + "".join(said),
        offered,
    )


def untried(
    question: Question, held: Mapping[str, float]
) -> tuple[str, dict[str, float] | None] | None:
    """Why a held setting that the fit does not see has no answer, and what has one."""
    why = untried_choice(question, held)
    if why is None:
        return None
    (name,) = (n for n in held if n not in question.fit.features.choices)
    offered = _offered(question, name)
    other = "lr" if name == "batch" else "batch"
    if not_told(question, {name: offered[name]}):
        return why, None
    told = f"{setting(other, offered)} at {setting(name, offered)}"
    return f"{why} What they can tell: {told}.", offered


def refusal(missing: str, offered: Mapping[str, float]) -> str:
    """Why there is no optimum over a setting, and what can be had instead."""
    other = "lr" if missing == "batch" else "batch"
    return (
        f"In the fitted runs {missing} does not vary inside any cell, so they cannot "
        f"tell an optimum over it. What they can tell: {setting(other, offered)} at "
        f"{setting(missing, offered)}. Hold it with --{missing}, or add runs with at "
        f"least 3 values of {missing} at one params and tokens."
    )


def setting(name: str, settings: Mapping[str, float]) -> str:
    """One setting for people."""
    value = settings[name]
    if name == "lr":
        return f"lr {format_lr(value)}"
    return f"batch {format_tokens_exact(round(value))} tokens"


def _offered(question: Question, missing: str) -> dict[str, float]:
    """The best setting where the missing one is the nearest cell's own."""
    fit = question.fit
    level = nearest_level(question, missing)
    known = only_levels(fit) | {missing: level}
    box = question.box
    if missing in fit.features.choices:
        box = box | {missing: (level, level)}
    return solve_sides(point_only(question), box, known).solved.best
