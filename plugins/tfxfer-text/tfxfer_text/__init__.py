"""Texts for tfxfer: a modality and BERT-like encoders; importing this imports no Keras."""

from __future__ import annotations

from tfxfer_text.backbones import (
    BertBase,
    BertMedium,
    BertMini,
    BertSmall,
    BertTiny,
    DistilBert,
    MiniLML6,
    TextBackbone,
)
from tfxfer_text.configuration import EncoderConfig
from tfxfer_text.messages import Messages
from tfxfer_text.modality import TextModality
from tfxfer_text.tokenization import Tokenization

__all__ = [
    "BertBase",
    "BertMedium",
    "BertMini",
    "BertSmall",
    "BertTiny",
    "DistilBert",
    "EncoderConfig",
    "Messages",
    "MiniLML6",
    "TextBackbone",
    "TextModality",
    "Tokenization",
]
