from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfxfer import build_model, embed
from tfxfer.backbone import BACKBONE_END
from tfxfer.backbone_weights import (
    holds_backbone_weights,
    read_backbone_weights,
    write_backbone_weights,
)
from tfxfer.errors import WeightsError
from tfxfer.stages import layers_up_to
from tfxfer_heads import Classification

PIXELS = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3)).astype(np.float32)


def list_layers(model: Any) -> list[Any]:
    return [layer for layer in layers_up_to(model, BACKBONE_END) if layer.weights]


@pytest.fixture(scope="module")
def model(make_tiny: Callable[..., Any]) -> Any:
    return make_tiny()


@pytest.fixture(scope="module")
def stored(model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "tiny.npz"
    write_backbone_weights(path, "tiny", list_layers(model))
    return path


def test_a_model_of_the_file_makes_equal_features(
    model: Any, stored: Path, tiny_backbone: Any
) -> None:
    assert holds_backbone_weights(stored)
    head = Classification()
    built = build_model(tiny_backbone(), labels=["a", "b"], head=head, weights=stored, seed=3)
    random = build_model(tiny_backbone(), labels=["a", "b"], head=head, weights=None, seed=3)
    wanted = embed(model, PIXELS, use_litert=False)
    assert np.array_equal(embed(built, PIXELS, use_litert=False), wanted)
    assert not np.allclose(embed(random, PIXELS, use_litert=False), wanted, atol=1e-3)


def rewrite(path: Path, target: Path, **changed: Any) -> Path:
    with np.load(path) as file:
        arrays = {**file, **changed}
    with target.open("wb") as out:
        np.savez(out, **{name: values for name, values in arrays.items() if values is not None})
    return target


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"tfxfer_backbone": np.array("other")}, "those of 'other'"),
        ({"tfxfer_backbone": np.array("x" * 5000)}, "those of another"),
        ({"stem_conv/0": None}, "others, such as 'stem_conv/0'"),
        ({"more/0": np.zeros(2)}, "others, such as 'more/0'"),
        ({"stem_conv/0": np.zeros((3, 3, 3, 5))}, "shape"),
        ({"stem_conv/0": np.zeros(10**5)}, "bytes as 'stem_conv/0'"),
        ({"stem_conv/0": np.full((3, 3, 3, 4), np.nan)}, "no finite numbers"),
        ({"stem_conv/0": np.full((3, 3, 3, 4), "x")}, "no finite numbers"),
    ],
)
def test_other_files_are_refused_and_nothing_is_read(
    model: Any, stored: Path, tmp_path: Path, changed: dict[str, Any], words: str
) -> None:
    path = rewrite(stored, tmp_path / "changed.npz", **changed)
    before = model.get_weights()
    with pytest.raises(WeightsError) as error:
        read_backbone_weights(path, "tiny", list_layers(model))
    assert words in str(error.value)
    assert "\n" not in str(error.value)
    assert all(map(np.array_equal, before, model.get_weights()))


def test_damage_is_told(model: Any, stored: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.npz"
    shutil.copy(stored, path)
    with zipfile.ZipFile(path) as archive:
        place = archive.getinfo("stem_conv/0.npy").header_offset
    content = bytearray(path.read_bytes())
    content[place + 60 : place + 90] = bytes(30)
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="expected"):
        read_backbone_weights(path, "tiny", list_layers(model))


def test_files_of_others_are_not_taken_for_ours(tmp_path: Path) -> None:
    np.savez(tmp_path / "plain.npz", kernel=np.zeros(3))
    (tmp_path / "x.h5").write_bytes(b"\x89HDF\r\n")
    for name in ("plain.npz", "x.h5", "nothing"):
        assert not holds_backbone_weights(tmp_path / name)
