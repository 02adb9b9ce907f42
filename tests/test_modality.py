"""What a modality gets from its base class."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from tfxfer import DataError, Findings, InputSpec, Modality, Sample, UsageError


class Sounds(Modality):
    """Files, and one input."""

    name = "double_sounds"
    noun = "sound"
    plural = "sounds"
    suffixes = frozenset({".wav"})
    levels = ("none", "light")
    view_options: ClassVar[Mapping[str, Any]] = {"pitch": 1, "speed": 2}

    def check_contract(self, contract: Any) -> None:
        """Takes anything."""

    def read_contract(self, data: Mapping[str, Any]) -> Any:
        raise NotImplementedError

    def inspect(self, sample: Sample) -> Findings:
        raise NotImplementedError

    def list_inputs(self, size: int, contract: Any) -> dict[str, InputSpec]:
        return {"samples": InputSpec((size, 1))}

    def read(self, sample: Sample, **_: Any) -> np.ndarray:
        raise NotImplementedError


class Idioms(Sounds):
    """Cells, and two inputs."""

    noun = "idiom"
    column = "text"

    def list_inputs(self, size: int, contract: Any) -> dict[str, InputSpec]:
        return {
            "ids": InputSpec((size,), dtype="int32", stored="int32"),
            "mask": InputSpec((size,), stored="uint8"),
        }


def test_one_input_is_a_tensor_and_several_are_a_dict() -> None:
    one = Sounds().build_inputs(16, None)
    assert (one.name, one.shape, one.dtype) == ("samples", (None, 16, 1), "float32")
    several = Idioms().build_inputs(16, None)
    found = {name: (x.name, x.shape, x.dtype) for name, x in several.items()}
    assert found == {
        "ids": ("ids", (None, 16), "int32"),
        "mask": ("mask", (None, 16), "float32"),
    }


def test_near_copies_are_none_by_default() -> None:
    sketches = [np.zeros(4)] * 3
    assert Sounds().find_copies(sketches).tolist() == [0, 1, 2]


def test_no_smaller_size_is_known_by_default() -> None:
    assert Sounds().list_smaller_sizes(1000) == ()


def test_files_are_named_on_a_command_line(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.touch()
    assert Sounds().parse_samples([str(path)]) == [Sample(str(path), path)]
    for wrong in (str(tmp_path / "b.wav"), str(tmp_path)):
        with pytest.raises(DataError, match=r"sound '.*': expected a file"):
            Sounds().parse_samples([str(path), wrong])


def test_so_are_samples_that_are_no_files() -> None:
    texts = ["as busy as a bee", ""]
    found = Idioms().parse_samples(texts)
    assert [(x.name, x.path, x.content) for x in found] == [(text, None, text) for text in texts]


def test_options_are_completed_and_checked() -> None:
    given = {"speed": 3}
    assert Sounds().complete_options("light", given) == {"pitch": 1, "speed": 3}
    assert given == {"speed": 3}
    assert Sounds.view_options == {"pitch": 1, "speed": 2}
    with pytest.raises(UsageError, match=r"one of none, light\. Received: level='strong'"):
        Sounds().complete_options("strong", {})
    with pytest.raises(UsageError, match=r"sounds: .*among: pitch, speed\. Received: flip"):
        Sounds().complete_options("none", {"flip": False, **given})


@pytest.mark.parametrize(("modality", "words"), [(Sounds, "not a sound"), (Idioms, "not an idiom")])
def test_what_is_no_sample_is_explained(modality: type[Modality], words: str) -> None:
    assert modality().explain_ignored(".txt") == words


def test_reading_needs_nothing_around_it_by_default() -> None:
    with Sounds().reading() as nothing:
        assert nothing is None


def test_a_modality_may_be_defined_without_keras_and_numpy() -> None:
    code = (
        "import sys\nfrom tfxfer import Findings, InputSpec, Modality, Sample\n"
        "print([m for m in ('numpy', 'keras', 'tensorflow', 'PIL') if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_two_inputs_are_read_and_batched_by_name(tmp_path: Path) -> None:
    from tfxfer.data.record import Record
    from tfxfer.data.samples import SampleSplit

    class Numbered(Idioms):
        def read(self, sample: Sample, *, views: Sequence[int] = (0,), **_: Any) -> Any:
            ids = np.array([[int(str(sample.content)) + view] * 3 for view in views], np.int32)
            return {"ids": ids, "mask": (ids % 2).astype(np.uint8)}

    split = SampleSplit(
        name="train",
        root=tmp_path,
        records=tuple(Record(f"t.csv:{n}", "a", content=str(10 * n)) for n in range(5)),
        labels=("a", "b"),
        targets=np.eye(5, 2, dtype=np.float32),
        modality=Numbered(),
        size=3,
        contract=None,
    )
    found = split.read_views([4, 1], views=(0, 3), level="light")
    assert isinstance(found, dict)
    assert {name: (x.shape, x.dtype.name) for name, x in found.items()} == {
        "ids": ((2, 2, 3), "int32"),
        "mask": ((2, 2, 3), "uint8"),
    }
    assert found["ids"][..., 0].tolist() == [[40, 43], [10, 13]]
    assert found["mask"][..., 0].tolist() == [[0, 1], [0, 1]]
    dataset = split.dataset(batch_size=2)
    inputs, targets = dataset.element_spec
    assert {name: spec.dtype.name for name, spec in inputs.items()} == {
        "ids": "int32",
        "mask": "float32",
    }
    assert targets.shape.as_list() == [None, 2]
    rows = [row for x, _ in dataset.as_numpy_iterator() for row in x["ids"][:, 0].tolist()]
    assert rows == [0, 10, 20, 30, 40]
