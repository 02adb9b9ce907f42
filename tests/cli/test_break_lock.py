"""`--break-lock` of every command that writes to a run, before anything else of it is read."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from tfxfer import RunDirectory
from tfxfer.cli.main import run
from tfxfer.system.files import to_json
from tfxfer.system.owner import current_owner

HOLDER = ".lock-holder"


def list_commands(path: Path) -> dict[str, list[str]]:
    return {
        "train": ["train", "--resume", "--out", str(path)],
        "evaluate": ["evaluate", str(path), str(path)],
        "export": ["export", str(path)],
    }


@pytest.mark.parametrize("name", list_commands(Path()))
def test_a_lock_of_a_machine_that_is_gone_is_broken_and_no_other(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = RunDirectory.create(tmp_path / "run")
    words = list_commands(kept.path)[name]
    mine = current_owner()
    with kept.lock():
        # There is nothing to go on with: each ends with a message, later than with the lock.
        assert run([*words, "--break-lock"]) == 1
        assert "expected a lock of another machine" in capsys.readouterr().err
        assert (kept.path / HOLDER).exists()
        gone = {"pid": 1, "host": "gone", "mark": replace(mine, place="0" * 8).mark}
        (kept.path / HOLDER).write_text(to_json(gone))
        assert run(words) == 1
        assert (kept.path / HOLDER).exists()
        assert run([*words, "--break-lock"]) == 1
        assert "--break-lock" not in capsys.readouterr().err.splitlines()[-1]
        assert not (kept.path / HOLDER).exists()
        with RunDirectory(kept.path).lock():
            assert socket.gethostname() in (kept.path / HOLDER).read_text()
