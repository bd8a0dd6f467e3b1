"""The decision of an answer: computed once, when it is first looked at."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from surrogate.answers import beyond, neighbours
from surrogate.answers.decision import boxes, price, trust, typed
from surrogate.answers.decision.answered import Answered
from surrogate.answers.decision.boxes import Boxes
from surrogate.answers.decision.document import (
    Decision,
    InnerBox,
    Price,
    Rung,
    Suggestion,
)
from surrogate.answers.limits.sides import opened
from surrogate.answers.question import Question, Range
from surrogate.answers.solved import (
    Solved,
    choice_intervals,
    loss_interval,
    solve_box,
)
from surrogate.base.units import plain
from surrogate.data.coordinates import CHOICES
from surrogate.fitting.model import Model

# Where there is no box, a suggestion is sought this near to the best [ln].
_NEAR = 0.05


def decide(told: Answered) -> Decision:
    """Boxes, suggestion, price, ladder and trust."""
    solved = told.solved
    if not np.isfinite(solved.value):
        return nothing(solved.question, told.of, "there is no lowest loss", 0.0)
    found = boxes.boxes(solved, told.tol, told.probability, told.limits.most)
    suggested = _suggestion(told, found)
    cost, ladder = _prices(told, suggested)
    return Decision(
        suggestion=suggested,
        inner=_natural(told, found, found.inner),
        inner_robust=_natural(told, found, found.robust),
        price=cost,
        ladder=ladder,
        trust=trust.judge(_evidence(told, suggested)),
        about=about(solved.fit),
        best=_best_intervals(solved),
    )


def _best_intervals(solved: Solved) -> dict[str, tuple[float, float]]:
    """Intervals of the best lr and batch; an end beyond what was tried is not known."""
    found = choice_intervals(solved)
    for i, name in enumerate(solved.fit.features.choices):
        if solved.bounds.low[i] == solved.bounds.high[i]:
            found[name] = (math.nan, math.nan)
        else:
            best = solved.best[name]
            found[name] = opened(solved.question, name, best, found[name])
    return found


def nothing(question: Question, of: str, why: str, distance: float) -> Decision:
    """No number, and why."""
    fit = question.fit
    told = trust.Evidence(
        distance=distance,
        sizes=_sizes(question),
        fitted=fit.features.fitted,
        cells_near=cells_near(question),
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
        value = told.solved.known.get(name)
        ends[name] = (value, value)
    features = told.solved.fit.features
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


def _allowed(told: Answered) -> Solved | None:
    """The minimum over what may be suggested; None where nothing may.

    Where no limit keeps the best out it is the answer's own. Else the best of what is
    allowed has another lr than the best of all, at a smaller batch say.
    """
    solved, box = told.solved, {**told.solved.box}
    is_bound = False
    for name, most in told.limits.most.items():
        if name in solved.fit.features.choices:
            low, high = box[name]
            if low > most:
                return None
            box[name] = low, min(high, most)
            is_bound |= solved.best[name] > most
    return solve_box(solved.question, box, solved.known) if is_bound else solved


def _losses(solved: Solved, u: np.ndarray) -> np.ndarray:
    """Ln loss of the fit over its lowest; infinite beyond what is searched."""
    lost = solved.log_losses(u) - solved.value
    return np.where(solved.bounds.hold(u), lost, np.inf)


def _suggestion(told: Answered, found: Boxes) -> Suggestion | None:
    """The roundest setting of the robust box, else of the inner one."""
    best = told.solved.best
    if not math.isfinite(best["lr"]):
        return None
    within = boxes.capped(told.solved.fit, told.solved.bounds, told.limits.most)
    if within is None:
        return None
    allowed = _allowed(told)
    if allowed is None or not np.isfinite(allowed.value):
        return None
    known = [box for box in (found.robust, found.inner) if box is not None]
    # A box in which no lr of two digits lies is surer than anybody types.
    if "lr" in told.solved.fit.features.choices:
        rates = {id(box): _ends(told, found, box, allowed.best)["lr"] for box in known}
        known.sort(key=lambda box: not typed.is_typable(rates[id(box)]))
    for box in (*known, None):
        chosen = _rounded(told, _ends(told, found, box, allowed.best))
        if chosen is not None:
            return _stated(told, chosen, box is not None)
    return None


def _ends(
    told: Answered, found: Boxes, box: np.ndarray | None, best: Mapping[str, float]
) -> dict[str, Range]:
    """Ranges of lr and batch to round within, natural units.

    Args:
        told: what the answer was computed from.
        found: the boxes.
        box: one of them; None for what is near the best.
        best: of what may be suggested.
    """
    features = told.solved.fit.features
    bounds = found.bounds
    ends: dict[str, Range] = {}
    for i, name in enumerate(features.choices):
        mean, scale = features.mean[i], features.scale[i]
        if box is None:
            most = told.limits.most.get(name, math.inf)
            top = min(best[name] * math.exp(_NEAR), most)
            ends[name] = (best[name] * math.exp(-_NEAR), top)
        else:
            low, high = np.exp(box[i] * scale + mean).tolist()
            ends[name] = (low, high)
        if bounds.low[i] == bounds.high[i]:
            ends[name] = (best[name], best[name])
        if name in told.one_sided:
            ends[name] = (told.one_sided[name].at, told.one_sided[name].at)
    return ends


def _rounded(told: Answered, ends: Mapping[str, Range]) -> typed.Typed | None:
    """The setting to type; a setting that is given stays as it is."""
    solved, features = told.solved, told.solved.fit.features
    best = solved.best
    ranges = {n: ends.get(n, (best[n], best[n])) for n in CHOICES}
    is_known = math.isfinite(ranges["batch"][0])
    if not is_known:
        ranges["batch"] = (1.0, 1.0)

    def cost(lr: np.ndarray, batch: np.ndarray) -> np.ndarray:
        columns = {"lr": lr, "batch": batch}
        return np.expm1(_losses(solved, features.u_of(columns)))

    chosen = typed.round_setting(
        ranges["lr"],
        ranges["batch"],
        cost,
        tol=told.tol,
        multiple=told.limits.batch_multiple,
        seq_len=known_seq_len(solved.fit),
    )
    return chosen if chosen is None or is_known else chosen._replace(batch=math.nan)


def _stated(told: Answered, chosen: typed.Typed, is_inside: bool) -> Suggestion:
    solved = told.solved
    fit, length = solved.fit, known_seq_len(solved.fit)
    batch = chosen.batch
    fits = length and math.isfinite(batch) and batch % length == 0
    u = fit.features.u_of({"lr": chosen.lr, "batch": batch})
    drawn = solved.drawn_regrets(u)
    return Suggestion(
        lr=plain(chosen.lr),
        batch=plain(batch),
        sequences=int(batch / length) if length and fits else None,
        seq_len=int(length) if length else None,
        steps=solved.question.tokens / batch,
        regret=chosen.regret,
        regret_upper=math.nan
        if told.one_sided
        else beyond.regret_bound(fit, chosen.regret, drawn),
        is_inside=is_inside,
    )


def known_seq_len(fit: Model) -> float | None:
    """Tokens a sequence, where the recipe says so."""
    value = about(fit).get("seq_len")
    return float(value) if value else None


def _prices(
    told: Answered, suggested: Suggestion | None
) -> tuple[Price, tuple[Rung, ...] | None]:
    """The price of the answer and the ladder, in one search."""
    solved, fit = told.solved, told.solved.fit
    of, regret, u = _priced(told, suggested)
    prices = price.Prices.of(price.Line(solved))
    bound = math.nan
    # Of one side the best that was tried is no minimum, and no bound holds.
    if u is not None and not told.one_sided:
        drawn = prices.regret_bound(solved.drawn_regrets(u))
        bound = beyond.regret_end(fit, regret, max(drawn, regret))
    steps = None
    if _has_ladder(told):
        i = fit.features.choices.index("batch")
        steps = price.rungs(solved, solved.edges(told.tol).edges[0, i])
    lost = np.array([regret, bound, *(steps[2] if steps else ())])
    shares = prices.shares(lost)
    upper = max(shares[0], shares[1]) if math.isfinite(shares[1]) else math.nan
    cost = prices.price(of, regret, float(shares[0]), float(upper))
    if told.one_sided and cost.reason is None and of != "tolerance":
        cost = replace(cost, reason="at least: the best may lie beyond what was tried")
    if steps is None:
        return cost, None
    return cost, price.ladder(solved, steps, shares[2:])


def _priced(
    told: Answered, suggested: Suggestion | None
) -> tuple[str, float, np.ndarray | None]:
    """What is priced, its regret, and where it is, if it is a setting."""
    solved, features = told.solved, told.solved.fit.features
    if told.of == "choice" and told.choice is not None:
        u = features.u_of(told.choice)
        lost = float(np.expm1(solved.log_losses(u[None])[0] - solved.value))
        return "choice", max(lost, 0.0), u
    if told.of == "suggestion" and suggested is not None:
        both = {"lr": suggested.lr, "batch": suggested.batch}
        return "suggestion", suggested.regret, features.u_of(both)
    return "tolerance", told.tol, None


def _has_ladder(told: Answered) -> bool:
    names = told.solved.fit.features.choices
    if len(names) < 2 or "batch" in told.one_sided:
        return False
    i = names.index("batch")
    bounds = told.solved.bounds
    return bool(bounds.low[i] < bounds.high[i])


def _evidence(told: Answered, suggested: Suggestion | None) -> trust.Evidence:
    solved = told.solved
    allowed = _allowed(told) or solved
    lr = choice_intervals(allowed)["lr"]
    if solved.bounds.low[0] == solved.bounds.high[0]:
        lr = math.nan, math.nan
    upper = suggested.regret_upper if suggested else math.nan
    sizes = _sizes(solved.question)
    if suggested and allowed is not solved:
        # What a limit costs is known; unknown is how the best of the rest is missed.
        both = {"lr": suggested.lr, "batch": suggested.batch}
        u = solved.fit.features.u_of(both)
        lost = float(np.expm1(_losses(allowed, u[None])[0]))
        drawn = allowed.drawn_regrets(u)
        upper = beyond.regret_bound(solved.fit, max(lost, 0.0), drawn)
        sizes |= {n: v for n, v in both.items() if n in solved.fit.features.choices}
    return trust.Evidence(
        distance=told.distance,
        sizes=sizes,
        fitted=solved.fit.features.fitted,
        cells_near=cells_near(solved.question),
        lr=lr,
        regret_upper=upper,
        tol=told.tol,
        loss=loss_interval(solved),
        untold=tuple(
            f"the runs tell one side of the best {name} only" for name in told.one_sided
        ),
    )


def _sizes(question: Question) -> dict[str, float]:
    return {name: float(value) for name, value in question.sizes.items()}


def cells_near(question: Question) -> int:
    """Fitted cells of the recipe within a factor of 3 in every fitted size."""
    recipes = np.array([question.recipe])
    return int(neighbours.cells_near(question.fit, question.columns, recipes)[0])
