"""What a GPU's compiler makes of every kernel, beside what the arithmetic needs.

    python scripts/compile_report.py [--only NAME ...]

Compiles each operation of `surrogate_kernels.specs.LARGE`, as a Mosaic kernel and as
XLA's own code, for the GPU at hand; without one, for an H200, which needs no GPU but
jax's CUDA plugin (`pip install "jax-cuda13-plugin[with-cuda]" jax-cuda13-pjrt`, of the
same version as jax). Nothing is run and nothing timed. For people a table: registers a
thread, bytes spilled, shared memory of a block, kernels of the whole module, temporary
memory, problems a second that the H200's published rates allow and what bounds them.
The last line is one JSON document. Exit 1 where something did not compile.
"""

from __future__ import annotations

import argparse
import glob
import json
import os
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HAS_GPU = bool(glob.glob("/dev/nvidia[0-9]*"))
if not HAS_GPU:
    # The plugin must not look for a driver.
    os.environ.update(CUDA_VISIBLE_DEVICES="-1", JAX_PLATFORMS="cpu")
    os.environ["JAX_SKIP_CUDA_CONSTRAINTS_CHECK"] = "1"
# Mosaic writes each kernel's PTX and ptxas' report here; read when it compiles.
DUMP = tempfile.TemporaryDirectory()
os.environ["MOSAIC_GPU_DUMP_TO"] = DUMP.name

import jax  # noqa: E402
from jax.experimental import topologies  # noqa: E402

from surrogate_kernels import dispatch, specs  # noqa: E402
from surrogate_kernels.pattern import Pattern  # noqa: E402

# One H200 as XLA describes it.
H200 = """
gpu_device_info {
  threads_per_block_limit: 1024
  threads_per_warp: 32
  shared_memory_per_block: 49152
  shared_memory_per_core: 233472
  threads_per_core_limit: 2048
  core_count: 132
  fpus_per_core: 128
  block_dim_limit_x: 2147483647
  block_dim_limit_y: 65535
  block_dim_limit_z: 65535
  memory_bandwidth: 4800000000000
  l2_cache_size: 52428800
  clock_rate_ghz: 1.98
  device_memory_size: 150754820096
  shared_memory_per_block_optin: 232448
  cuda_compute_capability { major: 9 }
  registers_per_core_limit: 65536
  registers_per_block_limit: 65536
}
platform_name: "CUDA"
dnn_version_info { major: 9 minor: 12 }
runtime_version { major: 13 minor: 0 patch: 0 }
device_description_str: "NVIDIA H200"
"""

# Of one H200, a second: the published peak, and the measured rate of copying.
RATES = {"float32": 67e12, "bytes": 4.3e12}
# XLA's bookkeeping, which launches nothing.
NO_KERNEL = {
    "parameter",
    "constant",
    "tuple",
    "get-tuple-element",
    "bitcast",
    "while",
    "conditional",
    "call",
    "after-all",
    "async-done",
    "copy-done",
}


def place() -> tuple[str, Any]:
    """The device compiled for, and the sharding that says so."""
    if HAS_GPU:
        device = jax.devices()[0]
        return device.device_kind, jax.sharding.SingleDeviceSharding(device)
    there = topologies.get_topology_desc(
        platform="cuda", target_config=H200, topology="1x1x1"
    )
    mesh = topologies.make_mesh(there, (1,), ("device",))
    kind = there.devices[0].device_kind
    return kind, jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())


def floor(spec: specs.Spec) -> dict[str, Any]:
    """What bounds one problem on an H200, and the problems a second that leaves."""
    seconds = {
        "float32": spec.flop / RATES["float32"],
        "bytes": spec.bytes / RATES["bytes"],
    }
    bound = max(seconds, key=lambda name: seconds[name])
    return {
        "flop": spec.flop,
        "bytes": spec.bytes,
        "bound": bound,
        "problems_per_second": 1 / seconds[bound],
    }


def kernels_of(text: str) -> int:
    """Instructions of compiled HLO that launch a kernel or a library call."""
    inside = set(re.findall(r"(?:calls|to_apply)=%?([\w.-]+)", text))
    count, is_counted = 0, False
    for line in text.splitlines():
        if head := re.match(r"(?:ENTRY )?%?([\w.-]+) \(.*\{$", line):
            is_counted = head[1] not in inside
        elif is_counted:
            found = re.match(r"\s+(?:ROOT )?%?[\w.-]+ = .*?\s([a-z][\w-]*)\(", line)
            count += bool(found) and found[1] not in NO_KERNEL
    return count


