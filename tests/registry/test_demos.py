"""Demos come through the same door as backbones, and say what is trained on their samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tfxfer import ContractError, Demo, Registry
from tfxfer.data.record import Record, Source
from tfxfer.demo import DemoSamples
from tfxfer.job.demo import demo_request, stored_source


class Waves(Demo):
    name = "good"
    request: Mapping[str, Any] = {"backbone": "own", "augment": "none"}  # type: ignore[misc]

    def find_samples(self, *, progress: Any = None) -> DemoSamples:
        record = Record("a", "high", content="1 2 3")
        return DemoSamples(Source(Path(), (record,), "csv"), ("free",), "1 2 3")


def test_a_demo_says_what_is_trained(offer: Callable[..., Registry]) -> None:
    registry = offer(Waves, kind="demo")
    options = {"budget": None, "seed": 0, "device": "auto", "cache_dir": None}
    request = demo_request(registry.load_demo("good"), registry=registry, options=options)
    assert (request.backbone, request.augment, request.data) == ("own", "none", "demo:good")
    found = stored_source("demo:good", registry)
    assert found is not None
    assert found.records[0].content == "1 2 3"


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"name": "other"}, "the entry point's name 'good'"),
        ({"request": ["size"]}, "a mapping of names to values as request"),
        ({"find_samples": Demo.find_samples}, "it to implement find_samples"),
        ({"contract_version": "0.2"}, "Upgrade tfxfer"),
    ],
)
def test_contract_of_a_demo(
    offer: Callable[..., Registry], attributes: dict[str, Any], expected: str
) -> None:
    with pytest.raises(ContractError) as caught:
        offer(type("Bad", (Waves,), attributes), kind="demo").load_demo("good")
    assert expected in str(caught.value)


def test_a_demo_settles_nothing_that_the_command_line_does(offer: Callable[..., Registry]) -> None:
    greedy = type("Greedy", (Waves,), {"request": {"seed": 7, "speed": 1, "size": 3}})
    registry = offer(greedy, kind="demo")
    options = {"budget": None, "seed": 0, "device": "auto", "cache_dir": None}
    with pytest.raises(ContractError, match=r"Received: seed, speed\."):
        demo_request(registry.load_demo("good"), registry=registry, options=options)
