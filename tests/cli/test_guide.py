"""Help: every command is grouped and has examples, and examples can be typed."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
from support.cli import runs_csv

from surrogate.answers import load
from surrogate.cli import guide
from surrogate.cli.main import COMMANDS, main

Capture = pytest.CaptureFixture[str]
# What simulates or fits is tested where that is what is tested.
SLOW = {"demo", "fit", "plot", "validate"}
# So is what downloads, from a server of its own.
ODD = ("val_loss", "fetch")
RUN = [
    line
    for name, lines in guide.EXAMPLES.items()
    for line in lines
    if name not in SLOW and not any(word in line for word in ODD)
]


def test_every_command_has_a_group_and_examples() -> None:
    grouped = [name for names in guide.GROUPS.values() for name in names]
    assert sorted(grouped) == sorted(COMMANDS) == sorted(guide.EXAMPLES)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_ends_with_examples(command: str, capsys: Capture) -> None:
    assert main([command, "--help"]) == 0
    text = capsys.readouterr().out
    for line in guide.EXAMPLES[command]:
        assert " ".join(line.split()) in " ".join(text.split())


@pytest.mark.parametrize("line", RUN)
def test_examples_run(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("runs.csv").write_text(runs_csv())
    points = "lr,batch,params,tokens\n1e-3,524288,1e9,2e10\n"
    Path("points.csv").write_text(points)
    # 1: answered, with a word of caution.
    assert main(shlex.split(line)[1:]) in (0, 1), capsys.readouterr().err


def test_answers_show_themselves() -> None:
    fit = load("bundled:steplaw-dense")
    size: dict[str, Any] = {"params": 7e9, "tokens": 2e12}
    text = repr(fit.plateau(**size))
    assert text.splitlines()[0] == "Plateau"
    assert "  use: lr 6.4e-4, batch 3Mi tokens (1,536 x 2,048)" in text
    assert "too uncertain to rely on" in text
    assert "Holds for Step Law's AdamW" in text
    assert "optimum: lr 7.94e-4" in repr(fit.optimum(**size))
    regret = fit.regret(**size, lr=3e-4, batch=2.0**22)
    assert "choice: lr 3e-4, batch 4.19M" in repr(regret)
    page = regret._repr_html_()
    assert page.startswith("<table><caption>Regret</caption>")
    assert "<th style='text-align:left'>loses</th>" in page
