from __future__ import annotations

import pytest

from tfxfer.system.spelling import did_you_mean

STAGES = ["stem", *(f"block_{number}" for number in range(1, 18)), "backbone"]


@pytest.mark.parametrize(
    ("typed", "question"),
    [
        ("blok_11", " Did you mean 'block_11'?"),
        ("Block_3", " Did you mean 'block_3'?"),
        ("bakbone", " Did you mean 'backbone'?"),
        ("zzz", ""),
        ("", ""),
        (11, ""),
        (None, ""),
    ],
)
def test_only_what_is_about_as_close_is_offered(typed: object, question: str) -> None:
    assert did_you_mean(typed, STAGES) == question


def test_several_are_offered_where_they_are_equally_close() -> None:
    assert did_you_mean("resnet_5", ["resnet_50", "resnet_51", "resnet_18", "vgg"]) == (
        " Did you mean 'resnet_50' or 'resnet_51'?"
    )
    many = [f"block_{number}" for number in range(10)]
    assert did_you_mean("block_", many).count(" or ") == 2
    assert did_you_mean("block_1", []) == ""
