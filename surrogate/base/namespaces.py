"""One implementation for two worlds: arrays of NumPy and of JAX.

A function of an array namespace takes problems along the leading axes of its arrays. In
NumPy many are computed at once; JAX also takes one and maps it. JAX is imported when it
is first used, so that what computes in NumPy alone never waits for it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np

from surrogate.base.late import Late

T = TypeVar("T")


class _IsJax(type):
    def __instancecheck__(cls, value: object) -> bool:
        jax = sys.modules.get("jax")
        return jax is not None and isinstance(value, jax.Array)


if TYPE_CHECKING:
    import jax
    import jax.numpy as jnp
    from jaxtyping import Array

    # Arrays of either world: a type checker cannot tell which a call has.
    Numbers: TypeAlias = Any
else:
    jax, jnp = Late("jax"), Late("jax.numpy")

    class Array(metaclass=_IsJax):
        """`jax.Array` for whoever asks whether something is one."""

    Numbers = Array | np.ndarray | np.generic


def namespace(array: Any) -> Any:
    """The module whose functions take this array: `numpy` or `jax.numpy`."""
    return np if isinstance(array, np.ndarray | np.generic | float) else jnp


def stacked(like: Numbers, parts: Sequence[Any]) -> Numbers:
    """Numbers and arrays, as far as they broadcast, along one more axis at the end."""
    xp = namespace(like)
    arrays = [xp.asarray(part, like.dtype) for part in parts]
    return xp.stack(xp.broadcast_arrays(*arrays), axis=-1)


def product(left: Numbers, right: Numbers) -> Numbers:
    """The matrix product in full precision."""
    if isinstance(left, np.ndarray):
        return left @ right
    return jnp.matmul(left, right, precision="highest")


def log_sum_exp(values: Numbers, axis: int = 0) -> Numbers:
    """Ln of the sum of the exponentials along an axis, the first if none is named."""
    if not isinstance(values, np.ndarray):
        return jax.nn.logsumexp(values, axis=axis)
    # Term by term: a sum over an axis adds in an order that its length beside decides,
    # and what one problem gives would depend on how many there are.
    terms = np.moveaxis(values, axis, 0)
    top = terms.max(axis=0)
    top = np.where(np.isfinite(top), top, 0.0)
    total = np.zeros_like(top)
    for term in terms:
        total = total + np.exp(term - top)
    with np.errstate(divide="ignore"):
        return np.log(total) + top


def each(function: Callable[..., Any], first: T, *others: T) -> T:
    """A function of every array in named tuples of one form, nested as they are."""
    if first is None:
        return first
    if not isinstance(first, tuple):
        return function(first, *others)
    parts = [each(function, *same) for same in zip(first, *others, strict=True)]  # type: ignore[call-overload]
    return type(first)(*parts) if hasattr(first, "_fields") else type(first)(parts)


def loop(goes_on: Callable[[T], Any], step: Callable[[T], T], state: T) -> T:
    """Repeat `step` on the problems that go on, until none does.

    Args:
        goes_on: which problems do, a truth value each.
        step: the next state of all problems.
        state: named tuples of arrays that begin with the axes of the problems.
    """

    def advance(now: T) -> T:
        is_on = goes_on(now)
        xp = namespace(is_on)
        return each(lambda new, old: xp.where(is_on, new, old), step(now), now)

    is_on = goes_on(state)
    if namespace(is_on) is np:
        while np.any(goes_on(state)):
            state = advance(state)
        return state
    if is_on.ndim == 0:
        return jax.lax.while_loop(goes_on, step, state)
    return jax.lax.while_loop(lambda now: jnp.any(goes_on(now)), advance, state)
