"""The page: what it embeds, that nothing in it is markup, and its answers."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support import fit as fit_support
from support import report as report_support
from support.cli import surrogate

from surrogate.answers import Fit, arrays, load
from surrogate.answers.solved import solve_box
from surrogate.base.errors import DataError
from surrogate.base.units import parse_fraction
from surrogate.data import Runs
from surrogate.families import Bowl, Family, Mix, Posynomial, Quadratic, Shape
from surrogate.laws import find
from surrogate.views.explorer import build, page, write
from surrogate.views.explorer.document import MAX_RUNS, _laws, _spec, _vectors

ASSETS = Path(page.__file__).parent / "assets"
HOSTILE = "</script><img src=x onerror=alert(1)>\u2028\x00\x1b[31m<!--'\"&"
needs_node = pytest.mark.skipif(
    report_support.NODE is None, reason="node, which runs the page's core, is missing"
)


def embedded_in(html: str) -> dict[str, Any]:
    """The document that a browser would find in the page."""
    (text,) = re.findall(
        r'<script type="application/json" id="data">(.*?)</script>', html
    )
    return json.loads(text)


def bare() -> Fit:
    """A fit without draws."""
    fitted = fit_support.quadratic()
    return replace(fitted, draws=fitted.draws[:0], leaves=fitted.leaves[:0])


def hostile_runs() -> Runs:
    """The exact bowl's sweep with names and a recipe that attack the page."""
    columns = fit_support.table()
    names = np.array([f"{HOSTILE}{i}" for i in range(len(columns["lr"]))])
    return Runs.from_arrays(**columns, name=names)


# -------------------------------------------------------------------------- the file


def test_page_with_the_dense_sweep_is_small_and_asks_for_nothing() -> None:
    made = build(fit_support.bundled(), runs=fit_support.sweep(), name="steplaw-dense")
    assert len(made.html.encode()) <= 300_000
    assert made.counts == {"draws": 200, "draws_of": 200, "runs": 1960, "runs_of": 1960}
    outside = re.findall(r"(?:src|href|url)\s*[=(]\s*[\"']?([^\"')\s>]+)", made.html)
    # A blob and a data URL are made here, and asked of nobody.
    drawn = "`data:image/svg+xml;charset=utf-8,${encodeURIComponent(standalone(svg"
    own = {"#sentence", "#hatch", "#${id}", drawn, "URL.createObjectURL(blob"}
    assert set(outside) <= own
    assert "http" not in made.html.replace("http-equiv", "").replace(
        "http://www.w3.org/2000/svg", ""
    )


def test_policy_allows_what_is_inlined_and_nothing_else() -> None:
    html = build(bare()).html
    (policy,) = re.findall(
        r'http-equiv="Content-Security-Policy" content="([^"]*)"', html
    )
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    for tag in ("script", "style"):
        (text,) = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_scripts_build_no_markup_from_text() -> None:
    banned = ("innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(")
    for name in page.SCRIPTS:
        text = (ASSETS / name).read_text()
        assert not [word for word in banned if word in text], name
        assert len(text.splitlines()) <= 300, name
        assert "</script" not in text, name
    shown = {file.name for file in ASSETS.iterdir()}
    assert shown == {*page.SCRIPTS, "page.html", "style.css"}


def test_hostile_names_stay_text() -> None:
    runs = hostile_runs()
    html = build(bare(), runs=runs, name=HOSTILE).html
    assert html.count("</script>") == 2
    assert "<img" not in html
    assert "<!--" not in html
    assert "\u2028" not in html
    found = embedded_in(html)
    assert found["name"] == HOSTILE
    assert found["runs"]["names"][0].startswith("</script><img src=x")


def test_a_recipe_that_attacks_stays_text() -> None:
    alone = fit_support.lr_alone()
    features = replace(alone.features, recipes=("adamw", HOSTILE))
    fitted = replace(alone, features=features, runs=None)
    html = build(fitted).html
    assert html.count("</script>") == 2
    assert embedded_in(html)["recipes"] == ["adamw", HOSTILE]


def test_coefficients_read_back_exactly() -> None:
    fitted = fit_support.quadratic()
    found = embedded_in(build(fitted).html)
    assert found["theta"] == fitted.theta.tolist()
    assert found["mean"] == list(fitted.features.mean)
    # Of the draws what they differ by, in 32 bits.
    packed = np.frombuffer(base64.b64decode(found["draws"]["base64"]), "<f4")
    less = fitted.draws - fitted.theta
    np.testing.assert_allclose(packed.reshape(less.shape), less, rtol=2.0**-24)


