"""A file's own arithmetic: steps x batch x length x accumulation against tokens."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from surrogate import DataError, Runs, read_runs

HEADER = "lr,params,loss"
ROWS = tuple(f"{lr},2e8,{loss}" for lr, loss in ((1e-3, 3.0), (2e-3, 2.9), (4e-3, 3.1)))


def read(folder: Path, more: str, *cells: str, **how: Any) -> Runs:
    """Three runs with further columns `more`, whose cells are given a row or once."""
    each = cells * 3 if len(cells) == 1 else cells
    path = folder / "runs.csv"
    lines = [f"{row},{text}" for row, text in zip(ROWS, each, strict=True)]
    path.write_text("\n".join([f"{HEADER},{more}", *lines]) + "\n", encoding="utf-8")
    return read_runs(path, **how)


SEQUENCES = "batch_size,steps,seq_len,tokens,grad_accum"


def test_accumulation_that_makes_the_product_agree_is_part_of_the_batch(
    tmp_path: Path,
) -> None:
    runs = read(tmp_path, SEQUENCES, "4,1000,1024,32768000,8")
    assert set(runs.batch) == {4 * 1024 * 8}
    assert any("batch times 'grad_accum'" in note for note in runs.notes)
    # It varies: each row has its own.
    cells = ("4,1000,1024,32768000,8", "8,1000,1024,32768000,4")
    assert set(read(tmp_path, SEQUENCES, *cells, cells[0]).batch) == {32768}
    # The batch holds it already.
    runs = read(tmp_path, SEQUENCES, "32,1000,1024,32768000,8")
    assert set(runs.batch) == {32 * 1024}
    assert not any("grad_accum" in text for text in (*runs.notes, *runs.warnings))


def test_a_length_is_inferred_beside_accumulation(tmp_path: Path) -> None:
    more = "batch_size,steps,tokens,grad_accum"
    cells = ("4,1000,32768000,8", "8,1000,32768000,4", "4,1000,32768000,8")
    runs = read(tmp_path, more, *cells)
    assert set(runs.batch) == {32768}
    assert any("1,024 tokens each" in note for note in runs.notes)
    assert set(read(tmp_path, more, *cells, seq_len=1024).batch) == {32768}
    with pytest.raises(DataError, match="the length of a sequence is 1024, got --seq"):
        read(tmp_path, more, *cells, seq_len=2048)


def test_a_small_batch_with_steps_is_in_sequences(tmp_path: Path) -> None:
    runs = read(tmp_path, "batch,steps,tokens", "32,1000,16384000")
    assert set(runs.batch) == {32 * 512}
    with pytest.raises(DataError, match="looks like sequences"):
        read(
            tmp_path, "batch,steps,tokens", "32,1000,32000000", "8,1000,9e6", "8,9,9e6"
        )


def test_a_product_that_contradicts_is_refused_with_its_numbers(
    tmp_path: Path,
) -> None:
    message = re.escape(
        "line 2, column 'steps': 1,000 steps x a batch of 8,192 tokens (8 x 1024) = "
        "8,192,000, but 'tokens' is 32,768,000, 4 times that. It is so in every row: "
    )
    with pytest.raises(DataError, match=message + '.*--map batch="batch_size.4096"'):
        read(tmp_path, SEQUENCES, "8,1000,1024,32768000,1")
    sound, wrong = "32,1000,1024,32768000,1", "32,1000,1024,65536000,1"
    with pytest.raises(DataError, match=r"line 3.*2 times that\. Correct steps, batch"):
        read(tmp_path, SEQUENCES, sound, wrong, sound)
    with pytest.raises(DataError, match=r"a batch of 65,536 tokens = 65,536,000, but"):
        read(tmp_path, "batch,steps,tokens", "65536,1000,4e9")
    # What is off by little is said and read.
    runs = read(tmp_path, "batch,steps,tokens", "65536,1000,7e7")
    assert any("1.07 times that. Tokens are read" in text for text in runs.warnings)


def test_a_batch_that_was_typed_is_believed_but_for_forgotten_accumulation(
    tmp_path: Path,
) -> None:
    typed = {"batch": "batch_size*seq_len"}
    runs = read(tmp_path, SEQUENCES, "8,1000,1024,32768000,1", map=typed)
    assert set(runs.batch) == {8192}
    assert any("since --map says it" in text for text in runs.warnings)
    with pytest.raises(DataError, match=r'batch="batch_size\*seq_len\*grad_accum"'):
        read(tmp_path, SEQUENCES, "8,1000,1024,32768000,4", map=typed)
    whole = {"batch": "batch_size*seq_len*grad_accum"}
    runs = read(tmp_path, SEQUENCES, "4,1000,1024,32768000,8", map=whole)
    assert set(runs.batch) == {32768}


def test_accumulation_that_nothing_checks_is_named(tmp_path: Path) -> None:
    more = "batch_size,seq_len,tokens,accum"
    runs = read(tmp_path, more, "8,1024,32768000,4")
    assert any("'accum' takes no part in the batch" in text for text in runs.warnings)
    whole = {"batch": "batch_size*seq_len*accum"}
    runs = read(tmp_path, more, "8,1024,32768000,4", map=whole)
    assert not any("takes no part" in text for text in runs.warnings)


def test_an_lr_that_is_the_schedule_s_last_value_is_refused(tmp_path: Path) -> None:
    cells = "65536,4e9,{lr}"
    last = [cells.format(lr=row.split(",")[0]) for row in ROWS]
    message = r"line 2, column 'lr'.*equals 'min_lr' in every row.*Add a column of"
    with pytest.raises(DataError, match=message):
        read(tmp_path, "batch,tokens,min_lr", *last)
    kept = read(tmp_path, "batch,tokens,min_lr", *last, map={"lr": "lr*1"})
    assert len(kept) == 3
    better = [f"{text},{3e-3 * k}" for k, text in enumerate(last, 1)]
    with pytest.raises(DataError, match="Say --map lr='peak_lr'"):
        read(tmp_path, "batch,tokens,min_lr,peak_lr", *better, map={"lr": "lr"})
    # A schedule that ends elsewhere says nothing.
    assert len(read(tmp_path, "batch,tokens,min_lr", "65536,4e9,1e-3")) == 3


def test_fixed_steps_and_tied_settings_are_warned_of(tmp_path: Path) -> None:
    cells = [f"{2**k * 65536},{5000 * 2**k * 65536}" for k in range(3)]
    runs = read(tmp_path, "batch,tokens", *cells)
    assert any(
        "tokens = 5,000 x batch in every row: batch and tokens cannot" in text
        for text in runs.warnings
    )
    assert any("proportional to batch in every row" in text for text in runs.warnings)
    cells = [f"{4**k * 65536},{5e9 * 2**k}" for k in range(3)]
    runs = read(tmp_path, "batch,tokens", *cells)
    assert any("to the square root of batch" in text for text in runs.warnings)
    assert not any("x batch in every row" in text for text in runs.warnings)
    runs = read(tmp_path, "batch,tokens", "65536,5e9", "131072,5e9", "65536,5e9")
    assert not any("in every row" in text for text in runs.warnings)
