"""The ids of our tokenizer and those of the one that MediaPipe runs on phones.

A file whose scores are the ids that it is given shows what MediaPipe makes of a text. Its
vocabulary has every character of the texts, alone and inside a word, so that no difference hides
in `[UNK]`.
"""

# ruff: noqa: RUF001 - characters that look alike are what this is about

from __future__ import annotations

import random
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from tfxfer.system.files import file_sha256
from tfxfer_text import Tokenization

pytest.importorskip("mediapipe")
pytest.importorskip("tfxfer_edge")

SIZE = 64
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
ASCII = [chr(number) for number in range(32, 127)]
POOLS = {
    "accents": [*"éèêëñüöäåçøÅÉÑÇßıİœÆđłžšřảậợƒ", "e\u0301", "n\u0303", "a\u030a"],
    "emoji": ["😀", "👍🏽", "👨\u200d👩\u200d👧", "🇩🇪", "❤\ufe0f", "☺", "™", "©"],
    "chinese": [*"中文字符日本語人民豈\u3400", "\U00020000"],
    "kana": [*"かなカナー゙、。「」ひらがな"],
    "hangul": [*"한국어안녕"],
    "controls": [*"\x01\x07\x1f\x7f\x85\u200b\u200d\ufeff\u00ad\u202e\ufffd"],
    "spaces": [*"\t\n\r\u00a0\u2003\u3000\u2028\u2029\x0b\x0c"],
    "punctuation": [*"…—–‘’“”«»¿¡·•§¶†‡※€£¥$^`~|<>=+∑√≠"],
    "cyrillic": [*"Приветмирйё"],
    "greek": [*"Καλημέρασς"],
    "arabic": [*"مرحبابالعالم", "\u064e"],
    "hindi": [*"नमस्ते", "\u0939\u093f"],
    "thai": [*"สวัสดี"],
}
ALONE = (
    "", "   ", "Hello, World!", "don't", "U.S.A.", "a" * 100, "a" * 101, "x" * 10_000,
    "word " * 2_000, "\x00", "a\x00b", "[CLS] [SEP] [PAD]", "##ing", "http://a.b/c?d=e&f", "Straße",
    "İstanbul", "ﬁne ﬂat", "Ⅳ ½ ²", "naïve café", "ΟΔΥΣΣΕΥΣ",
)  # fmt: skip


def draw_texts(count: int) -> list[str]:
    """Awkward texts: words of ASCII with much of one other kind of character in them."""
    rng, texts = random.Random(0), list(ALONE)
    pools = list(POOLS.values())
    while len(texts) < count:
        pool = pools[len(texts) % len(pools)]
        words = [
            "".join(
                rng.choice(pool if rng.random() < 0.4 else ASCII) for _ in range(rng.randint(1, 8))
            )
            for _ in range(rng.randint(1, 12))
        ]
        texts.append(" ".join(words))
    return texts


