"""Texts the whole way: a run, its files, what they say of themselves, and who reads them."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import zipfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfxfer.cli.main import run
from tfxfer.errors import DataError, ModelError, UsageError
from tfxfer.inference.loading import load_predictor
from tfxfer.inference.scoring import predict
from tfxfer.run.directory import RunDirectory
from tfxfer.sample import Sample
from tfxfer_edge import convert, export, freeze, read_metadata, write_metadata
from tfxfer_edge.predictor import read_file_modality
from tfxfer_edge.proof.mediapipe import MediaPipeTexts
from tfxfer_edge.proof.parity import Parity
from tfxfer_edge.proof.text_parity import check_text_parity, find_foreign_case
from tfxfer_edge.tflite.flatbuffer import list_operators, read_model
from tfxfer_edge.tflite.packed_files import append_files, read_files
from tfxfer_edge.tflite.rewrites import name_ends
from tfxfer_edge.tflite.sample_model import SampleModel

from . import text_classifier as texts
from .tflite.mediapipe_schema import import_schema, read_with_schema
from .tflite.tflite_support import import_tflite_support

SENTENCES = (
    "We had bread and soup.",
    "the STORM was very good!",
    "a violin and a flute",
    "nothing that the vocabulary knows",
    "sun " * 40,
)
INPUTS = ["ids", "mask", "segment_ids"]


@pytest.fixture(scope="session")
def text_run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """A classifier of texts; tests must not change it."""
    return texts.train(tmp_path_factory.mktemp("texts"))


@pytest.fixture(scope="session")
def text_export(text_run: RunDirectory, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of its export in all recipes of texts; tests must not change it."""
    out = tmp_path_factory.mktemp("out") / "edge"
    recipes = ("float32", "float16", "dynamic_w8", "int8")
    assert export(text_run, out, recipes=recipes, max_drop=None, force=True).path == out
    return out


@pytest.fixture(scope="session")
def text_model(text_run: RunDirectory) -> Any:
    from tfxfer.inference.keras_model import load_model

    return load_model(text_run.path)


@pytest.fixture
def dynamic(text_export: Path) -> bytes:
    return (text_export / "model_dynamic_w8.tflite").read_bytes()


def read_document(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / "export.json").read_text())
    return document


def test_every_recipe_has_three_int32_inputs_of_the_runs_size(text_export: Path) -> None:
    for recipe in ("float32", "float16", "dynamic_w8", "int8"):
        model = SampleModel(text_export / f"model_{recipe}.tflite")
        assert sorted(end.name for end in model.inputs) == INPUTS
        assert {(end.shape, end.dtype) for end in model.inputs} == {((1, texts.SIZE), "int32")}
        assert model.output.dtype == ("uint8" if recipe == "int8" else "float32")
        assert not any("Flex" in name for name in list_operators(model.content))


def test_the_table_of_words_has_fewer_bits_too(text_export: Path) -> None:
    sizes = {item["recipe"]: item["bytes"] for item in read_document(text_export)["candidates"]}
    # Half and a quarter of the weights; names, metadata and the vocabulary are the rest.
    packed = sum(map(len, read_files((text_export / "model_float32.tflite").read_bytes()).values()))
    weights = sizes["float32"] - packed
    assert sizes["float16"] - packed < 0.62 * weights
    assert sizes["dynamic_w8"] - packed < 0.42 * weights
    assert sizes["int8"] - packed < 0.45 * weights


def test_scores_are_those_of_keras(text_run: RunDirectory, text_export: Path) -> None:
    keras = predict(str(text_run.path), list(SENTENCES))
    for recipe, tolerance in (("float32", 1e-5), ("float16", 1e-3), ("dynamic_w8", 0.03)):
        found = predict(str(text_export / f"model_{recipe}.tflite"), list(SENTENCES))
        for ours, theirs in zip(found, keras, strict=True):
            assert ours["text"] == theirs["text"]
            assert ours["scores"] == pytest.approx(theirs["scores"], abs=tolerance)
    # A tolerance that any two texts keep would tell nothing.
    spread = np.ptp([list(item["scores"].values()) for item in keras], axis=0)
    assert spread.max() > 0.1


