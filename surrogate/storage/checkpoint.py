"""Arrays <-> the files of an orbax checkpoint.

Orbax writes them. They are read back from bytes in memory, with tensorstore, on which
orbax builds: what was checked is then what is read, whatever happens to the files.
"""

from __future__ import annotations

import contextlib
import json
import logging
import mmap
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

Arrays = dict[str, np.ndarray]
_METADATA = "_METADATA"
# What is read is small.
_ONE_THREAD = {
    name: {"limit": 1} for name in ("data_copy_concurrency", "file_io_concurrency")
}
# For its threads, their stacks and heaps: it ends the process where one cannot begin.
_ROOM = 256 * 2**20
# Seconds that a failed or interrupted save waits for threads which still write.
_SETTLED_AFTER = 0.5


def save(folder: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays to a new folder.

    Raises:
        Exception: of any type that orbax or tensorstore choose.
    """
    import orbax.checkpoint as ocp

    # Orbax saves no empty array: what is missing when read back was empty.
    kept = {name: np.asarray(array) for name, array in arrays.items() if array.size}
    others = set(threading.enumerate())
    try:
        with _quiet(), ocp.PyTreeCheckpointer() as checkpointer:
            checkpointer.save(folder.absolute(), kept)
    except BaseException:
        # An interrupt stops the wait for orbax's threads, not them.
        last = time.monotonic() + _SETTLED_AFTER
        while set(threading.enumerate()) - others and time.monotonic() < last:
            time.sleep(0.01)
        raise


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep to themselves what orbax's threads print of an error that is raised too."""
    log, hook = logging.getLogger("absl"), threading.excepthook
    before = log.level
    log.setLevel(logging.CRITICAL + 1)
    threading.excepthook = lambda _: None
    try:
        yield
    finally:
        log.setLevel(before)
        threading.excepthook = hook


def restore(files: Mapping[str, bytes]) -> Arrays:
    """The arrays of a checkpoint.

    Args:
        files: the content of every file by its path in the checkpoint's folder.

    Raises:
        ValueError: they are no checkpoint of arrays by name.
        MemoryError: there is no room for the threads that read them.
    """
    import tensorstore as ts

    _check_room()
    try:
        about = json.loads(files[_METADATA])
        entries = about["tree_metadata"].values()
        names = [entry["key_metadata"][0]["key"] for entry in entries]
        driver = "zarr3" if about.get("use_zarr3") else "zarr"
        # A context of its own: what is in memory is seen by nobody else, and goes.
        context = ts.Context(_ONE_THREAD)
        base = ts.KvStore.open("memory://", context=context).result()
        for name, content in files.items():
            base.write(name, content).result()
        return {
            name: ts.open(
                {
                    "driver": driver,
                    "kvstore": {
                        "driver": "ocdbt",
                        "base": "memory://",
                        "path": f"{name}/",
                    },
                },
                context=context,
                read=True,
            )
            .result()
            .read()
            .result()
            for name in names
        }
    except (
        ArithmeticError,
        AttributeError,
        IndexError,
        KeyError,
        OSError,
        RecursionError,
        TypeError,
    ) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error


def _check_room() -> None:
    """Ask for memory before others do, who would not say that there is none."""
    try:
        mmap.mmap(-1, _ROOM).close()
    except OSError as error:
        raise MemoryError(f"no {_ROOM >> 20} MiB of memory are left") from error
