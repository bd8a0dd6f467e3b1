"""Reading one cell: interpolation between its settings, and a local cubic's minimum.

The geometry under `scores`: places are u = (ln lr, ln batch), or the same standardised
(z); nothing here checks data or knows what a good loss is.
"""

from __future__ import annotations

import numpy as np

# Two settings closer than this in ln lr or ln batch are one: far above the rounding of
# a logarithm (1e-15), far below the distance of two levels (0.29).
SAME = 1e-9
POWERS = tuple((i, j) for i in range(4) for j in range(4 - i))


def nearest(points: np.ndarray, loss: np.ndarray, at: np.ndarray) -> float:
    """Loss of the nearest setting; of equally near ones, of the first.

    Arguments are those of `on_rectangle`.
    """
    distance = np.hypot(points[:, 0] - at[0], points[:, 1] - at[1])
    return float(loss[distance.argmin()])


def _bracket(levels: np.ndarray, at: float) -> list[tuple[float, float]] | None:
    """The one or two levels around `at` with their linear weights; None outside."""
    closest = float(levels[np.abs(levels - at).argmin()])
    if abs(closest - at) <= SAME:
        return [(closest, 1.0)]
    if not levels[0] < at < levels[-1]:
        return None
    above = int(np.searchsorted(levels, at))
    low, high = float(levels[above - 1]), float(levels[above])
    share = (at - low) / (high - low)
    return [(low, 1.0 - share), (high, share)]


def on_rectangle(points: np.ndarray, loss: np.ndarray, at: np.ndarray) -> float | None:
    """Bilinear between the surrounding grid runs; None where one is missing.

    Args:
        points: different settings (ln lr, ln batch) [settings, 2].
        loss: the loss at each.
        at: where to read [2].

    Returns:
        The loss, or None outside the box of levels or where a corner that carries
        weight was not run.
    """
    across = _bracket(np.unique(points[:, 0]), at[0])
    along = _bracket(np.unique(points[:, 1]), at[1])
    if across is None or along is None:
        return None
    measured = {
        (float(x), float(y)): float(value)
        for (x, y), value in zip(points, loss, strict=True)
    }
    total = 0.0
    for x, x_weight in across:
        for y, y_weight in along:
            if (x, y) not in measured:
                return None
            total += x_weight * y_weight * measured[x, y]
    return float(total)


def on_triangle(points: np.ndarray, loss: np.ndarray, at: np.ndarray) -> float | None:
    """Linear over the Delaunay triangle, or along a line; None outside the hull.

    Arguments are those of `on_rectangle`.
    """
    from_first = points - points[0]
    length = np.hypot(from_first[:, 0], from_first[:, 1])
    if length.max() <= SAME:
        return None
    along = from_first[length.argmax()] / length.max()
    frame = np.array([along, [-along[1], along[0]]])
    if np.abs(from_first @ frame[1]).max() <= SAME:
        return _on_line(from_first @ frame[0], loss, frame @ (at - points[0]))
    # Here, so that asking for a score is what loads SciPy, not importing the package.
    from scipy.spatial import Delaunay

    centre = points.mean(axis=0)
    triangles = Delaunay(points - centre).simplices
    weights = _barycentric(points[triangles] - at)
    inside = weights.min(axis=1)
    best = int(inside.argmax())
    if inside[best] < -SAME:
        return None
    return float(weights[best] @ loss[triangles[best]])


def _barycentric(corners: np.ndarray) -> np.ndarray:
    """Weights [triangles, 3] with which corners [triangles, 3, 2] sum to the origin.

    In closed form: `Delaunay.find_simplex` inverts a matrix a triangle with LAPACK,
    whose threads take 5,000 times as long where other processes use the cores. Of a
    triangle without an area they are minus infinity.
    """
    a, b = np.roll(corners, -1, axis=1), np.roll(corners, -2, axis=1)
    opposite = a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    area = opposite.sum(axis=1, keepdims=True)
    is_flat = np.abs(area) <= SAME
    return np.where(is_flat, -np.inf, opposite / np.where(is_flat, 1.0, area))


def _on_line(place: np.ndarray, loss: np.ndarray, at: np.ndarray) -> float | None:
    """Linear along collinear runs; `at` is (along, across) the line."""
    if abs(at[1]) > SAME:
        return None
    order = np.argsort(place)
    around = _bracket(place[order], float(at[0]))
    if around is None:
        return None
    measured = dict(zip(place.tolist(), loss.tolist(), strict=True))
    return float(sum(weight * measured[level] for level, weight in around))


