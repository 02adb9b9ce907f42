from __future__ import annotations

import json
import sys
import zipfile
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfxfer import Preprocessing
from tfxfer.data.decode import open_image, resize_image
from tfxfer.errors import ModelError, PluginImportError
from tfxfer.preprocessing import Resize
from tfxfer_edge.tflite import libusb
from tfxfer_edge.tflite.card import CONTRACT_FILE, LABELS_FILE, ModelCard
from tfxfer_edge.tflite.flatbuffer import read_model
from tfxfer_edge.tflite.interpreter import TFLiteModel
from tfxfer_edge.tflite.metadata_reader import read_metadata
from tfxfer_edge.tflite.metadata_writer import write_metadata

from .. import photo_classifier as photos

pytest.importorskip(
    "tensorflow_lite_support", reason="tflite-support is not installed (Python 3.11 only)"
)

CARD = ModelCard(
    name="photos",
    description="What a photo shows.",
    version="3",
    author="Ünal",
    licence="Apache-2.0",
    labels=photos.LABELS,
)


def describe(content: bytes) -> dict[str, Any]:
    """Returns what the reference reads."""
    support, _, _ = libusb.import_tflite_support()
    displayer = support.MetadataDisplayer.with_model_buffer(bytearray(content))
    document: dict[str, Any] = json.loads(displayer.get_metadata_json())
    return document


def content_of(name: str) -> tuple[bytes, Preprocessing | None]:
    return {
        "in_graph": (photos.float_in_graph, None),
        "core": (photos.float_core, photos.MINUS_ONE_TO_ONE),
        "per_channel": (lambda: photos.float_core(photos.PER_CHANNEL), photos.PER_CHANNEL),
        "uint8": (photos.quantized, photos.MINUS_ONE_TO_ONE),
        "int8": (lambda: photos.quantized(io="int8"), photos.MINUS_ONE_TO_ONE),
    }[name][0](), {
        "in_graph": None,
        "per_channel": photos.PER_CHANNEL,
    }.get(name, photos.MINUS_ONE_TO_ONE)


@pytest.mark.parametrize("name", ["in_graph", "core", "per_channel", "uint8", "int8"])
def test_what_is_written_is_read(name: str) -> None:
    content, preprocessing = content_of(name)
    resize = Resize(fit="crop", method="bicubic")
    card = replace(CARD, preprocessing=preprocessing, resize=resize)
    written = write_metadata(content, card)
    found = read_metadata(written)
    assert found is not None
    assert found.preprocessing is not None
    assert replace(found, preprocessing=preprocessing) == card
    wanted = preprocessing or Preprocessing()
    assert np.allclose(found.preprocessing.output_range, wanted.output_range, rtol=1e-5)
    assert found.preprocessing.resize == resize


@pytest.mark.parametrize("name", ["in_graph", "core", "per_channel", "uint8"])
def test_the_reference_reads_the_same(name: str) -> None:
    content, preprocessing = content_of(name)
    document = describe(write_metadata(content, replace(CARD, preprocessing=preprocessing)))
    assert document["name"] == "photos"
    assert document["license"] == "Apache-2.0"
    assert document["author"] == "Ünal"
    assert document["min_parser_version"] == "1.0.0"
    (graph,) = document["subgraph_metadata"]
    (source,), (target,) = graph["input_tensor_metadata"], graph["output_tensor_metadata"]
    (unit,) = source["process_units"]
    wanted = preprocessing or Preprocessing()
    channels = 1 if wanted.is_uniform else 3
    assert unit["options_type"] == "NormalizationOptions"
    assert unit["options"]["mean"] == pytest.approx(wanted.mean[:channels], rel=1e-5)
    assert unit["options"]["std"] == pytest.approx(wanted.std[:channels], rel=1e-5)
    image = source["content"]["content_properties"]
    assert image["color_space"] == "RGB"
    assert image["default_size"] == {"width": 64, "height": 64}
    low, high = zip(*wanted.output_range[:channels], strict=True)
    limits = {"min": (0.0,), "max": (255.0,)} if name == "uint8" else {"min": low, "max": high}
    assert source["stats"]["min"] == pytest.approx(limits["min"], rel=1e-5)
    assert source["stats"]["max"] == pytest.approx(limits["max"], rel=1e-5)
    assert target["stats"]["max"] == [255.0 if name == "uint8" else 1.0]
    (labels,) = target["associated_files"]
    assert (labels["name"], labels["type"]) == (LABELS_FILE, "TENSOR_AXIS_LABELS")


