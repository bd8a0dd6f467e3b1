"""Published laws beside a fit's own optimum at one (params, tokens)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from surrogate.answers import neighbours
from surrogate.answers.limits import levels
from surrogate.answers.limits.unfitted import unfitted
from surrogate.answers.predict import Points, surface_at
from surrogate.answers.question import Question
from surrogate.answers.results import Optimum
from surrogate.answers.surface import Surface
from surrogate.base.defaults import ACTIVE, SMALL
from surrogate.base.errors import DataError
from surrogate.laws import LAWS, Law, Point, Shape, evaluate


@dataclass(frozen=True)
class Side:
    """What one law chooses, and what the fit says of it.

    Attributes:
        name: of the law.
        title: for people.
        lr: peak learning rate; None where there is no answer.
        batch: [tokens].
        loss: predicted [nats per token].
        regret: predicted loss over the lowest predicted one, minus 1 (a fraction).
        inside: as answers say it.
        warnings: what is not as the law was fitted, and whose choice a setting is.
        reason: why there is no answer; None where there is.
    """

    name: str
    title: str
    lr: float | None = None
    batch: float | None = None
    loss: float | None = None
    regret: float | None = None
    inside: bool | None = None
    warnings: tuple[str, ...] = ()
    reason: str | None = None


def beside(
    surface: Surface,
    *,
    shape: Shape | None = None,
    seq_len: float | int | None = None,
) -> tuple[Optimum, list[Side]]:
    """The fit's optimum, and every published law's choice at the same point.

    A law of one setting gets the fit's best of the other. Where the fit says nothing of
    the sizes, laws are not judged.

    Args:
        surface: which judges; a scale named active, active_params or Na is taken for
            the active parameters of a mixture of experts.
        shape: for laws that count the FLOPs of attention; else C = 6 N D.
        seq_len: for laws that count sequences.

    Raises:
        DataError: as `Fit.optimum`.
    """
    best, question = surface.optimum(), surface.question
    given = question.scales
    point = Point(
        params=question.params,
        tokens=question.tokens,
        active=next((given[name] for name in ACTIVE if name in given), None),
        loss=best.loss if np.isfinite(best.loss) else None,
        shape=shape,
        seq_len=seq_len,
        params_kind=surface.fit.params_kind,
    )
    if unfitted(question) is not None:
        # The fit says nothing there: laws are quoted, and not judged.
        return best, [_quoted(law, point) for law in LAWS]
    # Losses that the first answer let pass are no matter of the laws.
    anyhow = replace(surface, allow=(SMALL,))
    return best, _judged(question, [_side(anyhow, law, point, best) for law in LAWS])


def _quoted(law: Law, point: Point) -> Side:
    """What a law says by itself."""
    side = Side(law.name, law.title)
    try:
        choice = evaluate(law, point, is_compute_approximate=point.shape is None)
    except DataError as error:
        return replace(side, reason=str(error).removeprefix(f"law {law.name}: "))
    batch = None if law.is_batch_critical else choice.batch
    return replace(side, lr=choice.lr, batch=batch, warnings=choice.warnings)


def _side(surface: Surface, law: Law, point: Point, best: Optimum) -> Side:
    side = Side(law.name, law.title)
    try:
        choice = evaluate(
            law, point, batch=best.batch, is_compute_approximate=point.shape is None
        )
        lr, batch = choice.lr, choice.batch
        said = list(choice.warnings)
        if batch is not None and not law.is_batch_critical:
            if law.batch and "L" in law.batch.variables:
                said.append("Its batch is from the fit's lowest predicted loss.")
        elif "S" in law.needs:
            batch = best.batch
            said.append("Gives no batch: it gets the fit's.")
        else:
            batch = surface.optimum(lr=lr).batch
            what = "Its batch is critical, not best" if law.batch else "Gives no batch"
            said.append(f"{what}: it gets the fit's best at its lr.")
        if lr is None:
            lr = surface.optimum(batch=batch).lr
            said.append("Gives no lr: it gets the fit's best at its batch.")
    except DataError as error:
        return replace(side, reason=str(error).removeprefix(f"law {law.name}: "))
    return replace(side, lr=lr, batch=batch, warnings=tuple(said))


def _judged(question: Question, sides: list[Side]) -> list[Side]:
    """With predicted losses and regrets, all in one batch."""
    fit = question.fit
    asked = [i for i, side in enumerate(sides) if side.reason is None]
    lr = np.array([sides[i].lr for i in asked], dtype=np.float64)
    batch = np.array([sides[i].batch for i in asked], dtype=np.float64)
    sizes = {name: v.repeat(len(asked)) for name, v in question.columns.items()}
    further = {name: sizes[name] for name in question.scales}
    names = np.full(len(asked), question.recipe)
    at = Points(lr, batch, sizes["params"], sizes["tokens"], further, names)
    loss, excess = surface_at(fit, at)
    distance = levels.distance(fit, sizes, {"lr": lr, "batch": batch})
    inside = neighbours.inside(fit, sizes, names, distance)
    judged = list(sides)
    for k, i in enumerate(asked):
        judged[i] = replace(
            sides[i],
            loss=float(loss[k]),
            regret=float(np.expm1(excess[k])),
            inside=bool(inside[k]),
        )
    return judged