def backends_of(operation: str) -> list[dispatch.Backend]:
    """The backends that have code of their own for it."""
    xla, mosaic = (getattr(each, operation) for each in dispatch.BATCHED.values())
    return ["xla"] if mosaic is xla else ["xla", "mosaic"]


def mosaic_resources(since: set[str]) -> dict[str, int | None]:
    """What ptxas and Mosaic say of the kernels written since: the worst of them."""
    names = sorted(set(os.listdir(DUMP.name)) - since)
    wanted = [name for name in names if name.endswith((".ptxas", ".resources.txt"))]
    text = "\n".join((Path(DUMP.name) / name).read_text() for name in wanted)

    def worst(pattern: str) -> int | None:
        return max(map(int, re.findall(pattern, text)), default=None)

    return {
        "registers": worst(r"Used (\d+) registers"),
        "spilled_bytes": worst(r"(\d+) bytes spill stores"),
        "shared_bytes": worst(r"smem_scratch_bytes=(\d+)"),
    }


def compiled(
    spec: specs.Spec, backend: dispatch.Backend, sharding: Any
) -> dict[str, Any]:
    """One operation on one backend; `error` where it does not compile."""
    operation = getattr(dispatch.BATCHED[backend], spec.operation)
    arguments = spec.shapes(sharding)
    static = [i for i, a in enumerate(arguments) if isinstance(a, Pattern)]
    before, begin = set(os.listdir(DUMP.name)), time.perf_counter()
    try:
        made = jax.jit(operation, static_argnums=static).lower(*arguments).compile()
    except Exception as error:  # Whatever the compiler raises is the report.
        return {"error": f"{type(error).__name__}: {str(error).splitlines()[0][:200]}"}
    memory = made.memory_analysis()
    found: dict[str, Any] = {
        "seconds_to_compile": round(time.perf_counter() - begin, 2),
        "kernels": kernels_of(made.as_text() or ""),
        "temporary_bytes": 0 if memory is None else memory.temp_size_in_bytes,
    }
    return found | (mosaic_resources(before) if backend == "mosaic" else {})


def line(name: str, spec: specs.Spec, backend: str, row: dict[str, Any]) -> str:
    """One row of the table."""
    what = f"{name:16} {backend:7}"
    if "error" in row:
        return f"{what} {row['error']}"
    cells = [
        row.get(key, "-")
        for key in ("registers", "spilled_bytes", "shared_bytes", "kernels")
    ]
    temporary = row["temporary_bytes"] / spec.problems
    limit = row["floor"]["problems_per_second"] / 1e6
    return (
        f"{what}{cells[0]!s:>10}{cells[1]!s:>9}{cells[2]!s:>9}{cells[3]!s:>9}"
        f"{temporary:>12,.0f}{limit:>14,.1f} ({row['floor']['bound']})"
    )


def main() -> int:
    """Compile, print, return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=list(specs.LARGE), metavar="NAME")
    chosen = parser.parse_args().only or list(specs.LARGE)
    document: dict[str, Any] = {"jax": jax.__version__, "timed": False, "kernels": []}
    try:
        document["device"], sharding = place()
    except Exception as error:  # A missing plugin has no error of its own.
        reason = f"no GPU here, and none can be compiled for: {error}"
        print(reason, file=sys.stderr)
        print(json.dumps(document | {"device": None, "error": reason}))
        return 1
    print(f"compiled for {document['device']}, jax {jax.__version__}; nothing is timed")
    print(
        f"{'operation':16} {'backend':7}{'registers':>10}{'spilled':>9}{'shared':>9}"
        f"{'kernels':>9}{'temp B each':>12}{'floor M/s':>14}"
    )
    for name in chosen:
        spec = specs.LARGE[name]
        for backend in backends_of(spec.operation):
            row = compiled(spec, backend, sharding) | {"floor": floor(spec)}
            print(line(name, spec, backend, row), flush=True)
            known = {"name": name, "operation": spec.operation, "backend": backend}
            document["kernels"].append(known | {"problems": spec.problems} | row)
    print(json.dumps(document))
    return int(any("error" in row for row in document["kernels"]))


if __name__ == "__main__":
    sys.exit(main())
