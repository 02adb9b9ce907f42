"""An export that cannot be written fails before the work; a run that cannot be is told of."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tfxfer.errors import RunError, StorageError
from tfxfer.run.directory import RunDirectory
from tfxfer_edge.exports import export
from tfxfer_edge.handover.folder import check_folder
from tfxfer_edge.request import check_request


@pytest.fixture
def forbid(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes a folder read-only for this process, root or not."""

    def make(forbidden: Path) -> None:
        def guard(name: str) -> None:
            real = getattr(os, name)

            def refuse(path: Any, *args: Any, **options: Any) -> Any:
                writes = name != "open" or args[0] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
                if writes and not isinstance(path, int):
                    place = Path(os.fsdecode(path)).absolute()
                    if forbidden in place.parents:
                        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
                return real(path, *args, **options)

            monkeypatch.setattr(os, name, refuse)

        for name in ("mkdir", "open", "rename", "replace", "unlink"):
            guard(name)
        real_open = Path.open

        def refuse_open(self: Path, mode: str = "r", *args: Any, **options: Any) -> Any:
            if set(mode) & set("wax+") and forbidden in self.absolute().parents:
                raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(self))
            return real_open(self, mode, *args, **options)

        monkeypatch.setattr(Path, "open", refuse_open)

    return make


def list_all(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_a_place_that_cannot_be_written_is_refused_before_the_work(
    tmp_path: Path, forbid: Any
) -> None:
    check_folder(tmp_path / "edge", overwrite=False)
    assert list(tmp_path.iterdir()) == []
    forbid(tmp_path)
    for name in ("edge", "new/edge"):
        with pytest.raises(StorageError, match="Read-only file system"):
            check_folder(tmp_path / name, overwrite=False)


def test_a_folder_that_cannot_be_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "edge").mkdir()

    def refuse(_: Path) -> Iterator[Path]:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(StorageError, match="expected a folder that can be read"):
        check_folder(tmp_path / "edge", overwrite=False)


def test_a_read_only_run_is_exported_to_another_place_and_says_so(
    colour_run: RunDirectory, tmp_path: Path, forbid: Any
) -> None:
    before = list_all(colour_run.path)
    with colour_run.lock():  # its files are there from now on
        pass
    forbid(colour_run.path)
    with pytest.raises(StorageError, match="Read-only file system"):
        check_request(colour_run)
    result = export(colour_run, tmp_path / "edge", recipes=("float32",))
    assert (tmp_path / "edge" / "model_float32.tflite").is_file()
    (remark,) = (x for x in result.document["remarks"] if "run.json" in x)
    assert "run.json will not list this export: cannot write" in remark
    after = list_all(colour_run.path)
    assert {path.name for path in set(after) - set(before)} <= {".lock"}
    assert {path: after[path] for path in before if path.is_file()} == {
        path: time for path, time in before.items() if path.is_file()
    }


def test_a_run_in_use_is_refused_before_the_work(
    colour_run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextlib.contextmanager
    def refuse(_: RunDirectory) -> Iterator[None]:
        raise RunError("in use")
        yield

    monkeypatch.setattr(RunDirectory, "lock", refuse)
    with pytest.raises(RunError, match="in use"):
        check_request(colour_run, tmp_path / "edge")
    assert list(tmp_path.iterdir()) == []
