"""A fault is put into one tensor of an integer file, and must be found there and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from tfxfer.registry.lookup import get_head
from tfxfer_edge.inspection.operator_costs import Judge, list_costs, list_cuts, score_cuts
from tfxfer_edge.inspection.tensor_errors import Comparison, compare_tensors
from tfxfer_edge.inspection.twins import Graph, find_twins, read_graph
from tfxfer_edge.tflite.flatbuffer import read_model, write_model

from .built_files import BuiltFile

SAMPLES = 24
LABELS = ("a", "b", "c", "d", "e")


@dataclass
class Case:
    """The small model in float32 and in int8, and photos as it takes them."""

    exact: bytes
    rounded: bytes
    samples: list[list[np.ndarray]]


@pytest.fixture(scope="module")
def case(small_graph: Any, photos: Any) -> Case:
    from tfxfer_edge import convert

    rounded = convert(small_graph, recipe="int8", calibration=photos(32, seed=5)).content
    (prepared,) = small_graph.prepare(photos(SAMPLES, seed=3))
    return Case(
        bytes(small_graph.float_content), bytes(rounded), [[value[None]] for value in prepared]
    )


def spoil(content: bytes, word: str) -> bytes:
    """Returns a file in which one tensor's integers stand for a hundredth of its range."""
    model = read_model(content)
    (found,) = (
        tensor
        for operator in model.subgraphs[0].operators
        for tensor in [model.subgraphs[0].tensors[operator.outputs[0]]]
        if word in str(tensor.name)
    )
    found.quantization.scale = np.asarray(found.quantization.scale) / 100
    return write_model(model)


def examine(case: Case, content: bytes) -> tuple[Comparison, list[dict[str, Any]], Graph]:
    graph, exact = (read_graph(x, source="x") for x in (content, case.exact))
    twins = find_twins(graph, exact)
    cuts = list_cuts(graph, exact, twins)
    assert [cut.end for cut in cuts] == [operator.index for operator in graph.operators]
    found = compare_tensors(
        (content, case.exact),
        (graph, exact),
        twins,
        case.samples,
        keep={index for cut in cuts for index in cut.tensors},
        keep_samples=SAMPLES,
    )
    targets = np.eye(len(LABELS), dtype=np.float32)[found.exact.argmax(axis=1)]
    judge = Judge(get_head("classification"), LABELS, targets, found.exact)
    scores = score_cuts(case.exact, graph, cuts, twins, found.kept)
    answers = [judge.measure(x) for x in (found.exact, *scores)]
    return found, list_costs(graph, cuts, answers), graph


@pytest.mark.parametrize("word", ["block_relu", "project_bn", "stem_relu"])
def test_a_range_that_is_too_narrow_is_found(word: str, case: Case) -> None:
    found, costs, graph = examine(case, spoil(case.rounded, word))
    (spoilt,) = (x.outputs[0].name for x in graph.operators if word in x.outputs[0].name)
    assert costs[0]["tensor"] == spoilt
    assert costs[0]["is_clear"]
    assert costs[0]["share"]["low"] > 0.3
    assert costs[0]["agreement_before"] > costs[0]["agreement_after"]
    worst = min(found.errors, key=lambda x: 999 if x.own_sqnr_db is None else x.own_sqnr_db)
    assert worst.tensor.name == spoilt


def test_a_sound_file_has_no_such_operator(case: Case) -> None:
    """The control: the same file without the fault."""
    found, costs, _ = examine(case, case.rounded)
    assert min(x.own_sqnr_db for x in found.errors if x.own_sqnr_db is not None) > 25
    spoilt, *_ = examine(case, spoil(case.rounded, "project_bn"))
    assert _error(found) < 0.2 * _error(spoilt)
    # What each costs adds up to what the file loses.
    assert sum(row["share"]["value"] for row in costs) == pytest.approx(1.0)


def _error(found: Comparison) -> float:
    return float(np.square(found.scores - found.exact).sum())


def test_the_float_network_loses_nothing_against_itself(case: Case) -> None:
    found, costs, _ = examine(case, case.exact)
    assert costs == []
    assert {item.sqnr_db for item in found.errors} == {200.0}
    assert all(item.own_sqnr_db is None for item in found.errors)


def test_the_last_cut_is_the_file_itself(case: Case) -> None:
    graph, exact = (read_graph(x, source="x") for x in (case.rounded, case.exact))
    twins = find_twins(graph, exact)
    last = list_cuts(graph, exact, twins)[-1:]
    assert (last[0].tensors, last[0].operators) == (graph.outputs, ())
    found = compare_tensors(
        (case.rounded, case.exact),
        (graph, exact),
        twins,
        case.samples,
        keep=graph.outputs,
        keep_samples=3,
    )
    (scores,) = score_cuts(case.exact, graph, last, twins, found.kept)
    assert (scores == found.scores[:3]).all()


def test_decibels_and_root_mean_square_are_those_of_a_hand(case: Case) -> None:
    found, *_ = examine(case, case.rounded)
    last = next(x for x in found.errors if x.tensor.name == "scores" and x.operator == "QUANTIZE")
    noise = np.square(found.scores - found.exact, dtype=np.float64).sum()
    signal = np.square(found.exact, dtype=np.float64).sum()
    assert last.relative_rms == pytest.approx(np.sqrt(noise / signal), rel=1e-5)
    assert last.sqnr_db == pytest.approx(10 * np.log10(signal / noise), rel=1e-5)
    assert [x.sqnr_db for x in found.errors] == sorted(x.sqnr_db for x in found.errors)


def test_integers_that_are_no_rounded_values_are_handed_over_as_they_are() -> None:
    """A mask, which is read after the cut, as texts have it."""
    file = BuiltFile()
    values, mask = file.add_tensor(1, 4), file.add_tensor(1, 4, dtype="int32")
    bent, weights, made = (file.add_tensor(1, 4) for _ in range(3))
    file.add_operator("LOGISTIC", [values], [bent])
    cast = schema.CastOptionsT()
    cast.inDataType, cast.outDataType = schema.TensorType.INT32, schema.TensorType.FLOAT32
    file.add_operator("CAST", [mask], [weights], cast)
    file.add_operator("MUL", [bent, weights], [made], schema.MulOptionsT())
    content = file.to_bytes([values, mask], [made])
    graph = read_graph(content, source="x")
    twins = find_twins(graph, graph)
    cuts = list_cuts(graph, graph, twins)
    assert [set(cut.tensors) for cut in cuts] == [{bent, mask}, {bent, weights}, {made}]
    sample = [np.array([[0, 1, 2, 3]], np.float32), np.array([[1, 0, 1, 0]], np.int32)]
    found = compare_tensors(
        (content, content),
        (graph, graph),
        twins,
        [sample],
        keep={index for cut in cuts for index in cut.tensors},
        keep_samples=1,
    )
    expected = sample[1] / (1 + np.exp(-sample[0]))
    for scores in score_cuts(content, graph, cuts, twins, found.kept):
        np.testing.assert_allclose(scores, expected, rtol=1e-5)


def test_a_tensor_without_a_twin_is_no_place_to_cut(case: Case) -> None:
    graph, exact = (read_graph(x, source="x") for x in (case.rounded, case.exact))
    twins = find_twins(graph, exact)
    missing = graph.operators[2].outputs[0].index
    known = {mine: theirs for mine, theirs in twins.items() if mine != missing}
    cuts = list_cuts(graph, exact, known)
    assert len(cuts) < len(graph.operators)
    assert all(missing not in cut.tensors for cut in cuts)
