from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tfxfer.system.folders import cache_folder, state_folder


@pytest.mark.skipif(sys.platform != "linux", reason="every system has its own places")
def test_folders_are_those_of_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert cache_folder() == tmp_path / ".cache" / "tfxfer"
    assert state_folder() == tmp_path / ".local" / "state" / "tfxfer"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "a"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "b"))
    assert (cache_folder(), state_folder()) == (tmp_path / "a/tfxfer", tmp_path / "b/tfxfer")
    assert list(tmp_path.iterdir()) == []
