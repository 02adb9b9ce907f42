from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfxfer import FineTuning, Phase, UsageError
from tfxfer.data.feed import SplitSource
from tfxfer.frontier.fill import Conversion
from tfxfer.stages import get_info
from tfxfer.training.budget import BudgetedSchedule, choose_schedule
from tfxfer.training.cost import Workload, estimate_seconds
from tfxfer.training.ladder import list_rungs
from tfxfer.training.speeds import Speeds, macs_share, probe_speeds

LOSSES = FineTuning().losses
STAGES = ["stem", "block_1", "block_2", "block_3", "backbone"]
SHARES: dict[str | None, float] = {
    None: 1.0, "stem": 0.9, "block_1": 0.6, "block_2": 0.4, "block_3": 0.1, "backbone": 0.0,
}  # fmt: skip
SPEEDS = Speeds(0.004, 0.003, forward_seconds=0.013, cache_seconds=0.0065, trace_seconds=0.5)
FREE = Speeds(0.0, 0.0, 0.0, 0.0, 0.0)
SIZES = (224, 192, 160, 128)
WORK = Workload(train=700, val=150, test=150, batch_size=32)

speeds = st.builds(
    Speeds, st.floats(1e-4, 0.1), st.floats(0, 0.1), st.floats(1e-4, 1), st.floats(1e-4, 1),
    st.floats(0, 10),
)  # fmt: skip
works = st.builds(
    Workload, st.integers(1, 20_000), st.integers(1, 5_000), st.integers(1, 5_000),
    st.integers(1, 128),
)  # fmt: skip


def estimate(phases: list[Phase], speed: Speeds = SPEEDS, views: int = 4, **changes: int) -> float:
    return estimate_seconds(speed, SHARES, phases, views=views, work=replace(WORK, **changes))


def test_companions_take_a_second_step_and_a_cache_of_their_own() -> None:
    head, upper = Phase("head", "backbone", 30, 1e-3), Phase("up", "block_2", 8, 1e-3)
    assert estimate([head], companions=500) == estimate([head])
    more = estimate([upper], views=1, companions=500) - estimate([upper], views=1)
    # 8 epochs of 700 draws leave next to none of 500 out; a step takes 2.2 passes of 0.4.
    steps = 8 * 700 * 0.4 * 2.2 * SPEEDS.forward_seconds
    cache = 500 * (SPEEDS.view_seconds + 0.6 * SPEEDS.cache_seconds + SPEEDS.read_seconds)
    assert more == pytest.approx(steps + cache, rel=1e-3)


@settings(deadline=None)
@given(speeds, works, st.floats(1, 1e5), st.floats(1, 1e5), st.booleans())
def test_more_time_never_buys_a_worse_training(
    speed: Speeds, work: Workload, first: float, second: float, augment: bool
) -> None:
    low, high = sorted((first, second))
    poor, rich = (
        choose_schedule(
            speed, SHARES, STAGES, seconds=seconds, work=work, sizes=SIZES, augment=augment
        )
        for seconds in (low, high)
    )
    assert rich.fits >= poor.fits
    if poor.fits:
        assert rich.loss <= poor.loss


LITE0: dict[str | None, float] = {
    None: 1.0, "stem": 0.98, "block_1": 0.94, "block_2": 0.86, "block_3": 0.79, "block_4": 0.73,
    "block_5": 0.67, "block_6": 0.64, "block_7": 0.60, "block_8": 0.56, "block_9": 0.51,
    "block_10": 0.42, "block_11": 0.34, "block_12": 0.28, "block_13": 0.23, "block_14": 0.17,
    "block_15": 0.11, "block_16": 0.04, "top": 0.0, "backbone": 0.0,
}  # fmt: skip
"""EfficientNet-Lite0's, from `macs_share`."""


