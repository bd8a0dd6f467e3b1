"""The map of the plateau in characters, beside the numbers or below them."""

from __future__ import annotations

import math

import pytest
from support.cli import HEADER, runs_csv

from surrogate.cli import map_plot
from surrogate.cli.main import main

Capture = pytest.CaptureFixture[str]
ASK = ("plateau", "bundled:steplaw-dense", "--params", "7B", "--tokens", "2T")


def disc(**more: object) -> dict:
    """A document whose outline is a disc in the logarithms."""
    turns = [2 * math.pi * k / 60 for k in range(60)]
    return {
        "tol": 0.0025,
        "contour": {
            "lr": [1e-3 * math.exp(math.cos(t)) for t in turns],
            "batch": [1e6 * math.exp(math.sin(t)) for t in turns],
        },
        "inner": {"lr": [0.6e-3, 1.6e-3], "batch": [0.6e6, 1.6e6]},
        "inner_robust": None,
        "suggestion": {"lr": 1e-3, "batch": 1e6},
        **more,
    }


def test_cells_are_in_the_outline_as_its_area_says() -> None:
    # Closed form: a disc of radius 1 in a square of side 2 x 1.24; the box is 0.98^2.
    text = "".join(map_plot.lines(disc())[: map_plot.HEIGHT])
    inside = sum(text.count(mark) for mark in "░▓●")
    cells = map_plot.WIDTH * map_plot.HEIGHT
    assert inside / cells == pytest.approx(math.pi / 2.48**2, rel=0.06)
    box = sum(text.count(mark) for mark in "▓●")
    side = math.log(1.6 / 0.6)
    assert box / cells == pytest.approx(side**2 / 2.48**2, rel=0.3)
    assert text.count("●") == 1


def test_an_open_box_reaches_the_end_and_no_outline_is_no_map() -> None:
    wide = disc(inner={"lr": [0.6e-3, None], "batch": [0.6e6, 1.6e6]})
    rows = map_plot.lines(wide)[: map_plot.HEIGHT]
    assert any(row.endswith("▓") for row in rows)
    assert map_plot.lines(disc(contour=None)) == []


@pytest.mark.parametrize(("columns", "most"), [("120", 16), ("140", 16), ("80", 16)])
def test_a_wide_terminal_has_the_map_beside(
    columns: str, most: int, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert main([*ASK]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= most
    assert ("●" in "\n".join(lines)) == (columns != "80")
    # A command to paste is one line, however long.
    lines = [line for line in lines if "surrogate regret" not in line]
    assert max(len(line) for line in lines) <= int(columns)
    if columns == "140":
        # The whole width is used.
        assert max(len(line) for line in lines) > 130


def test_a_narrow_terminal_has_it_below_where_asked(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main([*ASK, "--map-plot"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].strip().startswith("░ within 0.25 %")
    assert lines[-map_plot.HEIGHT - 4].startswith("  surrogate regret")


def test_two_fits_side_by_side(capsys: Capture) -> None:
    pair = ("bundled:steplaw-dense", "steplaw-dense")
    asked = ("--params", "1B", "--tokens", "20B")
    assert main(["compare", *pair, *asked]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "2 fits for 1B parameters, 20B tokens" in text
    assert "use lr 1e-3 1e-3" in text
    # The same fit says of the other's setting what rounding costs.
    assert "They agree: by each fit the others' settings lose at most 0.019 %" in text
    assert main(["compare", *pair]) == 2
    assert "Add --params and --tokens" in capsys.readouterr().err
    assert main(["compare", *pair, "runs.csv", *asked]) == 2


def test_check_says_what_runs_tell_and_what_to_do(
    tmp_path: object, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(str(tmp_path))
    monkeypatch.setenv("COLUMNS", "80")
    with open("runs.csv", "w") as file:
        file.write(runs_csv())
    assert main(["check", "runs.csv"]) == 0
    out = capsys.readouterr().out
    text = " ".join(out.split())
    assert "can tell the best lr, from 6 cells of 6; the best batch" in text
    assert "cannot tell much beyond 2.7B params or 270B tokens" in text
    assert "evaluate" not in text
    assert len(out.splitlines()) <= 32
    rows = [
        f"{lr},{batch},1e8,4e9,{3 + lr}"
        for lr in (1e-3, 2e-3, 4e-3)
        for batch in (65536, 131072)
    ]
    with open("few.csv", "w") as file:
        file.write("\n".join([HEADER, *rows]))
    assert main(["check", "few.csv"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    for part in (
        "how far below its grid the best lr lies: 1 of 1 cells are best at their",
        "add lr 5e-4 to those cells",
        "the best batch: at most 2 levels in any cell, it needs 3",
        "add batch 64Ki and 256Ki to a cell that has batch 128Ki",
        "repeat the grid at 3 or more",
        "or: surrogate evaluate steplaw-dense few.csv",
    ):
        assert part in text, part
