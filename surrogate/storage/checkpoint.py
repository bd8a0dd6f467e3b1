"""Arrays <-> the files of an orbax checkpoint.

Orbax writes them. They are read back from bytes in memory, with tensorstore, on which
orbax builds: what was checked is then what is read, whatever happens to the files.
"""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

Arrays = dict[str, np.ndarray]
_METADATA = "_METADATA"
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
    """
    import tensorstore as ts

    try:
        about = json.loads(files[_METADATA])
        entries = about["tree_metadata"].values()
        names = [entry["key_metadata"][0]["key"] for entry in entries]
        driver = "zarr3" if about.get("use_zarr3") else "zarr"
        # A context of its own: what is in memory is seen by nobody else, and goes.
        context = ts.Context()
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
