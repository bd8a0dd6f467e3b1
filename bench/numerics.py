"""Writes docs/numerics.md: certified digits, and answers beside other people's solvers.

    python bench/numerics.py [--only PART]... [--questions 100] [--cases 1000] [--json]

Parts: nonlinear, linear, exact, convex, invariances, processes. Each is measured and
kept in bench/results/numerics.json; the page is written of all that is kept there, and
says of which parts it lacks the figures. NIST's nonlinear files are found by
SURROGATE_DATA, default ../shared/data; `exact` and `convex` take the extra `certify`.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
PAGE, STORE = (
    ROOT / "docs" / "numerics.md",
    ROOT / "bench" / "results" / "numerics.json",
)
INVARIANCES = STORE.with_name("invariances.json")
_COMMAND = "python bench/numerics.py"
Part = dict[str, Any]


def nonlinear(options: argparse.Namespace) -> Part:
    """NIST's 27 problems, both starts, both solvers."""
    solvers = importlib.import_module("support.nist_solvers")
    problems = importlib.import_module("support.nist")
    folder = Path(os.environ.get("SURROGATE_DATA", ROOT / "../shared/data"))
    found: Part = {}
    for name in problems.FORMULAS:
        problem = problems.read(folder / "nist_strd" / f"{name}.dat")
        found[name] = {"limit": solvers.deviation_digits(problem)} | {
            solver: [
                solvers.reach(name, problem, start, solver)._asdict()
                for start in (1, 2)
            ]
            for solver in ("xla", "numpy")
        }
    return {"problems": found}


def linear(options: argparse.Namespace) -> Part:
    """NIST's linear regressions, as the fit of a linear family solves them."""
    from surrogate.numerics import least_squares, row_weights
    from surrogate.numerics.numpy_backend import orthogonal

    files = importlib.import_module("support.nist_linear")
    support = importlib.import_module("support.numerics")
    found: Part = {}
    for name in files.NAMES:
        asked = files.load(name)
        ones = row_weights.given(np.ones((1, len(asked.y))))
        solved = least_squares.solve(
            asked.family, asked.x, asked.y, ones, backend="xla"
        )
        columns = orthogonal.columns_of(asked.family, asked.x)
        error = support.standard_errors(columns, solved.cost[0])
        is_exact = asked.squares == 0
        found[name] = {
            "by_qr": orthogonal.is_needed(asked.family, asked.x),
            "theta": float(support.digits(solved.theta[0], asked.theta).min()),
            "deviation": None
            if is_exact
            else float(support.digits(error, asked.deviation).min()),
            "condition": float(np.linalg.cond(columns)),
        }
    return {"problems": found}


def exact(options: argparse.Namespace) -> Part:
    """Losses and optima by mpmath."""
    room = importlib.import_module("trust.certify_exact")
    found = {}
    for name in room.NAMES:
        found[name] = room.compare(name, options.questions)._asdict()
        print(name, found[name], file=sys.stderr, flush=True)
    return {"families": found}


def convex(options: argparse.Namespace) -> Part:
    """Fits and optima by CVXPY with Clarabel."""
    room = importlib.import_module("trust.certify_convex")
    return {
        "quadratic": room.quadratic_fits(max(2, options.questions // 5))._asdict(),
        "posynomial": room.posynomial_optima(options.questions)._asdict(),
    }


def invariances(options: argparse.Namespace) -> Part:
    """Properties on random tables."""
    room = importlib.import_module("invariances")
    known = room.grown(room.PROPERTIES, options.cases, INVARIANCES)
    found: Part = {}
    for name, check in room.PROPERTIES.items():
        said = (check.__doc__ or "").split("\n", 1)[0]
        found[name] = {"what": said} | {k: known[name][k] for k in ("cases", "worst")}
    return {"properties": found}


def processes(options: argparse.Namespace) -> Part:
    """Draws a second of processes that share them."""
    room = importlib.import_module("trust.processes")
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    found = room.compare(2, options.replicas, options.repeats)
    return found._asdict() | {"speedup": found.speedup}


PARTS: dict[str, Callable[[argparse.Namespace], Part]] = {
    each.__name__: each
    for each in (nonlinear, linear, exact, convex, invariances, processes)
}


def main() -> int:
    """Measure what is asked for and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", action="append", choices=[*PARTS, "none"])
    parser.add_argument("--questions", type=int, default=100)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--replicas", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="the document alone")
    options = parser.parse_args()
    page = importlib.import_module("trust.numerics_page")
    done: Part = json.loads(STORE.read_text()) if STORE.exists() else {}
    for name in options.only or PARTS:
        if name != "none":
            told = {"date": date.today().isoformat()}
            done[name] = told | PARTS[name](options)
            STORE.parent.mkdir(parents=True, exist_ok=True)
            STORE.write_text(json.dumps(done, indent=1) + "\n")
    PAGE.write_text(page.written(done, _COMMAND))
    if options.json:
        print(json.dumps(done))
    return 0


if __name__ == "__main__":
    sys.exit(main())
