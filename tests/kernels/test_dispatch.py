"""Batched operations on XLA against the reference; which backend runs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from surrogate_kernels import dispatch, ref, solve_spd_xla, specs
from surrogate_kernels.pattern import Pattern

HOPPER = SimpleNamespace(platform="gpu", compute_capability="9.0")


def batched_reference(operation: str) -> Any:
    """The definition, vmapped over the arguments that differ between problems."""
    axes = tuple(
        0 if batched else None for batched in specs.BATCHED_ARGUMENTS[operation]
    )
    one = getattr(ref, operation)

    def call(*arguments: Any) -> Any:
        # A pattern is no array, so vmap may not see it.
        held = [a if isinstance(a, Pattern) else None for a in arguments]
        rest = [a for a, h in zip(arguments, held, strict=True) if h is None]
        kept = [x for x, h in zip(axes, held, strict=True) if h is None]

        def problem(*arrays: Any) -> Any:
            left = iter(arrays)
            return one(*(next(left) if h is None else h for h in held))

        return jax.vmap(problem, in_axes=tuple(kept))(*rest)

    return call


def run(call: Any, arguments: tuple[Any, ...]) -> Any:
    """Jitted over the arrays."""
    held = {i: a for i, a in enumerate(arguments) if isinstance(a, Pattern)}
    arrays = [a for i, a in enumerate(arguments) if i not in held]

    def whole(*arrays: Any) -> Any:
        left = iter(arrays)
        return call(*(held.get(i) or next(left) for i in range(len(arguments))))

    return jax.tree.map(np.asarray, jax.jit(whole)(*map(jnp.asarray, arrays)))


# ---- batched operations ---------------------------------------------------------


@pytest.mark.parametrize("name", specs.TINY)
def test_batched_xla_equals_the_reference(name: str) -> None:
    # Kernel against reference; rounding of float64, and the condition of solve's
    # systems (about 1e3).
    spec = specs.TINY[name]
    arguments = spec.draw(1, np.float64)
    with jax.enable_x64(True):
        found = run(getattr(dispatch.BATCHED_XLA, spec.operation), arguments)
        wanted = run(batched_reference(spec.operation), arguments)
    for got, want in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        assert got.dtype == np.float64
        np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 6, 15, 20])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_solve_spd_solves_systems_of_any_size(size: int, dtype: Any) -> None:
    # Closed form: Higham, Accuracy and Stability, theorem 10.4: the computed solution
    # solves a system whose entry ij is off by under (3 p + 1) eps sqrt(a_ii a_jj).
    # The 300 problems are more than two blocks, the last of them not full.
    matrix, right = specs.Spec("solve_spd", 300, size).draw(size, dtype)
    with jax.enable_x64(True):
        found = run(solve_spd_xla.solve_spd, (matrix, right))
    assert found.dtype == dtype
    wide, root = matrix.astype(float), np.sqrt(np.einsum("rii->ri", matrix))
    residual = np.einsum("rij,rj->ri", wide, found) - right
    eps = np.finfo(dtype).eps
    limit = (3 * size + 1) * eps * root * np.sum(root * abs(found), 1, keepdims=True)
    assert (abs(residual) <= limit + 4 * eps * abs(right)).all()


def test_several_right_hand_sides_are_solved_together() -> None:
    # Independent code: NumPy. The condition number is 1e4, times rounding.
    rng = np.random.default_rng(7)
    for size in (1, 3, 17):
        turn = np.linalg.qr(rng.normal(size=(4, size, size)))[0]
        matrix = turn * np.geomspace(1.0, 1e4, size) @ turn.transpose(0, 2, 1)
        right = rng.normal(size=(4, size, 3))
        last = matrix.transpose(1, 2, 0), right.transpose(1, 2, 0)
        with jax.enable_x64(True):
            found = run(solve_spd_xla.solve_systems, last)
        expected = np.linalg.solve(matrix, right).transpose(1, 2, 0)
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


def test_a_solution_does_not_depend_on_how_many_there_are() -> None:
    # Property; exact.
    matrix, right = specs.Spec("solve_spd", 300, 6).draw(3)
    whole = run(solve_spd_xla.solve_spd, (matrix, right))
    for count in (1, 7, 129):
        part = run(solve_spd_xla.solve_spd, (matrix[:count], right[:count]))
        np.testing.assert_array_equal(part, whole[:count])


BAD = {
    "negative": np.diag([1.0, -1.0, 1.0]),
    "indefinite": np.array([[1.0, 2.0, 0.0], [2.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
    "singular": np.diag([1.0, 1.0, 0.0]),
    "infinite": np.diag([1.0, np.inf, 1.0]),
    "nan": np.full((3, 3), np.nan),
}


@pytest.mark.parametrize("where", ["whole", "blocks"])
@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_solve_spd_is_nan_where_not_definite_and_there_alone(
    bad: np.ndarray, where: str
) -> None:
    count = 5 if where == "whole" else 300
    matrix, right = specs.Spec("solve_spd", count, 3).draw(4)
    good = run(solve_spd_xla.solve_spd, (matrix, right))
    matrix[count - 2] = bad
    found = run(solve_spd_xla.solve_spd, (matrix, right))
    rest = np.arange(count) != count - 2
    assert np.isnan(found[~rest]).all()
    np.testing.assert_array_equal(found[rest], good[rest])


# ---- which backend --------------------------------------------------------------


@pytest.mark.parametrize("platform", ["cpu", "gpu"])
@pytest.mark.parametrize("backend", ["auto", "xla"])
def test_auto_and_xla_run_everywhere(backend: str, platform: str) -> None:
    assert dispatch.choose(backend, platform) == "xla"
    assert dispatch.choose(backend, jax.devices("cpu")[0]) == "xla"


@pytest.mark.parametrize("backend", ["auto", "mosaic"])
def test_mosaic_runs_on_hopper(backend: str) -> None:
    assert dispatch.choose(backend, HOPPER) == "mosaic"


@pytest.mark.parametrize(
    ("device", "dtype", "why"),
    [
        ("cpu", "f4", "the device is a cpu, and Mosaic needs a Hopper GPU"),
        ("gpu", "f4", r"capability is unknown, and the kernels need 9\.x \(Hopper\)"),
        (
            SimpleNamespace(platform="gpu", compute_capability="8.0"),
            "f4",
            r"the GPU's compute capability is 8\.0, and the kernels need 9\.x",
        ),
        (
            SimpleNamespace(platform="gpu", compute_capability="10.0"),
            "f4",
            r"the GPU's compute capability is 10\.0, and the kernels need 9\.x",
        ),
        (HOPPER, "f8", "the arrays are float64, and the kernels are float32"),
    ],
    ids=["cpu", "unknown", "ampere", "blackwell", "float64"],
)
def test_mosaic_says_why_it_cannot_run_and_auto_avoids_it(
    device: Any, dtype: str, why: str
) -> None:
    with pytest.raises(NotImplementedError, match=why):
        dispatch.choose("mosaic", device, dtype)
    assert dispatch.choose("auto", device, dtype) == "xla"


def test_a_backend_that_cannot_run_says_all_its_reasons(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("surrogate_kernels.mosaic._NEEDED", ("kernel", "no_such_name"))
    every = (
        "the device is a cpu, and Mosaic needs a Hopper GPU; the arrays are float64, "
        f"and the kernels are float32; jax {jax.__version__}'s Mosaic GPU API lacks "
        "no_such_name. Use --backend auto or xla"
    )
    with pytest.raises(NotImplementedError, match=every):
        dispatch.choose("mosaic", "cpu", np.float64)
    assert dispatch.choose("auto", HOPPER) == "xla"


def test_an_unknown_backend_is_refused() -> None:
    with pytest.raises(ValueError, match="auto, numpy, xla or mosaic, got 'triton'"):
        dispatch.choose("triton", HOPPER)


def test_every_backend_has_every_operation() -> None:
    for operations in dispatch.BATCHED.values():
        assert all(map(callable, operations))
