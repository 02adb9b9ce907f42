"""Which operator of a file costs the answers most.

The file computes up to an operator, and the float network goes on from there with what that is
worth. From one operator to the next one more computes as in the file, and rounds as it does: what
the answers lose by that is its cost. All costs add up to what the file loses.
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
from tfxfer_edge.inspection.tensor_errors import run_once
from tfxfer_edge.inspection.twins import Graph, dequantize
from tfxfer_edge.tflite.flatbuffer import read_model, write_model
from tfxfer_edge.tflite.runtime import load_interpreter

__all__ = ["Answers", "Cut", "Judge", "list_costs", "list_cuts", "score_cuts"]

_NOTHING = 1e-6
"""Power of the scores' error, as a share of theirs: the order of additions, and no loss."""
_CLEAR = 3.0
"""Standard errors: of a hundred operators that cost nothing, some are off by two."""


@dataclass(frozen=True)
class Cut:
    """A place where the file hands over to the float network.

    Args:
        end: index of the last operator that computes as in the file.
        tensors: of the file, what is handed over.
        operators: of the float network, indices of those that go on, in order.
    """

    end: int
    tensors: tuple[int, ...]
    operators: tuple[int, ...]


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

    def measure(self, scores: np.ndarray) -> Answers:
        """Returns what the scores of the first samples come to.

        Shapes: (samples, outputs).
        """
        exact = self._exact[: len(scores)]
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
    graph: Graph, cuts: Sequence[Cut], answers: Sequence[Answers]
) -> list[dict[str, Any]]:
    """Returns the operators from each cut to the next, those that cost most first.

    Args:
        graph: of the file.
        cuts: in order; the last one is the whole file.
        answers: of the float network alone, then with each cut.

    Returns:
        Of each `share`, of the error of the scores, with its 95 % interval over samples, whether
        it `is_clear`, above what chance makes of one operator among a hundred, and the metric and
        the agreement before and after its operators compute as in the file. None where nothing is
        lost.
    """
    whole = answers[-1].noise
    if whole <= _NOTHING:
        return []
    rows = []
    start = 0
    for number, cut in enumerate(cuts):
        part, start = graph.operators[start : cut.end + 1], cut.end + 1
        before, after = answers[number], answers[number + 1]
        lost = (after.errors - before.errors) / whole
        value = float(lost.mean())
        reach = Z * float(lost.std(ddof=1)) / math.sqrt(len(lost)) if len(lost) > 1 else 0.0
        rows.append(
            {
                "index": part[-1].index,
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


def list_cuts(graph: Graph, exact: Graph, twins: Mapping[int, int]) -> tuple[Cut, ...]:
    """Returns the cuts at which all that is handed over has a twin; the last is the whole file.

    Args:
        graph: of the file.
        exact: the float network's.
        twins: see `find_twins`.
    """
    cuts = []
    for operator in graph.operators:
        crossing = _find_crossing(graph, operator.index)
        if all(index in twins for index in crossing):
            # Of several that stand for the same values, the one that was made last.
            handed = {twins[index]: index for index in crossing}
            rest = _find_rest(exact, set(handed))
            if rest is not None:
                cuts.append(Cut(operator.index, tuple(handed.values()), rest))
    return tuple(cuts)


def score_cuts(
    content: bytes,
    graph: Graph,
    cuts: Sequence[Cut],
    twins: Mapping[int, int],
    kept: Mapping[int, Sequence[np.ndarray]],
    *,
    tell: Callable[[int], None] = lambda done: None,
) -> list[np.ndarray]:
    """Returns the scores of the float network that goes on from each cut.

    Args:
        content: the float network's file.
        graph: of the file.
        cuts: where.
        twins: see `find_twins`.
        kept: what the file computes there, as it holds it, sample by sample.
        tell: called with the number of cuts done.

    Shapes: of each (samples, outputs).
    """
    model = read_model(content)
    main = model.subgraphs[0]
    operators = list(main.operators)
    model.signatureDefs = model.metadata = model.metadataBuffer = None
    found = []
    for done, cut in enumerate(cuts, start=1):
        values = [
            [dequantize(value, graph.tensors[index]) for value in kept[index]]
            for index in cut.tensors
        ]
        if cut.operators:
            main.operators = [operators[number] for number in cut.operators]
            main.inputs = [twins[index] for index in cut.tensors]
            interpreter = load_interpreter(write_model(model))
            target = interpreter.get_output_details()[0]["index"]
            scores = []
            for sample in zip(*values, strict=True):
                run_once(interpreter, sample)
                scores.append(interpreter.get_tensor(target).reshape(1, -1))
        else:  # the output itself
            scores = [value.reshape(1, -1) for value in values[0]]
        found.append(np.concatenate(scores))
        tell(done)
    return found


def _find_crossing(graph: Graph, end: int) -> tuple[int, ...]:
    """Returns the tensors that are there after an operator and read by later ones, or the output.

    In the order in which they are made.
    """
    there = dict.fromkeys(graph.inputs)
    later: set[int] = set(graph.outputs)
    for operator in graph.operators:
        if operator.index <= end:
            there.update(dict.fromkeys(x.index for x in operator.outputs))
        else:
            later.update(x.index for x in operator.inputs if x is not None)
    return tuple(index for index in there if index in later)


def _find_rest(exact: Graph, given: set[int]) -> tuple[int, ...] | None:
    """Returns the operators that are left to compute the output; None where more is needed.

    Args:
        exact: the float network's.
        given: tensors that are at hand.
    """
    makers = {x.index: operator for operator in exact.operators for x in operator.outputs}
    needed: set[int] = set()
    waiting = [index for index in exact.outputs if index not in given]
    while waiting:
        maker = makers.get(waiting.pop())
        if maker is None:
            return None  # an input of the network, which nobody hands over
        if maker.index not in needed:
            needed.add(maker.index)
            waiting += [
                x.index
                for x in maker.inputs
                if x is not None and not x.is_constant and x.index not in given
            ]
    return tuple(sorted(needed))
