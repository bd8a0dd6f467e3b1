"""A file's own arithmetic: steps x batch x length x accumulation is its tokens.

Where a file has such columns its batch is checked against them. Accumulation that makes
the product agree is part of the batch; a product that contradicts the tokens is refused
with its numbers, since either the batch or the tokens would be wrong by that factor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from surrogate.base.errors import DataError, FlagsError
from surrogate.base.units import quote
from surrogate.data.cells import Column
from surrogate.data.readers.columns.mapping import Plan
from surrogate.data.readers.columns.places import spelled
from surrogate.data.readers.columns.roles import (
    ALIASES,
    LAST_STEPS,
    LEAST_LRS,
    fold,
    role_of,
)
from surrogate.data.readers.formats.csv import Table, parse_cell

# Whole steps miss a nominal number of tokens by up to half a step, tokens are rounded.
_AGREEMENT = 0.02
# What misses by this factor is no rounding.
_CONTRADICTION = 1.5
# A length of sequences that a product of columns may leave [tokens].
_LEAST_LENGTH = 16
# The same, where accumulation may or may not be part of it.
_USUAL_LENGTH = 256
_WHOLE = 0.005


@dataclass(frozen=True)
class Read:
    """The rows of a table as numbers.

    Attributes:
        table: the file, for messages.
        plan: what its columns are.
        columns: the numbers of each role [rows].
        lines: the line of each row.
    """

    table: Table
    plan: Plan
    columns: Mapping[str, Column]
    lines: Sequence[int]

    def place(self, row: int) -> str:
        """File and line of a row."""
        return f"{self.table.file} line {self.lines[row]}"

    def label(self, role: str) -> str:
        """What a role is called in the file."""
        return self.plan.terms[role].label


def lengths_by_steps(columns: Mapping[str, Column]) -> list[int]:
    """Lengths of a sequence [tokens] that steps x sequences (x accumulation) leave.

    Whole numbers, equal in every row; with accumulation first, where that is usual.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        plain = columns["tokens"] / (columns["steps"] * columns["batch"])
    if not np.isfinite(plain).all():
        return []
    found = []
    if "accumulation" in columns:
        found.append(_whole(plain / columns["accumulation"]))
    found.append(_whole(plain))
    kept = [length for length in found if length is not None]
    if len(kept) > 1 and kept[0] < _USUAL_LENGTH:
        kept.reverse()
    return kept


def looks_like_sequences(columns: Mapping[str, Column]) -> bool:
    """Whether steps tell that a small `batch` counts sequences."""
    found = lengths_by_steps(columns) if "steps" in columns else []
    return bool(found) and found[0] >= _LEAST_LENGTH


def agreed(read: Read, batch: Column) -> tuple[Column, str, list[str]]:
    """The batch, with what the file's own arithmetic makes of it.

    Args:
        read: the file's rows.
        batch: as read [tokens per step].

    Returns:
        The batch [tokens per optimiser step], what was inferred for the note, and
        warnings.

    Raises:
        DataError: the product contradicts the tokens.
    """
    plan, columns = read.plan, read.columns
    term, share = plan.accumulation, columns.get("accumulation")
    if share is None or not (share != 1).any():
        share = None
    elif term is not None and term.columns[0] in plan.terms["batch"].columns:
        # The batch counts it already.
        share = None
    if plan.title or plan.steps is None:
        is_lost = share is not None and not plan.title
        return batch, "", [_uncounted(read)] if is_lost else []
    # A row of 0 is dropped later, with its reason.
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        missing = columns["tokens"] / (columns["steps"] * batch)
    usable = np.isfinite(missing) & (missing > 0) & np.isfinite(columns["loss"])
    steps = columns["steps"][usable]
    if not usable.any() or _is_one(missing[usable], steps):
        return batch, "", []
    if share is not None and _is_one(missing[usable] / share[usable], steps):
        return _accumulated(read, batch, share)
    ratio = np.where(usable, missing, 1.0)
    off = np.maximum(ratio, 1 / ratio)
    row = int(off.argmax())
    text = _numbers(read, batch, row)
    if off[row] < _CONTRADICTION or _is_log(read.table, plan):
        return batch, "", [f"{text}. Tokens are read as they stand."]
    if not plan.terms["batch"].is_column:
        return batch, "", [f"{text}. The batch is believed, since --map says it."]
    factor = _whole(missing[usable])
    known = None if factor is None else _devices(read, factor)
    if known is not None and plan.terms["batch"].is_column:
        length = float((batch / columns["batch"])[0])
        name = read.table.header[plan.terms["batch"].columns[0]]
        raise FlagsError(
            f"{text}. It is so in every row, and {quote(known)} is that factor: the "
            "batch is what one device takes. Say so as below; else correct steps, "
            "batch or tokens.",
            read.table.file,
            ["--map", f"batch={spelled(name)}*{spelled(known)}*{length:.0f}"],
        )
    raise DataError(f"{text}. {_remedy(read, missing[usable], batch)}")


