"""Files scored on real images against the float model they were made from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from tfxfer.errors import ModelError
from tfxfer.evaluation import headline, paired_difference, score_predictions
from tfxfer.progress import Progress
from tfxfer_edge.proof.gate import Candidate, count_views, find_better, judge, relative_drop
from tfxfer_edge.proof.made import Made
from tfxfer_edge.proof.scoring import Pixels, open_scorer, score_pixels
from tfxfer_edge.proof.subject import Subject

__all__ = ["Comparison"]

_SPLITS = ("val", "test")

_Score = Callable[[np.ndarray], np.ndarray]


class Comparison:
    """Scores files one after the other against the float model.

    Args:
        subject: the float model and the images.
        max_drop: points that may be lost.
        progress: told of images scored.

    Attributes:
        reference: metrics of the float model, of each split.
        candidates: what came of each file so far.
    """

    def __init__(
        self, subject: Subject, *, max_drop: float | None, progress: Progress | None
    ) -> None:
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
            name: self._compare(self._targets[name], self._float[name], scores[name])
            for name in _SPLITS
        }
        decisive, varied = drops["val"], None
        if self._subject.varies:
            images = len(self._targets["val"])
            views = count_views(decisive, self._max_drop, images=images)
            if views > 1:
                varied = self._compare_varied(item.recipe, score, views)
                decisive = varied["drop_points"]
        passed, reason = judge(decisive, self._max_drop)
        return replace(
            known,
            metrics=self._measure(scores),
            drop_points=drops["val"]["value"],
            val_drop_points=drops["val"],
            val_views=varied,
            test_drop_points=drops["test"],
            agreement=self._agreement(scores["test"]),
            passed=passed,
            reason="; ".join(filter(None, (reason, item.reason))),
        )

    def _compare_varied(self, recipe: str, score: _Score, views: int) -> dict[str, Any]:
        """Returns what `Candidate.val_views` holds."""
        if self._varied is None:
            options = self._subject.view_options
            pixels = Pixels(self._subject.data.val, views=views, level="light", options=options)
            found = self._score_varied("the float model", self._predictor.score, pixels)
            self._varied = pixels, found
        pixels, reference = self._varied
        scores = self._score_varied(recipe, score, pixels)
        targets = np.repeat(self._targets["val"], views, axis=0)
        return {
            "views": views,
            "metric": self._metric,
            "float": self._value(targets, reference),
            "file": self._value(targets, scores),
            "drop_points": self._compare(targets, reference, scores, views=views),
        }

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
        return {name: self._score_all(self._targets[name], found) for name, found in scores.items()}

    def _score_all(self, targets: np.ndarray, scores: np.ndarray, **options: Any) -> dict[str, Any]:
        head, labels = self._predictor.head, self._predictor.labels
        return score_predictions(targets, scores, head=head, labels=labels, **options)

    def _value(self, targets: np.ndarray, scores: np.ndarray) -> float:
        # Its interval would take views for images of their own, and is not asked for.
        return float(self._score_all(targets, scores, resamples=1)[self._metric]["value"])

    @property
    def _metric(self) -> str:
        return headline(self.reference["val"])[0]

    @property
    def _has_own_unit(self) -> bool:
        """Whether the headline is no share: an error in the unit of the labels."""
        return self._predictor.head.figures.catalogue[self._metric].unit == "own"

    def _compare(
        self, targets: np.ndarray, reference: np.ndarray, scores: np.ndarray, *, views: int = 1
    ) -> dict[str, float]:
        metric = self._metric
        drop = paired_difference(
            targets,
            reference,
            scores,
            head=self._predictor.head,
            labels=self._predictor.labels,
            metric=metric,
            views=views,
        )
        if not self._has_own_unit:
            return drop
        return relative_drop(drop, reference=self._value(targets, reference))

    def _agreement(self, scores: np.ndarray) -> float | None:
        head, labels = self._predictor.head, self._predictor.labels
        if self._has_own_unit:
            return None  # two numbers are hardly ever equal
        pairs = zip(
            head.decode(scores, labels), head.decode(self._float["test"], labels), strict=True
        )
        return float(np.mean([a.label == b.label for a, b in pairs]))
