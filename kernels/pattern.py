"""Where coefficients stand in affine functions; apart from JAX, so that it is cheap."""

from __future__ import annotations

from typing import NamedTuple


class Pattern(NamedTuple):
    """Which coefficients of the affine functions are free, in two lists.

    Free coefficient i multiplies coordinate `coordinate[i]` (0 is the constant 1) in
    the affine function of term `term[i]`; every other coefficient is zero.
    """

    term: tuple[int, ...]
    coordinate: tuple[int, ...]
    terms: int
    coordinates: int