def test_published_laws_are_those_that_sizes_decide() -> None:
    """Closed form: each law's own value at one size, C = 6 N D."""
    at = {"N": 5e8, "D": 3e10, "C": 6 * 5e8 * 3e10}
    found = _laws(fit_support.bundled())
    assert {"step-law", "moonlight"} <= {law["name"] for law in found}
    for law in found:
        for part in ("lr", "batch"):
            given = law[part]
            value = given["c"] * at["N"] ** given["params"] * at["D"] ** given["tokens"]
            formula = getattr(find(law["name"]), part)
            assert value == pytest.approx(formula(at), rel=1e-12)


def test_many_runs_are_thinned_cell_by_cell() -> None:
    columns = fit_support.table()
    many: dict[str, Any] = {name: np.tile(v, 209) for name, v in columns.items()}
    made = build(bare(), runs=Runs.from_arrays(**many))
    assert (made.counts["runs"], made.counts["runs_of"]) == (MAX_RUNS, 50_160)
    assert len(made.html.encode()) <= 300_000
    column = embedded_in(made.html)["runs"]["cell"]
    cells = np.frombuffer(base64.b64decode(column["index"]), f"<u{column['size']}")
    assert np.ptp(np.bincount(cells)) <= 1


def test_draws_without_room_are_left_out_and_counted() -> None:
    fitted = fit_support.quadratic()
    draws = np.tile(fitted.draws, (8, 1))
    fitted = replace(fitted, draws=draws, leaves=fitted.leaves[:8], freedom=None)
    made = build(fitted)
    assert (made.counts["draws"], made.counts["draws_of"]) == (200, 400)


# ------------------------------------------------------------- against Python, in node


def surfaces() -> list[tuple[Mix, np.ndarray]]:
    """A mix of every family at a plausible theta: with recipes, and in one choice."""
    rng = np.random.default_rng(3)
    found = []
    for shape in (Shape(2, 3, 2), Shape(1, 1, 1)):
        members: tuple[Family, ...] = (
            Quadratic(shape),
            Quadratic(shape, is_additive=True),
            Posynomial(shape, 3),
            Posynomial(shape, 5),
            Bowl(shape),
        )
        mix = Mix(shape, members)
        thetas = [m.prior.centre + 0.3 * rng.normal(size=m.size) for m in members]
        weights = np.concatenate([np.eye(5), [[0.1, 0.2, 0.3, 0.15, 0.25]]])
        repeated = [np.tile(theta, (6, 1)) for theta in thetas]
        found.append((mix, mix.join(weights, repeated)))
    return found


@partial(
    jax.jit, static_argnums=0, compiler_options={"xla_backend_optimization_level": 0}
)
def values_of(family: Family, thetas: Any, u: Any, s: Any) -> Any:
    return jax.vmap(lambda theta: family.log_loss(theta, u, s))(thetas)


@needs_node
def test_surfaces_have_the_values_of_python_and_their_own_derivatives() -> None:
    """Rounding of sums near 1; derivatives by central differences, eps^(2/3)."""
    rng = np.random.default_rng(4)
    for family, thetas in surfaces():
        choices, scales, offsets = family.shape
        u, s = rng.normal(size=choices), rng.normal(size=scales + offsets)
        with jax.enable_x64(True):
            arrays = map(jnp.asarray, (thetas, u, s))
            expected = np.asarray(values_of(family, *arrays))
        given = {
            "family": _spec(family),
            "shape": family.shape._asdict(),
            "thetas": _vectors(family, thetas).tolist(),
            "u": [*u.tolist(), 0.0][:2],
            "s": s.tolist(),
        }
        found = report_support.run_core(
            """
            const { family, shape, thetas, u: [x, y], s } = given, h = 1e-5;
            return thetas.map((theta) => {
              const f = surfaceOf(family, shape, Float64Array.from(theta), s);
              const at = localAt(f, x, y);
              const right = localAt(f, x + h, y), left = localAt(f, x - h, y);
              const up = localAt(f, x, y + h), down = localAt(f, x, y - h);
              const mean = (a, b, key) => (a[key] - b[key]) / (2 * h);
              const line = lineAt(onLine(f, x - 0.3, y + 0.6, 0.5, -1), 0.6);
              return { values: [at.v, valueAt(f, x, y), line[0]],
                slopes: [[at.gx, mean(right, left, "v")], [at.gy, mean(up, down, "v")],
                  [at.hxx, mean(right, left, "gx")], [at.hxy, mean(up, down, "gx")],
                  [at.hyy, mean(up, down, "gy")], [line[1], 0.5 * at.gx - at.gy],
                  [line[2], 0.25 * at.hxx - at.hxy + at.hyy]] };
            });
            """,
            given,
        )
        for one, value in zip(found, expected, strict=True):
            np.testing.assert_allclose(one["values"], value, rtol=1e-12, atol=1e-12)
            ours, theirs = np.array(one["slopes"]).T
            np.testing.assert_allclose(ours, theirs, rtol=1e-7, atol=1e-7)


