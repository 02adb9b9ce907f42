"""The flat graph against KerasHub's own networks, which read the same folders with other code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfxfer import build_model
from tfxfer.errors import ModelError
from tfxfer.frontier.cut import list_crossing, make_prefix, make_suffix
from tfxfer.sample import Sample
from tfxfer_text import TextBackbone
from tfxfer_text.miniature import MINIATURE, draw_tensors, write_model
from tfxfer_text.network import build_encoder
from tfxfer_text.weights import load_encoder

EXACT = 1e-4


def make_encoder(config: Any, path: Path | None, *, size: int | None = 12) -> Any:
    import keras

    names = "ids", "mask", "segment_ids"
    inputs = {name: keras.Input((size,), dtype="int32", name=name) for name in names}
    model = keras.Model(list(inputs.values()), build_encoder(config, inputs))
    if path is not None:
        load_encoder(model, config, path)
    return model


def draw_inputs(config: Any, *, size: int = 12, count: int = 5) -> list[np.ndarray]:
    rng = np.random.default_rng(4)
    ids = rng.integers(0, config.vocabulary_size, (count, size)).astype(np.int32)
    lengths = rng.integers(3, size + 1, count)
    lengths[0] = size
    mask = (np.arange(size) < lengths[:, None]).astype(np.int32)
    segments = rng.integers(0, max(config.segments, 1), (count, size)).astype(np.int32)
    return [ids, mask, segments]


def ask_keras_hub(folder: Path, kind: str, inputs: list[np.ndarray]) -> np.ndarray:
    """Mean token vectors of KerasHub's network, averaged in numpy."""
    import keras_hub

    classes: Mapping[str, Any] = {
        "bert": keras_hub.models.BertBackbone,
        "distilbert": keras_hub.models.DistilBertBackbone,
    }
    network = classes[kind].from_preset(str(folder))
    ids, mask, segments = inputs
    given = {"token_ids": ids, "padding_mask": mask}
    if kind == "bert":
        found = network({**given, "segment_ids": segments})["sequence_output"]
    else:
        found = network(given)
    tokens, weights = np.asarray(found), mask[..., None]
    return (tokens * weights).sum(1) / weights.sum(1)


def differ(first: Any, second: Any) -> float:
    first, second = np.asarray(first), np.asarray(second)
    assert first.shape == second.shape
    return float(np.abs(first - second).max())


@pytest.mark.parametrize("kind", ["bert", "distilbert"])
def test_outputs_are_those_of_keras_hub(kind: Any, tmp_path: Path) -> None:
    config = MINIATURE if kind == "bert" else replace(MINIATURE, kind=kind, segments=0)
    # KerasHub's BERT has the GELU with a hyperbolic tangent, whatever config.json says.
    theirs, others = ("gelu_tanh", "gelu") if kind == "bert" else ("gelu", "gelu_tanh")
    # KerasHub asks for these names, and for a pooler of BERT's.
    prefix = "distilbert." if kind == "distilbert" else ""
    tensors = {f"{prefix}{name}": value for name, value in draw_tensors(config).items()}
    if kind == "bert":
        width = config.hidden_size
        tensors["pooler.dense.weight"] = np.zeros((width, width), np.float32)
        tensors["pooler.dense.bias"] = np.zeros(width, np.float32)
    folder = write_model(tmp_path / kind, config, tensors=tensors)
    weights, inputs = folder / "model.safetensors", draw_inputs(config)
    model = make_encoder(replace(config, activation=theirs), weights)
    expected = ask_keras_hub(folder, kind, inputs)
    assert differ(model(inputs), expected) < EXACT
    # The other GELU, another mask and other segments fail the same check.
    other = make_encoder(replace(config, activation=others), weights)
    assert differ(other(inputs), expected) > EXACT
    ids, mask, segments = inputs
    assert differ(model([ids, np.ones_like(mask), segments]), expected) > 10 * EXACT
    off = differ(model([ids, mask, 1 - segments]), expected)
    # DistilBERT has no segments: the input is there, and changes nothing.
    assert off < EXACT if kind == "distilbert" else off > 10 * EXACT


@pytest.mark.slow
def test_minilm_is_that_of_keras_hub(tmp_path: Path) -> None:
    from tfxfer_text import MiniLML6
    from tfxfer_text.sources import find_vocabulary, find_weights

    backbone, weights = MiniLML6(), find_weights("minilm_l6")
    config = backbone.config
    # For its configuration: the weights are the real ones.
    write_model(tmp_path, config, tensors={})
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / "vocab.txt").unlink()
    (tmp_path / "model.safetensors").symlink_to(weights)
    (tmp_path / "vocab.txt").symlink_to(find_vocabulary("minilm_l6"))
    inputs = draw_inputs(config, size=40)
    inputs[2] = np.zeros_like(inputs[2])
    expected = ask_keras_hub(tmp_path, "bert", inputs)
    model = make_encoder(replace(config, activation="gelu_tanh"), weights, size=None)
    assert differ(model(inputs), expected) < EXACT
    kernel = model.get_layer("block_6_outer").kernel
    kernel.assign(np.asarray(kernel) * 1.01)
    assert differ(model(inputs), expected) > 10 * EXACT


