"""What a command that was typed wrong says: what was meant, and the line to type."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from support.cli import runs_csv

from surrogate.cli.main import main

DENSE = "steplaw-dense"
ASK = f"{DENSE} --params 7B --tokens 2T"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a table, points, and what looks like a fit."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs.csv").write_text(runs_csv(), encoding="utf-8")
    points = "params,tokens\n1B,20B\n2B,40B\n"
    (tmp_path / "points.csv").write_text(points, encoding="utf-8")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "manifest.json").write_text("{}", encoding="utf-8")
    return tmp_path


MISTAKES = [
    (f"plateu {ASK}", f"Type: surrogate plateau {ASK}"),
    (f"best {ASK}", f"Type: surrogate optimum {ASK}"),
    ("help", "Type: surrogate --help"),
    ("help fit", "Type: surrogate fit --help"),
    ("version", "Type: surrogate --version"),
    ("frobnicate", "The commands are demo, check"),
    (f"optimum {DENSE} --param 7B --token 2T", f"Type: surrogate optimum {ASK}"),
    (f"optimum {DENSE} -n 7B -d 2T", f"Type: surrogate optimum {ASK}"),
    (f"optimum {ASK} --learning-rate=3e-4", f"{ASK} --lr=3e-4"),
    (f"regret {ASK} --lr 3e-4 --bs 4Mi", f"{ASK} --lr 3e-4 --batch 4Mi"),
    (f"optimum {ASK} --tol 1%", "It is an option of `surrogate plateau`"),
    (f"plateau {DENSE} --flops 1e22", "ask `surrogate optimum`, which finds"),
    (f"optimum {ASK} --zebra", "there is no option --zebra. Run `surrogate optimum -"),
    (f"optimum {ASK} 3e-4", "got the word '3e-4'"),
    ("optimum", "or a fit that comes with the package (openeurollm-dense, steplaw-"),
    (f"evaluate {DENSE}", "expected a table of finished runs, such as runs.csv"),
    ("fit runs.csv", "fit: expected --out, got none. For example: surrogate fit runs"),
    ("optimum runs.csv --params 7B", "Fit it first: surrogate fit runs.csv --out FIT"),
    (f"evaluate runs.csv {DENSE}", f"Type: surrogate evaluate {DENSE} runs.csv"),
    (f"predict runs.csv {DENSE} --out x", f"predict {DENSE} runs.csv --out x"),
    ("check mine", "got the fit 'mine'"),
    ("optimum mine/manifest.json --params 7B", "Type: surrogate optimum mine --par"),
    ("optimum steplaw --params 7B", "Did you mean steplaw-dense or steplaw-moe?"),
    ("optimum Steplaw-Dense --params 7B", f"optimum {DENSE} --params 7B"),
    ("optimum nothing-like-it --params 7B", "There is nothing at 'nothing-like-it'"),
    (f"optimum {DENSE} --params 7GB --tokens 2T", "Did you mean 7B?"),
    (f"optimum {DENSE} --params 7B --tokens 2TB", "Did you mean 2T?"),
    (f"optimum {DENSE} --params 7B --tokens 2,000B", "Did you mean 2000B?"),
    (f"optimum {ASK} --batch 4MiB", "Did you mean 4Mi?"),
    (f"optimum {ASK} --lr 3e-4e", "--lr: expected a learning rate such as 3e-4, got"),
    (f"plateau {DENSE} --model llama3-8b", "Did you mean llama-3-8b"),
    (f"report {DENSE} --out page.pdf", "a page, whose name ends in .html"),
    (f"regret {DENSE} --points points.csv --out x.csv", "expected columns lr and "),
    (f"optimum {DENSE} --points points.csv --params 7B --out x.csv", "has a column"),
]  # fmt: skip


@pytest.mark.parametrize(("typed", "said"), MISTAKES)
def test_what_was_meant_is_said(
    folder: Path, capsys: pytest.CaptureFixture[str], typed: str, said: str
) -> None:
    assert main(shlex.split(typed)) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert said in captured.err
    assert "Traceback" not in captured.err
    assert main([*shlex.split(typed), "--json"]) == 2
    document = json.loads(capsys.readouterr().out)
    assert document["status"] == "error"


def test_a_power_of_ten_is_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["optimum", DENSE, "--params", "7*10^9", "--tokens", "2T"]) == 0
    assert capsys.readouterr().out.startswith("7B params, 2T tokens")


def spoken(arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "surrogate.cli.main", *shlex.split(arguments)],
        capture_output=True,
        check=False,
        env={**os.environ, **environment},
    )


@pytest.mark.parametrize("columns", ["0", "5"])
def test_a_terminal_without_a_width_is_written_to(columns: str) -> None:
    answered = spoken(f"plateau {ASK}", COLUMNS=columns)
    assert answered.returncode == 0
    assert b"  Use      lr" in answered.stdout


def test_an_old_terminal_gets_plainer_characters() -> None:
    answered = spoken(f"plateau {ASK} --map-plot", PYTHONIOENCODING="ascii")
    assert (answered.returncode, answered.stderr) == (0, b"")
    assert b"@ use  # any lr with any batch" in answered.stdout
