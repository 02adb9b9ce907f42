"""What programs read of an error is a field of it, never a part of its text."""

from __future__ import annotations

import pickle
import re

import pytest

from tfxfer import errors
from tfxfer.errors import ContractError, RunError, TfxferError

CLASSES = sorted(errors.__all__)


@pytest.mark.parametrize("name", CLASSES)
def test_an_error_keeps_its_fields(name: str) -> None:
    kind = getattr(errors, name)
    error = kind("a: expected b. Received: c. Try: d [e]", what="a: expected b.", remedy="d")
    for found in (error, pickle.loads(pickle.dumps(error))):
        assert type(found) is kind
        assert str(found) == "a: expected b. Received: c. Try: d [e]"
        assert (found.what, found.remedy) == ("a: expected b.", "d")
    assert str(error) == error.args[0]


@pytest.mark.parametrize("kind", [TfxferError, RunError, ContractError])
def test_an_error_without_fields_is_its_message(kind: type[TfxferError]) -> None:
    assert (kind("a: expected b.").what, kind("a: expected b.").remedy) == ("a: expected b.", "")


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    lines = re.findall(r"(\w+Error\b).*?(\d+)  ", errors.__doc__ or "")
    drawn = {name: int(code) for name, code in lines}
    assert drawn == {name: getattr(errors, name).exit_code for name in drawn}
    named = set(re.findall(r"\b(\w+Error)\b", errors.__doc__ or ""))
    assert set(CLASSES) <= named
