from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def saved(make_tiny: Callable[..., Any], tmp_path: Path) -> Path:
    path = tmp_path / "somewhere.keras"
    make_tiny().save(path)
    return path
