"""Other people's solvers on the benchmark's problems, one file a peer.

Each takes NumPy arrays and knows nothing of this library. `missing` says what a peer
lacks; a row of the benchmark prints that in place of its figures.
"""

from __future__ import annotations

from importlib.util import find_spec

# What a peer imports and how to get it.
NEEDS: dict[str, tuple[str, ...]] = {
    "optimistix": ("optimistix",),
    "gpfit": ("gpfit",),
}


def missing(peer: str) -> str | None:
    """How to install what the peer lacks; None where it can run."""
    absent = [name for name in NEEDS[peer] if find_spec(name) is None]
    if not absent:
        return None
    return f"not installed: pip install {' '.join(absent)}"
