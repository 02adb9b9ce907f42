"""A run says what its files were, and a file that is another one since is refused."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from tfxfer import RunDirectory, RunError
from tfxfer.run import seals
from tfxfer.run.manifest import Manifest
from tfxfer.run.seals import SEALED, check_sealed, describe_unsealed, seal_files


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    run = RunDirectory.create(tmp_path / "run")
    for name in SEALED:
        (run.path / name).write_text(f"content of {name}")
    run.write_manifest(Manifest(backbone="b", head="h", sha256=seal_files(run)))
    return run


def test_what_is_stored_is_the_sha256_of_each_file(run: RunDirectory) -> None:
    stored = run.read_manifest().sha256
    assert set(stored) == {"model.keras", "split.csv", "predictions.csv"}
    for name, value in stored.items():
        assert value == hashlib.sha256(f"content of {name}".encode()).hexdigest()
        assert check_sealed(run, run.path / name) == run.path / name


@pytest.mark.parametrize("name", SEALED)
def test_another_file_is_one_error_with_the_way_out(run: RunDirectory, name: str) -> None:
    (run.path / name).write_text(f"content of {name}.")
    with pytest.raises(RunError) as caught:
        check_sealed(run, run.path / name)
    said = str(caught.value)
    assert f"expected {name} as its training wrote it" in said
    assert "training back" in said
    assert len(said.splitlines()) == 1
    for other in set(SEALED) - {name}:
        check_sealed(run, run.path / other)


def test_a_file_that_is_gone_is_left_to_whoever_reads_it(run: RunDirectory) -> None:
    run.split_path.unlink()
    assert check_sealed(run, run.split_path) == run.split_path
    assert seal_files(run, "split.csv") == {}


def test_a_run_of_before_says_what_cannot_be_checked(run: RunDirectory) -> None:
    manifest = run.read_manifest()
    assert describe_unsealed(run, manifest) == ""
    older = replace(manifest, sha256={"split.csv": manifest.sha256["split.csv"]})
    said = describe_unsealed(run, older)
    assert "the sha256 of model.keras and predictions.csv" in said
    assert said.endswith("cannot be checked")
    document = manifest.to_dict()
    del document["sha256"]
    run.write_manifest(Manifest.from_dict(document))
    run.model_path.write_text("another")
    assert check_sealed(run, run.model_path) == run.model_path


def test_a_file_is_read_once_and_in_pieces(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.model_path.write_bytes(bytes(3_000_000))
    run.write_manifest(replace(run.read_manifest(), sha256=seal_files(run)))
    read: list[int] = []
    digest = hashlib.file_digest

    def count(file: object, name: str) -> object:
        class Counted:
            def readinto(self, buffer: bytearray) -> int:
                got = file.readinto(buffer)  # type: ignore[attr-defined]
                read.append(got)
                return int(got)

            def readable(self) -> bool:
                return True

        return digest(Counted(), name)  # type: ignore[arg-type]

    monkeypatch.setattr(hashlib, "file_digest", count)
    check_sealed(run, run.model_path)
    assert sum(read) == 3_000_000
    assert max(read) <= 1 << 18
    assert seals.SEALED[0] == "model.keras"
