"""What was stored is read back whole, or refused with a line that says where it is wrong."""

from __future__ import annotations

import contextlib
import copy
import json
import math
import re
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfxfer.errors import RunError, TfxferError, UsageError
from tfxfer.job.request import TrainRequest
from tfxfer.preprocessing import Preprocessing, Resize
from tfxfer.run.directory import RunDirectory
from tfxfer.run.manifest import DataSummary, Manifest, PhaseRecord, PlannedPhase, WeightsUsed
from tfxfer.schedule import FitState, Phase, PhaseResult
from tfxfer.system.files import to_json, to_plain
from tfxfer.system.records import read_document, read_record


@dataclass(frozen=True)
class Corner:
    x: float
    y: float = 0.0


@dataclass(frozen=True)
class Box:
    label: str
    count: int = 1
    kind: Literal["thin", "thick"] = "thin"
    is_open: bool = False
    size: tuple[int, int] = (1, 1)
    corners: tuple[Corner, ...] = ()
    best: Corner | None = None
    depth: str | float | None = None
    names: list[str] = field(default_factory=list)
    extra: Mapping[str, float] = field(default_factory=dict)
    anything: Any = None

    def __post_init__(self) -> None:
        if self.count < 0:
            raise UsageError(f"box: expected a count of at least 0. Received: count={self.count}.")


@dataclass(frozen=True)
class Odd:
    path: Path


@dataclass(frozen=True)
class Nest:
    inner: Nest | None = None


def read(data: Any, **options: Any) -> Box:
    return read_record(Box, data, where="boxes", error=RunError, **options)


def test_a_record_goes_round() -> None:
    data = {
        "label": "cat",
        "count": 2,
        "kind": "thick",
        "is_open": True,
        "size": [3, 4],
        "corners": [{"x": 1}, {"x": 2.5, "y": 1}],
        "best": {"x": 0.5},
        "depth": 1,
        "names": ["a"],
        "extra": {"a": 1, "b": 0.5},
        "anything": [{"deep": None}],
    }
    found = read(json.loads(json.dumps(data)))
    assert found == Box(
        "cat",
        2,
        "thick",
        True,
        (3, 4),
        (Corner(1.0), Corner(2.5, 1.0)),
        Corner(0.5),
        1.0,
        ["a"],
        {"a": 1.0, "b": 0.5},
        [{"deep": None}],
    )
    assert [type(found.depth), type(found.corners[0].x)] == [float, float]
    assert read({"label": "cat", "depth": "block_1"}).depth == "block_1"
    assert read({"label": "cat"}) == Box("cat")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (3, "boxes: expected an object. Received: 3."),
        ([], "boxes: expected an object. Received: []."),
        ({}, "boxes lacks a key: expected label. Received: none."),
        ({"label": 3}, "boxes: expected text as label. Received: label=3."),
        ({"label": None}, "boxes: expected text as label. Received: label=None."),
        ({"count": True}, "boxes: expected a whole number as count. Received: count=True."),
        ({"count": 1.0}, "boxes: expected a whole number as count. Received: count=1.0."),
        ({"is_open": 1}, "boxes: expected true or false as is_open. Received: is_open=1."),
        ({"kind": "fat"}, "expected 'thin' or 'thick' as kind. Received: kind='fat'."),
        ({"kind": []}, "expected 'thin' or 'thick' as kind. Received: kind=[]."),
        ({"size": [1]}, "boxes: expected a list of 2 as size. Received: size=[1]."),
        ({"size": "ab"}, "boxes: expected a list of 2 as size. Received: size='ab'."),
        ({"size": [1, "b"]}, "expected a whole number as size[1]. Received: size[1]='b'."),
        ({"corners": {}}, "boxes: expected a list as corners. Received: corners={}."),
        ({"corners": [3]}, "expected an object as corners[0]. Received: corners[0]=3."),
        ({"corners": [{"y": 1}]}, "boxes, corners[0] lacks a key: expected x. Received: y."),
        ({"corners": [{"x": "1"}]}, "a number as corners[0].x. Received: corners[0].x='1'."),
        ({"best": {"x": 1, "z": 2}}, "boxes, best: expected the keys x, y. Received: 'z'. A newer"),
        ({"best": {"x": None}}, "expected a number as best.x. Received: best.x=None."),
        ({"best": 3}, "expected an object or null as best. Received: best=3."),
        ({"depth": []}, "expected text or a number or null as depth. Received: depth=[]."),
        ({"depth": False}, "expected text or a number or null as depth. Received: depth=False."),
        ({"names": [1]}, "expected text as names[0]. Received: names[0]=1."),
        ({"extra": []}, "expected an object as extra. Received: extra=[]."),
        ({"extra": {"a.b": "c"}}, "expected a number as extra['a.b']. Received: extra['a.b']='c'."),
        ({"extra": {"a": 10**400}}, "expected a number as extra['a']. Received: extra['a']=1000"),
        ({"label": "x" * 10**4, "count": "x" * 10**4}, "Received: count='xxx"),
        ({"surprise": 1}, "boxes: expected the keys label, count, kind, "),
        ({"count": -1}, "boxes: box: expected a count of at least 0. Received: count=-1."),
    ],
)
def test_what_is_wrong_is_named(data: Any, message: str) -> None:
    if isinstance(data, dict) and data and "label" not in data:
        data = {"label": "cat"} | data
    with pytest.raises(RunError, match=re.escape(message)) as caught:
        read(data)
    assert len(str(caught.value)) < 300


