"""The checkpoint reader, on files that this module writes itself: torch is not needed."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import subprocess
import sys
import types
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from tfxfer.errors import WeightsError
from tfxfer_efficientnet.torch_checkpoint import read_checkpoint

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
SYSTEM = {"protocol_version": PROTOCOL, "little_endian": True, "type_sizes": {}}


def stand_in(module: str, name: str) -> type:
    return type(name, (), {"__module__": module})


Float, Long, Half = (stand_in("torch", f"{kind}Storage") for kind in ("Float", "Long", "Half"))


def _rebuild_tensor_v2(*arguments: object) -> None: ...


_rebuild_tensor_v2.__module__ = "torch._utils"


class Storage:
    def __init__(self, array, *, kind=Float, key="0", elements=None):
        self.raw = np.ascontiguousarray(array).tobytes()
        self.kind, self.key = kind, key
        self.elements = array.size if elements is None else elements


class Tensor:
    def __init__(self, storage, shape, strides, offset=0):
        self.arguments = (storage, offset, shape, strides, False, OrderedDict())

    def __reduce__(self):
        return _rebuild_tensor_v2, self.arguments


def dumps(value, monkeypatch, *, legacy: bool) -> bytes:
    class Pickler(pickle.Pickler):
        def persistent_id(self, item):
            if not isinstance(item, Storage):
                return None
            pid = ("storage", item.kind, item.key, "cpu", item.elements)
            return (*pid, None) if legacy else pid

    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    torch.FloatStorage, torch.LongStorage, torch.HalfStorage = Float, Long, Half
    torch._utils, utils._rebuild_tensor_v2 = utils, _rebuild_tensor_v2
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "torch", torch)
        patch.setitem(sys.modules, "torch._utils", utils)
        Pickler(stream := io.BytesIO(), protocol=2).dump(value)
    return stream.getvalue()


@pytest.fixture
def write(tmp_path, monkeypatch):
    def write(state, storages, *, container="legacy", compress=zipfile.ZIP_STORED) -> Path:
        path = tmp_path / f"{container}.pth"
        body = dumps(state, monkeypatch, legacy=container == "legacy")
        if container == "legacy":
            header = b"".join(pickle.dumps(x, protocol=2) for x in (MAGIC, PROTOCOL, SYSTEM))
            keys = pickle.dumps([s.key for s in storages], protocol=2)
            raw = b"".join(s.elements.to_bytes(8, "little") + s.raw for s in storages)
            path.write_bytes(header + body + keys + raw)
        else:
            with zipfile.ZipFile(path, "w", compress) as archive:
                archive.writestr("model/data.pkl", body)
                for s in storages:
                    archive.writestr(f"model/data/{s.key}", s.raw)
        return path

    return write


def good_state():
    """One shared storage seen straight, transposed and from an offset; and a counter."""
    numbers = Storage(np.arange(12, dtype=np.float32))
    counter = Storage(np.array([7], np.int64), kind=Long, key="1")
    state = OrderedDict(
        straight=Tensor(numbers, (3, 4), (4, 1)),
        transposed=Tensor(numbers, (4, 3), (1, 4)),
        column=Tensor(numbers, (3,), (4,), offset=2),
        empty=Tensor(numbers, (0, 5), (5, 1)),
        counter=Tensor(counter, (), ()),
    )
    state._metadata = OrderedDict(version=1)
    return state, [numbers, counter]


@pytest.mark.parametrize("container", ["legacy", "zip"])
def test_reads_both_containers_and_any_strides(write, container):
    arrays = read_checkpoint(write(*good_state(), container=container))
    numbers = np.arange(12, dtype=np.float32).reshape(3, 4)
    np.testing.assert_array_equal(arrays["straight"], numbers)
    np.testing.assert_array_equal(arrays["transposed"], numbers.T)
    np.testing.assert_array_equal(arrays["column"], numbers[:, 2])
    assert arrays["empty"].shape == (0, 5)
    assert arrays["counter"] == 7
    assert arrays["counter"].dtype == np.int64
    assert list(arrays) == ["straight", "transposed", "column", "empty", "counter"]


def test_arrays_do_not_share_memory(write):
    arrays = read_checkpoint(write(*good_state()))
    arrays["straight"][:] = -1
    assert arrays["transposed"].min() == 0


@pytest.mark.parametrize("container", ["legacy", "zip"])
def test_truncation_at_every_part_is_refused(write, container, tmp_path):
    whole = write(*good_state(), container=container).read_bytes()
    cut = tmp_path / "cut.pth"
    for size in (0, 1, 10, 20, 60, len(whole) // 2, len(whole) - 9, len(whole) - 1):
        cut.write_bytes(whole[:size])
        with pytest.raises(WeightsError):
            read_checkpoint(cut)


def test_trailing_bytes_are_refused(write, tmp_path):
    longer = tmp_path / "longer.pth"
    longer.write_bytes(write(*good_state()).read_bytes() + b"\0")
    with pytest.raises(WeightsError, match="as its storages declare"):
        read_checkpoint(longer)


@pytest.mark.parametrize(
    "content", [b"", b"not a checkpoint", b"\x89HDF\r\n\x1a\n" * 9, b"PK\3\4x"]
)
def test_other_files_are_refused(tmp_path, content):
    (path := tmp_path / "other.pth").write_bytes(content)
    with pytest.raises(WeightsError, match="torch checkpoint"):
        read_checkpoint(path)


def test_missing_file_is_a_weights_error(tmp_path):
    with pytest.raises(WeightsError, match="readable file"):
        read_checkpoint(tmp_path / "none.pth")


class Hostile:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("container", ["legacy", "zip"])
@pytest.mark.parametrize(
    ("function", "named"),
    [
        (os.system, f"{os.system.__module__}.system"),
        (eval, "__builtin__.eval"),
        # protocol 2 calls subprocess by what Python 2 called it
        (subprocess.check_output, "commands.check_output"),
        (getattr, "__builtin__.getattr"),
    ],
)
def test_a_foreign_global_is_refused_by_name_and_not_run(
    write, container, function, named, tmp_path
):
    mark = tmp_path / "run"
    state = OrderedDict(x=Hostile(function, f"touch {mark}"))
    with pytest.raises(WeightsError, match=named.replace(".", r"\.")):
        read_checkpoint(write(state, [], container=container))
    assert not mark.exists()


def test_negative_control_the_hostile_pickle_does_run_elsewhere(tmp_path):
    mark = tmp_path / "run"
    pickle.loads(pickle.dumps(Hostile(os.system, f"touch {mark}")))
    assert mark.exists()


@pytest.mark.parametrize("protocol", range(6))
def test_a_foreign_global_is_refused_in_every_protocol(tmp_path, protocol):
    (path := tmp_path / "x.pth").write_bytes(pickle.dumps(Hostile(os.system, "x"), protocol))
    with pytest.raises(WeightsError, match=r"system"):
        read_checkpoint(path)


@pytest.mark.parametrize("container", ["legacy", "zip"])
def test_an_unknown_storage_is_refused_by_name(write, container):
    half = Storage(np.zeros(4, np.float16), kind=Half)
    with pytest.raises(WeightsError, match=r"torch\.HalfStorage"):
        read_checkpoint(write({"x": Tensor(half, (4,), (1,))}, [half], container=container))


HUGE = 1 << 62


@pytest.mark.parametrize("container", ["legacy", "zip"])
@pytest.mark.parametrize(
    ("shape", "strides", "offset"),
    [
        pytest.param((13,), (1,), 0, id="longer than the storage"),
        pytest.param((4, 3), (1, 5), 0, id="strides reach outside"),
        pytest.param((12,), (1,), 1, id="offset reaches outside"),
        pytest.param((1,), (1,), HUGE, id="huge offset"),
        pytest.param((HUGE,), (1,), 0, id="huge size"),
        pytest.param((HUGE, HUGE), (0, 0), 0, id="endless repetition"),
        pytest.param((1,), (HUGE,), 12, id="one past the end"),
        pytest.param((3,), (-1,), 2, id="negative stride"),
        pytest.param((-3,), (1,), 0, id="negative size"),
        pytest.param((3,), (1,), -1, id="negative offset"),
        pytest.param((3, 4), (4,), 0, id="a stride is missing"),
        pytest.param((1,) * 9, (1,) * 9, 0, id="too many dimensions"),
        pytest.param((3.0,), (1,), 0, id="not a whole number"),
        pytest.param([3], [1], 0, id="not tuples"),
    ],
)
def test_tensors_outside_their_storage_are_refused(write, container, shape, strides, offset):
    storage = Storage(np.arange(12, dtype=np.float32))
    state = {"x": Tensor(storage, shape, strides, offset)}
    with pytest.raises(WeightsError, match="expected"):
        read_checkpoint(write(state, [storage], container=container))


@pytest.mark.parametrize("container", ["legacy", "zip"])
@pytest.mark.parametrize("elements", [0, 11, 13, HUGE])
def test_a_storage_of_another_size_than_declared_is_refused(write, container, elements):
    storage = Storage(np.arange(12, dtype=np.float32), elements=elements)
    with pytest.raises(WeightsError):
        read_checkpoint(write({"x": Tensor(storage, (3,), (1,))}, [storage], container=container))


def test_one_storage_with_two_sizes_is_refused(write):
    one, two = Storage(np.zeros(4, np.float32)), Storage(np.zeros(8, np.float32))
    state = {"x": Tensor(one, (4,), (1,)), "y": Tensor(two, (8,), (1,))}
    with pytest.raises(WeightsError, match="one size and type"):
        read_checkpoint(write(state, [one]))


@pytest.mark.parametrize("key", ["../../etc/passwd", "a/b", "a.b", "", "\0"])
def test_a_key_that_is_a_path_is_refused(write, key):
    storage = Storage(np.zeros(4, np.float32), key=key)
    state = {"x": Tensor(storage, (4,), (1,))}
    for container in ("legacy", "zip"):
        with pytest.raises(WeightsError, match="letters and digits"):
            read_checkpoint(
                write(state, [] if container == "zip" else [storage], container=container)
            )


def test_a_storage_without_a_member_is_refused(write):
    state, storages = good_state()
    with pytest.raises(WeightsError, match="member model/data/1"):
        read_checkpoint(write(state, storages[:1], container="zip"))


def test_compressed_members_are_refused(write):
    path = write(*good_state(), container="zip", compress=zipfile.ZIP_DEFLATED)
    with pytest.raises(WeightsError, match="not compressed"):
        read_checkpoint(path)


def test_a_memo_index_that_would_claim_gigabytes_is_refused(tmp_path):
    # PROTO 2, NONE, LONG_BINPUT 0xfffffff0, STOP
    (path := tmp_path / "memo.pth").write_bytes(b"\x80\x02Nr\xf0\xff\xff\xff.")
    with pytest.raises(WeightsError, match="memo index"):
        read_checkpoint(path)


@pytest.mark.parametrize("state", [[1], {"x": 1}, {1: None}, {"x": {"y": 1}}, None])
def test_anything_but_a_flat_state_dict_is_refused(write, state):
    with pytest.raises(WeightsError, match="state dict"):
        read_checkpoint(write(state, []))


def test_build_cannot_change_what_the_next_file_sees(write, tmp_path):
    # GLOBAL rebuild, MARK, NONE, {"__defaults__": None} as slot state, TUPLE, BUILD, STOP
    program = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(N}X\x0c\x00\x00\x00__defaults__Nstb."
    (path := tmp_path / "build.pth").write_bytes(program)
    with pytest.raises(WeightsError):
        read_checkpoint(path)
    assert len(read_checkpoint(write(*good_state()))) == 5


def test_sha256_is_checked_before_anything_is_unpickled(write):
    path = write(*good_state())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert len(read_checkpoint(path, sha256=digest.upper())) == 5
    hostile = write(OrderedDict(x=Hostile(os.system, "x")), [])
    with pytest.raises(WeightsError, match="expected sha256") as caught:
        read_checkpoint(hostile, sha256=digest)
    assert "system" not in str(caught.value).partition("path=")[0]