def test_labels_are_packed_in_their_order() -> None:
    written = write_metadata(photos.float_in_graph(), CARD)
    with zipfile.ZipFile(BytesIO(written)) as archive:
        assert archive.namelist() == [CONTRACT_FILE, LABELS_FILE]
        lines = archive.read(LABELS_FILE).decode().split("\n")
    assert tuple(lines[:-1]) == photos.LABELS != tuple(sorted(photos.LABELS))


def test_the_model_itself_is_untouched() -> None:
    content = photos.quantized()
    card = replace(CARD, preprocessing=photos.MINUS_ONE_TO_ONE)
    written = write_metadata(content, card)
    before, after = TFLiteModel(content), TFLiteModel(written)
    assert (before.input, before.output) == (after.input, after.output)
    pixels = photos.squares()
    assert (before.score(pixels) == after.score(pixels)).all()
    # The same model and card are the same file, whenever they are written.
    assert write_metadata(content, card) == written
    # Writing anew replaces: nothing of the old card is left.
    other = replace(card, name="other", labels=tuple(reversed(photos.LABELS)))
    again = write_metadata(written, other)
    assert again == write_metadata(content, other)
    found = read_metadata(again)
    assert found is not None
    assert (found.name, found.labels) == ("other", other.labels)


def test_multilabel_regressor_and_features() -> None:
    content = photos.float_in_graph("sigmoid")
    card = replace(CARD, metadata_kind="multilabel_classifier", threshold=0.25)
    found = read_metadata(write_metadata(content, card))
    assert found is not None
    assert (found.metadata_kind, found.threshold) == ("multilabel_classifier", 0.25)
    content = photos.float_in_graph("linear")
    written = write_metadata(content, replace(CARD, metadata_kind="regressor"))
    found = read_metadata(written)
    assert found is not None
    assert (found.metadata_kind, found.labels) == ("regressor", photos.LABELS)
    (target,) = describe(written)["subgraph_metadata"][0]["output_tensor_metadata"]
    assert target["name"] == "value"
    # A value has no limits that are known.
    assert "max" not in target["stats"]
    found = read_metadata(write_metadata(content, ModelCard(name="f", metadata_kind="features")))
    assert found is not None
    assert (found.metadata_kind, found.labels) == ("features", ())


def test_a_file_without_metadata() -> None:
    assert read_metadata(photos.float_core()) is None


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (photos.LABELS[:5], "expected 6 labels, one per output. Received: 5"),
        ((*photos.LABELS[:5], "rocket"), "no two alike. Received: label='rocket'"),
        ((*photos.LABELS[:5], "a\nb"), "labels of one line each"),
        ((*photos.LABELS[:5], " "), "not blank"),
        ((), "expected the labels of a classifier"),
    ],
)
def test_labels_that_cannot_be(labels: tuple[str, ...], message: str) -> None:
    with pytest.raises(ModelError) as caught:
        write_metadata(photos.float_in_graph(), replace(CARD, labels=labels))
    assert message in str(caught.value)


def test_unknown_kind() -> None:
    with pytest.raises(ModelError, match=r"metadata_kind='detector'"):
        ModelCard(name="x", metadata_kind="detector")


@pytest.mark.parametrize("preprocessing", [None, photos.ZERO_TO_ONE, photos.PER_CHANNEL])
@pytest.mark.parametrize("io", ["uint8", "int8"])
def test_a_quantized_input_must_stand_for_the_preprocessing(
    io: str, preprocessing: Preprocessing | None
) -> None:
    with pytest.raises(ModelError, match=r"expected an input whose scale and zero point make"):
        write_metadata(photos.quantized(io=io), replace(CARD, preprocessing=preprocessing))


def test_outputs_that_change_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    from tfxfer_edge.tflite import metadata_writer

    def spoil(content: bytes) -> Any:
        model = read_model(content)
        weights = max(model.buffers, key=lambda x: 0 if x.data is None else len(x.data))
        weights.data = weights.data[::-1].copy()
        return model

    monkeypatch.setattr(metadata_writer, "read_model", spoil)
    with pytest.raises(ModelError, match=r"expected the same outputs"):
        write_metadata(photos.quantized(), replace(CARD, preprocessing=photos.MINUS_ONE_TO_ONE))


def test_a_card_read_otherwise_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    from tfxfer_edge.tflite import metadata_writer

    def forget(content: bytes) -> ModelCard:
        found = read_metadata(content)
        assert found is not None
        return replace(found, author="somebody")

    monkeypatch.setattr(metadata_writer, "read_metadata", forget)
    with pytest.raises(ModelError, match=r"author='somebody' for 'Ünal'"):
        write_metadata(photos.float_in_graph(), CARD)


