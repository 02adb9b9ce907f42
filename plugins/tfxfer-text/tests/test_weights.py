"""Tensors of a file are all accounted for, or the error names one."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfxfer.errors import WeightsError
from tfxfer_text.configuration import EncoderConfig
from tfxfer_text.miniature import MINIATURE, draw_tensors
from tfxfer_text.weights import list_targets, load_encoder


class Variable:
    def __init__(self) -> None:
        self.value: np.ndarray | None = None

    def assign(self, value: np.ndarray) -> None:
        self.value = value


class Layers:
    """What `load_encoder` needs of a model: variables by layer and name."""

    def __init__(self) -> None:
        self.layers: dict[str, Any] = {}

    def get_layer(self, name: str) -> Any:
        if name not in self.layers:
            parts = "kernel", "bias", "gamma", "beta", "embeddings"
            self.layers[name] = type("Layer", (), {part: Variable() for part in parts})()
        return self.layers[name]

    def values(self) -> dict[str, np.ndarray]:
        return {
            f"{name}.{part}": variable.value
            for name, layer in self.layers.items()
            for part, variable in vars(type(layer)).items()
            if isinstance(variable, Variable) and variable.value is not None
        }


def load(path: Path, config: EncoderConfig = MINIATURE) -> dict[str, np.ndarray]:
    layers = Layers()
    load_encoder(layers, config, path)
    return layers.values()


@pytest.fixture
def save(tmp_path: Path) -> Callable[[dict[str, np.ndarray]], Path]:
    from safetensors.numpy import save_file

    def write(tensors: dict[str, np.ndarray]) -> Path:
        save_file(tensors, tmp_path / "model.safetensors")
        return tmp_path / "model.safetensors"

    return write


def test_matrices_are_turned_and_the_rest_is_as_it_was(save: Any) -> None:
    tensors = draw_tensors(MINIATURE)
    found = load(save(tensors))
    assert len(found) == len(tensors) == 5 + 16 * MINIATURE.blocks
    name = "encoder.layer.1.intermediate.dense"
    np.testing.assert_array_equal(found["block_2_inner.kernel"], tensors[f"{name}.weight"].T)
    np.testing.assert_array_equal(found["block_2_inner.bias"], tensors[f"{name}.bias"])
    query = tensors["encoder.layer.0.attention.self.query.weight"]
    np.testing.assert_array_equal(found["block_1_query.kernel"], query.T)
    words = tensors["embeddings.word_embeddings.weight"]
    np.testing.assert_array_equal(found["word_embedding.embeddings"], words)


@pytest.mark.parametrize("kind", ["bert", "distilbert"])
def test_prefixes_old_names_and_what_stood_on_top_are_known(save: Any, kind: Any) -> None:
    config = EncoderConfig(
        kind=kind, vocabulary_size=50, hidden_size=8, blocks=1, heads=2, inner_size=16,
        max_tokens=20, segments=2 if kind == "bert" else 0,
    )  # fmt: skip
    tensors = draw_tensors(config)
    expected = load(save(tensors), config)
    top: dict[str, np.ndarray] = {
        name: np.zeros(3, np.float32)
        for name in (
            "cls.predictions.bias", "cls.seq_relationship.weight", "classifier.weight",
            "vocab_projector.bias", "vocab_layer_norm.weight", "pre_classifier.bias",
            f"{kind}.pooler.dense.weight",
        )
    }  # fmt: skip
    top[f"{kind}.embeddings.position_ids"] = np.arange(20)[None]
    old = {
        f"{kind}.{name}".replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): value
        for name, value in tensors.items()
    }
    found = load(save({**old, **top}), config)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value)


def test_half_precision_is_widened(save: Any) -> None:
    import ml_dtypes

    tensors = draw_tensors(MINIATURE)
    for dtype in (np.float16, ml_dtypes.bfloat16):
        found = load(save({name: value.astype(dtype) for name, value in tensors.items()}))
        assert {value.dtype for value in found.values()} == {np.dtype(np.float32)}
        words = tensors["embeddings.word_embeddings.weight"].astype(dtype).astype(np.float32)
        np.testing.assert_array_equal(found["word_embedding.embeddings"], words)


def without(name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda tensors: {key: value for key, value in tensors.items() if key != name}


def with_tensor(name: str, value: np.ndarray) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda tensors: {**tensors, name: value}


QUERY = "encoder.layer.0.attention.self.query.weight"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (without(QUERY), rf"lacks {QUERY}"),
        (with_tensor("encoder.layer.2.output.dense.bias", np.zeros(32, np.float32)),
         r"holds besides encoder\.layer\.2\.output\.dense\.bias"),
        (with_tensor("adapter.weight", np.zeros(3, np.float32)), r"holds besides adapter\.weight"),
        (with_tensor(f"bert.{QUERY}", np.zeros((32, 32), np.float32)),
         rf"besides (bert\.)?{QUERY}"),
        (with_tensor(QUERY, np.zeros((32, 33), np.float32)),
         rf"{QUERY} of shape \(32, 32\).*shape=\(32, 33\)"),
        (with_tensor(QUERY, np.zeros((32, 32), np.int64)), rf"{QUERY} in float32.*int64"),
        (with_tensor(QUERY, np.full((32, 32), np.nan, np.float32)), rf"finite numbers in {QUERY}"),
        (with_tensor("embeddings.word_embeddings.weight", np.zeros((90, 32), np.float32)),
         r"embeddings\.word_embeddings\.weight of shape"),
    ],
)  # fmt: skip
def test_a_tensor_that_is_missing_unknown_or_wrong_is_named(
    save: Any, change: Callable[[dict[str, Any]], dict[str, Any]], words: str
) -> None:
    layers = Layers()
    with pytest.raises(WeightsError, match=words) as caught:
        load_encoder(layers, MINIATURE, save(change(draw_tensors(MINIATURE))))
    assert "\n" not in str(caught.value)
    assert not layers.values()


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.safetensors"])
def test_a_pickle_is_refused_whatever_its_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with zipfile.ZipFile(path, "w") as archive:  # what torch.save writes
        archive.writestr("archive/data.pkl", b"\x80\x02}q\x00.")
    with pytest.raises(WeightsError, match=r"a pickle.*save_pretrained"):
        load(path)
    path.write_bytes(b"\x80\x02}q\x00.")
    with pytest.raises(WeightsError, match=r"a pickle"):
        load(path)


@pytest.mark.parametrize("content", [b"", b"abc", b"\xff" * 100, b"\x08\0\0\0\0\0\0\0{}      "])
def test_what_is_no_file_of_tensors_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(WeightsError):
        load(path)


def test_a_file_that_was_cut_off_is_refused(save: Any) -> None:
    path = save(draw_tensors(MINIATURE))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(WeightsError, match="expected a safetensors file"):
        load(path)


def test_every_tensor_has_a_place_of_its_own() -> None:
    for config in (EncoderConfig(), EncoderConfig(kind="distilbert", blocks=6, segments=0)):
        targets = list_targets(config).values()
        assert len({(target.layer, target.part) for target in targets}) == len(targets)
        total = sum(int(np.prod(target.shape)) for target in targets)
        assert total == config.parameters
