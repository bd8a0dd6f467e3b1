"""A large log reads in pieces to the same runs as whole, with pyarrow or without."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from surrogate.base.errors import DataError
from surrogate.data import Runs
from surrogate.data.readers import read_runs
from surrogate.data.readers.formats import content, large, pieces
from surrogate.data.readers.formats.thinned import Thinned, add, log_of, piece_of

HEADER = "run_id,step,tokens,lr,batch,params,val_loss,grad_norm,status"
WAYS = ("arrow", "csv")


def rows(steps: int = 40, runs: int = 12, *, shuffled: bool = False) -> list[str]:
    """A log in which the loss is written every second step, the last step not."""
    rng = np.random.default_rng(0)
    found = []
    for k in range(runs):
        lr, batch = 1e-4 * 2 ** (k % 4), 65536 * 2 ** (k // 4)
        for step in range(1, steps + 1):
            loss = 2.9 + 0.01 * k + 3 / step
            cell = f"{loss:.5f}" if step % 2 and step < steps else ""
            found.append(
                f"r{k},{step},{step * batch * 100},{lr:g},{batch},124000000,{cell},"
                f"{rng.random():.4f},finished"
            )
    if shuffled:
        rng.shuffle(found)
    return found


def write(path: Path, lines: list[str], header: str = HEADER) -> Path:
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Read every file in pieces, small ones."""
    if request.param == "csv":
        monkeypatch.setitem(sys.modules, "pyarrow.csv", None)
    else:
        pytest.importorskip("pyarrow", reason="needs the extra `formats`")
    monkeypatch.setattr(large, "LARGE", 32)
    monkeypatch.setattr(large, "_PIECE", 2000)
    monkeypatch.setattr(large, "_ROWS", 50)
    return request.param


def same(one: Runs, other: Runs) -> None:
    for name in ("lr", "batch", "params", "tokens", "loss", "name", "verdict"):
        order, further = np.argsort(one.name), np.argsort(other.name)
        found = getattr(one, name)[order], getattr(other, name)[further]
        assert np.array_equal(*found), name


@pytest.mark.parametrize("way", WAYS, indirect=True)
@pytest.mark.parametrize("shuffled", [False, True])
def test_the_last_row_of_each_run_is_kept(
    tmp_path: Path, way: str, shuffled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "log.csv", rows(shuffled=shuffled))
    runs = read_runs(path)
    assert any("480 rows of 12 runs were read in pieces" in note for note in runs.notes)
    assert (len(runs), set(runs.tokens / runs.batch)) == (12, {3900.0})
    monkeypatch.setattr(large, "LARGE", 2**40)
    whole = read_runs(path)
    assert not any("in pieces" in note for note in whole.notes)
    same(runs, whole)


@pytest.mark.parametrize("way", WAYS, indirect=True)
def test_what_is_no_log_is_read_whole(tmp_path: Path, way: str) -> None:
    plain = [",".join(row.split(",")[1:]) for row in rows(steps=5)]
    path = write(tmp_path / "log.csv", plain, HEADER.partition(",")[2])
    assert not any("in pieces" in note for note in read_runs(path).notes)
    # Every row is a run: none may be left out.
    path = write(tmp_path / "runs.csv", rows(steps=9))
    every = read_runs(path, checkpoints="runs")
    assert len(every) == 12 * 5 - 12
    with pytest.raises(DataError, match="--checkpoints refuse"):
        read_runs(path, checkpoints="refuse")


@pytest.mark.parametrize("way", WAYS, indirect=True)
def test_names_used_twice_are_told_apart_by_their_settings(
    tmp_path: Path, way: str
) -> None:
    lines = rows(runs=4)
    more = [row.replace(",65536,", ",131072,") for row in lines]
    more = [f"{a},{int(b) * 2},{c}" for a, b, c in
            ((",".join(r.split(",")[:2]), r.split(",")[2], ",".join(r.split(",")[3:]))
             for r in more)]  # fmt: skip
    runs = read_runs(write(tmp_path / "log.csv", [*lines, *more]))
    assert len(runs) == 8
    assert sorted(set(runs.batch)) == [65536, 131072]


@pytest.mark.parametrize("way", WAYS, indirect=True)
def test_titles_odd_rows_and_faults(tmp_path: Path, way: str) -> None:
    lines = rows(runs=3)
    lines.insert(20, "r0,1,2")
    path = tmp_path / "log.csv"
    path.write_text("\n".join(["# a log", HEADER, *lines]) + "\n", encoding="utf-8")
    runs = read_runs(path)
    assert len(runs) == 3
    assert any("3 fields where the header has 9" in x.reason for x in runs.dropped)
    assert any("header is line 2" in note for note in runs.notes)
    path.write_text("\n".join([HEADER, *lines, '"r9,1']) + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"expected CSV.*not closed"):
        read_runs(path)
    path.write_bytes(
        "\n".join([HEADER, *lines[:400]]).encode() + b"\nr9,\xff,1,1,1,1,1,1,1\n"
    )
    with pytest.raises(DataError, match="UTF-8"):
        read_runs(path)


