"""Units that a jackknife leaves out: cells, and trunks that runs of several share.

Runs annealed from one trunk at several token counts are one draw of its luck, though
their cells differ. Where trunks cross cells neither alone tells the error: both are
left out in turn and their variances are added, which counts what both see twice.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from surrogate.base.shapes import Bool, Float64
from surrogate.data.coordinates import Rows

# Fewer degrees of freedom than this are called so many: trunks are few.
_LEAST_FREEDOM = 2


class Units(NamedTuple):
    """What is left out in turn.

    Attributes:
        kept: which rows a refit keeps.
        cells: which cells have rows among them.
        reach: by which a step is lengthened, so that a jackknife over all units says
            the sum of both.
        freedom: of its Student's t; None where units are cells.
    """

    kept: Bool[np.ndarray, "units n"]
    cells: Bool[np.ndarray, "units cells"]
    reach: Float64[np.ndarray, " units"]
    freedom: int | None


def units(rows: Rows) -> Units:
    """Of a table with enough cells to leave them out."""
    used = np.unique(rows.cell)
    by_cell = rows.cell != used[:, None]
    trunks = _crossing(rows)
    if not trunks.size:
        return _units(rows, by_cell, np.ones(len(used)), None)
    by_trunk = rows.cluster != trunks[:, None]
    alone = [_lies_within(rows, cell) for cell in used.tolist()]
    if None not in alone:
        # No cell is shared by trunks: they are the larger units.
        own = by_cell[np.array([trunk == -1 for trunk in alone])]
        kept = np.concatenate([own, by_trunk])
        return _units(rows, kept, np.ones(len(kept)), len(kept) - 3)
    parts, count = (by_cell, by_trunk), len(used) + len(trunks)
    reach = [
        np.full(len(part), np.sqrt((1 - 1 / len(part)) / (1 - 1 / count)))
        for part in parts
    ]
    assert rows.cluster is not None
    single = int((~np.isin(rows.cluster, trunks)).sum())
    freedom = min(len(used), len(trunks) + single) - 3
    return _units(rows, np.concatenate(parts), np.concatenate(reach), freedom)


def count(rows: Rows) -> int:
    """How many trunks are shared by rows."""
    return 0 if rows.cluster is None else int(rows.cluster.max()) + 1


def _units(
    rows: Rows, kept: np.ndarray, reach: np.ndarray, freedom: int | None
) -> Units:
    member = np.eye(len(rows.cell_s), dtype=bool)[rows.cell]
    least = None if freedom is None else max(freedom, _LEAST_FREEDOM)
    return Units(kept, kept @ member, reach, least)


def _crossing(rows: Rows) -> np.ndarray:
    """Trunks whose rows are of several cells."""
    if rows.cluster is None:
        return np.zeros(0, np.int64)
    pairs = np.unique(np.stack([rows.cluster, rows.cell]), axis=1)[0]
    trunks, cells = np.unique(pairs[pairs >= 0], return_counts=True)
    return trunks[cells > 1]


def _lies_within(rows: Rows, cell: int) -> int | None:
    """The crossing trunk of all rows of a cell, -1 for none, None for several."""
    assert rows.cluster is not None
    mine = rows.cluster[rows.cell == cell]
    mine = np.where(np.isin(mine, _crossing(rows)), mine, -1)
    return int(mine[0]) if (mine == mine[0]).all() else None
