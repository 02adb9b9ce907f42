from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfxfer.errors import ModelError
from tfxfer_edge.inspection.keras_file import inspect_keras


@pytest.fixture(scope="module")
def model() -> Any:
    import keras

    layers = keras.layers
    image = keras.Input((8, 8, 3), name="image")
    x = layers.Conv2D(4, 3, name="first")(image)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.Conv2D(5, 1, name="second")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    # Layers of one kind, on two levels: weights must find their own.
    inner = keras.Sequential([layers.Dense(6), layers.Dense(7)], name="inner")
    return keras.Model(image, layers.Dense(2, name="scores")(inner(x)), name="outer")


@pytest.fixture(scope="module")
def path(model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keras") / "model.keras"
    model.save(path)
    return path


def test_layers_parameters_and_ends(path: Path, model: Any) -> None:
    document = inspect_keras(path)
    rows = {row["operator"]: row for row in document["operators"]}
    assert (rows["Conv2D"]["count"], rows["Dense"]["count"]) == (2, 3)
    assert rows["Conv2D"]["parameters"] == (9 * 3 * 4 + 4) + (4 * 5 + 5)
    assert rows["BatchNormalization"]["parameters"] == 4 * 4
    assert rows["Dense"]["parameters"] == (5 * 6 + 6) + (6 * 7 + 7) + (7 * 2 + 2)
    assert rows["Dense"]["weight_bytes"] == 4 * rows["Dense"]["parameters"]
    assert document["total"]["parameters"] == model.count_params()
    assert document["total"]["weight_bytes"] == 4 * model.count_params()
    assert "Sequential" not in rows  # its layers are told, not itself
    (source,), (target,) = document["inputs"], document["outputs"]
    assert (source["name"], source["dtype"], source["shape"]) == ("image", "float32", [-1, 8, 8, 3])
    assert target["name"] == "scores"
    assert document["remarks"] == []


def test_the_state_of_an_optimizer_is_no_weight(model: Any, tmp_path: Path) -> None:
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    path = tmp_path / "model.keras"
    model.save(path)
    document = inspect_keras(path)
    assert document["total"]["parameters"] == model.count_params()
    (remark,) = document["remarks"]
    assert "kB are the optimizer's" in remark


def test_ends_of_a_model_with_several_inputs_and_of_a_sequential_one(tmp_path: Path) -> None:
    import keras

    sources = [keras.Input((3,), name="a"), keras.Input((4,), name="b", dtype="int32")]
    joined = keras.layers.Concatenate(name="joined")(
        [sources[0], keras.layers.Embedding(5, 2, name="words")(sources[1])[:, 0]]
    )
    keras.Model(sources, [joined, sources[0] * 2]).save(tmp_path / "several.keras")
    document = inspect_keras(tmp_path / "several.keras")
    assert [(x["name"], x["dtype"], x["shape"]) for x in document["inputs"]] == [
        ("a", "float32", [-1, 3]),
        ("b", "int32", [-1, 4]),
    ]
    assert len(document["outputs"]) == 2
    layers = [keras.Input((3,), name="only"), keras.layers.Dense(2, name="last")]
    keras.Sequential(layers).save(tmp_path / "one.keras")
    document = inspect_keras(tmp_path / "one.keras")
    assert [x["name"] for x in document["inputs"]] == ["only"]
    assert [x["name"] for x in document["outputs"]] == ["last"]


def rewrite(path: Path, target: Path, **members: bytes) -> Path:
    """Copies an archive with other members; `config` is `config.json`."""
    names = {"config": "config.json", "weights": "model.weights.h5"}
    replaced = {names[key]: value for key, value in members.items()}
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, replaced.get(name, old.read(name)))
    return target


def test_a_model_of_a_class_of_its_own_says_that_it_lists_nothing(
    path: Path, model: Any, tmp_path: Path
) -> None:
    config = json.dumps({"class_name": "Ours", "module": "ours", "config": {}}).encode()
    document = inspect_keras(rewrite(path, tmp_path / "own.keras", config=config))
    assert document["remarks"] == ["a model of a class of its own, which does not list its layers"]
    (row,) = document["operators"]
    assert (row["operator"], row["count"]) == ("(of no layer that it lists)", 0)
    assert row["parameters"] == model.count_params()


def test_weights_of_no_group_are_counted(path: Path, model: Any, tmp_path: Path) -> None:
    import h5py

    with zipfile.ZipFile(path) as archive:
        weights = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(weights, "a") as file:
        file["loose"] = np.zeros(3, np.float32)
    loose = rewrite(path, tmp_path / "loose.keras", weights=weights.getvalue())
    (row,) = (x for x in inspect_keras(loose)["operators"] if x["operator"].startswith("(of no"))
    assert (row["parameters"], row["weight_bytes"]) == (3, 12)


@pytest.mark.parametrize(
    ("member", "content", "words"),
    [
        ("config", bytes(100 << 20), "expected a config of at most"),
        ("weights", bytes(600 << 20), "expected members of at most"),
        ("weights", b"no HDF5", "Received:"),
        ("config", b"[" * 5000, "Received:"),
        ("config", b"[]", "expected a config of layers"),
    ],
)
def test_an_archive_that_is_damaged_or_a_bomb_is_refused(
    member: str, content: bytes, words: str, path: Path, tmp_path: Path
) -> None:
    bad = rewrite(path, tmp_path / "bad.keras", **{member: content})
    with pytest.raises(ModelError) as caught:
        inspect_keras(bad)
    assert words in str(caught.value)
    assert str(bad) in str(caught.value)


def test_models_nested_without_end_are_refused(path: Path, tmp_path: Path) -> None:
    layer: dict[str, Any] = {"class_name": "Dense", "config": {"name": "x"}}
    for _ in range(150):
        layer = {"class_name": "Functional", "config": {"name": "x", "layers": [layer]}}
    config = json.dumps(layer).encode()
    with pytest.raises(ModelError, match="nested at most 100 levels"):
        inspect_keras(rewrite(path, tmp_path / "deep.keras", config=config))


@pytest.mark.parametrize("share", [0.1, 0.6, 0.99])
def test_a_file_that_is_cut_off_is_refused(share: float, path: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.keras"
    content = path.read_bytes()
    cut.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ModelError, match="Received: File is not a zip file"):
        inspect_keras(cut)


def test_strange_values_in_a_config_are_no_fault(path: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    odd = [None, 3, "x", [], {}, [[1]], {"config": 4}, {"class_name": "A", "config": [1]}]
    for _ in range(30):
        inner = {
            key: odd[rng.integers(len(odd))] for key in ("name", "input_layers", "batch_shape")
        }
        inner["layers"] = [
            {"class_name": "InputLayer", "config": inner | {"layers": None}},
            *(odd[index] for index in rng.integers(len(odd), size=3)),
        ]
        inner["output_layers"] = odd[rng.integers(len(odd))]
        config = json.dumps({"class_name": "Functional", "config": inner}).encode()
        document = inspect_keras(rewrite(path, tmp_path / "odd.keras", config=config))
        assert document["total"]["parameters"] > 0
