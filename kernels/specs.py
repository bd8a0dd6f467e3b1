"""Named argument shapes of the batched operations, which tests and benchmarks share.

Those of `TINY` are for parity, where a kernel is interpreted; those of `LARGE` are the
sizes that the library meets: the posynomial with K = 3 on the dense dump (1,730 rows).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import numpy as np

from surrogate_kernels.pattern import Pattern

REAL = 65536


def posynomial_pattern(penalties: int) -> Pattern:
    """E + A N^-a + B D^-b and `penalties` terms in all of [1, lr, batch, N, D]."""
    places = [(0, 0), (1, 0), (1, 3), (2, 0), (2, 4)]
    places += [(3 + k, c) for k in range(penalties) for c in range(5)]
    term, coordinate = zip(*places, strict=True)
    return Pattern(term, coordinate, terms=3 + penalties, coordinates=5)


class Spec(NamedTuple):
    """One operation at one size.

    Attributes:
        operation: its name in `dispatch.Operations`.
        problems: R.
        size: p, the parameters of one problem.
        rows: n; 0 where there are none.
        pattern: of `log_sum_exp_normal_equations`.
        linear: q, its further linear columns.
    """

    operation: str
    problems: int
    size: int
    rows: int = 0
    pattern: Pattern | None = None
    linear: int = 0

    def draw(self, seed: int = 0, dtype: Any = np.float32) -> tuple[Any, ...]:
        """Random arguments, the same for the same seed."""
        return _DRAWS[self.operation](self, np.random.default_rng(seed), dtype)

    def shapes(self, sharding: Any = None) -> tuple[Any, ...]:
        """The arguments as float32 shapes, for lowering and compiling."""
        one = self._replace(problems=1).draw()

        def shape(array: Any, batched: bool) -> Any:
            if not isinstance(array, np.ndarray):
                return array
            whole = (self.problems, *array.shape[1:]) if batched else array.shape
            return jax.ShapeDtypeStruct(whole, array.dtype, sharding=sharding)

        batched = BATCHED_ARGUMENTS[self.operation]
        return tuple(shape(*pair) for pair in zip(one, batched, strict=True))

    @property
    def flop(self) -> float:
        """Floating-point operations that one problem needs, by formula.

        An exponential or logarithm counts as one.
        """
        p, n = self.size, self.rows
        pairs = (p + 1) * (p + 2) // 2
        if self.operation == "solve_spd":
            return p * (p + 1) * (2 * p + 1) / 6 + 2 * p * p
        assert self.pattern is not None
        free = len(self.pattern.term)
        # Affine functions, softmax, Jacobian with weights, and the sums.
        return n * (2.0 * free + 5 * self.pattern.terms + 2 * free + 2 * pairs)

    @property
    def bytes(self) -> float:
        """Bytes that one problem alone must read and write, in float32."""
        p = self.size
        if self.operation == "solve_spd":
            return 4.0 * (p * (p + 1) / 2 + 2 * p)
        # Weights and coefficients, then the sums.
        return 4.0 * (self.rows + p + 1 + p + p * p)


# Which arguments have the leading axis of problems.
BATCHED_ARGUMENTS: dict[str, tuple[bool, ...]] = {
    "log_sum_exp_normal_equations": (True, True, False, False, False, False, True),
    "solve_spd": (True, True),
}


def _draw_log_sum_exp(spec: Spec, rng: np.random.Generator, dtype: Any) -> tuple:
    assert spec.pattern is not None
    free = len(spec.pattern.term)
    coordinates = rng.normal(size=(spec.rows, spec.pattern.coordinates - 1))
    arrays = [
        0.5 * rng.normal(size=(spec.problems, free)),
        rng.normal(size=(spec.problems, spec.linear)),
        np.concatenate([np.ones((spec.rows, 1)), coordinates], axis=1),
        rng.normal(size=(spec.rows, spec.linear)),
        rng.normal(size=spec.rows),
        # A third of the weights is zero, as in a bootstrap.
        rng.uniform(0.2, 3, (spec.problems, spec.rows))
        * (rng.random((spec.problems, spec.rows)) > 0.35),
    ]
    head, tail = arrays[:2], arrays[2:]
    return (
        *(a.astype(dtype) for a in head),
        spec.pattern,
        *(a.astype(dtype) for a in tail),
    )


def _draw_solve_spd(spec: Spec, rng: np.random.Generator, dtype: Any) -> tuple:
    half = rng.normal(size=(spec.problems, 2 * spec.size, spec.size))
    # Parameters of different units: the diagonal spans six decades.
    half = half * 10 ** rng.uniform(-1.5, 1.5, size=(spec.problems, 1, spec.size))
    matrix = np.einsum("rni,rnj->rij", half, half)
    right = rng.normal(size=(spec.problems, spec.size))
    return matrix.astype(dtype), right.astype(dtype)


_DRAWS = {
    "log_sum_exp_normal_equations": _draw_log_sum_exp,
    "solve_spd": _draw_solve_spd,
}

_FEW = Pattern((0, 1, 1, 2, 2), (0, 0, 2, 0, 1), terms=3, coordinates=3)
_LSE = "log_sum_exp_normal_equations"

TINY: dict[str, Spec] = {
    "log_sum_exp_few": Spec(_LSE, 3, 5, 21, _FEW),
    "log_sum_exp_linear": Spec(_LSE, 3, 7, 21, _FEW, 2),
    "solve_spd_1": Spec("solve_spd", 2, 1),
    "solve_spd_4": Spec("solve_spd", 130, 4),
}

LARGE: dict[str, Spec] = {
    "posynomial": Spec(_LSE, REAL, 20, 1730, posynomial_pattern(3)),
    "solve_5": Spec("solve_spd", REAL, 5),
    "solve_6": Spec("solve_spd", REAL, 6),
    "solve_15": Spec("solve_spd", REAL, 15),
    "solve_20": Spec("solve_spd", REAL, 20),
}
