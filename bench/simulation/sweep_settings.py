"""The twelve settings of the coverage simulations."""

from __future__ import annotations

from typing import NamedTuple


class Setting(NamedTuple):
    """One kind of sweep and one question.

    Attributes:
        cells: of the design.
        noise: standard deviation of ln loss within a cell, at the optimum.
        has_offsets: cells' levels and optima are off by chance.
        is_beyond: asked at 10 x the largest params and tokens, not in the middle.
        families: fitted, each to sweeps drawn from the same family.
    """

    cells: int
    noise: float
    has_offsets: bool
    is_beyond: bool
    families: tuple[str, ...]

    @property
    def name(self) -> str:
        """For people and as a key of what is stored."""
        offsets = "offsets" if self.has_offsets else "no offsets"
        where = "10 x beyond" if self.is_beyond else "inside"
        return f"{self.cells} cells, {100 * self.noise:g} %, {offsets}, {where}"


_ONE, _TWO, _ALL = (
    ("quadratic",),
    ("quadratic", "posynomial"),
    ("quadratic", "posynomial", "auto"),
)
SETTINGS = (
    Setting(5, 0.001, True, False, _ONE),
    Setting(9, 0.0004, False, False, _ONE),
    Setting(9, 0.001, True, False, _ALL),
    Setting(9, 0.003, True, False, _ONE),
    Setting(17, 0.0004, True, False, _ONE),
    Setting(17, 0.001, False, False, _ONE),
    Setting(17, 0.001, True, False, _TWO),
    Setting(17, 0.003, True, False, _ONE),
    Setting(40, 0.001, True, False, _TWO),
    Setting(40, 0.003, True, False, _ONE),
    Setting(9, 0.001, True, True, _ALL),
    Setting(17, 0.001, True, True, _ONE),
)
