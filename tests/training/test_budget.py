from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfxfer import Phase, UsageError
from tfxfer.data.feed import SplitSource
from tfxfer.stages import get_info
from tfxfer.training.budget import (
    Speeds,
    choose_schedule,
    estimate_seconds,
    macs_share,
    probe_speeds,
)

STAGES = ["stem", "block_1", "block_2", "block_3", "backbone"]
SHARES: dict[str | None, float] = {
    None: 1.0, "stem": 0.9, "block_1": 0.6, "block_2": 0.4, "block_3": 0.1, "backbone": 0.0,
}  # fmt: skip
SPEEDS = Speeds(read_seconds=0.004, view_seconds=0.003, forward_seconds=0.013)
COUNTS = {"train": 700, "val": 150, "test": 150, "batch_size": 32}

speeds = st.builds(Speeds, st.floats(1e-4, 0.1), st.floats(0, 0.1), st.floats(1e-4, 1))
counts = st.fixed_dictionaries(
    {
        "train": st.integers(1, 20_000),
        "val": st.integers(1, 5_000),
        "test": st.integers(1, 5_000),
        "batch_size": st.integers(1, 128),
    }
)


def estimate(phases: list[Phase], speed: Speeds = SPEEDS, views: int = 4, **changes: int) -> float:
    return estimate_seconds(speed, SHARES, phases, views=views, **(COUNTS | changes))


@given(speeds, counts, st.floats(1, 1e5), st.floats(1, 1e5))
def test_more_time_never_buys_a_shorter_training(
    speed: Speeds, count: dict[str, int], first: float, second: float
) -> None:
    low, high = sorted((first, second))
    poor, rich = (
        choose_schedule(speed, SHARES, STAGES, seconds=seconds, **count) for seconds in (low, high)
    )
    assert rich.fits >= poor.fits
    if poor.fits:
        assert rich.views >= poor.views
        assert sum(p.epochs for p in rich.schedule) >= sum(p.epochs for p in poor.schedule)


@given(speeds, counts, st.floats(1, 1e5), st.booleans())
def test_what_fits_does_not_exceed_the_budget(
    speed: Speeds, count: dict[str, int], seconds: float, augment: bool
) -> None:
    choice = choose_schedule(speed, SHARES, STAGES, seconds=seconds, augment=augment, **count)
    assert choice.fits is (choice.seconds <= seconds)
    planned = estimate_seconds(speed, SHARES, choice.schedule, views=choice.views, **count)
    assert choice.seconds >= planned
    assert augment or choice.views == 1


def test_no_time_is_an_error_and_a_little_is_the_shortest_training() -> None:
    with pytest.raises(UsageError, match="--budget"):
        choose_schedule(SPEEDS, SHARES, STAGES, seconds=0, **COUNTS)
    choice = choose_schedule(SPEEDS, SHARES, STAGES, seconds=1, **COUNTS)
    assert not choice.fits
    assert [phase.stage for phase in choice.schedule] == ["backbone"]


def test_a_backbone_without_stages_has_a_choice_too() -> None:
    shares: dict[str | None, float] = {None: 1.0, "backbone": 0.0}
    choice = choose_schedule(SPEEDS, shares, ["backbone"], seconds=1e6, **COUNTS)
    assert [phase.stage for phase in choice.schedule] == ["backbone", None]