@pytest.mark.parametrize("slowness", [0.5, 1, 2, 4])
@pytest.mark.parametrize("train", [100, 700, 3_000, 20_000])
def test_every_budget_is_used_or_no_better_training_is_known(slowness: float, train: int) -> None:
    """Over a grid of machines and sets: what was chosen, stretched by `Pace`, fills the time."""
    speed = Speeds(*(slowness * x for x in dataclasses.astuple(SPEEDS)))
    work = Workload(train, train // 5, train // 5, 32)

    def choose(seconds: float) -> BudgetedSchedule:
        names = [name for name in LITE0 if name is not None]
        return choose_schedule(speed, LITE0, names, seconds=seconds, work=work, sizes=SIZES)

    shortest = choose(1e-3).seconds
    losses = []
    for factor in (1.02, 1.2, 1.35, 1.5, 1.75, 2, 3, 5, 8, 13, 21):
        seconds = shortest * factor
        choice = choose(seconds)
        assert choice.fits
        losses.append(choice.loss)
        if choice.next_seconds is None:
            continue
        assert choice.next_seconds > seconds
        if len(choice.schedule) == 1:
            assert choice.seconds >= 0.85 * seconds
            continue
        head, tuning, *last = choice.schedule
        assert tuning.longest == LOSSES.longest_epochs
        longest = [head, replace(tuning, epochs=LOSSES.longest_epochs), *last]
        most = estimate_seconds(speed, LITE0, longest, views=choice.views, work=work, size=SIZES[0])
        assert max(choice.seconds, most) >= 0.85 * seconds
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] == 0


def test_a_second_phase_comes_as_soon_as_it_fits() -> None:
    names = [name for name in LITE0 if name is not None]

    def choose(seconds: float, sizes: tuple[int, ...]) -> BudgetedSchedule:
        return choose_schedule(SPEEDS, LITE0, names, seconds=seconds, work=WORK, sizes=sizes)

    seconds = 1.3 * choose(1e-3, SIZES).seconds
    choice = choose(seconds, SIZES)
    assert choice.schedule[1].size in SIZES[1:]
    # Where nobody lets it take smaller images, the same time buys less.
    assert choose(seconds, SIZES[:1]).loss > choice.loss


def test_a_small_network_is_fine_tuned_or_not_and_nothing_in_between() -> None:
    for seconds in (30, 60, 120, 240):
        choice = choose_schedule(SPEEDS, SHARES, STAGES, seconds=seconds, work=WORK, sizes=SIZES)
        assert "backbone" not in [phase.stage for phase in choice.schedule[1:]]


def test_rungs_are_ordered_by_what_they_lose() -> None:
    rungs = list_rungs(FineTuning(), sizes=(1.0, 0.7))
    assert [x.loss for x in rungs] == sorted(x.loss for x in rungs)
    assert rungs[0].loss == 0
    best = {size: min(x.loss for x in rungs if x.size == size) for size in (1.0, 0.7)}
    assert best[1.0] < best[0.7]
    head_only = [x for x in rungs if x.frontier is None]
    assert head_only
    assert {x.views for x in head_only} == {1}
    assert {x.views for x in list_rungs(FineTuning(), augment=False)} == {1}


@settings(deadline=None)
@given(speeds, works, st.floats(1, 1e5), st.booleans())
def test_what_fits_does_not_exceed_the_budget(
    speed: Speeds, work: Workload, seconds: float, augment: bool
) -> None:
    choice = choose_schedule(
        speed, SHARES, STAGES, seconds=seconds, work=work, sizes=SIZES, augment=augment
    )
    assert choice.fits is (choice.seconds <= seconds)
    planned = estimate_seconds(
        speed, SHARES, choice.schedule, views=choice.views, work=work, size=SIZES[0]
    )
    assert choice.seconds >= planned
    assert augment or choice.views == 1


def test_no_time_is_an_error_and_a_little_is_the_shortest_training() -> None:
    with pytest.raises(UsageError, match="--budget"):
        choose_schedule(SPEEDS, SHARES, STAGES, seconds=0, work=WORK)
    choice = choose_schedule(SPEEDS, SHARES, STAGES, seconds=1, work=WORK)
    assert not choice.fits
    assert [phase.stage for phase in choice.schedule] == ["backbone"]


