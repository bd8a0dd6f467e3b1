"""What a refusal gives to paste."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from surrogate.base.errors import FlagsError
from surrogate.data.readers import read_runs


def pasted(path: Path, fill: dict[str, str]) -> dict[str, object]:
    """The command of a refusal as arguments of `read_runs`."""
    with pytest.raises(FlagsError) as caught:
        read_runs(path)
    words = shlex.split(str(caught.value).splitlines()[-1])
    assert words[:4] == ["Type:", "surrogate", "check", str(path)]
    how: dict[str, object] = {}
    mapped: dict[str, str] = {}
    for flag, value in zip(words[4::2], words[5::2], strict=True):
        for blank, known in fill.items():
            value = value.replace(f"={blank}", f"={known}").replace(
                f"*{blank}", f"*{known}"
            )
            value = known if value == blank else value
        if flag == "--map":
            role, _, text = value.partition("=")
            mapped[role] = text
        elif flag == "--seq-len":
            how["seq_len"] = int(value)
        elif flag in ("--finished", "--failed"):
            how[flag[2:]] = value.split(",")
        elif flag == "--allow":
            how["allow"] = [value]
        else:
            how[flag[2:].replace("-", "_")] = value
    return {**how, "map": mapped}
