from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import pytest

from tfxfer.system.bounded import LargeFileError, read_bytes, read_text


def test_a_limit_is_where_it_is_said_to_be(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"12345")
    assert read_bytes(path, 5) == b"12345"
    with pytest.raises(LargeFileError, match=r"5 bytes or more, of which at most 4 are read"):
        read_bytes(path, 4)


def test_a_sparse_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x"
    with path.open("wb") as file:
        file.truncate(20 << 30)
    monkeypatch.setattr(Path, "open", lambda *_: pytest.fail("it was opened"))
    with pytest.raises(LargeFileError, match="21,474,836,480 bytes"):
        read_bytes(path, 1 << 30)


@pytest.mark.skipif(sys.platform == "win32", reason="named pipes")
def test_a_pipe_is_read_no_further(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)

    def feed() -> None:
        with path.open("wb") as file:
            file.write(b"x" * 2_000)

    thread = threading.Thread(target=feed, daemon=True)
    thread.start()
    with pytest.raises(LargeFileError):
        read_bytes(path, 1_000)
    thread.join(60)
    assert not thread.is_alive()


def test_text_is_what_open_gives(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes("a\r\nb\rc\nü".encode("utf-8-sig"))
    assert read_text(path, 99, encoding="utf-8-sig") == path.read_text(encoding="utf-8-sig")
    with pytest.raises(UnicodeDecodeError):
        read_text(path, 99, encoding="ascii")
