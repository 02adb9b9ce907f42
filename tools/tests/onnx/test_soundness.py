from __future__ import annotations

import time
from pathlib import Path

import pytest

from tfxfer.errors import ModelError
from tfxfer_edge.onnx.soundness import check_onnx_file, read_onnx_file, try_onnx_file

from ..onnx_files import build_onnx

pytest.importorskip("onnx")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "an empty one, of 0 bytes"),
        (b"no model at all", "15 bytes of something else, starting b'no model'"),
        (b"<!doctype html><html>", "of something else"),
        (bytes(64), "64 bytes of something else"),
        (b"\x08\x08", "2 bytes of something else"),
    ],
    ids=["empty", "text", "page", "zeros", "no graph"],
)
def test_what_is_no_onnx_file_is_told(content: bytes, told: str) -> None:
    with pytest.raises(ModelError, match=told):
        check_onnx_file(content, source="x.onnx")


@pytest.mark.parametrize("share", [0.2, 0.5, 0.99])
def test_a_file_that_is_cut_off_is_told(share: float) -> None:
    whole = build_onnx()
    check_onnx_file(whole, source="x.onnx")  # the control
    with pytest.raises(ModelError, match="cut off or damaged"):
        check_onnx_file(whole[: int(share * len(whole))], source="x.onnx")


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.onnx"
    with path.open("wb") as file:
        file.truncate(5 << 30)
    started = time.monotonic()
    with pytest.raises(ModelError, match=r"5,368,709,120 bytes or more"):
        read_onnx_file(path)
    assert time.monotonic() - started < 1


def test_a_file_that_ends_its_process_harms_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.onnx"
    path.write_bytes(build_onnx())
    try_onnx_file(path)
    monkeypatch.setattr("tfxfer_edge.onnx.soundness._CODE", "import os; os.abort()")
    with pytest.raises(ModelError, match="ended its process with signal 6"):
        try_onnx_file(path)
