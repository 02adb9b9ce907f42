"""Models as users have them on disk, small and random, and texts that they can tell apart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tfxfer_text.miniature import BAD, GOOD, MINIATURE, PLAIN, write_model


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of two blocks."""
    return write_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def distil_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DistilBERT of two blocks."""
    config = replace(MINIATURE, kind="distilbert", segments=0)
    return write_model(tmp_path_factory.mktemp("models") / "distil", config)


@pytest.fixture(scope="session")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CSV of two kinds of review, told apart by their words."""
    rng = np.random.default_rng(3)
    rows: dict[str, str] = {}
    while len(rows) < 80:
        label, words = (("good", GOOD), ("bad", BAD))[len(rows) % 2]
        drawn = [*rng.choice(words, 2, replace=False), *rng.choice(PLAIN, 4, replace=False)]
        rows[" ".join(rng.permutation(drawn))] = label
    path = tmp_path_factory.mktemp("texts") / "reviews.csv"
    lines = ["text,label", *(f"{text},{label}" for text, label in rows.items())]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
