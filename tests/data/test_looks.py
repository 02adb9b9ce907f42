"""Which views get a look: never the plain one, and always the same for the same numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tfxfer import DataError
from tfxfer.data.feed import SplitSource
from tfxfer.data.looks import Looks, measure_looks
from tfxfer.modality import Modality


@pytest.fixture
def looks(images: Any) -> Looks:
    return measure_looks(images.test)


def read(source: SplitSource, views: range = range(9)) -> np.ndarray:
    found = [pixels for _, _, pixels in source.iter_views(views)]
    return np.concatenate([np.asarray(pixels) for pixels in found])


def test_looks_are_those_of_the_plain_samples(images: Any, looks: Looks) -> None:
    plain = images.test.read_views(range(len(images.test)))[:, 0]
    assert np.array_equal(looks.values, images.train.modality.measure_looks(plain))
    assert len(looks.values) == 12


def test_about_half_of_the_varied_views_get_one(images: Any, looks: Looks) -> None:
    before = read(SplitSource(images.train, augment="light"))
    after = read(SplitSource(images.train, augment="light", looks=looks))
    changed = (before != after).any(axis=(2, 3, 4))
    assert not changed[:, 0].any()
    # 192 draws at a half: 96 and six standard deviations of 7 around it.
    assert 54 <= changed[:, 1:].sum() <= 138
    everything = read(SplitSource(images.train, augment="light", looks=replace(looks, share=1.0)))
    assert (before != everything).any(axis=(2, 3, 4))[:, 1:].all()
    nothing = read(SplitSource(images.train, augment="light", looks=replace(looks, share=0.0)))
    assert np.array_equal(before, nothing)


def test_a_view_is_the_same_whoever_reads_it_and_with_which_others(
    images: Any, looks: Looks
) -> None:
    source = SplitSource(images.train, augment="light", looks=looks)
    whole = read(source)
    wanted = np.zeros((24, 9), bool)
    wanted[[2, 7, 7, 20], [1, 3, 8, 0]] = True
    for indices, views, pixels in source.iter_views(range(9), wanted=wanted):
        rows, columns = np.nonzero(wanted[indices])
        for row, column in zip(rows, columns, strict=True):
            assert np.array_equal(pixels[row, column], whole[indices[row], views[column]])
    indices, numbers = np.array([5, 0, 23, 5]), np.array([1, 4, 2, 0])
    assert np.array_equal(source.read(indices, numbers), whole[indices, numbers])
    other = read(SplitSource(replace(images.train, seed=1), augment="light", looks=looks))
    assert not np.array_equal(whole[:, 1:], other[:, 1:])


def test_views_of_another_look_are_other_views(images: Any, looks: Looks) -> None:
    sources = [
        SplitSource(images.train, augment="light"),
        SplitSource(images.train, augment="light", looks=looks),
        SplitSource(images.train, augment="light", looks=replace(looks, share=0.25)),
        SplitSource(images.train, augment="light", looks=measure_looks(images.val)),
    ]
    assert len({source.digest_contents() for source in sources}) == len(sources)
    again = SplitSource(images.train, augment="light", looks=measure_looks(images.test))
    assert again.digest_contents() == sources[1].digest_contents()


def test_a_modality_without_looks_says_so() -> None:
    assert Modality.has_looks is False
    with pytest.raises(DataError, match="whose texts have none"):
        Texts().measure_looks(np.zeros((1, 4)))
    with pytest.raises(DataError, match="whose texts have none"):
        Texts().give_look(np.zeros(4), np.zeros(4), rng=np.random.default_rng(0))


class Texts(Modality):
    name = "text"
    plural = "texts"

    def check_contract(self, contract: Any) -> None:
        raise NotImplementedError

    def read_contract(self, data: Any, *, assets: Any = None) -> Any:
        raise NotImplementedError

    def inspect(self, sample: Any) -> Any:
        raise NotImplementedError

    def list_inputs(self, size: int, contract: Any) -> Any:
        raise NotImplementedError

    def read(self, sample: Any, **options: Any) -> Any:
        raise NotImplementedError
