from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tfxfer.errors import ModelError, WeightsError
from tfxfer.inference.hdf5_file import read_hdf5_model
from tfxfer.inference.model_config import read_keras_config
from tfxfer.system.hdf5_content import check_hdf5_content
from tfxfer.weights_file import read_weights_file


def link_elsewhere(file: Any) -> None:
    file["a/w"] = h5py.ExternalLink("/etc/other.h5", "w")


def link_softly(file: Any) -> None:
    file["a/w"] = h5py.SoftLink("/b")


def store_elsewhere(file: Any) -> None:
    file.create_dataset("w", (4,), "f4", external=[("/etc/hostname", 0, 16)])


def map_elsewhere(file: Any) -> None:
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("/etc/other.h5", "w", (4,))
    file.create_virtual_dataset("w", layout)


def claim_much(file: Any) -> None:
    file.create_dataset("w", ((1 << 27) + 1,), "f4", chunks=(1024,))


HOSTILE = [link_elsewhere, link_softly, store_elsewhere, map_elsewhere, claim_much]


def check(path: Path) -> None:
    def refuse(expected: str, received: str) -> ModelError:
        return ModelError(f"expected {expected}. Received: {received}")

    with h5py.File(path, "r") as file:
        check_hdf5_content(file, stored_bytes=path.stat().st_size, refuse=refuse)


@pytest.mark.parametrize("spoil", HOSTILE)
def test_what_leads_elsewhere_or_unpacks_to_gigabytes(
    spoil: Callable[[Any], None], tmp_path: Path
) -> None:
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file["a/b"] = np.ones(3, "f4")
        spoil(file)
        file.attrs["model_config"] = "{}"
    with pytest.raises(ModelError, match="Received"):
        check(path)
    with pytest.raises(ModelError, match=r"expected .*model\.save"):
        read_hdf5_model(path)
    with pytest.raises(WeightsError, match="weights of 'tiny': expected"):
        read_weights_file(
            path, into=NoWeights(), make_whole=NoWeights, backbone="tiny", network="T"
        )


class NoWeights:
    weights: tuple[Any, ...] = ()


def test_the_limit_is_where_it_is_said_to_be(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("w", (1 << 27,), "f4", chunks=(1024,))
        file["again"] = file["/"]  # a circle of hard links
        file["nothing"] = h5py.Empty("f4")
    check(path)
    assert path.stat().st_size < 10_000


def test_the_weights_and_the_size_of_a_keras_file(tmp_path: Path) -> None:
    import zipfile

    weights = tmp_path / "w.h5"
    for spoil, words in ((link_softly, "links within"), (None, "")):
        with h5py.File(weights, "w") as file:
            file["b"] = np.ones(3, "f4")
            if spoil:
                spoil(file)
        path = tmp_path / "x.keras"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("config.json", "{}")
            archive.write(weights, "model.weights.h5")
        if spoil:
            with pytest.raises(ModelError, match=words):
                read_keras_config(path)
        else:
            assert read_keras_config(path) == {}


@pytest.mark.parametrize(("more", "is_read"), [(-1, True), (0, False)])
def test_how_much_a_keras_file_may_unpack_to(more: int, is_read: bool, tmp_path: Path) -> None:
    import zipfile

    path = tmp_path / "x.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("config.json", "{}")
        with archive.open("assets", "w") as member:
            left = (1 << 29) - 1 + more
            while left:
                left -= member.write(bytes(min(left, 1 << 22)))
    if is_read:
        assert read_keras_config(path) == {}
    else:
        with pytest.raises(ModelError, match="536,870,912 bytes together"):
            read_keras_config(path)


@pytest.mark.parametrize(("size", "is_read"), [(16 << 20, True), ((16 << 20) + 1, False)])
def test_how_long_a_config_may_be(size: int, is_read: bool, tmp_path: Path) -> None:
    import zipfile

    path = tmp_path / "x.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", "{}".ljust(size))
    if is_read:
        assert read_keras_config(path) == {}
    else:
        with pytest.raises(ModelError, match="config of at most"):
            read_keras_config(path)
