from __future__ import annotations

import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from tfxfer.errors import ModelError
from tfxfer.images.decode import open_image, resize_image
from tfxfer_edge.tflite.card import LABELS_FILE, ModelCard
from tfxfer_edge.tflite.interpreter import TFLiteModel
from tfxfer_edge.tflite.metadata_reader import read_metadata
from tfxfer_edge.tflite.metadata_writer import write_metadata

from .. import photo_classifier as photos
from .mediapipe_schema import import_schema, read_with_schema

CARD = ModelCard(name="photos", author="Ünal", labels=photos.LABELS)
REFERENCE = "mobilenet_v1_0.25_224_quant_with_metadata.tflite"
PUBLISHED = (REFERENCE, "tf2_mobilenet_v2_1.0_224_ptq.tflite")


def test_a_file_without_metadata() -> None:
    assert read_metadata(photos.float_core()) is None


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


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_files(shared: Path, name: str) -> None:
    """The metadata of real, accepted classifiers, as MediaPipe's own schema has it."""
    schema = import_schema()
    content = (shared / "reference" / name).read_bytes()
    found, document = read_metadata(content), read_with_schema(content)
    assert found is not None
    for ours, theirs in (
        (found.name, document.name),
        (found.description, document.description),
        (found.version, document.version),
        (found.author, document.author),
        (found.licence, document.license),
    ):
        assert ours == (theirs or b"").decode()
    (source,) = document.subgraphMetadata[0].inputTensorMetadata
    (options,) = [
        unit.options
        for unit in source.processUnits
        if unit.optionsType == schema.ProcessUnitOptions.NormalizationOptions
    ]
    assert found.preprocessing is not None
    assert found.preprocessing.mean == pytest.approx(tuple(options.mean) * 3)
    assert found.preprocessing.std == pytest.approx(tuple(options.std) * 3)
    (target,) = document.subgraphMetadata[0].outputTensorMetadata
    with zipfile.ZipFile(BytesIO(content)) as archive:
        lines = archive.read(target.associatedFiles[0].name.decode()).decode().splitlines()
    assert list(found.labels) == lines
    assert len(lines) == 1001
    model = TFLiteModel(content)
    cat = resize_image(open_image(photos.FILES[photos.LABELS.index("chelsea")]), 224)
    scores = model.score(cat[None])[0]
    best = [found.labels[number] for number in scores.argsort()[::-1][:3]]
    assert any("cat" in label for label in best), best


def describe_archive(content: bytes) -> dict[str, set[int]]:
    """Returns how files are packed: what a phone that maps them depends on."""
    with zipfile.ZipFile(BytesIO(content)) as archive:
        members = archive.infolist()
        comment = archive.comment
    assert comment == b""
    return {
        "stored as they are": {item.compress_type for item in members},
        "flags": {item.flag_bits for item in members},
        "version": {item.extract_version for item in members},
        # Offsets count from the file's own start: a phone opens the whole file.
        "starts": {content[item.header_offset :][:4] == b"PK\3\4" for item in members},
    }


@pytest.mark.parametrize("name", PUBLISHED)
def test_files_are_packed_as_in_published_files(shared: Path, name: str) -> None:
    published = (shared / "reference" / name).read_bytes()
    written = write_metadata(photos.float_in_graph(), CARD)
    assert describe_archive(written) == describe_archive(published)
    # The control: a compressed label file is another archive.
    stream = BytesIO(photos.float_in_graph())
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(LABELS_FILE, "rocket\n")
    assert describe_archive(stream.getvalue()) != describe_archive(published)


def test_the_published_file_written_anew(shared: Path) -> None:
    content = (shared / "reference" / REFERENCE).read_bytes()
    card = read_metadata(content)
    assert card is not None
    names = tuple(f"{number} {label}" for number, label in enumerate(card.labels))
    before = TFLiteModel(content)
    # Its own metadata says 127.5, its input 128: a step apart at 255, which we refuse to write.
    again = ModelCard(name=card.name, labels=names, preprocessing=before.preprocessing)
    written = write_metadata(content, again)
    found = read_metadata(written)
    assert found is not None
    assert (found.name, found.labels) == (card.name, names)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), np.uint8)
    np.testing.assert_array_equal(TFLiteModel(written).score(pixels), before.score(pixels))
