"""The numbers of issue 16 from records of draws, each beside what is asked."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from typing import Any, NamedTuple

from simulation.small_designs import DESIGNS

Record = dict[str, Any]
NO_BOWL = {"constant": ("lr", "batch"), "hill": ("lr", "batch")} | {
    "saddle": ("batch",),
    "flat-batch": ("batch",),
}
# Off by more than this factor while claiming less than the other is a gross miss.
GROSS, CLAIMED = 2.0, 1.3
# Median width of intervals over that of the reference.
WIDTH = 1.6
# A design that misses more often than this is run again with fresh draws.
AGAIN, AGAIN_LIMIT = 0.09, 0.08


class Share(NamedTuple):
    """So many of so many; `limit` is what is asked, from above or from below."""

    name: str
    hits: int
    of: int
    limit: float
    is_least: bool = False

    @property
    def value(self) -> float:
        """The share, NaN of none."""
        return self.hits / self.of if self.of else math.nan

    @property
    def verdict(self) -> str:
        """PASS or short; "-" where nothing was seen."""
        if not self.of:
            return "-"
        is_met = self.value >= self.limit if self.is_least else self.value <= self.limit
        return "PASS" if is_met else "short"

    def line(self) -> str:
        """For people."""
        sign = ">=" if self.is_least else "<="
        return (
            f"{self.verdict:<5} {100 * self.value:7.2f} % {self.hits:6d} of "
            f"{self.of:<6d} asked {sign} {100 * self.limit:g} %  {self.name}"
        )


def is_closed(answer: Record | None) -> bool:
    """Answered ok with an interval closed on both sides."""
    return bool(
        answer
        and answer["ok"]
        and answer["low"] is not None
        and answer["high"] is not None
    )


def is_bare(answer: Record | None) -> bool:
    """Status ok, and no interval at all."""
    return bool(
        answer and answer["ok"] and answer["low"] is None and answer["high"] is None
    )


def is_miss(answer: Record) -> bool:
    """The truth lies beyond a side of the interval; an open side covers."""
    low, high, best = answer["low"], answer["high"], answer["best"]
    return bool(
        best is not None
        and ((low is not None and best < low) or (high is not None and best > high))
    )


def is_gross(answer: Record | None) -> bool:
    """Off by a factor above 2 with a claimed factor under 1.3."""
    if not answer or not is_closed(answer) or answer["best"] is None:
        return False
    off = abs(math.log(answer["value"] / answer["best"]))
    sides = answer["high"] / answer["value"], answer["value"] / answer["low"]
    return off > math.log(GROSS) and max(sides) < CLAIMED


def by_design(records: Iterable[Record]) -> dict[str, list[Record]]:
    """Records of each design, in the designs' order."""
    groups: dict[str, list[Record]] = {name: [] for name in DESIGNS}
    for record in records:
        groups[record["design"]].append(record)
    return {name: group for name, group in groups.items() if group}


def row(name: str, group: list[Record]) -> Record:
    """One design's numbers, JSON without NaN."""
    found: Record = {
        "design": name,
        "draws": len(group),
        "refused": sum(r["status"] == "refused" for r in group),
        "seconds": statistics.median(r["seconds"] for r in group),
    }
    for side in ("lr", "batch"):
        found[side] = _direction(group, side)
    return found


def _direction(group: list[Record], side: str) -> Record:
    answers = [r[side] for r in group]
    seen = [r for r in group if r["reference"][side]["identified"]]
    # Of designs that have no optimum inside the runs, or a bowl missing, none are.
    is_told = side in DESIGNS[group[0]["design"]].identifies
    seen = seen if is_told and not DESIGNS[group[0]["design"]].wrong else []
    closed = [a for a in answers if is_closed(a)]
    ratios = [
        math.log(r[side]["high"] / r[side]["low"]) / r["reference"][side]["width"]
        for r in seen
        if is_closed(r[side]) and r["reference"][side]["width"]
    ]
    return {
        "ok": sum(bool(a and a["ok"]) for a in answers),
        "closed": len(closed),
        # Where there is no optimum, none can be missed.
        "judged": sum(a["best"] is not None for a in closed),
        "bare": sum(map(is_bare, answers)),
        "missed": sum(map(is_miss, closed)),
        "one_sided_missed": sum(
            is_miss(a) for a in answers if a and a["ok"] and not is_closed(a)
        ),
        "gross": sum(map(is_gross, answers)),
        "identified": len(seen),
        "identified_closed": sum(is_closed(r[side]) for r in seen),
        "width": statistics.median(ratios) if ratios else None,
    }


