"""Ctrl-C while draws are computed: what is finished is kept, and said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_support import runs_csv

from surrogate import uncertainty
from surrogate.cli.main import main
from surrogate.cli.progress import Bar


class Hand:
    """Presses Ctrl-C when the named stage has gone so far."""

    def __init__(self, stage: str, turns: int) -> None:
        self.stage, self.turns, self.now = stage, turns, ""

    def start(self, bar: Bar, task: str, total: int) -> None:
        self.now = task

    def advance(self, bar: Bar, n: int = 1) -> None:
        if self.now.startswith(self.stage):
            self.turns -= 1
            if self.turns == 0:
                raise KeyboardInterrupt


def press(monkeypatch: pytest.MonkeyPatch, stage: str, turns: int) -> None:
    hand = Hand(stage, turns)
    monkeypatch.setattr(
        Bar, "start", lambda bar, task, total: hand.start(bar, task, total)
    )
    monkeypatch.setattr(Bar, "advance", lambda bar, n=1: hand.advance(bar, n))


def test_finished_draws_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = tmp_path / "runs.csv", tmp_path / "fit"
    file.write_text(runs_csv())
    # As if 6 cells were many: draws of fewer are no refits, and no wait.
    monkeypatch.setattr(uncertainty, "MIN_CELLS_PAIRS", 6)
    press(monkeypatch, "Resampling", 2)
    asked = ["fit", str(file), "--out", str(out), "--json"]
    code = main([*asked, "--family", "posynomial", "--bootstrap", "700"])
    document = json.loads(capsys.readouterr().out)
    assert code == 1
    warned = [line for line in document["warnings"] if "Interrupted" in line]
    assert len(warned) == 1
    kept = int(warned[0].split()[1])
    assert 0 < kept < 700
    monkeypatch.undo()
    assert main(["optimum", str(out), "--params", "3e8", "--tokens", "1e10"]) == 0
    manifest = json.loads((out / "manifest.json").read_text())
    assert "draws_interrupted" in json.dumps(manifest)


def test_before_there_is_a_fit_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = tmp_path / "runs.csv", tmp_path / "fit"
    file.write_text(runs_csv())
    press(monkeypatch, "Leaving out", 1)
    assert main(["fit", str(file), "--out", str(out), "--json"]) == 130
    assert json.loads(capsys.readouterr().out)["status"] == "interrupted"
    assert not out.exists()
