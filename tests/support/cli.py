"""What the tests of the command share: a sweep of smooth bowls, a run of it."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

HEADER = "lr,batch,params,tokens,loss"


def runs_csv(header: str = HEADER, *, extra: tuple[str, ...] = ()) -> str:
    """Six cells of a smooth bowl, 5 lr x 4 batch each, then rows of one's own."""
    lines = [header]
    for params, tokens in (
        (1e8, 4e9),
        (1e8, 2e10),
        (3e8, 6e9),
        (3e8, 3e10),
        (9e8, 2e10),
        (9e8, 9e10),
    ):
        at = (6.2 - 0.65 * math.log(params) + 0.2 * math.log(tokens), 13.1)
        floor = 1.2 + 80 * params**-0.3 + 120 * tokens**-0.25
        for i in range(-2, 3):
            for j in range(-2, 2):
                lr, batch = math.exp(at[0] + 0.7 * i), 2.0 ** (19 + j)
                excess = 0.01 * (0.7 * i) ** 2 + 0.01 * (math.log(batch) - at[1]) ** 2
                loss = floor * math.exp(excess)
                lines.append(f"{lr:.6g},{batch:.0f},{params:g},{tokens:g},{loss:.6f}")
    return "\n".join([*lines, *extra]) + "\n"


def surrogate(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Runs the command in a process of its own, as a user does."""
    command = [sys.executable, "-m", "surrogate.cli.main", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
