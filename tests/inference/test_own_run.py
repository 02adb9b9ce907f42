from __future__ import annotations

from pathlib import Path

from tfxfer.data.columns import Columns
from tfxfer.inference.own_run import remember_columns
from tfxfer.run.directory import RunDirectory
from tfxfer.run.manifest import Manifest

REQUEST = {"data": "texts.csv", "sample_column": "message", "label_column": "kind"}


def test_a_run_and_its_files_remember_the_columns_of_the_table(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path / "run")
    run.write_manifest(Manifest(backbone="tiny", head="classification", request=REQUEST))
    known = Columns("message", "kind", are_remembered=True)
    assert remember_columns(run.path) == known
    assert remember_columns(run.model_path) == known
    assert remember_columns(run.export / "model.tflite") == known
    assert remember_columns(tmp_path / "model.keras") == Columns(are_remembered=True)
