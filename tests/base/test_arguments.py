"""Public functions asked wrongly: one sentence that names the argument, nothing raw.

Every argument of every public function is given every value of `WRONG` that its kind
does not take; what each kind takes is written down beside it.
"""

from __future__ import annotations

import datetime
import decimal
import inspect
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import surrogate
from surrogate import DataError, Fit, laws
from surrogate.answers import load
from surrogate.answers.simulate import simulate
from surrogate.base.arguments import checked, kinds
from surrogate.base.arguments.said import said
from surrogate.data import Runs
from surrogate.views import explorer, plots


class Hostile:
    """What raises whatever is asked of it."""

    def __repr__(self) -> str:
        raise RuntimeError("no")

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        raise RuntimeError("no")


MASKED = np.ma.array([1.0, 2.0], mask=[True, False])
WRONG: tuple[Any, ...] = (
    *(None, True, np.True_, "1B", "0.25%", "", b"x", "\ud800", "a\0b", "x" * 300),
    *(-1, 0, 5, 0.5, -1.0, float("nan"), float("inf"), -float("inf"), 1e-300, 1e300),
    *(10**400, -(10**400), 1j, decimal.Decimal(1), datetime.date(2026, 1, 1)),
    *(np.datetime64("2026-01-01"), np.array("2026-01-01", "M8[D]"), [], [1e-3], [[1]]),
    *([1, [2, 3]], (1e-2, 1e-3), (1e-3, "x"), (1, 2, 3), (True, False), {}, set()),
    *({"a": "x"}, {"a": -1.0}, {1: 2.0}, object(), Hostile(), int, print, MASKED),
    *(np.array(["a"]), np.array([None]), np.array([[1.0]]), (k for k in range(2))),
)
N = 9
COLUMNS: dict[str, Any] = {
    "lr": np.geomspace(1e-4, 1e-2, N),
    "batch": np.full(N, 131072.0),
    "params": np.full(N, 1e8),
    "tokens": np.full(N, 2e9),
    "loss": np.exp(1 + 0.02 * np.linspace(-2, 2, N) ** 2),
}
SIZES: dict[str, Any] = {"params": 1e9, "tokens": 2e10}
CHOICE: dict[str, Any] = {"lr": 1e-3, "batch": 1e6}
# What is right for an argument among the values above, or is its own affair.
FREE = {
    "lr": (5, 0.5),
    "batch": (5, 0.5),
    "lr_max": (5, 0.5),
    "batch_max": (5, 0.5),
    "batch_multiple": (5, 0.5),
    "p_max": (0.5, 1e-300),
    "probability": (0.5, 1e-300),
    "share": (0.5, 1e-300),
    "tol": (0.5, 1e-300),
    "seed_noise": (5, 0.5),
    "seed": (0, 5),
    "bootstrap": (0, 5),
    "terms": (5,),
    "seq_len": (5,),
    "diverged_above": (5, 0.5, 1e-300, 1e300, float("inf")),
    "overwrite": (True, np.True_),
    "is_compute_approximate": (True, np.True_),
    "any_loss": (True, np.True_),
    "repeats": (True, np.True_),
    "is_prior": (True, np.True_),
    "lr_levels": ([], [1e-3], (1e-2, 1e-3), (1, 2, 3)),
    "allow": ([], set()),
    "notes": ([], set(), "1B", "0.25%", "", "a\0b", "x" * 300),
    "scales": ({},),
    "about": ({}, {"a": "x"}),
    "map": ({},),
    "called": ({}, {"a": "x"}),
    "dropped": ([], set()),
    "sources": ([], set()),
    "recipe": ("", [], set()),
    "fill_down": ("", [], set()),
}
FREE |= {"cautions": FREE["notes"], "finished": FREE["notes"], "failed": FREE["notes"]}
_TEXTS = ("notes", "cautions", "finished", "failed", "recipe")
# Points of a prediction and labels of runs: numbers and texts of any kind.
POINTS = (5, 0.5, 1e-300, 1e300, [1e-3], (1e-2, 1e-3), (1, 2, 3))
LABELS = ("", "1B", "0.25%", "x" * 300, "a\0b")


def functions(fit: Fit) -> Iterator[tuple[str, Callable[..., Any], dict[str, Any]]]:
    """Every public function with a right question; each stops at a wrong argument."""
    runs = Runs.from_arrays(**COLUMNS)
    yield "optimum", fit.optimum, SIZES
    yield "plateau", fit.plateau, SIZES
    yield "regret", fit.regret, SIZES | CHOICE
    yield "tolerance", fit.tolerance, SIZES | {"share": 0.05}
    yield "at", fit.at, SIZES
    surface = fit.at(**SIZES)
    yield "at_regret", surface.regret, CHOICE
    yield "at_plateau", surface.plateau, {}
    yield "at_optimum", surface.optimum, {}
    yield "at_tolerance", surface.tolerance, {"share": 0.05}
    yield "probability_inside", surface.probability_inside, CHOICE
    yield "predict", fit.predict, SIZES | CHOICE
    yield "evaluate", fit.evaluate, {"runs": runs}
    yield "next_runs", fit.next_runs, SIZES | {"budget": 1e21}
    yield "calibration", fit.calibration, {}
    yield "validate", surrogate.validate, {"runs": runs}
    yield "save", fit.save, {"path": "out"}
    yield "load", load, {"name": "bundled:steplaw-dense"}
    yield "read_runs", surrogate.read_runs, {"paths": COLUMNS}
    yield "fit", surrogate.fit, {"runs": runs}
    yield "from_arrays", Runs.from_arrays, COLUMNS
    yield "subset", runs.subset, {"mask": np.ones(N, bool)}
    yield "levels", runs.levels_within_cells, {"values": COLUMNS["lr"]}
    yield "repeats", runs.repeats, {}
    yield "simulate", simulate, {}
    yield "find", laws.find, {"name": "step-law"}
    law, point = laws.find("step-law"), laws.Point(**SIZES)
    yield "law", laws.evaluate, {"law": law, "point": point}
    yield "build", explorer.build, {"fit": fit}
    yield "write", explorer.write, {"fit": fit, "path": "page.html"}
    yield "surface", plots.plot_surface, SIZES | {"fit": fit}
    yield "slices", plots.plot_slices, SIZES | {"fit": fit}
    yield "scaling", plots.plot_scaling, {"fit": fit}
    yield "read", plots.read, {"path": "none.json", "bench": "coverage"}
    yield "coverage", plots.plot_coverage, {"document": {}}
    yield "throughput", plots.plot_throughput, {"document": {}}
    yield "figure", plots.save, {"drawn": plots.plot_scaling(fit), "out": "a.png"}
    yield "residuals", plots.plot_residuals, {"fit": fit}


