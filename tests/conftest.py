"""What every test shares: strict JAX, derandomised hypothesis, the released dumps."""

from __future__ import annotations

import ctypes
import gc
import importlib.util
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import jax
import pytest

import surrogate
import surrogate_kernels

ROOT = Path(__file__).resolve().parents[1]

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")

# No test writes to the cache of whoever runs it.
os.environ["SURROGATE_CACHE"] = "off"

hypothesis.settings.register_profile(
    "house", derandomize=True, deadline=None, database=None
)
hypothesis.settings.load_profile("house")


def pytest_configure(config: pytest.Config) -> None:
    """One copy of the project, one folder of compiled programs."""
    _one_copy()
    _share_programs(config)


def _share_programs(config: pytest.Config) -> None:
    """Keep what was compiled for other workers, child processes and later files."""
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    folder = tempfile.TemporaryDirectory(prefix="surrogate-programs-")
    config.add_cleanup(folder.cleanup)
    least = 0.2
    os.environ["JAX_COMPILATION_CACHE_DIR"] = folder.name
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = str(least)
    jax.config.update("jax_compilation_cache_dir", folder.name)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", least)


def _one_copy() -> None:
    """Stop when the two packages come from different copies of the project."""
    files = [Path(m.__file__ or "").resolve() for m in (surrogate, surrogate_kernels)]
    homes = [
        ROOT in file.parents and "site-packages" not in file.parts for file in files
    ]
    if homes[0] != homes[1]:
        pytest.exit(
            f"surrogate is imported from {files[0]} but surrogate_kernels "
            f"from {files[1]}, so the tests would mix the checkout "
            "with an installed copy. Run the `pytest` script instead of `python -m "
            "pytest`, or install with `pip install -e '.[test]'`.",
            returncode=4,
        )


# Rooms whose code runs in JAX.
_COMPUTE = ("families", "numerics", "fitting")

# What some readers need (extra `formats`); tests of theirs skip without.
_FORMATS = ("openpyxl", "pyarrow")


def pytest_report_header() -> list[str]:
    """Say in one line which tests of formats must skip, and why."""
    missing = [name for name in _FORMATS if importlib.util.find_spec(name) is None]
    if not missing:
        return []
    return [
        f"formats: {' and '.join(missing)} not installed, so tests of Excel, "
        "Parquet and Arrow skip (pip install '.[formats]')"
    ]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests of files that import jax as `numeric`, in rooms that compute in it.

    Answers, views and storage compute in NumPy, which knows no such switch.
    """
    for item in items:
        if item.path.parent.name not in _COMPUTE:
            continue
        module = item.getparent(pytest.Module)
        names = vars(module.obj) if module is not None else {}
        if "jax" in names or "jnp" in names:
            item.add_marker(pytest.mark.numeric)


# A worker that holds more than so many bytes after a file drops its compiled programs:
# eight workers are to fit a laptop of 16 GB. (Programs also take memory maps, of which
# Linux gives a process 65,530, and XLA dies where there are none left.)
_MOST_HELD = 700 * 2**20


@pytest.fixture(scope="module", autouse=True)
def _room_for_programs() -> Iterator[None]:
    """Drop compiled programs before they fill the memory."""
    yield
    if _held() > _MOST_HELD:
        jax.clear_caches()
        gc.collect()
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


def _held() -> int:
    """Bytes of this process in memory; 0 where the system does not say."""
    file = Path("/proc/self/statm")
    if not file.is_file():
        return 0
    return int(file.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of released dumps; a test that asks for it skips without them."""
    folder = Path(os.environ.get("SURROGATE_DATA", ROOT / "../shared/data")).resolve()
    if not folder.is_dir():
        pytest.skip(f"no released dumps at {folder}: set SURROGATE_DATA to them")
    return folder
