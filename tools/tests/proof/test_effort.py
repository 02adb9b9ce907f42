from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfxfer_edge.proof.effort import MOST_SECONDS, plan_effort


@given(st.floats(0.05, 5000), st.integers(2, 5000), st.integers(1, 16))
def test_no_file_takes_longer_than_it_may(latency_ms: float, images: int, workers: int) -> None:
    val = images // 2
    effort = plan_effort(latency_ms, images=images, val_images=val, workers=workers, is_named=False)
    scored = -(-images // effort.step)
    seconds = scored * latency_ms / 1e3 / workers
    # A hundred images are scored whatever they take.
    assert seconds <= MOST_SECONDS * 1.01 or scored <= 100
    assert (effort.step > 1) == bool(effort.note)
    if effort.views > 1:
        assert effort.views * val * latency_ms / 1e3 / workers <= MOST_SECONDS


@pytest.mark.parametrize(("latency_ms", "views"), [(10.0, 4), (22.0, 4), (100.0, 1), (280.0, 1)])
def test_a_recipe_that_was_named_is_scored_on_every_plain_image(
    latency_ms: float, views: int
) -> None:
    effort = plan_effort(latency_ms, images=788, val_images=394, workers=2, is_named=True)
    assert effort.step == 1
    assert min(effort.views, 4) == views
