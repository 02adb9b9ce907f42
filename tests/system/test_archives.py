"""Archives that unpack to more than they say, or to more than anybody needs."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tfxfer.data.provenance import PROVENANCE_FILE
from tfxfer.errors import ModelError, RunError
from tfxfer.inference.model_config import read_keras_config
from tfxfer.inference.provenance import read_keras_provenance
from tfxfer.keeping.fisher import read_importances
from tfxfer.keeping.statistics import read_statistics
from tfxfer.system.archives import check_members, check_stored, read_member

Forge = Callable[..., bytes]
PeakOf = Callable[[Callable[[], object]], int]

UNPACKED = 40 << 20
ROOM = 16 << 20  # what reading a member may take beside the member


def test_a_member_is_no_larger_in_memory_than_it_says(forge: Forge, peak_of: PeakOf) -> None:
    forged = forge("a")

    def read() -> None:
        with zipfile.ZipFile(io.BytesIO(forged)) as archive, pytest.raises(zipfile.BadZipFile):
            read_member(archive, "a", limit=1000)

    def read_plainly() -> None:
        with zipfile.ZipFile(io.BytesIO(forged)) as archive, pytest.raises(zipfile.BadZipFile):
            archive.read("a")

    assert peak_of(read) < ROOM
    assert peak_of(read_plainly) >= UNPACKED  # what this is for


def test_a_member_that_says_it_is_too_large_is_not_read() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a", bytes(1001))
    with zipfile.ZipFile(stream) as archive:
        with pytest.raises(ValueError, match=r"'a' of at most 1,000 bytes. Received: 1,001"):
            read_member(archive, "a", limit=1000)
        assert read_member(archive, "a", limit=1001) == bytes(1001)
        with pytest.raises(KeyError):
            read_member(archive, "b", limit=1)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_whose_reading_has_no_limit_are_refused(method: int, forge: Forge) -> None:
    with (
        zipfile.ZipFile(io.BytesIO(forge("a", method=method))) as archive,
        pytest.raises(ValueError, match="stored or deflated"),
    ):
        read_member(archive, "a", limit=1000)


def test_all_members_are_what_they_say(forge: Forge) -> None:
    with (
        zipfile.ZipFile(io.BytesIO(forge("a"))) as archive,
        pytest.raises(zipfile.BadZipFile),
    ):
        check_members(archive)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", bytes(1 << 20))
    with zipfile.ZipFile(stream) as archive:
        check_members(archive)


def test_an_archive_of_arrays_holds_nothing_packed() -> None:
    stream = io.BytesIO()
    np.savez(stream, a=np.zeros(1000))
    with zipfile.ZipFile(stream) as archive:
        check_stored(archive)
    packed = io.BytesIO()
    np.savez_compressed(packed, a=np.zeros(1000))
    with (
        zipfile.ZipFile(packed) as archive,
        pytest.raises(ValueError, match=r"stored, not packed. Received: 'a.npy'"),
    ):
        check_stored(archive)


@pytest.mark.parametrize("name", ["config.json", "model.weights.h5"])
def test_a_keras_file_that_lies(tmp_path: Path, name: str, forge: Forge, peak_of: PeakOf) -> None:
    path = tmp_path / "model.keras"
    path.write_bytes(forge(name))
    if name != "config.json":
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("config.json", "{}")

    def read() -> None:
        with pytest.raises(ModelError, match=r"model\.keras"):
            read_keras_config(path)

    assert peak_of(read) < ROOM


def test_a_provenance_that_lies(tmp_path: Path, forge: Forge, peak_of: PeakOf) -> None:
    path = tmp_path / "model.keras"
    path.write_bytes(forge(PROVENANCE_FILE))

    def read() -> None:
        with pytest.raises(ModelError, match=r"model\.keras"):
            read_keras_provenance(path)

    assert peak_of(read) < ROOM


@pytest.mark.parametrize("read", [read_importances, read_statistics])
def test_arrays_of_a_run_that_unpack_to_more_than_the_file(
    tmp_path: Path, read: Callable[[Path], object], peak_of: PeakOf
) -> None:
    path = tmp_path / "kept.npz"
    zeros = np.zeros(UNPACKED // 8)
    np.savez_compressed(path, **{"0:x": zeros, "labels": zeros, "counts": zeros})  # type: ignore[arg-type]

    def refuse() -> None:
        with pytest.raises(RunError, match="stored, not packed"):
            read(path)

    assert peak_of(refuse) < ROOM
