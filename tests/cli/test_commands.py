"""The command: what it accepts, what it refuses and how, what it prints where."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.cli import HEADER, runs_csv, surrogate

from surrogate.base.errors import DataError, SolveError
from surrogate.cli.main import main

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory that holds `runs.csv`."""
    monkeypatch.chdir(tmp_path)
    Path("runs.csv").write_text(runs_csv())
    return tmp_path


def test_commands_are_those_of_the_contract(tmp_path: Path) -> None:
    done = surrogate("--help", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stderr == ""
    listed = done.stdout.split("Ask:")[1].split("\n")
    assert [line.split()[0] for line in listed if line.startswith("  ")] == [
        *("optimum", "plateau", "regret", "next", "predict", "models", "law"),
        *("demo", "check", "fit", "evaluate", "validate", "compare", "data"),
        *("report", "plot"),
    ]
    assert "surrogate plateau steplaw-dense --params 3B --tokens 60B" in done.stdout


def test_help_imports_neither_jax_nor_numpy(tmp_path: Path) -> None:
    code = (
        "import sys; from surrogate.cli.main import main; code = main(['--help']);"
        "print(code, [m for m in ('jax', 'numpy', 'rich') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout.splitlines()[-1] == "0 []"


def test_version_is_the_distribution_s(capsys: Capture) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == "surrogate 0.1.0\n"


def test_no_command_is_asked_wrongly(capsys: Capture) -> None:
    assert main([]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Usage: surrogate" in captured.err


@dataclass(frozen=True)
class Fault:
    """A question asked wrongly: its arguments, a file beside runs.csv, the message."""

    name: str
    arguments: str
    message: str
    file: str | bytes | None = None

    def __str__(self) -> str:
        return self.name


ROW = "1e-3,500000,1e8,4e9,3.1"
FAULTS = [
    Fault("unknown command", "ceck runs.csv", "There is no command ceck. Did"),
    Fault("unknown option", "check runs.csv --sec-len 3", "no option --sec-len. Did"),
    Fault("missing argument", "check", "expected a table of finished runs"),
    Fault("missing option", "plateau x --params 1B", "Missing option '--tokens'"),
    Fault("no such file", "check none.csv", "none.csv: expected a file of runs"),
    Fault("directory", "check .", "got a directory"),
    Fault("empty file", "check bad.csv", "got an empty file", ""),
    Fault("header only", "check bad.csv", "expected a header and rows", HEADER),
    Fault("binary", "check bad.csv", "got a NUL byte", b"a\0b"),
    Fault("missing column", "check bad.csv", "batch", "lr,params,tokens,loss\n1,1,1,1"),
    Fault(
        "doubled column",
        "check bad.csv",
        "2 columns could be lr",
        f"{HEADER},lr\n{ROW},1e-4",
    ),
    Fault(
        "two candidates",
        "check bad.csv",
        "learning_rate",
        f"{HEADER},learning_rate\n{ROW},1e-4",
    ),
    Fault(
        "looks like sequences",
        "check bad.csv",
        "sequences",
        f"{HEADER}\n1e-3,256,1e8,4e9,3.1",
    ),
    Fault(
        "tokens in billions",
        "check bad.csv",
        "billions",
        f"{HEADER}\n1e-3,500000,1e8,4,3.1",
    ),
    Fault(
        "no usable row",
        "check bad.csv",
        "thousands separator",
        f'{HEADER}\n1e-3,500000,1e8,4e9,"3,100"',
    ),
    Fault("map without equals", "check runs.csv --map loss", "expected ROLE=COLUMN"),
    Fault(
        "map twice", "check runs.csv --map lr=lr --map lr=batch", "'lr' is given twice"
    ),
    Fault("map to no column", "check runs.csv --map loss=lss", "lss"),
    Fault("seq-len", "check runs.csv --seq-len 20.5", "expected a whole number"),
    Fault("loss kind", "check runs.csv --loss-kind valid", "Did you mean validation"),
    Fault("params kind", "check runs.csv --params-kind x", "--params-kind: expected"),
    Fault(
        "max-dropped", "check runs.csv --max-dropped 10", "expected a share from 0% to"
    ),
    Fault("family", "fit runs.csv --out o --family quadratc", "Did you mean quadratic"),
    Fault("device", "fit runs.csv --out o --device tpu", "--device: expected one of"),
    Fault("backend", "fit runs.csv --out o --backend x", "--backend: expected one of"),
    Fault("negative draws", "fit runs.csv --out o --bootstrap -1", "--bootstrap"),
    Fault("params of 0", "optimum f --params 0 --tokens 1B", "--params: expected"),
    Fault("tokens of 0", "optimum f --params 1B --tokens 0", "--tokens: expected"),
    Fault("no number", "optimum f --params big --tokens 1B", "got 'big'"),
    Fault("nan", "optimum f --params nan --tokens 1B", "got 'nan'"),
    Fault("tol of 0", "plateau f --params 1B --tokens 9B --tol 0", "--tol: expected"),
    Fault("p-max of 0", "optimum f --params 1B --tokens 9B --p-max 0", "--p-max:"),
    Fault("p-max of 1", "plateau f --params 1B --tokens 9B --p-max 100%", "below 100%"),
    Fault("p-max above 1", "optimum f --params 1B --tokens 9B --p-max 5", "--p-max:"),
    Fault(
        "probability of 1",
        "plateau f --params 1B --tokens 9B --probability 1",
        "--probability: expected a share above 0% and below 100%",
    ),
    Fault(
        "probability of words",
        "plateau f --params 1B --tokens 9B --probability most",
        "--probability: expected",
    ),
    Fault("lr of 0", "regret f --params 1B --tokens 9B --lr 0 --batch 1M", "--lr:"),
    Fault(
        "batch of words",
        "regret f --params 1B --tokens 9B --lr 1e-3 --batch 2x3x4",
        "sequences x length",
    ),
    Fault(
        "range upside down",
        "optimum f --params 1B --tokens 9B --lr-range 1e-2:1e-4",
        "LO below HI",
    ),
    Fault(
        "both fixed",
        "optimum f --params 1B --tokens 9B --lr 1e-3 --batch 1M",
        "nothing is left to choose",
    ),
    Fault(
        "fixed and chosen",
        "optimum f --params 1B --tokens 9B --batch 1M --batch-multiple 2",
        "fixes it",
    ),
    Fault(
        "scale without value",
        "optimum f --params 1B --tokens 9B --scale active",
        "expected NAME=VALUE",
    ),
    Fault("no such fit", "optimum none --params 1B --tokens 9B", "none"),
    Fault("file, not a fit", "optimum runs.csv --params 1B --tokens 9B", "runs.csv"),
    Fault("folder, not a fit", "optimum . --params 1B --tokens 9B", "."),
]


@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_asked_wrongly(
    fault: Fault, as_json: bool, folder: Path, capsys: Capture
) -> None:
    if isinstance(fault.file, bytes):
        Path("bad.csv").write_bytes(fault.file)
    elif fault.file is not None:
        Path("bad.csv").write_text(fault.file)
    code = main([*fault.arguments.split(), *(["--json"] if as_json else [])])
    captured = capsys.readouterr()
    assert code == 2
    assert captured.err.startswith("surrogate: error: ")
    assert fault.message in captured.err
    assert captured.err.count("\n") <= 6
    if as_json:
        document = json.loads(captured.out)
        assert (document["schema"], document["status"]) == (1, "error")
        assert fault.message in document["error"]["message"]
    else:
        assert captured.out == ""


DROPPED = [
    ("0,500000,1e8,4e9,3.1", "lr", "above 0"),
    ("-1e-3,500000,1e8,4e9,3.1", "lr", "above 0"),
    ("1e-3,500000,1e8,4e9,-3.1", "loss", "above 0"),
    ("1e-3,500000,1e8,,3.1", "tokens", "empty cell"),
    ("1e-3,500000,1e8,4e9,", "loss", "empty cell"),
    ("nan,500000,1e8,4e9,3.1", "lr", "finite"),
    ('1e-3,500000,1e8,4e9,"3,100"', "loss", "thousands separator"),
]


@pytest.mark.parametrize(("row", "column", "reason"), DROPPED)
def test_check_lists_a_dropped_row(
    row: str, column: str, reason: str, folder: Path, capsys: Capture
) -> None:
    Path("runs.csv").write_text(runs_csv(extra=(row,)))
    assert main(["check", "runs.csv", "--json"]) == 0
    captured = capsys.readouterr()
    (dropped,) = json.loads(captured.out)["dropped"]
    assert (dropped["file"], dropped["line"]) == ("runs.csv", 122)
    assert dropped["column"] == column
    assert reason in dropped["reason"]
    assert main(["check", "runs.csv"]) == 0
    assert "1 row dropped" in capsys.readouterr().out


def test_check_document_has_the_contract_s_keys(folder: Path, capsys: Capture) -> None:
    Path("runs.csv").write_text(runs_csv(extra=("1e-3,524288,1e8,4e9,nan",)))
    assert main(["check", "runs.csv", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["runs"], document["cells"], document["diverged"]) == (121, 6, 1)
    assert document["dropped"] == []
    assert document["identifiable"] == {
        "lr": True,
        "batch": True,
        "params": True,
        "tokens": True,
        "lr_batch": True,
    }
    assert document["ranges"]["batch"] == [131072.0, 1048576.0]


def test_check_warns_on_stderr_of_what_cannot_be_told(
    folder: Path, capsys: Capture
) -> None:
    Path("one.csv").write_text(f"{HEADER}\n{ROW}\n")
    assert main(["check", "one.csv"]) == 0
    captured = capsys.readouterr()
    assert "lr no, batch no, lr with batch no, params no, tokens no" in captured.out
    assert "one cell" in captured.err
    assert "warning" not in captured.out


@pytest.mark.parametrize(
    ("share", "code"), [("0", 1), ("0.8%", 1), ("0.9%", 0), ("100%", 0)]
)
def test_too_many_dropped_rows_exit_1_after_the_answer(
    share: str, code: int, folder: Path, capsys: Capture
) -> None:
    """One row of 121 is 0.83 %."""
    Path("runs.csv").write_text(runs_csv(extra=("0,500000,1e8,4e9,3.1",)))
    assert main(["check", "runs.csv", "--json", "--max-dropped", share]) == code
    captured = capsys.readouterr()
    assert json.loads(captured.out)["runs"] == 120
    assert ("1 of 121 rows were dropped" in captured.err) == bool(code)


def test_check_reads_what_the_options_say(folder: Path, capsys: Capture) -> None:
    text = runs_csv("lr,bs,params,tokens,final,arch,width").replace("\n", ",a,64\n")
    Path("runs.csv").write_text(text.replace("width,a,64", "width", 1))
    arguments = "check runs.csv --json --map loss=final --seq-len 1 --recipe arch"
    kinds = "--scale width=width --loss-kind validation --params-kind total"
    assert main([*arguments.split(), *kinds.split()]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["recipes"] == ["a"]
    assert document["cell_table"][0]["scales"] == {"width": 64.0}
    assert (document["loss_kind"], document["params_kind"]) == ("validation", "total")


def test_check_names_the_file_of_each_dropped_row(
    folder: Path, capsys: Capture
) -> None:
    bad = "0,500000,1e8,4e9,3.1"
    Path("runs.csv").write_text(runs_csv(extra=(bad,) * 12))
    Path("more.csv").write_text(f"{HEADER}\n{ROW}\n{bad}\n")
    assert main(["check", "runs.csv"]) == 0
    text = capsys.readouterr().out
    assert "Dropped rows of runs.csv" in text
    assert "... and 2 more dropped rows: --json lists all." in text
    assert main(["check", "runs.csv", "more.csv", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["dropped"]
    assert [row["file"] for row in rows] == ["runs.csv"] * 12 + ["more.csv"]


def test_check_shows_hostile_text_as_text(folder: Path, capsys: Capture) -> None:
    """A recipe may look like markup or hold an escape sequence: neither takes hold."""
    rows = runs_csv(HEADER + ",recipe").strip().split("\n")
    named = [rows[0], *(f"{row},[red]x[/] \x1b[31m" for row in rows[1:])]
    Path("runs.csv").write_text("\n".join(named))
    assert main(["check", "runs.csv"]) == 0
    captured = capsys.readouterr()
    assert "[red]x[/]" in captured.out
    assert "\x1b" not in captured.out + captured.err


def test_stdout_of_a_process_is_the_document_alone(folder: Path) -> None:
    done = surrogate("check", "runs.csv", "--json", cwd=folder)
    assert done.returncode == 0
    assert done.stdout.count("\n") == 1
    assert json.loads(done.stdout)["runs"] == 120
    wrong = surrogate("check", "none.csv", "--json", cwd=folder)
    assert wrong.returncode == 2
    assert json.loads(wrong.stdout)["status"] == "error"
    assert "Traceback" not in wrong.stderr


def raising(error: BaseException) -> Callable[..., Any]:
    def read(*_: object, **__: object) -> None:
        raise error

    return read


@pytest.mark.parametrize(
    ("error", "code", "status", "message"),
    [
        (DataError("expected a, got b. Do c."), 2, "error", "expected a, got b. Do c."),
        (SolveError("no minimum"), 1, "not_converged", "no minimum"),
        (PermissionError(13, "Permission denied", "x.csv"), 2, "error", "x.csv: Perm"),
        (KeyboardInterrupt(), 130, "interrupted", "interrupted"),
        (RuntimeError("ours"), 70, "error", "bug in surrogate"),
    ],
)
def test_every_failure_has_its_exit_code(
    error: BaseException,
    code: int,
    status: str,
    message: str,
    folder: Path,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("surrogate.data.readers.read_runs", raising(error))
    assert main(["check", "runs.csv", "--json"]) == code
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert document["status"] == status
    assert message in document["error"]["message"]
    assert message in captured.err
    assert ("Traceback" in captured.err) == (code == 70)


def test_reader_that_hangs_up_leaves_no_traceback(folder: Path) -> None:
    script = (
        "import subprocess, sys; p = subprocess.Popen([sys.executable, '-m',"
        " 'surrogate.cli.main', 'check', 'runs.csv'], stdout=subprocess.PIPE,"
        " stderr=subprocess.PIPE); p.stdout.close(); sys.stdout.write("
        "p.stderr.read().decode())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, capture_output=True, text=True
    )
    assert "Traceback" not in done.stdout
    assert "Exception" not in done.stdout


def test_the_next_command_names_a_folder_that_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [
        f"{lr},524288,1e9,2e10,{2.3 + 0.1 * (k - 1) ** 2}\n"
        for k, lr in enumerate((5e-4, 1e-3, 2e-3))
    ]
    Path("r.csv").write_text("lr,batch,params,tokens,loss\n" + "".join(rows))
    assert main(["check", "r.csv"]) == 0
    assert "--out out/fit\n" in capsys.readouterr().out
    Path("out/fit").mkdir(parents=True)
    Path("out/fit/manifest.json").write_text("{}")
    assert main(["check", "r.csv"]) == 0
    said = capsys.readouterr().out
    assert "--out out/fit-2\n" in said
    # The bundled fit is asked what it knows only.
    assert "surrogate evaluate steplaw-dense r.csv" in said
    assert main(["check", "r.csv", "--map", "params=50000", "--allow", "small"]) == 0
    assert "surrogate evaluate" not in capsys.readouterr().out


def test_proposals_beyond_the_runs_are_marked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [f"{lr},524288,1e9,2e10,2.3\n" for lr in (1e-5, 2e-5, 4e-5)]
    Path("r.csv").write_text("lr,batch,params,tokens,loss\n" + "".join(rows))
    assert main(["evaluate", "steplaw-dense", "r.csv"]) == 0
    said = capsys.readouterr().out
    assert "1 of 1 proposals lie beyond the runs, so it says little" in said
    assert "read off the nearest of them" in said
