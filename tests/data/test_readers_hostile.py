"""Malformed tables at every entry: one clear error or a listed drop, no traceback.

Each file's outcome was written down beside it: refused with these words, or read with
so many runs and rows dropped.
"""

from __future__ import annotations

import io
import json
import os
import socket
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from surrogate.base.errors import DataError
from surrogate.cli.main import main
from surrogate.data.readers import read_runs
from surrogate.data.readers.columns.expression import parse
from surrogate.data.readers.formats import content

HEADER = "lr,batch,params,tokens,loss"
ROW = "1e-3,65536,2e8,4e9,2.9"
TWO = f"{ROW}\n2e-3,65536,2e8,4e9,2.8"
RECORD = {"lr": 1e-3, "batch": 65536, "params": 2e8, "tokens": 4e9, "loss": 2.9}


def deep(levels: int) -> str:
    return "[" * levels + "]" * levels


def nested(levels: int) -> str:
    return '{"a":' * levels + "1" + "}" * levels


def bomb() -> bytes:
    """A workbook that says that it unfolds to 4 GiB."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b"0" * 1000)
    data = bytearray(stream.getvalue())
    at = data.index(b"PK\x01\x02") + 24
    data[at : at + 4] = struct.pack("<I", 2**32 - 2)
    return bytes(data)


def md(*rows: str) -> str:
    head = "| lr | batch | params | tokens | loss |\n|---|---|---|---|---|\n"
    return head + "\n".join(rows) + "\n"


REFUSED: list[tuple[str, str | bytes, str]] = [
    # JSON
    ("empty.json", "", "empty file"),
    ("blank.json", " \n ", "empty file"),
    ("cut.json", '[{"lr": 1e-3, "ba', "line 1: expected JSON"),
    ("word.json", "hello", "expected JSON"),
    ("null.json", "null", "expected a list of records"),
    ("number.json", "17", "expected a list of records"),
    ("string.json", '"runs"', "expected a list of records"),
    ("list.json", "[]", "expected a list of records"),
    ("object.json", "{}", "expected a list of records"),
    ("numbers.json", "[1, 2, 3]", "expected a list of records"),
    ("mixed.json", json.dumps([RECORD, 7]), "expected a list of records"),
    ("one.json", '{"lr": 0.001, "batch": 65536}', "expected a list of records"),
    ("deep.json", deep(100_000), "at most 32 deep"),
    ("deep2.json", nested(100_000), "at most 32 deep"),
    ("deep3.json", f"[{nested(40)}]", "at most 32 deep"),
    ("twice.json", '[{"lr": 1, "lr": 2}]', "every name once .*'lr' twice"),
    ("both.json", '[{"a.b": 1, "a": {"b": 2}}]', "both joined and as it is"),
    ("ragged.json", '{"lr": [1, 2], "loss": [3]}', "lists of one length, got 2"),
    ("ragged2.json", '[["lr", "loss"], [1]]', "rows of 2 values"),
    ("split.json", '{"columns": ["lr"], "data": [[1, 2]]}', "rows of 1 values"),
    (
        "two.json",
        json.dumps({"a": [RECORD], "b": [{"x": 1}, {"x": 2}]}),
        "one table, got 2: 'a'",
    ),
    (
        "rivals.json",
        json.dumps({"baseline": [RECORD], "ours": [{**RECORD, "loss": 2.8}]}),
        "got 2: 'baseline' .* and 'ours' .* no halves",
    ),
    (
        "same lr.json",
        json.dumps({"a": [{"lr": 1e-3, "loss": 3}], "b": [{"lr": 1e-3, "wd": 0}]}),
        "no halves of one",
    ),
    ("empties.json", "[{}, {}]", "expected records of runs, got none"),
    ("nul.json", b'[{"lr":\x001}]', "NUL byte"),
    ("latin.json", b'[{"lr":"\xe9"}]', "expected UTF-8"),
    ("utf16.json", json.dumps([RECORD]).encode("utf-16-le"), "NUL byte"),
    ("half.json", b"\xff\xfe[\x00{", "expected UTF-16"),
    ("trailing.json", json.dumps([RECORD]) + "x", "expected JSON"),
    ("comment.json", "// runs\n" + json.dumps([RECORD]), "expected JSON"),
    ("python.json", "[{'lr': 1}]", "expected JSON"),
    ("big.json", '[{"lr": ' + "9" * 5000 + "}]", "no column for"),
    (
        "wide.json",
        json.dumps([{f"c{k}": 1 for k in range(10**5)}]),
        "at most 10,000 columns, got 100,000",
    ),
    # JSON lines
    ("none.jsonl", "a\nb\n", "no JSON"),
    ("scalars.jsonl", "1\n2\n", "no record of a run"),
    ("empty.jsonl", "", "empty file"),
    ("deep.jsonl", nested(50_000) + "\n", "at most 32 deep"),
    # markdown
    ("none.md", "# Runs\n\nNothing.\n", "expected a markdown table"),
    ("empty.md", "", "empty file"),
    ("two.md", md("| 1 |") + "\n" + md("| 1 |"), "one table, got 2"),
    ("head.md", md(), "expected a header and rows"),
    ("short.md", md("| 1e-3 | 65536 |"), "1 of another length"),
    ("same.md", "| lr | lr |\n|---|---|\n| 1 | 2 |\n", "2 columns could be lr"),
    ("words.md", md("| a | b | c | d | e |"), "none of its 1 rows"),
    # pivots
    ("ragged.csv", "lr \\ wd,0,0.1\n1e-3,2.9\n2e-3,2.8,2.7\n", "pivot to be complete"),
    ("hollow.csv", "lr \\ wd,0,0.1\n1e-3,,\n", "losses in the pivot, got none"),
    ("words.csv", "lr \\ batch,1,2\n1e-3,x,y\n", "no column for params"),
    # binary formats
    ("text.parquet", "lr,loss\n1,2\n", "expected Parquet"),
    ("empty.parquet", b"", "expected Parquet"),
    ("cut.parquet", b"PAR1" + b"\0" * 50, "expected Parquet"),
    ("text.arrow", "lr,loss\n1,2\n", "expected Arrow"),
    ("cut.feather", b"ARROW1\0\0" + b"\1" * 40, "expected Arrow"),
    ("empty.arrow", b"", "expected Arrow"),
    ("text.xlsx", "lr,loss\n1,2\n", "expected an Excel workbook"),
    ("empty.xlsx", b"", "expected an Excel workbook"),
    ("zip.xlsx", b"PK\x05\x06" + b"\0" * 18, "expected an Excel workbook"),
    ("bomb.xlsx", bomb(), "unfolds to at most 1,073,741,824 bytes, got 4,294,967,294"),
    # CSV
    ("wide.csv", ",".join(f"c{k}" for k in range(10**6)) + "\n1\n", "10,000 columns, "),
    ("wide2.csv", "lr," * 20_000 + "\n1\n", "at most 10,000 columns, got 20,001"),
    ("binary.csv", b"PK\x03\x04\0\0", "NUL byte"),
    ("gzip.csv", b"\x1f\x8b\x08\0\0\0", "cannot be unfolded"),
    ("cut.zip", b"PK\x03\x04\0\0", "cannot be unfolded"),
    ("quote.csv", f'{HEADER}\n"1e-3,2', "not closed"),
    ("second.csv", f"{HEADER}\n{TWO}\n" + "a,b\n" * 3, "second header is missing"),
    ("html.csv", "<html>\n<body>\n</html>\n", "The columns are '<html>'"),
    ("fold.csv", f"{HEADER},Learning-Rate\n{ROW},1e-4\n", "2 columns could be lr"),
    ("units.csv", f"{HEADER}\n1e-3,65536,0.2,4,2.9\n", "no value reaches 1M"),
    ("words.tsv", "a\tb\n1\t2\n", "no column for lr"),
    ("marks.csv", f"{HEADER}\n1x,65536,2e8,4e9,2.9\n", "none of its 1 rows"),
    ("suffix.csv", f"{HEADER}\n1e-3,65536,2e8,4e9,3K\n", "write 3000.0"),
    ("comma.csv", f'{HEADER}\n1e-3,65536,2e8,"4,5",2.9\n', "write 4.5"),
    ("german.csv", f'{HEADER}\n1e-3,65536,"2,5",4e9,2.9\n', "write 2.5"),
    ("thousands.csv", f'{HEADER}\n1e-3,65536,2e8,4e9,"2,345"\n', "write 2345 or 2.345"),
    ("name.docx", "x", "ends in .csv"),
    ("noending", "x", "got 'no ending'"),
    ("old.xls", b"\xd0\xcf\x11\xe0", "got '.xls'"),
    ("code.pkl", b"\x80\x04N.", "got '.pkl'"),
]

# Values, structure, encoding and semantics, each with what must be said of it.
MORE: list[tuple[str, str | bytes, str]] = [
    # values
    ("percent.csv", f"{HEADER}\n1e-3,65536,2e8,4e9,1.2%\n", "got a share of another"),
    ("negative.csv", f"{HEADER}\n-1e-3,65536,2e8,4e9,2.9\n", "lr must be finite"),
    ("zero.csv", f"{HEADER}\n1e-3,0,2e8,4e9,2.9\n", "looks like sequences"),
    ("minus.csv", f"{HEADER}\n1e-3,65536,2e8,4e9,-2.9\n", "loss must be above 0"),
    ("hot.csv", f"{HEADER}\n10,65536,2e8,4e9,2.9\n", "lr must be below 10"),
    ("inf lr.csv", f"{HEADER}\ninf,65536,2e8,4e9,2.9\n", "must be a finite number"),
    ("hex.csv", f"{HEADER}\n1e-3,0x10000,2e8,4e9,2.9\n", "must be a number"),
    ("date.csv", f"{HEADER}\n2026-01-02,65536,2e8,4e9,2.9\n", "must be a number"),
    ("range.csv", f"{HEADER}\n1e-3 to 2e-3,65536,2e8,4e9,2.9\n", "must be a number"),
    ("list.csv", f'{HEADER}\n"[1e-3, 2e-3]",65536,2e8,4e9,2.9\n', "must be a number"),
    ("unit.csv", f"{HEADER}\n1e-3,64 KiB,2e8,4e9,2.9\n", "must be a number"),
    ("arrow.csv", f"{HEADER}\n1e-3,256 → 512,2e8,4e9,2.9\n", "must be a number"),
    ("bool.csv", f"{HEADER}\ntrue,65536,2e8,4e9,2.9\n", "must be a number"),
    ("formula.csv", f"{HEADER}\n=1/1000,65536,2e8,4e9,2.9\n", "must be a number"),
    ("error.csv", f"{HEADER}\n#REF!,65536,2e8,4e9,2.9\n", "must be a number"),
    ("power.csv", f"{HEADER}\n10^,65536,2e8,4e9,2.9\n", "must be a number"),
    ("tower.csv", f"{HEADER}\n2^-9999,65536,2e8,4e9,2.9\n", "must be a number"),
    ("fraction.csv", f"{HEADER}\n1/0,65536,2e8,4e9,2.9\n", "must be a number"),
    ("spread.csv", f"{HEADER}\n1e-3,65536,2e8,4e9,± 0.1\n", "must be a number"),
    ("digits.csv", f"{HEADER}\n1e-3,65536,2e8,4e9,{'9' * 400}x\n", "must be a number"),
    ("arabic.csv", f"{HEADER}\n1e-3,65536,2e8,4e9,٢.٩\n", "must be a number"),
    # structure
    ("ragged all.csv", f"{HEADER}\n1,2\n1,2,3\n", "0 rows to use and 2 of another"),
    ("title only.csv", "Results of March\n\n\n", "expected a header and rows"),
    ("totals only.csv", f"{HEADER}\nTotal,,,,\nmean,,,,2.9\n", "none of its 2 rows"),
    ("blank only.csv", f"{HEADER}\n,,,,\n,,,,\n", "none of its 2 rows"),
    ("headers.csv", f"{HEADER}\n{HEADER}\n", "none of its 1 rows"),
    ("turned.csv", "a,r1,r2\nlr,1,2\nlr,1,2\nbatch,1,2\nparams,1,2\nloss,3,3\n",
     "no column for lr"),
    ("chart.csv", "Step,a - acc,a - acc__MIN\n1,2,3\n", "no column for lr"),
    ("charts.csv", "Step,a - val/loss,a - val/loss__MIN\n1,4,4\n2,3,3\n",
     "curves of a chart of W&B"),
    ("history.csv", "Step,loss,_runtime\n1,4,1\n2,3,2\n", "the log of one run"),
    ("curve.csv", "Wall time,Step,Value\n1,2,3\n", "one curve of TensorBoard"),
    ("names.csv", "run,val_loss\nlr1e-3_bs64,2.9\nbaseline,2.8\n", "no column for lr"),
    ("nothing.log", "hello\nworld\n", "no column for lr"),
    ("pairs.log", "a=1 b=2 c=3\na=1 b=2 c=4\n", "no column for lr"),
    ("twice.log", "lr=1 lr=2 loss=3\n", "no column|expected a header"),
    ("none.tex", "\\section{Results}\n", "one tabular, got 0"),
    ("two.tex", "\\begin{tabular}{l}a\\end{tabular}" * 2, "one tabular, got 2"),
    ("open.tex", "\\begin{tabular}{lr}\nlr & loss \\\\\n", "a header and rows"),
    ("empty.tex", "", "empty file"),
    ("state.json", '{"log_history": [], "global_step": 0}', "no column for lr"),
    ("state2.json", '{"log_history": [{"loss": "x"}], "global_step": "y"}',
     "no column for lr"),
    ("state3.json", '{"log_history": [3], "global_step": 1}', "a list of records"),
    ("words.json", '{"a=1": "x", "b=2": "y"}', "a list of records"),
    # encoding
    ("utf16 odd.csv", b"\xff\xfel\x00r\x00,", "expected UTF-16"),
    ("utf16 bare.csv", "lr,loss\n1,2\n".encode("utf-16-be"), "NUL byte"),
    ("utf32.csv", "lr,loss\n1,2\n".encode("utf-32"), "NUL byte|UTF-16|no column"),
    ("latin.csv", f"{HEADER}\n1e-3,65536,2e8,4e9,2.9\xe9".encode("latin-1"), "UTF-8"),
    ("cut utf8.csv", f"{HEADER}\n{ROW}".encode() + b"\xc3", "expected UTF-8"),
    ("control.csv", "l\x07r,ba\x1btch\n1,2\n", "no column for lr"),
    ("bidi.csv", "\u202elr,loss\n1,2\n", "no column for lr|no column for batch"),
    # semantics
    ("same lr.csv", f"{HEADER},peak_lr\n{ROW},1e-4\n", "2 columns could be lr"),
    ("same loss.csv", f"{HEADER},val_loss\n{ROW},3\n", "2 columns could be loss"),
    ("ppl.csv", "lr,batch,params,tokens,ppl\n1e-3,65536,2e8,4e9,0.5\n",
     "perplexities of at least 1"),
    ("bpb.csv", "lr,batch,params,tokens,bpb\n1e-3,65536,2e8,4e9,9\n",
     "bits per byte, of which a guess"),
    ("sequences.csv", "lr,batch_size,params,tokens,loss\n1e-3,65536,2e8,4e9,2.9\n",
     "looks like tokens"),
    ("length.csv", "lr,batch_size,params,tokens,loss\n1e-3,256,2e8,4e9,2.9\n",
     "sequences of unknown length"),
    ("small.csv", f"{HEADER}\n1e-3,256,2e8,4e9,2.9\n", "looks like sequences"),
    ("millions.csv", f"{HEADER}\n1e-3,65536,200,4e9,2.9\n", "no value reaches 10K"),
    ("states.csv", f"{HEADER},status\n{ROW},great\n", "a status that is known"),
    ("ids.csv", "run,run_id,lr,batch,params,tokens,loss\n"
     "a,1,1e-3,65536,2e8,1e9,3\na,1,1e-3,65536,2e8,2e9,2.9\n"
     "b,2,1e-3,65536,2e8,1e9,3\nb,3,1e-3,65536,2e8,2e9,2.9\n",
     "expected one id for each run"),
    ("peak.csv", "run,lr,batch,params,tokens,loss\n"
     "a,1e-3,65536,2e8,1e9,3\na,5e-4,65536,2e8,2e9,2.9\n", "the schedule's value"),
    ("delta.csv", "lr,batch,params,tokens,delta_loss\n1e-3,65536,2e8,4e9,0.1\n",
     "no column for loss"),
    ("settings.csv", "model,params,lr,batch_size\na,2e8,1e-3,1\n",
     "Without a loss no setting"),
]  # fmt: skip
REFUSED += MORE
# Points need no loss: whatever it is, they are answered.
ANSWERED = {"ppl.csv", "bpb.csv", "delta.csv"}


def path_of(folder: Path, name: str, data: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


@pytest.mark.parametrize(
    ("name", "data", "words"), REFUSED, ids=[r[0] for r in REFUSED]
)
def test_a_malformed_file_is_refused_everywhere(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    data: str | bytes,
    words: str,
) -> None:
    if name.endswith((".parquet", ".arrow", ".feather")):
        pytest.importorskip("pyarrow")
    if name.endswith(".xlsx"):
        pytest.importorskip("openpyxl")
    path = path_of(tmp_path, name, data)
    with pytest.raises(DataError, match=words) as caught:
        read_runs(path)
    said = str(caught.value).splitlines()
    assert len(said) <= 11
    assert max(map(len, said)) < 700
    # The commands say the same, and one of them by standard input.
    out = tmp_path / "out"
    for command in (
        ["check", str(path)],
        ["check", str(path), "--json"],
        ["fit", str(path), "--out", str(out)],
        ["evaluate", "bundled:steplaw-dense", str(path)],
        ["predict", "bundled:steplaw-dense", str(path), "--out", str(out)],
        ["compare", str(path)],
    ):
        if command[0] == "predict" and name in ANSWERED:
            continue
        assert main(command) == 2, command
        err = capsys.readouterr().err
        assert "Traceback" not in err
        assert err.startswith("surrogate: error: ")
    assert not out.exists()
    raw = data if isinstance(data, bytes) else data.encode()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(raw)))
    assert main(["check", "-"]) == 2
    assert "Traceback" not in capsys.readouterr().err


READ: list[tuple[str, str | bytes, int, int]] = [
    ("bom.json", b"\xef\xbb\xbf" + json.dumps([RECORD] * 1).encode(), 1, 0),
    ("utf16.json", json.dumps([RECORD]).encode("utf-16"), 1, 0),
    ("nan.json", json.dumps([{**RECORD, "loss": float("nan")}]), 1, 0),
    ("null.json", json.dumps([RECORD, {**RECORD, "loss": None}]), 1, 1),
    ("missing.json", json.dumps([RECORD, {"lr": 1e-3}]), 1, 1),
    ("list.json", json.dumps([RECORD, {**RECORD, "loss": [1, 2]}]), 1, 1),
    ("bool.json", json.dumps([RECORD, {**RECORD, "lr": True}]), 1, 1),
    ("lines.jsonl", f"{json.dumps(RECORD)}\n\nx\n[]\n", 1, 2),
    ("crlf.jsonl", f"{json.dumps(RECORD)}\r\n{json.dumps(RECORD)}\r\n", 2, 0),
    ("marks.md", md("| **1e-3** | 64K | 0.2B | `4_000_000_000` | *2.9* |"), 1, 0),
    ("odd.md", md("| 1e-3 | 65536 | 2e8 | 4e9 | 2.9 |", "| x | | | | |"), 1, 1),
    ("escaped.md", "|lr|batch|params|tokens|loss|name|\n|-|-|-|-|-|-|\n"
     "|1e-3|65536|2e8|4e9|2.9|a\\|b|\n", 1, 0),
    ("counts.csv", f'{HEADER}\n1e-3,"524,288",124M,"2,600,000,000",2.9\n', 1, 0),
    ("star.csv", f"{HEADER}\n1e-3*,65_536,2e8,4e9,**2.9**\n", 1, 0),
    ("mixed.csv", f'{HEADER}\n1e-3,"1,5",2e8,4e9,2.9\n{ROW}\n', 1, 1),
    ("german.csv", "lr;batch;params;tokens;loss\n0,001;65536;2e8;4e9;2,345\n", 1, 0),
    ("dots.csv", "lr;batch;params;tokens;loss\n1e-3;65536;2e8;4e9;2,3.5\n"
     "1e-3;65536;2e8;4e9;2.9\n", 1, 1),
    ("cr.csv", f"{HEADER}\r{ROW}\r", 1, 0),
    ("inf.csv", f"{HEADER}\n{ROW}\n1e-3,65536,2e8,4e9,1e999\n", 2, 0),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "data", "kept", "dropped"), READ, ids=[r[0] for r in READ]
)
def test_what_is_odd_is_read_or_listed(
    tmp_path: Path, name: str, data: str | bytes, kept: int, dropped: int
) -> None:
    runs = read_runs(path_of(tmp_path, name, data))
    assert (len(runs), len(runs.dropped)) == (kept, dropped)


def test_numbers_are_what_they_say(tmp_path: Path) -> None:
    runs = read_runs(path_of(tmp_path, *READ[9][:2]))
    values = [getattr(runs, key)[0] for key in RECORD]
    assert values == [1e-3, 64e3, 2e8, 4e9, 2.9]
    runs = read_runs(path_of(tmp_path, *READ[12][:2]))
    assert [runs.batch[0], runs.params[0], runs.tokens[0]] == [524288, 124e6, 2.6e9]
    german = next(row for row in READ if row[0] == "german.csv")
    runs = read_runs(path_of(tmp_path, *german[:2]))
    assert (runs.lr[0], runs.loss[0]) == (0.001, 2.345)
    assert any("'2,345' as 2.345" in note for note in runs.notes)


# ------------------------------------------------------------ what is no file


def test_a_pipe_a_socket_and_devices_are_refused_at_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    with pytest.raises(DataError, match=r"expected a regular file, got a pipe"):
        read_runs(pipe)
    for device in ("/dev/zero", "/dev/null"):
        link = tmp_path / f"{Path(device).name}.csv"
        link.symlink_to(device)
        with pytest.raises(DataError, match=r"got a device. Pipe it instead"):
            read_runs(link)
    folder = os.getcwd()
    os.chdir(tmp_path)
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("s.csv")
            with pytest.raises(DataError, match=r"cannot be read|a socket"):
                read_runs(tmp_path / "s.csv")
    finally:
        os.chdir(folder)
    loop = tmp_path / "loop.csv"
    loop.symlink_to(loop)
    with pytest.raises(DataError, match="cannot be read"):
        read_runs(loop)


def test_a_link_to_a_table_is_read(tmp_path: Path) -> None:
    path = path_of(tmp_path, "runs.csv", f"{HEADER}\n{TWO}\n")
    (tmp_path / "link.csv").symlink_to(path)
    assert len(read_runs(tmp_path / "link.csv")) == 2


def test_a_sparse_file_of_20_gib_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.csv"
    with path.open("wb") as stream:
        stream.truncate(20 * 2**30)
    with pytest.raises(DataError, match=r"1,073,741,824 bytes, got 21,474,836,480"):
        read_runs(path)


def test_standard_input_has_the_limit_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "MOST_BYTES", 100)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"x" * 200)))
    with pytest.raises(DataError, match="at most 100 bytes, got 101 or more"):
        read_runs("-")


def test_a_file_that_grows_while_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = path_of(tmp_path, "runs.csv", f"{HEADER}\n{TWO}\n")
    real, calls = os.fstat, []

    def growing(descriptor: int) -> os.stat_result:
        calls.append(descriptor)
        if len(calls) == 2:
            with path.open("a") as stream:
                stream.write(ROW)
        return real(descriptor)

    monkeypatch.setattr(content.os, "fstat", growing)
    with pytest.raises(DataError, match="written to while it was read"):
        read_runs(path)


def test_a_parquet_of_many_cells_is_refused_before_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as parquet  # pyright: ignore[reportMissingImports]

    monkeypatch.setattr(content, "MOST_CELLS", 1000)
    path = tmp_path / "a.parquet"
    parquet.write_table(pa.table({"lr": np.zeros(2000)}), path)
    with pytest.raises(DataError, match="at most 1,000 cells, got 2,000 rows"):
        read_runs(path)


# ------------------------------------------------------------ frames

FRAMES: list[tuple[Any, str]] = [
    ({}, "expected columns and rows"),
    ({"lr": []}, "expected columns and rows"),
    ({"lr": [1, 2], "loss": [1]}, "columns of one length"),
    ({"lr": 1e-3}, "one value a row in column 'lr', got float"),
    ({"lr": np.zeros((2, 2))}, "got lists"),
    ({"lr": "abc"}, "got str"),
    ({**{k: [v] for k, v in RECORD.items()}, "lr": [object()]}, "none of its 1 rows"),
    ({**{k: [v] for k, v in RECORD.items()}, "lr": [None]}, "empty cell"),
    ({**{k: [v] for k, v in RECORD.items()}, ("lr", "x"): [1]}, "one name each"),
    ({**{k: [v] for k, v in RECORD.items()}, " lr ": [1]}, "'lr' twice"),
    ([RECORD, {**RECORD, "lr": {"a": 1}}], "2 columns could|none of|lr"),
    (np.zeros((3, 5)), "got ndarray|got float"),
    (None, "got NoneType"),
    (5, "got int"),
    (b"runs.csv", "got bytes"),
    (True, "got bool"),
    ([], "at least one file"),
    ({f"c{k}": [1] for k in range(10**5)}, "at most 10,000 columns, got 100,000"),
    ([1, 2], "got int"),
    ((), "at least one file"),
]


@pytest.mark.parametrize(("frame", "words"), FRAMES, ids=range(len(FRAMES)))
def test_what_is_no_table_is_refused(frame: Any, words: str) -> None:
    if isinstance(frame, list) and frame and isinstance(frame[0], dict):
        # A record of another shape is a row that cannot be used.
        assert len(read_runs(frame).dropped) == 1
        return
    with pytest.raises(DataError, match=words) as caught:
        read_runs(frame)
    assert len(str(caught.value)) < 1500


def test_a_record_that_holds_itself_is_refused() -> None:
    record: dict[str, Any] = dict(RECORD)
    record["again"] = record
    with pytest.raises(DataError, match="at most 32 deep"):
        read_runs([record])


def test_a_frame_is_asked_for_in_python() -> None:
    table = {key: [value] for key, value in RECORD.items() if key != "loss"}
    table |= {"train/loss": [3.0], "val/loss": [2.9]}
    with pytest.raises(DataError) as caught:
        read_runs(table)
    last = str(caught.value).splitlines()[-1]
    assert last == "Pass: read_runs(frame, map={'loss': 'val/loss'})"
    assert read_runs(table, map={"loss": "val/loss"}).loss[0] == 2.9


def test_a_masked_value_is_missing() -> None:
    masked = np.ma.masked_array([1e-3, 2e-3], mask=[False, True])
    table = {k: [v, v] for k, v in RECORD.items()} | {"lr": masked}
    runs = read_runs(table)
    assert (len(runs), [item.line for item in runs.dropped]) == (1, [2])


# ------------------------------------------------------------ expressions

COLUMNS = ("C", "N", "D", "D/N", "smooth loss", "a-b", "val/loss", "lr.mult", "2x")


def value(text: str) -> float:
    numbers = dict(zip(range(9), (12.0, 2.0, 3.0, 5.0, 7.0, 11.0, 13.0, 17.0, 19.0)))  # noqa: B905
    found = parse(text, COLUMNS, lambda name: None, what="--map x", file="f.csv")
    return found.of(numbers.__getitem__)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("C/(6*N)", 1.0),
        ("C / N / D", 2.0),
        ("C-N-D", 7.0),
        ("C+N*D", 18.0),
        ("(C+N)*D", 42.0),
        ("-N+C", 10.0),
        ("2*-N", -4.0),
        ("D/N", 5.0),
        ("D /N", 1.5),
        ("D/N*2", 10.0),
        ('"smooth loss"*2', 14.0),
        ("smooth loss*2", 14.0),
        ("a-b", 11.0),
        ("val/loss", 13.0),
        ("lr.mult*0.01", 0.17),
        ("1e-3*N", 2e-3),
        ("N^D", 8.0),
        ("N ** D*C", 96.0),
        ("10**-N", 0.01),
        ("1E3+.5", 1000.5),
        ("124M", 124e6),
        ("512Ki*N", 2**20),
        ("1_000*N", 2000.0),
        ("((((N))))", 2.0),
        ("'N'*2", 4.0),
    ],
)
def test_an_expression_is_what_it_says(text: str, expected: float) -> None:
    np.testing.assert_allclose(value(text), expected, rtol=1e-15)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected a column, a number or"),
        ("C/", r"expected a column.*the end"),
        ("C N", r"expected \+ - \* or / before 'N'"),
        ("(C", r"expected \) before 'the end'"),
        ("C)", r"before '\)'"),
        ("C***2", "expected a column"),
        ("C//2", "expected a column"),
        ("__import__('os')", "got '__import__'"),
        ("C.real", "got|before"),
        ("[C]", "expected a column"),
        ("lambda: 1", "got 'lambda|before"),
        ("f(C)", "got 'f'"),
        ("C if N else D", r"before 'if N"),
        ("1e999", "fits in a float64"),
        ("12q", "expected"),
        ("'nothing'*2", "got 'nothing'"),
        ("Q*2", "expected a column of f.csv, a number.*got 'Q'"),
        ("(" * 31 + "N" + ")" * 31, "at most 30 brackets"),
        ("-" * 5000 + "N", "at most 500 characters"),
        ("-" * 100 + "N", "at most 30 brackets"),
    ],
)
def test_what_is_no_expression_is_refused(text: str, words: str) -> None:
    with pytest.raises(DataError, match=words) as caught:
        value(text)
    assert len(str(caught.value)) < 500


def flops(tmp_path: Path) -> Path:
    text = (
        "lr,batch,n,C,k,loss\n1e-3,65536,2e8,4.8e18,0,2.9\n2e-3,65536,2e8,4.8e18,1,3\n"
    )
    return path_of(tmp_path, "runs.csv", text)


def test_roles_of_the_same_command_are_names(tmp_path: Path) -> None:
    path = flops(tmp_path)
    for mapping in (
        {"params": "n*1", "tokens": "C/(6*params)"},
        {"tokens": "C/(6*params)"},
        {"tokens": "C/(6*n)", "params": "n"},
    ):
        assert set(read_runs(path, map=mapping).tokens) == {4e9}


@pytest.mark.parametrize(
    ("mapping", "words"),
    [
        ({"tokens": "6*tokens"}, "tokens -> tokens"),
        (
            {"tokens": "C/params", "params": "C/tokens"},
            "need one another, got tokens -> params -> tokens",
        ),
        (
            {"batch": "65536*2", "tokens": "100000*batch"},
            "'batch' is a column of .* and what --map batch=65536",
        ),
        ({"tokens": "C/(6*status)"}, "got 'status'"),
        ({"tokens": "1/0"}, "a number above 0, got '1/0'"),
        ({"tokens": "5-5"}, "a number above 0"),
    ],
)
def test_roles_that_cannot_be_are_refused(
    tmp_path: Path, mapping: dict[str, str], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        read_runs(flops(tmp_path), map=mapping)


def test_division_by_zero_drops_the_row(tmp_path: Path) -> None:
    runs = read_runs(flops(tmp_path), map={"tokens": "C/(6*n*k)"})
    (dropped,) = runs.dropped
    assert (dropped.line, dropped.reason) == (2, "division by zero")
    assert set(runs.tokens) == {4e9}
