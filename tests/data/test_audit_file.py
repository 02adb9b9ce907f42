"""`audit.json` is read back as it was written, or refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tfxfer import RunError, load_images
from tfxfer.data import audit_file
from tfxfer.data.audit_file import read_audit, write_audit
from tfxfer.data.problems import Audit, Problem
from tfxfer.system.bounded import MOST_JSON_BYTES
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


def test_of_very_many_problems_some_of_each_kind_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tfxfer.data.audit_file._MOST_BYTES", 60_000)
    few = [Problem(f"{n}.png", "split_leak", "in train", True, like="x.png") for n in range(9)]
    corrupt = [Problem(f"a/{n}.png", "corrupt", "damaged", True) for n in range(5_000)]
    ignored = [Problem(f"a/{n}.txt", "ignored", "no image", False) for n in range(3_000)]
    # Each character of such a name takes six bytes.
    names = [Problem("\udcff" * 200, "suspicious", "dark", False) for n in range(100)]
    audit = Audit((*corrupt, *few, *names, *ignored), images=7, files=8_107)
    path = tmp_path / "audit.json"
    write_audit(path, audit)
    assert 50_000 < path.stat().st_size < 61_000
    found = read_audit(path)
    assert found.count_kinds() == audit.count_kinds()
    assert [x for x in found.problems if x.kind == "split_leak"] == few
    counts = Counter(problem.kind for problem in found.problems)
    assert min(counts.values()) >= 9
    assert found.unnamed["corrupt"] == (5_000 - counts["corrupt"], 5_000 - counts["corrupt"])
    assert found.unnamed["ignored"] == (3_000 - counts["ignored"], 0)
    assert "split_leak" not in found.unnamed
    # In their order, from the first of each.
    assert [x for x in found.problems if x.kind == "corrupt"] == corrupt[: counts["corrupt"]]


def test_what_is_written_can_be_read_back() -> None:
    assert audit_file._MOST_BYTES < MOST_JSON_BYTES


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
