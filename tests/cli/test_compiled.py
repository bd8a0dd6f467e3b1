"""Compiled programs are kept for a later process, and a bad folder costs a warning."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest
from support.cli import runs_csv

from surrogate.cli import compiled

FIT = ("runs.csv", "--family", "quadratic", "--bootstrap", "0", "--backend", "xla")
GONE = ("JAX_COMPILATION_CACHE_DIR", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS")


def fit(folder: Path, out: str, **settings: str) -> tuple[int, str]:
    """Exit code and stderr of a compiled fit whose cache is in `folder/cache`."""
    (folder / "runs.csv").write_text(runs_csv())
    environment = {k: v for k, v in os.environ.items() if k not in GONE}
    environment |= {"SURROGATE_CACHE": "on", "XDG_CACHE_HOME": str(folder / "cache")}
    # What is compiled here takes no time.
    code = (
        "from surrogate.cli import compiled; compiled._WORTH = '0'; "
        "from surrogate.cli.main import main; import sys; sys.exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "fit", *FIT, "--out", out],
        cwd=folder,
        env=environment | settings,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr


def programs(folder: Path) -> dict[Path, bytes]:
    found = (folder / "cache").rglob("*-cache")
    return {path: path.read_bytes() for path in found}


def test_a_second_process_finds_what_the_first_compiled(tmp_path: Path) -> None:
    assert fit(tmp_path, "a") == (0, "")
    first = programs(tmp_path)
    assert len(first) > 1
    assert all(path.parent.stat().st_mode & 0o077 == 0 for path in first)
    assert fit(tmp_path, "b") == (0, "")
    assert programs(tmp_path) == first

    # Corrupt: one warning, and the programs are compiled and kept anew.
    for path in first:
        path.write_bytes(path.read_bytes()[:40])
    code, said = fit(tmp_path, "c")
    assert code == 0
    assert said.count("warning") == 1
    assert "a program in it cannot be read" in said
    assert "SURROGATE_CACHE=off" in said
    assert fit(tmp_path, "d") == (0, "")
    assert programs(tmp_path).keys() == first.keys()
    assert min(map(len, programs(tmp_path).values())) > 40


def test_without_a_cache_nothing_is_written(tmp_path: Path) -> None:
    assert fit(tmp_path, "a", SURROGATE_CACHE="off") == (0, "")
    assert not (tmp_path / "cache").exists()


def test_a_folder_that_cannot_be_made_costs_one_warning(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("no folder")
    code, said = fit(tmp_path, "a")
    assert code == 0
    assert said.count("warning") == 1
    assert "are not taken from" in said
    assert (tmp_path / "a").is_dir()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "programs"
    compiled.prepare(found, "this")
    return found


def test_a_folder_is_used_again_by_the_same_machine(folder: Path) -> None:
    compiled.prepare(folder, "this")


def test_programs_of_another_cpu_are_not_used(folder: Path) -> None:
    with pytest.raises(compiled.Unusable, match="of another CPU"):
        compiled.prepare(folder, "that")


def test_a_folder_that_others_may_write_to_is_not_used(folder: Path) -> None:
    folder.chmod(0o777)
    with pytest.raises(compiled.Unusable, match="others may write to it"):
        compiled.prepare(folder, "this")


def test_a_folder_of_another_user_is_not_used(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getuid", lambda: folder.stat().st_uid + 1)
    with pytest.raises(compiled.Unusable, match="belongs to another user"):
        compiled.prepare(folder, "this")


def test_a_folder_without_permission_is_not_used(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(compiled.Unusable, match="cannot be written to"):
        compiled.prepare(folder, "this")


def test_a_full_disk_is_not_used(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")(10, 10, 0)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    with pytest.raises(compiled.Unusable, match="disk is full"):
        compiled.prepare(folder, "this")


def test_the_longest_unused_programs_go_first(folder: Path) -> None:
    for age, name in enumerate(("new", "middle", "old")):
        path = folder / f"{name}-cache"
        path.write_bytes(bytes(10))
        os.utime(path, (1000 - age, 1000 - age))
    compiled.trim(folder.parent, most=20)
    assert sorted(p.name for p in folder.glob("*-cache")) == [
        "middle-cache",
        "new-cache",
    ]
    assert (folder / "machine").is_file()


def test_one_warning_of_many_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(folder))
    said: list[str] = []
    text = (
        "Error writing persistent compilation cache entry for 'f': OSError: [28] full"
    )
    assert compiled.heard(text, said.append)
    assert compiled.heard(text.replace("'f'", "'g'"), said.append)
    assert not compiled.heard("something else", said.append)
    assert len(said) == 1
    assert "a program cannot be written to it ([28] full)" in said[0]


@pytest.mark.parametrize("given", ["", "relative/path"])
def test_the_cache_folder_is_the_systems(
    given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", given)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert compiled.user_cache() == tmp_path / ".cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "own"))
    assert compiled.user_cache() == tmp_path / "own"


def test_a_folder_that_the_user_gave_jax_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SURROGATE_CACHE", "on")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "mine")
    monkeypatch.delitem(sys.modules, "jax", raising=False)
    compiled.keep(pytest.fail)
    assert os.environ["JAX_COMPILATION_CACHE_DIR"] == "mine"
    assert list(tmp_path.iterdir()) == []
