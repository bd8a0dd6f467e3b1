"""Many problems in calls of one fixed size, over all devices of a platform.

A call takes `size` problems, the last one is padded, and the compiled program is the
same for all, so that a problem's result does not depend on how many there are. Devices
take calls in turn and exchange nothing. One program over all of them (`jax.shard_map`)
would be compiled for their number, and results would differ in the last digit with it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import numpy as np
from jax.sharding import SingleDeviceSharding
from jax.typing import ArrayLike

from surrogate.base import interrupts

# jax.Device, which pyright takes for a variable.
Device = Any
# How often who waits for a call asks whether to stop [s].
_BEAT = 0.25


class Call(NamedTuple):
    """A compiled function with what it was compiled for; equal ones share a program.

    Attributes:
        function: `function(*static, shared, each, count)`: arrays with a leading axis
            of problems, from arrays of which `each` has one and `shared` has not.
        static: hashable.
    """

    function: Callable[..., Any]
    static: tuple[Any, ...]

    def __call__(self, shared: Any, each: Any, count: ArrayLike) -> Any:
        """Results of one block of problems."""
        return self.function(*self.static, shared, each, count)


class Work(NamedTuple):
    """Problems, and what solves them.

    Attributes:
        make: the compiled call for so many problems.
        shared: arrays that every problem reads.
        each: NumPy arrays with a leading axis of problems.
        size: problems a call. Where the device has no memory for it, half as many, and
            half again.
        turns: parts of a call that its program takes one after the other.
    """

    make: Callable[[int], Call]
    shared: Any
    each: Any
    size: int
    turns: int = 1


@runtime_checkable
class Progress(Protocol):
    """Told what runs and how far it is; the CLI draws it."""

    def start(self, task: str, total: int) -> None:
        """A task of `total` units begins."""
        ...

    def advance(self, n: int) -> None:
        """`n` more units are done."""
        ...

    def stop(self) -> None:
        """The task is over."""
        ...


class Interrupted(KeyboardInterrupt):
    """Ctrl-C while problems were being solved; what was finished is not lost.

    Attributes:
        finished: results of the first problems, in the form in which all are returned.
    """

    def __init__(self, finished: Any) -> None:
        """Carry what is finished."""
        super().__init__("interrupted")
        self.finished = finished


def is_full() -> bool:
    """Whether compiled programs have used half of what the system lets a process map.

    XLA maps every part of a program apart, and the process dies when Linux's limit
    (`vm.max_map_count`, 65,530 as a rule) is reached. Other systems have none.
    """
    maps, limit = Path("/proc/self/maps"), Path("/proc/sys/vm/max_map_count")
    if not (maps.is_file() and limit.is_file()):
        return False
    return 2 * maps.read_bytes().count(b"\n") > int(limit.read_text())


def local_devices() -> list[Device]:
    """All devices of the platform that JAX would use now."""
    settings: Any = jax.config
    named = settings.jax_default_device
    if named is None:
        return jax.local_devices()
    platform = named if isinstance(named, str) else named.platform
    return jax.local_devices(backend=platform)


def run(work: Work, progress: Progress | None = None) -> tuple[Any, int]:
    """Solve all problems, call by call.

    A call may have fewer of them than `size`, so that all workers end together; where
    it starts is a multiple of `size / turns`.

    Args:
        work: the problems.
        progress: told of finished ones.

    Returns:
        NumPy arrays with a leading axis of problems, and the size that fitted.

    Raises:
        Interrupted: Ctrl-C; carries what was finished.
    """
    devices = local_devices()
    placed = [jax.device_put(work.shared, SingleDeviceSharding(d)) for d in devices]
    total = _count(work.each)
    parts: list[Any] = []
    done, workers = 0, _workers(devices)
    try:
        while done < total:
            size = work.size
            step = _share(total - done, size, size // work.turns, workers)
            one = partial(_one, work.make(size), placed, work.each, size, step)
            try:
                for part in _in_turn(one, range(done, total, step), workers):
                    parts.append(part)
                    done += _count(part)
                    interrupts.finished()
                    if progress is not None:
                        progress.advance(_count(part))
            except jax.errors.JaxRuntimeError as error:
                if "RESOURCE_EXHAUSTED" not in str(error) or size == 1:
                    raise
                work = work._replace(size=size // 2)
    except KeyboardInterrupt as signal:
        if parts:
            raise Interrupted((_joined(parts), work.size)) from signal
        raise
    return _joined(parts), work.size


def _count(arrays: Any) -> int:
    return len(jax.tree.leaves(arrays)[0])


def in_turn(one: Callable[[int], Any], firsts: range) -> Iterator[Any]:
    """Results in order of calls on this machine's cores, as many at the same time."""
    workers = cores()
    if workers == 1 or len(firsts) == 1:
        for first in firsts:
            interrupts.check()
            yield one(first)
        return
    yield from _in_turn(one, firsts, workers)


