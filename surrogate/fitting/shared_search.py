"""Which problems of one table may take their starts from one search.

A search for starts costs a hundred times what a fit from a good start does. Problems
that leave out little of a table have nearly the same minima, so one search on the rows
that none of them leaves out serves them all. It sees no row that one of them leaves
out, so that a fold's fit depends in no digit on what it does not see.
"""

from __future__ import annotations

import numpy as np

from surrogate.base.shapes import Bool, Int

# Of the rows, what a search that serves several problems leaves out at most: of a
# family with many minima little, since others are lowest then (docs/log.md).
MOST, MOST_OF_TERMS = 0.3, 0.1


def group(
    absent: Bool[np.ndarray, "problems n"],
    share: float = MOST,
) -> tuple[Bool[np.ndarray, "searches n"], Int[np.ndarray, " problems"]]:
    """Group problems by the rows that they leave out.

    Args:
        absent: the rows that each problem leaves out.
        share: of the rows, what a search for several leaves out at most.

    Returns:
        The rows that each search leaves out, all those of the problems it serves; and
        which search serves each problem. A problem of all rows has a search of its own.
    """
    size = absent.sum(axis=1)
    most = share * absent.shape[1]
    searches: list[np.ndarray] = []
    served = np.zeros(len(absent), dtype=np.int64)
    # Large ones first: what lies within them costs no search.
    for problem in np.argsort(-size, kind="stable").tolist():
        own = absent[problem]
        served[problem] = _place(own, searches, most)
        if served[problem] == len(searches):
            searches.append(own)
        elif size[problem]:
            searches[served[problem]] = searches[served[problem]] | own
    return np.array(searches), served


def _place(own: np.ndarray, searches: list[np.ndarray], most: float) -> int:
    """The search that leaves out these rows, or that may; else a new one."""
    if not own.any():
        alike = [k for k, other in enumerate(searches) if not other.any()]
        return alike[0] if alike else len(searches)
    for k, other in enumerate(searches):
        if other.any() and not (own & ~other).any():
            return k
    for k, other in enumerate(searches):
        if other.any() and (own | other).sum() <= most:
            return k
    return len(searches)
