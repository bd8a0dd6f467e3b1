"""Surfaces over u = (x, y) by their second-order Taylor coefficients, in both worlds.

A surface of one coordinate has y = 0. Arrays begin with the axes of the problems;
`spread` adds one at the end, for several places of every problem.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

from surrogate.base.namespaces import Numbers, each


class Local(NamedTuple):
    """Value, slopes and curvatures of a surface at (x, y); zero in y of one coordinate.

    Separate arrays and not matrices, so that a batch of problems is a few long arrays
    and the 2 x 2 algebra on them is plain arithmetic.
    """

    value: Numbers
    gx: Numbers
    gy: Numbers
    hxx: Numbers
    hxy: Numbers
    hyy: Numbers


@runtime_checkable
class Surface(Protocol):
    """Ln loss over u at given scales, convex in u."""

    def at(self, x: Numbers, y: Numbers) -> Local:
        """The expansion at a place of every problem."""
        ...

    def spread(self) -> Surface:
        """The same with an axis more, of any length, behind those of the problems."""
        ...


class Frame(NamedTuple):
    """Coordinates (t, w) of the plane: u = origin + t along + w across.

    Attributes:
        origin: x and y of it.
        along: likewise.
        across: likewise.
    """

    origin: tuple[Numbers, Numbers]
    along: tuple[Numbers, Numbers]
    across: tuple[Numbers, Numbers]

    def place(self, t: Numbers, w: Numbers) -> tuple[Numbers, Numbers]:
        """The u at (t, w)."""
        (x, y), (ax, ay), (bx, by) = self
        return x + t * ax + w * bx, y + t * ay + w * by


class Framed(NamedTuple):
    """A surface as one over the coordinates of a frame."""

    surface: Surface
    frame: Frame

    def at(self, x: Numbers, y: Numbers) -> Local:
        """The expansion in (t, w), by the chain rule."""
        at = self.surface.at(*self.frame.place(x, y))
        (ax, ay), (bx, by) = self.frame.along, self.frame.across
        along_x, along_y = at.hxx * ax + at.hxy * ay, at.hxy * ax + at.hyy * ay
        across_x, across_y = at.hxx * bx + at.hxy * by, at.hxy * bx + at.hyy * by
        return Local(
            at.value,
            at.gx * ax + at.gy * ay,
            at.gx * bx + at.gy * by,
            ax * along_x + ay * along_y,
            bx * along_x + by * along_y,
            bx * across_x + by * across_y,
        )

    def spread(self) -> Framed:
        """The same with an axis more."""
        return Framed(self.surface.spread(), each(_longer, self.frame))


def _longer(array: Numbers) -> Numbers:
    return array[..., None]
