"""The library's own rows: single families in one batch, `mix` and `auto` nested."""

from __future__ import annotations

from typing import Any

import numpy as np

import surrogate
from heldout.protocols import Protocol
from heldout.scores import Answer, Answers
from surrogate import families
from surrogate.answers import Fit
from surrogate.data import Runs
from surrogate.data.coordinates import Features
from surrogate.families import Shape
from surrogate.fitting import irls

SEED = 0
# Name, K.
SINGLE = {
    "surrogate, quadratic": ("quadratic", None),
    "surrogate, additive": ("additive", None),
    "surrogate, posynomial K = 3": ("posynomial", 3),
    "surrogate, posynomial K = 4": ("posynomial", 4),
    "surrogate, bowl": ("bowl", None),
}


def family(
    name: str, terms: int | None, runs: Runs, protocol: Protocol
) -> list[Answers]:
    """One of the families, all folds in one batch."""
    irls.make_room()
    features = Features.of(runs)
    rows = features.rows(runs)
    shape = Shape(len(features.choices), len(features.givens), features.offsets)
    member = families.make(name, shape, terms)
    counts = (~protocol.held[:, rows.cell]).astype(np.float64)
    found = irls.estimate(member, rows, counts, features.box(), seed=SEED).surface
    answers = []
    for fold, held in enumerate(protocol.held):
        said = {}
        for cell in np.flatnonzero(held).tolist():
            lr, batch = features.from_u(found.cell_u[fold, cell])
            fitted = found.fitted[fold, rows.cell == cell] + features.level
            said[cell] = Answer((float(lr), float(batch)), fitted)
        answers.append(Answers(said))
    return answers


def nested(name: str, runs: Runs, protocol: Protocol) -> list[Answers]:
    """`surrogate.fit` as users call it, on each fold's training runs alone."""
    answers = []
    for held in protocol.held:
        fit = surrogate.fit(training(runs, held), family=name, bootstrap=0, seed=SEED)
        cells = np.flatnonzero(held).tolist()
        said = {cell: _asked(fit, runs, cell) for cell in cells}
        answers.append(Answers(said, _chosen(fit.provenance.selection)))
    return answers


def training(runs: Runs, held: np.ndarray) -> Runs:
    """The runs of the cells that are not held, as a table of their own."""
    kept = ~held[runs.cell]
    columns = ("lr", "batch", "params", "tokens", "loss", "diverged", "recipe", "name")
    return Runs.from_arrays(
        **{column: getattr(runs, column)[kept] for column in columns},
        scales={name: values[kept] for name, values in runs.scales.items()},
        loss_kind=runs.loss_kind,
        params_kind=runs.params_kind,
    )


def _asked(fit: Fit, runs: Runs, cell: int) -> Answer:
    at = runs.cells[cell]
    scales = dict(at.scales)
    best = fit.optimum(
        params=at.params, tokens=at.tokens, scales=scales, recipe=at.recipe
    )
    proposed = (best.lr, best.batch)
    members = (runs.cell == cell) & runs.usable
    if not members.any():
        return Answer(_known(proposed), None)
    columns = (runs.lr_level, runs.batch, runs.params, runs.tokens)
    found = fit.predict(
        *(column[members] for column in columns),
        scales={name: runs.scales[name][members] for name in scales},
        recipe=at.recipe,
    )
    return Answer(_known(proposed), np.log(found.loss))


def _known(proposed: tuple[float | None, float | None]) -> tuple[float, float]:
    """No setting is a failure, which a score shows, and no abstention."""
    lr, batch = (np.nan if value is None else value for value in proposed)
    return float(lr), float(batch)


def _chosen(record: dict[str, Any] | None) -> str | None:
    """What was picked, with the weights of a mix."""
    if record is None:
        return None
    if record["chosen"] != "mix":
        return str(record["chosen"])
    weights = sorted(record["weights"].items(), key=lambda item: -item[1])
    return "mix: " + ", ".join(f"{name} {weight:.2f}" for name, weight in weights)
