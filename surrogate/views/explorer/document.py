"""What the page is given: one JSON document, from which the browser computes all.

The fit itself is in float64, its draws and jackknife refits (`leaves`) in 48 of those
bits: the draws whose plateau holds a box are then the same as in Python. All of a
family's parameters arrive as coefficients of affine functions of (1, u, s), so the page
needs no family's own parametrisation.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np

from surrogate.answers import Fit
from surrogate.answers.beyond import missed_share
from surrogate.answers.decision.trust import NEAR_CELLS, NEAR_FACTOR
from surrogate.answers.fit import DEFAULT_PROBABILITY, DEFAULT_TOL
from surrogate.answers.predict import check_known
from surrogate.base.shapes import Float64
from surrogate.data import Runs
from surrogate.data.cells import Cell
from surrogate.data.coordinates import WIDEN
from surrogate.data.extrapolation import HELD_SPAN
from surrogate.families import Family, Mix
from surrogate.families.affine import Affine
from surrogate.fitting import intervals
from surrogate.fitting.discrepancy import NUGGET, System
from surrogate.fitting.stability import P_MAX
from surrogate.laws import LAWS, Law, PowerLaw
from surrogate.views.explorer import decided, told

MAX_DRAWS = 200
MAX_RUNS = 4_000
MAX_ROWS = 200
# Base64 takes four thirds of each; a number of a refit takes so many.
_DRAW_BYTES, _BYTES = 100_000, 6
_NAME_CHARACTERS = 60
_NAMES_BYTES = 30_000


def document(fit: Fit, runs: Runs | None, name: str) -> dict[str, Any]:
    """All that the page shows or computes from.

    Args:
        fit: what is shown.
        runs: its measured runs; None where there are none to show.
        name: what the page calls the fit, and what its commands name.

    Raises:
        DataError: the runs have a recipe that the fit lacks, or lack a scale.
    """
    return {
        "name": name,
        "family": _spec(fit.family) | {"name": fit.family.name},
        "shape": fit.family.shape._asdict(),
        "k": fit.family.terms,
        "theta": _vectors(fit.family, fit.theta[None])[0].tolist(),
        "draws": _drawn(fit),
        "leaves": _refits(fit),
        **_intervals(fit),
        "discrepancy": _discrepancy(fit),
        "near": _near(fit),
        **_standardisation(fit),
        "widen": WIDEN,
        "held_span": HELD_SPAN,
        "p_max": P_MAX,
        "probability": DEFAULT_PROBABILITY,
        "tol": DEFAULT_TOL,
        "stability": fit.stability.to_json() if fit.stability else None,
        **told.document(fit),
        **decided.document(fit),
        "fitted_cells": fit.fitted_cells,
        "scores": fit.scores,
        "selection": fit.provenance.selection,
        "is_converged": fit.is_converged,
        "loss_kind": fit.loss_kind,
        "loss_unit": fit.loss_unit,
        "params_kind": fit.params_kind,
        "warnings": list(fit.warnings),
        "notes": fit.features.notes(),
        "provenance": _provenance(fit),
        "runs": None if runs is None else _runs(fit, runs),
        "laws": _laws(fit),
    }


def _intervals(fit: Fit) -> dict[str, Any]:
    """What the page needs to compute intervals as the library does."""
    cells = len(fit.leaves)
    has_interval = cells >= (intervals.MIN_CELLS if fit.freedom is None else 1)
    return {
        "t": intervals.student(cells, freedom=fit.freedom) if has_interval else None,
        "freedom": fit.freedom,
        "interval_unit": fit.unit,
        "min_cells": intervals.MIN_CELLS,
        "level_of_intervals": intervals.LEVEL,
        "min_cells_pairs": intervals.MIN_CELLS_PAIRS,
        "factors": _factors(fit),
        "most_stretch": intervals.MOST_STRETCH,
        "missed": missed_share(fit),
    }


def _standardisation(fit: Fit) -> dict[str, Any]:
    features = fit.features
    known = features.to_json()
    keys = ("choices", "givens", "recipes", "mean", "scale", "level", "fitted")
    more = ("lines", "cell_leverage", "run_leverage")
    return {key: known[key] for key in (*keys, *more)}


def _discrepancy(fit: Fit) -> dict[str, Any] | None:
    """What the law itself may be wrong by; steps of the draws embedded, a row each."""
    law = fit.discrepancy
    if law is None:
        return None
    system = System.of(np.array(law.cells))
    return law.to_json() | {
        "centre": system.centre.tolist(),
        "unit": system.unit.tolist(),
        "nugget": NUGGET,
        "quantile": law.quantile,
        "steps": _base64(law.steps(_draw_count(fit))),
    }


def _near(fit: Fit) -> dict[str, Any]:
    """The fitted cells, by which a question counts as inside: recipe, then ln sizes."""
    cells = []
    for cell in fit.cells:
        if cell.runs > cell.diverged and cell.recipe in fit.recipes:
            sizes = {"params": cell.params, "tokens": cell.tokens, **cell.scales}
            logs = [float(np.log(sizes[name])) for name in fit.features.givens]
            cells.append([fit.recipes.index(cell.recipe), *logs])
    return {"factor": NEAR_FACTOR, "least": NEAR_CELLS, "cells": cells}


def _laws(fit: Fit) -> list[dict[str, Any]]:
    """Published laws of lr and batch that (N, D) decide, N counted as the fit counts.

    Those of compute count as 6 N D. Others need what the page does not ask.
    """
    kinds = ("both", "moe") if fit.scale_names else ("both", "dense")
    found = []
    for law in LAWS:
        is_ours = law.unusable is None and law.experts in kinds
        lr, batch = _powers(law, "lr"), _powers(law, "batch")
        if is_ours and law.params == fit.params_kind and lr and batch:
            found.append({"name": law.name, "lr": lr, "batch": batch})
    return found


def _powers(law: Law, part: str) -> dict[str, float] | None:
    """The law as c N^params D^tokens; None where the law has another form."""
    formula = getattr(law, part)
    if not isinstance(formula, PowerLaw) or formula.cap is not None:
        return None
    c, exponents = formula.constant, {"N": 0.0, "D": 0.0}
    for power in formula.powers:
        own = float(power.exponent)
        c *= power.reference**-own
        if power.variable == "C" and law.compute == "6N":
            c, names = c * 6**own, ("N", "D")
        elif power.variable in exponents:
            names = (power.variable,)
        else:
            return None
        for name in names:
            exponents[name] += own
    return {"c": c, "params": exponents["N"], "tokens": exponents["D"]}


def _factors(fit: Fit) -> str | None:
    """What moves draws of few cells (`intervals.moves`), a row a draw embedded."""
    leaves = len(fit.leaves)
    is_few = intervals.MIN_CELLS <= leaves < intervals.MIN_CELLS_PAIRS
    if not leaves or not (is_few or fit.freedom is not None):
        return None
    count = min(len(fit.draws), _most_draws(fit))
    return short_floats(intervals.factors(count, leaves, fit.freedom))


def _most_draws(fit: Fit) -> int:
    """How many draws there is room for; over many runs each has many factors."""
    if fit.freedom is None:
        return MAX_DRAWS
    return max(min(MAX_DRAWS, _DRAW_BYTES // (_BYTES * max(len(fit.leaves), 1))), 1)


def _spec(family: Family) -> dict[str, Any]:
    """How the page reads a vector of `_vectors`."""
    if isinstance(family, Mix):
        members = [_spec(member) for member in family.members]
        size = len(members) + sum(member["size"] for member in members)
        return {"kind": "mix", "members": members, "size": size}
    if not isinstance(family, Affine):
        return {"kind": family.name, "size": family.size}
    pattern = family.pattern
    return {
        "kind": family.name,
        "k": family.terms,
        "size": len(pattern.term) + family.shape.offsets,
        "pattern": {
            "term": list(pattern.term),
            "coordinate": list(pattern.coordinate),
            "terms": pattern.terms,
        },
    }


def _vectors(
    family: Family, thetas: Float64[np.ndarray, "n p"]
) -> Float64[np.ndarray, "n q"]:
    """Coefficients of affine functions, then recipes' offsets.

    Of a mix its weights, then each member's; of a linear family theta as it is.
    """
    if isinstance(family, Mix):
        names = family.unpack(thetas)
        pairs = zip(family.members, names.members, strict=True)
        members = [_vectors(member, own) for member, own in pairs]
        return np.concatenate([names.weights, *members], axis=1)
    if not isinstance(family, Affine):
        return thetas
    found = [family.coefficients(thetas), family.unpack(thetas).offsets]
    return np.concatenate(found, axis=1)


def _room(family: Family) -> int:
    """How many thetas there is room for."""
    return max(_DRAW_BYTES // (_BYTES * _spec(family)["size"]), 1)


def _draw_count(fit: Fit) -> int:
    """How many draws are embedded: the first that there is room for."""
    return min(len(fit.draws), _most_draws(fit), _room(fit.family))


def _drawn(fit: Fit) -> dict[str, Any] | None:
    """The draws less the fit, each number to 6e-8 of what it differs by."""
    count = _draw_count(fit)
    if not count:
        return None
    less = _vectors(fit.family, fit.draws[:count]) - _vectors(
        fit.family, fit.theta[None]
    )
    return {"count": count, "of": len(fit.draws), "base64": _base64(less)}


def _refits(fit: Fit) -> dict[str, Any] | None:
    """The jackknife's refits, all or none: an interval needs every cell."""
    count = len(fit.leaves)
    if not 0 < count <= _room(fit.family):
        return None
    packed = short_floats(_vectors(fit.family, fit.leaves))
    return {"count": count, "of": count, "base64": packed}


