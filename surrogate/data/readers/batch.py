"""The one place where a batch in sequences becomes a batch in tokens."""

from __future__ import annotations

import math

import numpy as np

from surrogate.base.errors import DataError, FlagsError
from surrogate.base.units import quote
from surrogate.data.cells import Column
from surrogate.data.readers.arithmetic import (
    Read,
    agreed,
    lengths_by_steps,
    looks_like_sequences,
)
from surrogate.data.readers.columns.roles import fold, role_of
from surrogate.data.readers.formats.csv import parse_cell

# Nobody trains on fewer tokens a step in every run; sequences are about this many.
_LEAST_TOKENS = 8192
# So few steps beside so many sequences are those of a batch in tokens.
_USUAL_STEPS = 2_000
# Names of a batch that do not say whether it is of one device.
_UNCLEAR = ("batch_size", "bs", "bsz", "train_batch_size")
# No training has so few steps: then the batch is in tokens already.
_LEAST_STEPS = 50
# Whole steps miss a nominal number of tokens by up to half a step.
_AGREEMENT = 0.005


def tokens_per_step(
    read: Read, seq_len: int | None, *, is_small: bool = False
) -> tuple[Column, str, list[str]]:
    """Batch sizes in tokens, what was done, for the note, and warnings.

    Args:
        read: the file's rows.
        seq_len: the user's length of a sequence [tokens].
        is_small: a few tokens a step are meant.

    Raises:
        DataError: if the unit or the length of a sequence cannot be told, or what the
            user says contradicts the file.
    """
    batch, term = read.columns["batch"], read.plan.terms["batch"]
    if not read.plan.is_sequences:
        if batch.max() >= _LEAST_TOKENS or is_small or not term.columns:
            unused = "; --seq-len not used, the batch is in tokens" if seq_len else ""
            batch, how, warnings = agreed(read, batch)
            return batch, unused + how, warnings
        _check_whole(read, batch)
        if seq_len is None and not looks_like_sequences(read.columns):
            row = int(batch.argmax())
            raise FlagsError(
                f"{read.place(row)}, column {term.label}, value {batch[row]:g}: the "
                "largest batch; expected tokens, but it looks like sequences. Give "
                "their length, such as --seq-len 2048 (--allow small if it is tokens).",
                read.table.file,
                ["--seq-len", "LENGTH"],
            )
    _check_whole(read, batch)
    length, how = _length(read, seq_len)
    tokens = batch * length
    if np.all(read.columns["tokens"] < _LEAST_STEPS * tokens) and not seq_len:
        said = (
            f"{read.place(0)}, column {term.label}, value {batch[0]:g}: as sequences, "
            f"no run has {_LEAST_STEPS} steps, so it looks like tokens already. If it "
            f"is, say so with --map batch={term.label}*1."
        )
        if not term.is_column:
            raise DataError(said)
        name = read.table.header[term.columns[0]]
        flags = ["--map", f"batch={_quoted(name)}*1"]
        raise FlagsError(said, read.table.file, flags)
    if "seq_len" in read.columns and not seq_len and term.is_column:
        _check_not_tokens(read, batch, tokens)
    tokens, more, warnings = agreed(read, tokens)
    warnings = [*warnings, *_of_one_device(read, tokens)]
    return tokens, f"; batch in sequences, {how}{more}", warnings


def _check_whole(read: Read, batch: Column) -> None:
    """Refuse sequences that are no whole numbers, as 65.536 for 65,536 tokens.

    Raises:
        FlagsError: with the batch as thousands, where those are whole.
    """
    term = read.plan.terms["batch"]
    parts = batch[np.isfinite(batch)] % 1
    thousands = 1000 * batch[np.isfinite(batch)]
    is_thousands = np.allclose(thousands, np.round(thousands), rtol=0, atol=1e-6)
    if not (term.is_column and (parts != 0).any() and is_thousands):
        return
    row = int((np.nan_to_num(batch) % 1 != 0).argmax())
    raise FlagsError(
        f"{read.place(row)}, column {term.label}, value {batch[row]:g}: expected a "
        "whole number of sequences or tokens. If the point parts thousands, say so as "
        "below; else correct it.",
        read.table.file,
        ["--map", f"batch={_quoted(read.table.header[term.columns[0]])}*1000"],
    )


def _check_not_tokens(read: Read, batch: Column, tokens: Column) -> None:
    """Refuse sequences so many that they must be tokens, beside their length.

    Raises:
        FlagsError: with the batch as tokens.
    """
    steps = read.columns["tokens"] / tokens
    if batch.min() >= _LEAST_TOKENS and np.median(steps) < _USUAL_STEPS:
        raise _unknown(read)