def test_a_truncated_file_has_lost_its_labels() -> None:
    written = write_metadata(photos.float_in_graph(), CARD)
    start = written.index(b"PK\3\4")
    for length in (start, start + 40, len(written) - 5):
        with pytest.raises(ModelError, match=r"expected the file '.+' that it names"):
            read_metadata(written[:length])
    with pytest.raises(ModelError):
        TFLiteModel(written[: start // 2])


def test_damaged_metadata_is_one_line() -> None:
    written = write_metadata(photos.float_in_graph(), CARD)
    at = written.index(b"M001") - 4
    rng = np.random.default_rng(0)
    fine = read_metadata(written)
    refused = []
    for _ in range(60):
        damaged = bytearray(written)
        for spot in rng.integers(at, at + 300, 3):
            damaged[spot] = rng.integers(0, 256)
        try:
            read_metadata(bytes(damaged))
        except ModelError as error:
            refused.append(str(error))
    assert len(refused) > 10
    assert not any("\n" in line for line in refused)
    assert read_metadata(written) == fine


def test_the_reference_file(shared: Path) -> None:
    path = shared / "reference" / "mobilenet_v1_0.25_224_quant_with_metadata.tflite"
    content = path.read_bytes()
    found, document = read_metadata(content), describe(content)
    assert found is not None
    for field, key in (
        ("name", "name"),
        ("description", "description"),
        ("version", "version"),
        ("author", "author"),
        ("licence", "license"),
    ):
        assert getattr(found, field) == document[key]
    (source,) = document["subgraph_metadata"][0]["input_tensor_metadata"]
    options = source["process_units"][0]["options"]
    assert found.preprocessing is not None
    assert found.preprocessing.mean == pytest.approx(tuple(options["mean"]) * 3)
    assert found.preprocessing.std == pytest.approx(tuple(options["std"]) * 3)
    (target,) = document["subgraph_metadata"][0]["output_tensor_metadata"]
    with zipfile.ZipFile(BytesIO(content)) as archive:
        lines = archive.read(target["associated_files"][0]["name"]).decode().splitlines()
    assert list(found.labels) == lines
    assert len(lines) == 1001
    model = TFLiteModel(path)
    cat = resize_image(open_image(photos.FILES[photos.LABELS.index("chelsea")]), 224)
    scores = model.score(cat[None])[0]
    best = [found.labels[number] for number in scores.argsort()[::-1][:3]]
    assert any("cat" in label for label in best), best


def test_rewritten_reference_file_keeps_its_scores(shared: Path) -> None:
    path = shared / "reference" / "tf2_mobilenet_v2_1.0_224_ptq.tflite"
    model = TFLiteModel(path)
    card = ModelCard(
        name="mobilenet_v2",
        labels=tuple(f"class {number}" for number in range(model.outputs)),
        preprocessing=model.preprocessing,
    )
    written = TFLiteModel(write_metadata(path.read_bytes(), card))
    pixels = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), np.uint8)
    assert (written.score(pixels) == model.score(pixels)).all()


def test_tflite_support_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libusb, "find_spec", lambda name: None)
    monkeypatch.setattr(sys, "version_info", (3, 11, 7))
    with pytest.raises(PluginImportError) as caught:
        write_metadata(photos.float_in_graph(), CARD)
    assert str(caught.value).endswith("pip install 'tfxfer-edge[metadata]'")
    assert "\n" not in str(caught.value)
    monkeypatch.setattr(sys, "version_info", (3, 12, 1))
    with pytest.raises(PluginImportError, match=r"Received: Python 3\.12\. Write the metadata in"):
        write_metadata(photos.float_in_graph(), CARD)


def test_libusb_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise OSError("libusb-1.0.so.0: cannot open shared object file")

    monkeypatch.setattr(libusb.ctypes, "CDLL", fail)
    with pytest.raises(PluginImportError, match=r"expected libusb-1\.0\.so\.0.*pip install"):
        libusb.load_libusb()
    monkeypatch.setitem(sys.modules, "libusb_package", None)
    with pytest.raises(PluginImportError, match=r"expected libusb-1\.0\.so\.0.*pip install"):
        libusb.load_libusb()


def test_reading_needs_no_tflite_support(monkeypatch: pytest.MonkeyPatch) -> None:
    written = write_metadata(photos.float_in_graph(), CARD)
    for name in [x for x in sys.modules if x.startswith("tensorflow_lite_support")]:
        monkeypatch.setitem(sys.modules, name, None)
    found = read_metadata(written)
    assert found is not None
    assert found.labels == photos.LABELS
