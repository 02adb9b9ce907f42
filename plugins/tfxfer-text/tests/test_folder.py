"""Folders in Hugging Face's layout: what is read of them, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tfxfer.errors import WeightsError
from tfxfer.registry.lookup import get_backbone
from tfxfer.weights import resolve_weights
from tfxfer_text import TextBackbone
from tfxfer_text.configuration import EncoderConfig, read_config
from tfxfer_text.errors import FolderError
from tfxfer_text.folder import open_folder
from tfxfer_text.miniature import MINIATURE, WORDS, write_model


def change(folder: Path, member: str, **values: Any) -> None:
    path = folder / member
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}), encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_model(tmp_path / "model")


def test_a_folder_is_what_its_files_say(folder: Path) -> None:
    backbone = get_backbone(f"text:{folder}")
    assert isinstance(backbone, TextBackbone)
    assert backbone.config == MINIATURE
    assert [stage.name for stage in backbone.stages] == ["embedding", "block_1", "block_2"]
    contract = backbone.preprocessing
    assert (contract.lowercase, contract.strip_accents, contract.max_tokens) == (True, True, 40)
    assert contract.source == f"text:{folder}"
    assert contract.path == folder / "vocab.txt"
    assert resolve_weights(backbone).path == folder / "model.safetensors"


def test_capitals_are_kept_where_it_says_so(folder: Path) -> None:
    change(folder, "tokenizer_config.json", do_lower_case=False)
    contract = get_backbone(f"text:{folder}").preprocessing
    assert (contract.lowercase, contract.strip_accents) == (False, False)
    change(folder, "tokenizer_config.json", strip_accents=True, unk_token={"content": "[UNK]"})
    assert get_backbone(f"text:{folder}").preprocessing.strip_accents
    (folder / "tokenizer_config.json").unlink()
    assert get_backbone(f"text:{folder}").preprocessing.lowercase


@pytest.mark.parametrize("handle", ["no_such_folder", "a/b/c", "", "../a", "owner/", "x@y"])
def test_what_is_neither_folder_nor_repository_is_refused(handle: str) -> None:
    with pytest.raises(FolderError, match=r"expected a folder with config\.json"):
        open_folder(handle)


@pytest.mark.parametrize("handle", ["owner/name", "hf://owner/name"])
def test_a_repository_may_have_a_revision(handle: str) -> None:
    assert open_folder(handle).repository == "owner/name"
    assert open_folder(handle).revision is None
    assert open_folder(f"{handle}@refs/pr/1").revision == "refs/pr/1"


def test_a_repository_that_cannot_be_reached_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    def refuse(*_: Any, **__: Any) -> str:
        raise LocalEntryNotFoundError("no network")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", refuse)
    with pytest.raises(FolderError, match=r"no connection.*--backbone text:FOLDER") as caught:
        get_backbone("text:owner/name-that-is-not-cached")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model_type": "roberta", "architectures": ["RobertaModel"]},
         r"model_type among bert, distilbert.*'roberta'.*RobertaModel"),
        ({"model_type": None}, "model_type=None"),
        ({"hidden_size": 33}, "hidden size that the heads divide"),
        ({"hidden_size": 10**9}, "expected hidden_size from 1 to"),
        ({"hidden_size": 8192, "num_hidden_layers": 128, "num_attention_heads": 8},
         r"1,000,000,000 parameters at most.*GiB"),
        ({"num_hidden_layers": 0}, "expected blocks from 1"),
        ({"num_hidden_layers": "2"}, "a whole number as num_hidden_layers"),
        ({"vocab_size": True}, "a whole number as vocab_size"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type='absolute'"),
        ({"is_decoder": True}, "is_decoder=False"),
        ({"hidden_act": "mish"}, "an activation among gelu"),
        ({"layer_norm_eps": "small"}, "a number as layer_norm_eps"),
        ({"layer_norm_eps": 0}, "an epsilon between 0 and 1"),
    ],
)  # fmt: skip
def test_a_configuration_that_cannot_be_meant_is_refused(
    folder: Path, changes: dict[str, Any], words: str
) -> None:
    change(folder, "config.json", **changes)
    with pytest.raises(FolderError, match=words) as caught:
        get_backbone(f"text:{folder}")
    assert "\n" not in str(caught.value)


def test_a_vocabulary_that_does_not_fit_the_weights_is_refused(folder: Path) -> None:
    (folder / "vocab.txt").write_text("\n".join([*WORDS, "one", "more"]) + "\n")
    with pytest.raises(FolderError, match=rf"{len(WORDS)} word pieces.*{len(WORDS) + 2}"):
        get_backbone(f"text:{folder}")
    write_model(folder, words=WORDS[:20], vocab_size=20 + 128)
    with pytest.raises(FolderError, match=r"148 word pieces.*Received: 20"):
        get_backbone(f"text:{folder}")
    # Tables are filled up so that they divide well.
    write_model(folder, words=WORDS[:20], vocab_size=128)
    get_backbone(f"text:{folder}")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xff\xfe", "UTF-8"),
        ("\n".join(WORDS).replace("[CLS]", "[BOS]").encode(), r"without \[CLS\]"),
        ("\n".join([*WORDS[:-1], "the"]).encode(), r"each word piece once.*'the'"),
    ],
)
def test_a_vocabulary_that_is_none_is_refused(folder: Path, content: bytes, words: str) -> None:
    (folder / "vocab.txt").write_bytes(content)
    with pytest.raises(FolderError, match=words):
        get_backbone(f"text:{folder}")


def test_missing_files_are_named(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"without it.*--weights PATH"):
        resolve_weights(get_backbone(f"text:{folder}"))
    (folder / "pytorch_model.bin").write_bytes(b"\x80")
    with pytest.raises(WeightsError, match=r"pytorch_model.bin, a pickle.*save_pretrained"):
        resolve_weights(get_backbone(f"text:{folder}"))
    (folder / "model.safetensors.index.json").write_text("{}")
    with pytest.raises(WeightsError, match="several parts"):
        resolve_weights(get_backbone(f"text:{folder}"))
    (folder / "vocab.txt").unlink()
    with pytest.raises(FolderError, match=r"expected a vocab\.txt"):
        get_backbone(f"text:{folder}")
    (folder / "config.json").unlink()
    with pytest.raises(FolderError, match=r"expected a config\.json"):
        get_backbone(f"text:{folder}")


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff", b"[" * 100_000])
def test_damaged_json_is_refused(folder: Path, content: bytes) -> None:
    (folder / "config.json").write_bytes(content)
    with pytest.raises(FolderError, match=r"config\.json: expected"):
        get_backbone(f"text:{folder}")


def test_distilbert_says_the_same_in_other_words() -> None:
    document = {
        "model_type": "distilbert", "activation": "gelu", "dim": 768, "hidden_dim": 3072,
        "max_position_embeddings": 512, "n_heads": 12, "n_layers": 6, "vocab_size": 30522,
        "sinusoidal_pos_embds": False, "tie_weights_": True,
    }  # fmt: skip
    found = read_config(document, where="config.json")
    assert found == EncoderConfig(kind="distilbert", blocks=6, segments=0)
    assert found.parameters == 66_362_880