def _of_one_device(read: Read, tokens: Column) -> list[str]:
    """A word where several devices take part, and nothing tells whose batch it is."""
    table, term = read.table, read.plan.terms["batch"]
    name = table.header[term.columns[0]] if term.is_column else ""
    if fold(name) not in _UNCLEAR or read.plan.title:
        return []
    own = set(term.columns) & set(read.plan.terms["tokens"].columns)
    if read.plan.steps is not None and not own:
        # Steps and tokens were compared with it.
        return []
    for place, other in enumerate(table.header):
        cells = [parse_cell(row.fields[place]) for row in table.rows]
        numbers = [x for x in cells if isinstance(x, float)]
        if role_of(other) in ("devices", "per_node") and max(numbers, default=0) > 1:
            length = tokens[0] / read.columns["batch"][0]
            more = f"{_quoted(name)}*{_quoted(other)}*{length:.0f}"
            return [
                f"{table.file}: {quote(name)} is read as the batch of a whole step, "
                f"though {quote(other)} says that several devices share it. If it is "
                f"what one device takes, add --map 'batch={more}'."
            ]
    return []


def _length(read: Read, seq_len: int | None) -> tuple[Column | float, str]:
    """The length of a sequence [tokens], from the file or from the user."""
    if "seq_len" in read.columns:
        return _of_column(read, seq_len), f"length from {read.label('seq_len')}"
    steps = read.plan.steps
    if steps is not None and read.plan.title:
        return _from_steps(read, seq_len)
    told = lengths_by_steps(read.columns) if steps is not None else []
    found = seq_len if seq_len in told else next(iter(told), None)
    if steps is not None and found is not None:
        if seq_len not in (None, found):
            raise DataError(
                f"{read.place(0)}, column {steps.label}: {steps.label} x "
                f"{read.label('batch')} x {found} = tokens in every row, so the length "
                f"of a sequence is {found}, got --seq-len {seq_len}. Leave --seq-len "
                "out, or map batch to tokens with --map batch=COLUMN*LENGTH."
            )
        how = f"tokens each, as tokens / ({steps.label} x sequences)"
        return float(found), f"{found:,} {how}"
    if seq_len is None:
        raise _unknown(read)
    return float(seq_len), f"{seq_len:,} tokens each by --seq-len"


def _of_column(read: Read, seq_len: int | None) -> Column:
    """The lengths that a column says, which must be whole and the user's own."""
    lengths = read.columns["seq_len"]
    whole = (lengths >= 1) & (lengths == np.floor(lengths))
    agree = whole if seq_len is None else lengths == seq_len
    if not agree.all():
        row = int((~agree).argmax())
        expected = "a whole number of tokens" if seq_len is None else f"{seq_len}"
        why = "" if seq_len is None else " as --seq-len says"
        raise DataError(
            f"{read.place(row)}, column {read.label('seq_len')}, value "
            f"{lengths[row]:g}: expected {expected}{why}. Correct the one that is "
            "wrong."
        )
    return lengths


def _unknown(read: Read) -> FlagsError:
    """What to say of sequences whose length nobody tells."""
    term, least = read.plan.terms["batch"], float(read.columns["batch"].min())
    place = f"{read.table.file} line 1, column {term.label}"
    if least >= _LEAST_TOKENS:
        name = read.table.header[term.columns[0]]
        return FlagsError(
            f"{place}: its name says sequences, but the least of its values is "
            f"{least:,.0f}, which looks like tokens. If it is, say so as below; if "
            "not, give the length of a sequence, such as --seq-len 128.",
            read.table.file,
            ["--map", f"batch={_quoted(name)}*1"],
        )
    return FlagsError(
        f"{place}: the batch is in sequences of unknown length. Give it, such as "
        "--seq-len 2048, or name a column of tokens with --map batch=COLUMN.",
        read.table.file,
        ["--seq-len", "LENGTH"],
    )


def _quoted(name: str) -> str:
    """A column's name as an expression takes it."""
    return name if name.isidentifier() else f'"{name}"'


def _from_steps(read: Read, seq_len: int | None) -> tuple[float, str]:
    """The power of two that tokens / (steps x sequences) is, checked on every row."""
    columns = read.columns
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
            f"{read.place(row)}: expected tokens / (steps x sequences) to be the "
            f"length of a sequence, {length:g}, got {lengths[row]:.6g}. Correct the "
            "row, or map batch to tokens with --map batch=COLUMN*LENGTH."
        )
    return length, f"{length:,.0f} tokens each, as tokens / (steps x sequences)"
