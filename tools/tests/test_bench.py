from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tfxfer_edge.bench import Bench, Made
from tfxfer_edge.cli.export import show_candidates
from tfxfer_edge.gate import Candidate

IMAGES = 200
TARGETS = np.eye(2, dtype=np.float32)[np.arange(IMAGES) % 2]

Wrong = set[tuple[int, int]]
"""(image, view) that a file gets wrong; the float model gets all of them right."""


class Split:
    """Images whose pixels are their own number and that of the view."""

    image_size = 4
    targets = TARGETS

    def __len__(self) -> int:
        return IMAGES

    def iter_views(
        self,
        *,
        batch_size: int,
        views: Sequence[int],
        level: str,
        flip: bool,
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        # What cannot be mirrored is not, and plain images stay plain.
        assert (level, flip) == (("none", True) if len(views) == 1 else ("light", False))
        for start in range(0, IMAGES, batch_size):
            indices = np.arange(start, min(start + batch_size, IMAGES))
            pixels = np.zeros((len(indices), len(views), 4, 4, 3), np.uint8)
            pixels[..., 0, 0, 0] = indices[:, None]
            pixels[..., 0, 0, 1] = views
            yield indices, pixels


def make_score(wrong: Wrong) -> Any:
    def score(pixels: np.ndarray) -> np.ndarray:
        keys = [(int(x[0, 0, 0]), int(x[0, 0, 1])) for x in pixels]
        classes = [index % 2 ^ ((index, view) in wrong) for index, view in keys]
        return np.eye(2, dtype=np.float32)[classes] * 0.8 + 0.1

    return score


def judge_file(
    wrong: Wrong,
    monkeypatch: pytest.MonkeyPatch,
    *,
    augment: str = "light",
    max_drop: float | None = 1.0,
) -> Candidate:
    head = SimpleNamespace(
        task="classification",
        threshold=0.5,
        decode=lambda scores, labels: [SimpleNamespace(label=k) for k in scores.argmax(1)],
    )
    subject: Any = SimpleNamespace(
        data=SimpleNamespace(val=Split(), test=Split()),
        predictor=SimpleNamespace(head=head, labels=("a", "b"), score=make_score(set())),
        augment=augment,
        flip=False,
    )
    file = SimpleNamespace(score=make_score(wrong))
    monkeypatch.setattr("tfxfer_edge.bench.open_scorer", lambda *_: file)
    bench = Bench(subject, max_drop, None)
    converted: Any = SimpleNamespace(suffix=".tflite", engine="quantizer")
    bench.add(Made("int8", "", converted, b"model", 1.0), quick=False)
    return bench.candidates[0]


def spread(images: int, views: range) -> Wrong:
    return {(10 * image, view) for image in range(images) for view in views}


def test_bad_luck_on_the_plain_images_is_measured_again(monkeypatch: pytest.MonkeyPatch) -> None:
    found = judge_file(spread(3, range(1)), monkeypatch)
    assert found.passed
    assert found.val_views == 8
    assert found.drop_points == pytest.approx(100 * 3 / (8 * IMAGES))
    # What is reported is of the plain images.
    assert found.metrics is not None
    assert found.metrics["val"]["accuracy"]["value"] == pytest.approx(1 - 3 / IMAGES)
    assert found.test_drop_points is not None
    assert found.test_drop_points["value"] == pytest.approx(1.5)


def test_a_loss_on_every_view_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    found = judge_file(spread(3, range(8)), monkeypatch)
    assert (found.passed, found.val_views) == (False, 8)
    assert found.drop_points == pytest.approx(1.5)
    assert found.reason.startswith("loses 1.5 points [")


def test_good_luck_on_the_plain_images_is_measured_again(monkeypatch: pytest.MonkeyPatch) -> None:
    found = judge_file(spread(1, range(1)) | spread(4, range(1, 8)), monkeypatch)
    assert (found.passed, found.val_views) == (False, 8)
    assert found.drop_points == pytest.approx(100 * (1 + 4 * 7) / (8 * IMAGES))


def test_a_clear_loss_needs_no_views(monkeypatch: pytest.MonkeyPatch) -> None:
    found = judge_file(spread(15, range(1)), monkeypatch)
    assert (found.passed, found.val_views) == (False, 1)


@pytest.mark.parametrize(
    ("augment", "max_drop", "passed"), [("none", 1.0, False), ("light", None, True)]
)
def test_the_plain_images_decide_where_nothing_may_vary_or_nothing_is_asked(
    augment: str, max_drop: float | None, passed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = spread(3, range(1))
    found = judge_file(wrong, monkeypatch, augment=augment, max_drop=max_drop)
    assert (found.passed, found.val_views) == (passed, 1)
    assert found.drop_points == pytest.approx(1.5)


def test_the_table_says_on_how_many_views_a_loss_was_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown: list[Any] = []
    output: Any = SimpleNamespace(show_table=lambda titles, rows: shown.extend([titles, *rows]))
    near = judge_file(spread(3, range(8)), monkeypatch)
    clear = judge_file(spread(15, range(1)), monkeypatch)
    document = {"candidates": [near.to_dict(), clear.to_dict()], "chosen": None}
    show_candidates(output, document)
    titles, *rows = shown
    assert titles[3:6] == ("POINTS LOST (VAL)", "(TEST)", "AGREES")
    assert near.val_drop_points is not None
    low, high = near.val_drop_points["low"], near.val_drop_points["high"]
    assert rows[0][3] == f"+1.5 [{low:+.1f}, {high:+.1f}], 8 views"
    assert rows[0][6] == f"no: {near.reason}"
    assert rows[1][3] == rows[1][4]  # no views: both splits hold the same images here
    assert "views" not in rows[1][3]