@needs_node
@pytest.mark.parametrize("is_cut", [False, True], ids=["as bundled", "edge that cuts"])
def test_answers_are_those_of_python_at_1000_sizes(is_cut: bool) -> None:
    """Iterative: both stop at rounding; 1e-9 relative was asked."""
    fitted = fit_support.bundled()
    assert fitted.stability is not None
    # Raised so that the edge runs through most plateaus and beyond some optima.
    shift = 20.0 if is_cut else 0.0
    stability = replace(fitted.stability, intercept=fitted.stability.intercept + shift)
    fitted = replace(fitted, stability=stability)
    asked = report_support.questions(fitted, 1000)
    expected = report_support.python_answers(fitted, asked)
    assert bool(expected["is_cut"].any()) == is_cut
    given = {"document": report_support.document(fitted), "asked": asked}
    answered = report_support.run_core(report_support.ANSWERS, given)
    assert [a["isCut"] for a in answered] == expected["is_cut"].tolist()
    assert max(report_support.differences(answered, expected).values()) < 1e-9


@needs_node
def test_robust_edges_are_where_enough_draws_agree() -> None:
    """Independent code: shares on fine lines a thousandth of an octave either way."""
    fitted = replace(fit_support.bundled(), draws=fit_support.bundled().draws[:60])
    asked = report_support.questions(fitted, 2, seed=8)
    given = {"document": report_support.document(fitted), "asked": asked}
    answered = report_support.run_core(
        """
        const model = prepare(given.document);
        return given.asked.map((q) => {
          const answer = answerOf(model, q), { robust } = fromDraws(model, answer, 0.9);
          return { edges: robust.edges, pieces: robust.pieces };
        });
        """,
        given,
    )
    for question, found in zip(asked, answered, strict=True):
        assert found["pieces"] == 1
        share = share_of(fitted, question)
        edges, scale = np.array(found["edges"]), fitted.features.u_scale
        for axis in (0, 1):
            across = np.linspace(edges[1 - axis, 0], edges[1 - axis, 1], 1500)
            for side, sign in ((0, -1), (1, 1)):
                step = sign * 1e-3 * np.log(2) / scale[axis]
                for off, is_in in ((-step, True), (step, False)):
                    line = np.full_like(across, edges[axis, side] + off)
                    pair = (line, across) if axis == 0 else (across, line)
                    assert (share(np.stack(pair, 1)) >= 0.9).any() == is_in


def share_of(fitted: Any, question: dict[str, Any]) -> Any:
    """Share of the page's draws whose plateau holds each u, in NumPy."""
    kept, left = (
        array.astype(np.float32).astype(float)
        for array in (fitted.draws, fitted.leaves)
    )
    single = replace(fitted, draws=kept, leaves=left)
    where = {k: question[k] for k in ("params", "tokens", "scales", "recipe")}
    asked = single.at(**where).question
    solved = solve_box(asked, asked.box)
    limit = solved.draws(solved.minimum.value) + np.log1p(question["tol"])

    def share(u: np.ndarray) -> np.ndarray:
        s = np.broadcast_to(asked.s, (len(u), len(asked.s)))
        z = np.concatenate([u, s], axis=1)
        losses = arrays.log_losses(single.family, single.draws, z, solved.moves)
        return np.mean(losses <= limit[:, None], axis=0)

    return share


