from __future__ import annotations

from pathlib import Path

import pytest

from tfxfer.errors import UsageError
from tfxfer_kerashub.handle import Handle, parse_handle


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("resnet_50_imagenet", Handle("resnet_50_imagenet")),
        ("hf://owner/model", Handle("hf://owner/model")),
        ("p#pixels=-1..1", Handle("p", pixels=(-1.0, 1.0))),
        ("p#pixels=0..255,size=160", Handle("p", pixels=(0.0, 255.0), size=160)),
    ],
)
def test_reads_what_follows_the_preset(text: str, expected: Handle) -> None:
    assert parse_handle(text) == expected


@pytest.mark.parametrize("options", ["pixels=1..-1", "pixels=1", "size=0", "size=²", "frozen", "x"])
def test_refuses_options_that_cannot_be_meant(options: str) -> None:
    with pytest.raises(UsageError, match=r"pixels=LOW\.\.HIGH, size=PX\. Received: \w+='"):
        parse_handle(f"p#{options}")


def test_a_folder_may_have_the_mark_in_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "preset#3"
    folder.mkdir()
    assert parse_handle(str(folder)) == Handle(str(folder))
