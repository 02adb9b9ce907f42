"""Files scored on real images against the float model they were made from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tfxfer.errors import ModelError
from tfxfer.evaluation import headline, paired_difference, score_predictions
from tfxfer.progress import Progress
from tfxfer_edge.conversion import Converted
from tfxfer_edge.gate import Candidate, count_views, find_better, judge, relative_drop
from tfxfer_edge.scoring import Pixels, open_scorer, score_pixels
from tfxfer_edge.subject import Subject

__all__ = ["Bench", "Made"]

_SPLITS = ("val", "test")

_Score = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Made:
    """One recipe's file in memory, or why there is none.

    Args:
        recipe: name.
        reason: why there is none, or what was noted.
        converted: what the file is; None where the recipe failed.
        content: the file, metadata included.
        latency_ms: median of one image on one thread.
    """

    recipe: str
    reason: str
    converted: Converted | None = None
    content: bytes = b""
    latency_ms: float = float("nan")


class Bench:
    """Scores files one after the other against the float model.

    Args:
        subject: the float model and the images.
        max_drop: points that may be lost.
        progress: told of images scored.

    Attributes:
        reference: metrics of the float model, of each split.
        candidates: what came of each file so far.
    """

    def __init__(self, subject: Subject, max_drop: float | None, progress: Progress | None) -> None:
        self._subject, self._predictor = subject, subject.predictor
        self._max_drop, self._progress = max_drop, progress
        self._pixels = {name: Pixels(getattr(subject.data, name)) for name in _SPLITS}
        self._targets = {name: getattr(subject.data, name).targets for name in _SPLITS}
        self._float = self._score("the float model", subject.predictor.score)
        self._varied: tuple[Pixels, np.ndarray] | None = None  # with the float model's scores
        self.reference = self._measure(self._float)
        self.candidates: list[Candidate] = []

    def add(self, item: Made, *, quick: bool) -> None:
        """Scores a file, or notes why it has no score."""
        if item.converted is None:
            self.candidates.append(Candidate(item.recipe, reason=item.reason))
            return
        known = Candidate(
            item.recipe,
            path=f"model_{item.recipe}{item.converted.suffix}",
            bytes=len(item.content),
            engine=item.converted.engine,
            latency_ms=item.latency_ms,
        )
        better = find_better(len(item.content), item.latency_ms, self.candidates)
        if quick and better is not None:
            reason = f"not scored: {better.recipe} passed, is smaller and faster"
            self.candidates.append(replace(known, reason=reason))
            return
        try:
            self.candidates.append(self._judge(known, item))
        except ModelError as error:
            # Scores that are no numbers on one photo cost this file, not those before it.
            reason = " ".join(str(error).split())
            self.candidates.append(replace(known, path=None, reason=reason))

    def _judge(self, known: Candidate, item: Made) -> Candidate:
        assert item.converted is not None
        score = open_scorer(item.converted, item.content).score
        scores = self._score(item.recipe, score)
        drops = {
            name: self._compare(self._float[name], scores[name], self._targets[name], split=name)
            for name in _SPLITS
        }
        drop, views = drops["val"], 1
        if self._subject.augment != "none":
            views = count_views(drop, self._max_drop, images=len(self._targets["val"]))
        if views > 1:
            drop = self._compare_varied(item.recipe, score, views)
        passed, reason = judge(drop, self._max_drop)
        return replace(
            known,
            metrics=self._measure(scores),
            drop_points=drop["value"],
            val_drop_points=drop,
            val_views=views,
            test_drop_points=drops["test"],
            agreement=self._agreement(scores["test"]),
            passed=passed,
            reason="; ".join(filter(None, (reason, item.reason))),
        )

    def _compare_varied(self, recipe: str, score: _Score, views: int) -> dict[str, float]:
        """Returns the drop on several views of each validation image."""
        if self._varied is None:
            pixels = Pixels(
                self._subject.data.val, views=views, level="light", flip=self._subject.flip
            )
            found = self._score_varied("the float model", self._predictor.score, pixels)
            self._varied = pixels, found
        pixels, reference = self._varied
        return self._compare(
            reference,
            self._score_varied(recipe, score, pixels),
            np.repeat(self._targets["val"], views, axis=0),
            split="val",
            views=views,
        )

    def _score_varied(self, what: str, score: _Score, pixels: Pixels) -> np.ndarray:
        name = f"scoring {what} on {pixels.views} views"
        return score_pixels(score, pixels, tell=self._count(name, len(pixels)))

    def _score(self, what: str, score: _Score) -> dict[str, np.ndarray]:
        tell = self._count(f"scoring {what}", sum(map(len, self._pixels.values())))
        return {
            name: score_pixels(score, pixels, tell=tell) for name, pixels in self._pixels.items()
        }

    def _count(self, what: str, total: int) -> Callable[[int], None]:
        done = 0

        def tell(images: int) -> None:
            nonlocal done
            done += images
            if self._progress is not None:
                self._progress(what, done, total)

        return tell

    def _measure(self, scores: dict[str, np.ndarray]) -> dict[str, dict[str, Any]]:
        return {
            name: score_predictions(
                self._targets[name],
                found,
                task=self._predictor.head.task,
                labels=self._predictor.labels,
                threshold=self._predictor.head.threshold,
            )
            for name, found in scores.items()
        }

    def _compare(
        self,
        reference: np.ndarray,
        scores: np.ndarray,
        targets: np.ndarray,
        *,
        split: str,
        views: int = 1,
    ) -> dict[str, float]:
        metric, _ = headline(self.reference["val"])
        drop = paired_difference(
            targets,
            reference,
            scores,
            task=self._predictor.head.task,
            metric=metric,
            threshold=self._predictor.head.threshold,
            views=views,
        )
        return relative_drop(drop, metric=metric, reference=self.reference[split][metric]["value"])

    def _agreement(self, scores: np.ndarray) -> float | None:
        head, labels = self._predictor.head, self._predictor.labels
        if head.task == "regression":
            return None
        pairs = zip(
            head.decode(scores, labels), head.decode(self._float["test"], labels), strict=True
        )
        return float(np.mean([a.label == b.label for a, b in pairs]))
