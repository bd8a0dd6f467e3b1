"""Which of several processes this one is, as the cluster says.

JAX finds Slurm, MPI, Kubernetes and others (`jax.distributed`); elsewhere three
variables tell: JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and JAX_PROCESS_ID. The
processes meet once. Draws need no word between them (`shards`), so that nobody is
stopped when one of them dies, as `jax.distributed` would do.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NamedTuple

from surrogate.base.errors import DataError

# Seconds that the processes wait for each other to begin.
MEETING = 300
_COUNT, _NUMBER = "JAX_NUM_PROCESSES", "JAX_PROCESS_ID"


class Host(NamedTuple):
    """A process among others.

    Attributes:
        process: its number.
        processes: how many there are.
    """

    process: int
    processes: int


def meet(first: Callable[[], object]) -> Host:
    """Wait until all processes are there; call it before JAX computes anything.

    Args:
        first: what process 0 does before any of the others goes on.

    Raises:
        DataError: no cluster is told of, or not all of its processes came.
    """
    import jax
    from jax._src import distributed

    count, number = _whole(_COUNT), _whole(_NUMBER)
    state = distributed.global_state
    try:
        jax.distributed.initialize(
            num_processes=count, process_id=number, initialization_timeout=MEETING
        )
        # `jax.process_index` would make a backend that lives on among the processes.
        found = Host(state.process_id, state.num_processes)
        if found.process == 0:
            first()
        # Waits for all.
        jax.distributed.shutdown()
        state.process_id, state.num_processes = 0, 1
    except (RuntimeError, TypeError, ValueError) as error:
        told = " ".join(str(error).split())[:200]
        raise DataError(
            "Expected --hosts in a process of a cluster that JAX detects (Slurm, MPI, "
            "Kubernetes), or with JAX_COORDINATOR_ADDRESS=HOST:PORT, "
            f"{_COUNT} and {_NUMBER} set, and all processes started within "
            f"{MEETING} s: {told}."
        ) from error
    return found


def _whole(name: str) -> int | None:
    text = os.environ.get(name)
    if text is None or text == "":
        return None
    if not text.isdecimal():
        raise DataError(f"Expected {name} to be a whole number, got {text!r}.")
    return int(text)
