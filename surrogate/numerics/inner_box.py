"""The largest axis-parallel box inside a plateau, or inside most draws' plateaus.

The log of the area is concave and a plateau convex, so four corners inside are a box
inside, and the best box is a small convex problem: an interior-point method.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from surrogate.base.shapes import Float64
from surrogate.families.taylor import Surface
from surrogate.numerics.half_plane import Cut

# Of (x low, x high, y low, y high), those of each corner.
_OF_X, _OF_Y = np.array([0, 0, 1, 1]), np.array([2, 3, 2, 3])
_E = np.eye(4)
_X, _Y = _E[_OF_X], _E[_OF_Y]
# The log of the area may fall short of the best by so much.
GAP = 1e-4
# By how much the gap is to shrink in a step, and how many steps and halvings of one.
_SHRINK, _STEPS, _HALVINGS = 0.3, 60, 50
# The gap to begin with.
_FIRST = 1.0
# A step may take so much of the room to a wall.
_NEAREST = 0.01

Box = Float64[np.ndarray, "choices 2"]


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


def largest(walls: Walls, start: Box, gap: float = GAP) -> Box | None:
    """The box of largest area, (low, high) of each coordinate; None from a bad start.

    A primal-dual interior-point method (Boyd and Vandenberghe 2004, section 11.7).

    Args:
        walls: what it stays within.
        start: a box inside; it is shrunk about its middle until it is strictly so.
        gap: the log of the area may fall short of the best by so much.
    """
    lines = _lines(walls)
    v = _shrunk(walls, lines, start.reshape(4))
    if v is None:
        return None
    v, is_best = _primal_dual(walls, lines, v, gap)
    return (v if is_best else _barrier(walls, lines, v, gap)).reshape(2, 2)


def _primal_dual(
    walls: Walls, lines: _Lines, v: np.ndarray, gap: float
) -> tuple[np.ndarray, bool]:
    """The fast method, which may stall beside a wall, and whether it converged."""
    now = _local(walls, lines, v)
    count = now.room.size
    price = _FIRST / (count * now.room)
    for _ in range(_STEPS):
        left = float(price @ now.room)
        off = np.abs(_stationarity(now, v, price)).max()
        if left <= gap and off <= gap:
            return v, True
        # The gap waits for the slopes, or the walls would be met too early.
        weight = left / count * (_SHRINK if off <= left else 1.0)
        gradient, hessian = _newton(now, v, weight, price)
        step = _step(v, gradient, hessian)
        loss = now.rows @ step
        move = weight / now.room - price + price / now.room * loss
        advanced = _advanced(walls, lines, v, price, _Way(step, move, now.room, loss))
        if advanced is None:
            return v, False
        v, price, now = advanced
    return v, False


def _step(v: np.ndarray, gradient: np.ndarray, hessian: np.ndarray) -> np.ndarray:
    """The Newton step, computed in units of the box's sides, which may be tiny."""
    width, height = v[1] - v[0], v[3] - v[2]
    sides = np.array([width, width, height, height])
    scaled = hessian * np.outer(sides, sides)
    return -sides * np.linalg.lstsq(scaled, gradient * sides, rcond=None)[0]


def _barrier(walls: Walls, lines: _Lines, v: np.ndarray, gap: float) -> np.ndarray:
    """Newton's method on minus the log of the area and a log barrier: slower, safe."""
    weight = 0.1
    while True:
        v = _centred(walls, lines, v, weight)
        if weight * (4 * len(walls.level) + len(lines.bounds)) <= gap:
            return v
        weight *= 0.1


def _centred(walls: Walls, lines: _Lines, v: np.ndarray, weight: float) -> np.ndarray:
    now, value = _local(walls, lines, v), _value(walls, lines, v, weight)
    for _ in range(_STEPS):
        gradient, hessian = _newton(now, v, weight, weight / now.room)
        step = _step(v, gradient, hessian)
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
        now = _local(walls, lines, v)
    return v


def _value(walls: Walls, lines: _Lines, v: np.ndarray, weight: float) -> float:
    """What the barrier minimises; infinite outside."""
    if not (v[1] > v[0] and v[3] > v[2]):
        return np.inf
    room = _local(walls, lines, v).room
    if not (room > 0).all():
        return np.inf
    area = np.log(v[1] - v[0]) + np.log(v[3] - v[2])
    return float(-area - weight * np.log(room).sum())


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


class _Local(NamedTuple):
    """Every wall at a box: what is left to it, its slopes, its curvatures at corners.

    Walls stand as corners of every b, then lines.
    """

    room: np.ndarray
    rows: np.ndarray
    curves: tuple[np.ndarray, np.ndarray, np.ndarray]


def _local(walls: Walls, lines: _Lines, v: np.ndarray) -> _Local:
    (gx, gy, hxx, hxy, hyy), room = _slack(walls, v)
    of_corners = gx[..., None] * _X + gy[..., None] * _Y
    return _Local(
        np.concatenate([room.ravel(), lines.bounds - lines.rows @ v]),
        np.concatenate([of_corners.reshape(-1, 4), lines.rows]),
        (hxx, hxy, hyy),
    )


def _stationarity(now: _Local, v: np.ndarray, price: np.ndarray) -> np.ndarray:
    """Gradient of the Lagrangian, each side in units of its range."""
    width, height = v[1] - v[0], v[3] - v[2]
    own = np.array([1 / width, -1 / width, 1 / height, -1 / height])
    return (own + now.rows.T @ price) * np.array([width, width, height, height])


def _newton(
    now: _Local, v: np.ndarray, weight: float, price: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Gradient and Hessian of the reduced system."""
    gradient = now.rows.T @ (weight / now.room)
    hessian = now.rows.T @ (now.rows * (price / now.room)[:, None])
    shape = now.curves[0].shape
    of_corners = price[: shape[0] * shape[1]].reshape(shape)
    xx, xy, yy = ((of_corners * part).sum(axis=0) for part in now.curves)
    crossed = (_X * xy[:, None]).T @ _Y
    hessian += (_X * xx[:, None]).T @ _X + (_Y * yy[:, None]).T @ _Y
    hessian += crossed + crossed.T
    for low, high in ((0, 1), (2, 3)):
        across = (_E[high] - _E[low]) / (v[high] - v[low])
        gradient = gradient - across
        hessian += np.outer(across, across)
    return gradient, hessian


class _Way(NamedTuple):
    """Where to step: the box, the prices; the room to each wall, and what it loses."""

    step: np.ndarray
    move: np.ndarray
    room: np.ndarray
    loss: np.ndarray


def _reach(stock: np.ndarray, loss: np.ndarray) -> float:
    """How many steps use up the first of several stocks, at most 2."""
    falling = loss > 0
    return float(np.min(stock[falling] / loss[falling], initial=2.0))


def _advanced(
    walls: Walls, lines: _Lines, v: np.ndarray, price: np.ndarray, way: _Way
) -> tuple[np.ndarray, np.ndarray, _Local] | None:
    """As far along the way as prices stay positive and walls above the least room."""
    # Room is concave: it never grows by more than its slopes say.
    reach = _reach(price, -way.move), _reach((1 - _NEAREST) * way.room, way.loss)
    size = min(1.0, 0.99 * min(reach))
    for _ in range(_HALVINGS):
        after = v + size * way.step
        if after[1] > after[0] and after[3] > after[2]:
            now = _local(walls, lines, after)
            if (now.room > _NEAREST * way.room).all():
                return after, price + size * way.move, now
        size *= 0.5
    return None
