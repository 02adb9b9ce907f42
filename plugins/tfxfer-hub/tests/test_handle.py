from __future__ import annotations

from pathlib import Path

import pytest

from tfxfer.errors import UsageError
from tfxfer_hub.handle import Handle, parse_handle

URL = "https://www.kaggle.com/models/google/mobilenet-v2/TensorFlow2/100-224-feature-vector/2"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("module", Handle("module")),
        (URL, Handle(URL)),
        ("m#pixels=-1..1", Handle("m", pixels=(-1.0, 1.0))),
        ("m#pixels=0..255,size=160", Handle("m", pixels=(0.0, 255.0), size=160)),
        (f"{URL}#frozen", Handle(URL, frozen=True)),
        ("m#signature=embed,output=pooled", Handle("m", signature="embed", output="pooled")),
        ("C:\\models\\m", Handle("C:\\models\\m")),
    ],
)
def test_reads_what_follows_the_location(text: str, expected: Handle) -> None:
    assert parse_handle(text) == expected


@pytest.mark.parametrize(
    "options",
    [
        "pixels=1..-1",
        "pixels=-1",
        "size=0",
        "size=big",
        "size=²",
        "frozen=no",
        "output=",
        "colour=x",
    ],
)
def test_refuses_options_that_cannot_be_meant(options: str) -> None:
    with pytest.raises(UsageError, match=r"pixels=LOW\.\.HIGH.*Received: \w+='"):
        parse_handle(f"m#{options}")


def test_a_folder_may_have_the_mark_in_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "run#3"
    folder.mkdir()
    assert parse_handle(str(folder)) == Handle(str(folder))


def test_only_what_has_a_scheme_is_an_address() -> None:
    assert [parse_handle(text).is_url for text in (URL, "gs://bucket/m", "m", "./m")] == [
        True, True, False, False,
    ]  # fmt: skip
