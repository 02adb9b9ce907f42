"""Which operator of a file costs the answers most.

The file's own network is cut before each operator in turn. What comes before is computed in float,
rounded once as the file holds it, and handed to the rest, which is the file's own. From one cut to
the next one operator less computes as in the file: what the answers gain by that is its cost. All
costs add up to what the file loses.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfxfer.evaluation import headline, score_predictions
from tfxfer.evaluation.intervals import Z
from tfxfer.head import Head
from tfxfer_edge.inspection.operators import Operator
from tfxfer_edge.inspection.tensor_errors import run_once
from tfxfer_edge.inspection.twins import Graph, dequantize
from tfxfer_edge.tflite.flatbuffer import read_model, write_model
from tfxfer_edge.tflite.runtime import load_interpreter

__all__ = ["Cut", "Judge", "list_costs", "list_cuts", "score_cuts"]

_NOTHING = 1e-6
"""Power of the scores' error, as a share of theirs: the order of additions, and no loss."""
_CLEAR = 3.0
"""Standard errors: of a hundred operators that cost nothing, some are off by two."""


@dataclass(frozen=True)
class Cut:
    """A place where the float network hands over to the file's.

    Args:
        start: index of the first operator that computes as in the file.
        tensors: what it and those after it read of what came before.
    """

    start: int
    tensors: tuple[int, ...]


@dataclass(frozen=True)
class Answers:
    """What the scores of some samples come to, beside those of the float network.

    Args:
        errors: of each sample, the power of its error as a share of the mean power of all.
        metric: the head's headline, on these samples.
        agreement: share of samples with the float network's answer; None of numbers.
    """

    errors: np.ndarray
    metric: float
    agreement: float | None

    @property
    def noise(self) -> float:
        """Power of the error, as a share of that of the float network's scores."""
        return float(self.errors.mean())


class Judge:
    """What scores are worth, beside those of the float network.

    Args:
        head: of the run.
        labels: of its outputs.
        targets: of the samples.
        exact: the float network's scores of them.

    Attributes:
        metric: name of the head's headline.
    """

    def __init__(
        self, head: Head, labels: Sequence[str], targets: np.ndarray, exact: np.ndarray
    ) -> None:
        self._head, self._labels = head, labels
        self._targets, self._exact = targets, exact
        self.metric = headline(self._score(exact, resamples=1))[0]
        self._has_answers = head.figures.catalogue[self.metric].unit != "own"

    def measure(self, scores: np.ndarray, reference: np.ndarray | None = None) -> Answers:
        """Returns what the scores of the first samples come to.

        Args:
            scores: of them.
            reference: what they are compared with; None is the float network's.

        Shapes: (samples, outputs) each.
        """
        exact = self._exact[: len(scores)] if reference is None else reference
        power = np.square(exact, dtype=np.float64).sum(axis=1).mean()
        errors = np.square(scores - exact, dtype=np.float64).sum(axis=1) / max(power, 1e-12)
        agreement = None
        if self._has_answers:
            answers = [self._head.decode(x, self._labels) for x in (scores, exact)]
            pairs = zip(*answers, strict=True)
            agreement = float(np.mean([mine.label == theirs.label for mine, theirs in pairs]))
        return Answers(errors, headline(self._score(scores, resamples=1))[1]["value"], agreement)

    def describe(self, scores: np.ndarray) -> dict[str, float]:
        """Returns the headline of scores, with its 95 % interval."""
        return headline(self._score(scores))[1]

    def _score(self, scores: np.ndarray, **options: Any) -> dict[str, Any]:
        targets = self._targets[: len(scores)]
        return score_predictions(targets, scores, head=self._head, labels=self._labels, **options)


def list_costs(
    graph: Graph, starts: Sequence[int], answers: Sequence[Answers]
) -> list[dict[str, Any]]:
    """Returns the operators from each cut to the next, those that cost most first.

    Args:
        graph: of the file.
        starts: index of the first operator after each cut, and the end of what is judged.
        answers: from each of them on; of the end those that the others are compared with.

    Returns:
        Of each `share`, of the error of the scores, with its 95 % interval over samples, whether
        it `is_clear`, above what chance makes of one operator among a hundred, and the metric and
        the agreement before and after its operators are computed in float. None where nothing is
        lost.
    """
    whole = answers[0].noise if answers else 0.0
    if whole <= _NOTHING:
        return []
    rows = []
    for number in range(len(starts) - 1):
        part = graph.operators[starts[number] : starts[number + 1]]
        before, after = answers[number], answers[number + 1]
        gained = (before.errors - after.errors) / whole
        value = float(gained.mean())
        reach = Z * float(gained.std(ddof=1)) / math.sqrt(len(gained)) if len(gained) > 1 else 0.0
        rows.append(
            {
                "index": part[0].index,
                "operators": [operator.kind for operator in part],
                "tensor": part[-1].outputs[0].name if part[-1].outputs else "",
                "share": {"value": value, "low": value - reach, "high": value + reach},
                "is_clear": value > _CLEAR / Z * reach > 0,
                "metric_before": before.metric,
                "metric_after": after.metric,
                "agreement_before": before.agreement,
                "agreement_after": after.agreement,
            }
        )
    return sorted(rows, key=lambda row: -row["share"]["value"])


def list_cuts(graph: Graph, twins: Mapping[int, int]) -> tuple[Cut, ...]:
    """Returns the cuts at which all that is handed over has a twin; the first is the whole file.

    Args:
        graph: of the file.
        twins: see `find_twins`.
    """
    cuts = []
    for operator in graph.operators:
        crossing = _find_crossing(graph, operator.index)
        if all(index in twins for index in crossing):
            cuts.append(Cut(operator.index, crossing))
    return tuple(cuts)


def score_cuts(
    content: bytes,
    graph: Graph,
    cuts: Sequence[Cut],
    kept: Mapping[int, Sequence[np.ndarray]],
    *,
    tell: Callable[[int], None] = lambda done: None,
) -> list[np.ndarray]:
    """Returns the scores of the file's network from each cut on.

    Args:
        content: the file.
        graph: of it.
        cuts: where.
        kept: exact values of the tensors there, as the file holds them, sample by sample.
        tell: called with the number of cuts done.

    Shapes: of each (samples, outputs).
    """
    model = read_model(content)
    main = model.subgraphs[0]
    operators = list(main.operators)
    model.signatureDefs = model.metadata = model.metadataBuffer = None
    end = graph.tensors[graph.outputs[0]]
    found = []
    for done, cut in enumerate(cuts, start=1):
        main.operators, main.inputs = operators[cut.start :], list(cut.tensors)
        interpreter = load_interpreter(write_model(model))
        target = interpreter.get_output_details()[0]["index"]
        scores = []
        for values in zip(*(kept[index] for index in cut.tensors), strict=True):
            run_once(interpreter, values)
            scores.append(dequantize(interpreter.get_tensor(target), end).reshape(1, -1))
        found.append(np.concatenate(scores))
        tell(done)
    return found


def _find_crossing(graph: Graph, start: int) -> tuple[int, ...]:
    """Returns the tensors that are there before an operator and read by it or after it."""
    before: set[int] = set(graph.inputs)
    later: list[Operator] = []
    for operator in graph.operators:
        if operator.index < start:
            before.update(x.index for x in operator.outputs)
        else:
            later.append(operator)
    read = {x.index for operator in later for x in operator.inputs if x is not None}
    return tuple(sorted(before & read))
