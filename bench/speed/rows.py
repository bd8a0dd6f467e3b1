"""What a row of the benchmark is made of, and what all rows share."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from harness.machine import Floors
from harness.timing import Timed, ratio

from speed import ours
from speed.counts import Counts
from speed.problems import Sweep


class Peer(NamedTuple):
    """A peer's result: timed, or a sentence that says why not.

    Attributes:
        name: as printed.
        timed: its rounds, paired with ours.
        asked: the least ratio of our rate to its.
        note: what differs from ours, or how to install it.
        holds: whether ours is as good as its answer, where the row asks for that.
    """

    name: str
    timed: Timed | None
    asked: float | None = None
    note: str | None = ""
    holds: bool = True


class Setting:
    """What was asked for, and what is computed once for all rows.

    Attributes:
        quick: smaller sizes, fewer rounds.
        floors: measured peaks of this machine.
        platform: of the device, as JAX names it.
    """

    def __init__(self, *, quick: bool, floors: Floors, platform: str) -> None:
        """Nothing is read or fitted before a row needs it."""
        self.quick, self.floors, self.platform = quick, floors, platform
        self.rounds = 2 if quick else 3

    def size(self, full: int, quick: int) -> int:
        """The one of the two that was asked for."""
        return quick if self.quick else full

    @cached_property
    def sweep(self) -> Sweep:
        """The runs."""
        return Sweep()

    @cached_property
    def full(self) -> ours.FullFit:
        """The posynomial's fit of all runs."""
        return ours.full_fit(self.sweep, self.sweep.posynomial())

    @cached_property
    def folder(self) -> Path:
        """For files that child processes read."""
        self._folder = tempfile.TemporaryDirectory()
        return Path(self._folder.name)


def row(
    setting: Setting,
    name: str,
    what: str,
    *,
    mine: Timed,
    peers: Sequence[Peer] = (),
    counts: Counts | None = None,
    asked_rate: float | None = None,
    sizes: Sequence[Timed] = (),
    holds: bool | None = None,
    unit: str = "problem",
    **further: Any,
) -> dict[str, Any]:
    """One row as plain numbers.

    Args:
        setting: of the run.
        name: as `--only` takes it.
        what: the problem and its size.
        mine: our rounds.
        peers: theirs.
        counts: of one problem.
        asked_rate: problems a second to reach.
        sizes: ours at other sizes.
        holds: whether what else the row asks for holds (accuracy, say).
        unit: what is counted a second.
        further: more entries.
    """
    own = mine.to_json()
    lines = [_peer(mine, peer) for peer in peers]
    verdicts = [line.get("met") for line in lines if line["asked"] is not None]
    if asked_rate is not None:
        verdicts.append(own["fits_per_s"] >= asked_rate)
    if holds is not None:
        verdicts.append(holds)
    return {
        "row": name,
        "what": what,
        "unit": unit,
        "ours": own,
        "peers": lines,
        "asked_fits_per_s": asked_rate,
        "holds": holds,
        "met": _all(verdicts),
        "sizes": [_size(timed) for timed in sizes],
        **_floor(setting.floors, own["fits_per_s"], counts),
        **further,
    }


def _size(timed: Timed) -> dict[str, Any]:
    rate = timed.to_json()["fits_per_s"]
    return {"problems": timed.problems, "fits_per_s": rate}


def _all(verdicts: Sequence[bool | None]) -> bool | None:
    """None where nothing was asked, or what was could not be tried and nothing failed.

    A peer that is not here proves nothing.
    """
    if False in verdicts:
        return False
    return None if not verdicts or None in verdicts else True


def _peer(mine: Timed, peer: Peer) -> dict[str, Any]:
    if peer.timed is None:
        return {"peer": peer.name, "missing": peer.note, "asked": peer.asked}
    found = ratio(mine, peer.timed)
    return {
        "peer": peer.name,
        **peer.timed.to_json(),
        "ratio": found,
        "asked": peer.asked,
        "met": None
        if peer.asked is None
        else peer.holds and found["median"] >= peer.asked,
        "holds": peer.holds,
        "note": peer.note,
    }


def _floor(floors: Floors, rate: float, counts: Counts | None) -> dict[str, Any]:
    if counts is None:
        return {"counted": None, "floor": None, "share_of_floor": None}
    most, bound = floors.fits_per_s(counts.flops, counts.moved, counts.dtype)
    return {
        "counted": {
            "flops": counts.flops,
            "bytes": counts.moved,
            "dtype": counts.dtype,
            "formula": counts.formula,
        },
        "floor": {"fits_per_s": most, "bound": bound},
        "share_of_floor": rate / most,
    }


def missing_row(name: str, what: str, why: str) -> dict[str, Any]:
    """A row that could not run here, with the reason."""
    return {"row": name, "what": what, "missing": why, "peers": [], "met": None}
