"""Short forms of bench/fuzz.py: so many cases of each part, the same ones each time."""

from __future__ import annotations

import importlib
import signal
import time
from pathlib import Path
from typing import Any

import pytest

fuzz: Any = importlib.import_module("fuzz")
parts: Any = importlib.import_module("trust.fuzz_parts")
COUNTS = {
    "tables": 100,
    "strangers": 100,
    "run folders": 60,
    "units": 3000,
    "expressions": 1000,
    "manifests": 60,
    "folders": 80,
    "sealed": 60,
    "addresses": 2,
}


@pytest.mark.parametrize("name", parts.PARTS)
def test_broken_input_is_answered_or_refused(name: str, tmp_path: Path) -> None:
    case = parts.PARTS[name](tmp_path)
    found = [fuzz.attempt(name, case, number) for number in range(COUNTS[name])]
    assert [fault for _, fault in found if fault] == []
    # Not all is broken, nor all whole: else nothing would be tried.
    if name not in ("addresses", "run folders", "strangers"):
        assert COUNTS[name] // 3 < sum(count for count, _ in found) < COUNTS[name]


def test_a_fault_is_told_with_what_repeats_it(tmp_path: Path) -> None:
    def broken(*_: Any) -> int:
        raise KeyError("x")

    count, fault = fuzz.attempt("units", parts.Case(broken), 17)
    assert count == 0
    assert fault.startswith("units 17: KeyError at test_fuzz.py:")


@pytest.mark.skipif(not hasattr(signal, "SIGPROF"), reason="needs its timer")
@pytest.mark.parametrize("way", ["works", "waits"])
def test_a_case_that_does_not_end_is_a_hang(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fuzz, "HANG", 0.2 if way == "works" else 60)
    monkeypatch.setattr(fuzz, "WAIT", 60 if way == "works" else 1)

    def run(*_: Any) -> int:
        while way == "works":
            pass
        time.sleep(60)
        return 1

    count, fault = fuzz.attempt("units", parts.Case(run), 3)
    assert count == 0
    assert fault.startswith("units 3: TimeoutError")


@pytest.mark.parametrize("said", ["", "x" * 5000, "a\u202eb", "a\x1b[31mb"])
def test_a_refusal_that_cannot_be_read_is_a_fault(said: str) -> None:
    with pytest.raises(parts.Fault, match="a message"):
        parts.told(ValueError(said))


def test_a_run_goes_on_where_it_ended(tmp_path: Path) -> None:
    row: dict[str, Any] = {"cases": 5, "refused": 0, "faults": []}
    numbers: list[int] = []

    def run(_: Any, number: int) -> int:
        numbers.append(number)
        return 1

    fuzz.turn("units", parts.Case(run), row, 0.01)
    assert numbers[0] == 5
    assert row["cases"] == 5 + len(numbers)