def build_echo(size: int) -> bytes:
    """Returns a `.tflite` file whose outputs are its ids where its mask is 1, as floats."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    kinds, codes = schema.TensorType, schema.BuiltinOperator
    graph = schema.SubGraphT()
    graph.name, graph.tensors, graph.operators = "main", [], []
    for name in ("ids", "mask", "segment_ids", "shown", "sum", "scores"):
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.buffer = name, [1, size], 0
        tensor.type = kinds.FLOAT32 if name == "scores" else kinds.INT32
        graph.tensors.append(tensor)
    graph.inputs, graph.outputs = [0, 1, 2], [5]
    cast = schema.CastOptionsT()
    cast.inDataType, cast.outDataType = kinds.INT32, kinds.FLOAT32
    model = schema.ModelT()
    model.version, model.buffers, model.operatorCodes = 3, [schema.BufferT()], []
    options = schema.BuiltinOptions
    for number, (code, inputs, kind, given) in enumerate(
        (
            (codes.MUL, [0, 1], options.MulOptions, schema.MulOptionsT()),
            (codes.ADD, [3, 2], options.AddOptions, schema.AddOptionsT()),
            (codes.CAST, [4], options.CastOptions, cast),
        )
    ):
        operator, made = schema.OperatorT(), schema.OperatorCodeT()
        made.builtinCode, made.deprecatedBuiltinCode, made.version = code, code, 1
        operator.opcodeIndex, operator.inputs, operator.outputs = number, inputs, [3 + number]
        operator.builtinOptionsType, operator.builtinOptions = kind, given
        model.operatorCodes.append(made)
        graph.operators.append(operator)
    model.subgraphs = [graph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return draw_texts(500)


@pytest.fixture(scope="module")
def contract(texts: list[str], tmp_path_factory: pytest.TempPathFactory) -> Tokenization:
    found = {
        character
        for text in (*texts, *ASCII)
        for form in (text, text.lower(), unicodedata.normalize("NFD", text.lower()))
        for character in form
        # What stands in no line of a file, and what BERT's own vocabulary lacks, too.
        if not character.isspace() and unicodedata.category(character) not in ("Cc", "Cf")
    }
    words = sorted(found)
    path = tmp_path_factory.mktemp("vocabulary") / "vocab.txt"
    lines = [*SPECIAL, *words, *(f"##{word}" for word in words)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return Tokenization(sha256=file_sha256(path), source="text:none", path=path)


@pytest.fixture(scope="module")
def ask(contract: Tokenization) -> Iterator[Callable[[str], list[int]]]:
    """Returns the ids that MediaPipe makes of a text."""
    from tfxfer_edge.proof.mediapipe import MediaPipeTexts
    from tfxfer_edge.tflite.card import ModelCard
    from tfxfer_edge.tflite.metadata_writer import write_metadata
    from tfxfer_edge.tflite.sample_model import SampleModel

    card = ModelCard(
        name="echo",
        labels=tuple(f"token_{number}" for number in range(SIZE)),
        modality="text",
        size=SIZE,
        contract=contract.to_dict(),
        assets={"vocab.txt": contract.find_vocabulary().read_bytes()},
    )
    with MediaPipeTexts(SampleModel(write_metadata(build_echo(SIZE), card))) as client:

        def classify(text: str) -> list[int]:
            scores: Any = client.classify(text)[0]
            found = [int(score) for score in scores]
            return found[: found.index(0)] if 0 in found else found

        yield classify


def number(contract: Tokenization, text: str) -> list[int]:
    return contract.frame(contract.number(text), SIZE)


def test_of_a_normalized_text_the_ids_are_the_same(
    contract: Tokenization, texts: list[str], ask: Callable[[str], list[int]]
) -> None:
    """What `normalize` returns is what an app has to hand to MediaPipe."""
    assert len(texts) == 500
    found = {text: ask(contract.normalize(text)) for text in texts}
    assert [text for text in texts if found[text] != number(contract, text)] == []
    # The check can fail: as they were typed, many of these are other ids.
    raw = sum(ask(text) == number(contract, text) for text in texts)
    assert 100 < raw < 400
    assert max(map(len, found.values())) == SIZE


@pytest.mark.parametrize(
    ("text", "is_same"),
    [
        ("Hello, World! It's 5 o'clock.", True),
        ("the\u4e2dfilm", True),
        ("\U0001f600 ok", True),
        ("caf\u00e9", False),  # MediaPipe keeps accents,
        ("\u041f\u0440", False),  # makes small letters of ASCII's capitals alone,
        ("a\u200bb", False),  # keeps what is not to be seen,
        ("a\u2003b", False),  # takes few characters for a space,
        ("a\x0cb", False),
        ("a\x00b", False),  # and ends at a NUL.
    ],
)
def test_what_differs_in_texts_as_they_were_typed(
    contract: Tokenization, ask: Callable[[str], list[int]], text: str, is_same: bool
) -> None:
    assert (ask(text) == number(contract, text)) is is_same
    assert ask(contract.normalize(text)) == number(contract, text)


def test_accents_differ_less_where_the_contract_keeps_them(
    contract: Tokenization, ask: Callable[[str], list[int]]
) -> None:
    kept = replace(contract, strip_accents=False)
    assert ask("caf\u00e9") == number(kept, "caf\u00e9")
    assert ask("CAF\u00c9") != number(kept, "CAF\u00c9")
