"""Rows that only a GPU can run: timings there, and nowhere else."""

from __future__ import annotations

import statistics
from functools import partial
from typing import Any

from harness.timing import Contender, race

from speed import counts, ours
from speed.linear_rows import at_sizes
from speed.problems import TERMS, growth
from speed.rows import Peer, Setting, missing_row, row
from surrogate.base.errors import DataError


def posynomial(setting: Setting) -> dict[str, Any]:
    """The fused kernel beside the XLA path."""
    replicas, family = setting.size(2**18, 2**13), setting.sweep.posynomial()
    last: list[ours.Replicas] = []

    def run(backend: str, count: int) -> None:
        found = ours.draws(setting.sweep, family, setting.full, count, backend=backend)
        last[:] = [found]

    what = f"posynomial K = {TERMS}, {replicas:,} warm-started replicas, fused kernel"
    try:
        run("mosaic", 128)
    except DataError as error:
        return missing_row("gpu-posynomial", what, str(error))
    mine, xla = race(
        [
            Contender("mosaic", partial(run, "mosaic", replicas), replicas),
            Contender("xla", partial(run, "xla", replicas), replicas),
        ],
        setting.rounds,
    )
    steps = float(last[0].steps.mean())
    rows, p = len(setting.sweep.rows.target), family.size
    counted = counts.posynomial(rows, p, family.pattern.terms, steps, "float32")
    share = statistics.median(mine.rates) * counted.flops
    share /= setting.floors.flops["float32"]
    return row(
        setting,
        "gpu-posynomial",
        f"{what}, {steps:.0f} steps each",
        mine=mine,
        peers=[Peer("ours, XLA path", xla, 3.0)],
        counts=counted,
        asked_rate=3e5,
        holds=share >= 0.3,
        sizes=at_sizes(partial(run, "mosaic"), setting, replicas),
    )


def quadratic(setting: Setting) -> dict[str, Any]:
    """The quadratic of 6 features on 20 cells."""
    problem, replicas = growth(2000), setting.size(2**22, 2**20)

    def run(count: int) -> None:
        ours.linear(problem, count)

    [mine] = race([Contender("ours", partial(run, replicas), replicas)], 5)
    return row(
        setting,
        "gpu-quadratic",
        f"quadratic, 6 features, 20 cells, {replicas:,} draws",
        mine=mine,
        counts=counts.linear(20, 6, ours.LINEAR_DTYPE),
        sizes=at_sizes(run, setting, replicas),
    )
