"""What must not change a plateau, and how it must change: properties."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import fit as fit_support

from surrogate import fit
from surrogate.answers import Fit, Plateau, arrays
from surrogate.data import Runs
from surrogate.data.readers import read_runs
from surrogate.families import Quadratic, Shape
from surrogate.families.forms import form
from surrogate.numerics.half_plane import Cut

ASK: dict[str, Any] = {"params": 3.3e8, "tokens": 1.7e10}
# Bowls a case of hypothesis, so that 20 of them are 1,280.
BATCH = 64
NONE = np.zeros(0)


def bowls(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Quadratics in u and their Hessians, some long and thin."""
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(BATCH, 2, 2)) * 0.2
    hessian = root @ np.swapaxes(root, 1, 2) + 1e-3 * np.eye(2)
    centre = rng.normal(size=(BATCH, 2))
    slope = -np.einsum("bij,bj->bi", hessian, centre)
    floor = 0.5 * np.einsum("bi,bij,bj->b", centre, hessian, centre)
    xx, xy, yy = 0.5 * hessian[:, 0, 0], hessian[:, 0, 1], 0.5 * hessian[:, 1, 1]
    return np.column_stack([floor, slope, xx, xy, yy]), hessian


@given(
    st.integers(0, 10**6),
    st.floats(1e-4, 0.1),
    st.floats(1.05, 8),
    st.tuples(st.floats(-1, 1), st.floats(-1, 1), st.floats(-1.5, 3)),
)
@settings(max_examples=20)
def test_a_plateau_holds_its_optimum_and_grows_with_tol(
    seed: int, tol: float, more: float, line: tuple[float, float, float]
) -> None:
    """1,280 bowls, each within a box and on one side of a line; and in closed form."""
    family = Quadratic(Shape(2, 0, 0))
    thetas, hessian = bowls(seed)
    low, high = np.full(2, -4.0), np.full(2, 4.0)
    # The box reaches -2 at least, so none is all cut away.
    normal = np.array([line[0], line[1] + 1.5])
    cut = Cut(normal, np.array(line[2]))
    least = arrays.minima(family, thetas, NONE, low, high, cut)
    assert least.converged.all()
    surfaces = form(family, thetas, NONE)
    small, large = (
        arrays.extents(surfaces, least, low, high, size, cut)
        for size in (tol, tol * more)
    )
    slack = 1e-7
    for found in (small, large):
        assert (found.edges[..., 0] <= least.u + slack).all()
        assert (least.u <= found.edges[..., 1] + slack).all()
        assert (low - slack <= found.edges[..., 0]).all()
        assert (found.edges[..., 1] <= high + slack).all()
    assert (large.edges[..., 0] <= small.edges[..., 0] + slack).all()
    assert (small.edges[..., 1] <= large.edges[..., 1] + slack).all()
    # Where neither box nor line is met, the half-widths of an ellipse.
    is_free = ~(small.is_open | small.is_cut).any(axis=(1, 2)) & ~least.is_cut
    diagonal = np.linalg.inv(hessian)[:, [0, 1], [0, 1]]
    half = np.sqrt(2 * np.log1p(tol) * diagonal)
    width = np.diff(small.edges, axis=-1)[..., 0]
    np.testing.assert_allclose(width[is_free], 2 * half[is_free], rtol=1e-6)


# ------------------------------------------------------------- tables said otherwise


def check_same(one: Plateau, two: Plateau, close: float) -> None:
    """Extents and their intervals agree in ln, the robust ones as they promise."""
    for key in ("lr", "batch", "optimum"):
        np.testing.assert_allclose(
            np.log(getattr(two, key)), np.log(getattr(one, key)), rtol=0, atol=close
        )
    for name, ends in one.edge_intervals.items():
        found = np.log(two.edge_intervals[name])
        np.testing.assert_allclose(found, np.log(ends), rtol=0, atol=10 * close)
    assert two.loss_min == pytest.approx(one.loss_min, rel=close)
    assert one.robust is not None
    assert two.robust is not None
    for name in ("lr", "batch"):
        if one.robust[name] is not None:
            for side, value in one.robust[name].items():
                off = np.log2(two.robust[name][side] / value)
                assert off == pytest.approx(0, abs=2e-3 + close)


def columns() -> dict[str, Any]:
    """Those of `fit_support.quadratic`."""
    return fit_support.table(noise=5e-4)


def fitted(**table: Any) -> Fit:
    return fit(Runs.from_arrays(**table), family="quadratic", bootstrap=50)


def test_the_order_of_rows_changes_no_plateau() -> None:
    """Rounding: sums are taken in another order."""
    table = columns()
    order = np.random.default_rng(4).permutation(len(table["lr"]))
    other = fitted(**{name: values[order] for name, values in table.items()})
    one = fit_support.quadratic().plateau(**ASK)
    assert np.isfinite(list(one.edge_intervals.values())).all()
    check_same(one, other.plateau(**ASK), 1e-6)


def test_units_and_names_of_columns_change_no_plateau(tmp_path: Path) -> None:
    """The same table with batch and tokens in units of its own, other names."""
    table = columns()
    names = ("lr", "batch", "params", "tokens", "loss")
    lines = ["peak,seqs,N,D,final"]
    for row in zip(*(table[name] for name in names), strict=True):
        lr, batch, params, tokens, loss = map(float, row)
        lines.append(f"{lr!r},{batch / 64!r},{params},{tokens / 1e9!r},{loss!r}")
    path = tmp_path / "runs.csv"
    path.write_text("\n".join(lines) + "\n")
    said = ("peak", "seqs*64", "N", "D*1000000000", "final")
    runs = read_runs(path, map=dict(zip(names, said, strict=True)))
    other = fit(runs, family="quadratic", bootstrap=50)
    check_same(fit_support.quadratic().plateau(**ASK), other.plateau(**ASK), 1e-6)


def test_names_of_recipes_change_no_plateau() -> None:
    """Renamed so that the other one comes first, which has no offset of its own.

    The weak prior of an offset is then about the other recipe.
    """
    one = fit_support.lr_alone()
    assert one.runs is not None
    names = ("lr", "batch", "params", "tokens", "loss")
    table: dict[str, Any] = {name: getattr(one.runs, name) for name in names}
    other = fitted(**table, recipe=np.where(one.runs.recipe == "muon", "a", "z"))
    assert (one.recipes, other.recipes) == (("adamw", "muon"), ("a", "z"))
    where: dict[str, Any] = {**ASK, "batch": 6e5}
    check_same(
        one.plateau(**where, recipe="muon"), other.plateau(**where, recipe="a"), 1e-4
    )
