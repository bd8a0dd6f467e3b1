"""Figures: what is drawn is what the answers say, and what is refused."""

from __future__ import annotations

import dataclasses
import importlib
import itertools
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import fit as fit_support

from surrogate.answers import Fit
from surrogate.base.errors import DataError, SolveError, Status
from surrogate.cli.main import main
from surrogate.data import Runs
from surrogate.data.coordinates import Features
from surrogate.families import Quadratic, Shape
from surrogate.views import plots
from surrogate.views.plots import canvas, numbers
from surrogate.views.plots.surface import _grid as surface_grid

pytest.importorskip("matplotlib", reason="figures need the extra `plot`")

GOLDEN = Path(__file__).parents[1] / "golden"
AT: dict[str, Any] = {"params": 1e9, "tokens": 2e10}
# Root mean square of colours from 0 to 1. Text is left out, since its pixels differ
# between versions of matplotlib. Lines that move by a pixel read 0.04, a lost marker
# 0.015, the same picture 1e-8.
TOLERANCE = 0.01


def quick(fit: Fit, draws: int = 20) -> Fit:
    """With few draws: quicker to ask."""
    return replace(fit, draws=fit.draws[:draws])


def lr_alone() -> Fit:
    """A parabola in ln lr, of runs with one batch a cell; quicker than fitting one."""
    runs = Runs.from_arrays(**fit_support.table(batches=1))
    family = Quadratic(Shape(1, 2, 0))
    none = np.zeros((0, family.size))
    return replace(
        fit_support.bundled(),
        family=family,
        features=Features.of(runs),
        theta=np.array([0, 0, -0.05, -0.05, 0.01, 0, 0, 0, 0, 0]),
        draws=none,
        leaves=none,
        stability=None,
    )


@pytest.fixture(scope="module")
def surface() -> plots.SurfacePicture:
    fit = quick(fit_support.bundled())
    return plots.SurfacePicture.of(fit, **AT, lr=3e-4, batch=2.0**20)


@pytest.fixture(scope="module")
def slices() -> plots.SlicesPicture:
    return plots.SlicesPicture.of(quick(fit_support.bundled()), **AT)


@pytest.fixture(scope="module")
def scaling() -> plots.ScalingPicture:
    return plots.ScalingPicture.of(fit_support.bundled(), runs=fit_support.thinned())


def coverage_document() -> dict[str, Any]:
    def part(share: float) -> dict[str, float]:
        return {"coverage": share, "error": 0.015, "none": 0, "width": 0.3}

    names = ("lr", "batch", "loss", "lr_low", "lr_high", "batch_low", "batch_high")
    rows = [
        {
            "family": "quadratic",
            "setting": f"{cells} cells, 0.1 %, offsets, inside",
            "simulations": 200,
            "intervals": {n: part(0.93 + 0.01 * k) for k, n in enumerate(names)},
            "regret": {f"{tol:g} tol": part(0.97) for tol in (0, 0.5, 1, 4)},
        }
        for cells in (5, 9, 17)
    ]
    return {"bench": "coverage", "level": 0.95, "rows": rows}


def throughput_document() -> dict[str, Any]:
    def row(name: str, rate: float) -> dict[str, Any]:
        sizes = [{"problems": 10**k, "fits_per_s": rate * k} for k in (2, 3, 4)]
        peers = [{"peer": "a loop", "fits_per_s": rate / 9, "ratio": {"median": 9.0}}]
        floor = {"fits_per_s": 20 * rate}
        return {"row": name, "sizes": sizes, "peers": peers, "floor": floor}

    return {
        "bench": "throughput",
        "device_kind": "cpu",
        "cpu": "a CPU",
        "cores": 2,
        "versions": {"jax": "0.10"},
        "rows": [row("one", 1e3), row("two", 1e4), {"row": "three", "peers": []}],
    }


def figure_of(drawn: Any) -> Any:
    return np.asarray(drawn, dtype=object).flat[0].get_figure()


def labelled(axes: Any) -> dict[str, Any]:
    handles, labels = axes.get_legend_handles_labels()
    return {label.split(",")[0]: h for label, h in zip(labels, handles, strict=True)}


# ---- what is drawn is what the answers say --------------------------------------


