"""Files written whole: what is said where it cannot be done."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from surrogate.base import files


def test_a_full_disk_is_told_with_the_file_that_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    goal = tmp_path / "figure.svg"
    goal.write_text("old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as caught:
        files.write_whole(goal, b"new")
    assert caught.value.filename == str(goal)
    assert goal.read_text() == "old"
    assert list(tmp_path.iterdir()) == [goal]
