from __future__ import annotations

import sys
import warnings
import zipfile
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfxfer import (
    ModelError,
    PluginImportError,
    Registry,
    RunDirectory,
)
from tfxfer.inference.keras_model import load_model, read_keras_file, wrap_model
from tfxfer.inference.loading import load_predictor
from tfxfer.inference.model_config import check_config
from tfxfer.inference.scoring import evaluate, score_split
from tfxfer.run.manifest import Manifest
from tfxfer.stages import get_info

LABELS = ("class_0", "class_1", "class_2")


def test_a_model_scores_as_keras_does(make_tiny: Callable[..., Any], images: Any) -> None:
    model = make_tiny()
    predictor = wrap_model(model)
    assert (predictor.labels, predictor.size) == (LABELS, 32)
    pixels = images.test.read_views(range(12))[:, 0]
    expected = np.asarray(model(pixels.astype(np.float32), training=False))
    np.testing.assert_allclose(predictor.score(pixels), expected, atol=1e-6)
    np.testing.assert_allclose(score_split(predictor, images.test), expected, atol=1e-6)
    many = np.tile(pixels, (4, 1, 1, 1))  # more than one batch
    np.testing.assert_allclose(predictor.score(many), np.tile(expected, (4, 1)), atol=1e-6)
    assert evaluate(model, images.test)["images"] == 12


def test_a_run_knows_its_labels(make_tiny: Callable[..., Any], tmp_path: Path) -> None:
    model = make_tiny()
    info = get_info(model)
    run = RunDirectory.create(tmp_path / "run")
    manifest = Manifest(
        backbone="tiny",
        head="classification",
        labels=LABELS,
        size=32,
        preprocessing=info.preprocessing.to_dict(),
    )
    run.write_manifest(manifest)
    with pytest.raises(ModelError, match="finished training"):
        load_model(run.path)  # no file yet
    model.save(run.model_path)
    for path in (run.path, run.model_path):
        loaded = load_model(path)
        # No plugin of that name is installed: the file alone scores images.
        assert [stage.name for stage in get_info(loaded).stages] == ["backbone"]
        assert get_info(loaded).preprocessing == info.preprocessing
        assert (get_info(loaded).modality.name, get_info(loaded).size) == ("image", 32)
        assert load_predictor(path).labels == LABELS
    run.write_manifest(Manifest(backbone="tiny", head="classification"))
    with pytest.raises(ModelError, match=r"finished training.*--resume"):
        load_model(run.path)


def truncate(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flip(content: bytes) -> bytes:
    # Inside the weights, which the zip stores uncompressed.
    middle = len(content) // 2
    return (
        content[:middle]
        + bytes(255 - x for x in content[middle : middle + 64])
        + content[middle + 64 :]
    )


@pytest.mark.parametrize("damage", [truncate, flip, lambda content: b"", lambda content: b"no zip"])
def test_a_damaged_file_is_refused(saved: Path, damage: Callable[[bytes], bytes]) -> None:
    saved.write_bytes(damage(saved.read_bytes()))
    with pytest.raises(ModelError, match=r"somewhere\.keras"):
        load_predictor(saved, labels=LABELS)


def test_a_zip_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("readme.txt", "no model")
    with pytest.raises(ModelError, match="safe mode"):
        read_keras_file(path)


def test_code_in_a_file_is_never_run(tmp_path: Path) -> None:
    import keras

    trap = tmp_path / "trap"
    inputs = keras.Input((32, 32, 3))
    x = keras.layers.Lambda(lambda x, path=str(trap): Path(path).touch() or x)(inputs)
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x))
    model.save(tmp_path / "model.keras")
    assert trap.exists()  # it works when it is run
    trap.unlink()
    with pytest.raises(ModelError, match=r"safe mode.*Lambda"):
        load_predictor(tmp_path / "model.keras", labels=LABELS)
    assert not trap.exists()