def test_surface_draws_the_plateau_and_the_optimum(
    surface: plots.SurfacePicture,
) -> None:
    # Equal but for what a contour of 128 points misses of an extreme: 1e-3.
    shown = labelled(surface.draw())
    corners = shown["plateau"].get_xy()
    for column, name in enumerate(("lr", "batch")):
        found = corners[:, column].min(), corners[:, column].max()
        np.testing.assert_allclose(found, getattr(surface.plateau, name), rtol=1e-3)
    point, _, bars = shown["optimum"]
    best = surface.optimum
    assert (point.get_xdata()[0], point.get_ydata()[0]) == (best.lr, best.batch)
    ends = [bar.get_segments()[0] for bar in bars]
    np.testing.assert_allclose(ends[0][:, 0], best.lr_interval, rtol=1e-12)
    np.testing.assert_allclose(ends[1][:, 1], best.batch_interval, rtol=1e-12)
    choice = shown["your choice"]
    assert (choice.get_xdata()[0], choice.get_ydata()[0]) == (3e-4, 2.0**20)
    robust = surface.plateau.robust
    assert robust is not None
    drawn = shown["robust extents"].get_xdata()
    assert list(drawn) == [robust["lr"]["low"], robust["lr"]["high"]]


def test_surface_is_what_predict_says(surface: plots.SurfacePicture) -> None:
    # Independent path; tolerance: rounding.
    i, j = 20, 90
    lr, batch = surface.lr[j], surface.batch[i]
    fit = fit_support.bundled()
    loss = fit.predict(lr, batch, **AT).loss[0]
    wanted = loss / surface.plateau.loss_min - 1
    assert surface.excess[i, j] == pytest.approx(wanted, rel=1e-9)
    assert surface.excess.min() >= 0
    assert fit.stability is not None
    assert surface.edge is not None
    at = {"lr": surface.edge, "batch": surface.batch, **AT}
    np.testing.assert_allclose(fit.stability.probability(at), 0.05, rtol=1e-9)


def test_slices_draw_the_loss_and_its_interval(slices: plots.SlicesPicture) -> None:
    by_lr, by_batch = slices.slices
    fit = fit_support.bundled()
    found = fit.predict(by_lr.x, by_lr.held, **AT)
    np.testing.assert_allclose(by_lr.loss, found.loss, rtol=1e-12)
    # The surface's interval, without the noise of one run.
    assert (found.loss_low < by_lr.low).all()
    assert (by_lr.low < by_lr.loss).all()
    assert (by_lr.loss < by_lr.high).all()
    at_best = np.interp(np.log(by_lr.best), np.log(by_lr.x), by_lr.high)
    assert at_best == pytest.approx(slices.optimum.loss_interval[1], rel=1e-4)
    assert by_lr.plateau == slices.plateau.lr_at_optimal_batch
    assert by_batch.plateau == slices.plateau.batch_at_optimal_lr
    axes = slices.draw()
    band = labelled(axes[0])["plateau"]
    ends = band.get_xy()[0], band.get_xy()[0] + band.get_width()
    np.testing.assert_allclose(ends, by_lr.plateau, rtol=1e-12)


def test_runs_of_a_slice_keep_their_residuals() -> None:
    fit, runs = fit_support.bundled(), fit_support.thinned()
    picture = plots.SlicesPicture.of(quick(fit), **AT, runs=runs)
    by_lr = picture.slices[0]
    assert picture.nearest is not None
    assert picture.nearest.residual is not None
    shown = np.isfinite(picture.nearest.residual)
    shown &= np.abs(np.log2(picture.nearest.batch / by_lr.held)) <= 0.5
    on_surface = fit.predict(by_lr.run_x, by_lr.held, **AT).loss
    assert len(by_lr.run_x) == shown.sum() > 2
    np.testing.assert_allclose(
        np.log(by_lr.run_loss / on_surface), picture.nearest.residual[shown], atol=1e-12
    )


def test_scaling_is_what_optimum_says(scaling: plots.ScalingPicture) -> None:
    curve = scaling.curves["tokens"][1]
    k = 12
    assert curve.held is not None
    best = fit_support.bundled().optimum(params=curve.held, tokens=curve.x[k])
    assert curve.best["lr"][k] == pytest.approx(best.lr, rel=1e-9)
    ends = curve.low["batch"][k], curve.high["batch"][k]
    assert ends == pytest.approx(best.batch_interval, rel=1e-9)
    assert bool(curve.inside[k]) is best.context.inside
    assert curve.inside.any()
    assert not curve.inside[-1]
    axes = scaling.draw()
    assert axes.shape == (2, 2)
    assert axes[1, 0].get_ylabel() == "batch size [tokens]"
    dashed, solid = axes[0, 1].get_lines()[2:4]
    np.testing.assert_array_equal(dashed.get_ydata(), curve.best["lr"])
    np.testing.assert_array_equal(np.isfinite(solid.get_ydata()), curve.inside)
    assert len(scaling.cells) == len(fit_support.thinned().cells)


