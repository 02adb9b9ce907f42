from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest

from tfxfer.data.provenance import Provenance
from tfxfer.errors import ModelError
from tfxfer.preprocessing import Preprocessing, Resize
from tfxfer_edge.onnx.metadata import read_onnx_metadata, write_onnx_metadata
from tfxfer_edge.onnx.properties import read_properties, write_properties
from tfxfer_edge.tflite.card import ModelCard

from ..onnx_files import LABELS, build_onnx, paint_colours

onnx = pytest.importorskip("onnx")
CROP = Resize(fit="crop")
CARD = ModelCard(
    name="colours",
    description="what colour",
    version="2",
    author="nobody",
    licence="Apache-2.0",
    labels=("réd", "green", "blue"),
    metadata_kind="multilabel_classifier",
    preprocessing=Preprocessing.from_mean_std(
        mean=(124.0, 116.0, 104.0), std=(58.0, 57.0, 60.0), resize=CROP
    ),
    resize=CROP,
    threshold=0.25,
    white=4095,
    provenance=Provenance(frozenset({"00112233445566ff", "8899aabbccddeeff"})),
    head="few",
    head_options={"threshold": 0.25},
)


def test_a_card_is_read_as_it_was_written() -> None:
    found = read_onnx_metadata(write_onnx_metadata(build_onnx(), CARD, outputs=3))
    assert found is not None
    assert CARD.preprocessing is not None
    assert found.preprocessing is not None
    assert found.preprocessing.scale == pytest.approx(CARD.preprocessing.scale, rel=1e-12)
    assert found.preprocessing.offset == pytest.approx(CARD.preprocessing.offset, rel=1e-12)
    assert replace(found, preprocessing=None) == replace(CARD, preprocessing=None)


def test_files_that_a_contract_needs_travel_too() -> None:
    card = ModelCard(
        name="texts",
        labels=LABELS,
        modality="text",
        size=16,
        contract={"lowercase": True},
        assets={"vocab.txt": "[PAD]\nwörd\n".encode()},
    )
    written = write_onnx_metadata(build_onnx(), card, outputs=3)
    assert read_onnx_metadata(written) == card
    other = {"vocab.txt": base64.b64encode(b"other").decode()}
    changed = write_properties(written, {"tfxfer.assets": json.dumps(other)})
    with pytest.raises(ModelError, match=r"expected 'vocab\.txt' with sha256"):
        read_onnx_metadata(changed)


def test_others_read_it_and_the_graph_is_as_it_was() -> None:
    content = build_onnx()
    written = write_onnx_metadata(content, CARD, outputs=3)
    assert written.startswith(content)
    properties = {x.key: x.value for x in onnx.load_from_string(written).metadata_props}
    assert properties["labels"] == "réd\ngreen\nblue\n"
    assert properties == read_properties(written)
    runtime = pytest.importorskip("onnxruntime")
    sessions = [
        runtime.InferenceSession(each, providers=["CPUExecutionProvider"])
        for each in (content, written)
    ]
    pixels = paint_colours().transpose(0, 3, 1, 2).astype("float32")
    before, after = (session.run(None, {"pixels": pixels})[0] for session in sessions)
    assert (before == after).all()
    assert sessions[1].get_modelmeta().custom_metadata_map == properties


def test_a_file_that_says_nothing_has_no_card() -> None:
    assert read_onnx_metadata(build_onnx()) is None
    # Another tool's words under the same names are not taken for ours.
    assert read_onnx_metadata(write_properties(build_onnx(), {"labels": "{0: 'cat'}"})) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tfxfer.contract", "no json"),
        ("tfxfer.contract", '{"metadata_kind": "classifier", "resize": {}, "new": 1}'),
        ("normalization", "[1, 2]"),
        ("normalization", '{"mean": [0], "std": 0}'),
        ("tfxfer.trained_on", "%%%"),
        ("tfxfer.assets", "7"),
    ],
)
def test_damaged_properties_are_one_line(name: str, value: str) -> None:
    written = write_onnx_metadata(build_onnx(), CARD, outputs=3)
    with pytest.raises(ModelError) as caught:
        read_onnx_metadata(write_properties(written, {name: value}))
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    "labels", [("a", "b"), ("a", "b", "b"), ("a", " ", "b"), ()], ids=["two", "twin", "blank", "no"]
)
def test_labels_that_cannot_be_those_of_the_model_are_refused(labels: tuple[str, ...]) -> None:
    with pytest.raises(ModelError, match="expected"):
        write_onnx_metadata(build_onnx(), replace(CARD, labels=labels), outputs=3)
