"""What the benchmark ran on, and how fast that is at best: the floors.

    python bench/harness/machine.py [--quick] [--device auto|cpu|gpu]

Prints them as one JSON document; `throughput.py` measures them for itself. Peaks are
measured in the same run as the figures beside them: a square matrix product in each
precision and a copy, the faster of NumPy and JAX.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = (
    "loss-surrogate",
    "jax",
    "jaxlib",
    "numpy",
    "scipy",
    "scikit-learn",
    "pandas",
    "optimistix",
    "gpfit",
)


class Floors(NamedTuple):
    """Measured peaks.

    Attributes:
        flops: of a matrix product, by dtype, a second.
        copy: bytes read and written by a copy, a second.
        how: what was measured, for the document.
    """

    flops: dict[str, float]
    copy: float
    how: dict[str, Any]

    def fits_per_s(self, flops: float, moved: float, dtype: str) -> tuple[float, str]:
        """The most fits a second that these counts allow, and what binds."""
        compute, memory = flops / self.flops[dtype], moved / self.copy
        bound = "compute" if compute >= memory else "memory"
        return 1 / max(compute, memory), bound


def describe(device: Any) -> dict[str, Any]:
    """Device, CPU, cores, versions, commit, date."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": device.platform,
        "device_kind": device.device_kind,
        "devices": len(jax.local_devices(backend=device.platform)),
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "load": os.getloadavg()[0],
        "versions": {"python": platform.python_version()}
        | {name: _version(name) for name in PACKAGES},
        "git": _commit(),
    }


def measure(device: Any, *, quick: bool) -> Floors:
    """Peaks of the device that `jax.default_device` names."""
    is_gpu = device.platform == "gpu"
    side = 8192 if is_gpu else (512 if quick else 2048)
    count = 2**31 // 4 if is_gpu else (2**24 if quick else 2**26)
    flops = {d: _product(side, d, is_gpu) for d in ("float32", "float64")}
    moved = _copy(count, is_gpu)
    how = {
        "matrix_side": side,
        "copied_bytes": 4 * count,
        "float32_flops": flops["float32"],
        "float64_flops": flops["float64"],
        "copy_bytes_per_s": moved,
        "of": "the faster of NumPy and JAX" if not is_gpu else "JAX",
        **(_tensor_cores(side) if is_gpu else {}),
    }
    return Floors(flops, moved, how)


def _best(run: Callable[[], object]) -> float:
    """Least seconds of five, after one: a peak, so the least and not the median."""
    run()
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def _tensor_cores(side: int) -> dict[str, float]:
    """Peaks that only a GPU has: float32 rounded to TF32, and bfloat16."""
    return {
        "tf32_flops": _product(side, "float32", True, "default"),
        "bfloat16_flops": _product(side, "bfloat16", True, "default"),
    }


def _product(side: int, dtype: str, is_gpu: bool, precision: str = "highest") -> float:
    rng = np.random.default_rng(0)
    a = rng.normal(size=(side, side)).astype(jnp.dtype(dtype))
    with jax.enable_x64(dtype == "float64"):
        there = jnp.asarray(a)
        multiply = jax.jit(lambda x: jnp.matmul(x, x, precision=precision))
        seconds = [_best(lambda: multiply(there).block_until_ready())]
    if not is_gpu:
        out = np.empty_like(a)
        seconds.append(_best(lambda: np.matmul(a, a, out=out)))
    return 2 * side**3 / min(seconds)


def _copy(count: int, is_gpu: bool) -> float:
    there = jnp.zeros(count, jnp.float32)
    # A bare copy is elided; the sign is not.
    negate = jax.jit(lambda x: -x)
    seconds = [_best(lambda: negate(there).block_until_ready())]
    if not is_gpu:
        here, out = np.zeros(count, np.float32), np.zeros(count, np.float32)
        seconds.append(_best(lambda: np.copyto(out, here)))
    return 2 * 4 * count / min(seconds)


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if "model name" in line]
    return statistics.mode(names) if names else platform.processor()


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _commit() -> dict[str, Any] | None:
    """Commit, and whether the files differ from it; None outside a repository."""
    try:
        head, changed = (
            subprocess.run(
                ["git", *words], cwd=ROOT, capture_output=True, text=True, check=True
            ).stdout.strip()
            for words in (["rev-parse", "HEAD"], ["status", "--porcelain"])
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return {"commit": head, "dirty": bool(changed)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small sizes")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "gpu"])
    arguments = parser.parse_args()
    name = None if arguments.device == "auto" else arguments.device
    device = jax.local_devices(backend=name)[0]
    with jax.default_device(device):
        floors = measure(device, quick=arguments.quick)
    document = {"bench": "machine", **describe(device), "floors": floors.how}
    print(json.dumps(document, allow_nan=False))


if __name__ == "__main__":
    main()
