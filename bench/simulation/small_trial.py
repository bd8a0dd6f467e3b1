"""One simulated small sweep: drawn, fitted, asked, and held against its truth.

The tool's answers are read in one place, `_direction`: who changes how the library says
that it does not answer changes it here.
"""

from __future__ import annotations

import math
import re
import time
from typing import Any

import numpy as np

import surrogate
from simulation.small_designs import Design, Grid
from simulation.small_reference import Reference, reference
from simulation.small_truths import Truth
from surrogate.answers import Fit
from surrogate.base.errors import DataError, Status
from surrogate.data import Runs
from surrogate.data.divergence import Verdict

Record = dict[str, Any]
_OTHER = {"lr": "batch", "batch": "lr"}
# Labels of runs that are no part of the surface.
BAD = ("jump", "soft", "dead", "spike", "wrong")


def trial(design: Design, index: int, bootstrap: int, clean: Record | None) -> Record:
    """One draw's record, ready for JSON.

    Args:
        design: of the sweep.
        index: of the draw.
        bootstrap: draws of the fit.
        clean: record of the same sweep without its wrong number.
    """
    start = time.perf_counter()
    truth, grid, sd = design.draw(index)
    record: Record = {"design": design.name, "draw": index, "truth": truth.kind}
    runs, fit = None, None
    try:
        runs = _runs(grid)
        fit = surrogate.fit(runs, family="auto", bootstrap=bootstrap, seed=index)
        warnings = list(fit.warnings)
        record |= _answers(design, truth, grid, fit, warnings)
        record["regret"] = _regret(design, truth, grid, fit, index)
    except DataError as error:
        record |= {"status": "refused", "why": str(error), "lr": None, "batch": None}
        warnings = [str(error)]
    kept = ~np.isin(grid.label, BAD)
    found = reference(truth, grid, kept, sd, design.asked, _parameters(fit))
    record["reference"] = {n: _reference_json(r) for n, r in found.items()}
    record["warnings"] = len(warnings)
    if runs is not None:
        record["verdicts"] = verdicts(grid, runs.verdict)
    if design.wrong:
        record["wrong"] = _wrong(grid, runs, warnings, record, clean)
    record["seconds"] = time.perf_counter() - start
    return record


def verdict_trial(design: Design, index: int) -> Record:
    """What becomes of one draw's runs, without a fit: milliseconds."""
    start = time.perf_counter()
    truth, grid, _ = design.draw(index)
    record: Record = {"design": design.name, "draw": index, "truth": truth.kind}
    try:
        record["verdicts"] = verdicts(grid, _runs(grid).verdict)
    except DataError as error:
        record["why"] = str(error)
    return record | {"seconds": time.perf_counter() - start}


def _runs(grid: Grid) -> Runs:
    rows = range(len(grid.lr))
    return Runs.from_arrays(
        lr=grid.lr,
        batch=grid.batch,
        params=grid.params,
        tokens=grid.tokens,
        loss=grid.loss,
        name=[f"run-{row}" for row in rows],
        where=[f"sweep.csv line {row + 2}" for row in rows],
    )


def _parameters(fit: Fit | None) -> int | None:
    """Free parameters of the chosen family; of a mix, the median of its members'."""
    if fit is None:
        return None
    members = getattr(fit.family, "members", (fit.family,))
    chosen = [m for m in members if m.name == fit.family.name] or members
    return int(np.median([member.size for member in chosen]))


def _reference_json(found: Reference) -> Record:
    width = found.width if math.isfinite(found.width) else None
    return {"width": width, "identified": found.is_identified}


