from __future__ import annotations

import json
import math

import pytest

from tfxfer import RunError, Watch
from tfxfer.system.files import to_json
from tfxfer.trust.course import Finding


def test_a_later_process_goes_on_with_what_was_seen() -> None:
    first, second = Watch(), Watch()
    first.findings = [Finding("collapse", 3, "one answer", "a lower rate", "head", "stop")]
    first._said, first._acted, first._fallen = {"collapse"}, {"collapse"}, {"night"}
    first._before, first._losses, first._val_losses = [0.5], [1.0, math.nan], [1.5, 0.1]
    first._rates, first._scores, first._overall = [1e-3, 5e-4], [0.25, 0.5], [0.75]
    first._slices = {"night": [0.5, 0.25]}
    first._wait, first._ask_from = 6, 4
    second.restore_state(json.loads(to_json(first.describe_state())))
    names = [name for name in vars(first) if name not in ("_losses", "_tell", "_validation")]
    assert {n: vars(second)[n] for n in names} == {n: vars(first)[n] for n in names}
    assert second._losses[0] == 1.0
    assert math.isnan(second._losses[1])


def test_something_else_is_refused() -> None:
    with pytest.raises(RunError, match="watch"):
        Watch().restore_state({"said": 3})
