"""What is read of a preset before its weights, and what is refused."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfxfer.errors import PluginImportError, WeightsError
from tfxfer.preprocessing import Resize
from tfxfer.registry.lookup import get_backbone
from tfxfer_kerashub import PresetError
from tfxfer_kerashub.fetching import find_file, import_keras_hub, list_image_backbones
from tfxfer_kerashub.handle import Handle
from tfxfer_kerashub.preset import read_preset

pytestmark = pytest.mark.versions


@pytest.fixture
def copy(resnet_preset: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(resnet_preset, tmp_path / "copy"))


def edit(path: Path, **changes: Any) -> None:
    document = json.loads(path.read_text())
    document["config"].update(changes)
    path.write_text(json.dumps(document))


def test_the_image_converter_is_the_preprocessing(resnet_preset: Path, pixels: Any) -> None:
    preset = read_preset(Handle(str(resnet_preset)))
    converter = import_keras_hub().layers.ImageConverter.from_preset(str(resnet_preset))
    theirs = np.asarray(converter(pixels))
    np.testing.assert_allclose(preset.preprocessing.apply(pixels), theirs, rtol=1e-5, atol=1e-5)
    assert np.abs(pixels / 127.5 - 1 - theirs).max() > 0.1
    assert preset.preprocessing.resize == Resize(fit="crop", method="bilinear", antialias=False)
    assert (preset.image_size, preset.fixed_size) == (32, None)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"crop_to_aspect_ratio": False}, Resize("stretch", "bilinear", antialias=False)),
        (
            {"crop_to_aspect_ratio": False, "pad_to_aspect_ratio": True, "antialias": True},
            Resize("pad", "bilinear", antialias=True),
        ),
        ({"interpolation": "lanczos3"}, Resize("crop", "bicubic", antialias=False)),
    ],
)
def test_how_it_resizes(copy: Path, changes: dict[str, Any], expected: Resize) -> None:
    edit(copy / "image_converter.json", **changes)
    assert read_preset(Handle(str(copy))).preprocessing.resize == expected


def test_a_preset_without_image_converter_is_told_how_to_say_it(copy: Path) -> None:
    (copy / "image_converter.json").unlink()
    with pytest.raises(PresetError, match=r"image_converter\.json.*#pixels=-1\.\.1,size=224"):
        get_backbone(f"kerashub:{copy}")
    backbone = get_backbone(f"kerashub:{copy}#pixels=-1..1,size=48")
    assert backbone.default_image_size == 48
    np.testing.assert_allclose(backbone.preprocessing.output_range, ((-1.0, 1.0),) * 3)


def test_what_the_user_says_goes_before_the_converter(resnet_preset: Path) -> None:
    preset = read_preset(Handle(str(resnet_preset), pixels=(0.0, 1.0), size=64))
    assert preset.image_size == 64
    assert preset.preprocessing.output_range == ((0.0, 1.0),) * 3


def test_close_names_of_image_presets_are_offered() -> None:
    with pytest.raises(PresetError, match=r"Did you mean .*'resnet_50_imagenet'"):
        get_backbone("kerashub:resnet50_imagenet")


def test_a_preset_of_text_is_refused_without_a_network() -> None:
    with pytest.raises(PresetError, match=r"one of text, sound or several inputs, 'bert'"):
        get_backbone("kerashub:bert_tiny_en_uncased")


def test_networks_that_make_images_from_text_are_none_of_ours() -> None:
    names = {found.__name__ for found in list_image_backbones()}
    assert {"ResNetBackbone", "ViTBackbone", "EfficientNetBackbone"} <= names
    assert not names & {"StableDiffusion3Backbone", "FluxBackbone", "BertBackbone"}


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("no json", "expected JSON"),
        ("[]", "expected an object"),
        ('{"architecture": "resnet50"}', "KerasHub's own format"),
        ('{"registered_name": "keras_hub>BertBackbone"}', "of an image backbone"),
        ('{"registered_name": "os>system", "config": {}}', "of an image backbone"),
        (
            '{"registered_name": "keras_hub>VGGBackbone", "config": {"image_shape": [8, 9, 3]}}',
            "square RGB images",
        ),
        ('{"registered_name": "keras_hub>VGGBackbone", "config": {}}', "VGGBackbone .* takes"),
    ],
)
def test_a_folder_that_is_no_image_preset(copy: Path, document: str, words: str) -> None:
    (copy / "config.json").write_text(document)
    with pytest.raises(PresetError, match=words):
        get_backbone(f"kerashub:{copy}")


@pytest.mark.parametrize("document", ["{}", '{"module": "os", "class_name": "system"}'])
def test_a_converter_that_is_not_of_keras_hub(copy: Path, document: str) -> None:
    (copy / "image_converter.json").write_text(document)
    with pytest.raises(PresetError, match=r"image_converter\.json of an image converter"):
        get_backbone(f"kerashub:{copy}")


def test_a_folder_without_configuration(tmp_path: Path) -> None:
    with pytest.raises(PresetError, match=r"holds a config\.json.*save_to_preset"):
        get_backbone(f"kerashub:{tmp_path}")


def test_a_missing_weights_file(copy: Path) -> None:
    backbone = get_backbone(f"kerashub:{copy}")
    (copy / "model.weights.h5").unlink()
    with pytest.raises(WeightsError, match=r"model\.weights\.h5 .*save_to_preset.*--weights none"):
        backbone.weights["preset"].fetch()


@pytest.mark.parametrize("preset", ["resnet_50_imagenet", "hf://owner/model"])
def test_no_network_says_both_ways_out(preset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub
    import kagglehub

    def refuse(*_: Any, **__: Any) -> None:
        raise ConnectionError("no route to host")

    monkeypatch.setattr(kagglehub, "model_download", refuse)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", refuse)
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_: None)
    with pytest.raises(PresetError, match=r"no route.*kerashub:FOLDER.*efficientnet_lite0"):
        get_backbone(f"kerashub:{preset}")


def test_files_are_asked_for_under_their_own_names(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub
    import kagglehub

    asked: list[tuple[str, str]] = []
    monkeypatch.setattr(kagglehub, "model_download", lambda *a: asked.append(a) or "k")
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_: None)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda *a: asked.append(a) or "h")
    for preset in ("resnet_50_imagenet", "kaggle://o/m/keras/v", "hf://o/m"):
        find_file(preset, "config.json")
    assert asked[0][0].startswith("keras/resnetv1/keras/resnet_50_imagenet/")
    assert asked[1:] == [("o/m/keras/v", "config.json"), ("o/m", "config.json")]


@pytest.mark.parametrize("preset", ["hf://model", "kaggle://o/m", "gs://bucket/m", "https://x/y"])
def test_other_forms_are_refused(preset: str) -> None:
    with pytest.raises(PresetError, match="expected a name of KerasHub's"):
        find_file(preset, "config.json")


def test_keras_hub_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keras_hub", None)
    with pytest.raises(PluginImportError, match=r"pip install 'keras-hub>=0\.31,<0\.32'"):
        get_backbone("kerashub:resnet_50_imagenet")


def test_a_converter_that_does_more_is_refused(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = import_keras_hub()
    call = hub.layers.ImageConverter.call
    monkeypatch.setattr(hub.layers.ImageConverter, "call", lambda self, x: call(self, x) ** 2)
    with pytest.raises(PresetError, match="scales and shifts"):
        get_backbone(f"kerashub:{copy}")
