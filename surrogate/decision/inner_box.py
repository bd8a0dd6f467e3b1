"""The largest axis-parallel box inside a plateau, or inside most draws' plateaus.

The log of the area is concave and a plateau convex, so four corners inside are a box
inside, and the best box is a small convex problem: Newton's method on a log barrier.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from surrogate.cut import Cut
from surrogate.taylor import Surface

# Of (x low, x high, y low, y high), those of each corner.
_OF_X, _OF_Y = np.array([0, 0, 1, 1]), np.array([2, 3, 2, 3])
_E = np.eye(4)
# The log of the area may fall short of the best by so much.
_GAP = 1e-4
_NEWTON, _HALVINGS = 60, 50

Box = Float64[np.ndarray, "2 2"]


class Walls(NamedTuple):
    """What a box must stay within: {u : f_b(u - move_b) <= level_b for every b}.

    Attributes:
        surface: of every b.
        level: likewise [ln loss].
        moves: likewise.
        low: of u.
        high: of u.
        cut: a half-plane of u, if any.
    """

    surface: Surface
    level: Float64[np.ndarray, " b"]
    moves: Float64[np.ndarray, "b 2"]
    low: Float64[np.ndarray, " 2"]
    high: Float64[np.ndarray, " 2"]
    cut: Cut | None


class _Lines(NamedTuple):
    """Linear walls: rows @ v <= bounds."""

    rows: np.ndarray
    bounds: np.ndarray


def largest(walls: Walls, start: Box) -> Box | None:
    """The box of largest area, (low, high) of each coordinate; None from a bad start.

    Args:
        walls: what it stays within.
        start: a box inside; it is shrunk about its middle until it is strictly so.
    """
    lines = _lines(walls)
    v = _shrunk(walls, lines, start.reshape(4))
    if v is None:
        return None
    count = 4 * len(walls.level) + len(lines.bounds)
    weight = 0.1
    while True:
        v = _centred(walls, lines, v, weight)
        if weight * count <= _GAP:
            return v.reshape(2, 2)
        weight *= 0.1


def slack(walls: Walls, box: Box) -> Float64[np.ndarray, " b"]:
    """By how much every b holds the worst of the four corners [ln loss]."""
    return _slack(walls, box.reshape(4))[1].min(axis=-1)


def small_box(walls: Walls, middle: np.ndarray, reach: np.ndarray) -> Box:
    """A box about a point inside, of which `largest` may start."""
    half = 1e-2 * np.maximum(reach, 1e-9)
    return np.stack([middle - half, middle + half], axis=1)


def _lines(walls: Walls) -> _Lines:
    rows = [-_E[0], _E[1], -_E[2], _E[3]]
    bounds = [-walls.low[0], walls.high[0], -walls.low[1], walls.high[1]]
    if walls.cut is not None:
        # Of the four corners one lies farthest along the normal.
        a, b = walls.cut.normal
        rows.append(a * _E[int(a > 0)] + b * _E[2 + int(b > 0)])
        bounds.append(float(walls.cut.bound))
    return _Lines(np.array(rows), np.array(bounds))


def _places(walls: Walls, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return v[_OF_X] - walls.moves[:, :1], v[_OF_Y] - walls.moves[:, 1:]


def _slack(walls: Walls, v: np.ndarray) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """Derivatives at the corners, and what is left to the level."""
    with np.errstate(all="ignore"):
        at = walls.surface.spread().at(*_places(walls, v))
    return tuple(at[1:]), walls.level[:, None] - at.value


def _is_inside(walls: Walls, lines: _Lines, v: np.ndarray) -> bool:
    if not (v[1] > v[0] and v[3] > v[2] and (lines.rows @ v < lines.bounds).all()):
        return False
    return bool((_slack(walls, v)[1] > 0).all())


def _shrunk(walls: Walls, lines: _Lines, v: np.ndarray) -> np.ndarray | None:
    middle = np.array([v[0] + v[1], v[0] + v[1], v[2] + v[3], v[2] + v[3]]) / 2
    share = 0.98
    for _ in range(_HALVINGS):
        inner = middle + share * (v - middle)
        if _is_inside(walls, lines, inner):
            return inner
        share *= 0.5
    return None


def _value(walls: Walls, lines: _Lines, v: np.ndarray, weight: float) -> float:
    """What is minimised; infinite outside."""
    left = lines.bounds - lines.rows @ v
    if not (v[1] > v[0] and v[3] > v[2] and (left > 0).all()):
        return np.inf
    room = _slack(walls, v)[1]
    if not (room > 0).all():
        return np.inf
    area = np.log(v[1] - v[0]) + np.log(v[3] - v[2])
    return float(-area - weight * (np.log(room).sum() + np.log(left).sum()))


def _centred(walls: Walls, lines: _Lines, v: np.ndarray, weight: float) -> np.ndarray:
    """Newton's method on minus the log of the area and the barrier."""
    value = _value(walls, lines, v, weight)
    for _ in range(_NEWTON):
        gradient, hessian = _derivatives(walls, lines, v, weight)
        step = np.linalg.solve(hessian, -gradient)
        fall = -float(gradient @ step)
        if not fall > 1e-8:
            break
        size = 1.0
        for _ in range(_HALVINGS):
            after = _value(walls, lines, v + size * step, weight)
            if after <= value - 0.1 * size * fall:
                break
            size *= 0.5
        else:
            break
        v, value = v + size * step, after
    return v


def _derivatives(
    walls: Walls, lines: _Lines, v: np.ndarray, weight: float
) -> tuple[np.ndarray, np.ndarray]:
    (gx, gy, hxx, hxy, hyy), room = _slack(walls, v)
    per = weight / room
    ax, ay = (per * gx).sum(axis=0), (per * gy).sum(axis=0)
    square = per / room
    cxx = (per * hxx + square * gx * gx).sum(axis=0)
    cxy = (per * hxy + square * gx * gy).sum(axis=0)
    cyy = (per * hyy + square * gy * gy).sum(axis=0)
    x, y = _E[_OF_X], _E[_OF_Y]
    gradient = ax @ x + ay @ y
    crossed = (x * cxy[:, None]).T @ y
    hessian = (x * cxx[:, None]).T @ x + (y * cyy[:, None]).T @ y
    hessian = hessian + crossed + crossed.T
    left = lines.bounds - lines.rows @ v
    gradient = gradient + weight * (lines.rows / left[:, None]).sum(axis=0)
    scaled = lines.rows / left[:, None]
    hessian = hessian + weight * scaled.T @ scaled
    for low, high in ((0, 1), (2, 3)):
        across = (_E[high] - _E[low]) / (v[high] - v[low])
        gradient = gradient - across
        hessian = hessian + np.outer(across, across)
    return gradient, hessian
