"""`surrogate next`: what it prints, writes and refuses."""

from __future__ import annotations

import csv
import json
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from surrogate.cli.main import main

AT = ["--params", "7B", "--tokens", "2T"]
PLAN = ["next", "bundled:steplaw-dense", *AT, "--budget", "1e20"]


def document(capsys: pytest.CaptureFixture[str], *more: str) -> dict[str, Any]:
    assert main([*PLAN, *more, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def error(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(list(words)) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "Traceback" not in said.err
    return said.err


@pytest.mark.parametrize("runs", ["8", "32"])
def test_a_plan_fits_a_screen(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, runs: str
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main([*PLAN, "--runs", runs, "--budget", "1e21"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 25
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    for word in ("Runs", "Buys", "Pays", "->", "FLOPs", "total", "--out plan.csv"):
        assert word in text


def test_the_text_tells_the_documents_numbers(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    found = document(capsys)
    assert main(PLAN) == 0
    text = capsys.readouterr().out
    assert f"{len(found['runs'])} for" in text
    ends = [found[when]["lr_factor"] for when in ("before", "after")]
    assert f"x{ends[0]:.2f} -> x{ends[1]:.2f}" in text
    first = found["runs"][0]
    row = next(line for line in text.splitlines() if line.startswith("1 "))
    assert float(row.split()[1]) == first["lr"]


def test_the_document(capsys: pytest.CaptureFixture[str]) -> None:
    found = document(capsys)
    assert found["status"] == "ok"
    assert found["flops"] == found["runs"][-1]["flops_total"] <= 1e20
    assert found["budget"] == 1e20
    assert {"lr", "batch", "params", "tokens", "flops"} <= set(found["runs"][0])
    for when in ("before", "after"):
        assert {"lr", "batch", "loss", "regret", "regret_upper"} <= set(found[when])
    assert found["stop"]["pays"] in (True, False)
    assert [run["seed"] for run in found["runs"]] == list(range(len(found["runs"])))


def test_a_share_is_of_the_targets_flops(capsys: pytest.CaptureFixture[str]) -> None:
    found = document(capsys, "--budget", "0.1%")
    assert found["budget"] == pytest.approx(0.001 * 6 * 7e9 * 2e12)


def test_files(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    names = [
        tmp_path / f"plan{suffix}" for suffix in (".csv", ".yaml", ".txt", ".json")
    ]
    found = document(capsys, *(w for n in names for w in ("--out", str(n))))
    assert found["files"] == [str(name) for name in names]
    with names[0].open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == len(found["runs"])
    for row, run in zip(rows, found["runs"], strict=True):
        for key in ("lr", "batch", "params", "tokens", "flops", "flops_total"):
            assert float(row[key]) == pytest.approx(run[key], rel=1e-12)
        assert float(row["lr_factor_after"]) == run["after"]["lr_factor"]
    listed = [line for line in names[1].read_text().splitlines() if "- {" in line]
    sweep = [json.loads(line.strip().removeprefix("- ")) for line in listed]
    assert [run["lr"] for run in sweep] == [run["lr"] for run in found["runs"]]
    assert all(isinstance(run["batch"], int) for run in sweep)
    assert "method: grid" in names[1].read_text()
    assert names[2].read_text().startswith(f"--lr {found['runs'][0]['lr']} --batch ")
    assert json.loads(names[3].read_text())["runs"] == found["runs"]
    said = error(capsys, *PLAN, "--out", str(names[0]))
    assert "the file exists" in said
    document(capsys, "--out", str(names[0]), "--overwrite")


def test_a_sweep_is_yaml(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    yaml = pytest.importorskip("yaml")
    file = tmp_path / "plan.yml"
    found = document(capsys, "--out", str(file))
    values = yaml.safe_load(file.read_text())["parameters"]["run"]["values"]
    assert [run["tokens"] for run in values] == [r["tokens"] for r in found["runs"]]


def test_optuna_that_is_missing_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    said = error(capsys, *PLAN, "--optuna", "sqlite:///plan.db")
    assert "pip install 'loss-surrogate[optuna]'" in said


class Study:
    def __init__(self) -> None:
        self.trials: list[dict[str, Any]] = []

    def enqueue_trial(self, params: dict[str, Any], user_attrs: Any = None) -> None:
        self.trials.append(params)


@pytest.mark.parametrize("is_refused", [False, True])
def test_runs_are_enqueued_as_trials(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    is_refused: bool,
) -> None:
    """Against a stand-in with Optuna's names; the package itself below."""
    study, asked = Study(), {}

    def create_study(**given: Any) -> Study:
        asked.update(given)
        if is_refused:
            raise ValueError("no such dialect")
        return study

    fake: Any = types.ModuleType("optuna")
    fake.create_study = create_study
    fake.logging = types.SimpleNamespace(WARNING=30, set_verbosity=lambda level: None)
    monkeypatch.setitem(sys.modules, "optuna", fake)
    if is_refused:
        assert "no such dialect" in error(capsys, *PLAN, "--optuna", "moon://x")
        return
    found = document(capsys, "--optuna", "sqlite:///plan.db", "--study", "mine")
    assert asked["storage"] == "sqlite:///plan.db"
    assert asked["study_name"] == "mine"
    assert asked["load_if_exists"]
    assert [t["lr"] for t in study.trials] == [run["lr"] for run in found["runs"]]


def test_optuna_itself_takes_them(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    optuna = pytest.importorskip("optuna")
    storage = f"sqlite:///{tmp_path}/plan.db"
    found = document(capsys, "--optuna", storage)
    study = optuna.load_study(study_name="surrogate-next", storage=storage)
    trial = study.ask()
    assert trial.suggest_float("lr", 1e-6, 1.0) == found["runs"][0]["lr"]


def test_a_prior_stands_for_a_fit(capsys: pytest.CaptureFixture[str]) -> None:
    prior = ["next", "--prior", "bundled:steplaw-dense", *AT, "--budget", "1e20"]
    assert main([*prior, "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["prior"]
    assert "another lab" in said.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["next", *AT, "--budget", "1e20"], "got neither"),
        ([*PLAN, "--prior", "steplaw-dense"], "got both"),
        (PLAN[:-2], "Missing option '--budget'"),
        (["next", "steplaw-dense", "--budget", "1e20"], "Missing option '--params'"),
        ([*PLAN, "--budget", "1e18"], "budget of at least 5.2e+18 FLOPs"),
        ([*PLAN, "--budget", "soon"], "--budget"),
        ([*PLAN, "--runs", "2.5"], "--runs: expected a whole number"),
        ([*PLAN, "--for", "regert"], "Did you mean"),
        ([*PLAN, "--out", "plan.doc"], "expected a name that ends in .csv"),
        ([*PLAN, "--lr-levels", "1e-3,fast"], "--lr-levels"),
        ([*PLAN, "--runs", "100000"], "the candidates within the limits"),
        (
            [
                "next",
                "steplaw-dense",
                "--params",
                "1.07B",
                "--tokens",
                "20B",
                *PLAN[-2:],
            ],
            "beyond the finished cells",
        ),
    ],
    ids=lambda value: " ".join(value[-3:]) if isinstance(value, list) else None,
)
def test_what_is_asked_wrongly(
    capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert message in error(capsys, *words)