@pytest.mark.parametrize(
    "kind", ["two inputs", "two outputs", "no input", "not square", "two channels"]
)
def test_a_model_of_another_shape_is_refused(tmp_path: Path, kind: str) -> None:
    import keras
    from keras import layers

    shape = {"not square": (32, 16, 3), "two channels": (32, 32, 2)}.get(kind, (32, 32, 3))
    inputs = keras.Input(shape)
    output = layers.Dense(3)(layers.GlobalAveragePooling2D()(inputs))
    if kind == "two inputs":
        second = keras.Input((3,))
        model = keras.Model([inputs, second], layers.Add()([output, second]))
    elif kind == "two outputs":
        model = keras.Model(inputs, [output, output])
    elif kind == "no input":
        model = keras.Sequential([layers.Dense(3)])
    else:
        model = keras.Model(inputs, output)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "You are saving a model that has not yet been built")
        model.save(tmp_path / "odd.keras")
    with pytest.raises(ModelError, match=r"odd\.keras.*expected (one input|a square input)"):
        load_predictor(tmp_path / "odd.keras", labels=LABELS)


def test_a_model_of_one_channel_reads_photos_as_grey(tmp_path: Path) -> None:
    import keras
    from keras import layers

    inputs = keras.Input((32, 32, 1))
    scores = layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling2D()(inputs))
    keras.Model(inputs, scores).save(tmp_path / "grey.keras")
    predictor = load_predictor(tmp_path / "grey.keras", labels=LABELS)
    assert predictor.contract.grey
    assert predictor.score(np.zeros((2, 32, 32, 1), np.uint8)).shape == (2, 3)


