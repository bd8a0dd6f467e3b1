"""A file of questions: every row comes back, with its answer or why it has none."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from surrogate.answers import load
from surrogate.cli.main import main

Capture = pytest.CaptureFixture[str]
DENSE = "bundled:steplaw-dense"
FILE = """name,params,tokens,lr,batch
a,1B,20x,1e-3,512Ki
b,7e9,2T,3e-4,1024x4096
c,big,2T,3e-4,4Mi
d,1e9,,1e-3,512Ki
"""


@pytest.fixture
def points(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("points.csv").write_text(FILE)
    return Path("points.csv")


def rows(name: str = "out.csv") -> list[dict[str, str]]:
    with open(name, newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("command", ["optimum", "plateau", "regret"])
def test_every_row_comes_back(command: str, points: Path, capsys: Capture) -> None:
    text = FILE
    if command == "optimum":
        # Both lr and batch held leave nothing to choose.
        text = "\n".join(line.rsplit(",", 2)[0] for line in FILE.splitlines())
        points.write_text(text)
    asked = [command, DENSE, "--points", "points.csv", "--out", "out.csv", "--json"]
    assert main(asked) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["points"], document["answered"]) == (4, 2)
    found = rows()
    assert [row["name"] for row in found] == ["a", "b", "c", "d"]
    assert "'big'" in found[2]["status"]
    assert "--tokens" in found[3]["status"]
    assert found[1]["trust"] == "too_uncertain"
    assert float(found[1]["suggested_lr"]) == 6.4e-4
    if command == "regret":
        fit = load(DENSE)
        one = fit.regret(params=1e9, tokens=2e10, lr=1e-3, batch=2.0**19)
        assert float(found[0]["regret"]) == one.regret
        assert float(found[0]["regret_upper"]) == one.upper
    if command == "plateau":
        assert (
            float(found[1]["inner_lr_low"]) < 6.4e-4 < float(found[1]["inner_lr_high"])
        )
    assert main(asked) == 2
    assert "the file exists" in capsys.readouterr().err


def test_models_and_options_fill_what_a_row_leaves_out(
    points: Path, capsys: Capture
) -> None:
    points.write_text("model\nllama-7b\nllama-3-8b\n")
    asked = ["regret", DENSE, "--points", "points.csv", "--out", "out.csv"]
    assert main([*asked, "--lr", "3e-4"]) == 0
    said = capsys.readouterr().out
    assert "answered" in said
    found = rows()
    assert found[0]["status"] == "ok"
    assert "batch: expected a value" in found[1]["status"]


REFUSED = [
    (("--points", "points.csv"), "expected --out CSV"),
    (("--out", "out.csv"), "expected with --points"),
    (("--points", "none.csv", "--out", "out.csv"), "none.csv"),
    (("--points", "points.csv", "--out", "points.csv"), "is the file of points"),
    (
        ("--points", "points.csv", "--out", "out.csv", "--tol", "5%tokens"),
        "another tolerance at every size",
    ),
]


@pytest.mark.parametrize(("more", "message"), REFUSED)
def test_files_are_refused(
    more: tuple[str, ...], message: str, points: Path, capsys: Capture
) -> None:
    size = ("--params", "1B", "--tokens", "20B")
    assert main(["plateau", DENSE, *size, *more]) == 2
    assert message in capsys.readouterr().err
    assert not Path("out.csv").exists()


def test_a_column_of_the_answer_s_name_is_refused(
    points: Path, capsys: Capture
) -> None:
    points.write_text("params,tokens,trust\n1B,20B,yes\n")
    asked = ["plateau", DENSE, "--points", "points.csv", "--out", "out.csv"]
    assert main(asked) == 2
    assert "'trust' has the name of a column" in capsys.readouterr().err