def test_an_error_of_the_record_s_own_class_is_told_once() -> None:
    with pytest.raises(UsageError) as caught:
        read_record(Box, {"label": "cat", "count": -1}, where="boxes", error=UsageError)
    assert str(caught.value) == "box: expected a count of at least 0. Received: count=-1."


def test_a_key_may_have_had_another_name() -> None:
    renamed = {"title": "label"}
    assert read({"title": "cat"}, renamed=renamed) == read({"label": "cat"}, renamed=renamed)
    with pytest.raises(RunError, match=r"expected the keys label.*Received: 'title'\."):
        read({"title": "cat"})
    with pytest.raises(RunError, match=r"Received: 'title'\."):
        read({"title": "cat", "label": "dog"}, renamed=renamed)


def test_a_key_with_a_default_may_have_to_be_there() -> None:
    assert read({"label": "cat", "count": 1}, required=["count"]).count == 1
    with pytest.raises(RunError, match=r"boxes lacks a key: expected count\. Received: label"):
        read({"label": "cat"}, required=["count"])


def test_null_is_a_number_only_where_it_is_said() -> None:
    data = {"label": "cat", "corners": [{"x": None}], "best": None}
    found = read(data, has_nan=True)
    assert math.isnan(found.corners[0].x)
    assert found.best is None
    with pytest.raises(RunError, match=r"corners\[0\]\.x=None"):
        read(data)


def test_a_field_that_json_has_no_type_for_is_a_fault_of_ours() -> None:
    with pytest.raises(TypeError, match=r"cannot hold .*Path.*, at path"):
        read_record(Odd, {"path": "a"}, where="odd", error=RunError)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '"', "\xff", "[]", "null", "3"])
def test_a_file_that_holds_no_object_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "run.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(RunError, match=r"cannot read '.*run\.json': expected .* Received: "):
        read_document(path, expected="the JSON of a run", error=RunError)
    with pytest.raises(RunError, match="FileNotFoundError"):
        read_document(tmp_path / "none", expected="the JSON of a run", error=RunError)
    path.write_text('{"a": 1}')
    assert read_document(path, expected="the JSON of a run", error=RunError) == {"a": 1}


def test_what_is_nested_too_deep_is_refused() -> None:
    data: dict[str, Any] = {}
    for _ in range(10_000):
        data = {"inner": data}
    with pytest.raises(RunError, match="nest: expected fewer levels"):
        read_record(Nest, data, where="nest", error=RunError)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(JSON, st.data())
def test_any_value_anywhere_is_read_or_refused(value: Any, data: st.DataObject) -> None:
    document = {
        "label": "cat",
        "size": [1, 2],
        "corners": [{"x": 1.0, "y": 2.0}],
        "best": {"x": 1.0},
        "extra": {"a": 1.0},
    }
    changed = change(document, value, data)
    try:
        found = read(changed)
    except RunError:
        return
    assert isinstance(found, Box)
    assert isinstance(found.label, str)
    assert all(isinstance(corner, Corner) for corner in found.corners)


def change(document: Any, value: Any, data: st.DataObject) -> Any:
    """Returns a copy of JSON data with a value put somewhere in it, or something taken out."""
    changed = copy.deepcopy(document)
    at = changed
    while True:
        keys = list(at) if isinstance(at, dict) else list(range(len(at)))
        key = data.draw(st.sampled_from([*keys, "surprise"]) if isinstance(at, dict) else
                        st.sampled_from(keys or [0]))  # fmt: skip
        inner = at[key] if key in keys else None
        if isinstance(inner, (dict, list)) and inner and data.draw(st.booleans()):
            at = inner
            continue
        if key in keys and data.draw(st.booleans()):
            del at[key]
        elif isinstance(at, dict) or keys:
            at[key] = value
        return changed


# What the core stores, and what reads it back


