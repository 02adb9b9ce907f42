"""What a page says of copies and of what was left out."""

from __future__ import annotations

from tfxfer.data.audit_file import write_audit
from tfxfer.data.problems import Audit, Problem
from tfxfer.data.table import SplitRow, write_split_table
from tfxfer.report.audit import list_left_out
from tfxfer.report.copies import CopyGroup
from tfxfer.report.material import read_material
from tfxfer.report.parts import Gallery
from tfxfer.run.directory import RunDirectory

from .told import Describe, find, list_parts, list_texts


def test_what_leaked_is_left_out_and_no_copy_in_use(
    class_run: RunDirectory, describe: Describe
) -> None:
    problems = (
        Problem("b.png", "split_leak", "a.png is in test", skipped=True, like="a.png"),
        Problem("b.png", "duplicate", "same as a.png", skipped=False, like="a.png"),
        Problem("c.png", "split_leak", "a.png is in test", skipped=True, like="a.png"),
    )
    write_audit(class_run.audit_path, Audit(problems, images=24, files=26))
    assert read_material(class_run).copy_groups == []
    content = describe(class_run)
    assert not any("same side" in text for text in list_texts(content))
    assert len(list_parts(find(content, "data"), Gallery)) == 1  # of what was left out


def test_copies_are_grouped(class_run: RunDirectory) -> None:
    problems = (
        Problem("b.png", "duplicate", "same as a.png", skipped=False, like="a.png"),
        Problem("c.png", "duplicate", "same as a.png", skipped=False, like="a.png"),
        Problem("e.png", "near_duplicate", "nearly d.png", skipped=False, like="d.png"),
        Problem("f.png", "suspicious", "grey", skipped=False),
    )
    write_audit(class_run.audit_path, Audit(problems, images=24, files=24))
    material = read_material(class_run)
    assert material.copy_groups == [
        CopyGroup("a.png", ("b.png", "c.png"), is_exact=True),
        CopyGroup("d.png", ("e.png",), is_exact=False),
    ]
    assert list_left_out(material) == []


def test_a_run_without_an_audit_knows_exact_copies(
    class_run: RunDirectory, describe: Describe
) -> None:
    class_run.audit_path.unlink()
    same = "ab" * 8
    write_split_table(
        class_run.split_path,
        [SplitRow(f"{x}.png", "ant", "train", "a.png", same if x in "ac" else "") for x in "abcd"],
    )
    assert read_material(class_run).copy_groups == [CopyGroup("a.png", ("c.png",), True)]
    assert "An earlier tfxfer" in str(find(describe(class_run), "data"))