def test_texts_of_any_length_and_any_padding_are_the_same(tiny_folder: Path) -> None:
    path = tiny_folder / "model.safetensors"
    ids, mask, segments = draw_inputs(MINIATURE, size=9)
    fixed, free = make_encoder(MINIATURE, path, size=9), make_encoder(MINIATURE, path, size=None)
    expected = fixed([ids, mask, segments])
    assert differ(free([ids, mask, segments]), expected) < 1e-5
    padded = [np.pad(x, ((0, 0), (0, 7))) for x in (ids, mask, segments)]
    padded[0][:, 9:] = 17  # whatever stands there
    assert differ(free(padded), expected) < 1e-5
    unmasked = [padded[0], np.ones_like(padded[0]), padded[2]]
    assert differ(free(unmasked), expected) > 1e-2


def test_training_and_inference_are_the_same(tiny_folder: Path) -> None:
    model = make_encoder(MINIATURE, tiny_folder / "model.safetensors")
    inputs = draw_inputs(MINIATURE)
    assert differ(model(inputs, training=True), model(inputs, training=False)) == 0


def test_a_saved_model_is_loaded_by_keras_alone(tiny_folder: Path, tmp_path: Path) -> None:
    import subprocess
    import sys

    model = make_encoder(MINIATURE, tiny_folder / "model.safetensors", size=None)
    inputs = draw_inputs(MINIATURE)
    model.save(tmp_path / "model.keras")
    np.savez(tmp_path / "inputs.npz", *inputs)
    code = """
import sys, numpy as np, keras
found = np.load(sys.argv[2])
model = keras.models.load_model(sys.argv[1], safe_mode=True)
np.save(sys.argv[3], np.asarray(model([found[name] for name in found.files])))
assert not [name for name in sys.modules if name.startswith(("tfxfer", "keras_hub"))]
"""
    arguments = [str(tmp_path / name) for name in ("model.keras", "inputs.npz", "out.npy")]
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, timeout=300)
    assert differ(np.load(tmp_path / "out.npy"), model(inputs)) < 1e-6


@pytest.fixture(scope="module")
def whole(tiny_folder: Path) -> Any:
    backbone = TextBackbone.from_handle(str(tiny_folder))
    return build_model(backbone, labels=["a", "b"], size=10)


@pytest.mark.parametrize("stage", ["embedding", "block_1", "block_2"])
def test_every_stage_is_a_cut(whole: Any, stage: str) -> None:
    inputs = draw_inputs(MINIATURE, size=10)
    assert [tensor.name for tensor in whole.inputs] == ["ids", "mask", "segment_ids"]
    assert list_crossing(whole, stage) == (1,)
    prefix = make_prefix(whole, [stage])
    given = {tensor.name: values for tensor, values in zip(whole.inputs, inputs, strict=True)}
    end = prefix([given[tensor.name] for tensor in prefix.inputs])
    end = np.asarray(end[0] if isinstance(end, list) else end)
    found = make_suffix(whole, stage)([end, inputs[1]])
    expected = whole(inputs)
    assert differ(found, expected) < 1e-6
    assert differ(make_suffix(whole, stage)([end, np.ones_like(inputs[1])]), expected) > 1e-5


def test_the_graph_is_keras_own_layers(whole: Any) -> None:
    import keras

    assert {type(layer).__module__.partition(".")[0] for layer in whole.layers} == {"keras"}
    assert not [layer for layer in whole.layers if isinstance(layer, keras.Model)]
    kinds = {type(layer).__name__ for layer in whole.layers}
    assert "Lambda" not in kinds


@pytest.mark.parametrize("kind", ["bert", "distilbert"])
def test_it_becomes_builtin_operators_with_three_inputs(kind: Any, tmp_path: Path) -> None:
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.interpreter import Interpreter

    from tfxfer.frontier.litert import convert_float

    config = MINIATURE if kind == "bert" else replace(MINIATURE, kind=kind, segments=0)
    folder = write_model(tmp_path / kind, config)
    model = make_encoder(config, folder / "model.safetensors")
    content = convert_float(model, batch_size=1)
    graph = schema.ModelT.InitFromPackedBuf(content, 0)
    names = {value: name for name, value in vars(schema.BuiltinOperator).items()}
    codes = [names[code.builtinCode] for code in graph.operatorCodes]
    used = [codes[operator.opcodeIndex] for operator in graph.subgraphs[0].operators]
    assert used.count("GELU") == config.blocks
    assert used.count("FULLY_CONNECTED") == 6 * config.blocks
    assert not {"CUSTOM", "WHILE"} & set(used)
    interpreter = Interpreter(model_content=content)
    details = sorted(interpreter.get_input_details(), key=lambda detail: detail["name"])
    assert len(details) == 3
    interpreter.allocate_tensors()
    rows = []
    inputs = draw_inputs(config)
    for row in range(len(inputs[0])):
        for detail, values in zip(details, inputs, strict=True):
            interpreter.set_tensor(detail["index"], values[row : row + 1])
        interpreter.invoke()
        rows.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0])
    assert differ(rows, model(inputs)) < 1e-5
    assert differ(rows[::-1], model(inputs)) > 1e-3


def test_more_tokens_than_positions_are_refused(tiny_folder: Path) -> None:
    backbone = TextBackbone.from_handle(str(tiny_folder))
    assert (backbone.default_size, backbone.max_size) == (40, 40)
    with pytest.raises(ModelError, match="at most 40 tokens"):
        build_model(backbone, labels=["a", "b"], size=41)


def test_a_text_goes_through_modality_and_model(whole: Any) -> None:
    info = whole.tfxfer_info
    read = info.modality.read(
        Sample("x", content="A great film."), size=10, contract=info.preprocessing
    )
    assert read["mask"].sum() == 6  # four pieces between [CLS] and [SEP]
    assert np.asarray(whole(list(read.values()))).sum() == pytest.approx(1)
