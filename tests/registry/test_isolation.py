"""`Registry.check` imports in another process what listing only names."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from tfxfer import Registry

Install = Callable[..., None]


def test_check_finds_what_listing_cannot(install_doubles: Install) -> None:
    install_doubles(
        "good_backbone",
        "good_head",
        "commands",
        "raises_at_import",
        "newer_contract",
        "returns_nonsense",
    )
    registry = Registry()
    checked = {c.name: registry.check(c) for c in registry.list() if c.name.startswith("double")}
    assert {name: c.status for name, c in checked.items()} == {
        "double_tiny": "ok",
        "double_softmax": "ok",
        "double-hello": "ok",
        "double-fail": "ok",
        "double_raises": "broken",
        "double_newer": "broken",
        "double_nonsense": "ok",  # it imports; what it builds is the conformance kit's to judge
    }
    assert "this double cannot be imported" in str(checked["double_raises"].error)
    assert not [name for name in sys.modules if name.startswith("double_")]


def test_check_ends_what_hangs(install_doubles: Install) -> None:
    install_doubles("hangs_at_import")
    registry = Registry()
    (hanging,) = (c for c in registry.list() if c.name == "double_hangs")
    started = time.monotonic()
    checked = registry.check(hanging, timeout_s=2.0)
    assert checked.status == "broken"
    assert "did not end within 2 s" in str(checked.error)
    assert time.monotonic() - started < 20


def test_check_leaves_missing_and_conflict_alone(install_doubles: Install) -> None:
    install_doubles("claims_taken_name_a", "claims_taken_name_b")
    registry = Registry()
    claims = [c for c in registry.list() if c.name == "double_taken"]
    assert [registry.check(c) for c in claims] == claims
