"""The commands that answer from a fit, on a fit that the command itself wrote."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import pytest
from support.cli import runs_csv, surrogate

from surrogate.cli.main import main

Capture = pytest.CaptureFixture[str]
ASK = ("--params", "1.07B", "--tokens", "100B")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory that holds `runs.csv`."""
    monkeypatch.chdir(tmp_path)
    Path("runs.csv").write_text(runs_csv())
    return tmp_path


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fit of the smooth bowls, written by the command itself."""
    home = tmp_path_factory.mktemp("fitted")
    (home / "runs.csv").write_text(runs_csv())
    done = surrogate(
        *("fit", "runs.csv", "--out", "bowls", "--family", "quadratic"),
        *("--bootstrap", "20", "--json"),
        cwd=home,
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["schema"] == 1
    assert document["out"] == "bowls"
    assert (document["runs"], document["cells"], document["bootstrap"]) == (120, 6, 20)
    return home / "bowls"


EVERY_ANSWER = {
    *("schema", "params", "tokens", "scales", "recipe", "family", "loss_kind"),
    *("device", "backend", "extrapolation", "status", "warnings"),
}
QUESTIONS = [
    (
        "optimum",
        (),
        {"lr", "batch", "loss", "interval", "certificate", "stability"},
    ),
    (
        "plateau",
        (),
        {"tol", "loss_min", "loss_limit", "lr", "batch", "lr_at_optimal_batch"}
        | {"batch_at_optimal_lr", "lr_at_batch", "batch_at_lr", "area_octaves2"}
        | {"contour", "open_edges", "interval", "robust", "stability"},
    ),
    (
        "regret",
        ("--lr", "1e-3", "--batch", "256x2048"),
        {"lr", "batch", "loss", "loss_min", "regret", "interval", "inside"}
        | {"probability_inside", "stability"},
    ),
]


@pytest.mark.parametrize(("command", "more", "keys"), QUESTIONS)
def test_answers_carry_the_contract_s_keys(
    command: str, more: tuple[str, ...], keys: set[str], fitted: Path, capsys: Capture
) -> None:
    asked = [command, str(fitted), "--params", "3e8", "--tokens", "2e10", *more]
    assert main([*asked, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert set(document) >= EVERY_ANSWER | keys
    assert (document["params"], document["tokens"]) == (3e8, 2e10)
    assert isinstance(document["extrapolation"]["inside"], bool)
    assert main(asked) == 0
    assert "300M params, 20B tokens" in capsys.readouterr().out
    assert main([*asked, "--all"]) == 0
    assert document["family"] in capsys.readouterr().out


def test_fit_is_found_by_its_relative_path(
    fitted: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(fitted.parent)
    assert main(["optimum", "bowls", *ASK, "--all"]) == 0
    assert "Optimum for 1.07B parameters" in capsys.readouterr().out


def test_optimum_of_the_bowls_is_where_they_were_put(
    fitted: Path, capsys: Capture
) -> None:
    """Closed form: the runs are a noiseless bowl; ln L itself is not quadratic in s."""
    assert main(["optimum", str(fitted), *ASK, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    log_lr = 6.2 - 0.65 * math.log(1.07e9) + 0.2 * math.log(1e11)
    assert math.log(document["lr"]) == pytest.approx(log_lr, abs=0.1)
    assert math.log(document["batch"]) == pytest.approx(13.1, abs=0.1)


def test_p_max_and_probability_reach_the_answer(capsys: Capture) -> None:
    asked = ("--params", "4e8", "--tokens", "2e10", "--json")
    more = ("--p-max", "2%", "--probability", "0.6")
    assert main(["plateau", "steplaw-dense", *asked, *more]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["robust"]["probability"] == 0.6
    assert document["robust"]["max_probability"] >= 0.6
    assert document["stability"]["p_max"] == 0.02
    assert main(["optimum", "steplaw-dense", *asked, "--p-max", "1e-9"]) == 0
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert document["stability"]["probability"] == pytest.approx(1e-9)
    assert any("more than 1e-07% probability" in t for t in document["warnings"])
    choice = ("--lr", "0.01", "--batch", "500000")
    assert main(["regret", "steplaw-dense", *asked, *choice, "--p-max", "1%"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["stability"]["p_max"] == 0.01
    assert any(", above 1%" in text for text in document["warnings"])


def test_unknown_recipe_is_refused(fitted: Path, capsys: Capture) -> None:
    assert main(["optimum", str(fitted), *ASK, "--recipe", "muon"]) == 2
    assert "muon" in capsys.readouterr().err


def test_fit_refuses_a_folder_that_is_not_empty(folder: Path, capsys: Capture) -> None:
    Path("notes").mkdir()
    Path("notes/mine.txt").write_text("keep")
    for more in ((), ("--overwrite",)):
        code = main(["fit", "runs.csv", "--out", "notes", "--bootstrap", "0", *more])
        assert code == 2
        assert "notes" in capsys.readouterr().err
    assert Path("notes/mine.txt").read_text() == "keep"


def test_demo_refuses_a_folder_that_is_not_empty(folder: Path, capsys: Capture) -> None:
    assert main(["demo", "--out", "."]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert [file.name for file in folder.iterdir()] == ["runs.csv"]


def test_predict_keeps_every_row_and_tells_why(
    fitted: Path, folder: Path, capsys: Capture
) -> None:
    lines = [
        "id,lr,batch,params,tokens",
        "a,1e-3,500000,3e8,2e10",
        "b,0,500000,3e8,2e10",
        "c,1e-3,7M,3e8,2e10",
        "d,2e-3,500000,3e8,2e10",
    ]
    Path("points.csv").write_text("\n".join(lines))
    asked = ["predict", str(fitted), "points.csv", "--out", "out.csv", "--json"]
    assert main(asked) == 1
    document = json.loads(capsys.readouterr().out)
    assert set(document) >= EVERY_ANSWER
    assert (document["points"], document["answered"]) == (4, 2)
    rows = list(csv.reader(Path("out.csv").read_text().splitlines()))
    assert [",".join(row[:5]) for row in rows] == lines
    added = ["loss", "loss_low", "loss_high", "inside", "distance", "status"]
    assert rows[0][5:] == added
    assert [row[-1] == "ok" for row in rows[1:]] == [True, False, False, True]
    assert "above 0" in rows[2][-1]
    assert "write 7000000" in rows[3][-1]
    assert rows[2][5:-1] == [""] * 5
    assert float(rows[1][5]) > 0
    assert main(asked) == 2
    assert "the file exists" in capsys.readouterr().err
    assert main([*asked, "--overwrite", "--max-dropped", "50%"]) == 0
    assert [file.name for file in folder.iterdir() if file.name.startswith(".")] == []


POINTS = [
    ("lr,bs,params,tokens\n1e-3,256,3e8,2e10", "'bs' counts sequences"),
    ("lr,params,tokens\n1e-3,3e8,2e10", "expected a column for batch"),
    ("lr,peak_lr,batch,params,tokens\n1,1,1,1,1", "'lr' and 'peak_lr'"),
    ("lr,batch,params,tokens,loss\n1e-3,5e5,3e8,2e10,3", "measured_loss"),
    (
        "lr,batch,params,tokens\n1e-3,5e5,3e8,2e10\n1e-3,5e5,3e8",
        "3 fields where the header has 4",
    ),
]


@pytest.mark.parametrize(("content", "message"), POINTS)
def test_predict_refuses_a_file_that_it_cannot_read(
    content: str, message: str, fitted: Path, folder: Path, capsys: Capture
) -> None:
    Path("points.csv").write_text(content)
    assert main(["predict", str(fitted), "points.csv", "--out", "out.csv"]) == 2
    assert message in capsys.readouterr().err
    assert not Path("out.csv").exists()


@pytest.mark.parametrize(
    ("out", "message"),
    [(".", "got a directory"), ("runs.csv", "is the file of points")],
)
def test_predict_refuses_where_to_write(
    out: str, message: str, fitted: Path, folder: Path, capsys: Capture
) -> None:
    assert main(["predict", str(fitted), "runs.csv", "--out", out, "--overwrite"]) == 2
    assert message in capsys.readouterr().err


def test_predict_takes_a_recipe_once_and_marks_unknown_ones(
    fitted: Path, folder: Path, capsys: Capture
) -> None:
    header = "lr,batch,params,tokens,recipe\n"
    Path("points.csv").write_text(f"{header}1e-3,5e5,3e8,2e10,muon\n")
    asked = ["predict", str(fitted), "points.csv", "--out", "out.csv"]
    assert main([*asked, "--recipe", "muon"]) == 2
    assert "has a column recipe" in capsys.readouterr().err
    assert main(asked) == 1
    assert "is not among the fit's" in Path("out.csv").read_text()


def test_predict_takes_a_scale_once(
    fitted: Path, folder: Path, capsys: Capture
) -> None:
    """The fit has no scale: any value for one is refused, never ignored."""
    Path("points.csv").write_text("lr,batch,params,tokens\n1e-3,5e5,3e8,2e10\n")
    asked = ["predict", str(fitted), "points.csv", "--out", "out.csv"]
    assert main([*asked, "--scale", "active=5e8"]) == 2
    assert "active" in capsys.readouterr().err


def test_evaluate_reads_runs_as_check_does(
    fitted: Path, folder: Path, capsys: Capture
) -> None:
    assert main(["evaluate", str(fitted), "runs.csv", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert set(document) >= {
        *("runs", "runs_diverged", "r2", "mae", "rmse", "bias", "spearman"),
        *("regret", "regret_smoothed", "cells", "band"),
        *EVERY_ANSWER,
    }
    assert len(document["cells"]) == 6
    assert main(["evaluate", str(fitted), "runs.csv"]) == 0
    assert "Evaluation on these runs" in capsys.readouterr().out
