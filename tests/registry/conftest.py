"""A registry of one component that a test defines itself."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from tfxfer import Registry

from .fakes import FakeDistribution, point


@pytest.fixture
def offer(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Registry]:
    """Makes a registry with one component that this test defines itself."""

    def make(component: Any, *, name: str = "good", kind: str = "backbone") -> Registry:
        module = ModuleType("double_inline")
        module.offered = component  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "double_inline", module)
        dist = FakeDistribution("double-inline", "2.3")
        return Registry([point(name, "double_inline:offered", kind, dist)])

    return make
