"""The cold benchmark: what is run beside what, and what becomes of the numbers."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench"
cold, cold_rows, commits = map(
    importlib.import_module, ("cold", "speed.cold_rows", "harness.commits")
)


def python(code: str, **more: Any) -> Any:
    return cold_rows.Command((sys.executable, "-c", code), **more)


def row(**contenders: Any) -> Any:
    limits = (("ours", "R", 0.5), ("ours", "absent", 0.1))
    return cold_rows.Row("name", "what", contenders, limits, 2)


def test_contenders_take_turns_and_ratios_are_of_medians(tmp_path: Path) -> None:
    log = tmp_path / "log"
    say = f"open({str(log)!r}, 'a').write"
    # A sum of so many numbers costs more than the start of Python.
    slow = python(f"{say}('R'); sum(range(10**7))")
    found = cold.measured(row(R=slow, ours=python(f"{say}('o')")), 2, tmp_path)
    assert log.read_text() == "RoRoRo"
    (ratio,) = found["ratios"]
    cpu = [found["seconds"][name]["cpu"] for name in ("ours", "R")]
    assert ratio["ratio"] == pytest.approx(cpu[0] / cpu[1])
    assert ratio["low"] <= ratio["high"]
    assert ratio["met"] == (ratio["ratio"] <= 0.5)
    assert "of R" in cold.line(found)
    json.dumps(found, allow_nan=False)


def test_what_fails_is_said_and_does_not_end_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Exit 1 is an answer, with a status that says why not to use it.
    status = python("raise SystemExit(1)")
    assert "error" not in cold.measured(row(R=status, ours=status), 1, tmp_path)
    bad = "import sys; print('not so', file=sys.stderr); sys.exit(2)"
    found = cold.measured(row(R=python(bad)), 1, tmp_path)
    assert found["error"] == "not so"
    cold.print_table([found])
    assert "not so" in capsys.readouterr().out


@pytest.mark.parametrize("is_kept", [False, True])
def test_only_the_row_that_asks_for_a_cache_has_one(
    is_kept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "elsewhere")
    code = (
        "import json, os; json.dump(dict(os.environ), open(r'{out}/../seen', 'w')); "
        "assert os.path.isdir(r'{out}')"
    )
    cache = tmp_path / "cache" if is_kept else None
    cold.run(python(code, cache=cache), tmp_path)
    seen = json.loads((tmp_path / "seen").read_text())
    assert seen["SURROGATE_CACHE"] == ("on" if is_kept else "off")
    assert (seen["XDG_CACHE_HOME"] == str(cache)) == is_kept
    assert "JAX_COMPILATION_CACHE_DIR" not in seen


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="of Linux")
def test_one_core_is_one(tmp_path: Path) -> None:
    code = "import os; assert len(os.sched_getaffinity(0)) == 1"
    cold.run(python(code, on_one_core=True), tmp_path)


def test_every_row_of_the_issue_is_there(data_dir: Path, tmp_path: Path) -> None:
    other = Path("/other/bin/python")
    names = [*cold_rows.ANSWERS, *cold_rows.FITS]
    rows = {r.name: r for r in cold_rows.rows_in(names, tmp_path, other)}
    assert list(rows) == names
    for name, found in rows.items():
        limited = {limit[:2] for limit in found.limits}
        assert limited <= {(a, b) for a in found.contenders for b in found.contenders}
        assert ("ours", "R" if name in cold_rows.ANSWERS else "against") in limited
    assert rows["fit-dense"].contenders["second process"].cache is not None
    assert all(
        c.on_one_core for n, c in rows["fit-11-recipes"].contenders.items() if n != "R"
    )
    assert rows["demo"].contenders["against"].argv[0] == "/other/bin/surrogate"
    assert len((tmp_path / "sixty.csv").read_text().splitlines()) == 61
    assert len((tmp_path / "points.csv").read_text().splitlines()) == 10_001


def worktrees() -> str:
    listed = subprocess.run(
        ["git", "worktree", "list"],
        cwd=BENCH,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("not in a repository")
    return listed.stdout


def test_a_commit_that_is_none_is_refused_and_nothing_stays() -> None:
    before = worktrees()
    with pytest.raises(SystemExit, match="git worktree add"), commits.installed("none"):
        pass
    assert worktrees() == before