def test_the_parity_is_recorded_for_three_clients(text_export: Path) -> None:
    pytest.importorskip("mediapipe")
    parity = read_document(text_export)["parity"]
    assert parity["contract"] is None
    assert parity["mediapipe_note"] is None
    for way in ("interpreter", "mediapipe"):
        assert parity[way]["top1"] == 1.0
        assert parity[way]["largest"] < 0.05
    assert parity["images"] > 10
    assert read_document(text_export)["samples"] == "texts"


def test_another_vocabulary_in_the_file_is_found(
    text_run: RunDirectory, dynamic: bytes, tmp_path: Path
) -> None:
    card = read_metadata(dynamic)
    assert card is not None
    lines = card.assets["vocab.txt"].split(b"\n")
    at = [lines.index(word) for word in (b"bread", b"storm")]
    lines[at[0]], lines[at[1]] = lines[at[1]], lines[at[0]]
    vocabulary = b"\n".join(lines)
    contract = {**(card.contract or {}), "sha256": hashlib.sha256(vocabulary).hexdigest()}
    swapped = replace(card, contract=contract, assets={"vocab.txt": vocabulary})
    content = write_metadata(dynamic[: read_length(dynamic)], swapped)
    samples = [Sample(text, content=text) for text in SENTENCES]
    predictor = load_predictor(text_run.path)
    found = check_text_parity(predictor, content, samples)
    assert isinstance(found, Parity)
    assert found.fault is not None
    assert found.fault.startswith("tokens: ")
    assert check_text_parity(predictor, dynamic, samples).fault is None


def read_length(content: bytes) -> int:
    """Returns where the flatbuffer of a file ends and what is packed behind it begins."""
    return content.index(b"PK\x03\x04")


def test_mediapipe_reads_the_file_by_its_metadata(text_run: RunDirectory, dynamic: bytes) -> None:
    pytest.importorskip("mediapipe")
    model = SampleModel(dynamic)
    keras = load_predictor(text_run.path)
    with MediaPipeTexts(model) as client:
        for text, expected in zip(SENTENCES, predict(keras, list(SENTENCES)), strict=True):
            scores, names = client.classify(text)
            assert names == keras.labels
            assert scores == pytest.approx(list(expected["scores"].values()), abs=0.03)


def test_metadata_reads_back_equal(text_run: RunDirectory, dynamic: bytes) -> None:
    card = read_metadata(dynamic)
    assert card is not None
    assert (card.modality, card.size) == ("text", texts.SIZE)
    assert card.labels == tuple(text_run.read_labels())
    vocabulary = text_run.path.parent / "bert" / "vocab.txt"
    assert card.assets == {"vocab.txt": vocabulary.read_bytes()}
    assert read_metadata(write_metadata(dynamic, card)) == card


def test_mediapipes_schema_reads_the_tokenizer(dynamic: bytes) -> None:
    schema, found = import_schema(), read_with_schema(dynamic)
    assert found.minParserVersion == b"1.1.0"
    (graph,) = found.subgraphMetadata
    named = [item.name.decode() for item in graph.inputTensorMetadata]
    model = read_model(dynamic)
    tensors = model.subgraphs[0].tensors
    # In the file's own order, whatever that is.
    assert named == [tensors[index].name.decode() for index in model.subgraphs[0].inputs]
    assert sorted(named) == INPUTS
    (unit,) = graph.inputProcessUnits
    assert unit.optionsType == schema.ProcessUnitOptions.BertTokenizerOptions
    (vocabulary,) = unit.options.vocabFile
    assert vocabulary.name == b"vocab.txt"
    assert vocabulary.type == schema.AssociatedFileType.VOCABULARY
    (target,) = graph.outputTensorMetadata
    assert target.name == b"probability"


def test_tflite_support_reads_the_same(dynamic: bytes) -> None:
    support, _ = import_tflite_support()
    displayer = support.MetadataDisplayer.with_model_buffer(bytearray(dynamic))
    document = json.loads(displayer.get_metadata_json())
    (graph,) = document["subgraph_metadata"]
    assert sorted(item["name"] for item in graph["input_tensor_metadata"]) == INPUTS
    (unit,) = graph["input_process_units"]
    assert unit["options_type"] == "BertTokenizerOptions"
    assert unit["options"]["vocab_file"][0]["name"] == "vocab.txt"
    assert "vocab.txt" in displayer.get_packed_associated_file_list()


