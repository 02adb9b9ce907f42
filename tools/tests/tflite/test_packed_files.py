from __future__ import annotations

import contextlib
import json
import zipfile
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfxfer.errors import ModelError
from tfxfer.preprocessing import Resize
from tfxfer_edge.predictor import load_tflite_predictor
from tfxfer_edge.tflite.card import CONTRACT_FILE, LABELS_FILE, ModelCard
from tfxfer_edge.tflite.metadata_reader import read_metadata
from tfxfer_edge.tflite.metadata_writer import write_metadata
from tfxfer_edge.tflite.packed_files import (
    append_files,
    list_files,
    read_contract,
    read_files,
    split_labels,
)

from .. import photo_classifier as photos

Forge = Callable[..., bytes]
PeakOf = Callable[[Callable[[], object]], int]

GOOD: dict[str, Any] = {
    "metadata_kind": "multilabel_classifier",
    "resize": {"fit": "crop", "method": "area", "antialias": False},
    "threshold": 0.25,
}


def repack(change: dict[str, bytes]) -> bytes:
    """Returns a file whose metadata is sound and whose packed files are others."""
    written = write_metadata(photos.float_in_graph(), ModelCard("photos", labels=photos.LABELS))
    files = {**read_files(written), **change}
    return append_files(written[: written.index(b"PK\3\4")], files)


def test_a_contract_is_read_as_it_was_written() -> None:
    card = ModelCard(
        "x",
        labels=("a", "b"),
        metadata_kind="multilabel_classifier",
        resize=Resize(fit="crop", method="area", antialias=False),
        threshold=0.25,
    )
    found = read_contract(list_files(card)[CONTRACT_FILE])
    assert (found.metadata_kind, found.resize, found.threshold) == (
        card.metadata_kind,
        card.resize,
        card.threshold,
    )
    assert read_contract(json.dumps(GOOD).encode()) == found


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "expected JSON"),
        (b"\xff\xfe", "expected JSON"),
        (b"[" * 100_000, "expected JSON"),
        (b"[1, 2]", "expected a JSON object"),
        (b"null", "expected a JSON object"),
        ({}, "expected metadata_kind and resize in it"),
        ({"metadata_kind": "classifier"}, "expected resize in it"),
        ({**GOOD, "metadata_kind": 3}, "a word as metadata_kind"),
        ({**GOOD, "threshold": "high"}, "a threshold from 0 to 1. Received: 'high'"),
        ({**GOOD, "threshold": True}, "a threshold from 0 to 1"),
        ({**GOOD, "white": 0}, "a whole number above 0 as white. Received: 0"),
        ({**GOOD, "white": True}, "a whole number above 0 as white"),
        ({**GOOD, "threshold": 7}, "a threshold from 0 to 1"),
        ({**GOOD, "threshold": float("nan")}, "a threshold from 0 to 1"),
        ({**GOOD, "resize": None}, "an object of fit, method and antialias"),
        ({**GOOD, "resize": "stretch"}, "an object of fit, method and antialias"),
        ({**GOOD, "resize": {"fit": ["crop"]}}, "an object of fit, method and antialias"),
        ({**GOOD, "resize": {"antialias": "no"}}, "an object of fit, method and antialias"),
        ({**GOOD, "resize": {"mode": "crop"}}, "an object of fit, method and antialias"),
        ({**GOOD, "resize": {"fit": "squeeze"}}, "fit='squeeze'"),
        ({**GOOD, "crop": 1}, "pip install --upgrade tfxfer-edge"),
    ],
)
def test_a_contract_that_is_none_is_one_line(data: Any, told: str) -> None:
    packed = data if isinstance(data, bytes) else json.dumps(data).encode()
    with pytest.raises(ModelError) as caught:
        read_metadata(repack({CONTRACT_FILE: packed}))
    assert told in str(caught.value)
    assert CONTRACT_FILE in str(caught.value)
    assert "\n" not in str(caught.value)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from([*GOOD, "fit", "method", "antialias", "x"]), inner, max_size=4
            )
        ),
        max_leaves=8,
    )
)
def test_any_json_is_a_contract_or_a_line(document: Any) -> None:
    # Nothing but our own error may come of it.
    with contextlib.suppress(ModelError):
        read_contract(json.dumps(document).encode())


def test_the_predictor_says_what_is_wrong(tmp_path: Any) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(repack({CONTRACT_FILE: json.dumps({**GOOD, "threshold": "high"}).encode()}))
    with pytest.raises(ModelError, match=r"model\.tflite.*threshold from 0 to 1"):
        load_tflite_predictor(path)


def test_labels_that_are_no_text() -> None:
    with pytest.raises(ModelError, match=r"labels in UTF-8, one a line. Received: byte 0xff at 2"):
        read_metadata(repack({LABELS_FILE: b"a\n\xff\n"}))


def test_lines_of_labels() -> None:
    assert split_labels("a\r\nb\u2028c\n".encode()) == ("a", "b\u2028c")
    assert split_labels(b"a\n\nb") == ("a", "", "b")
    assert split_labels(b"") == ()


def test_an_archive_that_is_damaged() -> None:
    content = append_files(b"model", {"a": b"1234", "b": b"5678"})
    assert read_files(content) == {"a": b"1234", "b": b"5678"}
    with pytest.raises(ModelError, match=r"expected an archive of files behind the model"):
        read_files(content.replace(b"1234", b"1235"))
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a", "1")
    encrypted = bytearray(stream.getvalue())
    encrypted[encrypted.index(b"PK\1\2") + 8] |= 1
    with pytest.raises(ModelError, match=r"encrypted"):
        read_files(bytes(encrypted))
    assert read_files(b"nothing here") == {}


def test_members_that_unpack_to_gigabytes_are_refused_unread() -> None:
    content = photos.float_in_graph()
    stream = BytesIO(content)
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("labels.txt", bytes(33 << 20))
    bomb = stream.getvalue()
    assert len(bomb) < len(content) + 100_000
    with pytest.raises(ModelError, match=r"at most 100 packed files, and 32 MB of those"):
        read_files(bomb)
    stream = BytesIO(content)
    with zipfile.ZipFile(stream, "a") as archive:
        for number in range(101):
            archive.writestr(f"{number}", b"")
    with pytest.raises(ModelError, match="Received: 101"):
        read_files(stream.getvalue())


def test_members_that_say_they_are_small_are_not_unpacked_to_gigabytes(
    forge: Forge, peak_of: PeakOf
) -> None:
    forged = forge("labels.txt")

    def read() -> None:
        with pytest.raises(ModelError, match="expected an archive of files behind the model"):
            read_files(forged)

    assert peak_of(read) < 16 << 20


def test_only_what_the_metadata_names_is_read(peak_of: PeakOf) -> None:
    written = write_metadata(photos.float_in_graph(), ModelCard("photos", labels=photos.LABELS))
    stream = BytesIO(written)
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("holiday.mp4", bytes(40 << 20))
    content = stream.getvalue()
    found = []
    # Somebody else's file is nobody's business here, and a client on a phone reads past it, too.
    assert peak_of(lambda: found.append(read_metadata(content))) < 16 << 20
    assert found[0] == read_metadata(written)
