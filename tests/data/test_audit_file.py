"""`audit.json` is read back as it was written, or refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tfxfer import RunError, load_images
from tfxfer.data.audit_file import read_audit, write_audit
from tfxfer.data.problems import Audit, Problem
from tfxfer_heads import Classification


def test_it_comes_back(tmp_path: Path) -> None:
    leak = Problem("a/1.png", "split_leak", "in train", skipped=True, like="b/2.png")
    audit = Audit((leak,), images=3, files=4, plural="images", notes=("2 classes",))
    path = tmp_path / "trust" / "audit.json"
    write_audit(path, audit)
    assert read_audit(path) == audit


def test_a_name_that_is_no_text_does_not_stop_it(tmp_path: Path) -> None:
    audit = Audit((Problem("\udcff.png", "ignored", "not an image", skipped=False),), 1, 2)
    write_audit(tmp_path / "audit.json", audit)
    assert read_audit(tmp_path / "audit.json") == audit


@pytest.mark.parametrize("text", ["{}", "[]", '{"problems": [], "images": "3", "files": 1}'])
def test_anything_else_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "audit.json"
    path.write_text(text)
    with pytest.raises(RunError, match=r"audit\.json"):
        read_audit(path)


def test_a_copy_names_what_it_is_a_copy_of(folders: Callable[..., Path]) -> None:
    root = folders(ant=4, bee=4)
    (root / "bee" / "copy.png").write_bytes((root / "bee" / "001.png").read_bytes())
    audit = load_images(root, head=Classification(), image_size=32).audit
    found = {problem.path: (problem.kind, problem.like) for problem in audit.problems}
    assert found["bee/copy.png"] == ("duplicate", "bee/001.png")
