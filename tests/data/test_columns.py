from __future__ import annotations

import dataclasses

import pytest

from tfxfer.data.columns import Columns, choose_columns, refuse_columns
from tfxfer.images.modality import ImageModality


class Notes(ImageModality):
    """Samples that are cells of a table, or files."""

    name = noun = "note"
    plural = "notes"
    suffixes = frozenset({".txt"})
    column = "note"


NOTES, IMAGES = Notes(), ImageModality()


@pytest.mark.parametrize(
    ("names", "columns", "expected"),
    [
        (["note", "label"], Columns(), (0, 1, False)),
        (["Label", "x", "NOTE"], Columns(), (2, 0, False)),
        (["path", "label"], Columns(), (0, 1, True)),
        (["path", "note", "label"], Columns(), (1, 2, False)),
        (["path", "note", "label"], Columns("path"), (0, 2, True)),
        (["message", "kind"], Columns("message", "kind"), (0, 1, False)),
        (["Message", "KIND"], Columns("message", "kind"), (0, 1, False)),
        (["message", "Message", "kind"], Columns("Message", "kind"), (1, 2, False)),
        (["note", "label"], Columns("message", "kind", are_remembered=True), (0, 1, False)),
        (["label"], Columns(), None),
        (["note"], Columns(), None),
        (["note", "label"], Columns("message"), None),
        (["note", "NOTE", "label"], Columns("Note"), None),
        (["note", "label"], Columns("note", "note"), None),
        (["note", "label", "split", "split"], Columns(), None),
    ],
)
def test_which_columns_are_meant(
    names: list[str], columns: Columns, expected: tuple[int, int, bool] | None
) -> None:
    found = choose_columns(names, NOTES, columns)
    assert (found and (found.sample, found.label, found.holds_files)) == expected


def test_an_image_is_a_file_whatever_its_column_is_called() -> None:
    found = choose_columns(["filename", "label", "split"], IMAGES, Columns("filename"))
    assert found is not None
    assert found.holds_files
    assert (found.split, found.group) == (2, None)


def test_a_named_column_that_is_split_or_group_is_taken_for_what_was_said() -> None:
    found = choose_columns(["note", "group"], NOTES, Columns(label="group"))
    assert found is not None
    assert (found.label, found.group) == (1, None)


@pytest.mark.parametrize(
    ("names", "columns", "words"),
    [
        (["mesage", "label"], Columns("message"), "Did you mean 'mesage'?"),
        (["mesage", "label"], Columns("message"), "(--sample-column). Received: the columns"),
        (["note", "label"], Columns(label="kind"), "column 'kind' (--label-column)"),
        (["label"], Columns(), "Received: 'label', and no 'note'."),
        (["notes", "label"], Columns(), "Did you mean 'notes'?"),
        (["a", "b"], Columns(), "--sample-column NAME --label-column NAME"),
        (["note", "label", "label"], Columns(), "each column once"),
        (["note", "label"], Columns("note", "note"), "one column for both"),
        (["a\x1b[2J", "label"], Columns(), "a\\x1b[2J"),
        ([str(number) for number in range(40)], Columns(), "and 28 more"),
    ],
)
def test_what_is_said_of_others(names: list[str], columns: Columns, words: str) -> None:
    assert choose_columns(names, NOTES, columns) is None
    message = str(refuse_columns(names, NOTES, columns, where="table 'x.csv'"))
    assert words.replace("\\\\", "\\") in message.replace("\\\\", "\\")
    assert "\n" not in message


def test_a_run_remembers_what_was_asked_for_and_what_is_said_wins() -> None:
    remembered = Columns.of_request({"data": "x.csv", "sample_column": "message"})
    assert remembered == Columns("message", None, are_remembered=True)
    assert Columns().or_else(remembered) is remembered
    said = Columns(label="kind")
    assert said.or_else(remembered) is said
    assert dataclasses.astuple(Columns.of_request({})) == (None, None, True, False)
