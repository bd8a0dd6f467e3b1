"""Another commit of this repository, installed beside this Python's own packages."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tempfile
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.dumps import ROOT


@contextmanager
def installed(commit: str) -> Iterator[Path]:
    """The Python of a light environment that has `commit`, and what this one has.

    Its files are checked out as a worktree in a temporary folder; all of it goes.

    Raises:
        SystemExit: git or pip refused, with what they said.
    """
    with tempfile.TemporaryDirectory() as name:
        tree, home = Path(name) / "tree", Path(name) / "env"
        _call("git", "worktree", "add", "--detach", str(tree), commit, cwd=ROOT)
        try:
            venv.create(home)
            _share(home)
            python = home / "bin" / "python"
            pip = (sys.executable, "-m", "pip", "--python", str(python))
            _call(*pip, "install", "-q", "--no-deps", str(tree), cwd=tree)
            yield python
        finally:
            _call("git", "worktree", "remove", "--force", str(tree), cwd=ROOT)


def _share(home: Path) -> None:
    """Let an environment see the packages that this one sees, behind its own."""
    own = Path(
        sysconfig.get_path("purelib", vars={"base": str(home), "platbase": str(home)})
    )
    seen = [path for path in sys.path if Path(path).name == "site-packages"]
    (own / "shared.pth").write_text("\n".join(seen) + "\n")


def _call(*argv: str, cwd: Path) -> None:
    done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(argv)}: {(done.stderr or done.stdout).strip()}")