def pooled(groups: dict[str, list[Record]], again: bool = False) -> list[Share]:
    """The issue's numbers; `again`: of fresh draws, a design's own limit is 8 %."""
    plain = {n: g for n, g in groups.items() if not DESIGNS[n].wrong}
    rows = [row(name, group) for name, group in plain.items()]
    if again:
        return [_missed(r, AGAIN_LIMIT) for r in rows]
    judged = sum(r["lr"]["judged"] for r in rows)
    everything = [r for group in groups.values() for r in group]
    shares = [
        Share(
            "lr* off by more than its interval, of draws answered ok",
            sum(r["lr"]["missed"] for r in rows),
            judged,
            0.06,
        ),
        Share(
            "off by a factor above 2 with a claimed factor under 1.3, of all draws",
            sum(r["lr"]["gross"] for r in rows),
            sum(map(len, plain.values())),
            0.001,
        ),
    ]
    shares += [_missed(r, AGAIN) for r in rows if r["lr"]["judged"]]
    for each in rows:
        for side in DESIGNS[each["design"]].identifies:
            part = each[side]
            if part["identified"]:
                name = f"{side} answered ok, of identified draws of {each['design']}"
                shares.append(
                    Share(
                        name, part["identified_closed"], part["identified"], 0.9, True
                    )
                )
    for name, sides in NO_BOWL.items():
        for side in sides:
            group = plain.get(name, [])
            oks = sum(bool(r[side] and r[side]["ok"]) for r in group)
            shares.append(Share(f"{side} ok where {name}", oks, len(group), 0.05))
    return shares + _wrongs(groups) + of_verdicts(everything) + [_regret(everything)]


def widths(rows: list[Record]) -> list[Record]:
    """Median widths over the reference's, each with what is asked and its verdict."""
    found = []
    for each in rows:
        for side in ("lr", "batch"):
            ratio = each[side]["width"]
            if ratio is not None:
                verdict = "PASS" if ratio <= WIDTH else "short"
                name = f"median width of {side} in {each['design']}"
                entry = {"name": name, "value": ratio, "limit": WIDTH}
                found.append(entry | {"verdict": verdict})
    return found


def _missed(each: Record, limit: float) -> Share:
    part = each["lr"]
    name = f"lr* missed in {each['design']}"
    return Share(name, part["missed"], part["judged"], limit)


def _wrongs(groups: dict[str, list[Record]]) -> list[Share]:
    found = []
    for name, group in groups.items():
        if DESIGNS[name].wrong:
            good = sum(is_held(r["wrong"]) for r in group)
            found.append(
                Share(f"flagged or stays, {name}", good, len(group), 0.97, True)
            )
    return found


def is_held(wrong: Record) -> bool:
    """One wrong number was flagged, or turned neither answer."""
    return bool(wrong["flagged"] or all(wrong["stays"].values()))


def of_verdicts(records: list[Record]) -> list[Share]:
    """What is asked of the verdicts on runs; it takes no fit."""
    limits = {
        "undertrained": ("undertrained runs called diverged", 0.005, False),
        "wall": ("smooth walls called diverged", 0.02, False),
        "jump": ("jumps found", 0.95, True),
        "spike": ("spikes named", 0.90, True),
        "dead": ("all-diverged batches kept out, every run", 0.95, True),
        "dead runs": ("runs of all-diverged batches kept out", 0.95, True),
        "ordinary": ("ordinary runs set aside", 0.02, False),
    }
    found = []
    for label, (name, limit, is_least) in limits.items():
        pairs = [
            r["verdicts"][label]
            for r in records
            if label in r.get("verdicts", {}) and not DESIGNS[r["design"]].wrong
        ]
        sums = [sum(column) for column in zip(*pairs, strict=True)] or [0, 0]
        found.append(Share(name, sums[0], sums[1], limit, is_least))
    return found


def _regret(records: list[Record]) -> Share:
    bounds = [
        r["regret"]
        for r in records
        if r.get("regret")
        and r["regret"]["upper"] is not None
        and not DESIGNS[r["design"]].wrong
    ]
    hits = sum(b["upper"] >= b["true"] * (1 - 1e-9) for b in bounds)
    return Share("regret's upper bound covers", hits, len(bounds), 0.93, True)


def line(each: Record) -> str:
    """One design for people, under 100 columns."""
    parts = []
    for side in ("lr", "batch"):
        part = each[side]
        told = f"{part['identified_closed']}/{part['identified']}"
        width = "-" if part["width"] is None else f"{part['width']:.2f}"
        parts.append(
            f"{side} {part['closed']:3d} ok {part['bare']:3d} bare "
            f"{part['missed']:3d} missed {told:>7} width {width:>5}"
        )
    return (
        f"{each['design']:<20} {each['draws']:4d} ({each['refused']} refused) "
        f"{' | '.join(parts)}  {each['seconds']:.2f} s"
    )
