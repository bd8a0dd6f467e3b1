"""Rows that are in a file twice, and columns of recipes that play no role."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from surrogate import read_runs

HEADER = "lr,batch,params,tokens,loss"


def lines(count: int = 6, digits: int = 4) -> list[str]:
    lrs = 2e-4 * 2.0 ** np.arange(count)
    losses = 3.2 * (1 + 0.012 * np.log(lrs / 1.6e-3) ** 2)
    return [
        f"{lr:.3g},262144,100000000,2000000000,{loss:.{digits}f}"
        for lr, loss in zip(lrs, losses, strict=True)
    ]


def write(folder: Path, *rows: str, header: str = HEADER, name: str = "a.csv") -> Path:
    path = folder / name
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("again", [6, 2])
def test_a_file_appended_to_itself_counts_once(tmp_path: Path, again: int) -> None:
    rows = lines()
    runs = read_runs(write(tmp_path, *rows, *rows[:again]))
    assert len(runs) == 6
    (said,) = [text for text in runs.warnings if "twice" in text]
    assert said.startswith(f"{again} rows in the table twice, in every column")
    assert "line 8 is " in said
    assert "counts once" in said
    assert [row.line for row in runs.dropped] == list(range(8, 8 + again))
    assert all("counts once" in row.reason for row in runs.dropped)


def test_rows_of_another_file_count_once(tmp_path: Path) -> None:
    first = write(tmp_path, *lines())
    second = write(tmp_path, *lines(), lines(7)[-1], name="b.csv")
    runs = read_runs([first, second])
    assert len(runs) == 7
    assert any("b.csv line 2 is " in text for text in runs.warnings)


def test_rounded_losses_of_seeds_are_no_copies(tmp_path: Path) -> None:
    rows = lines(digits=2)
    runs = read_runs(write(tmp_path, *rows, *rows))
    assert len(runs) == 12


def test_one_equal_pair_is_no_habit(tmp_path: Path) -> None:
    rows = lines()
    assert len(read_runs(write(tmp_path, *rows, rows[2]))) == 7


def test_rows_of_other_names_stay(tmp_path: Path) -> None:
    named = [f"{row},r{k}" for k, row in enumerate(lines() + lines())]
    runs = read_runs(write(tmp_path, *named, header=f"{HEADER},run"))
    assert len(runs) == 12
    assert any("twice" in text for text in runs.warnings)


def test_two_optimizers_fitted_as_one_are_named(tmp_path: Path) -> None:
    rows = [f"{row},adamw" for row in lines()]
    rows += [f"{row},muon" for row in lines(8)[6:]]
    path = write(tmp_path, *rows, header=f"{HEADER},optimizer")
    (said,) = [text for text in read_runs(path).warnings if "recipe" in text]
    assert "'optimizer' has several values at one size ('adamw', 'muon')" in said
    assert "--recipe optimizer" in said
    ways: list[dict[str, Any]] = [{"recipe": "optimizer"}, {"also": "optimizer"}]
    for how in ways:
        assert not any("no role" in text for text in read_runs(path, **how).warnings)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("optimizer", ["adamw"] * 6),
        ("note", ["a", "b"] * 3),
        ("weight_decay", ["0.1", "0.1", "0.1", "0.1", "0.1", "0.1"]),
    ],
)
def test_other_columns_are_not(tmp_path: Path, name: str, values: list[str]) -> None:
    rows = [f"{row},{value}" for row, value in zip(lines(), values, strict=True)]
    path = write(tmp_path, *rows, header=f"{HEADER},{name}")
    assert not any("no role" in text for text in read_runs(path).warnings)


def test_what_follows_from_the_batch_is_no_recipe(tmp_path: Path) -> None:
    rows = [f"{row},0.9" for row in lines()]
    rows += [f"{row.replace('262144', '131072')},0.95" for row in lines()]
    path = write(tmp_path, *rows, header=f"{HEADER},beta2")
    assert not any("no role" in text for text in read_runs(path).warnings)
