"""Calls of one size: padding, order, lack of memory, Ctrl-C, settings of threads.

`python test_blocks.py FILE` solves on all devices of its process, for the last test.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from surrogate.families import Posynomial, Quadratic, Shape
from surrogate.numerics import batches, least_squares, row_weights
from surrogate.numerics.batches import Call, Interrupted

DEVICES = 2
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
    return batches.run(
        batches.Work(lambda size: call, jnp.float32(2), EACH, size), progress
    )


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


@pytest.mark.parametrize(
    ("total", "size", "part", "workers", "wanted"),
    [
        (10, 4, 4, 1, 4),
        (10, 4, 4, 2, 4),
        (10_000, 4096, 256, 2, 2560),
        (10_000, 4096, 256, 1, 3584),
        (131, 128, 8, 2, 72),
        (131, 128, 128, 2, 128),
        (1, 128, 8, 2, 8),
        (128, 128, 8, 4, 32),
    ],
)
def test_calls_are_shared_out_evenly(
    total: int, size: int, part: int, workers: int, wanted: int
) -> None:
    # By hand: the fewest rounds of all workers, then as many for each, whole parts.
    assert batches._share(total, size, part, workers) == wanted


def test_memory_that_runs_out_halves_the_block() -> None:
    (first, _, sizes), size = solve(3, 8)
    np.testing.assert_array_equal(first, 2 * EACH[0])
    np.testing.assert_array_equal(sizes, 2)
    assert size == 2


def tire(most: int, shared: Any, each: Any, count: Any) -> Any:
    """Runs out of memory from the fifth problem on, where blocks are over `most`."""
    first = np.asarray(each[0])
    if first.max() > 4 and len(first) > most:
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory")
    return 3 * first, len(first) + 0 * first


@pytest.mark.parametrize("most", [1, 2, 3])
def test_memory_that_runs_out_later_costs_nothing_finished(most: int) -> None:
    # Property, to the bit: what was finished stays, the rest is done in its order.
    ear = Ear()
    (found, sizes), size = batches.run(
        batches.Work(lambda size: Call(tire, (most,)), jnp.float32(2), EACH, 4), ear
    )
    fits = 1 if most == 1 else 2
    np.testing.assert_array_equal(found, 3 * EACH[0])
    np.testing.assert_array_equal(sizes, [4] * 4 + [fits] * 6)
    assert size == fits
    assert ear.heard == [4] + [fits] * (6 // fits)


def test_memory_for_not_even_one_is_an_error() -> None:
    with pytest.raises(jax.errors.JaxRuntimeError, match="RESOURCE_EXHAUSTED"):
        solve(0, 4)


def fail(shared: Any, each: Any, count: Any) -> Any:
    """A block of two would be solved."""
    if len(each[0]) > 2:
        raise jax.errors.JaxRuntimeError("INTERNAL: something else")
    return np.asarray(each[0])


def test_other_errors_pass() -> None:
    with pytest.raises(jax.errors.JaxRuntimeError, match="something else"):
        batches.run(batches.Work(lambda size: Call(fail, ()), jnp.float32(2), EACH, 4))


def test_ctrl_c_carries_what_is_finished() -> None:
    with pytest.raises(Interrupted) as stopped:
        solve(99, 4, Ear(stop_at=2))
    (first, second, _), size = stopped.value.finished
    assert size == 4
    np.testing.assert_array_equal(first, 2 * EACH[0][:8])
    np.testing.assert_array_equal(second, EACH[1][:8])


def interrupt(shared: Any, each: Any, count: Any) -> Any:
    raise KeyboardInterrupt


def test_ctrl_c_before_anything_is_finished_carries_nothing() -> None:
    with pytest.raises(KeyboardInterrupt) as stopped:
        batches.run(
            batches.Work(lambda size: Call(interrupt, ()), jnp.float32(2), EACH, 4)
        )
    assert not isinstance(stopped.value, Interrupted)


def kind(shared: Any, each: Any, count: Any) -> Any:
    wide = jnp.asarray(each[0]).dtype == jnp.float64
    return np.full(len(each[0]), wide)


@pytest.mark.parametrize("wide", [True, False])
def test_calls_have_the_settings_of_the_caller(wide: bool) -> None:
    # Several calls run in threads, where JAX's settings start from its defaults.
    with jax.enable_x64(wide):
        found, _ = batches.run(
            batches.Work(lambda size: Call(kind, ()), jnp.float32(2), EACH, 2)
        )
    assert (found == wide).all()


def test_devices_are_those_of_the_default_platform() -> None:
    assert batches.local_devices() == jax.local_devices()
    with jax.default_device(jax.local_devices()[0]):
        assert batches.local_devices() == jax.local_devices(backend="cpu")


# ---- several devices ------------------------------------------------------------


class Spied(Call):
    """A call that tells where its results are."""

    places: ClassVar[set[Any]] = set()

    def __call__(self, shared: Any, each: Any, count: Any) -> Any:
        found = super().__call__(shared, each, count)
        self.places.update(*(part.devices() for part in jax.tree.leaves(found)))
        return found


def place(shared: Any, each: Any, count: Any) -> Any:
    """Where JAX would put a new array of this thread."""
    (device,) = jnp.zeros(1).devices()
    return np.full(len(each[0]), device.id)


def child(file: str) -> None:
    """Write solutions, how many devices gave them, and a thread's default device."""
    rng = np.random.default_rng(5)
    shape, devices = Shape(1, 1, 0), jax.local_devices()
    # Small blocks, so that linear fits are more calls than devices.
    least_squares._ELEMENTS["cpu"] = 2**12
    batches.Call = Spied  # pyright: ignore[reportAttributeAccessIssue]
    z = rng.normal(size=(20, 2))
    target = 0.05 * (z**2).sum(axis=1) + 0.01 * rng.normal(size=20)
    saved: dict[str, Any] = {"devices": np.array(len(devices))}
    for family in (Quadratic(shape), Posynomial(shape, 2)):
        size = least_squares._SLOTS["cpu"] * least_squares._TURNS
        block = 128 if isinstance(family, Quadratic) else size
        problems = 2 * DEVICES * block + 5
        plan = row_weights.given(1e4 * rng.poisson(1.0, (problems, 20)).astype(float))
        starts = None
        if isinstance(family, Posynomial):
            with jax.enable_x64(True):
                start = family.starts(np.random.default_rng(0), 1)
            starts = np.repeat(start, problems, axis=0)
        Spied.places.clear()
        found = least_squares.solve(family, z, target, plan, starts, iterations=6)
        assert found.block == block
        saved |= {
            f"{family.name} {k}": np.asarray(v) for k, v in found._asdict().items()
        }
        saved[f"{family.name} used"] = np.array(len(Spied.places))
    with jax.default_device(devices[-1]):
        told, _ = batches.run(batches.Work(lambda size: Call(place, ()), 0.0, EACH, 2))
    saved["told"] = told - devices[-1].id
    np.savez(file, **saved)