def cubic_terms(z: np.ndarray) -> np.ndarray:
    """The ten terms [..., 10] of a full cubic at z [..., 2], powers as in `POWERS`."""
    powers = _powers(z)
    x, y = powers[..., 0], powers[..., 1]
    return np.stack([x[i] * y[j] for i, j in POWERS], axis=-1)


def _powers(z: np.ndarray) -> np.ndarray:
    """0 to 3 [4, ...], by products: NumPy's power of 3 takes ten times as long."""
    return np.stack([np.ones_like(z), z, z * z, z * z * z])


def cubic(coefficients: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Values [...] of the cubic with these coefficients [10] at z [..., 2]."""
    return np.asarray(cubic_terms(z) @ coefficients)


def _cubic_slopes(coefficients: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Gradient and Hessian at z [2, ...], as (g0, g1, h00, h01, h11) [5, ...]."""
    # Of powers below 0 nothing is taken: their factor is 0.
    powers = _powers(z)
    x, y = powers[:, 0], powers[:, 1]
    rows = [
        (
            i * x[i - 1] * y[j],
            j * x[i] * y[j - 1],
            i * (i - 1) * x[i - 2] * y[j],
            i * j * x[i - 1] * y[j - 1],
            j * (j - 1) * x[i] * y[j - 2],
        )
        for i, j in POWERS
    ]
    return np.tensordot(coefficients, np.array(rows), axes=1)


def hull_of(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Corners [corners, 2] in order, and half planes [edges, 3] (<= 0 inside)."""
    from scipy.spatial import ConvexHull

    hull = ConvexHull(z)
    return z[hull.vertices], hull.equations


def is_inside(edges: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Whether each z [..., 2] lies in the hull, its edge included."""
    return np.asarray(np.all(z @ edges[:, :2].T + edges[:, 2] <= SAME, axis=-1))


def lowest_in_hull(
    coefficients: np.ndarray, corners: np.ndarray, edges: np.ndarray
) -> float:
    """The minimum of a cubic over a convex polygon.

    It lies on an edge, where the cubic is one of one variable and solved exactly, or
    it is an interior local minimum. Of those a cubic has at most one (on the line
    through two it would be a one-variable cubic with two minima), and it lies where
    the Hessian is positive definite, a convex set because the Hessian is affine:
    Newton's method from the lowest grid point there finds it. The grid's own lowest
    value is a candidate too, should Newton's method leave the polygon.
    """
    candidates = [
        _lowest_on_edge(coefficients, a, b)
        for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True)
    ]
    low, high = corners.min(axis=0), corners.max(axis=0)
    axes = [np.linspace(low[k], high[k], 61) for k in (0, 1)]
    grid = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2)
    grid = grid[is_inside(edges, grid)]
    if len(grid):
        value = cubic(coefficients, grid)
        candidates.append(float(value.min()))
        _, _, h00, h01, h11 = _cubic_slopes(coefficients, grid.T)
        is_convex = (h00 > 0) & (h00 * h11 - h01**2 > 0)
        if is_convex.any():
            start = grid[np.where(is_convex, value, np.inf).argmin()]
            z = _newton(coefficients, start)
            if is_inside(edges, z):
                candidates.append(float(cubic(coefficients, z)))
    return min(candidates)


def _lowest_on_edge(coefficients: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
    """The minimum of a cubic on a segment: its ends and its stationary points."""
    nodes = np.array([0.0, 1.0, 2.0, 3.0]) / 3.0
    value = cubic(coefficients, a + nodes[:, None] * (b - a))
    along = np.linalg.solve(np.vander(nodes), value)
    roots = np.roots(np.polyder(along))
    real = roots.real[np.abs(roots.imag) <= SAME]
    places = np.concatenate([[0.0, 1.0], real[(real > 0.0) & (real < 1.0)]])
    return float(cubic(coefficients, a + places[:, None] * (b - a)).min())


def _newton(coefficients: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Newton's method [2] from `start` for as long as the Hessian is convex.

    Steps are not damped: on 722 random cubics with an interior minimum, some of them
    nearly flat, halving steps changed no minimum by 1e-9.
    """
    z = start
    for _ in range(60):
        g0, g1, h00, h01, h11 = _cubic_slopes(coefficients, z)
        determinant = h00 * h11 - h01**2
        if not (h00 > 0 and determinant > 0):
            break
        step = -np.array([h11 * g0 - h01 * g1, h00 * g1 - h01 * g0]) / determinant
        z = z + step
        if np.abs(step).max() < 1e-13:
            break
    return z
