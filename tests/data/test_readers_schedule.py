"""An lr that falls along each run, logs of some runs only, two columns of ids."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from support.cli import surrogate

from surrogate import DataError, read_runs

HEADER = "run,lr,batch,params,tokens,loss"
BATCH = 65536


def log(
    peak: float,
    *,
    run: str = "r",
    floor: float = 0.1,
    warmup: int = 0,
    steps: int = 8000,
    until: int = 8000,
    more: str = "",
) -> list[str]:
    """Rows at every 1,000 steps of a cosine of `steps`, up to `until`."""
    lines = []
    for step in range(1000, until + 1, 1000):
        at = (step - warmup) / (steps - warmup)
        lr = peak * (floor + (1 - floor) * (1 + math.cos(math.pi * at)) / 2)
        if step <= warmup:
            lr = peak * step / warmup
        loss = 4 * step**-0.03 * (1 + 0.01 * abs(math.log(peak / 1e-3)))
        lines.append(f"{run},{lr:.6g},{BATCH},2e8,{step * BATCH},{loss:.5f}{more}")
    return lines


def write(folder: Path, *lines: str, header: str = HEADER) -> Path:
    path = folder / "runs.csv"
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


def three(folder: Path, **how: Any) -> Path:
    rows = [log(p, run=f"r{k}", **how) for k, p in enumerate((5e-4, 1e-3, 2e-3))]
    return write(folder, *(line for part in rows for line in part))


@pytest.mark.parametrize("schedule", ["cosine", "cosine:floor=10%"])
def test_the_peak_follows_from_a_run_s_rows(tmp_path: Path, schedule: str) -> None:
    path = three(tmp_path)
    runs = read_runs(path, lr_is_schedule=schedule)
    assert runs.lr.tolist() == [5e-4, 1e-3, 2e-3]
    assert set(runs.tokens) == {8000 * BATCH}
    assert any("the peak of each run was computed" in note for note in runs.notes)
    with pytest.raises(DataError, match="Say --lr-is-schedule cosine"):
        read_runs(path)


def test_warmup_moves_the_schedule(tmp_path: Path) -> None:
    path = three(tmp_path, warmup=2000)
    for schedule in ("cosine:warmup=2000", "cosine:floor=0.1,warmup=2K"):
        assert read_runs(path, lr_is_schedule=schedule).lr.tolist() == [
            5e-4,
            1e-3,
            2e-3,
        ]
    with pytest.raises(DataError, match=r"of the cosine with peak.*Correct floor or"):
        read_runs(path, lr_is_schedule="cosine:floor=10%")
    with pytest.raises(DataError, match="rows after the warmup of 9,000 steps"):
        read_runs(path, lr_is_schedule="cosine:warmup=9000")


def test_the_horizon_is_that_of_the_steps(tmp_path: Path) -> None:
    # Cut at 5,000 of 8,000 steps; the column of steps says when it would have ended.
    lines = log(1e-3, until=5000, more=",8000")
    header = HEADER + ",max_steps"
    # Tokens at the cut are 1.6 times below the plan's: that contradicts the batch.
    with pytest.raises(DataError, match="'max_steps': 8,000 steps x a batch of"):
        read_runs(write(tmp_path, *lines, header=header), lr_is_schedule="cosine")
    lines = log(1e-3, until=6000, more=",8000")
    runs = read_runs(write(tmp_path, *lines, header=header), lr_is_schedule="cosine")
    assert runs.lr.tolist() == [1e-3]
    # One row, whose schedule ended there.
    row = f"r,1e-4,{BATCH},2e8,{8000 * BATCH},3.1,8000"
    path = write(tmp_path, row, header=header)
    assert read_runs(path, lr_is_schedule="cosine:floor=10%").lr.tolist() == [1e-3]
    with pytest.raises(DataError, match="expected rows before the schedule reaches 0"):
        read_runs(path, lr_is_schedule="cosine:floor=0")
    with pytest.raises(DataError, match="at least 3 rows of each run to tell the"):
        read_runs(path, lr_is_schedule="cosine")
    bare = write(tmp_path, row.removesuffix(",8000"))
    with pytest.raises(DataError, match="expected a column of steps, or several rows"):
        read_runs(bare, lr_is_schedule="cosine:floor=10%")


def test_a_constant_lr_is_no_schedule(tmp_path: Path) -> None:
    lines = log(1e-3, floor=1.0)
    with pytest.raises(DataError, match="expected an lr that falls along each run"):
        read_runs(write(tmp_path, *lines), lr_is_schedule="cosine")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("linear", r"expected cosine, with floor=10% or .*got 'linear'"),
        ("cosine:", "expected cosine"),
        ("cosine:floor", "expected cosine"),
        ("cosine:end=3", "expected cosine"),
        ("cosine:floor=10%,floor=20%", "expected cosine"),
        ("cosine:floor=10", "a share of the peak from 0% to below 100%, got 10"),
        ("cosine:warmup=x", "--lr-is-schedule warmup: expected"),
    ],
)
def test_a_schedule_that_is_none_is_refused(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        read_runs(three(tmp_path), lr_is_schedule=text)


def test_switches_that_contradict_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--checkpoints runs says that each is a run"):
        read_runs(three(tmp_path), lr_is_schedule="cosine", checkpoints="runs")


def test_the_command_takes_a_schedule(tmp_path: Path) -> None:
    words = ["check", str(three(tmp_path)), "--json", "--lr-is-schedule"]
    found = surrogate(*words, "cosine:floor=10%", cwd=tmp_path)
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout)["runs"] == 3
    wrong = surrogate(*words, "cosine:floor=1%", cwd=tmp_path)
    assert wrong.returncode == 2
    assert "Traceback" not in wrong.stderr


# ---------------------------------------------------------------- some runs, two ids


def test_checkpoints_of_some_runs_only_are_said(tmp_path: Path) -> None:
    single = f"r9,2e-3,{BATCH},2e8,{8000 * BATCH},3.1"
    path = write(tmp_path, *log(1e-3, floor=1.0), single)
    runs = read_runs(path)
    assert runs.lr.tolist() == [1e-3, 2e-3]
    assert any("2 runs (1 of one row, taken as finished)" in n for n in runs.notes)


def test_a_log_among_runs_without_ids_is_named(tmp_path: Path) -> None:
    bare = [line.removeprefix("r,") for line in log(1e-3, floor=1.0)]
    singles = [f"{k}e-3,{BATCH},2e8,{8000 * BATCH},3.{k}" for k in range(2, 5)]
    path = write(tmp_path, *bare, *singles, header=HEADER.removeprefix("run,"))
    runs = read_runs(path)
    assert len(runs) == 11
    assert any("lines 2 to 9 look like checkpoints" in text for text in runs.warnings)
    runs = read_runs(path, checkpoints="runs")
    assert not any("look like checkpoints" in text for text in runs.warnings)


def test_two_ids_that_disagree_are_refused(tmp_path: Path) -> None:
    parts = [log(p, run="sweep", floor=1.0, more=f",r{p}") for p in (1e-3, 2e-3)]
    lines = [line for part in parts for line in part]
    # By `run` alone the losses of the two runs are mixed, and no log is seen.
    alike = [line.replace(",0.002,", ",0.001,") for line in lines]
    path = write(tmp_path, *alike, header=HEADER + ",run_id")
    message = r"'run_id' makes lines 2 and 3 one run and 'run' does not.*--map name="
    with pytest.raises(DataError, match=message):
        read_runs(path)
    assert len(read_runs(path, map={"name": "run_id"})) == 2
    # Each row has a name of its own: one run of eight rows, or eight.
    each = [f"{k},{line.split(',', 1)[1]}" for k, line in enumerate(lines[:8])]
    path = write(tmp_path, *each, header=HEADER + ",run_id")
    with pytest.raises(DataError, match="line 3: expected one id for each run"):
        read_runs(path)
    agreed = [line.replace("sweep", line.split(",")[-1]) for line in lines]
    path = write(tmp_path, *agreed, header=HEADER + ",run_id")
    assert len(read_runs(path)) == 2
    # Labels of runs that are no checkpoints may differ as they like.
    grid = [f"a,{k}e-3,{BATCH},2e8,4e9,3.{k},b{k}" for k in range(1, 4)]
    assert len(read_runs(write(tmp_path, *grid, header=HEADER + ",run_id"))) == 3
