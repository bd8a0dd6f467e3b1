"""Questions that were probably typed wrong: sizes without their K, M, B or T."""

from __future__ import annotations

import contextlib
import csv
import json
import math
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import fit as fit_support

from surrogate.answers import Fit, load
from surrogate.answers.checks import unlikely_loss, unlikely_size
from surrogate.answers.laws_at_point import beside
from surrogate.base.errors import DataError, UnlikelyError
from surrogate.cli.main import main

Capture = pytest.CaptureFixture[str]
GOOD: dict[str, Any] = {"params": 1e9, "tokens": 2e10}
CHOICE: dict[str, Any] = {"lr": 1e-3, "batch": 5e5}


@pytest.mark.parametrize(
    ("value", "meant"),
    # Closed form: fitted from 200M to 1B, refused under 200K; the unit that comes
    # nearest to that range. A trillion is more than 1,000 times what was fitted.
    [
        (7.0, "7B"),
        (300.0, "300M"),
        (1.07, "1.07B"),
        (199_999.0, "200M"),
        (1e-7, None),
        (2e5, "not refused"),
        (2e12, "not refused"),
    ],
)
def test_a_size_lacks_the_unit_that_brings_it_nearest(
    value: float, meant: str | None
) -> None:
    found = unlikely_size("params", value, 2e8, 1e9)
    if meant == "not refused":
        assert found is None
        return
    assert found is not None
    assert (found.meant, found.name, found.allow) == (meant, "params", "small")
    assert str(found).startswith(f"params {value:g} is 1/")
    assert ("did you mean" in str(found)) is (meant is not None)


QUESTIONS = {
    "optimum": (),
    "plateau": (),
    "regret": ("lr", "batch"),
}


@pytest.mark.parametrize("verb", QUESTIONS)
@pytest.mark.parametrize(("name", "value", "meant"), [("params", 7.0, "7B")])
def test_each_verb_refuses_a_small_size_unless_it_is_allowed(
    verb: str, name: str, value: float, meant: str
) -> None:
    ask = getattr(fit_support.bare(fit_support.bundled()), verb)
    choice = CHOICE if QUESTIONS[verb] else {}
    message = (
        rf"^{name} {value:g} is 1/30,700,000 of the smallest fitted \(215M\): did "
    )
    with pytest.raises(UnlikelyError, match=f"{message}you mean {meant}"):
        ask(**GOOD | {name: value}, **choice)
    assert ask(**GOOD | {name: value}, **choice, allow=("small",)) is not None
    with pytest.raises(DataError, match="Expected allow to be a list of small, got"):
        ask(**GOOD, **choice, allow=("smal",))


def levelled(nats: float) -> Fit:
    """The bundled fit, were its losses around so many nats a token."""
    fit = fit_support.bare(fit_support.bundled())
    return replace(fit, features=replace(fit.features, level=math.log(nats)))


def test_a_loss_over_12_nats_is_no_answer() -> None:
    fit = levelled(11.0)
    # Just over 1/1,000 of the smallest fitted, which may be asked about.
    far: dict[str, Any] = {"params": 2.2e5, "tokens": 4.1e6}
    told = fit.optimum(**far, allow=("small",)).loss
    assert told > 12
    message = f"predicted loss is {told:.3g} nats a token, over 12"
    for ask in (fit.optimum, fit.plateau):
        with pytest.raises(UnlikelyError, match=message):
            ask(**far)
    with pytest.raises(UnlikelyError, match="nats a token, over 12"):
        fit.regret(**far, **CHOICE)
    # A fit of such losses has another unit, which says nothing of slips.
    assert unlikely_loss(levelled(30.0), 40.0) is None
    assert unlikely_loss(fit, 12.0) is None
    assert unlikely_loss(fit, math.nan) is None


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", ["steplaw-dense", "openeurollm-dense"])
@pytest.mark.parametrize("sizes", [(1e29, 1e30), (1e20, 1e22), (1e15, 1e9)])
def test_absurd_sizes_are_answered_or_refused_without_numpys_warnings(
    name: str, sizes: tuple[float, float]
) -> None:
    fit = load(f"bundled:{name}")
    asked: dict[str, Any] = {"params": sizes[0], "tokens": sizes[1]}
    ask = (fit.optimum, fit.plateau, partial(fit.regret, **CHOICE))
    for verb in (*ask, partial(fit.next_runs, budget=1e20)):
        with contextlib.suppress(DataError):
            json.dumps(verb(**asked).to_json())


def test_scans_of_steps_and_budgets_are_as_before() -> None:
    fit = fit_support.bare(fit_support.bundled())
    assert fit.optimum(params=1e9, steps=1000.0).loss < 12
    assert fit.optimum(flops=1e20).loss < 12
    with pytest.raises(UnlikelyError, match="nats a token, over 12"):
        fit.optimum(flops=1e12)


