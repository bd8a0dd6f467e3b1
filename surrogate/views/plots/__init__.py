"""Figures of fits and of the benchmarks' documents, with matplotlib (extra `plot`).

Each `plot_*` takes a Fit, or a document, and returns the Axes that it drew on; `save`
writes their figure. A `*Picture` holds the numbers that are drawn.
"""

from surrogate.views.plots.canvas import check_out, save
from surrogate.views.plots.coverage import plot_coverage
from surrogate.views.plots.documents import read
from surrogate.views.plots.residuals import (
    ResidualsPicture,
    plot_residuals,
)
from surrogate.views.plots.scaling import ScalingPicture, plot_scaling
from surrogate.views.plots.slices import SlicesPicture, plot_slices
from surrogate.views.plots.surface import SurfacePicture, plot_surface
from surrogate.views.plots.throughput import plot_throughput

__all__ = [
    "ResidualsPicture",
    "ScalingPicture",
    "SlicesPicture",
    "SurfacePicture",
    "check_out",
    "plot_coverage",
    "plot_residuals",
    "plot_scaling",
    "plot_slices",
    "plot_surface",
    "plot_throughput",
    "read",
    "save",
]
