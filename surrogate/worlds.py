"""One implementation for two worlds: arrays of NumPy and of JAX."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

# Arrays of either world: a type checker cannot tell which a call has.
if TYPE_CHECKING:
    Numbers: TypeAlias = Any
else:
    Numbers = Array | np.ndarray


def namespace(array: Any) -> Any:
    """The module whose functions take this array: `numpy` or `jax.numpy`."""
    return np if isinstance(array, np.ndarray | np.generic | float) else jnp


def product(left: Numbers, right: Numbers) -> Numbers:
    """The matrix product in full precision."""
    if isinstance(left, np.ndarray):
        return left @ right
    return jnp.matmul(left, right, precision="highest")


def log_sum_exp(values: Numbers) -> Numbers:
    """Ln of the sum of the exponentials along the first axis."""
    if isinstance(values, np.ndarray):
        return np.logaddexp.reduce(values, axis=0)
    return jax.nn.logsumexp(values, axis=0)
