"""`fit --resume` and `fit --hosts` in real processes, one of them killed.

`python test_scale_out.py RANGES fit ...` is the command in a process that kills itself
before it solves so many ranges.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.child import environment
from support.fit import sweep

from surrogate import load
from surrogate.cli.main import main
from surrogate.data.readers import cleaned

DRAWS = 400
NEVER = 10**6


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table and the fit of one process."""
    folder = tmp_path_factory.mktemp("scale_out")
    runs = sweep()
    cleaned.write_cleaned(runs.subset(np.arange(len(runs)) % 4 == 0), folder / "r.csv")
    assert main(asked(folder, "alone")) == 0
    return folder


def asked(folder: Path, out: str, *more: str) -> list[str]:
    options = f"--family quadratic --bootstrap {DRAWS} --backend numpy --json".split()
    return ["fit", str(folder / "r.csv"), "--out", str(folder / out), *options, *more]


def begin(ranges: int, *command: str, **variables: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(Path(__file__)), str(ranges), *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(**variables, SURROGATE_CACHE="off"),
    )


def together(folder: Path, out: str, ranges: list[int], *more: str) -> list[Any]:
    """Exit codes, stdout and stderr of processes that share a fit."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    where = {
        "JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{port}",
        "JAX_NUM_PROCESSES": str(len(ranges)),
    }
    running = [
        begin(n, *asked(folder, out, "--hosts", *more), **where, JAX_PROCESS_ID=str(k))
        for k, n in enumerate(ranges)
    ]
    said = [process.communicate(timeout=300) for process in running]
    return [(p.returncode, *texts) for p, texts in zip(running, said, strict=True)]


def check_same(folder: Path, out: str) -> None:
    one, other = load(folder / "alone"), load(folder / out)
    np.testing.assert_array_equal(one.draws, other.draws)
    np.testing.assert_array_equal(one.leaves, other.leaves)
    np.testing.assert_array_equal(one.theta, other.theta)
    assert one.provenance.fit == other.provenance.fit
    assert len(one.draws) == DRAWS
    assert not (folder / f"{out}.draws").exists()


@pytest.mark.parametrize("count", [2, 4])
def test_processes_are_one_bit_for_bit(alone: Path, count: int) -> None:
    ended = together(alone, f"of{count}", [NEVER] * count)
    assert [code for code, _, _ in ended] == [0] * count, ended
    told = [json.loads(text) for _, text, _ in ended]
    assert told[0]["bootstrap"] == DRAWS
    assert [t.get("process") for t in told] == [None, *range(1, count)]
    check_same(alone, f"of{count}")


def skip_unless_killed(ended: tuple[int, str, str]) -> None:
    """A process that the others outran has no range left at which it would die."""
    if ended[0] == 0:
        pytest.skip("the others had solved all ranges before")


def test_one_of_four_is_killed_and_the_others_finish(alone: Path) -> None:
    ended = together(alone, "less", [NEVER, NEVER, 0, NEVER])
    skip_unless_killed(ended[2])
    assert [code for code, _, _ in ended] == [0, 0, -signal.SIGKILL, 0], ended
    check_same(alone, "less")


def test_the_first_of_two_is_killed_and_the_fit_resumed(alone: Path) -> None:
    ended = together(alone, "again", [1, NEVER])
    skip_unless_killed(ended[0])
    assert [code for code, _, _ in ended] == [-signal.SIGKILL, 0], ended
    assert not (alone / "again").exists()
    # All ranges are there: a process that dies before it solves one has none to solve.
    one = begin(0, *asked(alone, "again", "--resume"))
    said = one.communicate(timeout=300)
    assert one.returncode == 0, said
    check_same(alone, "again")


def test_a_killed_fit_goes_on(alone: Path) -> None:
    one = begin(2, *asked(alone, "killed", "--resume"))
    said = one.communicate(timeout=300)
    assert one.returncode == -signal.SIGKILL, said
    kept = list((alone / "killed.draws").glob("*/*"))
    assert len(kept) == 2
    assert main(asked(alone, "killed", "--resume")) == 0
    check_same(alone, "killed")


def test_draws_after_ctrl_c_go_on(
    alone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = begin(-2, *asked(alone, "stopped", "--resume"))
    said = one.communicate(timeout=300)
    assert one.returncode == 1, said
    assert "--resume goes on" in " ".join(said[1].split())
    assert 0 < len(load(alone / "stopped").draws) < DRAWS
    capsys.readouterr()
    assert main(asked(alone, "stopped", "--resume")) == 0
    check_same(alone, "stopped")
    assert main(asked(alone, "stopped", "--resume")) == 2
    assert "all draws of" in capsys.readouterr().out


def test_without_a_cluster_hosts_says_what_to_set(
    alone: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID"):
        monkeypatch.delenv(name, raising=False)
    assert main(asked(alone, "nobody", "--hosts")) == 2
    told = json.loads(capsys.readouterr().out)["error"]["message"]
    assert "JAX_COORDINATOR_ADDRESS=HOST:PORT" in told
    monkeypatch.setenv("JAX_NUM_PROCESSES", "two")
    assert main(asked(alone, "nobody", "--hosts")) == 2
    assert (
        "JAX_NUM_PROCESSES" in json.loads(capsys.readouterr().out)["error"]["message"]
    )
    assert not (alone / "nobody").exists()


def _dying(ranges: int) -> None:
    """Run the command; after so many ranges a signal: SIGINT where it is negative."""
    from surrogate.base import interrupts
    from surrogate.cli import scale_out
    from surrogate.fitting import ranges as room
    from surrogate.fitting.shards import Shards

    scale_out._PATIENCE = 0.5
    # A range a call, so that there is one to die before.
    room._EACH = 0
    keep, left = Shards._keep, abs(ranges)
    solve_run = Shards._solve_run

    def solve(shards: Shards, *arguments: Any) -> Any:
        if ranges >= 0 and left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return solve_run(shards, *arguments)

    def kept(shards: Shards, *arguments: Any) -> None:
        nonlocal left
        keep(shards, *arguments)
        left -= 1
        if ranges < 0 and left == 0:
            os.kill(os.getpid(), signal.SIGINT)
            # The main thread hears it; this one would go on to the last range.
            while interrupts.now().signal is None:
                time.sleep(0.01)

    setattr(Shards, "_keep", kept)  # noqa: B010
    setattr(Shards, "_solve_run", solve)  # noqa: B010
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main(sys.argv[2:]))


if __name__ == "__main__":
    _dying(int(sys.argv[1]))
