"""What the metadata says of texts: the three inputs of BERT, and the vocabulary packed behind.

MediaPipe's `TextClassifier` takes a file with a `BertTokenizerOptions` for exactly these three
inputs, found by the names that the metadata gives them, in whatever order they are in the file.
"""

from __future__ import annotations

import numpy as np

from tfxfer.errors import ModelError
from tfxfer_edge.door import InputMetadata
from tfxfer_edge.tflite import metadata_schema as schema
from tfxfer_edge.tflite.card import ModelCard
from tfxfer_edge.tflite.metadata_builder import Draft
from tfxfer_edge.tflite.metadata_parts import draft_feature, draft_file
from tfxfer_edge.tflite.probe import Probe

__all__ = ["INPUTS", "VOCABULARY_FILE", "check_text_inputs", "draft_text"]

VOCABULARY_FILE = "vocab.txt"
INPUTS = {
    "ids": "Numbers of the tokens in the vocabulary, [CLS] first and [SEP] last, then padding.",
    "mask": "1 for a token, 0 for padding.",
    "segment_ids": "0 throughout: one text.",
}
"""Names of the inputs, in the tensors and in the metadata, and what they hold."""


def check_text_inputs(card: ModelCard, probe: Probe) -> None:
    """Refuses a file that no client feeds with a text.

    Raises:
        ModelError: other inputs, or no vocabulary.
    """
    found = {end.name: (end.dtype, end.shape[1:]) for end in probe.inputs}
    if found != dict.fromkeys(INPUTS, ("int32", (card.size,))):
        raise ModelError(
            f"model {card.name!r}: expected three int32 inputs of {card.size} tokens, "
            f"{', '.join(INPUTS)}. Received: {found}."
        )
    if VOCABULARY_FILE not in card.assets:
        raise ModelError(
            f"model {card.name!r}: expected a {VOCABULARY_FILE}, which splits a text into tokens. "
            f"Received: {sorted(card.assets)}."
        )


def draft_text(card: ModelCard, probe: Probe) -> InputMetadata:
    """Returns the words for the three inputs, in the file's order, and for the tokenizer."""
    tensors = [
        Draft(
            {
                schema.Tensor.NAME: end.name,
                schema.Tensor.DESCRIPTION: INPUTS[end.name],
                schema.Tensor.CONTENT: draft_feature(),
            }
        )
        for end in probe.inputs
    ]
    vocabulary = draft_file(
        VOCABULARY_FILE, schema.FileKind.VOCABULARY, "One token a line; its number is its line."
    )
    tokenizer = Draft(
        {
            schema.ProcessUnit.KIND: np.uint8(schema.ProcessUnitKind.BERT_TOKENIZER),
            schema.ProcessUnit.OPTIONS: Draft({schema.BertTokenizer.VOCABULARY: [vocabulary]}),
        }
    )
    return InputMetadata(tensors, (tokenizer,), schema.TOKENIZER_PARSER_VERSION)
