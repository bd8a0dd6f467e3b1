"""The decision of an answer: computed once, when it is first looked at."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from surrogate.answers import beyond, neighbours, surface
from surrogate.answers.decision import boxes, price, trust, typed
from surrogate.answers.decision.boxes import Boxes
from surrogate.answers.decision.document import (
    Decision,
    InnerBox,
    Limits,
    Price,
    Rung,
    Suggestion,
)
from surrogate.answers.limits.sides import Side, opened
from surrogate.answers.question import Question, Range
from surrogate.answers.solved import Solved, choice_intervals, loss_interval, settings
from surrogate.data.coordinates import CHOICES
from surrogate.fitting.model import Model

# Where there is no box, a suggestion is sought this near to the best [ln].
_NEAR = 0.05


@dataclass(frozen=True)
class Answered:
    """What an answer was computed from.

    Attributes:
        fit: that was asked.
        question: where.
        solved: the minimum of the fit, its leaves and draws.
        box: natural units; equal ends hold a setting.
        known: settings that are given or that the fit lacks.
        tol: of the plateau.
        probability: share of the draws of the robust box.
        limits: on what is suggested.
        distance: from the data, 1 at its edge.
        of: what is priced: choice, suggestion or tolerance.
        choice: what was chosen, for a regret.
        one_sided: settings of which one side only is told.
        edges: of the plateau and its draws, where they are known already.
        lr_interval: of the optimum.
    """

    fit: Model
    question: Question
    solved: Solved
    box: Mapping[str, Range]
    known: Mapping[str, float]
    tol: float
    probability: float
    limits: Limits
    distance: float
    of: str
    choice: Mapping[str, float] | None = None
    one_sided: Mapping[str, Side] = field(default_factory=dict)
    edges: surface.Edges | None = None


def decide(told: Answered) -> Decision:
    """Boxes, suggestion, price, ladder and trust."""
    fit, solved = told.fit, told.solved
    if not np.isfinite(solved.minimum.value[0]):
        return nothing(fit, told.question, told.of, "there is no lowest loss", 0.0)
    edges = told.edges or surface.extents(
        fit.family,
        solved.thetas,
        solved.minimum,
        told.question.s,
        solved.bounds.low,
        solved.bounds.high,
        told.tol,
        solved.bounds.cut,
    )
    found = boxes.boxes(
        fit,
        told.question,
        solved,
        told.tol,
        told.probability,
        edges,
        told.limits.most,
    )
    suggested = _suggestion(told, found)
    cost, ladder = _prices(told, edges, suggested)
    return Decision(
        suggestion=suggested,
        inner=_natural(told, found, found.inner),
        inner_robust=_natural(told, found, found.robust),
        price=cost,
        ladder=ladder,
        trust=trust.judge(_evidence(told, suggested)),
        about=about(fit),
        best=_best_intervals(told),
    )


def _best_intervals(told: Answered) -> dict[str, tuple[float, float]]:
    """Intervals of the best lr and batch; an end beyond what was tried is not known."""
    fit, solved = told.fit, told.solved
    best = settings(fit, solved.minimum.u[0], told.known)
    found = choice_intervals(fit, solved)
    for i, name in enumerate(fit.features.choices):
        if solved.bounds.low[i] == solved.bounds.high[i]:
            found[name] = (math.nan, math.nan)
        else:
            found[name] = opened(fit, told.question, name, best[name], found[name])
    return found


def nothing(
    fit: Model, question: Question, of: str, why: str, distance: float
) -> Decision:
    """No number, and why."""
    told = trust.Evidence(
        distance=distance,
        sizes=_sizes(question),
        fitted=fit.features.fitted,
        cells_near=cells_near(fit, question),
        lr=(math.nan, math.nan),
        regret_upper=math.nan,
        tol=math.nan,
        loss=(math.nan, math.nan),
        untold=("the runs do not tell it",),
    )
    return Decision(
        None, None, None, price.unpriced(of, why), None, trust.judge(told), about(fit)
    )


def about(fit: Model) -> dict[str, str | None]:
    """The recipe of the fitted runs, as far as it is known."""
    kinds = {"params_kind": fit.params_kind, "loss_kind": fit.loss_kind}
    none = dict.fromkeys(("optimizer", "schedule", "final_lr", "seq_len"))
    return {**none, **fit.about, **kinds}


def _natural(told: Answered, found: Boxes, box: np.ndarray | None) -> InnerBox | None:
    """A box in natural units, open sides as None."""
    if box is None:
        return None
    is_open = boxes.open_sides(found, box)
    ends: dict[str, tuple[float | None, float | None]] = {}
    for name in CHOICES:
        value = told.known.get(name)
        ends[name] = (value, value)
    features = told.fit.features
    for i, name in enumerate(features.choices):
        values = np.exp(box[i] * features.scale[i] + features.mean[i])
        low, high = (
            None if is_open[i, side] else float(value)
            for side, value in enumerate(values)
        )
        ends[name] = (low, high)
    for name, side in told.one_sided.items():
        # What goes with it was found at the last value that was tried.
        ends[name] = (side.at, side.at)
    return InnerBox(ends["lr"], ends["batch"])


def _losses(told: Answered, u: np.ndarray) -> np.ndarray:
    """Ln loss of the fit over its lowest; infinite beyond what is searched."""
    z = surface.points(u, told.question.s)
    values = surface.log_losses(told.fit.family, told.fit.theta[None], z)[0]
    lost = values - told.solved.minimum.value[0]
    return np.where(told.solved.bounds.hold(u), lost, np.inf)


def _suggestion(told: Answered, found: Boxes) -> Suggestion | None:
    """The roundest setting of the robust box, else of the inner one."""
    fit = told.fit
    best = settings(fit, told.solved.minimum.u[0], told.known)
    if not math.isfinite(best["lr"]):
        return None
    within = boxes.capped(fit, told.solved.bounds, told.limits.most)
    if within is None:
        return None
    known = [box for box in (found.robust, found.inner) if box is not None]
    for box in (*known, None):
        ends = _ends(told, found, box, best)
        chosen = _rounded(told, ends, best)
        if chosen is not None:
            return _stated(told, chosen, best, box is not None)
    return None


def _ends(
    told: Answered, found: Boxes, box: np.ndarray | None, best: Mapping[str, float]
) -> dict[str, Range]:
    """Ranges of lr and batch to round within, natural units."""
    features = told.fit.features
    bounds = found.bounds
    ends: dict[str, Range] = {}
    for i, name in enumerate(features.choices):
        mean, scale = features.mean[i], features.scale[i]
        if box is None:
            most = told.limits.most.get(name, math.inf)
            at = min(best[name], most)
            top = min(at * math.exp(_NEAR), most)
            ends[name] = (at * math.exp(-_NEAR), top)
        else:
            low, high = np.exp(box[i] * scale + mean).tolist()
            ends[name] = (low, high)
        if bounds.low[i] == bounds.high[i]:
            ends[name] = (best[name], best[name])
        if name in told.one_sided:
            ends[name] = (told.one_sided[name].at, told.one_sided[name].at)
    return ends


def _rounded(
    told: Answered, ends: Mapping[str, Range], best: Mapping[str, float]
) -> typed.Typed | None:
    """The setting to type; a setting that is given stays as it is."""
    features = told.fit.features
    fixed = {
        name: ends[name][0] if name in ends else best[name]
        for name in CHOICES
        if name not in features.choices or ends[name][0] == ends[name][1]
    }
    none = 1.0, 1.0

    def cost(lr: np.ndarray, batch: np.ndarray) -> np.ndarray:
        columns = {"lr": lr, "batch": batch}
        return np.expm1(_losses(told, features.u_of(columns)))

    is_known = {n: math.isfinite(v) for n, v in fixed.items()}
    length = known_seq_len(told.fit)
    chosen = typed.round_setting(
        none if "lr" in fixed else ends["lr"],
        none if "batch" in fixed else ends["batch"],
        cost,
        tol=told.tol,
        multiple=told.limits.batch_multiple,
        seq_len=length,
        fixed_lr=fixed["lr"] if is_known.get("lr") else None,
        fixed_batch=(fixed["batch"] if is_known["batch"] else 1.0)
        if "batch" in fixed
        else None,
    )
    if chosen is not None and is_known.get("batch") is False:
        return chosen._replace(batch=math.nan)
    return chosen


def _stated(
    told: Answered, chosen: typed.Typed, best: Mapping[str, float], is_inside: bool
) -> Suggestion:
    length = known_seq_len(told.fit)
    batch = chosen.batch
    fits = length and math.isfinite(batch) and batch % length == 0
    u = told.fit.features.u_of({"lr": chosen.lr, "batch": batch})
    return Suggestion(
        lr=chosen.lr,
        batch=batch,
        sequences=int(batch / length) if length and fits else None,
        seq_len=int(length) if length else None,
        steps=told.question.tokens / batch,
        regret=chosen.regret,
        regret_upper=beyond.regret_bound(told.fit, chosen.regret, _drawn(told, u)),
        is_inside=is_inside,
    )


def known_seq_len(fit: Model) -> float | None:
    """Tokens a sequence, where the recipe says so."""
    value = about(fit).get("seq_len")
    return float(value) if value else None


def _drawn(told: Answered, u: np.ndarray) -> np.ndarray:
    """The regret of a setting in every draw."""
    solved = told.solved
    z = surface.points(u[None], told.question.s)
    losses = surface.log_losses(
        told.fit.family, solved.draws(solved.thetas), z, solved.moves
    )[:, 0]
    return np.expm1(losses - solved.draws(solved.minimum.value))


def _prices(
    told: Answered, edges: surface.Edges, suggested: Suggestion | None
) -> tuple[Price, tuple[Rung, ...] | None]:
    """The price of the answer and the ladder, in one search."""
    fit, question, solved = told.fit, told.question, told.solved
    of, regret, u = _priced(told, suggested)
    line = price.Line(fit, question, told.box, told.known, solved)
    prices = price.Prices.of(line)
    bound = math.nan
    if u is not None:
        drawn = prices.regret_bound(_drawn(told, u))
        floor = beyond.regret_bound(fit, regret, np.zeros(len(fit.draws)))
        bound = max(drawn, floor) if math.isfinite(drawn) else drawn
    steps = None
    if _has_ladder(told):
        i = fit.features.choices.index("batch")
        steps = price.rungs(fit, question, solved, edges.edges[0, i])
    lost = np.array([regret, bound, *(steps[2] if steps else ())])
    shares = prices.shares(lost)
    upper = max(shares[0], shares[1]) if math.isfinite(shares[1]) else math.nan
    cost = prices.price(of, regret, float(shares[0]), float(upper))
    if steps is None:
        return cost, None
    return cost, price.ladder(fit, question, solved, steps, shares[2:])


def _priced(
    told: Answered, suggested: Suggestion | None
) -> tuple[str, float, np.ndarray | None]:
    """What is priced, its regret, and where it is, if it is a setting."""
    if told.of == "choice" and told.choice is not None:
        u = told.fit.features.u_of(told.choice)
        z = surface.points(u[None], told.question.s)
        value = surface.log_losses(told.fit.family, told.fit.theta[None], z)[0, 0]
        lost = float(np.expm1(value - told.solved.minimum.value[0]))
        return "choice", max(lost, 0.0), u
    if told.of == "suggestion" and suggested is not None:
        both = {"lr": suggested.lr, "batch": suggested.batch}
        return "suggestion", suggested.regret, told.fit.features.u_of(both)
    return "tolerance", told.tol, None


def _has_ladder(told: Answered) -> bool:
    names = told.fit.features.choices
    if len(names) < 2 or "batch" in told.one_sided:
        return False
    i = names.index("batch")
    bounds = told.solved.bounds
    return bool(bounds.low[i] < bounds.high[i])


def _evidence(told: Answered, suggested: Suggestion | None) -> trust.Evidence:
    fit, solved = told.fit, told.solved
    lr = choice_intervals(fit, solved)["lr"]
    if solved.bounds.low[0] == solved.bounds.high[0]:
        lr = math.nan, math.nan
    return trust.Evidence(
        distance=told.distance,
        sizes=_sizes(told.question),
        fitted=fit.features.fitted,
        cells_near=cells_near(fit, told.question),
        lr=lr,
        regret_upper=suggested.regret_upper if suggested else math.nan,
        tol=told.tol,
        loss=loss_interval(fit, solved),
        untold=tuple(
            f"the runs tell one side of the best {name} only" for name in told.one_sided
        ),
    )


def _sizes(question: Question) -> dict[str, float]:
    sizes = {"params": question.params, "tokens": question.tokens, **question.scales}
    return {name: float(value) for name, value in sizes.items()}


def cells_near(fit: Model, question: Question) -> int:
    """Fitted cells of the recipe within a factor of 3 in every fitted size."""
    sizes = {name: np.array([value]) for name, value in _sizes(question).items()}
    recipes = np.array([question.recipe])
    return int(neighbours.cells_near(fit, sizes, recipes)[0])
