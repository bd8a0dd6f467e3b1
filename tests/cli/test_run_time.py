"""A machine that is out of something: one sentence, the right exit code, no litter.

Each is real: a child with a limit of its own, a closed descriptor, an empty place.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-P", "-m", "surrogate.cli.start"]
ASK = ["optimum", "bundled:steplaw-dense", "--params", "1B", "--tokens", "20B"]
resource = pytest.importorskip("resource")


def ran(
    *command: str, cwd: Path, shell: str = "", env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    words = [*COMMAND, *command]
    given = ["sh", "-c", f'{shell}exec "$@"', "sh", *words] if shell else words
    return subprocess.run(
        given,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        check=False,
    )


def one_sentence(done: subprocess.CompletedProcess[str], words: str) -> None:
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("surrogate: error: ")
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


def test_no_memory_for_what_is_imported(tmp_path: Path) -> None:
    done = ran(*ASK, cwd=tmp_path, shell="ulimit -v 200000; ")
    if "thread-local data" in done.stderr:
        pytest.skip("the loader itself had no memory left")
    one_sentence(done, "enough memory")


@pytest.mark.parametrize("kib", [250_000, 400_000, 450_000, 600_000])
def test_little_memory_ends_in_an_answer_or_a_sentence(
    tmp_path: Path, kib: int
) -> None:
    # Tensorstore aborts where a thread of its own cannot begin.
    done = ran(*ASK, cwd=tmp_path, shell=f"ulimit -v {kib}; ")
    if "thread-local data" in done.stderr:
        pytest.skip("the loader itself had no memory left")
    if done.returncode:
        one_sentence(done, "enough memory")
    else:
        assert "Use" in done.stdout


def test_no_memory_in_python_is_no_bug(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from surrogate.cli import main

    for error in (MemoryError(), OSError(12, "no"), RuntimeError("std::bad_alloc")):

        def fail(*_: object, error: Exception = error) -> int:
            raise error

        monkeypatch.setattr(main, "_run", fail)
        assert main.main(["optimum"]) == 2
        said = capsys.readouterr().err
        assert "not enough memory" in said
        assert "Traceback" not in said


def test_a_table_takes_the_memory_that_it_is_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read of the most that may come would take a gigabyte for two lines."""
    import tracemalloc

    from surrogate.data.readers.formats.content import read_content

    (tmp_path / "t.csv").write_text("lr\n1\n")
    tracemalloc.start()
    assert read_content(tmp_path / "t.csv").data == b"lr\n1\n"
    assert tracemalloc.get_traced_memory()[1] < 10**6
    tracemalloc.stop()


def test_a_closed_output(tmp_path: Path) -> None:
    done = ran(*ASK, cwd=tmp_path, shell="exec >&-; ")
    one_sentence(done, "standard output is closed")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has it")
def test_a_full_output(tmp_path: Path) -> None:
    one_sentence(ran(*ASK, cwd=tmp_path, shell="exec >/dev/full; "), "No space left")


@pytest.mark.parametrize(
    "env",
    [
        {"HOME": ""},
        {"HOME": "/nonexistent"},
        {"TMPDIR": "/nonexistent"},
        {"COLUMNS": "20"},
        {"COLUMNS": "x"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "ascii"},
    ],
    ids=lambda env: "-".join(f"{k}={v}" for k, v in env.items()).replace("/", ""),
)
def test_an_answer_needs_little_of_its_surroundings(
    tmp_path: Path, env: dict[str, str]
) -> None:
    done = ran(*ASK, cwd=tmp_path, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Traceback" not in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_may_not_grow(tmp_path: Path) -> None:
    done = ran(
        *("report", "bundled:steplaw-dense", "--out", "page.html"),
        cwd=tmp_path,
        shell="ulimit -f 8; ",
    )
    one_sentence(done, "File too large")
    assert list(tmp_path.iterdir()) == []


# Whoever runs the tests in the background may have signals ignored, and children with
# them.
_HEARD = """
import os, signal, sys
for name in ("SIGINT", "SIGTERM", "SIGHUP"):
    signal.signal(getattr(signal, name), signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])
"""


def wait_for_handler(process: int, number: int) -> None:
    """Until a process catches this signal, as Linux tells."""
    status = Path(f"/proc/{process}/status")
    for _ in range(400):
        lines = status.read_text().splitlines()
        (caught,) = (line.split()[1] for line in lines if line.startswith("SigCgt"))
        if int(caught, 16) >> (number - 1) & 1:
            return
        time.sleep(0.05)
    raise AssertionError(f"no handler of signal {number} within 20 s")


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="needs Linux")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_in_the_first_second(tmp_path: Path, name: str) -> None:
    """Told once the handler stands; Python itself has none in its first moments."""
    number = getattr(signal, name)
    with subprocess.Popen(
        [sys.executable, "-c", _HEARD, *COMMAND, "fit", "-", "--out", "fit"],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stderr is not None
        # The last that is set; SIGINT has one of Python before.
        wait_for_handler(child.pid, signal.SIGHUP)
        child.send_signal(number)
        said = child.stderr.read()
    assert child.returncode == 128 + number
    assert "Traceback" not in said
    assert "surrogate: " in said
    assert list(tmp_path.iterdir()) == []