def test_residuals_are_measured_over_fitted() -> None:
    fit, runs = fit_support.bundled(), fit_support.thinned()
    picture = plots.ResidualsPicture.of(fit, runs=runs)
    usable = ~runs.diverged
    columns = (runs.lr_level, runs.batch, runs.params, runs.tokens)
    fitted = fit.predict(*(column[usable] for column in columns)).loss
    np.testing.assert_allclose(
        picture.residual, np.log(runs.loss[usable] / fitted), atol=1e-12
    )
    axes = picture.draw()
    assert len(axes[0].collections[0].get_offsets()) == usable.sum()
    assert len(axes[1].get_yticks()) == len(runs.cells)


def test_many_runs_and_cells_are_thinned_and_said() -> None:
    few = plots.ResidualsPicture.of(fit_support.bundled(), runs=fit_support.thinned())
    times = 50_000 // len(few.residual)
    picture = replace(
        few,
        excess=np.tile(few.excess, times),
        residual=np.tile(few.residual, times),
        params=np.tile(few.params, times),
        cell=(few.cell + 7 * np.arange(times)[:, None]).ravel(),
        titles=few.titles * times,
    )
    axes = picture.draw()
    assert len(axes[0].collections[0].get_offsets()) == 5000
    assert len(axes[1].get_yticks()) == 30
    assert "5,000 of" in axes[0].get_title("left")
    assert f"30 of {7 * times}" in axes[1].get_title("left")


def test_coverage_and_throughput_draw_their_documents() -> None:
    axes = plots.plot_coverage(coverage_document())
    point = axes[0].containers[0][0]
    np.testing.assert_allclose(point.get_xdata(), 93.0)
    assert axes[0].get_lines()[0].get_xdata()[0] == 95.0
    panels = plots.plot_throughput(throughput_document())
    assert [panel.get_title("left") for panel in panels] == ["one", "two"]
    ours = panels[1].get_lines()[0]
    np.testing.assert_allclose(ours.get_ydata(), [2e4, 3e4, 4e4])


def test_axes_of_the_user_are_drawn_on(surface: plots.SurfacePicture) -> None:
    from matplotlib.figure import Figure

    figure = Figure()
    axes = figure.subplots(1, 2)
    assert surface.draw(axes[1]) is axes[1]
    assert not axes[0].has_data()
    assert axes[1].get_xlabel() == "peak learning rate"


def test_an_interval_beyond_the_border_ends_in_an_arrow() -> None:
    axes = canvas.axis(None, 3, 3)
    axes.set_xlim(1.0, 10.0)
    axes.set_ylim(1.0, 10.0)
    canvas.cross(axes, (5.0, 5.0), [(0.5, 7.0), (2.0, 20.0)], 0.95)
    _, caps, bars = labelled(axes)["optimum"]
    # The ends that are seen have caps; the others an arrow at the border.
    assert [cap.get_visible() for cap in caps] == [False, True, True, False]
    along, up = (bar.get_segments()[0] for bar in bars)
    assert along[:, 0].tolist() == [1, 7]
    assert up[:, 1].tolist() == [2, 10]
    arrows = [line for line in axes.lines if line.get_marker() in ("<", ">", "^", "v")]
    placed = {a.get_marker(): np.asarray(a.get_xydata()).tolist() for a in arrows}
    assert placed == {"<": [[1, 5]], "^": [[5, 10]]}
    (label,) = axes.get_legend_handles_labels()[1]
    assert label.endswith("beyond the border at an arrow")


def test_robust_extents_are_within_the_surface(surface: plots.SurfacePicture) -> None:
    robust = dict(surface.plateau.robust or {})
    robust["lr"] = {"low": surface.lr[0] / 9, "high": surface.lr[-1] * 9}
    wider = replace(surface.plateau, robust=robust)
    asked = surface.question, surface.optimum, wider, None, surface.nearest
    lr, _ = surface_grid(*asked)
    assert lr[0] < robust["lr"]["low"] < robust["lr"]["high"] < lr[-1]


# ---- pictures -------------------------------------------------------------------


@pytest.mark.parametrize("name", ["surface", "slices", "scaling", "coverage"])
def test_picture_is_the_golden_one(name: str, request: pytest.FixtureRequest) -> None:
    """Made by `GOLDEN=1 pytest tests/views/test_plots.py`; to be looked at."""
    from matplotlib import image

    found = _pixels(_drawn(name, request))
    path = GOLDEN / f"{name}.png"
    if os.environ.get("GOLDEN"):
        GOLDEN.mkdir(exist_ok=True)
        image.imsave(path, found)
    wanted = image.imread(path)[..., :3]
    assert found.shape == wanted.shape
    assert np.sqrt(np.mean((found - wanted) ** 2)) < TOLERANCE


