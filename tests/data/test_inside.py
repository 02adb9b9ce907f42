"""Paths of tables stay in their folder, and a million of them are soon checked."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from tfxfer.data.columns import Columns
from tfxfer.data.inside import Inside
from tfxfer.data.sources import read_source
from tfxfer.errors import DataError
from tfxfer.images.modality import ImageModality


@pytest.fixture
def inside(tmp_path: Path) -> Inside:
    root = (tmp_path / "data").resolve()
    (root / "a" / "b").mkdir(parents=True)
    (root / "a" / "1.jpg").touch()
    (tmp_path / "secret.jpg").touch()
    return Inside(root)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("a/1.jpg", "a/1.jpg"),
        ("a//b/../1.jpg", "a/1.jpg"),
        ("./1.jpg", "1.jpg"),
        ("a\\1.jpg", "a/1.jpg"),
        ("...", "..."),
        ("..jpg", "..jpg"),
        ("c:jpg" if sys.platform != "win32" else "c.jpg", None),
        ("/etc/passwd", None),
        ("\\\\host\\share\\1.jpg", None),
        ("C:\\1.jpg", None),
        ("..", None),
        ("../data/1.jpg", None),
        ("a/../../secret.jpg", None),
        ("", None),
        ("a\0b", None),
    ],
)
def test_a_path_is_put_in_normal_form_or_refused(
    inside: Inside, text: str, path: str | None
) -> None:
    if path is not None:
        assert inside.check_path(text, where="table") == path
        return
    with pytest.raises(DataError, match=r"^table: expected .* Received: "):
        inside.check_path(text, where="table")


@pytest.mark.skipif(sys.platform == "win32", reason="links take a privilege")
def test_links_are_followed_whatever_was_checked_before(inside: Inside) -> None:
    root = inside.root
    assert inside.check_path("a/1.jpg", where="table") == "a/1.jpg"
    (root / "a" / "out.jpg").symlink_to(root.parent / "secret.jpg")
    (root / "a" / "in.jpg").symlink_to(root / "a" / "1.jpg")
    (root / "away").symlink_to(root.parent)
    (root / "near").symlink_to(root / "a")
    for text in ("a/out.jpg", "away/secret.jpg", "near/out.jpg"):
        with pytest.raises(DataError, match="leads out of it"):
            inside.check_path(text, where="table")
    for text in ("a/in.jpg", "near/1.jpg", "near/in.jpg"):
        assert inside.check_path(text, where="table") == text


def test_folders_are_resolved_once(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    resolved = []
    original = Path.resolve

    def resolve(path: Path, *args: Any, **options: Any) -> Path:
        resolved.append(path)
        return original(path, *args, **options)

    monkeypatch.setattr(Path, "resolve", resolve)
    for number in range(1000):
        inside.check_path(f"a/{number}.jpg", where="table")
        inside.check_path(f"a/b/{number}.jpg", where="table")
    assert len(resolved) == 2


def test_how_many_rows_are_read_is_told(tmp_path: Path) -> None:
    rows = "".join(f"a/{number}.jpg,a\n" for number in range(25_000))
    (tmp_path / "data.csv").write_text(f"path,label\n{rows}", encoding="utf-8")
    told: list[tuple[str, int, int]] = []
    read_source(
        tmp_path / "data.csv", ImageModality(), Columns(), progress=lambda *x: told.append(x)
    )
    assert [done for _, done, _ in told] == [0, 10_000, 20_000, 25_000]
    assert {(what, total) for what, _, total in told} == {("reading rows", 25_000)}
