"""Paired timing: everything is warmed up, then run in turn, round after round.

Machines drift and are shared, so a ratio is taken within each round, between two runs a
moment apart, and then the median of the rounds with their spread.
"""

from __future__ import annotations

import importlib
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple


class Contender(NamedTuple):
    """Something to time.

    Attributes:
        name: as printed.
        run: does the work and waits for it; may return seconds of its own, for a child
            process whose start does not count.
        problems: solved by one run.
    """

    name: str
    run: Callable[[], float | None]
    problems: int


class Timed(NamedTuple):
    """Seconds of each round."""

    name: str
    problems: int
    seconds: tuple[float, ...]

    @property
    def rates(self) -> list[float]:
        """Problems a second, one a round."""
        return [self.problems / s for s in self.seconds]

    def to_json(self) -> dict[str, Any]:
        """Median, lowest and highest problems a second, and what they came from."""
        return {
            "fits_per_s": statistics.median(self.rates),
            "low": min(self.rates),
            "high": max(self.rates),
            "problems": self.problems,
            "seconds": list(self.seconds),
        }


def race(
    contenders: Sequence[Contender], rounds: int, *, warm: bool = True
) -> list[Timed]:
    """Run each once unmeasured, then all of them in turn, `rounds` times.

    Args:
        contenders: in the order in which they take turns.
        rounds: at least 1.
        warm: False leaves the unmeasured run out, for peers that have nothing to
            compile and take long.
    """
    if warm:
        for contender in contenders:
            contender.run()
    seconds: list[list[float]] = [[] for _ in contenders]
    for _ in range(rounds):
        for taken, contender in zip(seconds, contenders, strict=True):
            taken.append(clock(contender.run))
    return [
        Timed(c.name, c.problems, tuple(taken))
        for c, taken in zip(contenders, seconds, strict=True)
    ]


def in_best_threads(run: Callable[[], None]) -> Callable[[], None]:
    """The run with as many threads of NumPy's linear algebra as serve it best.

    Its first run, the warm-up, tries one thread and all of them. On small matrices the
    threads of OpenBLAS can wait for each other for longer than they work, above all on
    a busy machine, and a peer should not lose by that.
    """
    best: list[int | None] = []

    def limited(threads: int | None) -> None:
        with blas_threads(threads):
            run()

    def chosen() -> None:
        if not best:
            tried = {n: clock(lambda n=n: limited(n)) for n in (None, 1)}
            best.append(min(tried, key=lambda n: tried[n]))
        else:
            limited(best[0])

    return chosen


def blas_threads(threads: int | None) -> AbstractContextManager[object]:
    """So many threads of NumPy's linear algebra; None or no threadpoolctl: as it is."""
    try:
        limits = importlib.import_module("threadpoolctl").threadpool_limits
    except ImportError:
        return nullcontext()
    return limits(threads)


def clock(run: Callable[[], float | None]) -> float:
    """Wall-clock seconds of one run, or those that it reports."""
    start = time.perf_counter()
    own = run()
    return time.perf_counter() - start if own is None else own


def ratio(ours: Timed, peer: Timed) -> dict[str, Any]:
    """Our rate over the peer's, pair by pair: median, lowest, highest."""
    pairs = [a / b for a, b in zip(ours.rates, peer.rates, strict=True)]
    return {
        "median": statistics.median(pairs),
        "low": min(pairs),
        "high": max(pairs),
        "pairs": len(pairs),
    }