def test_a_backbone_without_stages_has_a_choice_too() -> None:
    shares: dict[str | None, float] = {None: 1.0, "backbone": 0.0}
    choice = choose_schedule(SPEEDS, shares, ["backbone"], seconds=1e6, work=WORK)
    assert [phase.stage for phase in choice.schedule] == ["backbone", None]


def test_each_pass_costs_what_it_computes() -> None:
    def cost_of_views(phases: list[Phase]) -> float:
        """Everything but the views costs nothing here, and a view a second."""
        speed = replace(FREE, view_seconds=1.0)
        return estimate(phases, speed, train=100) - estimate(phases, FREE, train=100)

    val = WORK.val
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
    slow, free = replace(FREE, read_seconds=1.0), FREE
    head, upper = Phase("head", "backbone", 9, 1e-3, views=1), Phase("upper", "block_2", 9, 1e-3)
    once, twice = (estimate(x, slow) - estimate(x, free) for x in ([head], [head, upper]))
    assert twice - once == pytest.approx(WORK.train)


@given(st.sampled_from(["train", "val", "test"]), st.integers(1, 1000), st.integers(1, 50))
def test_time_grows_with_images_epochs_views_and_depth(part: str, more: int, epochs: int) -> None:
    base = estimate([Phase("p", "block_2", epochs, 1e-3)])
    assert estimate([Phase("p", "block_2", epochs + 1, 1e-3)]) > base
    assert estimate([Phase("p", "block_1", epochs, 1e-3)]) > base
    assert (
        estimate([Phase("p", "block_2", epochs, 1e-3)], **{part: getattr(WORK, part) + more}) > base
    )
    # One epoch draws each image once, however many views there are.
    of_more_views = estimate([Phase("p", "block_2", epochs, 1e-3)], views=5)
    assert of_more_views == pytest.approx(base) if epochs == 1 else of_more_views > base
    slow = replace(SPEEDS, forward_seconds=2 * SPEEDS.forward_seconds)
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
    model, source = make_tiny(), SplitSource(images.train, augment="light")
    read, predict, now = type(source.split).read_views, model.predict_on_batch, 0.0
    batches: list[int] = []

    def read_slowly(self: Any, indices: Any, *, views: Any, **options: Any) -> Any:
        nonlocal now
        now += 0.1 * len(indices) + 0.05 * len(indices) * (len(views) - 1)
        return read(self, indices, views=views, **options)

    def predict_slowly(batch: Any) -> Any:
        nonlocal now
        now += 0.02 * len(batch) + (0 if batches else 3)
        batches.append(len(batch))
        return predict(batch)

    monkeypatch.setattr(type(source.split), "read_views", read_slowly)
    monkeypatch.setattr(model, "predict_on_batch", predict_slowly)
    # A clock of our own: what else the machine does is not measured.
    monkeypatch.setattr(
        "tfxfer.training.speeds.time", types.SimpleNamespace(perf_counter=lambda: now)
    )
    found = probe_speeds(model, source, samples=4)
    assert dataclasses.astuple(found) == pytest.approx((0.1, 0.05, 0.02, 0.02, 3.0))
    # Keras takes the time of whole batches.
    assert set(batches) == {32}


def test_speeds_of_the_true_clock_are_above_zero(
    make_tiny: Callable[..., Any], images: Any
) -> None:
    found = probe_speeds(make_tiny(), SplitSource(images.train, augment="light"), samples=4)
    assert min(found.read_seconds, found.forward_seconds) > 0


def test_what_was_converted_to_be_timed_is_kept(make_tiny: Callable[..., Any], images: Any) -> None:
    model, conversion = make_tiny(), Conversion()
    source = SplitSource(images.train, augment="light")
    stages = [stage.name for stage in get_info(model).stages]
    found = probe_speeds(model, source, stages=[None, *stages], conversion=conversion, samples=4)
    assert found.cache_seconds > 0
    assert conversion.stages == tuple(stages)
    plain = probe_speeds(model, source, samples=4)
    assert plain.cache_seconds == plain.forward_seconds
