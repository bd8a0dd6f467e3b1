"""Folders of fits: what is written is what is read, and nothing else is trusted."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from surrogate.base.errors import DataError
from surrogate.storage import archive

ABOUT = {"family": "quadratic", "runs": None, "note": "Größe"}
# Values that float32 would change, and -0.0, subnormal and extreme ones.
HARD = np.array([1 / 3, np.pi * 1e-300, 5e-324, -0.0, 1.7976931348623157e308, -1e9 / 7])
NAME = "steplaw-dense"


def arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "theta": HARD,
        "draws": rng.standard_normal((7, 3)),
        "marks": np.array([True, False, True]),
        "text": np.frombuffer(b'["a"]', np.uint8),
        "one": np.array([2.5]),
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "fit"
    archive.write(path, ABOUT, arrays(), overwrite=False)
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def data_file(folder: Path) -> Path:
    """The largest file of the checkpoint."""
    files = [file for file in (folder / "arrays").rglob("*") if file.is_file()]
    return max(files, key=lambda file: file.stat().st_size)


@pytest.mark.parametrize("wide", [False, True])
def test_arrays_come_back_bit_for_bit(tmp_path: Path, wide: bool) -> None:
    with jax.enable_x64(wide):
        archive.write(tmp_path / "fit", ABOUT, arrays(), overwrite=False)
        _, found = archive.read(tmp_path / "fit")
    assert found.keys() == arrays().keys()
    for name, array in arrays().items():
        assert isinstance(found[name], np.ndarray)
        assert found[name].dtype == array.dtype
        assert found[name].shape == array.shape
        assert found[name].tobytes() == array.tobytes()


def test_an_empty_array_is_left_out(tmp_path: Path) -> None:
    some = {"theta": HARD, "draws": np.zeros((0, 6))}
    archive.write(tmp_path / "fit", ABOUT, some, overwrite=False)
    assert archive.read(tmp_path / "fit")[1].keys() == {"theta"}


def test_the_manifest_is_readable_and_complete(folder: Path) -> None:
    text = (folder / "manifest.json").read_text(encoding="utf-8")
    assert "Größe" in text
    document = json.loads(text)
    assert list(document) == ["schema", *ABOUT, "files", "sizes", "sha256"]
    assert {name: document[name] for name in ABOUT} == ABOUT
    on_disk = {name for name in contents(folder) if name != "manifest.json"}
    assert document["files"].keys() == on_disk
    assert all(len(digest) == 64 for digest in document["files"].values())
    assert archive.read(folder)[0] == document


def test_a_number_that_is_no_json_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        archive.write(tmp_path / "fit", {"a": np.nan}, arrays(), overwrite=False)
    assert list(tmp_path.iterdir()) == []


def test_unknown_numbers_become_null() -> None:
    value = {"a": (np.float64(1.5), float("nan")), "b": [np.int64(3), np.bool_(True)]}
    found = archive.as_json({**value, "c": {"d": float("-inf")}, "e": None, "f": "x"})
    expected = {"a": [1.5, None], "b": [3, True], "c": {"d": None}, "e": None, "f": "x"}
    assert found == expected
    assert type(found["b"][0]) is int
    json.dumps(found, allow_nan=False)


# ------------------------------------------------------------- where a fit may go


def test_new_folders_are_made_with_their_parents(tmp_path: Path) -> None:
    archive.write(tmp_path / "a" / "b" / "fit", ABOUT, arrays(), overwrite=False)
    assert os.listdir(tmp_path / "a" / "b") == ["fit"]
    archive.read(tmp_path / "a" / "b" / "fit")


def test_an_empty_folder_may_be_used(tmp_path: Path) -> None:
    (tmp_path / "fit").mkdir()
    archive.write(tmp_path / "fit", ABOUT, arrays(), overwrite=False)
    assert os.listdir(tmp_path) == ["fit"]
    archive.read(tmp_path / "fit")


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_file_in_the_way_is_kept(tmp_path: Path, overwrite: bool) -> None:
    (tmp_path / "fit").write_text("mine")
    with pytest.raises(DataError, match=r"to be a folder, but .*fit' is a file"):
        archive.write(tmp_path / "fit", ABOUT, arrays(), overwrite=overwrite)
    assert (tmp_path / "fit").read_text() == "mine"


def test_a_fit_is_not_overwritten_unasked(folder: Path) -> None:
    before = contents(folder)
    with pytest.raises(DataError, match=r"new or empty, but .* pass --overwrite"):
        archive.write(folder, ABOUT, {"theta": np.ones(2)}, overwrite=False)
    assert contents(folder) == before


def test_overwrite_replaces_a_fit_and_leaves_nothing_behind(folder: Path) -> None:
    archive.write(folder, {"new": 1}, {"theta": np.ones(2)}, overwrite=True)
    manifest, found = archive.read(folder)
    assert manifest["new"] == 1
    assert found.keys() == {"theta"}
    assert sorted(os.listdir(folder)) == ["arrays", "manifest.json"]
    assert os.listdir(folder.parent) == ["fit"]


def test_overwrite_takes_a_fit_of_another_schema(folder: Path) -> None:
    edit(folder, lambda d: d.update(schema=99))
    archive.write(folder, ABOUT, arrays(), overwrite=True)
    assert archive.read(folder)[0]["schema"] == 1


def test_a_link_to_a_fit_is_written_through(folder: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(folder)
    archive.write(link, {"new": 1}, arrays(), overwrite=True)
    assert link.is_symlink()
    assert archive.read(folder)[0]["new"] == 1
    assert sorted(os.listdir(tmp_path)) == ["fit", "link"]


def test_a_link_to_nothing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    with pytest.raises(DataError, match="is a file"):
        archive.write(tmp_path / "link", ABOUT, arrays(), overwrite=True)


def test_a_parent_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"Cannot write to .*Name another --out"):
        archive.write(tmp_path / "file" / "fit", ABOUT, arrays(), overwrite=False)


# ------------------------------------------------------------- what is not trusted


def edit(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    file = folder / "manifest.json"
    document = json.loads(file.read_text())
    change(document)
    file.write_text(json.dumps(document | {"sha256": archive.seal(document)}))


def flip(folder: Path) -> None:
    file = data_file(folder)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def link_file(folder: Path) -> None:
    file = data_file(folder)
    shutil.move(file, folder.parent / "elsewhere")
    file.symlink_to(folder.parent / "elsewhere")


def reword(folder: Path) -> None:
    file = folder / "manifest.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"note": "better"}))


def link_arrays(folder: Path) -> None:
    shutil.move(folder / "arrays", folder.parent / "elsewhere")
    (folder / "arrays").symlink_to(folder.parent / "elsewhere")


def nest(folder: Path, depth: int) -> None:
    """A value in lists so deep that a reader of JSON gives up, or whoever seals it."""
    text = (folder / "manifest.json").read_text(encoding="utf-8")
    deep = "[" * depth + "]" * depth
    (folder / "manifest.json").write_text(text.replace('"Größe"', deep, 1))


def pipe(file: Path) -> None:
    file.unlink(missing_ok=True)
    os.mkfifo(file)


def swell(file: Path) -> None:
    """Make it 8 GiB long, most of which takes no place on the disk."""
    with file.open("ab") as stream:
        stream.truncate(2**33)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (flip, r"cannot be trusted: file 'arrays/.*' differs from its SHA-256"),
        (lambda f: data_file(f).unlink(), "cannot be trusted: .* is missing"),
        (lambda f: shutil.rmtree(f / "arrays"), "cannot be trusted: .* is missing"),
        (
            lambda f: (f / "arrays" / "more").write_text(""),
            "cannot be trusted: file 'arrays/more' is not in the manifest",
        ),
        (reword, "cannot be trusted: manifest.json was changed after"),
        (link_file, "cannot be trusted: .* is a link"),
        (link_arrays, "cannot be trusted: .*arrays' is a link"),
        (lambda f: edit(f, lambda d: d.update(schema=2)), "Expected schema 1 .* got 2"),
        (lambda f: edit(f, lambda d: d.pop("schema")), "it names no schema"),
        (
            lambda f: edit(f, lambda d: d.pop("files")),
            "has no list of files",
        ),
        (lambda f: (f / "manifest.json").write_text("[1]"), "is no JSON object"),
        (lambda f: (f / "manifest.json").write_text("{"), r"is no JSON \(Expecting"),
        (lambda f: (f / "manifest.json").write_bytes(b"\xff\xfe"), "is no JSON .*utf"),
        (lambda f: (f / "manifest.json").write_text("[" * 10**5), "is no JSON .*recur"),
        (lambda f: nest(f, 10**5), "is no JSON"),
        (
            lambda f: pipe(f / "manifest.json"),
            "cannot be read .*regular",
        ),
        (lambda f: pipe(data_file(f)), "arrays/.*' is neither a file nor a folder"),
        (lambda f: pipe(f / "arrays" / "more"), "arrays/more' is neither"),
        (lambda f: swell(f / "manifest.json"), "cannot be read .*longer than"),
        (lambda f: swell(data_file(f)), "arrays/.* cannot be read .*longer than"),
        (lambda f: swell(f / "arrays" / "more"), "'arrays/more' is not in the manif"),
        (lambda f: (f / "manifest.json").unlink(), "but it has no manifest.json"),
    ],
)
def test_a_folder_that_differs_is_refused(
    folder: Path, spoil: Callable[[Path], Any], message: str
) -> None:
    archive.read(folder)
    spoil(folder)
    with pytest.raises(DataError, match=message):
        archive.read(folder)


def test_no_depth_of_lists_is_a_traceback(folder: Path) -> None:
    """Where reading JSON just succeeds, sealing it may not."""
    manifest = (folder / "manifest.json").read_bytes()
    for depth in range(700, 1000):
        (folder / "manifest.json").write_bytes(manifest)
        nest(folder, depth)
        for ask in (archive.read, lambda f: archive.check_out(f, overwrite=True)):
            with pytest.raises(DataError, match=r"is no JSON|was changed after"):
                ask(folder)


def test_a_checkpoint_that_orbax_cannot_read(folder: Path) -> None:
    """Its digests agree, so it was written so: by hand, or by another version."""
    shutil.rmtree(folder / "arrays")
    (folder / "arrays").mkdir()
    (folder / "arrays" / "x").write_text("")
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    edit(folder, lambda d: d.update(files={"arrays/x": empty}))
    with pytest.raises(DataError, match=r"Expected an orbax checkpoint in .*arrays"):
        archive.read(folder)


def test_a_file_is_no_fit(tmp_path: Path) -> None:
    (tmp_path / "runs.csv").write_text("")
    with pytest.raises(DataError, match=r"Expected a fit in .*runs.csv"):
        archive.read(tmp_path / "runs.csv")


# ------------------------------------------------------------- names


def test_bundled_fits_are_found_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert NAME in archive.bundled()
    for text in (NAME, f"bundled:{NAME}"):
        found, warning = archive.locate(text)
        assert (found.name, warning) == (NAME, None)
        assert (found / "manifest.json").is_file()


def test_a_folder_hides_a_bundled_fit_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(NAME).mkdir()
    found, warning = archive.locate(NAME)
    assert found == Path(NAME)
    assert warning is not None
    assert f"Write bundled:{NAME} for the bundled one" in warning
    forced, warning = archive.locate(f"bundled:{NAME}")
    assert forced.is_absolute()
    assert warning is None
    assert archive.locate(Path.cwd() / NAME) == (Path.cwd() / NAME, None)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no-such", f"bundled name .*{NAME}.*nothing at 'no-such'"),
        ("bundled:no-such", f"Expected a bundled fit .*{NAME}.*got 'no-such'"),
        ("bundled:../bundled", "Expected a bundled fit"),
    ],
)
def test_an_unknown_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=message):
        archive.locate(name)
