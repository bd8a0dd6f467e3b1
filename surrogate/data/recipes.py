"""Which recipe did best, as measured where several ran at the same sizes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from surrogate.data.cells import Cell, group


@dataclass(frozen=True)
class BestRecipe:
    """The recipe that has the lowest measured loss at most sizes.

    Attributes:
        recipe: its name.
        sizes: at so many it is the best.
        of: sizes at which more than one recipe ran.
        after: the next at the largest of its sizes.
        gap: by how much that one is worse there, a fraction.
    """

    recipe: str
    sizes: int
    of: int
    after: str
    gap: float

    def to_json(self) -> dict[str, Any]:
        """Plain numbers."""
        return {
            "recipe": self.recipe,
            "sizes": self.sizes,
            "of": self.of,
            "next": self.after,
            "gap": self.gap,
        }


def best_recipe(cells: Sequence[Cell]) -> BestRecipe | None:
    """Of cells that finished; None where no two recipes ran at one size."""
    done = [cell for cell in cells if np.isfinite(cell.best)]
    if len({cell.recipe for cell in done}) < 2:
        return None
    names = sorted({name for cell in done for name, _ in cell.scales})
    scales = {
        name: np.array([dict(cell.scales)[name] for cell in done]) for name in names
    }
    params = np.array([cell.params for cell in done], dtype=np.float64)
    tokens = np.array([cell.tokens for cell in done], dtype=np.float64)
    ranked = [
        sorted((done[row] for row in rows.tolist()), key=lambda cell: cell.best)
        for rows in group(np.full(len(done), ""), params, tokens, scales)
    ]
    ranked = [part for part in ranked if len(part) > 1]
    if not ranked:
        return None
    wins = Counter(part[0].recipe for part in ranked)
    name, count = max(wins.items(), key=lambda item: (item[1], item[0]))
    first, second = max(
        ((part[0], part[1]) for part in ranked if part[0].recipe == name),
        key=lambda pair: pair[0].params * pair[0].tokens,
    )
    gap = float(second.best / first.best - 1)
    return BestRecipe(name, count, len(ranked), second.recipe, gap)
