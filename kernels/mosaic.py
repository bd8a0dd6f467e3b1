"""What the Mosaic GPU kernels share: where they can run, interpret mode, padding.

The kernels use `jax.experimental.pallas.mosaic_gpu.kernel` and nothing else of Pallas'
entry points: what `pl.pallas_call` means on a GPU changes between versions of jax.
"""

from __future__ import annotations

import importlib
from typing import Any

import jax
import jax.numpy as jnp

# Elements of one vector: a warpgroup's 128 threads hold one each.
LANES = 128
# sm_90: copies by the tensor memory accelerator begin there; none later was tried.
CAPABILITY = 9
_NEEDED = ("kernel", "copy_gmem_to_smem", "Barrier")


def missing_api() -> list[str]:
    """Why this version of jax cannot build the kernels; empty where it can."""
    try:
        api = importlib.import_module("jax.experimental.pallas.mosaic_gpu")
    except ImportError as error:
        return [f"jax {jax.__version__} has no Mosaic GPU API ({error})"]
    absent = [name for name in _NEEDED if not hasattr(api, name)]
    if absent:
        return [f"jax {jax.__version__}'s Mosaic GPU API lacks {', '.join(absent)}"]
    return []


def missing_device(device: Any) -> list[str]:
    """Why the kernels cannot run on a device; empty where they can.

    Args:
        device: a `jax.Device`, or the name of a platform (`cpu`, `gpu`), of which
            nothing else is known.
    """
    platform = device if isinstance(device, str) else device.platform
    if platform not in ("gpu", "cuda"):
        return [f"the device is a {platform}, and Mosaic needs a Hopper GPU"]
    version = str(getattr(device, "compute_capability", None) or "unknown")
    if version.split(".")[0] != str(CAPABILITY):
        return [
            f"the GPU's compute capability is {version}, and the kernels need "
            f"{CAPABILITY}.x (Hopper)"
        ]
    return []


def missing_dtype(dtype: Any) -> list[str]:
    """Why the kernels cannot compute in a type; empty where they can."""
    if jnp.dtype(dtype) != jnp.float32:
        return [f"the arrays are {jnp.dtype(dtype)}, and the kernels are float32"]
    return []


def check_float32(operation: str, *arrays: Any) -> None:
    """Refuse arrays that a kernel cannot take.

    Raises:
        NotImplementedError: one of the arrays is not float32; every type met.
    """
    bad = sorted({str(a.dtype) for a in arrays if missing_dtype(a.dtype)})
    if bad:
        raise NotImplementedError(
            f"the Mosaic kernel {operation} takes float32, got {', '.join(bad)}. "
            "Convert the arrays, or use the xla backend."
        )


def compiler_params(*, barriers: bool = False) -> Any:
    """The compiler's parameters of a kernel.

    Lane semantics, because that is the one default of jax 0.10.2 and an option of the
    newer ones.

    Args:
        barriers: synchronise the warpgroup around every store and before every copy to
            shared memory. A kernel that shares nothing between threads needs none.
    """
    api = importlib.import_module("jax.experimental.pallas.mosaic_gpu")
    return api.CompilerParams(
        lowering_semantics=api.LoweringSemantics.Lane,
        unsafe_no_auto_barriers=not barriers,
    )


def with_layout(array: jax.Array, layout: Any, interpret: Any) -> jax.Array:
    """The array in a layout of registers, which 0.10.2's interpreter does not know."""
    if interpret is not None:
        return array
    api = importlib.import_module("jax.experimental.pallas.mosaic_gpu")
    return api.layout_cast(array, layout)


def interpreter() -> Any:
    """What makes `plgpu.kernel(..., interpret=...)` run on a CPU.

    Public from jax 0.11 on; in 0.10.2 a private module, which needs absl-py.

    Raises:
        NotImplementedError: it cannot be had here; the reason.
    """
    try:
        api = importlib.import_module("jax.experimental.pallas.mosaic_gpu")
        if hasattr(api, "InterpretGPUParams"):
            return api.InterpretGPUParams()
        home = "jax._src.pallas.mosaic_gpu.interpret"
        importlib.import_module(f"{home}.shared_memory")
        return importlib.import_module(f"{home}.params").InterpretGPUParams()
    except ImportError as error:
        raise NotImplementedError(
            f"jax {jax.__version__} cannot interpret Mosaic GPU kernels here: {error}"
        ) from error


def padded_size(size: int, multiple: int) -> int:
    """The smallest multiple that is no less than `size`."""
    return -(-size // multiple) * multiple


def pad_axis(array: jax.Array, axis: int, size: int, value: float = 0.0) -> jax.Array:
    """The array with one axis filled up to `size`."""
    missing = size - array.shape[axis]
    if not missing:
        return array
    widths = [(0, 0)] * array.ndim
    widths[axis] = (0, missing)
    return jnp.pad(array, widths, constant_values=value)
