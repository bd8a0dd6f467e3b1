"""Cells that a spreadsheet would run leave us as text; numbers as they are."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from surrogate.cli.main import main
from surrogate.data.readers.formula import guarded

FIT = "bundled:steplaw-dense"
RUN = ("=1+1", "@SUM(A1)", "+cmd|'/c calc'!A0", "-2+3", "\t=1", " =HYPERLINK(1)", "-a")


@pytest.mark.parametrize("cell", RUN)
def test_a_formula_becomes_text(cell: str) -> None:
    assert guarded(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["-1.5", "+2e-3", "1e-3", "", "adam", "a=b", "-inf"])
def test_other_cells_are_as_they_were(cell: str) -> None:
    assert guarded(cell) == cell


def test_a_file_of_points_is_copied_without_formulas(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("p.csv").write_text(
        "lr,batch,params,tokens,=note\n1e-3,524288,1e9,2e10,=HYPERLINK(1)\n"
    )
    assert main(["predict", FIT, "p.csv", "--out", "o.csv"]) == 0
    with open("o.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["'=note"] == "'=HYPERLINK(1)"
    assert row["lr"] == "1e-3"
