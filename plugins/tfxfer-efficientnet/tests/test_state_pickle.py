"""Pickles that run no code and still would hang, crash or fill the memory."""

from __future__ import annotations

import io
import pickle
import random
import struct
import time
import zipfile
import zlib
from collections import OrderedDict

import pytest

from tfxfer.errors import WeightsError
from tfxfer_efficientnet.state_pickle import describe_value, read_pickle
from tfxfer_efficientnet.torch_checkpoint import read_checkpoint

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
SYSTEM = {"protocol_version": PROTOCOL, "little_endian": True, "type_sizes": {}}
EMPTY_TUPLE, TUPLE1, TUPLE2 = b")", b"\x85", b"\x86"
MAX_SECONDS = 2.0  # of CPU; each of these took for ever or ended the process in Python's unpickler


def short(text: str) -> bytes:
    return b"X" + struct.pack("<I", len(text)) + text.encode()


def tensor(name: str, key: str, elements: int, shape: tuple[int, ...], stride: int = 1) -> bytes:
    """One entry of a state dict as torch pickles it."""
    pid = b"(" + short("storage") + b"ctorch\nFloatStorage\n" + short(key) + short("cpu")
    pid += b"J" + struct.pack("<i", elements) + b"NtQ"
    sizes = b"".join(b"J" + struct.pack("<i", size) for size in shape)
    steps = (b"J" + struct.pack("<i", stride)) * len(shape)
    arguments = (
        b"(" + pid + b"K\x00(" + sizes + b"t(" + steps + b"t\x89ccollections\nOrderedDict\n)Rt"
    )
    return short(name) + b"ctorch._utils\n_rebuild_tensor_v2\n" + arguments + b"R"


def state_of(*entries: bytes) -> bytes:
    return b"\x80\x02ccollections\nOrderedDict\n)R(" + b"".join(entries) + b"u."


def legacy(state: bytes, **storages: int) -> bytes:
    """A file in torch's old container; `storages` are the elements of each."""
    header = b"".join(pickle.dumps(x, 2) for x in (MAGIC, PROTOCOL, SYSTEM))
    raw = b"".join(struct.pack("<q", n) + bytes(4 * n) for n in storages.values())
    return header + state + pickle.dumps([key[1:] for key in storages], 2) + raw


def double(times: int) -> bytes:
    """A tuple that holds itself twice, so many times over: 2 ** times leaves in 7 bytes each."""
    program = EMPTY_TUPLE + b"q\x000"
    for i in range(times):
        program += b"h" + bytes([i]) + b"h" + bytes([i]) + TUPLE2 + b"q" + bytes([i + 1]) + b"0"
    return program + b"h" + bytes([times])


HOSTILE = {
    "a key that doubles": b"\x80\x02}" + double(50) + b"Ns.",
    "a value that doubles": b"\x80\x02}" + short("x") + double(50) + b"s.",
    "a name that doubles": b"\x80\x02" + double(50) + double(50) + b"\x93.",
    "a key two million deep": b"\x80\x02})" + TUPLE1 * 2_000_000 + b"Ns.",
    "a file of lists": b"\x80\x02" + b"]" * 3_000_000 + b".",
    "lists that hold each other": b"\x80\x02" + b"]" * 400_000 + b"a" * 399_999 + b".",
    "a number of a megabyte": b"\x80\x02\x8b"
    + struct.pack("<i", 1 << 20)
    + b"\x7f" * (1 << 20)
    + b".",
    "a mark for a value": b"\x80\x02}" + short("x") + b"(s.",
    "arguments that are a list": b"\x80\x02ccollections\nOrderedDict\n]R.",
    "nothing on the stack": b"\x80\x02R.",
    "no end": b"\x80\x02}",
}


