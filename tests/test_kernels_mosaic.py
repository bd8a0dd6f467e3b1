"""Mosaic kernels: interpreted on a CPU against the reference, and lowered for a GPU.

`log_sum_exp_normal_equations` has a file of its own.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from surrogate_kernels import (
    dispatch,
    mosaic,
    poisson_gram_mosaic,
    ref,
    solve_spd_mosaic,
    specs,
)

EPS = np.finfo(np.float32).eps


def named(operation: str, table: dict[str, specs.Spec]) -> list[str]:
    return [name for name, spec in table.items() if spec.operation == operation]


def interpreted(kernel: Any, arguments: tuple[Any, ...]) -> Any:
    """The kernel's result on the CPU; a test that asks for it skips without it."""
    try:
        interpret = mosaic.interpreter()
    except NotImplementedError as error:
        pytest.skip(str(error))
    call = jax.jit(lambda *arrays: kernel(*arrays, interpret=interpret))
    return jax.tree.map(np.asarray, call(*map(jnp.asarray, arguments)))


# ---- poisson_gram ---------------------------------------------------------------


def poisson_gram_of(spec: specs.Spec, seed: int = 1) -> ref.NormalEquations:
    return interpreted(poisson_gram_mosaic.poisson_gram, spec.draw(seed))


@pytest.mark.parametrize("name", named("poisson_gram", specs.TINY))
def test_poisson_gram_equals_the_reference(name: str) -> None:
    # Kernel against reference, in float64: the products' rounding and sqrt(rows) ulps
    # of the sum of their sizes.
    spec = specs.TINY[name]
    arguments = spec.draw(1)
    each = jax.vmap(ref.poisson_gram, in_axes=(None, None, None, None, 0))
    found = poisson_gram_of(spec)
    wide = [a.astype(float) for a in arguments[:3]]
    with jax.enable_x64(True):
        wanted = jax.jit(each)(*wide, *arguments[3:])
        sizes = jax.jit(each)(*map(abs, wide), *arguments[3:])
    slack = (2 + np.sqrt(spec.rows)) * EPS
    for got, want, size in zip(found, wanted, sizes, strict=True):
        assert got.dtype == np.float32
        assert (abs(got - np.asarray(want)) <= slack * abs(np.asarray(size))).all()


def test_three_terms_hold_a_float32() -> None:
    # Closed form, exact: 3 x 8 bits.
    values = np.random.default_rng(2).normal(size=(50, 7)).astype(np.float32)
    split = jax.jit(poisson_gram_mosaic._split)
    terms = split(jnp.asarray(values))
    assert terms.dtype == jnp.bfloat16
    # A GPU's compiler drops conversions there and back; a CPU's, which runs here, not.
    assert split.lower(jnp.asarray(values)).as_text().count("reduce_precision") == 3
    np.testing.assert_array_equal(np.asarray(terms, float).sum(axis=0), values)


def test_a_replica_s_sums_do_not_depend_on_the_others() -> None:
    # Property; exact. Replica 64 of 65 is the first of the second block.
    spec = specs.TINY["poisson_gram_2"]
    *rest, replicas = spec.draw(1)
    alone = interpreted(
        poisson_gram_mosaic.poisson_gram, (*rest, replicas[[64, 3, 64]])
    )
    for many, few in zip(poisson_gram_of(spec), alone, strict=True):
        np.testing.assert_array_equal(many[[64, 3, 64]], few)


def test_poisson_gram_refuses_what_it_cannot_hold() -> None:
    arguments = specs.Spec("poisson_gram", 2, 22, 30).draw()
    with pytest.raises(NotImplementedError, match=r"up to 21 features, got 22\. Use"):
        jax.eval_shape(poisson_gram_mosaic.poisson_gram, *arguments)


# ---- solve_spd ------------------------------------------------------------------


@pytest.mark.parametrize("name", named("solve_spd", specs.TINY))
def test_solve_spd_solves(name: str) -> None:
    # Closed form: Higham, Accuracy and Stability, theorem 10.4: the computed solution
    # solves a system whose entry ij is off by under (3 p + 1) eps sqrt(a_ii a_jj).
    spec = specs.TINY[name]
    matrix, right = spec.draw(3)
    found = interpreted(solve_spd_mosaic.solve_spd, (matrix, right))
    assert found.dtype == np.float32
    wide, root = matrix.astype(float), np.sqrt(np.einsum("rii->ri", matrix))
    residual = np.einsum("rij,rj->ri", wide, found) - right
    size = np.sum(root * abs(found), axis=1, keepdims=True)
    limit = (3 * spec.size + 1) * EPS * root * size + 4 * EPS * abs(right)
    assert (abs(residual) <= limit).all()


def test_solve_spd_is_nan_where_not_definite_and_there_alone() -> None:
    matrix, right = specs.Spec("solve_spd", 6, 3).draw(4)
    good = interpreted(solve_spd_mosaic.solve_spd, (matrix, right))
    matrix[1] = np.diag([1.0, -1.0, 1.0])
    matrix[2] = [[1.0, 2.0, 0.0], [2.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    matrix[3] = np.diag([1.0, 1.0, 0.0])
    matrix[4] = np.nan
    found = interpreted(solve_spd_mosaic.solve_spd, (matrix, right))
    assert np.isnan(found[1:5]).all()
    np.testing.assert_array_equal(found[[0, 5]], good[[0, 5]])


def test_solve_spd_refuses_what_it_cannot_hold() -> None:
    arguments = specs.Spec("solve_spd", 2, 22).draw()
    with pytest.raises(NotImplementedError, match=r"up to 21 unknowns in reg.*got 22"):
        jax.eval_shape(solve_spd_mosaic.solve_spd, *arguments)


# ---- every kernel ---------------------------------------------------------------


@pytest.mark.parametrize("operation", ["poisson_gram", "solve_spd"])
def test_a_kernel_refuses_float64(operation: str) -> None:
    table = {s.operation: s for s in specs.TINY.values()}
    kernel = getattr(dispatch.BATCHED_MOSAIC, operation)
    match = f"the Mosaic kernel {operation} takes float32, got float64. Convert"
    with jax.enable_x64(True), pytest.raises(NotImplementedError, match=match):
        jax.eval_shape(kernel, *table[operation].draw(0, np.float64))


@pytest.mark.parametrize(
    "name", [*named("poisson_gram", specs.LARGE), *named("solve_spd", specs.LARGE)]
)
def test_a_kernel_lowers_for_a_gpu_at_its_real_size(name: str) -> None:
    spec = specs.LARGE[name]
    kernel = jax.jit(getattr(dispatch.BATCHED_MOSAIC, spec.operation))
    lowered = kernel.trace(*spec.shapes()).lower(lowering_platforms=("cuda",))
    assert lowered.as_text().count(f"{spec.operation}_{spec.size}_mosaic_gpu") == 1