@pytest.mark.parametrize("name", ["surface", "slices", "scaling", "coverage"])
def test_texts_do_not_overlap_and_stay_on_the_page(
    name: str, request: pytest.FixtureRequest
) -> None:
    figure = figure_of(_drawn(name, request))
    from matplotlib.text import Text

    figure.draw_without_rendering()
    shown = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text()]
    ticks = {
        label
        for axes in figure.axes
        for axis in (axes.xaxis, axes.yaxis)
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks())
        for label in (tick.label1, tick.label2)
        if not axis.get_view_interval()[0]
        <= tick.get_loc()
        <= axis.get_view_interval()[1]
    }
    boxes = [(t.get_text(), t.get_window_extent()) for t in shown if t not in ticks]
    page = figure.bbox
    for text, box in boxes:
        assert box.x0 >= -1, text
        assert box.x1 <= page.x1 + 1, text
        assert box.y0 >= -1, text
        assert box.y1 <= page.y1 + 1, text
    for (one, a), (other, b) in itertools.combinations(boxes, 2):
        assert not a.padded(-1).overlaps(b.padded(-1)), (one, other)


def _drawn(name: str, request: pytest.FixtureRequest) -> Any:
    if name == "coverage":
        return plots.plot_coverage(coverage_document())
    return request.getfixturevalue(name).draw()


