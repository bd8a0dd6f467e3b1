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


def test_a_kernel_refuses_float64() -> None:
    kernel, spec = dispatch.BATCHED_MOSAIC.solve_spd, specs.TINY["solve_spd_4"]
    match = "the Mosaic kernel solve_spd takes float32, got float64. Convert"
    with jax.enable_x64(True), pytest.raises(NotImplementedError, match=match):
        jax.eval_shape(kernel, *spec.draw(0, np.float64))


@pytest.mark.parametrize("name", named("solve_spd", specs.LARGE))
def test_a_kernel_lowers_for_a_gpu_at_its_real_size(name: str) -> None:
    spec = specs.LARGE[name]
    kernel = jax.jit(getattr(dispatch.BATCHED_MOSAIC, spec.operation))
    lowered = kernel.trace(*spec.shapes()).lower(lowering_platforms=("cuda",))
    assert lowered.as_text().count(f"{spec.operation}_{spec.size}_mosaic_gpu") == 1
