"""What training costs on a named GPU, at a share of its dense peak rate."""

from __future__ import annotations

import difflib

from surrogate.base.errors import DataError
from surrogate.base.units import quote

# Dense BF16 (V100: FP16) tensor FLOP/s, without sparsity, as they are commonly stated;
# not looked up in the makers' data sheets.
PEAK = {
    "v100": 125e12,
    "a100": 312e12,
    "h100": 989e12,
    "h200": 989e12,
    "b200": 2250e12,
    "l40s": 362e12,
    "mi250x": 383e12,
    "mi300x": 1307e12,
    "tpu-v4": 275e12,
    "tpu-v5e": 197e12,
    "tpu-v5p": 459e12,
}
MFU = 0.4


def gpu_hours(flops: float, gpu: str, mfu: float = MFU) -> float:
    """Hours of one GPU at a share of its peak.

    Args:
        flops: to be done.
        gpu: one of `PEAK`, in any case.
        mfu: model FLOPs utilisation, a share of the peak.

    Raises:
        DataError: the GPU is not known, or the share is none.
    """
    name = gpu.strip().lower()
    if name not in PEAK:
        near = difflib.get_close_matches(name, PEAK, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise DataError(
            f"Expected a GPU that is known ({', '.join(PEAK)}), got {quote(gpu)}.{hint}"
        )
    if not 0 < mfu <= 1:
        raise DataError(
            f"Expected the share of the GPU's peak above 0 and at most 1, got {mfu!r}. "
            "Write 40% or 0.4."
        )
    return flops / (PEAK[name] * mfu) / 3600
