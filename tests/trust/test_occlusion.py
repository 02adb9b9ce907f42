"""Occlusion of a linear model, whose drops can be written down."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tfxfer.errors import UsageError
from tfxfer.trust.occlusion import Patches, compute_occlusion, place_patches


@pytest.mark.parametrize("length", [1, 2, 7, 32, 224])
@pytest.mark.parametrize("patches", [Patches(), Patches(0.5, 1), Patches(1.0), Patches(0.01, 3)])
def test_places_cover_everything_from_edge_to_edge(length: int, patches: Patches) -> None:
    side, starts = place_patches(length, patches)
    assert starts[0] == 0
    assert starts[-1] == length - side
    assert starts == sorted(set(starts))
    assert max(np.diff(starts), default=0) <= side


def test_a_linear_model_has_a_closed_form() -> None:
    rng = np.random.default_rng(0)
    size, count = 6, 2
    kernel = rng.normal(size=(size, size, 3, 4))
    pixels = rng.integers(0, 256, (count, size, size, 3)).astype(np.uint8)
    outputs = np.array([3, 1])
    told: list[tuple[str, int, int]] = []
    found = compute_occlusion(
        lambda x: np.einsum("nijc,ijck->nk", x.astype(float), kernel),  # type: ignore[union-attr]
        pixels,
        outputs,
        picture_input="pixels",
        patches=Patches(0.5, 3),
        progress=lambda *args: told.append(args),
    )
    assert found.shape == (count, size, size)
    for number, output in enumerate(outputs):
        fill = np.rint(pixels[number].mean(axis=(0, 1)))
        # What each pixel loses to the mean colour, whichever patch covers it.
        loss = ((pixels[number] - fill) * kernel[..., output]).sum(axis=2)
        expected, covered = np.zeros((2, size, size))
        for top in range(4):
            for left in range(4):
                place = slice(top, top + 3), slice(left, left + 3)
                expected[place] += loss[place].sum()
                covered[place] += 1
        np.testing.assert_allclose(found[number], expected / covered, rtol=1e-5, atol=1e-3)
        # Another output has another map.
        other = ((pixels[number] - fill) * kernel[..., 0]).sum(axis=2)
        assert np.corrcoef(other.ravel(), loss.ravel())[0, 1] < 0.9
    assert told[-1][1:] == (32, 32)


def test_only_the_picture_is_covered() -> None:
    seen: list[Any] = []

    def score(inputs: Any) -> np.ndarray:
        seen.append(inputs)
        return np.asarray(inputs["pixels"].sum(axis=(1, 2)) + inputs["age"])

    given = {"pixels": np.ones((1, 4, 4, 1), np.float32), "age": np.full((1, 1), 7.0)}
    kept = {name: values.copy() for name, values in given.items()}
    found = compute_occlusion(score, given, np.array([0]), picture_input="pixels")
    assert not found.any()  # the mean of one colour is that colour
    assert {name: (values == kept[name]).all() for name, values in given.items()} == {
        "pixels": True,
        "age": True,
    }
    assert all((inputs["age"] == 7).all() for inputs in seen)


@pytest.mark.parametrize("options", [{"side": 0.0}, {"side": 1.5}, {"steps": 0}])
def test_no_patches(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="a side above 0"):
        Patches(**options)
