"""A registry that is handed to the command line reaches whatever a command looks up."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tfxfer import ModelError, Registry
from tfxfer.registry.discovery import find_entry_points
from tfxfer.registry.lookup import default_registry

Run = Callable[..., Any]
DOUBLES = Path(__file__).parents[1] / "plugins"
SHORT = ("--schedule", "head", "--head-epochs", 1, "--views", 1, "--weights", "none")


def read_model(path: Any, *, labels: Any, head: Any) -> Any:
    raise ModelError(f"{Path(path).name}: labels={labels}, head={head and head.name}")


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """What is installed, and a backbone, a head and a reader that no distribution brings."""
    for folder in ("good_backbone", "good_head"):
        monkeypatch.syspath_prepend(DOUBLES / folder)
    module = ModuleType("double_reader")
    module.read_model = read_model  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "double_reader", module)
    yield Registry(
        [
            *find_entry_points(),
            EntryPoint("double_tiny", "double_good_backbone:Tiny", "tfxfer.backbones"),
            EntryPoint("double_softmax", "double_good_head:Softmax", "tfxfer.heads"),
            EntryPoint("double", "double_reader:read_model", "tfxfer.readers"),
        ]
    )
    for name in ("double_good_backbone", "double_good_head"):
        sys.modules.pop(name, None)


def test_plugins_of_nobody_train_evaluate_and_predict(
    tfxfer: Run, registry: Registry, photos: Path, tmp_path: Path
) -> None:
    assert "double_tiny" not in {c.name for c in default_registry().list()}
    out = tmp_path / "run"
    names = ("--backbone", "double_tiny", "--head", "double_softmax")
    refused = tfxfer("train", photos, *names, "--out", out, *SHORT)
    assert refused.code == 1
    assert "no backbone named 'double_tiny'" in refused.error

    done = tfxfer("train", photos, *names, "--out", out, *SHORT, "--json", registry=registry)
    assert done.code == 0, done.stderr
    assert (done.document["backbone"], done.document["head"]) == ("double_tiny", "double_softmax")

    measured = tfxfer("evaluate", out, photos, "--json", registry=registry)
    assert measured.code == 0, measured.stderr
    assert measured.document["images"] == done.document["data"]["test"]

    image = next(photos.rglob("*.png"))
    told = tfxfer("predict", out, image, "--json", registry=registry)
    assert told.code == 0, told.stderr
    assert set(told.document[0]["scores"]) == set(done.document["labels"])


def test_a_reader_of_nobody_reads(
    tfxfer: Run, registry: Registry, photos: Path, tmp_path: Path
) -> None:
    path = tmp_path / "model.double"
    path.write_bytes(b"")
    options = ("--head", "double_softmax")
    refused = tfxfer("predict", path, photos)
    assert "expected a run directory or a .keras file" in refused.error
    for command in ("predict", "evaluate"):
        done = tfxfer(command, path, photos, *options, registry=registry)
        assert done.code == 1
        assert done.error == "error: model.double: labels=None, head=double_softmax"
