"""What every test shares: strict JAX, derandomised hypothesis, the released dumps."""

from __future__ import annotations

import importlib.util
import os
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


def pytest_configure() -> None:
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
    """Mark the tests of every file that imports jax as `numeric`."""
    for item in items:
        module = item.getparent(pytest.Module)
        names = vars(module.obj) if module is not None else {}
        if "jax" in names or "jnp" in names:
            item.add_marker(pytest.mark.numeric)


# Of the 65,530 memory maps that Linux gives a process. Every compiled program takes
# some, and XLA dies where there are none left.
_MOST_MAPS = 30_000


@pytest.fixture(scope="module", autouse=True)
def _room_for_programs() -> Iterator[None]:
    """Drop compiled programs before they fill the process."""
    yield
    maps = Path("/proc/self/maps")
    if maps.is_file() and len(maps.read_bytes().splitlines()) > _MOST_MAPS:
        jax.clear_caches()


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of released dumps; a test that asks for it skips without them."""
    folder = Path(os.environ.get("SURROGATE_DATA", ROOT / "../shared/data")).resolve()
    if not folder.is_dir():
        pytest.skip(f"no released dumps at {folder}: set SURROGATE_DATA to them")
    return folder
