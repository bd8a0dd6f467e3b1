"""Whole columns in another unit, and losses that no run has: said or dropped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from surrogate import DataError, read_runs
from surrogate.data import Runs

LR = np.tile(np.geomspace(1e-4, 1.6e-3, 5), 6)
PARAMS = np.repeat([1e8, 2e8, 4e8], 10)
BATCH = np.tile(np.repeat([65536.0, 131072.0], 5), 3)
LOSS = 2.5 * (1e8 / PARAMS) ** 0.1 * np.exp(0.02 * np.log(LR / 4e-4) ** 2)
COLUMNS: dict[str, Any] = {
    "lr": LR,
    "batch": BATCH,
    "params": PARAMS,
    "tokens": 20 * PARAMS,
    "loss": LOSS,
}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"lr": 1000 * LR * 4}, r"Half of the learning rates are 1\.6 or more"),
        ({"lr": -np.log10(LR)}, "Half of the learning rates are 3.4 or more"),
        ({"params": PARAMS / 1000}, "at least 20K tokens a parameter, above 5K"),
        ({"tokens": 20_000 * PARAMS}, "at least 20K tokens a parameter, above 5K"),
        (
            {"loss": np.exp(LOSS)},
            "The lowest loss is .*above 8 .* perplexities",
        ),
    ],
)
def test_a_column_in_another_unit_is_said(change: dict[str, Any], words: str) -> None:
    said = Runs.from_arrays(**(COLUMNS | change), allow=("small",)).warnings
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(*said)


def test_a_usual_table_is_not() -> None:
    for text in Runs.from_arrays(**COLUMNS).warnings:
        assert "read as they stand" not in text
        assert "lowest loss" not in text


@pytest.mark.parametrize("cell", ["-inf", "-1e400", "-Infinity", "-1", "0"])
def test_a_loss_that_no_run_ends_with_is_dropped(tmp_path: Path, cell: str) -> None:
    rows = [
        f"{lr!r},{b!r},{n!r},{20 * n!r},{loss!r}"
        for lr, b, n, loss in zip(
            *(c.tolist() for c in (LR, BATCH, PARAMS, LOSS)), strict=True
        )
    ]
    rows[3] = rows[3].rsplit(",", 1)[0] + f",{cell}"
    file = tmp_path / "t.csv"
    file.write_text("\n".join(["lr,batch,params,tokens,loss", *rows]) + "\n")
    runs = read_runs(file)
    assert len(runs) == 29
    assert not runs.diverged.any()
    (dropped,) = runs.dropped
    assert (dropped.line, dropped.column, dropped.value) == (5, "loss", cell)


def test_minus_infinity_in_arrays_is_refused() -> None:
    loss = LOSS.copy()
    columns: dict[str, Any] = COLUMNS | {"loss": loss}
    loss[2] = -np.inf
    with pytest.raises(DataError, match="row 2, field loss: loss must be above 0"):
        Runs.from_arrays(**columns)
