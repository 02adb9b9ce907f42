"""Mistakes come from what a run stored, the surest first."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from tfxfer.data.record import Record
from tfxfer.errors import DataError, RunError
from tfxfer.registry.lookup import get_modality
from tfxfer.run.directory import Manifest, RunDirectory
from tfxfer.sample import Sample
from tfxfer.trust.mistakes import Mistake, find_mistakes, list_mistakes

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
    found = list_mistakes(run, 2, locate=lambda path: Sample(path, root / path))
    assert [(item.sample.name, item.truth, item.label, item.score) for item in found] == [
        ("b/3.png", "b", "a", 0.9),
        ("a/1.png", "a", "b", 0.7),
    ]
    assert found[0].sample.path == root / "b" / "3.png"
    assert len(list_mistakes(run, 9, locate=Sample)) == 3


def test_a_mistake_is_told_as_a_person_reads_the_sample() -> None:
    image = get_modality("image")
    photo = Mistake(Sample("b/3.png", Path("photos/b/3.png")), "b", "a", 0.9)
    assert photo.to_dict(image) == {"image": "b/3.png", "truth": "b", "label": "a", "score": 0.9}
    cell = Mistake(Sample("t.csv:2", content="win a prize"), "spam", "ham", 0.9)
    assert cell.to_dict(image) == {
        "image": "win a prize", "place": "t.csv:2", "truth": "spam", "label": "ham", "score": 0.9,
    }  # fmt: skip


def test_the_mistakes_of_a_measurement() -> None:
    rows = [
        {"path": "1", "truth": "a", "label": "b", "score": 0.6, "right": "false"},
        {"path": "2", "truth": "a", "label": "a", "score": 0.9, "right": "true"},
        {"path": "3", "truth": "b", "label": "a", "score": 0.8, "right": "false"},
    ]
    records = tuple(
        Record(row["path"], row["truth"], content=f"text {row['path']}") for row in rows
    )
    split = SimpleNamespace(root=Path(), records=records)
    found = find_mistakes(split, rows, 5)  # type: ignore[arg-type]
    assert [(x.sample.content, x.label) for x in found] == [("text 3", "a"), ("text 1", "b")]
    assert find_mistakes(split, rows, 1) == found[:1]  # type: ignore[arg-type]
    # Answers that are nearer or farther are no mistakes.
    far = [{**row, "right": ""} for row in rows]
    assert find_mistakes(split, far, 5) == ()  # type: ignore[arg-type]


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
        list_mistakes(run, 3, locate=Sample)
