"""Files of a distribution: pip itself fetches a wheel from a folder, as it would from an index."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tfxfer.errors import SetupError
from tfxfer.system import packages
from tfxfer.system.packages import PackageFiles, find_package_files

NAME, VERSION = "double-carrier", "1.2.0"
DIST = f"double_carrier-{VERSION}"
WORDS, NUMBERS = b"one\ntwo\n", bytes(range(256)) * 40
MEMBERS = {"double_carrier/words.txt": WORDS, "double_carrier/data/numbers.bin": NUMBERS}
PACKAGE = PackageFiles(
    NAME,
    VERSION,
    {member: hashlib.sha256(content).hexdigest() for member, content in MEMBERS.items()},
    download_bytes=2_000,
)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only place where pip looks, and a cache of this test's own."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(packages, "cache_folder", lambda: tmp_path / "cache" / "tfxfer")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return folder


@pytest.fixture
def write_wheel(index: Path) -> Callable[..., Path]:
    def write(**changed: bytes) -> Path:
        path = index / f"{DIST}-py3-none-any.whl"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for member, content in MEMBERS.items():
                archive.writestr(member, changed.get(Path(member).stem, content))
            archive.writestr(
                f"{DIST}.dist-info/METADATA",
                # What it asks for exists nowhere: only --no-deps gets it.
                f"Metadata-Version: 2.1\nName: {NAME}\nVersion: {VERSION}\n"
                "Requires-Dist: no-such-distribution\n",
            )
            archive.writestr(
                f"{DIST}.dist-info/WHEEL",
                "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            )
            archive.writestr(f"{DIST}.dist-info/RECORD", "")
        return path

    return write


@pytest.fixture
def _no_pip(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes the wheel that lies there: pip takes a second to start, and is tried without this."""
    monkeypatch.setattr(packages, "_download", lambda *_: next(index.glob("*.whl")))


def read(found: dict[str, Path]) -> dict[str, bytes]:
    return {member: path.read_bytes() for member, path in found.items()}


def test_a_wheel_is_fetched_once(index: Path, write_wheel: Callable[..., Path]) -> None:
    wheel = write_wheel()
    calls: list[tuple[str, int, int]] = []
    found = find_package_files(PACKAGE, progress=lambda *call: calls.append(call))
    assert read(found) == MEMBERS
    assert calls[0] == (f"downloading {NAME}=={VERSION}", 0, 2_000)
    assert calls[-1][1:] == (2_000, 2_000)
    assert all(done < 2_000 for _, done, _ in calls[:-1])
    folder = found["double_carrier/words.txt"].parent.parent
    # Neither the wheel nor what pip had in hand stays.
    left = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert left - {".lock"} == set(MEMBERS)
    wheel.unlink()
    assert find_package_files(PACKAGE) == found


@pytest.mark.usefixtures("_no_pip")
def test_a_cached_file_that_was_changed_is_fetched_anew(write_wheel: Callable[..., Path]) -> None:
    write_wheel()
    words = find_package_files(PACKAGE)["double_carrier/words.txt"]
    words.write_bytes(b"three\n")
    assert read(find_package_files(PACKAGE)) == MEMBERS


def test_several_processes_fetch_it_once(
    index: Path, write_wheel: Callable[..., Path], tmp_path: Path
) -> None:
    write_wheel()
    # Each counts its downloads; the second finds what the first one fetched.
    code = f"""
import sys
from tfxfer.system import packages
download, count = packages._download, 0
def counted(*args):
    global count
    count += 1
    return download(*args)
packages._download = counted
packages.find_package_files(packages.PackageFiles(
    {NAME!r}, {VERSION!r}, {dict(PACKAGE.members)!r}, download_bytes=2_000))
print(count)
"""
    children = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    counts = [child.communicate(timeout=60)[0].strip() for child in children]
    assert sorted(counts) == ["0", "1"]


@pytest.mark.usefixtures("_no_pip")
def test_an_installed_distribution_is_preferred(
    write_wheel: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_wheel()
    site = tmp_path / "site"
    for member, content in MEMBERS.items():
        (site / member).parent.mkdir(parents=True, exist_ok=True)
        (site / member).write_bytes(content)
    info = site / f"{DIST}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {NAME}\nVersion: {VERSION}\n")
    monkeypatch.syspath_prepend(site)
    found = find_package_files(PACKAGE)
    assert found == {member: site / member for member in MEMBERS}
    # Another version's files are not these.
    (site / "double_carrier/words.txt").write_bytes(b"three\n")
    fetched = find_package_files(PACKAGE)
    assert read(fetched) == MEMBERS
    assert site not in fetched["double_carrier/words.txt"].parents


def test_without_a_network_every_way_out_is_said(index: Path) -> None:
    with pytest.raises(SetupError) as caught:
        find_package_files(PACKAGE)
    message = str(caught.value)
    assert "\n" not in message
    assert "pip download --no-deps double-carrier==1.2.0" in message
    assert "pip install --no-deps double-carrier==1.2.0" in message
    assert "No matching distribution" in message or "Could not find a version" in message
    assert not list(packages.cache_folder().rglob("tfxfer-fetch-*"))


def test_an_environment_without_pip_is_told_apart(
    index: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # What `python -m pip` says where pip is not: the same words, whatever the interpreter.
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -S -I "$@"\n')
    python.chmod(0o755)
    monkeypatch.setattr(packages.sys, "executable", str(python))
    with pytest.raises(SetupError, match=r"expected pip in this environment.*uv pip install pip"):
        find_package_files(PACKAGE)


@pytest.mark.usefixtures("_no_pip")
@pytest.mark.parametrize("changed", [{"numbers": b"other"}, {"words": b"one\ntwo\nthree\n"}])
def test_a_file_that_is_another_one_is_refused(
    write_wheel: Callable[..., Path], changed: dict[str, bytes]
) -> None:
    write_wheel(**changed)
    with pytest.raises(SetupError, match="expected sha256"):
        find_package_files(PACKAGE)
    with pytest.raises(SetupError):  # nothing of it was kept as good
        find_package_files(PACKAGE)


@pytest.mark.usefixtures("_no_pip")
def test_what_is_larger_than_it_says_is_not_unpacked(write_wheel: Callable[..., Path]) -> None:
    write_wheel()
    with pytest.raises(SetupError, match="more than 10000 bytes"):
        find_package_files(replace(PACKAGE, member_bytes=10_000))
    assert read(find_package_files(replace(PACKAGE, member_bytes=len(NUMBERS)))) == MEMBERS


@pytest.mark.usefixtures("_no_pip")
def test_a_wheel_without_the_member_is_refused(write_wheel: Callable[..., Path]) -> None:
    write_wheel()
    with pytest.raises(SetupError, match=r"expected a wheel with double_carrier/absent\.txt"):
        find_package_files(replace(PACKAGE, members={"double_carrier/absent.txt": "0" * 64}))


@pytest.mark.parametrize(
    "change",
    [
        {"name": "--index-url=x"},
        {"name": "a b"},
        {"version": "-r x"},
        {"version": "1.0 ; x"},
        {"members": {"../words.txt": ""}},
        {"members": {"/etc/words.txt": ""}},
        {"members": {"a/../../words.txt": ""}},
        {"members": {"": ""}},
    ],
)
def test_what_could_leave_the_cache_or_steer_pip_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="PackageFiles: expected"):
        replace(PACKAGE, **change)
