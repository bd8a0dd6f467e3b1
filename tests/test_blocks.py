"""Calls of one size: padding, order, lack of memory, Ctrl-C, settings of threads."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from surrogate import blocks
from surrogate.blocks import Call, Interrupted

EACH = (np.arange(10.0), np.arange(20.0).reshape(10, 2))


def double(most: int, factor: Any, each: Any, count: Any) -> Any:
    """Refuses blocks of over `most`; what is padding is marked."""
    first, second = map(jnp.asarray, each)
    if len(first) > most:
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory")
    is_real = np.arange(len(first)) < int(count)
    return (
        np.where(is_real, float(factor) * np.asarray(first), -1),
        second,
        len(first) + 0 * first,
    )


def solve(most: int, size: int, progress: Any = None) -> tuple[Any, int]:
    call = Call(double, (most,))
    return blocks.run(lambda size: call, jnp.float32(2), EACH, size, progress=progress)


class Ear:
    """Hears of progress, and presses Ctrl-C at the given time."""

    def __init__(self, stop_at: int = -1) -> None:
        self.heard: list[int] = []
        self.stop_at = stop_at

    def start(self, task: str, total: int) -> None: ...

    def advance(self, n: int) -> None:
        self.heard.append(n)
        if len(self.heard) == self.stop_at:
            raise KeyboardInterrupt

    def stop(self) -> None: ...


def test_results_keep_their_order_and_lose_their_padding() -> None:
    ear = Ear()
    (first, second, sizes), size = solve(99, 4, ear)
    np.testing.assert_array_equal(first, 2 * EACH[0])
    np.testing.assert_array_equal(second, EACH[1])
    np.testing.assert_array_equal(sizes, 4)
    assert (size, ear.heard) == (4, [4, 4, 2])


def test_memory_that_runs_out_halves_the_block() -> None:
    (first, _, sizes), size = solve(3, 8)
    np.testing.assert_array_equal(first, 2 * EACH[0])
    np.testing.assert_array_equal(sizes, 2)
    assert size == 2


def test_memory_for_not_even_one_is_an_error() -> None:
    with pytest.raises(jax.errors.JaxRuntimeError, match="RESOURCE_EXHAUSTED"):
        solve(0, 4)


def fail(shared: Any, each: Any, count: Any) -> Any:
    raise jax.errors.JaxRuntimeError("INTERNAL: something else")


def test_other_errors_pass() -> None:
    with pytest.raises(jax.errors.JaxRuntimeError, match="something else"):
        blocks.run(lambda size: Call(fail, ()), jnp.float32(2), EACH, 4)


def test_ctrl_c_carries_what_is_finished() -> None:
    with pytest.raises(Interrupted) as stopped:
        solve(99, 4, Ear(stop_at=2))
    first, second, _ = stopped.value.finished
    np.testing.assert_array_equal(first, 2 * EACH[0][:8])
    np.testing.assert_array_equal(second, EACH[1][:8])


def kind(shared: Any, each: Any, count: Any) -> Any:
    wide = jnp.asarray(each[0]).dtype == jnp.float64
    return np.full(len(each[0]), wide)


@pytest.mark.parametrize("wide", [True, False])
def test_calls_have_the_settings_of_the_caller(wide: bool) -> None:
    # Several calls run in threads, where JAX's settings start from its defaults.
    with jax.enable_x64(wide):
        found, _ = blocks.run(lambda size: Call(kind, ()), jnp.float32(2), EACH, 2)
    assert (found == wide).all()


def test_devices_are_those_of_the_default_platform() -> None:
    assert blocks.local_devices() == jax.local_devices()
    with jax.default_device(jax.local_devices()[0]):
        assert blocks.local_devices() == jax.local_devices(backend="cpu")
