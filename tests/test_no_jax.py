"""Answers import nothing heavy: each command, each question in Python, in a child."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

AT = ["--params", "1B", "--tokens", "20B"]
CHOICE = ["--lr", "1e-3", "--batch", "512Ki"]
FIT = "bundled:steplaw-dense"
DENSE = "steplaw/dense_lr_bs_loss.csv"
HEAVY = ("jax", "jaxlib", "orbax", "scipy.stats", "scipy.optimize", "pydantic")

CHILD = f"""
import json, sys
from surrogate.cli.main import main
code = main(sys.argv[1:])
heavy = [name for name in {HEAVY!r} if name in sys.modules]
print(json.dumps([code, heavy]), file=sys.stderr)
"""


def run(code: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


def loaded(folder: Path, *arguments: str) -> tuple[int, list[str]]:
    """The exit code of a command and what heavy modules it imported."""
    code, heavy = json.loads(run(CHILD, folder, *arguments).stderr.splitlines()[-1])
    return code, heavy


@pytest.mark.parametrize(
    "command",
    [
        ["--help"],
        ["fit", "--help"],
        ["optimum", FIT, *AT],
        ["optimum", FIT, "--params", "1B", "--steps", "60000"],
        ["optimum", FIT, "--flops", "1.2e20"],
        ["plateau", FIT, *AT],
        ["plateau", "bundled:steplaw-moe", *AT, "--scale", "active=300M"],
        ["regret", FIT, *AT, *CHOICE],
        ["next", FIT, "--params", "3B", "--tokens", "100B", "--budget", "1e20"],
        ["compare", FIT, *AT],
        ["law", "list"],
        ["law", "step-law", *AT],
        ["report", FIT, "--out", "page.html"],
        ["plot", "surface", FIT, *AT, "--out", "surface.svg"],
        ["plot", "scaling", FIT, "--out", "scaling.svg"],
        ["plot", "slices", FIT, *AT, "--out", "slices.svg"],
    ],
    ids=" ".join,
)
def test_an_answer_imports_no_jax(tmp_path: Path, command: list[str]) -> None:
    if command[0] == "plot":
        pytest.importorskip("matplotlib")
    code, heavy = loaded(tmp_path, *command)
    # 1: answered, with an edge of the plateau or the optimum on the box.
    assert code in (0, 1)
    assert heavy == []


@pytest.mark.parametrize("command", ["check", "evaluate", "compare", "compare RUNS"])
def test_a_table_of_runs_is_read_and_judged_without_jax(
    tmp_path: Path, data_dir: Path, command: str
) -> None:
    runs = str(data_dir / DENSE)
    how = ["--loss-kind", "train_smoothed", "--seq-len", "2048"]
    arguments = {
        "check": ["check", runs, *how],
        "evaluate": ["evaluate", FIT, runs, *how],
        "compare": ["compare", FIT, "--runs", runs, *how],
        "compare RUNS": ["compare", runs, *how],
    }
    assert loaded(tmp_path, *arguments[command]) == (0, [])


def test_points_are_predicted_without_jax(tmp_path: Path) -> None:
    points = tmp_path / "points.csv"
    points.write_text("lr,batch,params,tokens\n1e-3,524288,1e9,2e10\n")
    how = ["predict", FIT, str(points), "--out", "out.csv"]
    assert loaded(tmp_path, *how) == (0, [])


def test_questions_in_python_import_no_jax(tmp_path: Path) -> None:
    code = f"""
import json, sys, surrogate
fit = surrogate.load({FIT!r})
size = dict(params=1e9, tokens=2e10)
best = fit.optimum(**size)
fit.optimum(**size, lr=1e-3)
fit.optimum(params=1e9, steps=3e4)
fit.plateau(**size, batch=5e5, lr=1e-3)
fit.regret(**size, lr=1e-3, batch=5e5)
fit.predict([1e-3] * 3, 5e5, 1e9, 2e10)
print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))
print(best.context.device, best.context.backend)
"""
    heavy, ran = run(code, tmp_path).stdout.splitlines()
    assert json.loads(heavy) == []
    assert ran == "cpu numpy"