def test_a_layer_of_ones_own_is_named(tmp_path: Path) -> None:
    import keras

    @keras.saving.register_keras_serializable(package="somebodys")
    class Halve(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return x / 2

    pixels = keras.Input((32, 32, 3))
    features = keras.layers.GlobalAveragePooling2D()(Halve(name="first_half")(pixels))
    path = tmp_path / "theirs.keras"
    keras.Model(pixels, features).save(path)
    read_keras_file(path)  # where it is registered
    del keras.saving.get_custom_objects()["somebodys>Halve"]
    with pytest.raises(ModelError, match=r"'first_half' of class 'Halve' from 'somebodys'.*export"):
        read_keras_file(path)


PLUGIN = """
from tfxfer import Backbone


class Odd(Backbone):
    name = family = "double_odd"

    def build(self, inputs):
        raise NotImplementedError

    @classmethod
    def import_layers(cls):
        import double_odd_layers
"""
LAYERS = """
import keras


@keras.saving.register_keras_serializable(package="double_odd")
class Third(keras.layers.Layer):
    def call(self, x):
        return x / 3
"""


@pytest.fixture
def odd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file with a plugin's layer, which this process does not know yet."""
    import keras

    (tmp_path / "double_odd.py").write_text(PLUGIN)
    (tmp_path / "double_odd_layers.py").write_text(LAYERS)
    monkeypatch.syspath_prepend(tmp_path)
    import double_odd_layers

    pixels = keras.Input((32, 32, 3))
    third = double_odd_layers.Third(name="a_third")
    path = tmp_path / "theirs.keras"
    keras.Model(pixels, keras.layers.GlobalAveragePooling2D()(third(pixels))).save(path)
    known = keras.saving.get_custom_objects()
    del known["double_odd>Third"], sys.modules["double_odd_layers"]
    yield path
    known.pop("double_odd>Third", None)
    for name in ("double_odd", "double_odd_layers"):
        sys.modules.pop(name, None)


def test_a_layer_of_an_installed_plugin_is_fetched_through_its_door(odd: Path) -> None:
    point = EntryPoint("double_odd", "double_odd:Odd", "tfxfer.backbones")
    model = read_keras_file(odd, registry=Registry([point]))
    pixels = np.full((1, 32, 32, 3), 6, np.float32)
    np.testing.assert_allclose(model.predict_on_batch(pixels), [[2, 2, 2]])


def test_no_module_is_imported_because_a_file_names_it(odd: Path) -> None:
    other = EntryPoint("other", "tfxfer_heads:Classification", "tfxfer.heads")
    with pytest.raises(ModelError, match=r"'a_third' of class 'Third' from 'double_odd'"):
        read_keras_file(odd, registry=Registry([other]))
    # Nor one inside of a plugin: its door says what there is.
    (odd.parent / "double_odd.py").write_text(PLUGIN.replace("import double_odd_layers", "pass"))
    point = EntryPoint("double_odd", "double_odd:Odd", "tfxfer.backbones")
    with pytest.raises(ModelError, match=r"'a_third' of class 'Third' from 'double_odd'"):
        read_keras_file(odd, registry=Registry([point]))
    assert "double_odd_layers" not in sys.modules


def test_a_plugin_whose_layers_do_not_import_is_named(odd: Path) -> None:
    (odd.parent / "double_odd_layers.py").write_text("import no_such_module_at_all")
    point = EntryPoint("double_odd", "double_odd:Odd", "tfxfer.backbones")
    with pytest.raises(PluginImportError, match=r"'double_odd'.*no_such_module_at_all"):
        read_keras_file(odd, registry=Registry([point]))


@pytest.mark.parametrize(
    ("package", "remedy"),
    [("tfxfer_hub", "pip install tfxfer-hub"), ("tfxfer_evil", "Where that code is at hand")],
)
def test_a_plugin_of_ours_that_is_missing_is_named(package: str, remedy: str) -> None:
    import keras

    layer = {
        "class_name": "NoLayer",
        "module": f"{package}.layer",
        "registered_name": f"{package}>NoLayer",
        "config": {"name": "hub"},
    }
    config = {"class_name": "Functional", "config": {"name": "m", "layers": [layer]}}
    with pytest.raises(ModelError, match=f"layer 'hub' of.*from '{package}'") as raised:
        check_config(config, path=Path("m.keras"), keras=keras, registry=Registry([]))
    assert remedy in str(raised.value)
    assert ("pip install" in str(raised.value)) == (package == "tfxfer_hub")


def build_two_labels(package: Any) -> Any:
    pixels = package.Input((24, 24, 3))
    x = package.layers.GlobalAveragePooling2D()(package.layers.Rescaling(1 / 255)(pixels))
    normal = package.initializers.RandomNormal(stddev=3.0, seed=2)
    x = package.layers.Dense(2, activation="softmax", kernel_initializer=normal)(x)
    return package.Model(pixels, x)


@pytest.mark.parametrize("package", ["keras", "tf_keras"])
def test_an_h5_file_scores_as_its_own_keras_does(package: str, tmp_path: Path) -> None:
    model, path = build_two_labels(pytest.importorskip(package)), tmp_path / "old.h5"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the format is a legacy is the point
        model.save(path)
    pixels = np.random.default_rng(0).integers(0, 256, (40, 1, 1, 3)).astype(np.uint8)
    pixels = np.broadcast_to(pixels, (40, 24, 24, 3))
    predictor = load_predictor(path, labels=("ash", "yew"))
    expected = np.asarray(model(pixels.astype(np.float32), training=False))
    np.testing.assert_allclose(predictor.score(pixels), expected, atol=1e-6)
    assert np.abs(predictor.score(pixels[::-1]) - expected).max() > 0.1
    with pytest.raises(ModelError, match=r"expected 2 labels.*Received: 3"):
        load_predictor(path, labels=LABELS)


def test_a_lambda_in_a_legacy_file_never_runs(tmp_path: Path) -> None:
    tf_keras = pytest.importorskip("tf_keras")
    trap, path = tmp_path / "trap", tmp_path / "old.h5"
    pixels = tf_keras.Input((24, 24, 3))
    x = tf_keras.layers.Lambda(lambda x, at=str(trap): (Path(at).touch(), x)[1])(pixels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tf_keras.Model(pixels, tf_keras.layers.GlobalAveragePooling2D()(x)).save(path)
    trap.unlink()
    with pytest.raises(ModelError, match="safe mode"):
        load_predictor(path, labels=LABELS)
    assert not trap.exists()


@pytest.mark.parametrize("name", ["a.weights.h5", "b.h5", "c.pth", "d.safetensors"])
def test_weights_alone_are_named(name: str, tmp_path: Path) -> None:
    import keras

    build_two_labels(keras).save_weights(tmp_path / "a.weights.h5")
    (tmp_path / "b.h5").write_bytes((tmp_path / "a.weights.h5").read_bytes())
    for other in ("c.pth", "d.safetensors"):
        (tmp_path / other).write_bytes(b"x")
    with pytest.raises(ModelError, match=r"Received: weights alone.*load_weights"):
        load_predictor(tmp_path / name, labels=LABELS)


def test_a_saved_model_needs_a_reader(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"")
    with pytest.raises(ModelError, match=r"a SavedModel folder\. Try: pip install tfxfer-edge"):
        load_predictor(tmp_path, labels=LABELS, registry=Registry([]))