def _workers(devices: list[Device]) -> int:
    """How many calls run at the same time.

    A CPU gets one for each core that the process may use, which keeps the cores busier
    than one call that splits its loops.
    """
    is_cpu = devices[0].platform == "cpu"
    return max(len(devices), cores() if is_cpu else 1)


def cores() -> int:
    """Number of cores that the process may use, as a batch system limits them."""
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed else os.cpu_count() or 1


def _share(total: int, size: int, part: int, workers: int) -> int:
    """Problems per call: equal shares of the workers, whole parts, at most `size`."""
    rounds = -(-total // (size * workers))
    part, each = max(part, 1), -(-total // (rounds * workers))
    return min(size, -(-each // part) * part)


def _one(
    call: Call, placed: list[Any], each: Any, size: int, step: int, first: int
) -> Any:
    """Results of `step` problems from `first` on, fewer at the end."""
    count = min(step, _count(each) - first)
    block = jax.tree.map(
        lambda array: _padded(array[first : first + count], size), each
    )
    # Calls run on the device of their shared arrays.
    shared = placed[first // step % len(placed)]
    found = call(shared, block, np.asarray(count, np.int32))
    return jax.tree.map(lambda array: np.asarray(array)[:count], found)


def _in_turn(one: Callable[[int], Any], firsts: range, workers: int) -> Iterator[Any]:
    """Results in order, of calls that run at the same time where that helps.

    Calls have threads of their own, so that whoever waits for one hears a signal. What
    they run must not wait on XLA's own threads: of two such calls each could take the
    threads that the other waits for (docs/log.md, 2026-11-29).
    """
    # Settings of JAX are a thread's own.
    settings: Any = jax.config
    wide, place = settings.jax_enable_x64, settings.jax_default_device

    def in_thread(first: int) -> Any:
        with jax.enable_x64(wide), jax.default_device(place):
            return one(first)

    pool = ThreadPoolExecutor(min(len(firsts), workers))
    try:
        for future in [pool.submit(in_thread, first) for first in firsts]:
            yield _result(future)
    except BaseException as error:
        # After a signal nobody waits for what is under way, which nobody will read.
        is_left = isinstance(error, KeyboardInterrupt | GeneratorExit)
        pool.shutdown(wait=not is_left, cancel_futures=True)
        raise
    pool.shutdown()


def _result(future: Future[Any]) -> Any:
    """Wait for a call, and stop waiting where the process was asked to stop."""
    while not future.done():
        interrupts.check()
        wait([future], timeout=_BEAT)
    return future.result()


def _padded(array: np.ndarray, size: int) -> np.ndarray:
    """Pad to `size` problems with copies of the first."""
    missing = size - len(array)
    if missing == 0:
        return array
    return np.concatenate([array, np.repeat(array[:1], missing, axis=0)])


def _joined(parts: list[Any]) -> Any:
    return jax.tree.map(lambda *arrays: np.concatenate(arrays), *parts)