def test_points_are_told_one_by_one() -> None:
    fit = levelled(8.0)
    columns: dict[str, Any] = {
        "lr": np.full(4, 1e-3),
        "batch": np.full(4, 5e5),
        "params": np.array([1e9, 7.0, 1e9, 2.2e5]),
        "tokens": np.array([2e10, 2e10, 20.0, 4.1e6]),
    }
    found = fit.predict(**columns)
    reasons = ["ok", "params 7 is 1/", "tokens 20 is 1/", "The predicted loss is"]
    for status, wanted in zip(found.status, reasons, strict=True):
        assert status.startswith(wanted)
    np.testing.assert_array_equal(np.isfinite(found.loss), [True, False, False, False])
    anyhow = fit.predict(**columns, allow=("small",))
    assert anyhow.status == ("ok",) * 4
    # The third is more than a float holds.
    np.testing.assert_array_equal(np.isfinite(anyhow.loss), [True, True, False, True])
    assert (anyhow.loss > 0).all()
    assert anyhow.loss[0] == found.loss[0]


def test_laws_are_put_beside_what_was_allowed() -> None:
    fit = fit_support.bare(fit_support.bundled())
    small: dict[str, Any] = GOOD | {"tokens": 2e5}
    with pytest.raises(UnlikelyError, match="tokens 200000 is 1/20,000"):
        beside(fit.at(**small))
    _, sides = beside(fit.at(**small, allow=("small",)))
    assert any(side.regret is not None for side in sides)


# ---- the command ----------------------------------------------------------------

MISTYPED = [
    ("optimum steplaw-dense --params 7 --tokens 20B", "Write --params 7B, or add"),
    ("plateau steplaw-dense --params 7B --tokens 20", "Write --tokens 20B, or add"),
    (
        "optimum steplaw-moe --params 2.15B --tokens 40B --scale active=590",
        "--scale active 590 is 1/319,000 of the smallest fitted (188M): did you mean "
        "590M? Write --scale active=590M, or add --allow small",
    ),
    ("compare steplaw-dense --params 7 --tokens 20B", "Write --params 7B, or add"),
    ("optimum steplaw-dense --flops 1e12", "says nothing. Add --allow small"),
]


@pytest.mark.parametrize(("arguments", "message"), MISTYPED)
def test_the_command_says_what_to_type(
    arguments: str, message: str, capsys: Capture
) -> None:
    assert main(arguments.split()) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert said.out == ""


def test_a_picture_cannot_be_allowed(tmp_path: Path, capsys: Capture) -> None:
    pytest.importorskip("matplotlib")
    out = str(tmp_path / "a.png")
    asked = ["surface", "steplaw-dense", "--params", "7", "--tokens", "20B"]
    assert main(["plot", *asked, "--out", out]) == 2
    said = capsys.readouterr().err
    assert "did you mean 7B? Write --params 7B." in said
    assert "--allow" not in said


def test_allowed_sizes_are_answered(capsys: Capture) -> None:
    asked = "optimum steplaw-dense --params 7 --tokens 20B --allow small --json"
    assert main(asked.split()) in (0, 1)
    assert json.loads(capsys.readouterr().out)["params"] == 7


def test_predict_keeps_a_mistyped_row_and_tells_why(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    header = "lr,batch,params,tokens\n"
    Path("points.csv").write_text(f"{header}1e-3,500000,1e9,2e10\n1e-3,50,700,7e5\n")
    asked = "predict steplaw-dense points.csv --json --max-dropped 50% --out"
    assert main([*asked.split(), "a.csv"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["points"], document["answered"]) == (2, 1)
    with open("a.csv", newline="") as file:
        first, second = csv.DictReader(file)
    assert first["status"] == "ok"
    assert second["status"].startswith("params 700 is 1/307,000 of the smallest fitted")
    assert second["loss"] == ""
    assert main([*asked.split(), "b.csv", "--allow", "small"]) == 0
    assert json.loads(capsys.readouterr().out)["answered"] == 2


BARE = ["plateau f --params 1B --tokens 9B --tol", "predict f p.csv --seed-noise"]


@pytest.mark.parametrize("command", BARE)
@pytest.mark.parametrize(
    ("text", "meant"), [("0.5", "0.5% or {0} 50%"), (".06", ".06% or {0} 6%")]
)
def test_a_bare_share_above_5_percent_may_mean_two_things(
    command: str, text: str, meant: str, capsys: Capture
) -> None:
    option = command.split()[-1]
    more = ["--out", "o.csv"] if command.startswith("predict") else []
    assert main([*command.split(), text, *more]) == 2
    assert f"Write {option} {meant.format(option)}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "tol"), [("0.0025", 0.0025), ("0.25%", 0.0025), ("0.05", 0.05)]
)
def test_what_means_one_thing_is_taken(text: str, tol: float, capsys: Capture) -> None:
    asked = "plateau steplaw-dense --params 1B --tokens 20B --json --tol"
    assert main([*asked.split(), text]) == 0
    assert json.loads(capsys.readouterr().out)["tol"] == tol


def test_a_share_above_5_percent_is_taken_with_its_sign(capsys: Capture) -> None:
    asked = "regret steplaw-dense --params 1B --tokens 20B --lr 1e-3 --batch 1M --json"
    assert main([*asked.split(), "--tol", "50%"]) == 0
    assert json.loads(capsys.readouterr().out)["tol"] == 0.5
