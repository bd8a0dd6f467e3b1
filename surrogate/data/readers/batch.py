"""The one place where a batch in sequences becomes a batch in tokens."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from surrogate.base.errors import DataError, FlagsError
from surrogate.data.cells import Column
from surrogate.data.readers.arithmetic import (
    agreed,
    lengths_by_steps,
    looks_like_sequences,
)
from surrogate.data.readers.csv import Table
from surrogate.data.readers.mapping import Plan

# Nobody trains on fewer tokens a step in every run; sequences are about this many.
_LEAST_TOKENS = 8192
# No training has so few steps: then the batch is in tokens already.
_LEAST_STEPS = 50
# Whole steps miss a nominal number of tokens by up to half a step.
_AGREEMENT = 0.005


def tokens_per_step(
    table: Table,
    plan: Plan,
    columns: Mapping[str, Column],
    lines: Sequence[int],
    seq_len: int | None,
    *,
    is_small: bool = False,
) -> tuple[Column, str, list[str]]:
    """Batch sizes in tokens, what was done, for the note, and warnings.

    Args:
        table: the file, for messages.
        plan: where each role is found, and in what unit the batch is.
        columns: the numbers of each role [rows].
        lines: the line of each row.
        seq_len: the user's length of a sequence [tokens].
        is_small: a few tokens a step are meant.

    Raises:
        DataError: if the unit or the length of a sequence cannot be told, or what the
            user says contradicts the file.
    """
    batch = columns["batch"]
    label = plan.terms["batch"].label
    if not plan.is_sequences:
        is_typed = not plan.terms["batch"].columns
        if batch.max() >= _LEAST_TOKENS or is_small or is_typed:
            unused = "; --seq-len not used, the batch is in tokens" if seq_len else ""
            batch, how, warnings = agreed(table, plan, columns, lines, batch)
            return batch, unused + how, warnings
        if seq_len is None and not looks_like_sequences(columns):
            row = int(batch.argmax())
            raise FlagsError(
                f"{table.file} line {lines[row]}, column {label}, value "
                f"{batch[row]:g}: the largest batch; expected tokens, but it looks "
                f"like sequences. Give their length, such as --seq-len 2048 "
                f"(--allow small if it is tokens).",
                table.file,
                ["--seq-len", "LENGTH"],
            )
    length, how = _length(table, plan, columns, lines, seq_len)
    tokens = batch * length
    if np.all(columns["tokens"] < _LEAST_STEPS * tokens) and not seq_len:
        raise DataError(
            f"{table.file} line {lines[0]}, column {label}, value {batch[0]:g}: as "
            f"sequences, no run has {_LEAST_STEPS} steps, so it looks like tokens "
            f"already. If it is, say so with --map batch={label}*1."
        )
    tokens, more, warnings = agreed(table, plan, columns, lines, tokens)
    return tokens, f"; batch in sequences, {how}{more}", warnings


def _length(
    table: Table,
    plan: Plan,
    columns: Mapping[str, Column],
    lines: Sequence[int],
    seq_len: int | None,
) -> tuple[Column | float, str]:
    """The length of a sequence [tokens], from the file or from the user."""
    if "seq_len" in columns:
        lengths = columns["seq_len"]
        whole = (lengths >= 1) & (lengths == np.floor(lengths))
        agree = whole if seq_len is None else lengths == seq_len
        if not agree.all():
            row = int((~agree).argmax())
            expected = "a whole number of tokens" if seq_len is None else f"{seq_len}"
            why = "" if seq_len is None else " as --seq-len says"
            raise DataError(
                f"{table.file} line {lines[row]}, column "
                f"{plan.terms['seq_len'].label}, value {lengths[row]:g}: expected "
                f"{expected}{why}. Correct the one that is wrong."
            )
        return lengths, f"length from {plan.terms['seq_len'].label}"
    if plan.steps is not None and plan.title:
        return _from_steps(table, columns, lines, seq_len)
    if plan.steps is not None:
        told = lengths_by_steps(columns)
        found = seq_len if seq_len in told else next(iter(told), None)
        if found is not None and seq_len not in (None, found):
            raise DataError(
                f"{table.file} line {lines[0]}, column {plan.steps.label}: "
                f"{plan.steps.label} x {plan.terms['batch'].label} x {found} = tokens "
                f"in every row, so the length of a sequence is {found}, got --seq-len "
                f"{seq_len}. Leave --seq-len out, or map batch to tokens with --map "
                "batch=COLUMN*LENGTH."
            )
        if found is not None:
            return float(found), (
                f"{found:,} tokens each, as tokens / ({plan.steps.label} x sequences)"
            )
    if seq_len is None:
        label = plan.terms["batch"].label
        least = float(columns["batch"].min())
        if least >= _LEAST_TOKENS:
            name = table.header[plan.terms["batch"].columns[0]]
            raise FlagsError(
                f"{table.file} line 1, column {label}: its name says sequences, but "
                f"the least of its values is {least:,.0f}, which looks like tokens. "
                "If it is, say so as below; if not, give the length of a sequence, "
                "such as --seq-len 128.",
                table.file,
                ["--map", f"batch={_quoted(name)}*1"],
            )
        raise FlagsError(
            f"{table.file} line 1, column {label}: the batch is in sequences of "
            f"unknown length. Give it, such as --seq-len 2048, or name a column of "
            f"tokens with --map batch=COLUMN.",
            table.file,
            ["--seq-len", "LENGTH"],
        )
    return float(seq_len), f"{seq_len:,} tokens each by --seq-len"


def _quoted(name: str) -> str:
    """A column's name as an expression takes it."""
    return name if name.isidentifier() else f'"{name}"'


def _from_steps(
    table: Table,
    columns: Mapping[str, Column],
    lines: Sequence[int],
    seq_len: int | None,
) -> tuple[float, str]:
    """The power of two that tokens / (steps x sequences) is, checked on every row."""
    with np.errstate(divide="ignore", invalid="ignore"):
        lengths = columns["tokens"] / (columns["steps"] * columns["batch"])
    sound = np.isfinite(lengths) & (lengths > 0)
    if not sound.any():
        return math.nan, "of unknown length"
    length = 2.0 ** round(math.log2(float(np.median(lengths[sound]))))
    if seq_len is not None:
        length = float(seq_len)
    wrong = sound & (np.abs(lengths / length - 1) > _AGREEMENT)
    if wrong.any():
        row = int(wrong.argmax())
        raise DataError(
            f"{table.file} line {lines[row]}: expected tokens / (steps x sequences) to "
            f"be the length of a sequence, {length:g}, got {lengths[row]:.6g}. Correct "
            f"the row, or map batch to tokens with --map batch=COLUMN*LENGTH."
        )
    return length, f"{length:,.0f} tokens each, as tokens / (steps x sequences)"
