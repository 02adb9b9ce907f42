"""Metadata of one distribution that nobody can read costs what that one brings, nothing else."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tfxfer import ContractError, PluginConflictError, Registry
from tfxfer.registry.discovery import DEFAULTS, GROUPS, find_entry_points
from tfxfer.run.directory import collect_versions

from .fakes import FakeDistribution, point

ALL_GROUPS = (*GROUPS, DEFAULTS, "tfxfer_edge.modalities")

DAMAGE: dict[str, bytes | None] = {
    "no_equals_sign": b"[{group}]\nno equals sign\n",
    "cut": b"[{group}",
    "no_text": b"[{group}]\nname = \xff\xfe\x00\n",
    "zeros": bytes(100),
    "a_folder": None,
}


@pytest.fixture
def damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Installs distributions that are damaged in every way, for every group."""
    site = tmp_path / "damaged"
    for number, group in enumerate(ALL_GROUPS):
        for word, content in DAMAGE.items():
            folder = site / f"damaged_{word}_{number}-1.0.dist-info"
            folder.mkdir(parents=True)
            (folder / "METADATA").write_text(f"Name: damaged-{word}-{number}\nVersion: 1.0\n")
            path = folder / "entry_points.txt"
            if content is None:
                path.mkdir()
            else:
                path.write_bytes(content.replace(b"{group}", group.encode()))
    # Broken off before the metadata was written, and one that nobody can decode.
    (site / "half-1.0.dist-info").mkdir()
    (site / "binary-1.0.dist-info").mkdir()
    (site / "binary-1.0.dist-info" / "METADATA").write_bytes(b"Name: \xff\xff\nVersion: \xff\n")
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("PYTHONPATH", str(site))
    return site


def ask(groups: tuple[str, ...]) -> set[tuple[str, str, str]]:
    return {(x.group, x.name, x.value) for x in find_entry_points(groups)}


@pytest.mark.parametrize("group", ALL_GROUPS)
def test_entry_points_of_others_are_found(
    group: str, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    before = ask((group,))
    assert before
    request.getfixturevalue("damage")
    # Python's own door to them is shut as a whole: else this would prove nothing.
    with pytest.raises(Exception):  # noqa: B017, PT011 - whatever it is, it costs everything
        list(importlib.metadata.entry_points(group=group))
    assert ask((group,)) == before
    assert "metadata in" in caplog.text
    assert "damaged_zeros_0" not in caplog.text  # it has no entry points at all
    assert "damaged_no_equals_sign_" in caplog.text


@pytest.mark.usefixtures("damage")
def test_what_is_listed_and_loaded_is_the_same() -> None:
    registry = Registry()
    assert ("head", "classification", "ok") in {(c.kind, c.name, c.status) for c in registry.list()}
    assert registry.load_head("classification").name == "classification"
    assert not any(c.distribution.startswith("damaged") for c in registry.list())


@pytest.mark.usefixtures("damage")
def test_a_new_process_predicts_with_a_reader() -> None:
    code = (
        "from tfxfer.registry.lookup import get_reader\n"
        "print(get_reader('tflite').__module__)\n"
        "from tfxfer_edge.door import find_door, list_modalities\n"
        "print(find_door('image').name, *list_modalities())\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], check=True, timeout=300, capture_output=True, text=True
    )
    assert said.stdout.splitlines() == ["tfxfer_edge.predictor", "image image text"]


@pytest.mark.parametrize("content", [None, b"", b"Name: numpy\n", b"Name: numpy\nVersion: \xff\n"])
def test_versions_of_a_run_leave_out_what_says_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
) -> None:
    folder = tmp_path / "numpy-9.9.dist-info"
    folder.mkdir()
    if content is not None:
        (folder / "METADATA").write_bytes(content)
    monkeypatch.syspath_prepend(tmp_path)
    versions = collect_versions()
    assert {"python", "tfxfer", "keras"} <= set(versions)
    assert "numpy" not in versions
    assert all(isinstance(version, str) for version in versions.values())


def test_requirements_that_cannot_be_read_name_their_distribution() -> None:
    class Torn(FakeDistribution):
        @property
        def requires(self) -> Any:
            raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")

    registry = Registry([point("torn", "json:loads", "head", Torn("torn-heads", "2.0"))])
    with pytest.raises(
        ContractError, match=r"pip install --force-reinstall torn-heads \[torn-heads 2\.0\]$"
    ):
        registry.load_head("torn")


@pytest.mark.parametrize("name", ["tflite", ".tflite", "TFLITE", ".TFLite"])
def test_an_ending_is_one_however_it_is_written(name: str) -> None:
    one = point("tflite", "json:loads", "reader", FakeDistribution("one"))
    registry = Registry([one, point(name, "json:loads", "reader", FakeDistribution("other"))])
    assert [(c.name, c.status) for c in registry.list()] == [("tflite", "conflict")] * 2
    for asked in ("tflite", ".tflite", ".TFLITE"):
        with pytest.raises(PluginConflictError, match="pip uninstall one or pip uninstall other"):
            registry.load_reader(asked)
    # Another ending is no rival.
    registry = Registry([one, point("lite", "json:loads", "reader", FakeDistribution("other"))])
    assert [c.status for c in registry.list()] == ["ok", "ok"]


@pytest.mark.parametrize("name", ["keras", ".H5", "hdf5"])
def test_no_reader_takes_what_keras_reads(name: str) -> None:
    registry = Registry([point(name, "json:loads", "reader", FakeDistribution("mine"))])
    with pytest.raises(PluginConflictError, match="also claimed by tfxfer"):
        registry.load_reader(name)


def test_a_reader_whose_ending_has_a_dot_is_checked(offer: Callable[..., Registry]) -> None:
    registry = offer(lambda path, *, labels, head: None, name=".Scent", kind="reader")
    assert [c.name for c in registry.list()] == ["scent"]
    assert callable(registry.load_reader("scent"))
