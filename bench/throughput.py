"""Throughput: our fits a second beside other solvers', in one run on one machine.

    python bench/throughput.py [--quick] [--json] [--only ROW]... [--figure DIR]
                               [--device auto|cpu|gpu]

Reads the Step Law dense dump in SURROGATE_DATA (default ../shared/data), or simulates
the embedded sweep where there is none. Each row runs ours and its peers in turn, after
a warm-up, and gives the median of the ratios of neighbouring runs with their lowest and
highest. `share` is our rate over the floor: what the operations and bytes of a problem,
counted by formula, take at the peaks measured in the same run. A peer that is not
installed says how to install it. Prints a table (--json: none) and, as its last line,
one JSON document. Exit 1: a row failed; what it asked for may be missed at exit 0.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from typing import Any

import jax
from harness import machine, watched
from rich.console import Console
from rich.table import Table
from speed import answer_rows, curved_rows, gpu_rows, linear_rows
from speed.rows import Setting

from surrogate.base import interrupts
from surrogate.base.errors import DataError
from surrogate.numerics import least_squares

Row = Callable[[Setting], dict[str, Any]]
ON_CPU: dict[str, Row] = {
    "quadratic": linear_rows.quadratic,
    "posynomial": curved_rows.posynomial,
    "bowl": curved_rows.bowl,
    "cold-posynomial": curved_rows.cold,
    "gpufit": curved_rows.gpufit,
    "plateau": answer_rows.plateau_points,
    "memory": linear_rows.memory,
    "growth-replicas": linear_rows.growth_replicas,
    "growth-posynomial": curved_rows.growth_posynomial,
}
ON_GPU: dict[str, Row] = {
    "gpu-posynomial": gpu_rows.posynomial,
    "gpu-quadratic": gpu_rows.quadratic,
}


def main() -> None:
    """Run the rows and print the table and the document."""
    arguments = _arguments()
    try:
        device = least_squares.pick_device(arguments.device)
    except DataError as error:
        sys.exit(f"bench/throughput.py: {error}")
    with jax.default_device(device):
        document = run(arguments, device)
    if not arguments.json:
        print_tables(document)
    if arguments.figure:
        from speed.throughput_plot import draw

        document["figures"] = draw(document, arguments.figure)
    print(json.dumps(document, allow_nan=False))
    sys.exit(1 if any("error" in row for row in document["rows"]) else 0)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="no table")
    parser.add_argument("--quick", action="store_true", help="small sizes, few rounds")
    parser.add_argument(
        "--only",
        action="append",
        choices=[*ON_CPU, *ON_GPU],
        help="this row; repeatable",
    )
    parser.add_argument("--figure", metavar="DIR", help="write throughput.png and .svg")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "gpu"])
    return parser.parse_args()


def run(arguments: argparse.Namespace, device: Any) -> dict[str, Any]:
    """The document: what ran where, and every row."""
    start = time.perf_counter()
    about = machine.describe(device)
    floors = machine.measure(device, quick=arguments.quick)
    setting = Setting(
        quick=arguments.quick,
        floors=floors,
        platform=device.platform,
    )
    usual = ON_GPU if device.platform == "gpu" else ON_CPU
    rows = []
    for name in arguments.only or usual:
        print(f"{name} ...", file=sys.stderr, flush=True)
        interrupts.begin(name)
        rows.append(attempt(name, setting))
    return {
        "bench": "throughput",
        "quick": arguments.quick,
        **about,
        "load_after": os.getloadavg()[0],
        "floors": floors.how,
        "rows": rows,
        "seconds": time.perf_counter() - start,
    }


def attempt(name: str, setting: Setting) -> dict[str, Any]:
    """A row, or the error that ended it: the others still run."""
    start = time.perf_counter()
    try:
        # Floats cut to float32 where x64 is off are the engine's own affair here.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            found = (ON_CPU | ON_GPU)[name](setting)
    except Exception as error:
        traceback.print_exc()
        kind = type(error).__name__
        found = {"row": name, "error": f"{kind}: {error}", "peers": [], "met": None}
    return found | {"row_seconds": time.perf_counter() - start}


def print_tables(document: dict[str, Any]) -> None:
    """For people: a line for ours, then one a peer."""
    console = Console(width=118)
    git = document["git"] or {"commit": "unknown", "dirty": False}
    console.print(
        f"{document['device_kind']}, {document['cpu']}, {document['cores']} cores, jax "
        f"{document['versions']['jax']}, commit {git['commit'][:12]}"
        f"{' and changes' if git['dirty'] else ''}, {document['date']}"
    )
    load = max(document["load"], document["load_after"])
    if load > document["cores"] + 0.5:
        console.print(
            f"[bold]Busy machine[/]: load {load:.1f} on {document['cores']} cores. "
            "Ratios are not to be relied on."
        )
    table = Table(title="Problems solved a second; ratio: median (lowest to highest)")
    table.add_column("row", overflow="fold")
    for column in ("a second", "ratio", "asked", "met", "share"):
        table.add_column(column, justify="right")
    for row in document["rows"]:
        _add(table, row)
    console.print(table)


def _add(table: Table, row: dict[str, Any]) -> None:
    what = f"[bold]{row['row']}[/]: {row.get('what', '')}"
    if "ours" not in row:
        table.add_row(f"{what}\n{row.get('missing') or row['error']}")
        return
    share = row["share_of_floor"]
    asked = row["asked_fits_per_s"]
    table.add_row(
        what,
        _rate(row["ours"]),
        "",
        "" if asked is None else f"{asked:,.0f}/s",
        _yes(row["met"]),
        "" if share is None else f"{share:.1%}",
    )
    for peer in row["peers"]:
        asked = "" if peer["asked"] is None else f"{peer['asked']:,.0f} x"
        if "missing" in peer:
            table.add_row(f"  {peer['peer']}: {peer['missing']}", "", "", asked, "")
            continue
        found = peer["ratio"]
        table.add_row(
            f"  {peer['peer']}" + (f" ({peer['note']})" if peer["note"] else ""),
            _rate(peer),
            f"{_ratio(found['median'])} ({_ratio(found['low'])} to "
            f"{_ratio(found['high'])})",
            asked,
            _yes(peer["met"]),
        )
    table.add_section()


def _rate(timed: dict[str, Any]) -> str:
    rate = timed["fits_per_s"]
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}"


def _ratio(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _yes(met: bool | None) -> str:
    return {None: "", True: "yes", False: "no"}[met]


if __name__ == "__main__":
    watched.run(main)
