"""Puts the doubles of the conformance kit's tests where this process and its children find them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

DOUBLES = Path(__file__).parents[1] / "plugins"
FOLDERS = ("good_backbone", "good_head", "good_modality", "ordinal_head", "broken_by_check")


@pytest.fixture(scope="module", autouse=True)
def _doubles_on_path() -> Iterator[None]:
    """Doubles without metadata: importable, but installed by no distribution."""
    patch = pytest.MonkeyPatch()
    paths = [str(DOUBLES / name) for name in FOLDERS]
    for path in reversed(paths):
        patch.syspath_prepend(path)
    before = os.environ.get("PYTHONPATH")
    patch.setenv("PYTHONPATH", os.pathsep.join([*paths, *filter(None, [before])]))
    yield
    patch.undo()