@pytest.mark.parametrize("way", ["arrow"], indirect=True)
def test_parquet_is_read_in_pieces_too(tmp_path: Path, way: str) -> None:
    import pyarrow.csv as arrow  # pyright: ignore[reportMissingImports]
    import pyarrow.parquet as parquet  # pyright: ignore[reportMissingImports]

    path = write(tmp_path / "log.csv", rows())
    parquet.write_table(arrow.read_csv(path), tmp_path / "log.parquet")
    runs = read_runs(tmp_path / "log.parquet")
    assert any("in pieces" in note for note in runs.notes)
    same(runs, read_runs(path))


class Told:
    def __init__(self) -> None:
        self.steps, self.total = 0, 0

    def start(self, task: str, total: int) -> None:
        assert task.startswith("reading ")
        self.total = total

    def advance(self, n: int = 1) -> None:
        self.steps += n


@pytest.mark.parametrize("way", WAYS, indirect=True)
def test_progress_is_told(tmp_path: Path, way: str) -> None:
    told = Told()
    read_runs(write(tmp_path / "log.csv", rows()), progress=told)
    assert told.total > 5
    assert 1 <= told.steps <= told.total + 1


def test_columns_that_move_are_no_keys() -> None:
    table = [tuple(row.split(",")) for row in rows()]
    log = log_of(HEADER.split(","), table)
    assert log is not None
    assert log.keys == (0, 4, 5, 8)
    assert (log.order, log.losses) == (2, (6,))
    kept = Thinned(log)
    add(kept, piece_of(log, range(len(table)), table), 2)
    found: dict[str, list[Any]] = {}
    for line, fields in kept.result():
        found.setdefault(fields[0], []).append(line)
    # Rows 1, 2, 4, ... 32, the last with a loss and the last.
    assert found["r0"] == [2, 3, 5, 9, 17, 33, 40, 41]
    assert log_of(["lr", "loss"], [("1", "2")]) is None


def test_a_large_log_without_names_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = [",".join(row.split(",")[1:]) for row in rows()]
    path = write(tmp_path / "log.csv", plain, HEADER.partition(",")[2])
    monkeypatch.setattr(large, "LARGE", 32)
    monkeypatch.setattr(content, "MOST_CELLS", 3000)
    monkeypatch.setattr(content, "read_content", None)
    with pytest.raises(DataError, match=r"at most 3,000 cells.*\(run_id\)"):
        read_runs(path)


@pytest.mark.parametrize("quoted", [False, True])
@pytest.mark.parametrize("shuffled", [False, True])
def test_both_ways_keep_the_same_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quoted: bool, shuffled: bool
) -> None:
    """Blanks, quotes, line ends in quotes, CRLF, blank and odd lines, a late word."""
    pytest.importorskip("pyarrow", reason="needs the extra `formats`")
    lines = rows(shuffled=shuffled)
    if quoted:
        lines = [f'"{a}",{b}' for a, _, b in (row.partition(",") for row in lines)]
        lines[100] = lines[100].replace(",finished", ',"fin\nished"')
        lines[300] = lines[300].replace(",finished", ',"say ""x"""')
    else:
        lines[50] = lines[50].replace(",", " , ")
    lines.insert(350, "")
    lines[200:200] = ["", "r0,1", "   "]
    lines[400] = ",".join(
        [*lines[400].split(",")[:2], "n/a", *lines[400].split(",")[3:]]
    )
    text = "\ufeff" + "\r\n".join([HEADER, *lines])
    path = tmp_path / "log.csv"
    path.write_bytes(text.encode())
    monkeypatch.setattr(large, "LARGE", 32)
    monkeypatch.setattr(large, "_PIECE", 3000)
    one = large.read_large(path, None)
    monkeypatch.setitem(sys.modules, "pyarrow.csv", None)
    other = large.read_large(path, None)
    assert one is not None
    assert one == other
    whole = dict(enumerate(text.replace('"', "").split("\r\n"), 1))
    for row in one.rows[:40]:
        shift = 0 if quoted and row.line > 103 else None
        if shift is None:
            plain = [cell.strip() for cell in whole[row.line].split(",")]
            assert plain == list(row.fields)


@pytest.mark.parametrize("way", WAYS, indirect=True)
def test_a_blank_after_a_quote_is_no_csv(
    tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(large, "_HEAD", 1000)
    lines = rows()
    lines[440] = '"r11" ' + lines[440].removeprefix("r11")
    with pytest.raises(DataError, match=r"line 442: expected CSV"):
        read_runs(write(tmp_path / "log.csv", lines))


def test_a_quote_that_stays_open_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [*rows(), 'r0,1,"2', *rows(runs=300)]
    path = write(tmp_path / "log.csv", lines)
    monkeypatch.setattr(large, "LARGE", 32)
    monkeypatch.setattr(large, "_PIECE", 2000)
    monkeypatch.setattr(large, "_HEAD", 1000)
    monkeypatch.setattr(pieces, "_LEAST_OPEN", 2000)
    with pytest.raises(DataError, match=r"quote that is open.*'r0,1,"):
        read_runs(path)