def _base64(values: np.ndarray, kind: str = "<f4") -> str:
    return base64.b64encode(np.ascontiguousarray(values, kind).tobytes()).decode()


def short_floats(values: np.ndarray) -> str:
    """Base64 of the six leading bytes of each float64, rounded: 1e-11 of a number."""
    bits = np.ascontiguousarray(values, np.float64).view(np.uint64).ravel()
    rounded = ((bits + np.uint64(1 << 15)) >> np.uint64(16)).astype("<u8")
    return _base64(rounded.view(np.uint8).reshape(-1, 8)[:, :6], "u1")


def _provenance(fit: Fit) -> dict[str, Any]:
    known = fit.provenance
    dropped = () if fit.runs is None else fit.runs.dropped
    return {
        "created": known.created,
        "seed": known.seed,
        "runs": known.runs,
        "diverged": known.diverged,
        "dropped": known.dropped,
        "version": known.versions.get("loss-surrogate"),
        "sources": [dict(source) for source in known.sources[:20]],
        "rows": [
            {
                "file": row.file,
                "line": row.line,
                "column": row.column,
                "value": row.value[:_NAME_CHARACTERS],
                "reason": row.reason,
            }
            for row in dropped[:MAX_ROWS]
        ],
        "notes": [] if fit.runs is None else list(fit.runs.notes[:MAX_ROWS]),
    }


