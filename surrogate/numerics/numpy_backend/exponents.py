"""Exponents of u bound to surround 0, and what they do to other coefficients.

Both curved families have vectors a_k over the choices, of which one is bound to be
-sum_l exp(w_l) a_l of the first d, and a table T by which a_k turns into further
coefficients -(a_k . T_j). Here are their derivatives in theta.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from surrogate.base.shapes import Float64, Int


class Places(NamedTuple):
    """Where theta holds them.

    Attributes:
        free: of the free a_k, in order.
        bound: which k is bound.
        weights: of the w_l.
        table: of T.
    """

    free: Int[np.ndarray, "K-1 d"]
    bound: int
    weights: Int[np.ndarray, " d"]
    table: Int[np.ndarray, "d J"]


class Exponents(NamedTuple):
    """At the theta of each problem.

    Attributes:
        of_u: the a_k.
        of_u_slope: their derivatives in theta.
        turned: -(a_k . T_j).
        turned_slope: its derivatives.
        weights: exp(w_l).
        table: T.
    """

    of_u: Float64[np.ndarray, "R K d"]
    of_u_slope: Float64[np.ndarray, "R K d p"]
    turned: Float64[np.ndarray, "R K J"]
    turned_slope: Float64[np.ndarray, "R K J p"]
    weights: Float64[np.ndarray, "R d"]
    table: Float64[np.ndarray, "R d J"]


def exponents(theta: Float64[np.ndarray, "R p"], places: Places) -> Exponents:
    """All of them, with first derivatives."""
    size = theta.shape[1]
    choices = len(places.weights)
    each = np.arange(choices)
    free = theta[:, places.free]
    weights = np.exp(theta[:, places.weights])
    first = free[:, :choices]
    bound = -np.einsum("rl,rlc->rc", weights, first)
    of_u = np.insert(free, places.bound, bound, axis=1)
    slope = np.zeros((*of_u.shape, size))
    rows = [k for k in range(of_u.shape[1]) if k != places.bound]
    for k, where in zip(rows, places.free, strict=True):
        slope[:, k, each, where] = 1.0
    for k in range(choices):
        slope[:, places.bound, each, places.free[k]] = -weights[:, k, None]
        slope[:, places.bound, :, places.weights[k]] = (
            -weights[:, k, None] * first[:, k]
        )
    table = theta[:, places.table]
    turned = -(of_u @ table)
    turned_slope = -np.einsum("rkcp,rcj->rkjp", slope, table, optimize=True)
    for c in range(choices):
        for j, where in enumerate(places.table[c].tolist()):
            turned_slope[:, :, j, where] -= of_u[:, :, c]
    return Exponents(of_u, slope, turned, turned_slope, weights, table)


def add_bend(
    hessian: Float64[np.ndarray, "R p p"],
    places: Places,
    at: Exponents,
    of_u: Float64[np.ndarray, "R K d"],
    turned: Float64[np.ndarray, "R K J"],
) -> None:
    """Add the second derivatives of sum of_u a + turned (-(a . T)), in place.

    `of_u` and `turned` are what the cost's gradient is in those coefficients.
    """

    def add(i: int, j: int, value: np.ndarray) -> None:
        hessian[:, i, j] += value
        if i != j:
            hessian[:, j, i] += value

    pull = of_u - np.einsum("rcj,rkj->rkc", at.table, turned)
    last = places.bound
    rows = [k for k in range(of_u.shape[1]) if k != last]
    for k, where in zip(rows, places.free.tolist(), strict=True):
        for c, i in enumerate(where):
            for j, t in enumerate(places.table[c].tolist()):
                add(i, t, -turned[:, k, j])
    for k, w in enumerate(places.weights.tolist()):
        share = at.weights[:, k]
        own = at.of_u[:, rows[k]]
        add(w, w, -share * np.einsum("rc,rc->r", own, pull[:, last]))
        for c, i in enumerate(places.free[k].tolist()):
            add(w, i, -share * pull[:, last, c])
            for j, t in enumerate(places.table[c].tolist()):
                add(w, t, share * own[:, c] * turned[:, last, j])
                add(i, t, share * turned[:, last, j])
