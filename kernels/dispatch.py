"""Which implementation of each operation runs: decided before the call.

`choose` names the backend, `BATCHED` holds each backend's operations. A named backend
runs or raises all its reasons; nothing falls back silently.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array

from surrogate_kernels import log_sum_exp_xla, mosaic, ref, solve_spd_xla
from surrogate_kernels.backends import NAMES, Backend

__all__ = ["BATCHED", "Backend", "Operations", "choose"]


class Operations(NamedTuple):
    """Every operation on one backend, with the arguments of `ref`.

    Of a batch, each argument that differs between problems has a leading axis: the
    coefficients and offsets, weights, matrix and right-hand side.
    """

    log_sum_exp_normal_equations: Callable[..., ref.NormalEquations]
    solve_spd: Callable[..., Array]


def _kernel(operation: str) -> Callable[..., Any]:
    """A Mosaic kernel, imported when called: Pallas takes 0.2 s to import."""

    def call(*args: Any, **kwargs: Any) -> Any:
        home = {
            "log_sum_exp_normal_equations": "log_sum_exp_mosaic",
            "solve_spd": "solve_spd_mosaic",
        }[operation]
        module = importlib.import_module(f"surrogate_kernels.{home}")
        return getattr(module, operation)(*args, **kwargs)

    return call


BATCHED_XLA = Operations(
    log_sum_exp_normal_equations=log_sum_exp_xla.log_sum_exp_normal_equations,
    solve_spd=solve_spd_xla.solve_spd,
)

BATCHED_MOSAIC = Operations(
    log_sum_exp_normal_equations=_kernel("log_sum_exp_normal_equations"),
    solve_spd=_kernel("solve_spd"),
)

BATCHED: dict[Backend, Operations] = {"xla": BATCHED_XLA, "mosaic": BATCHED_MOSAIC}


def choose(
    backend: str,
    device: Any,
    dtype: Any = jnp.float32,
    *,
    lacking: Sequence[str] = (),
) -> Backend:
    """The backend that will run.

    Args:
        backend: `auto`, or the one that must run.
        device: a `jax.Device`; or the name of a platform (`cpu`, `gpu`), of which no
            more is known, so that `auto` takes XLA there.
        dtype: what the problems are computed in.
        lacking: the caller's own reasons why no Mosaic kernel can serve it.

    Raises:
        NotImplementedError: the named backend cannot run here; all the reasons.
        ValueError: there is no backend of that name.
    """
    if backend not in NAMES:
        known = f"{', '.join(NAMES[:-1])} or {NAMES[-1]}"
        raise ValueError(f"expected backend {known}, got {backend!r}")
    if backend == "xla":
        return "xla"
    if backend == "numpy":
        platform = device if isinstance(device, str) else device.platform
        if platform != "cpu":
            raise NotImplementedError(
                f"backend numpy computes on a CPU and not on a {platform}. Use "
                "--device cpu, or --backend auto or xla."
            )
        return "numpy"
    reasons = [
        *lacking,
        *mosaic.missing_device(device),
        *mosaic.missing_dtype(dtype),
    ]
    if backend == "mosaic" or not reasons:
        # Last, because it imports Pallas.
        reasons += mosaic.missing_api()
    if not reasons:
        return "mosaic"
    if backend == "auto":
        return "xla"
    raise NotImplementedError(
        f"backend mosaic cannot run here: {'; '.join(reasons)}. "
        "Use --backend auto or xla."
    )