def _runs(fit: Fit, runs: Runs) -> dict[str, Any]:
    """Measured runs, thinned evenly cell by cell where they are many."""
    check_known(fit, runs)
    order = np.argsort(runs.cell, kind="stable")
    count = min(len(order), MAX_RUNS)
    # Of a cell's runs, in order, every so many: no cell goes unseen before others thin.
    kept = order[np.linspace(0, len(order) - 1, count).round().astype(np.int64)]
    used, cell = np.unique(runs.cell[kept], return_inverse=True)
    finite = np.isfinite(runs.loss[kept])
    return {
        "count": len(kept),
        "of": len(runs),
        "lr": _levels(runs.lr_level[kept]),
        "batch": _levels(runs.batch[kept]),
        "loss": _base64(np.where(finite, runs.loss[kept], 0.0)),
        "cell": _levels(cell),
        "diverged": _levels(~runs.usable[kept]),
        "names": _names(runs.name[kept].tolist()),
        "cells": [_run_cell(runs.cells[index]) for index in used],
    }


def _levels(values: np.ndarray) -> dict[str, Any]:
    """A column of few values: each once, and which of them every run has."""
    levels, index = np.unique(values, return_inverse=True)
    size = 1 if len(levels) <= 256 else 2
    index = _base64(index, f"<u{size}")
    return {"levels": levels.astype(float).tolist(), "size": size, "index": index}


def _names(names: list[str]) -> list[str] | None:
    """Of the runs, cut; None where they have none or there is no room for them."""
    cut = [name[:_NAME_CHARACTERS] for name in names]
    if not any(cut) or sum(len(name) + 3 for name in cut) > _NAMES_BYTES:
        return None
    return cut


def _run_cell(cell: Cell) -> dict[str, Any]:
    return told.where(cell) | {
        "best": cell.best,
        "runs": cell.runs,
        "diverged": cell.diverged,
    }


def with_counts(data: Mapping[str, Any]) -> dict[str, Any]:
    """How many draws and runs the page holds, of how many."""
    draws, runs = data["draws"], data["runs"]
    return {
        "draws": 0 if draws is None else draws["count"],
        "draws_of": 0 if draws is None else draws["of"],
        "runs": 0 if runs is None else runs["count"],
        "runs_of": 0 if runs is None else runs["of"],
    }
