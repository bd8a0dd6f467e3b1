"""docs/numerics.md from what `numerics.py` measured."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import fmean
from typing import Any

Part = dict[str, Any]
_HEAD = """\
# Digits

Written by `{command}`; do not edit. Digits are NIST's measure, the log relative error
-log10(|found - certified| / |certified|), of the worst parameter; 11 are certified, and
0 means that the start did not arrive.
"""
_SOLVERS = {"xla": "XLA", "numpy": "NumPy"}


def written(done: Part, command: str) -> str:
    """The page, with a line for each part that has not been measured."""
    parts = {
        "nonlinear": _nonlinear,
        "linear": _linear,
        "exact": _exact,
        "convex": _convex,
        "invariances": _invariances,
        "processes": _processes,
    }
    text = [_HEAD.format(command=command)]
    for name, write in parts.items():
        if name in done:
            text.append(write(done[name], f"`{command} --only {name}`"))
            if "note" in done[name]:
                text.append(done[name]["note"] + "\n")
        else:
            text.append(f"## {name}\n\nNot measured yet: `{command} --only {name}`.\n")
    return "\n".join(text)


def _table(head: str, rows: Iterable[Iterable[object]]) -> str:
    columns = head.count("|") - 1
    lines = [head, "|" + "---|" * columns]
    lines += ["| " + " | ".join(map(str, row)) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _met(is_met: bool) -> str:
    return "yes" if is_met else "**no**"


def _nonlinear(part: Part, command: str) -> str:
    problems = part["problems"]
    asked = []
    for key, solver in _SOLVERS.items():
        starts = [start for p in problems.values() for start in p[key]]
        best = {
            name: max(p[key], key=lambda s: (s["theta"], s["deviation"]))
            for name, p in problems.items()
        }
        nine = sum(b["theta"] >= 9 for b in best.values())
        eight = {n for n, b in best.items() if b["deviation"] >= 8}
        six = sum(s["theta"] >= 6 for s in starts)
        mean = fmean(b["theta"] for b in best.values())
        wrong = sum(s["is_ok"] and s["theta"] < 6 for s in starts)
        short = ", ".join(sorted(set(problems) - eight))
        asked += [
            (solver, "27 of 27 with 9 digits, best start", nine, _met(nine == 27)),
            (
                solver,
                "27 of 27 with 8 in standard errors",
                f"{len(eight)}{f' (not {short})' if short else ''}",
                _met(len(eight) == 27),
            ),
            (solver, "52 of 54 starts with 6", six, _met(six >= 52)),
            (solver, "mean of best starts 9.4", f"{mean:.1f}", _met(mean >= 9.4)),
            (solver, "wrong answers called converged: 0", wrong, _met(wrong == 0)),
        ]

    def shown(start: Part) -> str:
        if not start["is_ok"] and start["theta"] < 1:
            return f"{start['theta']:.0f} (refused)"
        told = "" if start["is_ok"] else " (not called converged)"
        return f"{start['theta']:.1f} / {start['deviation']:.1f}{told}"

    rows = [
        (
            name,
            *(shown(s) for key in _SOLVERS for s in p[key]),
            "/".join(str(s["steps"]) for s in p["numpy"]),
            f"{p['limit']:.1f}",
        )
        for name, p in problems.items()
    ]
    return (
        f"## NIST StRD, nonlinear\n\n{command}, {part['date']}. Newton's method with "
        "exact Hessians, the product's own, in both of its forms "
        "(`least_squares.minimise`, `numpy_backend.damped`), float64, tolerance "
        "1e-22.\n\n"
        + _table("| solver | asked | measured | met |", asked)
        + "\nLanczos1 is exact but for the 14th digit of y, so that what float64 "
        "rounds off y counts in its residuals: solved at 50 digits, its standard "
        "errors have 3.5 digits from y in float64 and 10.6 from y as NIST prints it "
        "(`tests/bench/test_certify.py`). No solver of a table in float64 can have "
        "8.\n\nParameters / standard errors, from start 1 and start 2; steps are "
        "NumPy's:\n\n"
        + _table(
            "| problem | XLA 1 | XLA 2 | NumPy 1 | NumPy 2 | steps | float64 allows |",
            rows,
        )
    )


def _linear(part: Part, command: str) -> str:
    asked = {"Norris": 11, "Filip": 7}
    rows = []
    for name, p in part["problems"].items():
        least = asked.get(name, 9)
        error = "exact fit" if p["deviation"] is None else f"{p['deviation']:.1f}"
        way = "QR" if p["by_qr"] else "normal equations"
        met = _met(p["theta"] >= least)
        rows.append(
            (name, way, f"{p['condition']:.0e}", least, f"{p['theta']:.1f}", error, met)
        )
    return (
        f"## NIST StRD, linear\n\n{command}, {part['date']}. As a quadratic's fit is "
        "solved (`least_squares.solve`): by QR of the columns, refined in extended "
        "precision, where the normal equations would lose more than five digits. Data "
        "and certified values come from the tests of Commons Math, GSL and SciPy and "
        "from one public repository (each file of `tests/nist_linear` says which).\n\n"
        + _table(
            "| problem | solved by | condition | asked | digits | standard errors "
            "| met |",
            rows,
        )
    )


def _exact(part: Part, command: str) -> str:
    rows = [
        (
            name,
            p["questions"],
            f"{p['loss']:.0e}",
            f"{p['lowest']:.0e}",
            f"{p['settings']:.0e}",
            p["interior"],
            _met(max(p["loss"], p["lowest"]) <= 1e-12),
        )
        for name, p in part["families"].items()
    ]
    return (
        f"## Formulas at 50 digits\n\n{command}, {part['date']}. Random questions to "
        "fits whose parameters were moved at random, against the formula of the "
        "family's docstring in mpmath: `predict` at a random setting, `optimum` and "
        "its loss. Asked: 1e-12 relative in loss.\n\n"
        + _table(
            "| family | questions | loss | loss at the optimum | ln lr, ln batch there "
            "| inside the box | met |",
            rows,
        )
    )


def _convex(part: Part, command: str) -> str:
    what = {
        "quadratic": "fit of a quadratic, semidefinite constraint",
        "posynomial": "optimum of a posynomial, geometric program",
    }
    rows = [
        (
            what[name],
            p["problems"],
            p["bound"],
            f"{p['loss']:.1e}",
            f"{p['settings']:.1e}",
            _met(p["loss"] <= 1e-7 and p["settings"] <= 1e-5),
        )
        for name, p in part.items()
        if name in what
    ]
    return (
        f"## CVXPY with Clarabel\n\n{command}, {part['date']}. Asked: 1e-7 in ln loss, "
        "1e-5 in ln lr and ln batch. Clarabel stops at a gap of the loss, whose root "
        "is how well it knows the place: where losses differ by 2e-12, places may by "
        "1e-5. Beside mpmath, above, ours are within 1e-12.\n\n"
        + _table(
            "| problem | problems | at a bound | ln loss | ln lr, ln batch | met |",
            rows,
        )
    )


def _invariances(part: Part, command: str) -> str:
    rows = [
        (p["what"], p["cases"], f"{p['worst']:.2g}", _met(p["worst"] <= 1))
        for p in part["properties"].values()
    ]
    return (
        f"## What must not change an answer\n\n{command} --cases N, {part['date']}. "
        "Random sweeps by hypothesis (`bench/invariances.py`); how far an answer "
        "moved, over what is allowed: 1e-8 in logarithms for rounding, 1e-3 where the "
        "weak priors stand elsewhere, 2e-3 where a recipe 100 times as large is "
        "added. 0 is bit for bit. Asked: 1,000 cases each. A recipe whose optimum "
        "stays where it is at 100 times the size stands up to 2.3 in ln lr off the "
        "other's: such a step has a prior (standard deviation 0.1 of slopes in the "
        "scales, `families/quadratic.py`), which six noiseless cells feel; on one "
        "surface, hardly anything moves.\n\n"
        + _table("| change | cases | largest | met |", rows)
    )


def _processes(part: Part, command: str) -> str:
    return (
        f"## Processes that share draws\n\n{command}, {part['date']}: "
        f"{part['replicas']} draws of a posynomial, {part['processes']} processes with "
        f"a core each against one with one core. {part['alone']:.1f} and "
        f"{part['together']:.1f} draws a second, {part['speedup']:.2f} times (asked "
        f"1.6: {_met(part['speedup'] >= 1.6)}); bit for bit the same: "
        f"{_met(part['is_same'])}. `tests/cli/test_scale_out.py` has 2 and 4 processes "
        "of `fit --hosts`, one of them killed, and `fit --resume` after SIGKILL and "
        "Ctrl-C.\n"
    )