def test_inputs_are_found_by_name_in_any_order(dynamic: bytes) -> None:
    model = read_model(dynamic)
    names = [tensor.name.decode() for tensor in model.subgraphs[0].tensors]
    assert names.count("ids") == 1
    again = name_ends(dynamic, sources=INPUTS[::-1], target="scores", signature="other")
    (signature,) = read_model(again).signatureDefs
    assert [item.name.decode() for item in signature.inputs] == INPUTS[::-1]
    with pytest.raises(ModelError, match=r"expected the inputs ids, mask, types"):
        name_ends(dynamic, sources=("ids", "mask", "types"), target="scores", signature="other")


def test_a_damaged_vocabulary_is_told(dynamic: bytes, tmp_path: Path) -> None:
    files = read_files(dynamic)
    files["vocab.txt"] = files["vocab.txt"].replace(b"bread", b"broad")
    path = tmp_path / "damaged.tflite"
    path.write_bytes(append_files(dynamic[: read_length(dynamic)], files))
    with pytest.raises(ModelError, match=r"damaged.tflite.*'vocab.txt' with sha256"):
        load_predictor(path)


def test_a_packed_file_is_not_unpacked_beyond_all_measure(dynamic: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bomb.tflite"
    path.write_bytes(dynamic[: read_length(dynamic)])
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        for name, data in read_files(dynamic).items():
            # What is needed is all there, and the vocabulary is 32 MB of nothing.
            archive.writestr(name, data if name != "vocab.txt" else bytes((1 << 25) + 1))
    with pytest.raises(ModelError, match="at most 100 packed files, and 32 MB of those"):
        load_predictor(path)


def test_predict_takes_texts_for_a_file_alone(
    text_export: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    alone = tmp_path / "alone.tflite"
    alone.write_bytes((text_export / "model_dynamic_w8.tflite").read_bytes())
    assert read_file_modality(alone) == "text"
    (broken := tmp_path / "broken.tflite").write_bytes(alone.read_bytes()[:1000])
    assert read_file_modality(broken) == "image"  # what is wrong is told when it is opened
    assert run(["predict", str(alone), *SENTENCES[:2], "--json"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert [item["text"] for item in found] == list(SENTENCES[:2])
    expected = predict(load_predictor(alone), [Sample(x, content=x) for x in SENTENCES[:2]])
    assert [item["label"] for item in found] == [item["label"] for item in expected]


def test_a_card_needs_a_vocabulary_and_the_three_inputs(dynamic: bytes) -> None:
    card = read_metadata(dynamic)
    assert card is not None
    bare = dynamic[: read_length(dynamic)]
    with pytest.raises(ModelError, match=r"expected a vocab.txt"):
        write_metadata(bare, replace(card, assets={}))
    with pytest.raises(ModelError, match=r"three int32 inputs of 17 tokens"):
        write_metadata(bare, replace(card, size=17))


def test_calibration_is_by_the_names_of_the_inputs(text_model: Any) -> None:
    graph = freeze(text_model)
    assert [item.name for item in graph.inputs] == INPUTS
    rows = {name: np.ones((12, texts.SIZE), np.int32) for name in INPUTS}
    made = convert(graph, recipe="int8", calibration=rows)
    assert made.modality == "text"
    # What has no integer kernel is told.
    assert any("compute in float" in note for note in made.notes)
    with pytest.raises(UsageError, match=r"real texts"):
        convert(graph, recipe="int8")
    del rows["mask"]
    with pytest.raises(DataError, match=r"as many of each"):
        convert(graph, recipe="int8", calibration=rows)


@pytest.mark.parametrize("engine", ["quantizer", "converter"])
def test_both_engines_make_integer_files(
    engine: Any, text_model: Any, text_run: RunDirectory
) -> None:
    from tfxfer.preprocessing import Preprocessing

    predictor = load_predictor(text_run.path)
    read = [
        predictor.modality.read(
            Sample(text, content=text), size=texts.SIZE, contract=predictor.contract
        )
        for text in SENTENCES * 3
    ]
    rows: Any = {name: np.concatenate([item[name] for item in read]) for name in INPUTS}
    graph = freeze(text_model)
    made = convert(graph, recipe="int8", calibration=rows, engine=engine)
    kinds = Counter(end.dtype for end in SampleModel(made.content).inputs)
    assert kinds == {"int32": 3}
    off = np.abs(SampleModel(made.content).score(rows) - predictor.score(rows))
    assert off.mean() < 0.1
    with pytest.raises(UsageError, match=r"which is of pixels"):
        freeze(text_model, preprocessing=Preprocessing())


def test_the_program_beside_the_file_answers_as_we_do(text_export: Path) -> None:
    document = read_document(text_export)
    file = f"model_{document['chosen']}.tflite"
    for text in SENTENCES[:2]:
        done = subprocess.run(
            [sys.executable, str(text_export / "run.py"), text],
            capture_output=True,
            text=True,
            check=True,
        )
        score, label = done.stdout.splitlines()[0].split(" ", 1)
        (expected,) = predict(str(text_export / file), [text])
        assert label == expected["label"]
        assert float(score) == pytest.approx(expected["score"], abs=1e-4)


def test_the_page_speaks_of_texts(text_export: Path) -> None:
    page = (text_export / "README.md").read_text(encoding="utf-8")
    kotlin = (text_export / "Classifier.kt").read_text(encoding="utf-8")
    swift = (text_export / "Classifier.swift").read_text(encoding="utf-8")
    assert "TextClassifier.TextClassifierOptions" in kotlin
    assert "TextClassifierOptions()" in swift
    assert 'python run.py "some text"' in page
    assert "ms a text here" in page
    for word in ("photo", "pixel", "image"):
        assert word not in (page + kotlin + swift).lower(), word


def test_a_vocabulary_with_capitals_is_none_for_mediapipe() -> None:
    assert find_foreign_case({"lowercase": True}) is None
    assert "lower case" in str(find_foreign_case({"lowercase": False}))


@pytest.mark.slow
def test_a_cased_vocabulary_is_warned_of(tmp_path: Path) -> None:
    run = texts.train(tmp_path, cased=True)
    result = export(run, tmp_path / "edge", recipes=("float32",), max_drop=None, force=True)
    (remark,) = result.document["remarks"]
    assert "lower case" in remark
    assert result.document["parity"]["mediapipe"] is None
    assert "lower case" in result.document["parity"]["mediapipe_note"]
    page = (tmp_path / "edge" / "README.md").read_text(encoding="utf-8")
    assert "TextClassifierOptions" not in page
    (answer,) = predict(str(tmp_path / "edge" / "model_float32.tflite"), ["Rain and Soup"])
    (keras,) = predict(str(run.path), ["Rain and Soup"])
    assert answer["scores"] == pytest.approx(keras["scores"], abs=1e-5)


def test_onnx_takes_the_three_inputs(text_model: Any, text_run: RunDirectory) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("tf2onnx")
    from tfxfer_edge.conversion.onnx import OnnxModel

    made = convert(text_model, recipe="onnx")
    predictor = load_predictor(text_run.path)
    rows: Any = predictor.modality.read(
        Sample("", content=SENTENCES[0]), size=texts.SIZE, contract=predictor.contract
    )
    found = OnnxModel(made.content).score(rows)
    np.testing.assert_allclose(found, predictor.score(rows), atol=1e-5)


def test_an_onnx_file_brings_its_vocabulary(text_run: RunDirectory, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("tf2onnx")
    from tfxfer_edge.proof.feed import find_feed, find_values

    names, sentence = ("onnx", "onnx_int8"), SENTENCES[0]
    out = tmp_path / "edge"
    document = export(text_run, out, recipes=names, max_drop=None, force=True).document
    assert [item["engine"] for item in document["candidates"]] == ["keras", "onnxruntime"]
    (keras,) = predict(str(text_run.path), [sentence])
    for name, near in zip(names, (1e-4, 0.2), strict=True):
        path = tmp_path / f"{name}.onnx"  # alone: nothing beside it helps
        path.write_bytes((out / f"model_{name}.onnx").read_bytes())
        (answer,) = predict(str(path), [sentence])
        assert answer["scores"] == pytest.approx(keras["scores"], abs=near)
        ranges = {item.name: (item.low, item.high) for item in find_values(path)}
        assert ranges == {"ids": (0, 1), "mask": (1, 1), "segment_ids": (0, 0)}
        assert find_feed(path).words.endswith("random tokens (seed 0), the most that it takes")


def test_the_ladder_of_texts_has_no_16_bit_activations(text_run: RunDirectory) -> None:
    from tfxfer_edge.request import check_request

    checked = check_request(text_run, text_run.path / "new", force=True)
    assert checked.recipes == ("int8", "dynamic_w8", "float16")
