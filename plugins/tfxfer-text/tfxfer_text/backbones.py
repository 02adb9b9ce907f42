"""The encoders that have names here, and any other one by the folder that holds it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from tfxfer.backbone import Backbone, Stage, Weights
from tfxfer_text.configuration import EncoderConfig
from tfxfer_text.fine_tuning import ENCODER_FINE_TUNING
from tfxfer_text.folder import find_folder_weights, open_folder, read_encoder, read_tokenization
from tfxfer_text.network import build_encoder, list_stages
from tfxfer_text.sources import ENGLISH_UNCASED, SOURCES, find_weights
from tfxfer_text.tokenization import SPECIAL_TOKENS, Tokenization
from tfxfer_text.weights import load_encoder

__all__ = [
    "BertBase",
    "BertMedium",
    "BertMini",
    "BertSmall",
    "BertTiny",
    "DistilBert",
    "Encoder",
    "MiniLML6",
    "TextBackbone",
]

_USUAL_TOKENS = 128


class Encoder(Backbone):
    """A BERT or DistilBERT encoder; its output is the mean of the token vectors.

    Attributes:
        config: of the network.
    """

    family = "bert"
    modality = "text"
    output: ClassVar[Literal["vector"]] = "vector"
    # How much attention suffers from 8 bits is the gate's to say; that it does is well known.
    quantization = ("attention", "gelu")
    fine_tuning = ENCODER_FINE_TUNING
    min_size = SPECIAL_TOKENS + 1  # type: ignore[assignment]
    config: EncoderConfig

    @property
    def default_size(self) -> int:
        """128 tokens, or what the weights have positions for."""
        return min(_USUAL_TOKENS, self.config.max_tokens)

    @property
    def max_size(self) -> int:  # type: ignore[override]
        """What the weights have positions for."""
        return self.config.max_tokens

    @property
    def stages(self) -> tuple[Stage, ...]:  # type: ignore[override]
        """After the tables, and after each block."""
        return list_stages(self.config)

    def build(self, inputs: Any) -> Any:
        """Returns the mean token vectors of texts, with random weights.

        Shapes: `ids`, `mask` and `segment_ids` int32 (batch, tokens); returns (batch, hidden_size).
        """
        return build_encoder(self.config, inputs)

    def load_weights(self, model: Any, path: Path) -> None:
        """Reads `model.safetensors` into the layers that `build` made.

        Raises:
            WeightsError: see `load_encoder`.
        """
        load_encoder(model, self.config, path)


class _Named(Encoder):
    """An encoder of English in small letters that is known by its name."""

    _origin: ClassVar[str] = "English books and Wikipedia"

    @property
    def preprocessing(self) -> Tokenization:  # type: ignore[override]
        """BERT's own, with the vocabulary that all of these share."""
        return Tokenization(
            sha256=ENGLISH_UNCASED, source=self.name, max_tokens=self.config.max_tokens
        )

    @property
    def weights(self) -> Mapping[str, Weights]:  # type: ignore[override]
        """From pip or Hugging Face."""
        return {
            "pretrained": Weights(
                licence="Apache-2.0",
                fetch=lambda: find_weights(self.name),
                sha256=SOURCES[self.name].sha256,
                origin=self._origin,
            )
        }


class MiniLML6(_Named):
    """MiniLM, six blocks of width 384, trained on a billion pairs of sentences; 22.7 M parameters.

    Source: https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2; Wang et al. 2020,
    https://arxiv.org/abs/2002.10957.
    """

    name = "minilm_l6"
    family = "minilm"
    config = EncoderConfig(hidden_size=384, blocks=6, heads=12, inner_size=1_536)
    _origin = "1.17 billion pairs of English sentences"


class DistilBert(_Named):
    """DistilBERT, six blocks of width 768; 66 M parameters.

    Source: Sanh et al. 2019, https://arxiv.org/abs/1910.01108.
    """

    name = "distilbert"
    family = "distilbert"
    config = EncoderConfig(kind="distilbert", blocks=6, segments=0)


class BertBase(_Named):
    """BERT base, twelve blocks of width 768; 109 M parameters.

    Source: Devlin et al. 2019, https://arxiv.org/abs/1810.04805.
    """

    name = "bert_base"
    config = EncoderConfig()


class BertTiny(_Named):
    """BERT with two blocks of width 128; 4.4 M parameters.

    Source: Turc et al. 2019, https://arxiv.org/abs/1908.08962.
    """

    name = "bert_tiny"
    config = EncoderConfig(hidden_size=128, blocks=2, heads=2, inner_size=512)


class BertMini(_Named):
    """BERT with four blocks of width 256; 11 M parameters.

    Source: Turc et al. 2019, https://arxiv.org/abs/1908.08962.
    """

    name = "bert_mini"
    config = EncoderConfig(hidden_size=256, blocks=4, heads=4, inner_size=1_024)


class BertSmall(_Named):
    """BERT with four blocks of width 512; 29 M parameters.

    Source: Turc et al. 2019, https://arxiv.org/abs/1908.08962.
    """

    name = "bert_small"
    config = EncoderConfig(hidden_size=512, blocks=4, heads=8, inner_size=2_048)


class BertMedium(_Named):
    """BERT with eight blocks of width 512; 41 M parameters.

    Source: Turc et al. 2019, https://arxiv.org/abs/1908.08962.
    """

    name = "bert_medium"
    config = EncoderConfig(hidden_size=512, blocks=8, heads=8, inner_size=2_048)


class TextBackbone(Encoder):
    """Any BERT or DistilBERT encoder in Hugging Face's layout, as `text:FOLDER_OR_REPO` names it.

    Making one reads its configuration and its vocabulary, less than a megabyte; the weights are
    fetched when they are asked for.

    Args:
        handle: a folder, or `OWNER/NAME`, `OWNER/NAME@REVISION` on Hugging Face.
        name: what the user typed.
    """

    name: str
    family = "text"

    def __init__(self, handle: str, *, name: str) -> None:
        self.folder, self.name = open_folder(handle), name

    @classmethod
    def from_handle(cls, handle: str) -> Self:
        """Returns the backbone of `text:HANDLE`.

        Raises:
            FolderError: it is neither a folder nor a repository.
        """
        return cls(handle, name=f"text:{handle}")

    @cached_property
    def config(self) -> EncoderConfig:  # type: ignore[override]
        """What its `config.json` says."""
        return read_encoder(self.folder)

    @cached_property
    def preprocessing(self) -> Tokenization:  # type: ignore[override]
        """What its vocabulary and `tokenizer_config.json` say."""
        return read_tokenization(self.folder, self.config)

    @property
    def weights(self) -> Mapping[str, Weights]:  # type: ignore[override]
        """Its `model.safetensors`."""
        return {
            "pretrained": Weights(
                licence="its own: see where it comes from",
                fetch=lambda: find_folder_weights(self.folder),
                origin="whatever its page says",
            )
        }
