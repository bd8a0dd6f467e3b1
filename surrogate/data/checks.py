"""What a usable run is, and what arrays of runs must look like."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import cast

import numpy as np
from numpy.typing import ArrayLike

from surrogate.base.defaults import (
    LOSS_KINDS,
    LOSS_UNITS,
    PARAMS_KINDS,
    SMALL,
    LossKind,
    ParamsKind,
)
from surrogate.base.errors import DataError
from surrogate.base.units import format_count, quote
from surrogate.data.cells import Column, Marks
from surrogate.data.divergence import Verdict

_MOST_BITS_A_BYTE = 6.0
SETTINGS = ("lr", "batch", "params", "tokens")
_TAKEN = (*SETTINGS, "loss", "recipe", "name", "status", "diverged", "seq_len")


def row_fault(row: Mapping[str, float], *, diverged: bool) -> tuple[str, str] | None:
    """What makes one run unusable, as (field, reason), or None.

    Args:
        row: lr, batch [tokens], params, tokens, loss and any further scales.
        diverged: whether the run is already known to have diverged.
    """
    for field in row:
        if field != "loss" and not (math.isfinite(row[field]) and row[field] > 0):
            return field, f"{field} must be finite and above 0"
    if row["lr"] >= 10:
        return "lr", "lr must be below 10"
    if row["batch"] < 1:
        return "batch", "batch must be at least 1 token"
    loss = row["loss"]
    # Minus infinity too: no run that diverged ends there.
    if loss <= 0:
        return "loss", "loss must be above 0"
    if not (math.isfinite(loss) or diverged):
        return "loss", "loss must be finite unless the run diverged"
    return None


def unit_fault(params: Column, tokens: Column) -> tuple[str, str, int] | None:
    """Whether a whole column is in another unit, as (field, reason, row), or None."""
    for field, values, least in (("tokens", tokens, 1e6), ("params", params, 1e4)):
        if values.size and 0 < values.max() < least:
            reason = (
                f"no value reaches {format_count(least)}, so it looks like millions or "
                f"billions; expected plain counts such as 1e9"
            )
            return field, reason, int(values.argmax())
    return None


def check_scale_names(names: Mapping[str, object] | Sequence[str]) -> None:
    """Raise DataError where a further scale takes a name that is taken or no name."""
    for name in names:
        if not name.isidentifier() or name in _TAKEN:
            raise DataError(
                f"scale {quote(name)}: expected a plain word that is not a setting "
                f"({', '.join(SETTINGS)}); call it for example active_params."
            )


def check_kinds(loss_kind: str, params_kind: str) -> tuple[LossKind, ParamsKind]:
    """The kinds of loss and of count; Raises DataError where one is not known."""
    for what, kind, known in (
        ("loss_kind", loss_kind, LOSS_KINDS),
        ("params_kind", params_kind, PARAMS_KINDS),
    ):
        if kind not in known:
            raise DataError(
                f"{what}: expected one of {', '.join(known)}, got {quote(kind)}."
            )
    return cast(LossKind, loss_kind), cast(ParamsKind, params_kind)


def check_units(params: Column, tokens: Column, allow: Collection[str] = ()) -> None:
    """Raise DataError where a whole column is in another unit (`unit_fault`).

    Not where `small` numbers are allowed.
    """
    fault = unit_fault(params, tokens)
    if fault and SMALL not in allow:
        field, reason, row = fault
        value = {"params": params, "tokens": tokens}[field][row]
        raise DataError(
            f"Runs.from_arrays: field {field}: {reason}, the largest is {value:g} (row "
            f"{row}). Multiply it by its unit, or pass allow='small' if it is meant."
        )


def check_loss_unit(unit: str, losses: Column) -> None:
    """Refuse an unknown unit, and one that the values cannot have.

    Raises:
        DataError: naming the units, or the first value that it cannot be.
    """
    if unit not in LOSS_UNITS:
        raise DataError(
            f"Expected the unit of the loss among {', '.join(LOSS_UNITS)}, got "
            f"{quote(unit)}."
        )
    finite = losses[np.isfinite(losses)]
    if not finite.size:
        return
    low, high = float(finite.min()), float(np.median(finite))
    if unit == "perplexity" and low < 1:
        raise DataError(
            f"Expected perplexities of at least 1, got {low:g}. Name the unit with "
            "--loss-unit, such as nats."
        )
    if unit == "bits_per_byte" and high > _MOST_BITS_A_BYTE:
        raise DataError(
            f"Expected bits per byte, of which a guess at random costs 8, got {high:g} "
            "in most runs. Name the unit with --loss-unit, such as nats."
        )


def in_nats(unit: str, losses: Column) -> tuple[Column, str]:
    """Losses [nats per token] and their unit; bits per byte stay as they are."""
    if unit == "perplexity":
        # A perplexity of 1 is a loss of 0, which no model has: it is refused as such.
        return np.log(losses), "nats"
    if unit == "bits_per_token":
        return losses * math.log(2), "nats"
    return losses, unit


def nats_a_unit(unit: str, losses: Column) -> Column | float:
    """What a small step of a loss in its unit is in that of `in_nats`."""
    if unit == "perplexity":
        with np.errstate(divide="ignore", invalid="ignore"):
            return 1 / losses
    return math.log(2) if unit == "bits_per_token" else 1.0


def check_rows(columns: Mapping[str, Column], diverged: Marks) -> None:
    """Raise DataError at the first row with a `row_fault`, counted from 0."""
    lists = [values.tolist() for values in columns.values()]
    for index, values in enumerate(zip(*lists, strict=True)):
        row = dict(zip(columns, values, strict=True))
        fault = row_fault(row, diverged=bool(diverged[index]))
        if fault:
            field, reason = fault
            raise DataError(
                f"Runs.from_arrays: row {index}, field {field}: {reason}, got "
                f"{row[field]!r}. Correct the row or leave it out."
            )


def numbers(columns: Mapping[str, ArrayLike]) -> dict[str, Column]:
    """float64 copies of columns of real numbers, all as long as the first.

    Raises:
        DataError: naming the field that is no list of numbers, empty or too long.
    """
    table: dict[str, Column] = {}
    for field, values in columns.items():
        array = np.asarray(values)
        size = next(iter(table.values())).size if table else array.size
        if array.dtype.kind not in "iuf" or array.shape != (size,) or not size:
            count = f"{size} numbers" if table else "numbers"
            raise DataError(
                f"Runs.from_arrays: field {field}: expected a list of {count}, one a "
                f"run, got {_shape(array)}."
            )
        table[field] = np.array(array, dtype=np.float64)
    return table


def standard_errors(values: ArrayLike | None, size: int) -> Column:
    """A copy of one standard error a run, nan where there is none.

    Raises:
        DataError: if they are not so many, or one is not above 0.
    """
    if values is None:
        return np.full(size, np.nan)
    array = np.array(values, dtype=np.float64)
    if array.shape != (size,) or not (np.isnan(array) | (array > 0)).all():
        raise DataError(
            f"loss_se: expected {size} standard errors above 0, one a run (nan where "
            f"not known), got {_shape(array)}, the least {np.nanmin(array, initial=1)}."
        )
    return array


def verdicts(values: ArrayLike, size: int) -> np.ndarray:
    """A copy of one `Verdict` a run.

    Raises:
        DataError: if they are not so many, or one is none.
    """
    array = np.asarray(values)
    known = [int(kind) for kind in Verdict]
    if array.shape != (size,) or not np.isin(array, known).all():
        raise DataError(
            f"verdict: expected {size} whole numbers from {known[0]} to {known[-1]}, "
            f"one a run, got {_shape(array)}."
        )
    return array.astype(np.int64)


def _shape(array: np.ndarray) -> str:
    return f"an array of shape {array.shape} and type {array.dtype}"


def marks(values: ArrayLike | None, size: int, what: str = "diverged") -> Marks:
    """A copy of one boolean a run, all False for None; Raises DataError otherwise."""
    if values is None:
        return np.zeros(size, dtype=np.bool_)
    array = np.asarray(values)
    if array.dtype != np.bool_ or array.shape != (size,):
        raise DataError(
            f"{what}: expected {size} booleans, one a run, got {_shape(array)}."
        )
    return array.copy()


def labels(values: str | ArrayLike, what: str, size: int) -> np.ndarray:
    """One string a run; a single string goes for all."""
    array = np.asarray([values] * size if isinstance(values, str) else values)
    if array.dtype.kind != "U" or array.shape != (size,):
        raise DataError(
            f"Runs.from_arrays: field {what}: expected one string, or {size} of them, "
            f"one a run, got {_shape(array)}."
        )
    return array.copy()
