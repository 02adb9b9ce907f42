"""Files scored on real samples against the float model they were made from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from tfxfer.data.arrays import Arrays, map_arrays
from tfxfer.errors import ModelError
from tfxfer.evaluation import headline, paired_difference, score_predictions
from tfxfer.progress import Progress
from tfxfer.trust.gate import Judgement, judge_scores
from tfxfer.trust.gate_rules import Gate
from tfxfer_edge.proof.choice import find_better
from tfxfer_edge.proof.effort import Effort, plan_effort
from tfxfer_edge.proof.gate import Candidate, count_views, judge, relative_drop
from tfxfer_edge.proof.limits import Limit
from tfxfer_edge.proof.made import Made
from tfxfer_edge.proof.run_images import choose_rows
from tfxfer_edge.proof.scoring import Batches, Scorer, count_workers, open_scorer, score_batches
from tfxfer_edge.proof.subject import Subject

__all__ = ["Comparison"]

_SPLITS = ("val", "test")
_COMPARED = 32  # samples of each split
_SAME = 1e-3  # of scores 0..1; a good conversion differs by 3e-5

_Score = Callable[[Arrays], np.ndarray]


class Comparison:
    """Scores files one after the other against the float model.

    Args:
        subject: the float model and the samples.
        limit: what may be lost; None accepts everything.
        named: whether recipes were asked for by name, so that each is scored whatever it takes.
        quick: whether a file is left out that is larger and slower than one that passed.
        stand_in: a float file, which scores in place of the float model where it gives the same
            scores: several times faster on a CPU.
        gate: rules that a file's own answers to the test samples must keep.
        progress: told of samples scored.

    Attributes:
        reference: metrics of the float model, of each split.
        candidates: what came of each file so far.
    """

    def __init__(
        self,
        subject: Subject,
        *,
        limit: Limit | None,
        named: bool = True,
        quick: bool = False,
        stand_in: Scorer | None = None,
        gate: Gate | None = None,
        progress: Progress | None = None,
    ) -> None:
        self._subject, self._predictor = subject, subject.predictor
        self._progress = progress
        self._named, self._quick, self._gate = named, quick, gate
        self._batches = {name: Batches(getattr(subject.data, name)) for name in _SPLITS}
        self._targets = {name: getattr(subject.data, name).targets for name in _SPLITS}
        self._score_float: _Score = self._predictor.score
        if stand_in is not None and self._is_same(stand_in):
            self._score_float = stand_in.score
        self._float = self._score("the float model", self._score_float)
        self._varied: tuple[Batches, np.ndarray] | None = None  # with the float model's scores
        self.reference = self._measure(self._targets, self._float)
        self._max_drop = None if limit is None else self._find_points(limit)
        self.candidates: list[Candidate] = []

    def add(self, item: Made) -> None:
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
            laps_ms=item.laps_ms,
        )
        effort = plan_effort(
            item.latency_ms,
            images=sum(map(len, self._targets.values())),
            val_images=len(self._targets["val"]),
            workers=count_workers(),
            is_named=self._named,
            noun=self._predictor.modality.noun,
        )
        reason = self._find_needless(item, effort)
        if reason:
            self.candidates.append(replace(known, reason=f"not scored: {reason}"))
            return
        try:
            self.candidates.append(self._judge(known, item, effort))
        except ModelError as error:
            # Scores that are no numbers on one sample cost this file, not those before it.
            reason = " ".join(str(error).split())
            self.candidates.append(replace(known, path=None, reason=reason))

    def _find_needless(self, item: Made, effort: Effort) -> str:
        better = find_better(len(item.content), item.latency_ms, self.candidates)
        if self._quick and better is not None:
            return f"{better.recipe} passed, is smaller and faster"
        passed = [known.recipe for known in self.candidates if known.passed]
        if effort.step > 1 and passed:
            noun = self._predictor.modality.noun
            return f"{passed[0]} passed, and one {noun} takes {item.latency_ms:.0f} ms here"
        return ""

    def _is_same(self, stand_in: Scorer) -> bool:
        """Whether a file gives the float model's scores, on all classes of both splits."""
        for batches in self._batches.values():
            rows = choose_rows(batches.split, samples=_COMPARED, seed=0)
            some = map_arrays(lambda x: x[:, 0], batches.split.read_views(rows))
            expected = self._predictor.score(some)
            off = np.abs(stand_in.score(some) - expected).max()
            # Not `>`: a NaN would pass.
            if not off <= _SAME * max(1.0, float(np.abs(expected).max())):
                return False
        return True

    def _judge(self, known: Candidate, item: Made, effort: Effort) -> Candidate:
        assert item.converted is not None
        score = open_scorer(item.converted, item.content).score
        scores = self._score(item.recipe, score, step=effort.step)
        targets = {name: self._targets[name][:: effort.step] for name in _SPLITS}
        reference = {name: self._float[name][:: effort.step] for name in _SPLITS}
        drops = {
            name: self._compare(targets[name], reference[name], scores[name]) for name in _SPLITS
        }
        decisive, varied, note = drops["val"], None, effort.note
        if self._subject.varies and effort.step == 1:
            images = len(self._targets["val"])
            wanted = count_views(decisive, self._max_drop, images=images)
            views = min(wanted, effort.views)
            if views < wanted:
                noun = self._predictor.modality.noun
                took = f"one {noun} takes {item.latency_ms:.0f} ms"
                note = f"measured on {views} of {wanted} views, for {took}"
            if views > 1:
                varied = self._compare_varied(item.recipe, score, views)
                decisive = varied["drop_points"]
        passed, reason = judge(decisive, self._max_drop)
        metrics = self._measure(targets, scores)
        judgement = self._judge_gate(targets["test"], scores["test"], metrics["test"], effort.step)
        if judgement is not None and not judgement.holds:
            passed = False
            reason = "; ".join(filter(None, (reason, judgement.describe_failure())))
        return replace(
            known,
            metrics=metrics,
            gate=None if judgement is None else judgement.to_dict(),
            drop_points=drops["val"]["value"],
            val_drop_points=drops["val"],
            val_views=varied,
            test_drop_points=drops["test"],
            agreement=self._agreement(scores["test"], reference["test"]),
            passed=passed,
            reason="; ".join(filter(None, (reason, note, item.reason))),
        )

    def _judge_gate(
        self, targets: np.ndarray, scores: np.ndarray, metrics: dict[str, Any], step: int
    ) -> Judgement | None:
        if self._gate is None:
            return None
        slices = self._subject.data.test.slices
        return judge_scores(
            self._gate,
            targets,
            scores,
            {column: cells[::step] for column, cells in slices.items()},
            head=self._predictor.head,
            labels=self._predictor.labels,
            metrics=metrics,
        )

    def _compare_varied(self, recipe: str, score: _Score, views: int) -> dict[str, Any]:
        """Returns what `Candidate.val_views` holds."""
        if self._varied is None or self._varied[0].views != views:
            options = self._subject.view_options
            level = self._predictor.modality.default_level
            split = self._subject.data.val
            batches = Batches(split, views=views, level=level, options=options)
            reference = self._score_varied("the float model", self._score_float, batches)
            self._varied = batches, reference
        batches, reference = self._varied
        scores = self._score_varied(recipe, score, batches)
        targets = np.repeat(self._targets["val"], views, axis=0)
        return {
            "views": views,
            "metric": self._metric,
            "float": self._value(targets, reference),
            "file": self._value(targets, scores),
            "drop_points": self._compare(targets, reference, scores, views=views),
        }

    def _score_varied(self, what: str, score: _Score, batches: Batches) -> np.ndarray:
        plural = self._predictor.modality.plural
        name = f"scoring {what} on {batches.views} views of {len(batches.split):,} {plural}"
        return score_batches(score, batches, tell=self._count(name, len(batches)))

    def _score(self, what: str, score: _Score, *, step: int = 1) -> dict[str, np.ndarray]:
        total = sum(len(targets[::step]) for targets in self._targets.values())
        plural = self._predictor.modality.plural
        tell = self._count(f"scoring {what} on {total:,} {plural}", total)
        return {
            name: score_batches(score, batches, step=step, tell=tell)
            for name, batches in self._batches.items()
        }

    def _count(self, what: str, total: int) -> Callable[[int], None]:
        done = 0

        def tell(samples: int) -> None:
            nonlocal done
            done += samples
            if self._progress is not None:
                self._progress(what, done, total)

        return tell

    def _measure(
        self, targets: dict[str, np.ndarray], scores: dict[str, np.ndarray]
    ) -> dict[str, dict[str, Any]]:
        return {name: self._score_all(targets[name], found) for name, found in scores.items()}

    def _score_all(self, targets: np.ndarray, scores: np.ndarray, **options: Any) -> dict[str, Any]:
        head, labels = self._predictor.head, self._predictor.labels
        return score_predictions(targets, scores, head=head, labels=labels, **options)

    def _value(self, targets: np.ndarray, scores: np.ndarray) -> float:
        # Its interval would take views for images of their own, and is not asked for.
        return float(self._score_all(targets, scores, resamples=1)[self._metric]["value"])

    def _find_points(self, limit: Limit) -> float:
        # Of an error in the labels' unit a drop is percent of the float model's already.
        of_float = 100 * self.reference["val"][self._metric]["value"]
        return limit.to_points(100.0 if self._has_own_unit else of_float)

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

    def _agreement(self, scores: np.ndarray, reference: np.ndarray) -> float | None:
        head, labels = self._predictor.head, self._predictor.labels
        if self._has_own_unit:
            return None  # two numbers are hardly ever equal
        pairs = zip(head.decode(scores, labels), head.decode(reference, labels), strict=True)
        return float(np.mean([a.label == b.label for a, b in pairs]))
