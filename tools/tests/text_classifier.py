"""A classifier of short texts that trains in seconds: a random BERT of two blocks, its data."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np

from tfxfer.job.prepare import prepare
from tfxfer.job.request import TrainRequest
from tfxfer.job.train import train_run
from tfxfer.run.directory import RunDirectory

SIZE = 16
# Not sorted: an order that anything sorts would show.
WORDS = {
    "weather": ("rain", "sun", "cloud", "storm", "wind"),
    "food": ("bread", "soup", "apple", "cheese", "rice"),
    "musique": ("drum", "flute", "song", "violin", "choir"),
}
_COMMON = ("the", "a", "is", "was", "and", "very", "good", "we", "had", "##s", "!", ".", ",")
_FILLER = 1200  # so that the table of words is the larger part of the file, as in real ones


def write_folder(folder: Path, *, cased: bool = False) -> Path:
    """Writes a configuration and a vocabulary in Hugging Face's layout; there are no weights."""
    folder.mkdir(parents=True)
    topics = [word for words in WORDS.values() for word in words]
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    capitals = ["Rain", "Soup"] if cased else []
    filler = [f"filler{number}" for number in range(_FILLER)]
    lines = [*special, *_COMMON, *topics, *capitals, *filler]
    (folder / "vocab.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    config = {
        "model_type": "bert",
        "architectures": ["BertModel"],
        "hidden_act": "gelu",
        "hidden_size": 32,
        "intermediate_size": 64,
        "layer_norm_eps": 1e-12,
        "max_position_embeddings": 32,
        "num_attention_heads": 2,
        "num_hidden_layers": 2,
        "type_vocab_size": 2,
        "vocab_size": len(lines),
    }
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    tokenizer = {"do_lower_case": not cased, "tokenizer_class": "BertTokenizer"}
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    return folder


def write_texts(path: Path, *, count: int = 60, seed: int = 0) -> Path:
    """Writes a table of texts, each of words of one topic among others."""
    rng = np.random.default_rng(seed)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for label, words in WORDS.items():
            for _ in range(count):
                chosen = [*rng.choice(words, 3), *rng.choice(_COMMON[:9], rng.integers(2, 6))]
                writer.writerow([" ".join(rng.permutation(chosen)), label])
    return path


def train(root: Path, *, cased: bool = False) -> RunDirectory:
    """Returns a finished run."""
    request = TrainRequest(
        data=str(write_texts(root / "texts.csv")),
        backbone=f"text:{write_folder(root / 'bert', cased=cased)}",
        weights="none",
        size=SIZE,
        schedule="head",
        head_epochs=20,
        augment="none",
    )
    return train_run(prepare(request), root / "run")
