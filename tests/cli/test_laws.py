"""`surrogate law` and `surrogate compare`: contract, refusals, what is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.cli import runs_csv, surrogate

from surrogate.answers import load
from surrogate.cli.main import main
from surrogate.cli.text import laws
from surrogate.laws import LAWS

Capture = pytest.CaptureFixture[str]
COMMON = {
    "schema",
    "params",
    "tokens",
    "scales",
    "recipe",
    "family",
    "loss_kind",
    "device",
    "backend",
    "extrapolation",
    "status",
    "warnings",
}
POINT = ("--params", "1B", "--tokens", "20B")


def answer(capsys: Capture, *arguments: str, code: int = 0) -> dict[str, Any]:
    """The one JSON document that the command prints."""
    assert main([*arguments, "--json"]) == code
    out = capsys.readouterr().out
    assert out.count("\n") == 1

    def refuse(text: str) -> None:
        raise AssertionError(f"{text} in JSON")

    return json.loads(out, parse_constant=refuse)


def rows(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in document["laws"]}


# ---- law --------------------------------------------------------------------------


def test_law_list_names_every_law(capsys: Capture) -> None:
    assert main(["law", "list"]) == 0
    out = capsys.readouterr().out
    assert all(law.name in out for law in LAWS)
    assert "Not evaluated: its constant was not found" in out
    found = rows(answer(capsys, "law", "list"))
    assert list(found) == [law.name for law in LAWS]
    assert found["deepseek"]["lr_formula"] == "0.3118 C^-0.125"
    assert found["bjorck"]["batch_formula"] is None
    assert all(row["source"] for row in found.values())


def test_law_answers_with_the_contracts_keys(capsys: Capture) -> None:
    found = answer(capsys, "law", "step-law", *POINT)
    assert COMMON <= found.keys()
    assert found["lr"] == pytest.approx(1.79 * 1e9**-0.713 * 2e10**0.307)
    assert found["batch"] == pytest.approx(0.58 * 2e10**0.571)
    assert found["extrapolation"] == {"inside": True, "distance": None}
    assert (found["compute"], found["status"]) == (None, "ok")


def test_law_prints_numbers_first_then_where_they_are_from(capsys: Capture) -> None:
    shape = ("--layers", "30", "--width", "4096", "--seq-len", "4096")
    assert main(["law", "deepseek", "--params", "7B", "--tokens", "2T", *shape]) == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert lines[1].split() == ["lr", "4.25e-4"]
    assert "https://arxiv.org/abs/2401.02954" in captured.out
    assert "0.3188 for 0.3118" in captured.out
    assert "outside its fitted range" in captured.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("stepp-law", *POINT), "Did you mean step-law?"),
        (("step-law",), "expected --params and --tokens, got neither"),
        (("step-law", "--params", "1B"), "got one of them"),
        (("deepseek", *POINT), "expected the shape"),
        (("deepseek", *POINT, "--layers", "30"), "expected all three"),
        (("ling", *POINT), "Add --active-params"),
        (("kaplan", "--params", "20B", "--tokens", "1T"), "below 12.1B"),
        (("minicpm", *POINT), "Add --loss"),
        (("power-scheduler", *POINT, "--batch", "1M"), "Add --seq-len"),
        (("internlm", *POINT), "not clear to us"),
        (("ling", *POINT, "--active-params", "2B"), "at most --params"),
        (("\x1b[31m\nred", *POINT), r"'\x1b[31m\nred'"),
    ],
)
def test_law_refuses_what_it_cannot_answer(
    capsys: Capture, arguments: tuple[str, ...], message: str
) -> None:
    found = answer(capsys, "law", *arguments, code=2)
    assert message in found["error"]["message"]


def test_law_of_all_options(capsys: Capture) -> None:
    moe = ("--active-params", "300M", "--layers", "16", "--width", "1408")
    found = answer(capsys, "law", "ling", *POINT, *moe, "--seq-len", "2048")
    assert found["compute"] == pytest.approx(
        (6 * 3e8 + 12 * 16 * 1408 * 2048) * 2e10, rel=1e-12
    )
    found = answer(
        capsys,
        "law",
        "power-scheduler",
        *POINT,
        "--batch",
        "64x4096",
        "--seq-len",
        "4096",
    )
    assert found["lr"] == pytest.approx(4 * 64 * 2e10**-0.51)
    found = answer(capsys, "law", "kaplan", *POINT, "--loss", "2.5")
    assert found["batch"] == pytest.approx(2e8 / 2.5 ** (1 / 0.21))
    found = answer(capsys, "law", "moonlight", *POINT, "--compute", "1e20")
    assert found["compute"] == 1e20


def test_law_imports_no_jax(tmp_path: Path) -> None:
    import subprocess
    import sys

    code = (
        "import sys; from surrogate.cli.main import main; main(['law', 'list']); "
        "print('jax' in sys.modules, 'numpy' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "False False"


# ---- compare ----------------------------------------------------------------------


def test_compare_scores_every_law_beside_the_surrogate(
    tmp_path: Path, capsys: Capture
) -> None:
    path = tmp_path / "runs.csv"
    path.write_text(runs_csv(), encoding="utf-8")
    document = answer(capsys, "compare", str(path), "--family", "quadratic")
    assert COMMON <= document.keys()
    assert (document["cells"], document["family"]) == (6, "quadratic")
    found = rows(document)
    assert list(found)[:3] == ["surrogate", "step-law-refit", "step-law-refit-n"]
    assert {found[name]["sample"] for name in list(found)[:3]} == {"held-out"}
    assert {row["sample"] for row in list(found.values())[3:]} == {
        "out-of-sample",
        None,
    }
    # The sweep is six exact bowls about a power law, of which the quadratic is one.
    assert found["surrogate"]["regret"]["mean"] < 1e-3
    assert found["kaplan"]["regret"]["mean"] > 1e-2
    assert len(found["deepseek"]["cells"]) == 6
    assert "C = 6 N D" in found["deepseek"]["warnings"][0]
    assert found["power-lines"]["regret"] is None
    assert "not found" in found["power-lines"]["reason"]
    lines = _text(laws.cells(document))
    assert "Published laws and the surrogate (quadratic) on 6 cells" in lines
    assert "held-out, without the cell" in lines
    assert "Not computed" in lines


def _text(renderables: Any) -> str:
    from rich.console import Console

    console = Console(width=80, markup=False)
    with console.capture() as captured:
        for renderable in renderables:
            console.print(renderable)
    return captured.get()


def test_compare_at_a_point_of_a_bundled_fit(capsys: Capture) -> None:
    document = answer(capsys, "compare", "steplaw-dense", *POINT)
    assert COMMON <= document.keys()
    found = rows(document)
    best = document["optimum"]
    assert best["lr"] == pytest.approx(1.06e-3, rel=0.01)
    assert 0 < found["step-law"]["regret"] < 0.002 < found["deepseek"]["regret"]
    assert found["step-law"]["inside"] is True
    at_its_lr = load("steplaw-dense").optimum(
        params=1e9, tokens=2e10, lr=found["bjorck"]["lr"]
    )
    assert found["bjorck"]["batch"] == pytest.approx(at_its_lr.batch, rel=1e-6)
    assert "it gets the fit's best at its lr" in found["bjorck"]["warnings"][-1]
    assert found["minicpm"]["lr"] > 0
    assert "--seq-len" in found["power-scheduler"]["reason"]
    assert "predicted regret" in _text(laws.point(document))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("steplaw-dense",), "Name their file with --runs FILE"),
        (
            ("steplaw-dense", "--params", "1B"),
            "expected --params and --tokens together",
        ),
        (("steplaw-dense", "runs.csv"), "Name the runs with --runs"),
        (("runs.csv", "--layers", "3"), "are of one point"),
        (("runs.csv", "--family", "bowls"), "Did you mean bowl?"),
        (("nothing.csv",), "nothing.csv"),
        (("steplaw-dense", *POINT, "--at", "active=1B"), "active"),
        (("steplaw-moe", *POINT), "active"),
    ],
)
def test_compare_refuses_what_it_cannot_answer(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
    arguments: tuple[str, ...],
    message: str,
) -> None:
    (tmp_path / "runs.csv").write_text(runs_csv(), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    found = answer(capsys, "compare", *arguments, code=2)
    assert message in found["error"]["message"]


def test_compare_refuses_other_runs_than_the_fits(
    tmp_path: Path, capsys: Capture
) -> None:
    path = tmp_path / "runs.csv"
    path.write_text(runs_csv(), encoding="utf-8")
    found = answer(capsys, "compare", "steplaw-dense", "--runs", str(path), code=2)
    assert "SHA-256 differs" in found["error"]["message"]


def test_compare_of_bundled_runs_at_a_point_takes_their_fit(
    data_dir: Path, capsys: Capture
) -> None:
    path = str(data_dir / "steplaw/moe_lr_bs_loss.csv")
    asked = ("--params", "2.15B", "--tokens", "20B", "--at", "active=590M")
    found = answer(capsys, "compare", path, "--scale", "active=Na", *asked)
    other = answer(capsys, "compare", "steplaw-moe", *asked)
    assert found == other
    assert found["scales"] == {"active": 5.9e8}
    # Of the active parameters, with the length of the attention not known.
    assert rows(found)["ling"]["lr"] == pytest.approx(
        1.1576 * (6 * 5.9e8 * 2e10) ** -0.1529
    )


def test_compare_prints_the_dense_table(data_dir: Path, tmp_path: Path) -> None:
    """As a user: a process of its own, scores stored with the bundled fit."""
    done = surrogate(
        "compare", str(data_dir / "steplaw/dense_lr_bs_loss.csv"), cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    table = {line.split()[0]: line.split() for line in done.stdout.splitlines() if line}
    assert table["step-law"][1:5] == ["in", "0.12", "±", "0.01"]
    assert table["deepseek"][1:5] == ["other", "0.83", "±", "0.04"]
    assert table["surrogate"][1:5] == ["held-out", "0.096", "±", "0.013"]
    assert "Scores stored with steplaw-dense" in done.stdout
    # Fits a terminal of 80 columns: no name is broken.
    assert "step-law-refit-n" in table
    assert max(map(len, done.stdout.splitlines())) <= 80