@needs_node
def test_intervals_and_regret_are_those_of_python() -> None:
    """The page's leaves and draws are float32: seven digits of a difference."""
    fitted = fit_support.quadratic()
    question = report_support.questions(fitted, 1)[0]
    given = {"document": report_support.document(fitted), "asked": question}
    found = report_support.run_core(
        """
        const model = prepare(given.document), answer = answerOf(model, given.asked);
        const sure = fromDraws(model, answer, 0.9);
        return { interval: answer.interval, edges: answer.edgeIntervals,
          distance: answer.distance, status: answer.status, sure: sure.regret,
          regret: answer.choice.regret,
          along: optimumAlong(model, given.asked, "tokens", [given.asked.tokens])[0] };
        """,
        given,
    )
    where = {k: question[k] for k in ("params", "tokens")}
    best = fitted.optimum(**where)
    flat = fitted.plateau(**where)
    lost = fitted.regret(**where, lr=question["lr"], batch=question["batch"])
    near = partial(pytest.approx, rel=1e-4)
    assert found["interval"]["lr"] == near(best.lr_interval)
    assert found["interval"]["batch"] == near(best.batch_interval)
    assert found["interval"]["loss"] == near(best.loss_interval)
    assert found["edges"]["lr"][1] == near(flat.edge_intervals["lr_high"])
    assert found["distance"] == near(best.context.distance)
    assert found["status"] == str(flat.status)
    assert found["regret"] == pytest.approx(lost.regret, rel=1e-9, abs=1e-12)
    assert found["sure"]["upper"] == near(lost.upper)
    assert found["sure"]["probability"] == near(lost.probability_inside)
    assert found["along"]["batch"]["at"] == near(best.batch)


@needs_node
def test_the_trail_goes_through_the_optima_of_python() -> None:
    # Independent: one question of Python's for each place, from few to many tokens.
    fitted = fit_support.bundled()
    question = report_support.questions(fitted, 1)[0]
    given = {"document": report_support.document(fitted), "asked": question}
    found = report_support.run_core(
        """
        const model = prepare(given.document), answer = baseOf(model, given.asked);
        return trailOf(model, answer).map(({ tokens, u }) =>
          [tokens, ...u.map((v, i) => fromU(model, i, v))]);
        """,
        given,
    )
    assert found[0][0] == min(fitted.features.fitted["tokens"][0], question["tokens"])
    for tokens, lr, batch in found[::6]:
        best = fitted.optimum(params=question["params"], tokens=tokens)
        assert (lr, batch) == pytest.approx((best.lr, best.batch), rel=1e-9)


@needs_node
def test_one_choice_alone_is_answered_and_said() -> None:
    fitted = fit_support.lr_alone()
    question = report_support.questions(fitted, 1)[0]
    given = {"document": report_support.document(fitted), "asked": question}
    found = report_support.run_core(
        """
        const model = prepare(given.document), answer = answerOf(model, given.asked);
        const { robust } = fromDraws(model, answer, 0.9);
        return { best: answer.best, status: answer.status, robust: robust.natural,
          lr: answer.plateau.lr };
        """,
        given,
    )
    where = {k: question[k] for k in ("params", "tokens", "recipe")}
    flat = fitted.plateau(**where)
    assert found["status"] == str(flat.status) == "not_identifiable"
    assert flat.offer is not None
    assert found["best"] == pytest.approx(flat.offer, rel=1e-9)
    assert found["lr"] == pytest.approx(flat.lr, rel=1e-9)
    robust = flat.to_json()["robust"]["lr"]
    ends = np.log2(found["robust"][0]) - np.log2([robust["low"], robust["high"]])
    assert np.abs(ends).max() <= 1e-3


@needs_node
def test_a_fit_without_draws_has_no_intervals() -> None:
    question = report_support.questions(bare(), 1)[0]
    document = report_support.document(bare())
    assert document["draws"] is document["leaves"] is document["t"] is None
    found = report_support.run_core(
        """
        const model = prepare(given.document), answer = answerOf(model, given.asked);
        return [answer.interval.lr, fromDraws(model, answer, 0.9), answer.status];
        """,
        {"document": document, "asked": question},
    )
    assert found == [None, None, "ok"]


@needs_node
@pytest.mark.parametrize(
    ("text", "value"),
    [("1.07B", 1.07e9), ("512Ki", 2**19), ("7e9", 7e9), ("0", None), ("7b", None)],
)
def test_numbers_are_read_as_the_command_reads_them(text: str, value: Any) -> None:
    script = "const v = parseNumber(given); return v > 0 ? v : null;"
    assert report_support.run_core(script, text) == value


@needs_node
def test_commands_are_what_a_shell_reads_back() -> None:
    """Quoted for bash; control characters never as they are."""
    names = [
        HOSTILE.replace("\x00", ""),
        "a'b c",
        "-x;$(id)`",
        "",
    ]
    script = "return given.map((text) => quoted(text));"
    quoted = report_support.run_core(script, names)
    assert not [c for c in "".join(quoted) if ord(c) < 32 or c == "\u2028"]
    command = "printf '%s\\n' " + " ".join(quoted)
    bash = ["bash", "-c", command]
    done = subprocess.run(bash, capture_output=True, text=True, check=True)
    assert done.stdout == "".join(f"{name}\n" for name in names)