def _answers(
    design: Design, truth: Truth, grid: Grid, fit: Fit, warnings: list[str]
) -> Record:
    """What was answered in each direction; adds the answers' warnings."""
    params, tokens = design.asked
    free = fit.optimum(params=params, tokens=tokens)
    warnings += free.context.warnings
    found: Record = {"status": str(free.status), "family": fit.family.name}
    mine = (grid.params == params) & (grid.tokens == tokens)
    for name in ("lr", "batch"):
        answer, is_held = free, False
        other = _OTHER[name]
        if free.status is not Status.ok:
            levels = np.unique(getattr(grid, other)[mine])
            middle = float(levels[len(levels) // 2])
            held = {other: middle}
            try:
                answer = fit.optimum(
                    params=params,
                    tokens=tokens,
                    lr=held.get("lr"),
                    batch=held.get("batch"),
                )
            except DataError as error:
                found[name] = {"ok": False, "why": str(error)}
                continue
            is_held = True
        found[name] = _direction(design, truth, name, answer, is_held)
    return found


def _direction(
    design: Design, truth: Truth, name: str, answer: Any, is_held: bool
) -> Record:
    """One direction's answer beside its truth, NaN as None.

    A batch of one or two levels is no choice: lr is then right along the answer's own.
    """
    value = float(getattr(answer, name))
    low, high = (float(end) for end in getattr(answer, f"{name}_interval"))
    levels = len(set(design.batch))
    is_choice = name == "lr" or design.random > 0 or levels > 2
    is_ok = answer.status is Status.ok and math.isfinite(value) and is_choice
    best = None
    if is_ok and truth.has_best[name]:
        best = _best(design, truth, name, answer, is_held)
    return {
        "ok": is_ok,
        "status": str(answer.status),
        "held": is_held,
        "value": _known(value),
        "low": _known(low),
        "high": _known(high),
        "best": best,
    }


def _best(design: Design, truth: Truth, name: str, answer: Any, is_held: bool) -> float:
    if name == "batch":
        if is_held:
            return truth.best_batch(*design.asked, float(answer.lr))
        return truth.best(*design.asked)[1]
    has_batch = design.random > 0 or len(set(design.batch)) > 2
    is_free = not is_held and has_batch and truth.has_best["batch"]
    at = None if is_free else float(answer.batch)
    return truth.best(*design.asked, at)[0]


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _regret(
    design: Design, truth: Truth, grid: Grid, fit: Fit, index: int
) -> Record | None:
    """The upper bound at one setting of the question's grid, and what is true.

    None where the truth has no best setting, or nothing is answered.
    """
    has_batch = design.random > 0 or len(set(design.batch)) > 2
    if not truth.has_best["lr"] or (has_batch and not truth.has_best["batch"]):
        return None
    params, tokens = design.asked
    usable = np.flatnonzero(
        (grid.params == params) & (grid.tokens == tokens) & ~np.isin(grid.label, BAD)
    )
    row = usable[np.random.default_rng([index, 7]).integers(usable.size)]
    lr, batch = float(grid.lr[row]), float(grid.batch[row])
    answer = fit.regret(params=params, tokens=tokens, lr=lr, batch=batch)
    if answer.status.is_failed:
        return None
    at = truth.best(params, tokens, None if has_batch else batch)
    place = np.array([lr, at[0]]), np.array([batch, at[1]])
    size = np.full(2, params), np.full(2, tokens)
    log_loss = truth.log_loss(*place, *size)
    return {
        "upper": _known(answer.upper),
        "regret": _known(answer.regret),
        "true": float(np.expm1(log_loss[0] - log_loss[1])),
        "status": str(answer.status),
    }


def verdicts(grid: Grid, verdict: np.ndarray) -> dict[str, list[int]]:
    """How many of each label's runs were judged so, and of how many.

    "jump": diverged, or a spike where a stable run of its line is hotter; "dead": lines
    of which no run is stable; "ordinary": set aside or diverged though all is well.
    """
    diverged = verdict == Verdict.DIVERGED
    aside = verdict != Verdict.STABLE
    counts = {}
    hits = {
        "undertrained": diverged,
        "wall": diverged,
        "jump": aside,
        "soft": aside,
        "spike": aside & ~diverged,
        "": aside,
    }
    for label, hit in hits.items():
        mine = grid.label == label
        if mine.any():
            counts[label or "ordinary"] = [int(hit[mine].sum()), int(mine.sum())]
    dead = grid.label == "dead"
    if dead.any():
        lines = np.stack([grid.params, grid.tokens, grid.batch])[:, dead]
        _, line = np.unique(lines, axis=1, return_inverse=True)
        line = np.ravel(line)
        out = [bool(aside[dead][line == k].all()) for k in range(line.max() + 1)]
        counts["dead"] = [sum(out), len(out)]
        counts["dead runs"] = [int(aside[dead].sum()), int(dead.sum())]
    return counts


def _wrong(
    grid: Grid,
    runs: Runs | None,
    warnings: list[str],
    record: Record,
    clean: Record | None,
) -> Record:
    """Whether the wrong run was flagged, or else the answer stayed.

    Flagged: set aside or diverged, or named by its line, name or cell in a warning.
    """
    row = int(np.flatnonzero(grid.label == "wrong")[0])
    named = re.compile(rf"(line {row + 2}|run-{row}|row {row})\b")
    is_named = any(named.search(text) for text in warnings)
    is_aside = runs is not None and runs.verdict[row] != Verdict.STABLE
    return {
        "flagged": bool(is_named or is_aside),
        "stays": {name: stays(record, clean, name) for name in ("lr", "batch")},
    }


def stays(record: Record, clean: Record | None, name: str) -> bool:
    """Whether the clean answer lies within the interval of this one.

    Without an interval, within 5 %; where neither is answered, it stays.
    """
    now, was = record.get(name), (clean or {}).get(name)
    if not (now and now["ok"] and was and was["ok"]):
        return bool(now and now["ok"]) == bool(was and was["ok"])
    low, high = now["low"], now["high"]
    if low is None and high is None:
        return abs(math.log(now["value"] / was["value"])) <= 0.05
    return (low is None or low <= was["value"]) and (
        high is None or was["value"] <= high
    )