def test_each_pass_costs_what_it_computes() -> None:
    def cost_of_views(phases: list[Phase]) -> float:
        """Everything but the views costs nothing here, and a view a second."""
        speed = Speeds(read_seconds=0.0, view_seconds=1.0, forward_seconds=0.0)
        return estimate(phases, speed, train=100) - estimate(
            phases, Speeds(0.0, 0.0, 0.0), train=100
        )

    val = COUNTS["val"]
    head, upper = Phase("head", "backbone", 9, 1e-3, views=1), Phase("upper", "block_2", 2, 1e-3)
    assert cost_of_views([head]) - val == pytest.approx(100)
    # Two epochs draw 7 of 16 views: of the three that are left, too.
    assert cost_of_views([upper]) - val == pytest.approx(100 * 4 * 7 / 16)
    assert cost_of_views([head, upper]) - val == pytest.approx(100 * (1 + 3 * 7 / 16))
    # A head after the upper blocks have been trained sees other activations of the same images.
    assert cost_of_views([upper, head]) - val == pytest.approx(100 * (4 * 7 / 16 + 1))
    again = Phase("again", "block_2", 2, 1e-3)
    assert cost_of_views([upper, again]) - val == pytest.approx(100 * (1.75 + 2.25 * 7 / 16))


def test_each_pass_decodes_its_images() -> None:
    slow, free = Speeds(1.0, 0.0, 0.0), Speeds(0.0, 0.0, 0.0)
    head, upper = Phase("head", "backbone", 9, 1e-3, views=1), Phase("upper", "block_2", 9, 1e-3)
    once, twice = (estimate(x, slow) - estimate(x, free) for x in ([head], [head, upper]))
    assert twice - once == pytest.approx(COUNTS["train"])


@given(st.sampled_from(["train", "val", "test"]), st.integers(1, 1000), st.integers(1, 50))
def test_time_grows_with_images_epochs_views_and_depth(part: str, more: int, epochs: int) -> None:
    base = estimate([Phase("p", "block_2", epochs, 1e-3)])
    assert estimate([Phase("p", "block_2", epochs + 1, 1e-3)]) > base
    assert estimate([Phase("p", "block_1", epochs, 1e-3)]) > base
    assert estimate([Phase("p", "block_2", epochs, 1e-3)], **{part: COUNTS[part] + more}) > base
    # One epoch draws each image once, however many views there are.
    of_more_views = estimate([Phase("p", "block_2", epochs, 1e-3)], views=5)
    assert of_more_views == pytest.approx(base) if epochs == 1 else of_more_views > base
    slow = Speeds(SPEEDS.read_seconds, SPEEDS.view_seconds, 2 * SPEEDS.forward_seconds)
    assert estimate([Phase("p", "block_2", epochs, 1e-3)], slow) > base


def test_shares_fall_along_the_stages(make_tiny: Callable[..., Any]) -> None:
    model = make_tiny()
    shares = macs_share(model)
    assert list(shares) == [None, *(stage.name for stage in get_info(model).stages)]
    values = list(shares.values())
    assert values[0] == 1
    # Between block_3 and the end of the backbone lies the pooling, which multiplies nothing.
    assert values[:-1] == sorted(set(values), reverse=True)
    assert values[-1] == values[-2]
    # Counted by hand: 3 x 3 kernels on 16, 8, 8 and 4 px, and the head.
    macs = [9 * 3 * 4 * 256, 9 * 4 * 6 * 64, 9 * 6 * 6 * 64, 9 * 6 * 8 * 16, 8 * 3]
    assert shares["stem"] == pytest.approx(1 - macs[0] / sum(macs))
    assert shares["backbone"] == pytest.approx(macs[-1] / sum(macs))


def test_speeds_are_measured(
    make_tiny: Callable[..., Any], images: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = SplitSource(images.train, augment="light")
    read = type(source.split).read_views

    def read_slowly(self: Any, indices: Any, *, views: Any, **options: Any) -> Any:
        time.sleep(0.1 * len(indices) + 0.05 * len(indices) * (len(views) - 1))
        return read(self, indices, views=views, **options)

    monkeypatch.setattr(type(source.split), "read_views", read_slowly)
    found = probe_speeds(make_tiny(), source, images=4)
    assert found.read_seconds >= 0.1
    # Others use this machine, too: no upper bound. The first pass may be the slower one.
    assert found.view_seconds > 0.02
    assert found.forward_seconds > 0
