"""Mistakes come from what a run stored, the surest first."""

from __future__ import annotations

from pathlib import Path

import pytest

from tfxfer.errors import DataError, RunError
from tfxfer.run.directory import Manifest, RunDirectory
from tfxfer.trust.mistakes import list_mistakes

HEADER = "path,split,truth,label,score,right\n"
ROWS = (
    "a/1.png,test,a,b,0.7,false\n"
    "a/2.png,val,a,a,0.99,true\n"
    "b/3.png,val,b,a,0.9,false\n"
    "b/4.png,test,b,a,0.7,false\n"
)


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    made = RunDirectory.create(tmp_path / "run")
    made.write_manifest(Manifest(backbone="x", head="y", status="done"))
    return made


def test_the_surest_first(run: RunDirectory) -> None:
    root = Path("photos")
    run.predictions_path.write_text(HEADER + ROWS)
    found = list_mistakes(run, 2, root=root)
    assert [(item.path.name, item.truth, item.label, item.score) for item in found] == [
        ("3.png", "b", "a", 0.9),
        ("1.png", "a", "b", 0.7),
    ]
    assert found[0].path == root / "b" / "3.png"
    assert len(list_mistakes(run, 9, root=root)) == 3


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        (None, RunError, r"expected predictions.csv"),
        ("path,label\na,b\n", DataError, "expected the columns"),
        (HEADER + "a,test,a,b,high,false\n", DataError, "could not convert"),
        (HEADER + "a,test,1.5,1.2,1.2,\n", DataError, "nearer or farther"),
        (HEADER + '"', DataError, "unexpected end"),
        (HEADER + ROWS + "a,test\n", DataError, "expected 6 cells in each row.*in row 5"),
    ],
)
def test_no_mistakes_to_be_had(
    run: RunDirectory, text: str | None, error: type[Exception], message: str
) -> None:
    if text is not None:
        run.predictions_path.write_text(text)
    with pytest.raises(error, match=message):
        list_mistakes(run, 3, root=Path("photos"))
