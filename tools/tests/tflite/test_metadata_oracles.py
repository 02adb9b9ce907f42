"""What we write, read by programs of others, and compared with what the former writer wrote."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tfxfer import Preprocessing
from tfxfer.preprocessing import Resize
from tfxfer_edge.tflite.card import CONTRACT_FILE, LABELS_FILE, ModelCard
from tfxfer_edge.tflite.interpreter import TFLiteModel
from tfxfer_edge.tflite.metadata_writer import write_metadata
from tfxfer_edge.tflite.packed_files import list_files

from .. import photo_classifier as photos
from .mediapipe_schema import import_schema, read_with_schema
from .tflite_support import import_tflite_support, populate

CARD = ModelCard(
    name="photos",
    description="What a photo shows.",
    version="3",
    author="Ünal",
    licence="Apache-2.0",
    labels=photos.LABELS,
)
FILES: dict[str, tuple[Any, Preprocessing | None]] = {
    "in_graph": (photos.float_in_graph, None),
    "core": (photos.float_core, photos.MINUS_ONE_TO_ONE),
    "per_channel": (lambda: photos.float_core(photos.PER_CHANNEL), photos.PER_CHANNEL),
    "uint8": (photos.quantized, photos.MINUS_ONE_TO_ONE),
    "int8": (lambda: photos.quantized(io="int8"), photos.MINUS_ONE_TO_ONE),
}


@pytest.mark.parametrize("name", FILES)
def test_mediapipes_schema_reads_what_was_written(name: str) -> None:
    schema, (make, preprocessing) = import_schema(), FILES[name]
    found = read_with_schema(write_metadata(make(), replace(CARD, preprocessing=preprocessing)))
    assert found.name == b"photos"
    assert found.description == b"What a photo shows."
    assert found.version == b"3"
    assert found.license == b"Apache-2.0"
    assert found.author.decode() == "Ünal"
    assert found.minParserVersion == b"1.0.0"
    (contract,) = found.associatedFiles
    assert (contract.name.decode(), contract.type) == (
        CONTRACT_FILE,
        schema.AssociatedFileType.UNKNOWN,
    )
    (graph,) = found.subgraphMetadata
    (source,), (target,) = graph.inputTensorMetadata, graph.outputTensorMetadata
    assert source.name == b"image"
    assert source.description == b"RGB photo, 64 x 64, resized: stretch, bilinear, antialiased."
    (unit,) = source.processUnits
    wanted = preprocessing or Preprocessing()
    channels = 1 if wanted.is_uniform else 3
    assert unit.optionsType == schema.ProcessUnitOptions.NormalizationOptions
    assert unit.options.mean == pytest.approx(wanted.mean[:channels], rel=1e-5)
    assert unit.options.std == pytest.approx(wanted.std[:channels], rel=1e-5)
    assert source.content.contentPropertiesType == schema.ContentProperties.ImageProperties
    image = source.content.contentProperties
    assert image.colorSpace == schema.ColorSpaceType.RGB
    assert (image.defaultSize.width, image.defaultSize.height) == (64, 64)
    low, high = zip(*wanted.output_range[:channels], strict=True)
    limits = {"uint8": (0.0, 255.0), "int8": (-128.0, 127.0)}.get(name)
    assert source.stats.min == pytest.approx(low if limits is None else limits[:1], rel=1e-5)
    assert source.stats.max == pytest.approx(high if limits is None else limits[1:], rel=1e-5)
    assert target.name == b"probability"
    assert target.content.contentPropertiesType == schema.ContentProperties.FeatureProperties
    assert (list(target.stats.min), list(target.stats.max)) == tuple(
        [x] for x in limits or (0.0, 1.0)
    )
    (labels,) = target.associatedFiles
    assert (labels.name.decode(), labels.type) == (
        LABELS_FILE,
        schema.AssociatedFileType.TENSOR_AXIS_LABELS,
    )


def test_a_value_has_no_limits_that_are_known() -> None:
    card = replace(CARD, metadata_kind="regressor")
    found = read_with_schema(write_metadata(photos.float_in_graph("linear"), card))
    (target,) = found.subgraphMetadata[0].outputTensorMetadata
    assert target.name == b"value"
    assert (target.stats.min, target.stats.max) == (None, None)


def describe(content: bytes) -> dict[str, Any]:
    """Returns what tflite-support reads: every field of the metadata, and the packed files."""
    support, _ = import_tflite_support()
    displayer = support.MetadataDisplayer.with_model_buffer(bytearray(content))
    document: dict[str, Any] = json.loads(displayer.get_metadata_json())
    packed = displayer.get_packed_associated_file_list()
    files = {name: bytes(displayer.get_associated_file_buffer(name)) for name in packed}
    return {"metadata": document, "files": files}


def write_with_tflite_support(content: bytes, card: ModelCard) -> bytes:
    """Returns the file as the former reference writes it: its own classes, its own `populate`."""
    _, schema = import_tflite_support()
    model = TFLiteModel(content, preprocessing=Preprocessing())
    preprocessing = card.preprocessing or Preprocessing()
    channels = 1 if preprocessing.is_uniform else 3

    source = schema.TensorMetadataT()
    source.name = "image"
    filtered = "antialiased" if card.resize.antialias else "not antialiased"
    source.description = (
        f"RGB photo, 64 x 64, resized: {card.resize.fit}, {card.resize.method}, {filtered}."
    )
    source.content = schema.ContentT()
    source.content.contentPropertiesType = schema.ContentProperties.ImageProperties
    image = source.content.contentProperties = schema.ImagePropertiesT()
    image.colorSpace = schema.ColorSpaceType.RGB
    image.defaultSize = schema.ImageSizeT()
    image.defaultSize.height = image.defaultSize.width = 64
    unit = schema.ProcessUnitT()
    unit.optionsType = schema.ProcessUnitOptions.NormalizationOptions
    unit.options = schema.NormalizationOptionsT()
    unit.options.mean = list(preprocessing.mean[:channels])
    unit.options.std = list(preprocessing.std[:channels])
    source.processUnits = [unit]
    source.stats = schema.StatsT()
    ranges = preprocessing.output_range[:channels]
    if model.input.dtype == "uint8":
        ranges = ((0.0, 255.0),)
    source.stats.min, source.stats.max = ([pair[end] for pair in ranges] for end in (0, 1))

    target = schema.TensorMetadataT()
    target.name, target.description = {
        "classifier": ("probability", "Probability of each label; they add up to 1."),
        "multilabel_classifier": ("probability", "Probability of each label on its own."),
        "regressor": ("value", "One value per label, in the label's unit."),
        "features": ("features", "A feature vector."),
    }[card.metadata_kind]
    target.content = schema.ContentT()
    target.content.contentPropertiesType = schema.ContentProperties.FeatureProperties
    target.content.contentProperties = schema.FeaturePropertiesT()
    target.stats = schema.StatsT()
    if model.output.dtype == "uint8":
        target.stats.min, target.stats.max = [0.0], [255.0]
    elif "classifier" in card.metadata_kind:
        target.stats.min, target.stats.max = [0.0], [1.0]
    if card.labels:
        labels = schema.AssociatedFileT()
        labels.name, labels.type = LABELS_FILE, schema.AssociatedFileType.TENSOR_AXIS_LABELS
        labels.description = "One label a line, in the order of the outputs."
        target.associatedFiles = [labels]

    graph = schema.SubGraphMetadataT()
    graph.inputTensorMetadata, graph.outputTensorMetadata = [source], [target]
    contract = schema.AssociatedFileT()
    contract.name, contract.type = CONTRACT_FILE, schema.AssociatedFileType.UNKNOWN
    contract.description = "Kind of task, and how a photo becomes the square."
    metadata = schema.ModelMetadataT()
    metadata.name, metadata.description = card.name, card.description
    metadata.version, metadata.author = card.version, card.author
    metadata.license = card.licence
    metadata.subgraphMetadata, metadata.associatedFiles = [graph], [contract]
    return populate(content, metadata, list_files(card))


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    "card",
    [
        CARD,
        replace(CARD, resize=Resize(fit="crop", method="nearest", antialias=False)),
        replace(CARD, metadata_kind="multilabel_classifier", threshold=0.25),
        replace(CARD, metadata_kind="regressor"),
        replace(CARD, metadata_kind="features", labels=()),
    ],
    ids=["classifier", "resize", "multilabel", "regressor", "features"],
)
def test_tflite_support_would_have_written_the_same(name: str, card: ModelCard) -> None:
    import_tflite_support()
    make, preprocessing = FILES[name]
    content, card = make(), replace(card, preprocessing=preprocessing)
    ours, theirs = write_metadata(content, card), write_with_tflite_support(content, card)
    wanted = describe(theirs)
    assert describe(ours) == wanted
    assert wanted["metadata"]["min_parser_version"] == "1.0.0"
    pixels = photos.squares()
    scores = [
        TFLiteModel(x, preprocessing=photos.MINUS_ONE_TO_ONE).score(pixels)
        for x in (content, ours, theirs)
    ]
    np.testing.assert_array_equal(scores[1], scores[0])
    np.testing.assert_array_equal(scores[2], scores[0])


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"description": ""},
        {"version": "4"},
        {"author": "Unal"},
        {"licence": "MIT"},
        {"labels": photos.LABELS[::-1]},
        {"metadata_kind": "multilabel_classifier"},
        {"preprocessing": photos.ZERO_TO_ONE},
        {"preprocessing": photos.PER_CHANNEL},
        {"resize": Resize(fit="pad")},
        {"threshold": 0.5},
    ],
    ids=str,
)
def test_any_other_card_is_not_the_same(change: dict[str, Any]) -> None:
    """The control of the test above: nothing of a card goes unseen."""
    import_tflite_support()
    card = replace(CARD, preprocessing=photos.MINUS_ONE_TO_ONE)
    wanted = describe(write_with_tflite_support(photos.float_core(), card))
    assert describe(write_metadata(photos.float_core(), replace(card, **change))) != wanted
