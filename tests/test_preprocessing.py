from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfxfer import ContractError, Preprocessing, Resize

IMAGENET = Preprocessing.from_mean_std(mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375))

numbers = st.floats(0.5, 300, allow_nan=False)
triples = st.tuples(numbers, numbers, numbers)


def test_one_number_stands_for_all_channels() -> None:
    contract = Preprocessing(scale=1 / 127.5, offset=-1)
    assert contract.scale == (1 / 127.5,) * 3
    assert contract.is_uniform
    assert not IMAGENET.is_uniform


def test_apply_is_what_the_mean_and_deviation_say() -> None:
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    mean, std = np.array(IMAGENET.mean), np.array(IMAGENET.std)
    expected = (pixels - mean) / std
    found = IMAGENET.apply(pixels)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(found[..., ::-1], expected, atol=1e-5)


@given(triples, triples)
def test_mean_and_deviation_are_read_back(mean: tuple[float, ...], std: tuple[float, ...]) -> None:
    contract = Preprocessing.from_mean_std(mean=mean, std=std)
    assert contract.mean == pytest.approx(mean)
    assert contract.std == pytest.approx(std)


@given(triples, triples, st.integers(0, 255))
def test_every_pixel_lies_in_the_output_range(
    scale: tuple[float, ...], offset: tuple[float, ...], pixel: int
) -> None:
    signs = (1, -1, 1)
    contract = Preprocessing(
        scale=tuple(s * x for s, x in zip(signs, scale, strict=True)), offset=offset
    )
    values = contract.apply(np.full(3, pixel))
    for value, (low, high) in zip(values, contract.output_range, strict=True):
        assert low - 0.1 <= value <= high + 0.1


def test_json_keeps_everything() -> None:
    contract = Preprocessing(scale=2, offset=(1, 2, 3), resize=Resize("crop", "area", False))
    assert Preprocessing.from_dict(json.loads(json.dumps(contract.to_dict()))) == contract


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Preprocessing(scale=0), "scales other than 0"),
        (lambda: Preprocessing(scale=float("nan")), "scales other than 0"),
        (lambda: Preprocessing(scale=float("inf")), "finite"),
        (lambda: Preprocessing(offset=float("nan")), "finite offsets"),
        (lambda: Preprocessing(offset=float("-inf")), "finite offsets"),
        (lambda: Preprocessing(scale=(1.0, 2.0)), "one number or three"),
        (lambda: Preprocessing.from_mean_std(mean=0, std=0), "std other than 0"),
        (lambda: Preprocessing.from_dict({"scale": 1, "offset": 0, "gamma": 2}), "gamma"),
        (lambda: Resize("squeeze"), "squeeze"),
        (lambda: Resize(method="lanczos"), "lanczos"),
    ],
)
def test_what_is_no_contract_is_refused(make: object, words: str) -> None:
    with pytest.raises(ContractError, match=words):
        make()  # type: ignore[operator]


def test_grey_is_one_channel_with_one_scale() -> None:
    grey = Preprocessing.from_mean_std(mean=127.5, std=127.5, grey=True)
    assert (grey.channels, Preprocessing().channels) == (1, 3)
    assert Preprocessing.from_dict(grey.to_dict()) == grey
    assert "grey" not in Preprocessing().to_dict()
    pixels = np.array([[[0], [255]]], np.uint8)
    np.testing.assert_allclose(grey.apply(pixels), [[[-1.0], [1.0]]], atol=1e-6)
    with pytest.raises(ContractError, match=r"one scale and one offset with grey=True"):
        Preprocessing(scale=(1.0, 2.0, 1.0), grey=True)
    with pytest.raises(ContractError, match=r"grey='yes'"):
        Preprocessing(grey="yes")  # type: ignore[arg-type]
