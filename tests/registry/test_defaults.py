"""Distributions declare what is taken where nobody names a component."""

from __future__ import annotations

import pytest

from tfxfer import PluginConflictError, Registry, UnknownPluginError

from .fakes import FakeDistribution, point


def test_a_default_is_a_name_that_nobody_imports() -> None:
    registry = Registry(
        [
            point("head", " no_such_head", "default", FakeDistribution("heads")),
            point("backbone", "tiny", "default", FakeDistribution("backbones")),
        ]
    )
    assert (registry.default("head"), registry.default("backbone")) == ("no_such_head", "tiny")
    # It is no component: it offers nothing.
    assert registry.list() == ()


def test_two_that_agree_are_no_conflict() -> None:
    registry = Registry(
        [point("head", "same", "default", FakeDistribution(name)) for name in ("one", "other")]
    )
    assert registry.default("head") == "same"


def test_two_different_ones_name_both_and_the_option() -> None:
    registry = Registry(
        [
            point("head", "second", "default", FakeDistribution("other", "2.0")),
            point("head", "first", "default", FakeDistribution("one", "1.0")),
            point("head", "first", "default", FakeDistribution("more", "3.0")),
        ]
    )
    with pytest.raises(PluginConflictError) as caught:
        registry.default("head")
    assert str(caught.value) == (
        "default head: expected distributions to agree on one. Received: 'first' of one 1.0 and "
        "more 3.0, 'second' of other 2.0. Name the one that is meant: --head NAME"
    )


def test_none_says_what_is_installed_and_the_option() -> None:
    with pytest.raises(UnknownPluginError) as caught:
        Registry([point("mine", "json:loads", "head", FakeDistribution("heads"))]).default("head")
    assert str(caught.value).endswith("Installed: mine (heads 1.0). Name one: --head NAME")
    with pytest.raises(UnknownPluginError, match=r"--head NAME, or try: pip install tfxfer-heads$"):
        Registry([]).default("head")
    with pytest.raises(UnknownPluginError, match=r"Installed: none. Name one: --backbone NAME$"):
        Registry([]).default("backbone")


def test_a_head_for_few_samples_is_one_that_all_agree_on() -> None:
    first, second = (point("few_shots_head", name, "default") for name in ("means", "others"))
    assert Registry([first]).few_head() == "means"
    assert Registry([first, first]).few_head() == "means"
    assert Registry([first, second]).few_head() is None
    assert Registry([]).few_head() is None
    # What is declared for few is no default.
    with pytest.raises(UnknownPluginError):
        Registry([first]).default("head")


def test_the_embedded_default_is_declared_by_its_distribution() -> None:
    assert Registry().default("backbone") == "efficientnet_lite0"