NAMES = [name for name, *_ in functions(load("bundled:steplaw-dense"))]


def is_free(function: str, name: str, value: Any, default: Any) -> bool:
    """Whether the value may be right, so that nothing is to be refused."""
    if value is None and default is None:
        return True
    free: tuple[Any, ...] = FREE.get(name, ())
    if function in ("predict", "probability_inside") and name in (*SIZES, *CHOICE):
        free = POINTS
    if function == "from_arrays" and name in ("recipe", "name", "cluster", "where"):
        free = LABELS
    if function == "next_runs" and name == "runs":
        free = (5,)
    if name == "name" and function in ("build", "write"):
        free = LABELS
    is_path = name in ("path", "paths", "name", "fit") and free is not LABELS
    if is_path and isinstance(value, str):
        # Any other text may be the name of something.
        return value in ("1B", "0.25%") or name == "fit"
    if isinstance(value, np.ndarray) and value.dtype.kind == "U":
        # Whatever takes a list of texts.
        return name in _TEXTS
    return any(type(value) is type(each) and value == each for each in free)


@pytest.mark.parametrize("function", NAMES)
def test_every_wrong_argument_is_told(
    function: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    fit = load("bundled:steplaw-dense")
    ask, right = next((a, r) for name, a, r in functions(fit) if name == function)
    count, faults = 0, []
    for name, parameter in inspect.signature(ask).parameters.items():
        for value in WRONG:
            if is_free(function, name, value, parameter.default):
                continue
            try:
                ask(**(right | {name: value}))
                message = "taken"
            except DataError as error:
                message = str(error)
            except Exception as error:
                message = f"raw {type(error).__name__}: {str(error)[:60]}"
            is_sentence = message.isprintable() and message.endswith((".", "'"))
            if not is_sentence or len(message) > 700:
                faults.append(f"{name}={said(value)}: {message[:200]}")
            count += 1
    assert faults == []
    assert count >= 20
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (
            "1B",
            "a positive number, got '1B'. Write 1e.09, without quotes",
        ),
        (True, "params to be a positive number, got True"),
        (10**400, "params to be a positive number, got a whole number of about 401"),
        (datetime.date(2026, 1, 1), r"got datetime.date\(2026, 1, 1\)"),
        (np.datetime64("2026-01-01"), "got .*2026-01-01"),
        (1e300, r"from 1e-30 to 1e\+30, got 1e\+300"),
        (Hostile(), "got a value of type Hostile|got <Hostile instance"),
        (np.array([1.0]), r"got array\(\[1\.\]\) \(ndarray\)"),
    ],
)
def test_the_sentence_of_a_number(value: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        load("bundled:steplaw-dense").optimum(params=value, tokens=2e10)


def test_right_numbers_of_any_type_are_one() -> None:
    fit = load("bundled:steplaw-dense")
    plain = fit.optimum(params=1e9, tokens=2e10)
    numbers = (10**9, np.int64(10**9), np.float32(1e9), np.array(1e9))
    for number in numbers:
        found = fit.optimum(params=number, tokens=np.int64(2 * 10**10))  # pyright: ignore[reportArgumentType]
        assert (found.lr, found.batch) == (plain.lr, plain.batch)
    assert fit.optimum(**SIZES, lr_range=np.array([1e-4, 1e-2])).lr > 0  # pyright: ignore[reportArgumentType]
    assert fit.optimum(**SIZES, allow="small").lr == plain.lr


def test_a_call_that_lacks_an_argument_is_pythons_own_error() -> None:
    fit = load("bundled:steplaw-dense")
    with pytest.raises(TypeError, match=r"params|parms"):
        fit.plateau(parms=1)  # pyright: ignore[reportCallIssue]


def test_a_name_of_no_kind_is_noticed_at_once() -> None:
    with pytest.raises(KeyError, match="colour"):

        @checked()
        def paint(colour: str) -> None: ...


def test_what_is_said_of_a_value_is_short() -> None:
    for value in (*WRONG, ["x" * 10**6] * 10**5, {k: k for k in range(10**5)}):
        text = said(value)
        assert len(text) < 200
        assert text.isprintable()
        assert "0x" not in text


def test_paths_that_no_file_could_have() -> None:
    for value in ("é" * 128, "a/" * 2048, "x" * 256):
        with pytest.raises(DataError, match="at most 255 bytes, 4,095 in all"):
            kinds.path("path", value)
    assert kinds.path("path", pathlib.Path("a")) == pathlib.Path("a")
