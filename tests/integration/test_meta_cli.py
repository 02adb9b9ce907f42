"""`tfxfer meta`: weights that learn from a few, as `tfxfer train --weights` takes them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Run = Callable[..., Any]

MORE = (
    "--tasks",
    "2x3",
    "--iterations",
    6,
    "--unfreeze-from",
    "block_1",
    "--rate",
    0.01,
    "--outer",
    1,
)


@pytest.fixture(scope="module")
def meta(tfxfer: Run, weights: Path) -> Run:
    start = ("--backbone", "double_vivid", "--weights", weights)
    return lambda *args: tfxfer("meta", *args, *start)


@pytest.fixture(scope="module")
def learnt(
    photos: Path, meta: Run, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    path = tmp_path_factory.mktemp("meta") / "start.npz"
    done = meta(photos, *MORE, "--out", path, "--json")
    assert done.code == 0, done.stderr
    return path, done.document


def read(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as file:
        return dict(file)


def test_the_upper_stages_have_moved_and_the_lower_have_not(
    learnt: tuple[Path, dict[str, Any]], weights: Path
) -> None:
    path, document = learnt
    assert document["path"] == str(path)
    assert (document["ways"], document["shots"], document["iterations"]) == (2, 3, 6)
    assert document["stage"] == "block_1"
    after, before = read(path), read(weights)
    assert np.array_equal(after["block_1_conv/0"], before["block_1_conv"])
    for name in ("block_2_conv", "block_3_conv"):
        assert not np.array_equal(after[f"{name}/0"], before[name])
        np.testing.assert_allclose(after[f"{name}/0"], before[name], atol=0.5)


def test_the_same_seed_gives_the_same_file(
    learnt: tuple[Path, dict[str, Any]], photos: Path, meta: Run, tmp_path: Path
) -> None:
    done = meta(photos, *MORE, "--out", tmp_path / "again.npz", "--json")
    assert done.code == 0, done.stderr
    one, other = read(learnt[0]), read(tmp_path / "again.npz")
    assert all(np.array_equal(one[name], other[name]) for name in one)


def test_a_training_begins_with_them(
    learnt: tuple[Path, dict[str, Any]], photos: Path, tfxfer: Run, tmp_path: Path
) -> None:
    path, document = learnt
    out = tmp_path / "run"
    done = tfxfer(
        "train", photos, "--out", out, "--backbone", "double_vivid", "--weights", path,
        "--schedule", "head", "--head-epochs", 4, "--no-report", "--json",
    )  # fmt: skip
    assert done.code == 0, done.stderr
    assert done.document["weights"]["sha256"] == document["sha256"]
    import keras

    model = keras.models.load_model(out / "model.keras")
    kernel = model.get_layer("block_3_conv").get_weights()[0]
    assert np.array_equal(kernel, read(path)["block_3_conv/0"])


@pytest.mark.parametrize(
    ("given", "code", "words"),
    [
        (("--tasks", "5"), 2, "WAYSxSHOTS"),
        (("--tasks", "4x2"), 1, "expected 4 labels or more with 2 images each"),
        (("--tasks", "3x30"), 1, "30 images each to learn from. Received: 0"),
        (("--budget", "0.001s"), 1, "time for one task at least"),
        (("--head", "multilabel", "--tasks", "2x2"), 1, "each has one label"),
    ],
)
def test_what_cannot_be_learnt_is_told_in_a_line_and_no_file_is_left(
    photos: Path, meta: Run, tmp_path: Path, given: tuple[str, ...], code: int, words: str
) -> None:
    out = tmp_path / "start.npz"
    done = meta(
        photos, "--out", out, *(("--tasks", "2x3") if "--tasks" not in given else ()), *given
    )
    assert done.code == code, done.stderr
    assert words in done.error
    assert list(tmp_path.iterdir()) == []


def test_a_break_leaves_no_file(
    photos: Path, meta: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tfxfer.meta import reptile

    def stop(*arguments: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(reptile, "move_weights", stop)
    done = meta(photos, *MORE, "--out", tmp_path / "start.npz")
    assert done.code == 130, done.stderr
    assert list(tmp_path.iterdir()) == []
