from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tfxfer.errors import UsageError
from tfxfer.job.request import TrainRequest
from tfxfer.job.style_choice import choose_method, list_style


class Texts:
    """As much of a modality as is asked."""

    name, plural, has_looks, reads_files = "text", "texts", False, True


class Pictures(Texts):
    name, plural, has_looks = "image", "images", True


@contextmanager
def refused(words: str) -> Iterator[None]:
    with pytest.raises(UsageError) as error:
        yield
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_without_a_folder_there_is_no_method(tmp_path: Path) -> None:
    texts: Any = Texts()
    assert choose_method(TrainRequest("d", "b")) is None
    assert list_style(TrainRequest("d", "b"), texts, "light") is None
    assert choose_method(TrainRequest("d", "b", style="s", style_method="fda")) == "fda"
    assert choose_method(TrainRequest("d", "b", style="s")) is not None


def test_samples_without_looks_have_no_style(tmp_path: Path) -> None:
    texts: Any = Texts()
    with refused("Received: 'text', whose texts have none"):
        list_style(TrainRequest("d", "b", style=str(tmp_path)), texts, "light")


def test_a_backbone_that_trains_without_views_needs_a_level(tmp_path: Path) -> None:
    images: Any = Pictures()
    with refused("Name a level: --augment light"):
        list_style(TrainRequest("d", "b", style=str(tmp_path), style_method="fda"), images, "none")


def test_a_word_that_is_no_method() -> None:
    with refused("expected style_method among fda, mixstyle, both"):
        TrainRequest("d", "b", style="s", style_method="paint")


def test_a_method_that_works_on_both_looks_would_find_what_a_style_left() -> None:
    with refused("Received: --adapt dann"):
        TrainRequest("d", "b", style="s", target="t", adapt="dann")
    assert TrainRequest("d", "b", style="s", target="t", adapt="coral").style == "s"
