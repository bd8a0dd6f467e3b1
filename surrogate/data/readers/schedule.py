"""From an lr that falls along a run, as a schedule has it, to the run's peak lr.

A cosine from the peak P to the floor F x P is, at progress p after warmup, P (F +
(1 - F) (1 + cos pi p) / 2). It is linear in P and in F x P, so that both follow from a
run's rows by least squares; what misses them is refused, since the peak would be wrong.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from surrogate.base.errors import DataError
from surrogate.base.shapes import Float64
from surrogate.base.units import parse_count, parse_number, quote
from surrogate.data.readers.columns.mapping import Plan
from surrogate.data.readers.formats.csv import Table

_OPTION = "--lr-is-schedule"
_FORM = "cosine, with floor=10% or warmup=2000 (steps) behind a colon if it has them"
# By how much of the peak a row may miss its schedule.
_AGREEMENT = 0.03
# Rows that tell peak and floor, and how far down the schedule a peak can be read.
_LEAST_ROWS, _LEAST_SHARE = 3, 0.02

Numbers = Float64[np.ndarray, " _"]


@dataclass(frozen=True)
class Schedule:
    """A cosine: its floor as a share of the peak (None: as the rows say) and warmup."""

    floor: float | None = None
    warmup: float = 0.0


@dataclass(frozen=True)
class Log:
    """The rows of one run.

    Attributes:
        lines: of the file.
        lr: as logged.
        tokens: until then.
        batch: tokens a step.
        steps: of the whole training; nan where no column says.
    """

    lines: Sequence[int]
    lr: Numbers
    tokens: Numbers
    batch: float
    steps: float


def parse_schedule(text: str) -> Schedule:
    """Read `cosine[:floor=10%,warmup=2000]`.

    Raises:
        DataError: it is something else.
    """
    kind, colon, rest = (part.strip() for part in text.partition(":"))
    if kind != "cosine" or (colon and not rest):
        raise DataError(f"{_OPTION}: expected {_FORM}, got {quote(text)}.")
    given: dict[str, float] = {}
    for part in filter(None, rest.split(",")):
        name, _, value = (word.strip() for word in part.partition("="))
        if name not in ("floor", "warmup") or not value or name in given:
            raise DataError(f"{_OPTION}: expected {_FORM}, got {quote(text)}.")
        what = f"{_OPTION} {name}"
        parse = parse_number if name == "floor" or value == "0" else parse_count
        given[name] = parse(value, what=what)
    floor = given.get("floor")
    if floor is not None and not 0 <= floor < 1:
        raise DataError(
            f"{_OPTION} floor: expected a share of the peak from 0% to below 100%, got "
            f"{floor:g}. Write floor=10%."
        )
    return Schedule(floor, given.get("warmup", 0.0))


def peak_of(table: Table, plan: Plan, log: Log, schedule: Schedule) -> float:
    """The peak lr of a run, to three digits.

    Args:
        table: the file, for messages.
        plan: what its columns are.
        log: the run's rows.
        schedule: what the lr follows.

    Raises:
        DataError: the rows do not follow it, or do not tell where it ends.
    """
    label = plan.terms["lr"].label
    place = f"{table.file} line {log.lines[int(log.tokens.argmax())]}, column {label}"
    begin, end = schedule.warmup * log.batch, _end(place, log)
    after = log.tokens > begin
    if begin >= end or not after.any():
        raise DataError(
            f"{place}: expected rows after the warmup of {schedule.warmup:,.0f} steps, "
            f"but it ends at {begin:,.0f} tokens and the run at {end:,.0f}. Correct "
            "warmup."
        )
    progress = np.minimum((log.tokens[after] - begin) / (end - begin), 1.0)
    high = (1 + np.cos(np.pi * progress)) / 2
    lr = log.lr[after]
    fit = _both if schedule.floor is None else partial(_above, schedule.floor)
    peak, expected = fit(place, high, lr)
    off = np.abs(lr - expected)
    if off.max() > _AGREEMENT * peak:
        worst = int(off.argmax())
        line = np.asarray(log.lines)[after][worst]
        raise DataError(
            f"{table.file} line {line}, column {label}, value {lr[worst]:g}: expected "
            f"{expected[worst]:.3g} of the cosine with peak {peak:.3g} that fits this "
            f"run best ({_said(schedule)}, to {end:,.0f} tokens). Correct floor or "
            "warmup, or give a column of the peak lr."
        )
    return float(f"{peak:.3g}")


def _end(place: str, log: Log) -> float:
    """Where the schedule ends [tokens]."""
    last = float(log.tokens.max())
    if math.isfinite(log.steps):
        return max(log.steps * log.batch, last)
    if len(log.lines) > 1:
        return last
    raise DataError(
        f"{place}: expected a column of steps, or several rows of each run, to tell "
        f"where the schedule of {_OPTION} ends; this run has one row. Add the peak lr "
        "of each run, or its steps."
    )


def _above(
    floor: float, place: str, high: Numbers, lr: Numbers
) -> tuple[float, Numbers]:
    """The peak over a floor that is known, and what the lr should be."""
    share = floor + (1 - floor) * high
    tells = share >= _LEAST_SHARE
    if not tells.any():
        raise DataError(
            f"{place}: expected rows before the schedule reaches 0, got {len(lr)} at "
            f"its end. Say the floor, such as {_OPTION} cosine:floor=10%, or add the "
            "peak lr of each run."
        )
    peak = float(np.median(lr[tells] / share[tells]))
    return peak, peak * share


def _both(place: str, high: Numbers, lr: Numbers) -> tuple[float, Numbers]:
    """The peak by rows that tell the floor as well, and what the lr should be."""
    if len(lr) < _LEAST_ROWS:
        raise DataError(
            f"{place}: expected at least {_LEAST_ROWS} rows of each run to tell the "
            f"schedule's floor, got {len(lr)}. Say it, such as {_OPTION} "
            "cosine:floor=10%."
        )
    design = np.stack([high, 1 - high], axis=1)
    found = np.linalg.lstsq(design, lr, rcond=None)[0]
    if not 0 < found[0] or found[1] > found[0] * (1 - _AGREEMENT):
        raise DataError(
            f"{place}: expected an lr that falls along each run, got {lr[0]:g} to "
            f"{lr[-1]:g}. Leave {_OPTION} out if the column is the peak."
        )
    return float(found[0]), design @ found


def _said(schedule: Schedule) -> str:
    floor = "any floor" if schedule.floor is None else f"floor {schedule.floor:.3g}"
    return f"{floor}, warmup {schedule.warmup:,.0f} steps"
