"""Whether something can be made in a folder is tried, not read off its permissions."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tfxfer import StorageError
from tfxfer.system.files import check_writable

_NOBODY = 65534


@pytest.fixture
def locked() -> Iterator[Path]:
    """A folder that this test's user may look into and not write to, whoever runs the tests."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o555)
    if os.geteuid() == 0:
        os.seteuid(_NOBODY)  # root may write to anything
    try:
        yield folder
    finally:
        if os.getuid() == 0:
            os.seteuid(0)
        shutil.rmtree(folder)


def test_a_folder_that_can_be_written_is_left_as_it_was(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "new" / "deep"):
        check_writable(folder)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="users")
@pytest.mark.parametrize("name", ["", "new", "new/deep"])
def test_a_folder_without_permission_is_told(locked: Path, name: str) -> None:
    folder = locked / name
    with pytest.raises(StorageError, match="Choose a folder that you may write to") as caught:
        check_writable(folder)
    assert str(folder) in str(caught.value)
    assert list(locked.iterdir()) == []


@pytest.mark.parametrize("code", [errno.EROFS, errno.ENOSPC, errno.EACCES, errno.EIO])
def test_whatever_the_disk_says_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(self: Path, *_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code), str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(StorageError, match=f"cannot write .*{os.strerror(code)}"):
        check_writable(tmp_path / "new")


@pytest.mark.skipif(not os.access("/sys", os.R_OK), reason="no /sys")
def test_a_disk_of_the_system_is_told() -> None:
    with pytest.raises(StorageError, match="cannot write '/sys/new'"):
        check_writable(Path("/sys/new"))
