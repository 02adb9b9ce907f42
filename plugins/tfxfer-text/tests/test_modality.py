"""Texts from cells and files: what they are, how long, and what a network gets of them."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfxfer import WeightsError
from tfxfer.data.loading import load_samples
from tfxfer.data.samples import SampleData
from tfxfer.errors import ContractError, DataError
from tfxfer.sample import Sample
from tfxfer_text import TextModality, Tokenization
from tfxfer_text.modality import VOCABULARY

MODALITY = TextModality()
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789!?.,'你好"


@pytest.fixture(scope="module")
def contract(tmp_path_factory: pytest.TempPathFactory) -> Tokenization:
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "free", "call", "now", "##er"]
    pieces += [*LETTERS, *(f"##{letter}" for letter in LETTERS)]
    path = tmp_path_factory.mktemp("vocabulary") / "words.txt"
    path.write_text("\n".join(pieces) + "\n", encoding="utf-8")
    return Tokenization(hashlib.sha256(path.read_bytes()).hexdigest(), "minilm_l6", path=path)


def cell(text: str) -> Sample:
    return Sample("cell", content=text)


def read(text: str, contract: Tokenization, size: int = 8, **options: Any) -> dict[str, Any]:
    return MODALITY.read(cell(text), size=size, contract=contract, **options)


def test_what_a_network_gets(contract: Tokenization) -> None:
    words = contract.words
    found = read("Call\0 NOW", contract)
    assert found["ids"].tolist() == [
        [words["[CLS]"], words["call"], words["now"], words["[SEP]"], 0, 0, 0, 0]
    ]
    assert found["mask"].tolist() == [[1, 1, 1, 1, 0, 0, 0, 0]]
    assert {x.dtype for x in found.values()} == {np.dtype("int32")}
    assert not found["segment_ids"].any()
    cut = read("call now call now call now", contract, size=4)
    assert cut["ids"][0, -1] == words["[SEP]"]
    assert cut["mask"].tolist() == [[1, 1, 1, 1]]
    specs = MODALITY.list_inputs(8, contract)
    assert [(x, spec.model_shape) for x, spec in specs.items()] == [
        ("ids", (None,)), ("mask", (None,)), ("segment_ids", (None,)),
    ]  # fmt: skip
    assert MODALITY.count_used({"mask": found["mask"]}).tolist() == [4]
    assert MODALITY.count_used({"ids": found["ids"]}) is None


def test_views(contract: Tokenization) -> None:
    text = "free call now free call now"
    plain = read(text, contract, 16, views=(0, 1, 2), seed=5, level="none")["ids"]
    assert (plain == plain[0]).all()
    varied = read(text, contract, 16, views=(0, 1, 2), seed=5, level="light")["ids"]
    np.testing.assert_array_equal(varied[0], plain[0])
    assert (varied[1:] != plain[0]).any(axis=1).all()
    alone = read(text, contract, 16, views=(2,), seed=5, level="light")["ids"]
    np.testing.assert_array_equal(alone[0], varied[2])


@settings(max_examples=150, deadline=None)
@given(text=st.text(max_size=300), count=st.integers(0, 40))
def test_the_start_of_a_text_is_numbered_as_all_of_it_is(
    contract: Tokenization, text: str, count: int
) -> None:
    text = " ".join([text, *["call"] * (count % 3), text, text])
    assert contract.number_start(text, count) == contract.number(text)[:count]


def test_lengths_count_what_nothing_is_cut_of(contract: Tokenization) -> None:
    texts = ["call", "call now", "caller " * 50, "你好", "\0"]
    found = MODALITY.measure_lengths([cell(text) for text in texts], contract=contract)
    assert found.tolist() == [3, 4, 102, 4, 2]
    for text, length in zip(texts[:-1], found, strict=False):
        assert read(text, contract, size=200)["mask"].sum() == length


@pytest.mark.parametrize(
    ("lengths", "default", "size"),
    [
        ([5] * 100, 128, 16),
        ([16] * 100, 128, 16),
        ([17] * 100, 128, 32),
        ([10] * 95 + [400] * 5, 128, 16),
        ([10] * 94 + [40] * 6, 128, 48),
        ([400] * 100, 128, 128),
        ([400] * 100, 512, 128),
        ([400] * 100, 100, 100),
        ([3], 128, 16),
    ],
)
def test_the_size_holds_95_of_100_texts(lengths: list[int], default: int, size: int) -> None:
    assert MODALITY.fit_size(np.array(lengths), default) == size


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", ("empty", "no characters")),
        (" \t\n\u00a0\u200b\0", ("empty", "only spaces, or characters that nobody sees")),
        ("?", None),
        ("ok", None),
    ],
)
def test_empty_texts(contract: Tokenization, text: str, fault: tuple[str, str] | None) -> None:
    assert MODALITY.inspect(cell(text)).fault == fault
    if fault is not None:
        with pytest.raises(DataError, match="expected words"):
            read(text, contract)


def test_texts_that_differ_in_spaces_are_the_same_and_in_case_they_are_not() -> None:
    one, spaced, loud = (MODALITY.inspect(cell(x)) for x in ("a b c", " a  b\tc\n", "A b c"))
    assert one.identity == spaced.identity != loud.identity
    assert len({one.sha256, spaced.sha256, loud.sha256}) == 3
    assert one.sketch is not None
    assert loud.sketch is not None
    assert MODALITY.find_copies([one.sketch, loud.sketch]).tolist() == [0, 0]


def test_odd_characters_are_told_and_read(contract: Tokenization) -> None:
    assert MODALITY.inspect(cell("a\0b\0")).doubts == (
        "2 control characters that no model sees, such as NUL",
    )
    assert MODALITY.inspect(cell("line\nand\ttab\r\n")).doubts == ()
    half = MODALITY.inspect(cell("half \ud83d"))
    assert half.fault is None
    assert read("half \ud83d", contract)["mask"].sum() > 2


def test_a_text_of_a_megabyte(contract: Tokenization) -> None:
    text = "call me " * 131_072
    assert len(text) == 2**20
    found = MODALITY.inspect(cell(text))
    assert found.fault is None
    assert read(text, contract)["mask"].tolist() == [[1] * 8]
    assert read("x" * 2**20, contract)["ids"][0, 1] == contract.words["[UNK]"]
    assert MODALITY.measure_lengths([cell(text)], contract=contract).tolist() == [3 * 2**17 + 2]


def test_files(tmp_path: Path, contract: Tokenization) -> None:
    path = tmp_path / "1.txt"
    path.write_bytes(b"\xef\xbb\xbf" + b"call now\n")
    sample = Sample("1.txt", path)
    assert MODALITY.inspect(sample).identity == MODALITY.inspect(cell("call now")).identity
    found = MODALITY.read(sample, size=8, contract=contract)
    np.testing.assert_array_equal(found["ids"], read("call now", contract)["ids"])
    path.write_bytes("café".encode("latin-1"))
    fault = MODALITY.inspect(sample).fault
    assert fault is not None
    assert fault[0] == "corrupt"
    assert "0xe9 on line 1" in fault[1]
    with pytest.raises(DataError, match="expected UTF-8"):
        MODALITY.read(sample, size=8, contract=contract)
    path.unlink()
    with pytest.raises(DataError, match=r"can be read\. Received: No such file"):
        MODALITY.read(sample, size=8, contract=contract)


def test_the_vocabulary_travels_with_the_contract(tmp_path: Path, contract: Tokenization) -> None:
    ((name, path),) = MODALITY.list_assets(contract).items()
    assert name == VOCABULARY
    shutil.copyfile(path, tmp_path / name)
    stored = json.loads(json.dumps(contract.to_dict()))
    again = MODALITY.read_contract(stored, assets=tmp_path)
    assert again == contract
    assert again.find_vocabulary() == tmp_path / name
    MODALITY.check_contract(again)
    (tmp_path / name).write_text("other\n")
    with pytest.raises(WeightsError, match="sha256"):
        MODALITY.read_contract(stored, assets=tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(WeightsError, match="nothing there"):
        MODALITY.read_contract(stored, assets=tmp_path)
    with pytest.raises(ContractError):
        MODALITY.check_contract(None)


def load(path: Path, contract: Tokenization, **options: Any) -> SampleData:
    return load_samples(path, modality=MODALITY, size=128, contract=contract, **options)


def write_texts(folder: Path) -> Path:
    lines = ["text,label"]
    letters = "abcdefghijklmnop"
    for number in range(40):
        word = letters[number % 16] * 3 + letters[number // 16] * 4
        lines.append(
            f"{word} {word[::-1]} call {number * 7919} now,{'ham' if number % 2 else 'spam'}"
        )
    lines += [",ham", '"  ",spam', '"the same in both",ham', '"the  same in both ",spam']
    lines += ["one of its kind,rare", "win a prize today in our great big lottery number 1,spam"]
    lines += ["WIN a prize  today in our great big lottery number 1,spam"]
    lines += [f"{'long text ' * 300},ham"]
    path = folder / "texts.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_an_audit_of_texts(tmp_path: Path, contract: Tokenization) -> None:
    data = load(write_texts(tmp_path), contract, least_size=3)
    kinds = data.audit.count_kinds()
    assert kinds["empty"] == 2
    assert kinds["conflicting_label"] == 2
    assert kinds["small_class"] == 1
    assert kinds["near_duplicate"] == 1
    assert data.labels == ("ham", "spam")
    sides = {row.path: row.split for row in data.rows}
    assert sides["texts.csv:47"] == sides["texts.csv:48"]
    picture = data.audit.lengths
    assert picture is not None
    assert picture.samples == sum(picture.counts) == 43
    assert picture.size == data.train.size < 128
    assert picture.longer >= 1
    (line,) = [note for note in data.audit.notes if note.startswith("lengths in tokens")]
    assert f"the input takes {data.train.size}: " in line
    assert "of all tokens are cut" in line
    assert load(write_texts(tmp_path), contract).train.size == 128


def test_folders_of_files_are_read_as_a_table_is(tmp_path: Path, contract: Tokenization) -> None:
    for number in range(12):
        folder = tmp_path / "data" / ("ham" if number % 2 else "spam")
        folder.mkdir(parents=True, exist_ok=True)
        words = " ".join(LETTERS[number + i] * (i + 2) for i in range(6))
        (folder / f"{number}.txt").write_text(f"call {words}\n")
    (tmp_path / "data/ham/notes.docx").write_bytes(b"x")
    data = load(tmp_path / "data", contract)
    assert data.labels == ("ham", "spam")
    assert len(data.rows) == 12
    assert data.audit.count_unread() == {".docx": 1}
    assert "not a text" in " ".join(problem.detail for problem in data.audit.unread)


def test_a_table_whose_lines_have_moved_is_refused(tmp_path: Path, contract: Tokenization) -> None:
    path = write_texts(tmp_path)
    data = load(path, contract)
    data.write_split(tmp_path / "split.csv")
    again = load(path, contract, split_file=tmp_path / "split.csv")
    assert [row.split for row in again.rows] == [row.split for row in data.rows]
    lines = path.read_text(encoding="utf-8").split("\n")
    # Two lines of one label change places: by path and label nothing is amiss.
    lines[1], lines[3] = lines[3], lines[1]
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(DataError, match="another text now"):
        load(path, contract, split_file=tmp_path / "split.csv")