@pytest.mark.parametrize("program", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("place", ["magic", "state"])
def test_a_pickle_that_would_hang_or_crash_is_refused_at_once(tmp_path, program, place):
    path = tmp_path / "x.pth"
    path.write_bytes(program if place == "magic" else legacy(program))
    started = time.thread_time()
    with pytest.raises(WeightsError) as caught:
        read_checkpoint(path)
    assert time.thread_time() - started < MAX_SECONDS
    assert len(str(caught.value)) < 400


def test_many_tensors_of_one_storage_are_refused_before_they_are_made(tmp_path):
    size = 100_000
    entries = [tensor(f"w{i}", "0", size, (size,)) for i in range(400)]
    (path := tmp_path / "x.pth").write_bytes(legacy(state_of(*entries), _0=size))
    with pytest.raises(WeightsError, match=r"tensors of at most .* bytes=160000000"):
        read_checkpoint(path)
    # The same storage named once is what it is for.
    path.write_bytes(legacy(state_of(entries[0]), _0=size))
    assert read_checkpoint(path)["w0"].shape == (size,)


def test_members_of_an_archive_that_lie_around_each_other_are_refused(tmp_path):
    names = [f"a/data/{i:02d}".encode() for i in range(40)]
    body, entries = bytes(50_000), []
    for name in reversed(names):
        entries.insert(0, (name, zlib.crc32(body), len(body)))
        body = _local(*entries[0]) + body
    state = state_of(
        *(tensor(f"w{i}", f"{i:02d}", n // 4, (1,)) for i, (_, _, n) in enumerate(entries))
    )
    offsets = [i * (30 + len(names[0])) for i in range(len(names))]
    offsets.append(len(body))
    entries.append((b"a/data.pkl", zlib.crc32(state), len(state)))
    body += _local(*entries[-1]) + state
    listing = b"".join(
        struct.pack(
            "<IHHHHHHIIIHHHHHII",
            0x02014B50,
            20,
            20,
            0,
            0,
            0,
            33,
            crc,
            n,
            n,
            len(name),
            0,
            0,
            0,
            0,
            0,
            at,
        )
        + name
        for (name, crc, n), at in zip(entries, offsets, strict=True)
    )
    count = len(entries)
    end = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, count, count, len(listing), len(body), 0)
    (path := tmp_path / "x.pth").write_bytes(body + listing + end)
    assert sum(x.file_size for x in zipfile.ZipFile(path).infolist()) > 30 * path.stat().st_size
    with pytest.raises(WeightsError, match="members of at most"):
        read_checkpoint(path)


def _local(name: bytes, crc: int, length: int) -> bytes:
    fields = (0x04034B50, 20, 0, 0, 0, 33, crc, length, length, len(name), 0)
    return struct.pack("<IHHHHHIIIHH", *fields) + name


def test_attributes_of_a_state_dict_are_passed_over(tmp_path):
    # torch writes the versions of the modules: {"_metadata": OrderedDict(...)}, BUILD.
    body = state_of(tensor("w", "0", 3, (3,)))[:-1]
    metadata = b"}" + short("_metadata") + b"ccollections\nOrderedDict\n)Rsb."
    (path := tmp_path / "x.pth").write_bytes(legacy(body + metadata, _0=3))
    assert list(read_checkpoint(path)) == ["w"]


@pytest.mark.parametrize("value", [{}, {"a": [1, 2.5, "b", None, True, (3, (4,))]}, -7, "x"])
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_plain_values_are_read_as_python_reads_them(value, protocol):
    data = pickle.dumps(value, protocol)
    stream = io.BytesIO(data + b"next")
    assert read_pickle(stream) == pickle.loads(data) == value
    assert stream.read() == b"next"
    assert read_pickle(io.BytesIO(pickle.dumps(OrderedDict(a=1), protocol))) == {"a": 1}


def test_a_value_is_described_without_what_it_holds():
    assert describe_value([[1] * 9]) == "a list"
    assert describe_value(((1,), 2)) == "a tuple"
    assert describe_value((1, 2)) == "(1, 2)"
    assert describe_value("a" * 1000) == repr("a" * 60 + "...")


@pytest.mark.parametrize("seed", range(4))
def test_a_changed_file_is_read_or_refused_and_nothing_else(tmp_path, seed):
    whole = legacy(state_of(tensor("a", "0", 6, (2, 3)), tensor("b", "1", 4, (4,))), _0=6, _1=4)
    path = tmp_path / "x.pth"
    draw = random.Random(seed)
    outcomes = {"read": 0, "refused": 0}
    for _ in range(500):
        data = bytearray(whole)
        for _ in range(draw.randint(1, 4)):
            at = draw.randrange(len(data))
            kind = draw.randrange(4)
            if kind == 0:
                data[at] = draw.randrange(256)
            elif kind == 1:
                del data[at : at + draw.randint(1, 20)]
            elif kind == 2:
                data[at:at] = data[draw.randrange(len(data)) :][: draw.randint(1, 20)]
            else:
                data[at] ^= 1 << draw.randrange(8)
        path.write_bytes(data)
        try:
            found = read_checkpoint(path)
        except WeightsError:
            outcomes["refused"] += 1
        else:
            outcomes["read"] += 1
            assert sum(array.nbytes for array in found.values()) <= len(data)
    assert min(outcomes.values()) > 0  # else nothing of the file was reached
