"""A finished run of which one stored value is of another kind: a page, or one clear line."""

from __future__ import annotations

import json

import pytest

from tfxfer.errors import TfxferError
from tfxfer.run.directory import RunDirectory

from ..mutation import mutate_many, replace_values
from .told import Describe


def is_taken(run: RunDirectory, describe: Describe) -> bool:
    """Whether a page is made; any error but ours, and one of ours that blames us, is raised."""
    try:
        describe(run)
    except TfxferError as error:
        if error.exit_code not in (1, 2):
            raise
        return False
    return True


@pytest.mark.parametrize("step", [20, pytest.param(1, marks=pytest.mark.slow)], ids=["some", "all"])
def test_each_value_of_a_run_may_be_of_another_kind(
    step: int, class_run: RunDirectory, describe: Describe
) -> None:
    path = class_run.manifest_path
    document = json.loads(path.read_text(encoding="utf-8"))
    assert is_taken(class_run, describe)
    faults, answers = [], []
    for number, (where, changed) in enumerate(replace_values(document)):
        if number % (step if where.startswith("['metrics']") else min(step, 3)):
            continue
        path.write_text(json.dumps(changed), encoding="utf-8")
        try:
            answers.append(is_taken(class_run, describe))
        except Exception as error:  # noqa: BLE001 - all of them are told at once
            faults.append(f"{where}: {type(error).__name__}: {error!s:.80}")
    assert not faults, "\n".join(faults)
    assert len(answers) > 150
    assert {True, False} == set(answers)


@pytest.mark.parametrize("name", ["split.csv", "predictions.csv", "history.csv", "audit.json"])
def test_the_files_of_a_run_may_be_damaged(
    name: str, class_run: RunDirectory, describe: Describe
) -> None:
    paths = [path for path in class_run.path.rglob("*") if path.name == name]
    if not paths:
        pytest.skip(f"this run has no {name}")
    (path,) = paths
    whole = path.read_bytes()
    answers = []
    for content in mutate_many(whole, 40, kind=name):
        path.write_bytes(content)
        answers.append(is_taken(class_run, describe))
    assert False in answers