@needs_node
def test_hash_brings_the_question_back() -> None:
    document = report_support.document(fit_support.lr_alone())
    document["recipes"] = ["adamw", HOSTILE]
    state = report_support.questions(fit_support.lr_alone(), 1)[0]
    state |= {"recipe": HOSTILE, "seq": 2048, "view": "box", "gpus": 512}
    state |= {"gpu": "b200", "mfu": 0.35, "keep": {"name": "lr", "value": 3e-4}}
    state |= {"pins": [{"lr": 3e-4, "batch": 65536}, {"lr": 1e-3, "batch": 2e6}]}
    found = report_support.run_core(
        """
        const model = prepare(given.document), first = firstState(model);
        return [stateOf(model, hashOf(model, given.state), first), stateOf(model,
          "#n=-1&d=1e999&tol=2&seq=1.5&view=x&r=unknown&%=&toString=5&b", first),
          stateOf(model, "#answer", first), first];
        """,
        {"document": document, "state": state},
    )
    told, wrong, place, first = found
    assert told == [state, []]
    assert wrong[0] == first
    assert len(wrong[1]) == 8
    assert wrong[1][0] == "The address has n=-1, which is not used. " + (
        "Expected a number above 0."
    )
    assert place == [first, []]


@needs_node
def test_a_bare_number_is_per_cent_where_the_field_says_so() -> None:
    """Closed form; the command's own reader takes what the page writes."""
    typed = ["0.5", "0.5%", " .5 % ", "12", "0,5", "-1", "", "%", "1e-3", "0.0025"]
    shares = [0.0025, 0.01, 1 / 3, 0.05, 1.25e-6, 0.3]
    script = """
      const read = (t) => { try { return readPercent(t); } catch { return null; } };
      return [given[0].map(read), given[1].map(exactPercent)];
    """
    read, written = report_support.run_core(script, [typed, shares])
    half = 0.005
    assert read == [half, half, half, 0.12, None, None, None, None, 1e-5, 2.5e-5]
    back = [parse_fraction(text) for text in written]
    assert back == pytest.approx(shares, rel=1e-11)


@needs_node
def test_what_may_be_asked_ends_where_no_answer_means_anything() -> None:
    document = report_support.document(bare())
    found = report_support.run_core(
        """
        const model = prepare(given);
        const ask = (text) => stateOf(model, text, firstState(model))[1][0] || "";
        const asked = ["n=7", "n=1e18", "d=1e7", "b=1e-3", "tol=0.9", "seq=2e9"];
        return asked.map((part) => ask(`#${part}`));
        """,
        document,
    )
    assert found[0].endswith(
        "params 7 is 1/14,300,000 of the smallest fitted (100M): did you mean 7B?"
    )
    assert found[1].endswith("Expected 100K to 900T.")
    assert found[2] == found[4] == ""
    assert ": is a K, M, B or T missing?" in found[3]
    assert found[5].endswith("Expected 1 to 1B.")


# ------------------------------------------------------------------------- bad input


def test_output_that_exists_is_refused_unless_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text("mine")
    with pytest.raises(DataError, match="Expected --out to be new"):
        write(bare(), file)
    assert file.read_text() == "mine"
    write(bare(), file, overwrite=True)
    assert file.read_text().startswith("<!doctype html>")
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]


def test_output_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Expected --out to be a file"):
        write(bare(), tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"Cannot write to .*Name another --out"):
        write(bare(), tmp_path / "file" / "report.html")


def test_runs_that_do_not_belong_to_the_fit_are_refused() -> None:
    columns = fit_support.table()
    other = Runs.from_arrays(**columns, recipe="lion")
    with pytest.raises(DataError, match="Expected runs of the fit's recipes"):
        build(bare(), runs=other)
    with pytest.raises(DataError, match="Expected the scale variable active"):
        build(load("bundled:steplaw-moe"), runs=Runs.from_arrays(**columns))


def test_command_writes_the_page_and_refuses_to_replace_it(tmp_path: Path) -> None:
    (tmp_path / "there.html").write_text("mine")
    ask = ("report", "steplaw-dense", "--json", "--out")
    done = surrogate(*ask, "page.html", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert (answer["draws"], answer["runs"], answer["status"]) == (200, 0, "ok")
    assert answer["bytes"] == (tmp_path / "page.html").stat().st_size
    again = surrogate(*ask, "there.html", cwd=tmp_path)
    assert again.returncode == 2
    assert "exists" in json.loads(again.stdout)["error"]["message"]
    assert "Traceback" not in again.stderr
