"""Nothing runs for long in silence: what a terminal is shown, and when a bar is one."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from surrogate.base import interrupts
from surrogate.cli import output, progress, screen, supervise


class Terminal(io.StringIO):
    """A stream that says it is one."""

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        raise OSError


@contextmanager
def terminal() -> Iterator[Terminal]:
    """As stderr, for as long: pytest sets its own for each test."""
    found = Terminal()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stderr", found)
        yield found
        screen.hold(False)


def visible(written: str) -> str:
    """What is seen of a line after carriage returns."""
    seen = ""
    for part in written.split("\r"):
        seen = part + seen[len(part) :]
    return seen.rstrip()


def test_a_line_is_drawn_over_and_goes() -> None:
    with terminal() as seen:
        screen.draw("surrogate: a long task, 1 s")
        screen.draw("surrogate: fit, 2 s")
        assert visible(seen.getvalue()) == "surrogate: fit, 2 s"
        screen.clear()
        assert visible(seen.getvalue()) == ""
        screen.draw("x" * 200)
        assert len(visible(seen.getvalue())) == 79


def test_what_is_written_takes_the_lines_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    with terminal() as seen:
        screen.draw("surrogate: fit, 2 s")
        output.note("warning", "so it is")
        last = seen.getvalue().splitlines()[-1]
        assert visible(last) == "surrogate: warning: so it is"


def test_beside_a_bar_there_is_no_line() -> None:
    with terminal() as seen:
        screen.draw("surrogate: fit, 2 s")
        screen.hold(True)
        screen.draw("surrogate: fit, 3 s")
        assert visible(seen.getvalue()) == ""
        screen.hold(False)
        screen.draw("surrogate: fit, 4 s")
        assert visible(seen.getvalue()) == "surrogate: fit, 4 s"


def test_without_a_terminal_there_is_no_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    screen.draw("surrogate: fit, 2 s")
    assert capsys.readouterr().err == ""


def test_work_that_goes_on_is_shown_with_what_it_does() -> None:
    told = threading.Event()
    shown: list[str] = []

    def work() -> int:
        interrupts.begin("reading a.csv")
        # Ends when something was shown, or shows that nothing is.
        return 0 if told.wait(60) else 1

    def show(text: str) -> None:
        shown.append(text)
        told.set()

    assert supervise.run(work, "fit", say=pytest.fail, show=show) == 0
    assert shown[0].startswith("surrogate: reading a.csv, 0 s")


def test_a_bar_that_stands_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    pace = progress.Pace()
    assert not pace.moves()  # nothing has moved yet
    pace.step()
    now += 0.9
    assert pace.moves()
    pace.step()
    now += 1.1
    assert not pace.moves()
    pace.step()
    assert not pace.moves()  # it would stand again


@pytest.mark.parametrize(
    ("files", "said"), [(["a.csv"], "a.csv"), (["a.csv", "b", "c"], "a.csv and 2 more")]
)
def test_reading_names_the_files(files: list[str], said: str) -> None:
    progress.reading([Path("folder") / name for name in files])
    assert interrupts.now().task == f"reading {said}"


def test_a_bar_on_a_terminal_has_a_count_and_seconds(tmp_path: Path) -> None:
    pty = pytest.importorskip("pty")
    code = (
        "import time; from surrogate.cli.progress import Bar, say; bar = Bar(); "
        "bar.start('Resampling cells', 4); bar.advance(3); time.sleep(0.3); "
        "say('beside it'); bar.stop(); say('after it')"
    )
    here, there = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "80"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, stderr=there, stdin=there, check=False
    )
    os.close(there)
    written = os.read(here, 2**16).decode()
    os.close(here)
    assert done.returncode == 0
    for part in ("Resampling cells", "3/4", "0:00:0", "note: beside it", "after it"):
        assert part in written
    assert "━" in written
