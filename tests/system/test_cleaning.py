from __future__ import annotations

import pytest

from tfxfer.errors import StorageError
from tfxfer.system.cleaning import clean_up


def fail() -> None:
    raise StorageError("the phone is gone")


def test_the_first_error_is_the_one_that_is_raised() -> None:
    told: list[str] = []
    with pytest.raises(ValueError, match=r"^first$"), clean_up(fail, tell=told.append):
        raise ValueError("first")
    assert told == ["the phone is gone"]


def test_a_failure_after_success_is_told_and_costs_no_result() -> None:
    told: list[str] = []
    with clean_up(fail, tell=told.append):
        pass
    assert told == ["the phone is gone"]


def test_it_is_done_once_however_the_block_ends() -> None:
    done: list[int] = []
    with clean_up(lambda: done.append(1)):
        pass
    with pytest.raises(KeyboardInterrupt), clean_up(lambda: done.append(2)):
        raise KeyboardInterrupt
    assert done == [1, 2]


def test_an_interruption_of_the_cleaning_itself_is_not_held_back() -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), clean_up(interrupt):
        pass
