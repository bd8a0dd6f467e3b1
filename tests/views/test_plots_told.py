"""Pictures say what the command says of what the runs leave open."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from support.grids import BATCH, LR, table

from surrogate import Fit, fit
from surrogate.base.errors import DataError, SolveError

pytest.importorskip("matplotlib")
from surrogate.views.plots.slices import SlicesPicture
from surrogate.views.plots.surface import SurfacePicture

WHERE: dict[str, Any] = {"params": 1e8, "tokens": 2e9}


def fitted(shape: Any, **grid: Any) -> Fit:
    runs = table(shape, 0, **{"batch": BATCH, "cells": 5, **grid})
    return fit(runs, family="quadratic", bootstrap=20)


@pytest.fixture(scope="module")
def rising() -> Fit:
    """The best lr lies e times above the highest tried, that of batch inside."""
    top = np.log(LR[4] / 4e-4) + 1
    return fitted(lambda x, y: 0.03 * (x - top) ** 2 + 0.02 * y**2, lr=LR[:5])


@pytest.fixture(scope="module")
def saddle() -> Fit:
    """A bowl in lr, a hill in batch."""
    return fitted(lambda x, y: 0.02 * x**2 - 0.03 * y**2)


def test_a_slice_ends_where_nothing_was_tried(rising: Fit) -> None:
    picture = SlicesPicture.of(rising, **WHERE)
    lr = picture.slices[0]
    assert (lr.x[-1], lr.best) == pytest.approx((LR[4], LR[4]), rel=0.01)
    assert np.isnan(lr.plateau[1])
    first, _ = picture.draw()
    assert first.get_title(loc="left").endswith("nothing above was tried")
    labels = [text.get_text() for text in first.figure.legends[0].get_texts()]
    assert any(label.startswith("end of what was tried, 95%") for label in labels)
    assert not any(label.startswith("optimum") for label in labels)


def test_a_surface_covers_what_was_not_tried(rising: Fit) -> None:
    axes = SurfacePicture.of(rising, **WHERE).draw()
    _, labels = axes.get_legend_handles_labels()
    assert "not tried: nothing is known there" in labels
    assert not any(label.startswith("plateau") for label in labels)


def test_a_setting_without_a_best_has_no_slice_and_no_surface(saddle: Fit) -> None:
    picture = SlicesPicture.of(saddle, **WHERE)
    assert [each.name for each in picture.slices] == ["lr"]
    with pytest.raises(DataError, match="do not show a best batch"):
        SurfacePicture.of(saddle, **WHERE)


def test_what_has_no_answer_is_not_drawn() -> None:
    one = fitted(lambda x, y: 0.02 * x**2, batch=BATCH[:1], cells=1)
    with pytest.raises(SolveError, match=r"7B cannot be answered.*nothing to draw"):
        SlicesPicture.of(one, params=7e9, tokens=2e9)
    flat = fit(table(lambda x, y: 0.0 * x, 3), family="quadratic", bootstrap=0)
    with pytest.raises(SolveError, match=r"do not show a best lr.*nothing to draw"):
        SlicesPicture.of(flat, **WHERE)


def test_a_short_axis_names_no_two_ticks_alike() -> None:
    from surrogate.views.plots import canvas

    for name, ends in (("lr", (5.1e-4, 5.4e-4)), ("batch", (5.2e5, 5.3e5))):
        axes = canvas.axis(None, 3, 3)
        canvas.log_axis(axes.xaxis, name, ends)
        axes.figure.canvas.draw()
        shown = [
            label.get_text()
            for at, label in zip(axes.get_xticks(), axes.get_xticklabels(), strict=True)
            if ends[0] <= at <= ends[1]
        ]
        assert len(shown) > 1
        assert len(set(shown)) == len(shown)


def test_a_loss_axis_has_the_unit_of_the_fit(rising: Fit) -> None:
    bits = replace(rising, loss_unit="bits_per_byte")
    for found, unit in ((rising, "nats per token"), (bits, "bits per byte")):
        first, *_ = SlicesPicture.of(found, **WHERE).draw()
        assert first.get_ylabel() == f"loss [{unit}]"
