"""A config asks for no more than its file can fill, told before any of it is made."""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path
from typing import Any

import h5py
import keras
import pytest

from tfxfer.errors import ModelError
from tfxfer.inference import built_weights
from tfxfer.inference.built_weights import bound_weights, check_batch
from tfxfer.inference.hdf5_model import load_hdf5_model
from tfxfer.inference.keras_model import read_keras_file


def save(path: Path, package: Any, **options: Any) -> Path:
    pixels = package.Input((8, 8, 3), **options)
    x = package.layers.GlobalAveragePooling2D()(pixels)
    model = package.Model(pixels, package.layers.Dense(2, name="wide")(x))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the format is a legacy is the point
        model.save(path)
    return path


def change_config(path: Path, old: str, new: str) -> None:
    """Has the config of a file say something else, and leaves its weights."""
    if path.suffix == ".h5":
        with h5py.File(path, "r+") as file:
            text = file.attrs["model_config"]
            text = text.decode() if isinstance(text, bytes) else text
            assert old in text
            file.attrs["model_config"] = text.replace(old, new)
        return
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    text = members["config.json"].decode()
    assert old in text
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (members | {"config.json": text.replace(old, new).encode()}).items():
            archive.writestr(name, content)


def read(path: Path) -> Any:
    return load_hdf5_model(path) if path.suffix == ".h5" else read_keras_file(path)


@pytest.mark.parametrize(("name", "package"), [("x.keras", "keras"), ("x.h5", "keras"),
                                               ("x.h5", "tf_keras")])  # fmt: skip
def test_a_layer_of_a_billion_units_is_never_built(
    name: str, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    brought = pytest.importorskip(package)
    path = save(tmp_path / name, brought)
    made: list[int] = []
    add_weight = brought.layers.Layer.add_weight

    def add(self: Any, *args: Any, **options: Any) -> Any:
        variable = add_weight(self, *args, **options)
        made.append(max(variable.shape, default=0))
        return variable

    monkeypatch.setattr(brought.layers.Layer, "add_weight", add)
    assert read(path).count_params() == 8
    assert max(made) == 3
    assert brought.layers.Layer.add_weight is add  # as it was
    change_config(path, '"units": 2', '"units": 1000000000')
    with pytest.raises(ModelError, match=r"at most .* bytes, as the file holds .*'wide'.*Save"):
        read(path)
    assert max(made) == 3
    assert brought.layers.Layer.add_weight is add


@pytest.mark.parametrize("key", ["batch_shape", "batch_input_shape"])
def test_a_batch_of_a_billion_is_refused(key: str) -> None:
    """A layer with a state would hold one for each of its samples."""
    check_batch({key: [None, 8]}, what="x")
    check_batch({key: [10_000, 8]}, what="x")
    with pytest.raises(ModelError, match="at most 10,000 samples"):
        check_batch({key: [10_001, 8]}, what="x")


def test_a_batch_is_looked_at_in_a_file(tmp_path: Path) -> None:
    path = save(tmp_path / "x.keras", keras, batch_size=4)
    read(path)
    change_config(path, "[4, 8, 8, 3]", "[1000000000, 8, 8, 3]")
    with pytest.raises(ModelError, match="Leave the size of a batch open"):
        read(path)


def refuse(expected: str, received: str) -> ModelError:
    return ModelError(f"expected {expected}. Received: {received}")


def test_the_limit_counts_all_weights_and_the_bytes_of_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(built_weights, "_SPARE_BYTES", 0)

    def build(dtype: str, stored_bytes: int) -> None:
        with bound_weights(keras, stored_bytes=stored_bytes, refuse=refuse):
            keras.layers.Dense(5, dtype=dtype).build((None, 10))

    build("float32", 220)
    build("float16", 110)
    for dtype, stored_bytes in (("float32", 219), ("float16", 109)):
        with pytest.raises(ModelError, match=r"shape \(5,\)"):
            build(dtype, stored_bytes)


def test_it_is_said_whatever_keras_makes_of_it() -> None:
    def build(*, swallow: bool) -> None:
        with bound_weights(keras, stored_bytes=0, refuse=refuse):
            try:
                keras.layers.Dense(10**9).build((None, 10))
            except ModelError as error:
                if not swallow:
                    raise ValueError("could not be deserialized") from error

    for swallow in (True, False):
        with pytest.raises(ModelError, match="expected layers of at most"):
            build(swallow=swallow)
    with (
        pytest.raises(ValueError, match="another"),
        bound_weights(keras, stored_bytes=0, refuse=refuse),
    ):
        raise ValueError("another")
