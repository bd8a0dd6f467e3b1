"""Several devices: each takes a share of the problems, and results stay to the bit."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.once
CHILD = Path(__file__).parents[1] / "support" / "devices_child.py"


def solve_on(devices: int, file: Path) -> dict[str, np.ndarray]:
    flag = f"--xla_force_host_platform_device_count={devices}"
    flags = f"{os.environ.get('XLA_FLAGS', '')} {flag}".strip()
    subprocess.run(
        [sys.executable, str(CHILD), str(file)],
        env={**os.environ, "XLA_FLAGS": flags},
        check=True,
        timeout=300,
    )
    with np.load(file) as arrays:
        return dict(arrays)


def test_two_devices_give_what_one_gives(tmp_path: Path) -> None:
    # Property, to the bit: 200 problems are 4 linear calls of 64, 25 curved ones of 8.
    one = solve_on(1, tmp_path / "one.npz")
    many = solve_on(2, tmp_path / "many.npz")
    assert (one.pop("devices"), many.pop("devices")) == (1, 2)
    assert one.keys() == many.keys()
    for name, array in one.items():
        np.testing.assert_array_equal(array, many[name], err_msg=name)
        assert name.startswith("steps") or len(np.unique(array, axis=0)) > 10
