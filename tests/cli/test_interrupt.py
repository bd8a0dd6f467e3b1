"""Signals: what is finished is kept, and said; the rest ends at once.

`python test_interrupt.py STAGE SIGNAL fit ...` is the command in a process of its
own, which sends itself the signal at the stage.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from support.child import environment
from support.cli import runs_csv

from surrogate import load
from surrogate.cli.main import main
from surrogate.cli.progress import Bar
from surrogate.fitting import intervals


class Hand:
    """Presses Ctrl-C when the named stage has gone so far."""

    def __init__(self, stage: str, turns: int) -> None:
        self.stage, self.turns, self.now = stage, turns, ""

    def start(self, bar: Bar, task: str, total: int) -> None:
        self.now = task

    def advance(self, bar: Bar, n: int = 1) -> None:
        if self.now.startswith(self.stage):
            self.turns -= 1
            if self.turns == 0:
                raise KeyboardInterrupt


def press(monkeypatch: pytest.MonkeyPatch, stage: str, turns: int) -> None:
    hand = Hand(stage, turns)
    monkeypatch.setattr(
        Bar, "start", lambda bar, task, total: hand.start(bar, task, total)
    )
    monkeypatch.setattr(Bar, "advance", lambda bar, n=1: hand.advance(bar, n))


def test_finished_draws_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = tmp_path / "runs.csv", tmp_path / "fit"
    file.write_text(runs_csv())
    # As if 6 cells were many: draws of fewer are no refits, and no wait.
    monkeypatch.setattr(intervals, "MIN_CELLS_PAIRS", 6)
    press(monkeypatch, "Resampling", 2)
    asked = ["fit", str(file), "--out", str(out), "--json"]
    code = main([*asked, "--family", "posynomial", "--bootstrap", "700"])
    document = json.loads(capsys.readouterr().out)
    assert code == 1
    warned = [line for line in document["warnings"] if "Interrupted" in line]
    assert len(warned) == 1
    kept = int(warned[0].split()[1])
    assert 0 < kept < 700
    monkeypatch.undo()
    assert main(["optimum", str(out), "--params", "3e8", "--tokens", "1e10"]) == 0
    manifest = json.loads((out / "manifest.json").read_text())
    assert "draws_interrupted" in json.dumps(manifest)


def test_before_there_is_a_fit_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = tmp_path / "runs.csv", tmp_path / "fit"
    file.write_text(runs_csv())
    press(monkeypatch, "Leaving out", 1)
    assert main(["fit", str(file), "--out", str(out), "--json"]) == 130
    assert json.loads(capsys.readouterr().out)["status"] == "interrupted"
    assert not out.exists()


def stopped(
    tmp_path: Path, after: str, kind: signal.Signals, *options: str
) -> tuple[int, str, str]:
    """A real fit that gets a signal when its stage begins: code, stdout, stderr."""
    file = tmp_path / "runs.csv"
    file.write_text(runs_csv())
    command = [sys.executable, str(Path(__file__)), after, str(kind.value)]
    asked = ["fit", str(file), "--out", str(tmp_path / "fit"), "--json", *options]
    done = subprocess.run(
        [*command, *asked],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=environment(),
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_with_nothing_to_keep(tmp_path: Path, kind: signal.Signals) -> None:
    code, printed, said = stopped(tmp_path, "Leaving out cells", kind)
    assert code == 128 + kind
    assert json.loads(printed)["status"] == "interrupted"
    assert "a second signal ends at once" in said
    assert "Traceback" not in said
    assert [entry.name for entry in tmp_path.iterdir()] == ["runs.csv"]


def test_a_signal_while_a_fit_is_saved_lets_it_be_whole(tmp_path: Path) -> None:
    code, printed, said = stopped(
        tmp_path, "saving", signal.SIGTERM, "--family", "quadratic", "--bootstrap", "0"
    )
    assert code == 1
    assert json.loads(printed)["status"] == "ok"
    assert "SIGTERM" in said
    assert main(["check", str(tmp_path / "runs.csv")]) == 0
    load(tmp_path / "fit")


def test_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    code, printed, _ = stopped(tmp_path, "twice", signal.SIGINT)
    assert code == 130
    assert printed == ""


def test_a_signal_after_the_answer_changes_nothing() -> None:
    # Sent by Python's own way out, where handlers are about to go.
    program = (
        "import atexit, os, sys; from surrogate.cli import start; "
        "atexit.register(os.kill, os.getpid(), 15); "
        "sys.argv = ['surrogate', 'law', 'list']; sys.exit(start.main())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"step-law" in done.stdout


def test_what_is_waited_for_is_said(tmp_path: Path) -> None:
    code, _, said = stopped(tmp_path, "silence", signal.SIGINT)
    assert code == 130
    assert "Waiting for fit: nothing has finished for" in said


def _signal_at(stage: str, kind: int) -> None:
    """Run the command of the further arguments; send itself the signal at a stage."""
    from surrogate.answers import from_runs
    from surrogate.cli import supervise
    from surrogate.fitting import replicates
    from surrogate.storage import archive

    # A shell's background jobs, as a CI's may be, ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)

    def send() -> None:
        os.kill(os.getpid(), kind)
        # Long calls do not answer; the process must end all the same.
        time.sleep(60)

    if stage == "saving":
        write = archive.write

        def slow(*args: Any, **keywords: Any) -> None:
            os.kill(os.getpid(), kind)
            time.sleep(supervise.GRACE + 1)
            write(*args, **keywords)

        archive.write = slow
    elif stage == "twice":

        def twice(*args: Any, **keywords: Any) -> None:
            os.kill(os.getpid(), kind)
            # Two at the same moment are one to Python.
            time.sleep(0.5)
            send()

        from_runs.fit = twice
    elif stage == "silence":
        supervise.QUIET = 0.5
        from_runs.fit = lambda *args, **keywords: (time.sleep(2), send())
    else:
        start = replicates.start

        def begin(progress: Any, task: str, total: int) -> None:
            start(progress, task, total)
            if task.startswith(stage):
                send()

        replicates.start = begin
    sys.exit(main(sys.argv[3:]))


if __name__ == "__main__":
    _signal_at(sys.argv[1], int(sys.argv[2]))