@pytest.mark.once
def test_several_devices_all_work_and_give_what_one_gives(tmp_path: Path) -> None:
    # Property, to the bit: two calls for each device and a part of one.
    saved = []
    for devices in (1, DEVICES):
        file = tmp_path / f"{devices}.npz"
        flag = f"--xla_force_host_platform_device_count={devices}"
        flags = f"{os.environ.get('XLA_FLAGS', '')} {flag}".strip()
        environment = {**os.environ, "XLA_FLAGS": flags}
        command = [sys.executable, __file__, str(file)]
        subprocess.run(command, env=environment, check=True, timeout=300)
        with np.load(file) as arrays:
            saved.append(dict(arrays))
        for name in ("devices", "quadratic used", "posynomial used"):
            assert saved[-1].pop(name) == devices, name
        np.testing.assert_array_equal(saved[-1].pop("told"), 0)
    one, many = saved
    assert one.keys() == many.keys()
    for name, array in one.items():
        np.testing.assert_array_equal(array, many[name], err_msg=name)
    for name in ("quadratic theta", "posynomial theta"):
        assert len(np.unique(one[name], axis=0)) == len(one[name])


def test_a_process_is_full_at_half_of_its_maps(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    files = {"maps": "a\n" * 11, "max_map_count": "22\n"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)

    def at(path: str) -> Path:
        return tmp_path / Path(path).name

    monkeypatch.setattr(batches, "Path", at)
    assert not batches.is_full()
    (tmp_path / "maps").write_text("a\n" * 12)
    assert batches.is_full()
    (tmp_path / "maps").unlink()
    assert not batches.is_full()


@pytest.mark.parametrize(("allowed", "workers"), [({0}, 1), ({0, 2, 5}, 3), (None, 7)])
def test_a_cpu_has_a_worker_for_each_core_that_the_process_may_use(
    monkeypatch: pytest.MonkeyPatch, allowed: set[int] | None, workers: int
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    if allowed is None:
        monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    else:
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: allowed, raising=False)
    assert batches._workers(jax.devices("cpu")[:1]) == workers


if __name__ == "__main__":
    child(sys.argv[1])
