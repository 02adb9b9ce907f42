"""A run of texts keeps all that reading them takes, and finds its samples by their columns."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfxfer import DataError, WeightsError
from tfxfer.data.columns import Columns
from tfxfer.data.sources import read_source
from tfxfer.inference.keras_model import load_model, wrap_model
from tfxfer.inference.loading import load_predictor
from tfxfer.inference.scoring import score_split
from tfxfer.inference.unseen import load_unseen
from tfxfer.job.prepare import prepare
from tfxfer.job.request import TrainRequest
from tfxfer.job.train import train_run
from tfxfer.run.directory import RunDirectory
from tfxfer_text import TextModality


@pytest.fixture(scope="module")
def trained(
    tiny_folder: Path, texts: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[RunDirectory, Path]:
    """A run on a tab-separated table with columns of its own, whose model folder is gone."""
    place = tmp_path_factory.mktemp("run")
    folder = place / "model"
    shutil.copytree(tiny_folder, folder)
    rows = [line.rsplit(",", 1) for line in texts.read_text(encoding="utf-8").split("\n")[1:-1]]
    lines = [f'{number}\t{label}\t"{text}' for number, (text, label) in enumerate(rows)]
    table = place / "reviews.tsv"
    table.write_text("\n".join(["id\tVerdict\tReview", *lines]) + "\n", encoding="utf-8")
    request = TrainRequest(
        data=str(table), backbone=f"text:{folder}", schedule="head", head_epochs=2,
        augment="none", sample_column="review", label_column="verdict",
    )  # fmt: skip
    run = train_run(prepare(request), place / "out")
    shutil.rmtree(folder)
    return run, table


def test_what_the_run_says(trained: tuple[RunDirectory, Path]) -> None:
    run, _ = trained
    manifest = run.read_manifest()
    assert manifest.request["sample_column"] == "review"
    assert manifest.size == 16 < 40  # of texts of six words; the weights have 40 positions
    assert manifest.data is not None
    assert any(note.startswith("lengths in tokens") for note in manifest.data.notes)
    assert json.loads(run.audit_path.read_text())["lengths"]["size"] == 16
    assert [path.name for path in run.assets.iterdir()] == ["vocab.txt"]


def test_a_moved_run_reads_texts_without_the_folder_of_its_model(
    trained: tuple[RunDirectory, Path], tmp_path: Path
) -> None:
    run, table = trained
    moved = tmp_path / "moved"
    shutil.copytree(run.path, moved)
    predictor = load_predictor(moved)
    assert predictor.contract.path == moved / "assets/vocab.txt"
    unseen = load_unseen(run.path, table, predictor)
    assert unseen.left_out == 0
    assert len(unseen.split) == run.read_manifest().data.test  # type: ignore[union-attr]
    scores = score_split(predictor, unseen.split)
    stored = wrap_model(load_model(run.path))
    np.testing.assert_allclose(score_split(stored, unseen.split), scores, atol=1e-6)
    (moved / "assets/vocab.txt").write_text("[PAD]\n")
    with pytest.raises(WeightsError, match="sha256"):
        load_predictor(moved)


def test_other_tables_are_read_by_the_same_names_or_the_usual_ones(
    trained: tuple[RunDirectory, Path], tmp_path: Path
) -> None:
    run, _ = trained
    predictor = load_predictor(run.path)
    for heading in ("verdict,review", "label,text"):
        table = tmp_path / "others.csv"
        table.write_text(f"{heading}\ngood,a superb story\nbad,a dull story\n", encoding="utf-8")
        unseen = load_unseen(run.path, table, predictor)
        assert [record.content for record in unseen.split.records] == [
            "a superb story", "a dull story",
        ]  # fmt: skip
    with pytest.raises(DataError, match="--label-column"):
        read_source(table, TextModality(), Columns(label="verdict"))


def test_texts_are_scored_alike_alone_and_among_longer_ones(
    trained: tuple[RunDirectory, Path],
) -> None:
    predictor = load_predictor(trained[0].path)
    options: dict[str, Any] = {"size": 40, "contract": predictor.contract}
    texts = TextModality()
    short, long = (
        texts.read(sample, **options)
        for sample in texts.parse_samples(["a dull film", "the great city " * 12])
    )
    together = {name: np.concatenate([short[name], long[name]]) for name in short}
    alone, among = predictor.score(short)[0], predictor.score(together)[0]
    np.testing.assert_allclose(alone, among, atol=1e-5)
    assert np.abs(predictor.score(together)[1] - among).max() > 1e-4