def _accumulated(
    read: Read, batch: Column, share: Column
) -> tuple[Column, str, list[str]]:
    """The batch with the accumulation that makes the product the tokens."""
    assert read.plan.accumulation is not None
    label, own = read.plan.accumulation.label, read.label("batch")
    if not read.plan.terms["batch"].is_column:
        raise DataError(
            f"{read.place(0)}, column {label}, value {share[0]:g}: tokens = steps x "
            f"{own} x {label} in every row, so the batch of --map is too small by the "
            f'accumulation. Say --map batch="{own}*{label.strip(chr(39))}".'
        )
    said = f"; batch times {label}, since steps x batch x length x accumulation"
    return batch * share, f"{said} = tokens", []


def _devices(read: Read, factor: int) -> str | None:
    """The column of devices, or of parts, that is the factor in every row."""
    for place, name in enumerate(read.table.header):
        if role_of(name) not in ("devices", "per_node", "accumulation"):
            continue
        cells = {parse_cell(row.fields[place]) for row in read.table.rows}
        if cells == {float(factor)}:
            return name
    return None


def _is_log(table: Table, plan: Plan) -> bool:
    """Whether steps are where a log stands, which need not be where its run ended."""
    assert plan.steps is not None
    return fold(table.header[plan.steps.columns[0]]) in LAST_STEPS


def check_peak(table: Table, plan: Plan) -> None:
    """Refuse an lr that is the schedule's last value in every row.

    Raises:
        DataError: naming a better column, where there is one.
    """
    term = plan.terms["lr"]
    least = [k for k, name in enumerate(table.header) if fold(name) in LEAST_LRS]
    if not (term.is_column and least):
        return
    used, low = term.columns[0], least[0]
    if used == low or not all(
        row.fields[low] and parse_cell(row.fields[used]) == parse_cell(row.fields[low])
        for row in table.rows
    ):
        return
    row = table.rows[0]
    peaks = [
        name
        for k, name in enumerate(table.header)
        if k != used and fold(name) in ALIASES["lr"]
    ]
    remedy = (
        f"Say --map lr={quote(peaks[0])}"
        if peaks
        else "Add a column of the peak lr of each run and name it with --map lr=COLUMN"
    )
    raise FlagsError(
        f"{table.file} line {row.line}, column {term.label}, value "
        f"{row.fields[used]}: expected the peak lr, but it equals "
        f"{quote(table.header[low])} in every row, so it is the schedule's last value. "
        f'{remedy} (--map lr="{table.header[used]}*1" if lr is constant in training).',
        table.file,
        ["--map", f"lr={peaks[0] if peaks else 'COLUMN'}"],
    )


def _whole(lengths: Column) -> int | None:
    """The whole number that all of them are, if any."""
    length = round(float(np.median(lengths)))
    is_one = length >= 1 and bool(np.all(np.abs(lengths / length - 1) <= _WHOLE))
    return length if is_one else None


def _is_one(ratio: Column, steps: Column) -> bool:
    return bool(np.all(np.abs(ratio - 1) <= _AGREEMENT + 1 / steps))


def _uncounted(read: Read) -> str:
    assert read.plan.accumulation is not None
    label = read.plan.accumulation.label
    return (
        f"{read.table.file}: {label} takes no part in the batch. If "
        f"{read.label('batch')} is that of one accumulated part, add "
        f"{label.strip(chr(39))} to the product in --map batch=."
    )


def _numbers(read: Read, batch: Column, row: int) -> str:
    """The product of one row beside its tokens."""
    assert read.plan.steps is not None
    plain = read.columns["batch"][row]
    steps, tokens = read.columns["steps"][row], read.columns["tokens"][row]
    product = steps * batch[row]
    is_plain = batch[row] == plain
    written = "" if is_plain else f" ({plain:g} x {batch[row] / plain:g})"
    return (
        f"{read.place(row)}, column {read.plan.steps.label}: {steps:,.0f} steps x a "
        f"batch of {batch[row]:,.0f} tokens{written} = {product:,.0f}, but "
        f"{read.label('tokens')} is {tokens:,.0f}, {tokens / product:.3g} times that"
    )


def _remedy(read: Read, missing: Column, batch: Column) -> str:
    factor = _whole(missing)
    label = read.label("batch").strip("'")
    lengths = batch / read.columns["batch"]
    if factor is not None and np.ptp(lengths) == 0:
        return (
            "It is so in every row: if steps accumulate gradients (or several devices "
            f'share a step), say --map batch="{label}*{factor * lengths[0]:.0f}"; else '
            "correct steps, batch or tokens."
        )
    return (
        "Correct steps, batch or tokens, or say what the batch is in tokens with "
        f'--map batch="{label}*NUMBER".'
    )
