"""The batched solver: many weighted least-squares fits of one family at once.

Problems share rows and differ in weights and start. A linear family is one matrix
product of weights with products of columns, and a small system a problem; a curved one
goes through `newton`. Both run in blocks of one fixed size (`batches`), so that a
problem's result does not depend on how many are solved with it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from surrogate.base import interrupts
from surrogate.base.errors import DataError
from surrogate.base.shapes import Array, Bool, Float, Float64, Int
from surrogate.families import Bowl, Curved, Family, Linear, Posynomial, Quadratic
from surrogate.numerics import batches, newton, normal_equations, row_weights
from surrogate.numerics.batches import Device, Interrupted, Progress
from surrogate.numerics.newton import Minima
from surrogate.numerics.numpy_backend import (
    curved,
    damped,
    least_squares,
    orthogonal,
)
from surrogate.numerics.row_weights import Plan, Weights
from surrogate_kernels import dispatch
from surrogate_kernels.ref import NormalEquations

__all__ = ["Interrupted", "Progress", "Solution", "minimise", "solve"]

# Problems under way at a time, and problems a call, a multiple of it: the fewer calls,
# the less often slots stand empty at the end of one.
_SLOTS = {"cpu": 8, "gpu": 4096}
_TURNS = 16
# Blocks a call of a linear family: few enough that the last calls are not long alone.
_LINEAR_TURNS = 16
# Weights of a linear block, and numbers of its systems while they are solved: what a
# cache, or a share of a GPU's memory, holds.
_ELEMENTS = {"cpu": 2**19, "gpu": 2**27}
_OF_A_SYSTEM = 8
# In NumPy: weights of a step's problems, so many that a call's own time hardly counts,
# and problems a call at least.
_PLAIN_ELEMENTS, _PLAIN_PROBLEMS = 2**16, 64
_PLAIN_SLOTS = 8
# Rows times fits up to which a compiler costs more than it saves: it needs some 30 s.
_PLAIN_WORK = 2**21
_LEAST_BLOCK, _LARGEST_BLOCK = 64, {"cpu": 4096, "gpu": 2**20}
# Decrement^2 at which a fit has converged: the next step gains less of the cost. Small
# enough that where a fit stops does not show in any answer; a step more at most.
TOLERANCE = 1e-14
# In float32 the gradient is no better than this.
_BULK_TOLERANCE = 1e-6


class Solution(NamedTuple):
    """One fit a problem.

    Attributes:
        theta: fitted parameters.
        cost: weighted squares plus the prior's.
        decrement: sqrt(g' H^-1 g / cost), g and H half the cost's gradient and Hessian:
            the relative gradient, free of the parameters' scale.
        status: an index of `newton.STATUSES`.
        iterations: steps tried.
        block: problems a call.
        is_halved: that is fewer than at first, for want of memory.
        backend: whose kernels ran.
    """

    theta: Float64[np.ndarray, "problems p"]
    cost: Float64[np.ndarray, " problems"]
    decrement: Float64[np.ndarray, " problems"]
    status: Int[np.ndarray, " problems"]
    iterations: Int[np.ndarray, " problems"]
    block: int
    is_halved: bool
    backend: dispatch.Backend

    @property
    def converged(self) -> Bool[np.ndarray, " problems"]:
        """The next step gains less than 1e-14 of the cost, or than rounding."""
        return self.status == newton.CONVERGED


def pick_device(device: str) -> Device:
    """The device that `auto`, `cpu` or `gpu` names.

    Raises:
        DataError: there is no such device.
    """
    if device == "auto":
        return jax.local_devices()[0]
    try:
        return jax.local_devices(backend=device)[0]
    except RuntimeError as error:
        found = ", ".join(sorted({d.platform for d in jax.local_devices()}))
        raise DataError(
            f"Expected --device {device} to be usable, but JAX {jax.__version__} "
            f"finds only: {found} ({error}). Install the extra `cuda` on a machine "
            "with an NVIDIA GPU, or use --device cpu."
        ) from error


def pick_backend(
    backend: str, device: Device, family: Family | None = None, work: int | None = None
) -> dispatch.Backend:
    """The backend that will run on this device, for this family if it is known.

    Args:
        backend: `auto`, or the one that must run.
        device: where.
        family: what is fitted.
        work: rows times fits, by which `auto` takes NumPy on a CPU; None for much.

    Raises:
        DataError: the named one cannot; all the reasons.
    """
    is_small = work is not None and work <= _PLAIN_WORK and device.platform == "cpu"
    if backend == "auto" and is_small:
        return "numpy"
    try:
        chosen = dispatch.choose(backend, device, lacking=_lacking(family))
        if chosen == "mosaic" and isinstance(family, Curved):
            _try_kernels(family)
    except (NotImplementedError, ValueError) as error:
        if backend == "auto":
            return "xla"
        raise DataError(f"--backend {backend}: {error}") from error
    return chosen


def arithmetic(backend: dispatch.Backend) -> dispatch.Backend:
    """The backend of all but the draws: only draws have kernels of their own."""
    return "numpy" if backend == "numpy" else "xla"


def _lacking(family: Family | None) -> list[str]:
    """Why no kernel but XLA's own computes a family's sums; empty where one does."""
    if isinstance(family, Linear):
        return [f"the sums of {family.name} are one matrix product, which is XLA's own"]
    if isinstance(family, Curved) and not family.has_kernel:
        return [f"no Mosaic kernel computes the sums of {family.name}"]
    return []


def _try_kernels(family: Curved) -> None:
    """Trace the kernels for a family's shapes, which raises what they cannot hold."""

    def floats(*shape: int) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(shape, jnp.float32)

    def trace(v: Array, z: Array, target: Array, weights: Array) -> NormalEquations:
        mosaic = dispatch.BATCHED["mosaic"]
        return family.normal_equations(v, z, target, weights, mosaic)

    problems, rows = 128, 64
    shapes = ((problems, family.size), (rows, sum(family.shape)), (rows,))
    # With the flag that `solve` sets: what is traced here is what runs there.
    with jax.enable_x64(True):
        jax.eval_shape(trace, *(floats(*s) for s in (*shapes, (problems, rows))))


def solve(
    family: Family,
    z: Float64[np.ndarray, "n k"],
    target: Float64[np.ndarray, " n"],
    weights: Weights,
    theta0: Float64[np.ndarray, "problems p"] | None = None,
    *,
    iterations: int = 1,
    bulk: int | None = None,
    backend: dispatch.Backend = "xla",
    progress: Progress | None = None,
) -> Solution:
    """Minimise, a problem each, sum_i w_i (f(theta, z_i) - target_i)^2 + prior.

    Args:
        family: f and its prior.
        z: rows shared by all problems.
        target: of the rows.
        weights: one over variances [1 / ln loss^2]; 0 leaves a row out.
        theta0: where each starts; a linear family needs none.
        iterations: at most so many steps in float64. After none of them cost and
            decrement are still float64's, of where the steps in bulk led.
        bulk: before, at most so many in float32, which cost half as much: worth a
            longer program from tens of problems on. The program is the same for any
            number, 0 included; None is a shorter one.
        backend: of the kernels that compute in float32, so with steps in bulk of a
            curved family; all else is XLA's.
        progress: told of finished problems.

    Raises:
        DataError: no problem.
        Interrupted: Ctrl-C; carries the solution of the first problems.
    """
    if len(weights) == 0:
        raise DataError("Expected weights of at least one problem, got none.")
    asked = _Problems(family, z, target, weights, theta0)
    steps = _Steps(bulk, iterations)
    if isinstance(family, Linear) and orthogonal.is_needed(family, z):
        solve_block = partial(orthogonal.solve, family, z, target)
        return _solve_plain(asked, solve_block, progress)
    if backend == "numpy":
        return _solve_plain(asked, _plain_solver(asked, steps), progress)
    with jax.enable_x64(True):
        if isinstance(family, Linear):
            return _solve_linear(asked, family, progress)
        return _solve_curved(asked, steps, backend, progress)


class _Problems(NamedTuple):
    """What `solve` is asked."""

    family: Family
    z: Float64[np.ndarray, "n k"]
    target: Float64[np.ndarray, " n"]
    weights: Weights
    theta0: Float64[np.ndarray, "problems p"] | None


class _Steps(NamedTuple):
    """At most so many in float32, and then in float64."""

    bulk: int | None
    last: int


def _plain_solver(asked: _Problems, steps: _Steps) -> Callable[..., Minima]:
    """What solves a block of problems, from weights and, where it is curved, starts."""
    family, z, target = asked[:3]
    if isinstance(family, Quadratic):
        return partial(least_squares.solve, family, z, target)
    assert isinstance(family, Bowl | Posynomial)
    return partial(_descended, family, z, target, steps)


def _solve_plain(
    asked: _Problems, solve_block: Callable[..., Minima], progress: Progress | None
) -> Solution:
    """In NumPy, block by block, as many at a time as there are cores."""
    weights, size = asked.weights, _plain_size(len(asked.z))
    theta0 = None if isinstance(asked.family, Linear) else asked.theta0

    def block(first: int) -> Minima:
        part = slice(first, first + size)
        own = row_weights.rows_of(weights.plan, weights.shared, weights.each[part])
        return solve_block(own, *(() if theta0 is None else (theta0[part],)))

    def joined(parts: list[Minima]) -> Solution:
        whole = [np.concatenate(values) for values in zip(*parts, strict=True)]
        return Solution(*whole, block=size, is_halved=False, backend="numpy")

    parts: list[Minima] = []
    try:
        for part in batches.in_turn(block, range(0, len(weights), size)):
            parts.append(part)
            interrupts.finished()
            if progress is not None:
                progress.advance(len(part.cost))
    except KeyboardInterrupt as signal:
        if parts:
            raise Interrupted(joined(parts)) from signal
        raise
    return joined(parts)


def _plain_size(rows: int) -> int:
    """Problems a block in NumPy."""
    return max(_PLAIN_PROBLEMS, _PLAIN_ELEMENTS // rows)


def _descended(
    family: Bowl | Posynomial,
    z: Float64[np.ndarray, "n k"],
    target: Float64[np.ndarray, " n"],
    steps: _Steps,
    weights: Float64[np.ndarray, "problems m"],
    theta0: Float64[np.ndarray, "problems p"],
) -> Minima:
    """Steps in float32 while they are asked for, then in float64."""
    slots = max(_PLAIN_SLOTS, _PLAIN_ELEMENTS // len(target))
    exact = curved.Model(family, z, target, weights)
    start, tried = exact.to_solver(theta0), 0
    if steps.bulk:
        fast = curved.Model(family, z, target, weights, np.float32)
        near = damped.minimise(
            fast.normal_equations,
            start,
            limit=steps.bulk,
            tolerance=_BULK_TOLERANCE,
            slots=slots,
            dtype=np.float32,
        )
        ends = fast.from_solver(near.v)
        is_sound = np.all(np.isfinite(ends), axis=1, keepdims=True)
        start, tried = np.where(is_sound, near.v, start), near.steps
    found = damped.minimise(
        exact.normal_equations,
        start,
        limit=steps.last,
        tolerance=TOLERANCE,
        slots=slots,
    )
    return found._replace(v=exact.from_solver(found.v), steps=found.steps + tried)


def aligned(
    family: Family,
    z: Float64[np.ndarray, "n k"],
    places: int,
    backend: dispatch.Backend,
) -> int:
    """Where problems may be cut apart and give, bit for bit, what one call does.

    Args:
        family: what is fitted.
        z: rows shared by all problems.
        places: counts a problem (`row_weights.Plan`).
        backend: of the arithmetic.

    Returns:
        Problems a block: multiples of it may be cut.
    """
    is_plain = isinstance(family, Linear) and orthogonal.is_needed(family, z)
    if backend == "numpy" or is_plain:
        return _plain_size(len(z))
    if isinstance(family, Linear):
        return _linear_size(family, places)
    return _SLOTS[_platform()] * _TURNS


def minimise(
    model: newton.Model,
    shared: Any,
    each: Any,
    start: Float[np.ndarray, "problems p"],
    *,
    iterations: int,
    tolerance: float = TOLERANCE,
    slots: int | None = None,
    progress: Progress | None = None,
) -> Solution:
    """Any least-squares model in a batch, in the precision of `start`.

    Args:
        model: cost, gradient and Hessian of a batch; hashable.
        shared: arrays that every problem reads.
        each: arrays with a leading axis of problems.
        start: where each begins.
        iterations: at most so many steps.
        tolerance: decrement^2 at which a problem has converged.
        slots: problems under way at a time: many for small ones.
        progress: told of finished problems.
    """
    with jax.enable_x64(start.dtype == np.float64):
        bounds = jnp.asarray(iterations, jnp.int32), jnp.asarray(tolerance, start.dtype)
        return _solve_queue(
            batches.Call(_model_call, (model,)),
            (jax.tree.map(jnp.asarray, shared), bounds),
            (each, start),
            progress,
            slots=slots,
        )


def _platform() -> str:
    return "gpu" if batches.local_devices()[0].platform == "gpu" else "cpu"


def _solve_queue(
    call: batches.Call,
    shared: Any,
    each: Any,
    progress: Progress | None,
    *,
    slots: int | None = None,
    backend: dispatch.Backend = "xla",
) -> Solution:
    """By Newton's method, `call` lacking the number of slots."""
    slots = slots or _SLOTS[_platform()]

    def make(size: int) -> batches.Call:
        return call._replace(static=(*call.static, max(1, size // _TURNS)))

    work = batches.Work(make, shared, each, slots * _TURNS, _TURNS)
    return _collected(work, progress, backend)


def _collected(
    work: batches.Work, progress: Progress | None, backend: dispatch.Backend
) -> Solution:
    def solution(found: Any, used: int) -> Solution:
        is_halved = used < work.size
        return Solution(*found, block=used, is_halved=is_halved, backend=backend)

    try:
        return solution(*batches.run(work, progress))
    except Interrupted as stopped:
        raise Interrupted(solution(*stopped.finished)) from stopped


@partial(jax.jit, static_argnums=(0, 1))
def _model_call(
    model: newton.Model, slots: int, shared: Any, block: Any, count: Array
) -> newton.Minima:
    data, (limit, tolerance) = shared
    each, start = block
    queue = newton.Queue(data, each, start, count)
    return newton.minimise(model, queue, limit=limit, tolerance=tolerance, slots=slots)


class _FamilyModel(NamedTuple):
    """A curved family and its rows as a model of `newton`."""

    family: Curved
    plan: Plan
    backend: dispatch.Backend

    def normal_equations(
        self, v: Array, shared: tuple[Array, Array, row_weights.Shared], each: Array
    ) -> NormalEquations:
        z, target, common = shared
        weights = row_weights.rows_of(self.plan, common, each)
        operations = dispatch.BATCHED[self.backend]
        return self.family.normal_equations(v, z, target, weights, operations)

    def solve_spd(self, matrix: Array, right: Array) -> Array:
        return dispatch.BATCHED[self.backend].solve_spd(matrix, right)


@partial(jax.jit, static_argnums=(0, 1, 2))
def _fit_call(
    model: _FamilyModel,
    fast: _FamilyModel | None,
    slots: int,
    shared: Any,
    block: Any,
    count: Array,
) -> newton.Minima:
    *data, (bulk_limit, limit) = shared
    each, theta0 = block
    start = jax.vmap(model.family.to_solver)(theta0)

    def run(
        model: _FamilyModel, dtype: Any, start: Array, limit: Array, tolerance: float
    ) -> newton.Minima:
        def cast(array: Array) -> Array:
            is_real = jnp.issubdtype(array.dtype, jnp.floating)
            return array.astype(dtype) if is_real else array

        rows = jax.tree.map(cast, tuple(data))
        return newton.minimise(
            model,
            newton.Queue(rows, cast(each), start.astype(dtype), count),
            limit=limit,
            tolerance=jnp.asarray(tolerance, dtype),
            slots=slots,
        )

    steps = 0
    if fast is not None:
        near = run(fast, jnp.float32, start, bulk_limit, _BULK_TOLERANCE)
        v, steps = near.v.astype(start.dtype), near.steps
        is_sound = jnp.isfinite(jax.vmap(model.family.from_solver)(v)).all(axis=1)
        start = jnp.where((is_sound & (bulk_limit > 0))[:, None], v, start)
    found = run(model, start.dtype, start, limit, TOLERANCE)
    found = found._replace(steps=found.steps + steps)
    return found._replace(v=jax.vmap(model.family.from_solver)(found.v))


def _solve_curved(
    asked: _Problems,
    steps: _Steps,
    backend: dispatch.Backend,
    progress: Progress | None,
) -> Solution:
    """By Newton's method, in float32 first where there are steps in bulk."""
    family, z, target, weights, theta0 = asked
    assert isinstance(family, Curved)
    assert theta0 is not None
    model = _FamilyModel(family, weights.plan, "xla")
    fast = None if steps.bulk is None else model._replace(backend=backend)
    limits = jnp.asarray([steps.bulk or 0, steps.last], jnp.int32)
    return _solve_queue(
        batches.Call(_fit_call, (model, fast)),
        (jnp.asarray(z), jnp.asarray(target), weights.shared, limits),
        (weights.each, theta0),
        progress,
        backend=backend if steps.bulk else "xla",
    )


def _solve_linear(
    asked: _Problems, family: Linear, progress: Progress | None
) -> Solution:
    """Blocks whose arrays stay in the cache, several a call."""
    weights = asked.weights
    width = weights.plan.places
    size, most = _linear_size(family, width), _ELEMENTS[_platform()]
    turns = int(np.clip(_power_of_two(most // (size * width)), 1, _LINEAR_TURNS))

    def make(size: int) -> batches.Call:
        parts = max(1, size // turns)
        return batches.Call(normal_equations.solve_blocks, (family, parts))

    products = normal_equations.products(family, asked.z, asked.target, weights)
    work = batches.Work(make, products, weights.each, size * turns, turns)
    return _collected(work, progress, "xla")


def _linear_size(family: Linear, places: int) -> int:
    """Problems of a linear family that a program takes at the same time."""
    platform = _platform()
    size = _ELEMENTS[platform] // max(places, _OF_A_SYSTEM * family.size**2)
    return int(np.clip(_power_of_two(size), _LEAST_BLOCK, _LARGEST_BLOCK[platform]))


def _power_of_two(number: int) -> int:
    """The largest that is not above."""
    return 2 ** int(np.log2(max(number, 1)))


# What is compiled for the size of a table.
PROGRAMS = (_model_call, _fit_call, normal_equations.solve_blocks)
