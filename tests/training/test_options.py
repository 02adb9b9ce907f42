from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tfxfer import Augmentation, Cache, Control, Phase, UsageError, fit
from tfxfer.frontier.store import CacheStore
from tfxfer.schedule import FitState
from tfxfer.training.options import group_options

STORE, STATE = CacheStore(), FitState()


def tell(*_: Any) -> None:
    """Stands for a callback."""


def test_what_is_plain_is_a_group_with_defaults() -> None:
    assert group_options("strong", True, None, {}) == (Augmentation("strong"), Cache(), Control())
    assert group_options("none", False, None, {})[1] == Cache(enabled=False)
    # The modality's own level.
    assert group_options(None, True, None, {})[0] == Augmentation()
    groups = Augmentation("none", views=2), Cache(dtype="float32"), Control(deadline=1.0)
    assert group_options(*groups, {}) == groups
    assert group_options(*groups, {})[0] is groups[0]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("flip", False, (Augmentation("light", options={"flip": False}), Cache(), Control())),
        ("views", 3, (Augmentation("light", views=3), Cache(), Control())),
        ("cache_dtype", "float32", (Augmentation("light"), Cache(dtype="float32"), Control())),
        ("store", STORE, (Augmentation("light"), Cache(store=STORE), Control())),
        ("use_litert", False, (Augmentation("light"), Cache(use_litert=False), Control())),
        ("deadline", 1.5, (Augmentation("light"), Cache(), Control(deadline=1.5))),
        ("progress", tell, (Augmentation("light"), Cache(), Control(progress=tell))),
        ("state", STATE, (Augmentation("light"), Cache(), Control(state=STATE))),
        ("on_phase_end", tell, (Augmentation("light"), Cache(), Control(on_phase_end=tell))),
    ],
)
def test_each_moved_keyword_warns_and_lands_in_its_group(
    name: str, value: Any, expected: tuple[Any, Any, Any]
) -> None:
    with pytest.warns(DeprecationWarning, match=rf"fit\({name}=…\) goes with .* use fit\(") as told:
        found = group_options("light", True, None, {name: value})
    assert found == expected
    assert found != group_options("light", True, None, {})
    assert len(told) == 1


def test_the_warning_says_what_to_write() -> None:
    for name, words in (
        ("flip", "fit(augment=tfxfer.Augmentation(options={'flip': …}))"),
        ("cache_dtype", "fit(cache=tfxfer.Cache(dtype=…))"),
        ("on_phase_end", "fit(control=tfxfer.Control(on_phase_end=…))"),
    ):
        with pytest.warns(DeprecationWarning, match="use fit") as told:
            group_options("light", True, None, {name: "float32"})
        assert str(told[0].message).endswith(words)


def test_moved_keywords_join_the_groups_that_are_given() -> None:
    augment = Augmentation("strong", options={"spin": True})
    with pytest.warns(DeprecationWarning, match="use fit"):
        found = group_options(
            augment,
            Cache(dtype="float32"),
            Control(deadline=2.0),
            {"flip": False, "views": 2, "store": STORE, "progress": tell},
        )
    assert found == (
        Augmentation("strong", 2, {"spin": True, "flip": False}),
        Cache(dtype="float32", store=STORE),
        Control(deadline=2.0, progress=tell),
    )
    assert augment == Augmentation("strong", options={"spin": True})


def test_a_keyword_that_never_was_is_refused(make_tiny: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match=r"fit\(\) got an unexpected keyword argument 'steps'"):
        fit(make_tiny(), (None, None), steps=3)


def test_groups_refuse_what_cannot_be() -> None:
    for views in (0, -1):
        with pytest.raises(UsageError, match=f"views={views}"):
            Augmentation(views=views)
        with (
            pytest.raises(UsageError, match="views"),
            pytest.warns(DeprecationWarning, match="use fit"),
        ):
            group_options("light", True, None, {"views": views})
    with pytest.raises(UsageError, match=r"as dtype\. Received: dtype='int8'"):
        Cache(dtype="int8")
    with (
        pytest.raises(UsageError, match="dtype"),
        pytest.warns(DeprecationWarning, match="use fit"),
    ):
        group_options("light", True, None, {"cache_dtype": "int8"})


def test_fit_takes_what_it_took_in_0_1(
    make_tiny: Callable[..., Any], pair: Callable[..., Any]
) -> None:
    ended, told = list[FitState](), list[str]()
    store = CacheStore(memory_bytes=2**30)
    with pytest.warns(DeprecationWarning, match="use fit") as warned:
        history = fit(
            make_tiny(),
            pair(),
            schedule=[Phase("head", "backbone", 1, 1e-2)],
            verbose=0,
            store=store,
            cache_dtype="float32",
            use_litert=False,
            progress=lambda what, done, total: told.append(what),
            on_phase_end=ended.append,
        )
    assert len(warned) == 5
    # The line that called `fit`, not one of ours.
    assert {warning.filename for warning in warned} == {__file__}
    assert ended == [history.state]
    assert set(told) == {
        "reading the training dataset",
        "reading the validation dataset",
        "caching activations",
    }
