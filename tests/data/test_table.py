"""The split's table is the old one or the new one, and a killed process leaves nothing for good."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

from tfxfer.data.table import SplitRow, read_split_table, write_split_table
from tfxfer.errors import StorageError
from tfxfer.system.files import TEMPORARY

ROWS = (SplitRow("a/1.png", "a", "train", "a/1.png"), SplitRow('b, "2".png', "b", "val", "g"))


def test_a_table_goes_round(tmp_path: Path) -> None:
    write_split_table(tmp_path / "split.csv", ROWS)
    assert read_split_table(tmp_path / "split.csv") == ROWS
    assert [path.name for path in tmp_path.iterdir()] == ["split.csv"]


def test_a_run_knows_what_a_killed_process_left(tmp_path: Path) -> None:
    path = tmp_path / "split.csv"
    write_split_table(path, ROWS[:1])

    def look() -> Iterator[SplitRow]:
        yield ROWS[0]
        # What is here now would be here after a SIGKILL.
        assert read_split_table(path) == ROWS[:1]
        assert {*tmp_path.iterdir()} == {path, *tmp_path.glob(TEMPORARY)}
        yield ROWS[1]

    write_split_table(path, look())
    assert read_split_table(path) == ROWS


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(errno.ENOSPC, "full")])
def test_an_interruption_leaves_the_old_table(
    tmp_path: Path, error: BaseException | type[BaseException]
) -> None:
    write_split_table(tmp_path / "split.csv", ROWS[:1])

    def fail() -> Iterator[SplitRow]:
        yield ROWS[1]
        raise error

    with pytest.raises((KeyboardInterrupt, StorageError)):
        write_split_table(tmp_path / "split.csv", fail())
    assert read_split_table(tmp_path / "split.csv") == ROWS[:1]
    assert len(list(tmp_path.iterdir())) == 1
