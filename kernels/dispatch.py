"""One public function per operation: a named backend runs or raises all its reasons.

`choose` decides before the call; nothing falls back silently.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from surrogate_kernels import ref

Backend = Literal["auto", "xla", "mosaic"]


class Operations(NamedTuple):
    """Every operation on one backend, with the signatures of `ref`."""

    log_sum_exp_normal_equations: Callable[..., ref.NormalEquations]
    log_sum_exp_cost: Callable[..., Any]
    weighted_gram: Callable[..., ref.NormalEquations]
    solve_spd: Callable[..., Any]


XLA = Operations(
    log_sum_exp_normal_equations=ref.log_sum_exp_normal_equations,
    log_sum_exp_cost=ref.log_sum_exp_cost,
    weighted_gram=ref.weighted_gram,
    solve_spd=ref.solve_spd,
)


def choose(backend: str, platform: str) -> Literal["xla"]:
    """The backend that will run.

    Args:
        backend: `auto`, or the one that must run.
        platform: of the device, as JAX names it: `cpu`, `gpu`.

    Raises:
        NotImplementedError: the named backend cannot run here; all the reasons.
        ValueError: there is no backend of that name.
    """
    if backend in ("auto", "xla"):
        return "xla"
    if backend == "mosaic":
        reasons = ["this version has no Mosaic kernels yet"]
        if platform != "gpu":
            reasons.append(f"the device is a {platform}, and Mosaic needs a Hopper GPU")
        raise NotImplementedError(
            f"backend mosaic cannot run here: {'; '.join(reasons)}. "
            "Use --backend auto or xla."
        )
    raise ValueError(f"expected backend auto, xla or mosaic, got {backend!r}")