def _pixels(drawn: Any) -> np.ndarray:
    """A small image without text."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.text import Text

    figure = figure_of(drawn)
    for text in figure.findobj(Text):
        text.set_visible(False)
    figure.set_dpi(40)
    agg = FigureCanvasAgg(figure)
    agg.draw()
    return np.asarray(agg.buffer_rgba())[..., :3] / 255


@pytest.mark.parametrize("suffix", canvas.SUFFIXES)
def test_each_format_is_written_the_same_twice(
    suffix: str, slices: plots.SlicesPicture, tmp_path: Path
) -> None:
    path = plots.save(slices.draw(), tmp_path / f"a{suffix}")
    first = path.read_bytes()
    start = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}[suffix]
    assert first.startswith(start)
    plots.save(slices.draw(), path, overwrite=True)
    assert path.read_bytes() == first


# ---- fits that lack something ---------------------------------------------------


def test_fit_without_leaves_is_drawn_without_bands_and_says_so() -> None:
    fit = fit_support.bundled()
    bare = replace(fit, draws=fit.draws[:0], leaves=fit.leaves[:0])
    picture = plots.SlicesPicture.of(bare, **AT)
    assert any("No intervals" in warning for warning in picture.warnings)
    assert not any("interval of" in label for label in labelled(picture.draw()[0]))
    curves = plots.ScalingPicture.of(bare)
    assert any("No intervals" in warning for warning in curves.warnings)
    assert np.isnan(curves.curves["params"][0].low["lr"]).all()


def test_one_choice_has_one_slice_and_no_surface() -> None:
    fit = lr_alone()
    where: dict[str, Any] = {"params": 3e8, "tokens": 2e10}
    with pytest.raises(DataError, match=r"vary batch inside no cell.*plot slices"):
        plots.SurfacePicture.of(fit, **where)
    picture = plots.SlicesPicture.of(fit, **where)
    assert [each.name for each in picture.slices] == ["lr"]
    assert picture.slices[0].plateau == picture.plateau.lr
    assert len(picture.draw()) == 1
    assert list(plots.ScalingPicture.of(fit).choices) == ["lr"]


def test_no_minimum_is_not_drawn(surface: plots.SurfacePicture) -> None:
    context = replace(surface.optimum.context, status=Status.no_optimum)
    with pytest.raises(SolveError, match="nothing to draw"):
        numbers.check_found(replace(surface.optimum, context=context))


def test_one_size_does_not_scale() -> None:
    fit = fit_support.bundled()
    features = replace(fit.features, givens=())
    with pytest.raises(DataError, match="one params and tokens"):
        plots.ScalingPicture.of(replace(fit, features=features))


def test_bundled_fit_has_no_residuals_without_runs() -> None:
    with pytest.raises(DataError, match=r"bundled fit carries no losses.*--runs"):
        plots.ResidualsPicture.of(fit_support.bundled())


def test_runs_of_other_recipes_are_refused() -> None:
    runs = fit_support.thinned()
    columns = {n: getattr(runs, n) for n in ("lr", "batch", "params", "tokens", "loss")}
    other = Runs.from_arrays(**columns, recipe="muon")
    with pytest.raises(DataError, match="Expected runs of the fit's recipes"):
        plots.ResidualsPicture.of(fit_support.bundled(), runs=other)


def test_names_of_data_are_drawn_as_they_are(slices: plots.SlicesPicture) -> None:
    question = dataclasses.replace(
        slices.question, recipe="$\\frac{$\n</script>\x1b[1m"
    )
    axes = replace(slices, question=question).draw()
    figure = figure_of(axes)
    figure.draw_without_rendering()
    assert "</script>" in figure.get_suptitle()
    assert "\n" not in figure.get_suptitle()
    assert "\x1b" not in figure.get_suptitle()


# ---- the command ----------------------------------------------------------------

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("surfaces steplaw-dense --out a.png", "Did you mean surface"),
        ("surface steplaw-dense --out a.png", "expected --params and --tokens"),
        (
            "surface steplaw-dense --params 1B --tokens 20B --lr 1e-3 --out a.png",
            "your lr and batch together",
        ),
        ("scaling steplaw-dense --lr 1e-3 --out a.png", "--lr has no meaning here"),
        ("coverage a.json --runs b.csv --out a.png", "it takes a document only"),
        ("scaling steplaw-dense --out a.gif", "ends in .png, .svg, .pdf, got 'a.gif'"),
        ("scaling steplaw-dense --out no/a.png", "there is no folder 'no'"),
        ("scaling steplaw-dense --out old.png", "exists. Name another file, or add"),
        ("scaling steplaw-dense --out dir.png --overwrite", "exists. Name another"),
        ("scaling nothing --out a.png", "nothing"),
        ("coverage nothing --out a.png", "there is none at 'nothing'"),
        ("coverage old.png --out a.png", "holds no rows"),
        ("coverage bad.json --out a.png", "a row of the document lacks 'intervals'"),
        ("throughput flat.json --out a.png", "no row was timed at several sizes"),
    ],
)
def test_what_is_asked_wrongly(
    arguments: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old.png").write_bytes(b"mine")
    (tmp_path / "dir.png").mkdir()
    bad = {"bench": "coverage", "level": 0.95, "rows": [{"family": "bowl"}]}
    (tmp_path / "bad.json").write_text(json.dumps(bad))
    flat = {"bench": "throughput", "rows": [{"row": "a", "peers": []}]}
    (tmp_path / "flat.json").write_text(json.dumps(flat))
    assert main(["plot", *arguments.split()]) == 2
    assert message in capsys.readouterr().err
    assert (tmp_path / "old.png").read_bytes() == b"mine"
    assert not (tmp_path / "a.png").exists()


def test_file_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def refuse(path: str, target: Path) -> None:
        raise PermissionError(13, "Permission denied", str(target))

    document = tmp_path / "c.json"
    document.write_text("a table\n" + json.dumps(coverage_document()) + "\n")
    monkeypatch.setattr(os, "replace", refuse)
    arguments = ["plot", "coverage", str(document), "--out", str(tmp_path / "c.png")]
    assert main(arguments) == 2
    assert "Permission denied" in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["c.json"]


def test_missing_matplotlib_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    found = importlib.import_module

    def missing(name: str, package: str | None = None) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return found(name, package)

    document = tmp_path / "c.json"
    document.write_text(json.dumps(coverage_document()))
    monkeypatch.setattr(canvas.importlib, "import_module", missing)
    arguments = ["plot", "coverage", str(document), "--out", str(tmp_path / "c.png")]
    assert main(arguments) == 2
    assert 'pip install "loss-surrogate[plot]"' in capsys.readouterr().err


def test_the_document_says_what_was_drawn(tmp_path: Path, capsys: Capture) -> None:
    document = tmp_path / "c.json"
    document.write_text(json.dumps(coverage_document()))
    out = tmp_path / "c.svg"
    arguments = ["plot", "coverage", str(document), "--out", str(out)]
    assert main([*arguments, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["schema"] == 1
    assert (said["out"], said["plot"], said["status"]) == (str(out), "coverage", "ok")
    assert said["warnings"] == []
    assert main([*arguments, "--overwrite"]) == 0
    assert capsys.readouterr().out.split() == ["wrote", str(out)]


def test_style_is_in_the_package() -> None:
    assert canvas.STYLE.is_file()