def write_manifest() -> Any:
    """Returns the JSON of a run, whole."""
    phase = Phase("head", "backbone", 3, 1e-3)
    manifest = Manifest(
        backbone="tiny",
        head="classification",
        status="done",
        request=asdict(TrainRequest("photos", "tiny", head_options={"dropout": 0.1})),
        labels=("rose", "tulip"),
        preprocessing=Preprocessing(scale=2.0, resize=Resize("crop")).to_dict(),
        versions={"python": "3.11.7"},
        weights=WeightsUsed("imagenet", "ab" * 32, "Apache-2.0"),
        data=DataSummary(10, 6, 2, 2, "f" * 64, ({"path": "x.jpg"},)),
        plan=(asdict(PlannedPhase(phase, 8, 1234, cached=True)),),
        phases=(PhaseRecord("head", "backbone", 3, 1e-3, 1234, True, 4.5, 2),),
        metrics={"test": {"accuracy": {"value": 0.9}}},
    )
    return json.loads(to_json(manifest.to_dict()))


RUN = write_manifest()
RESULT = PhaseResult("head", None, 2, 1e-3, 12, True, 1.5, {"loss": [1.0, math.nan]})
STATE = FitState((RESULT,), (0.5, -math.inf), 0.5, 1, "head")


def read_all(document: Any) -> None:
    """Reads a run as `predict` and `train --resume` do."""
    manifest = Manifest.from_dict(document)
    read_record(TrainRequest, manifest.request, where="run.json, request", error=RunError)
    assert all(isinstance(item.phase, Phase) for item in manifest.planned_phases())
    preprocessing = Preprocessing.from_dict(manifest.preprocessing)
    assert all(map(math.isfinite, preprocessing.scale + preprocessing.offset))
    json.dumps(manifest.to_dict(), allow_nan=False)


def test_a_run_is_read() -> None:
    read_all(RUN)
    (planned,) = Manifest.from_dict(RUN).planned_phases()
    assert planned == PlannedPhase(Phase("head", "backbone", 3, 1e-3), 8, 1234, cached=True)


def test_a_state_goes_round_through_json() -> None:
    found = FitState.from_dict(json.loads(to_json(STATE.to_dict())))
    assert found.best == STATE.best
    assert math.isnan(found.records[0].history["loss"].pop())
    assert found.records[0].history == {"loss": [1.0]}
    assert FitState.from_dict(to_plain(FitState().to_dict())) == FitState()


def test_a_state_of_before_the_peak_was_kept_is_read() -> None:
    document = to_plain(STATE.to_dict())
    del document["peak"]
    assert FitState.from_dict(document).peak == 0.5
    with pytest.raises(RunError, match="state of a training lacks a key: expected best_epoch"):
        FitState.from_dict({key: document[key] for key in document if key != "best_epoch"})


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("phases", 3, "expected a list as phases"),
        ("phases", [3], r"expected an object as phases\[0\]"),
        ("weights", [], "expected an object or null as weights"),
        ("labels", [1], r"expected text as labels\[0\]"),
        ("versions", [], "expected an object as versions"),
        ("versions", {"keras": 3}, r"expected text as versions\['keras'\]"),
        ("metrics", "good", "expected an object as metrics"),
        ("seed", "0", "expected a whole number as seed"),
        ("status", "finished", "expected 'running' or 'interrupted' or 'done' as status"),
    ],
)
def test_a_run_of_other_types_is_refused(key: str, value: Any, words: str) -> None:
    with pytest.raises(RunError, match=f"run manifest: {words}"):
        Manifest.from_dict(RUN | {key: value})


@pytest.mark.parametrize(
    "item",
    [None, {}, {"phase": {}}, RUN["plan"][0] | {"views": None}, RUN["plan"][0] | {"phase": 3}],
)
def test_a_plan_of_other_types_is_refused(item: Any) -> None:
    manifest = Manifest.from_dict(RUN | {"plan": [RUN["plan"][0], item]})
    with pytest.raises(RunError, match=r"run manifest, plan\[1\]"):
        manifest.planned_phases()


@given(JSON, st.data())
def test_any_run_is_read_or_refused(value: Any, data: st.DataObject) -> None:
    with contextlib.suppress(TfxferError):
        read_all(change(RUN, value, data))


@given(JSON, st.data())
def test_any_state_is_read_or_refused(value: Any, data: st.DataObject) -> None:
    with contextlib.suppress(TfxferError):
        FitState.from_dict(change(to_plain(STATE.to_dict()), value, data))


@given(JSON)
def test_any_document_is_read_or_refused(document: Any) -> None:
    readers = (Manifest.from_dict, FitState.from_dict, Phase.from_dict, Preprocessing.from_dict)
    for reader in readers:
        with contextlib.suppress(TfxferError):
            reader(document)


@settings(deadline=None)  # a disk that others use, too
@given(JSON.map(json.dumps) | st.text() | st.binary())
def test_any_file_is_read_or_refused(content: str | bytes) -> None:
    if isinstance(content, str):
        content = content.encode("utf-8", "surrogatepass")
    with tempfile.TemporaryDirectory() as folder:
        run = RunDirectory(folder)
        run.manifest_path.write_bytes(content)
        with pytest.raises(RunError, match=r"run\.json"):
            run.read_manifest()
