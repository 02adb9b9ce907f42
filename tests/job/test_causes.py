"""What a record shows of why nothing was learnt."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tfxfer.job.causes import find_cause
from tfxfer.job.place import choose_place
from tfxfer.run.manifest import DataSummary, Manifest, PhaseRecord, WeightsUsed
from tfxfer_heads import Classification, Regression

HEAD = PhaseRecord("head", "backbone", 30, 1e-3, 100, cached=True, seconds=1.0)
MANIFEST = Manifest(
    backbone="b",
    head="classification",
    labels=("ant", "bee"),
    weights=WeightsUsed("imagenet"),
    data=DataSummary(images=400, train=300, val=50, test=50, fingerprint=""),
    phases=(HEAD,),
)
MANY = ["ant"] * 150 + ["bee"] * 150
LABELS = "labels that do not say what the samples show: look at predictions.csv"


def test_where_nothing_else_shows_it_is_the_labels() -> None:
    assert find_cause(MANIFEST, MANY, Classification()) == LABELS


def test_a_budget_that_ended_the_training() -> None:
    cut = replace(HEAD, epochs=1, planned_epochs=16, stopped="budget")
    found = find_cause(replace(MANIFEST, phases=(cut,)), MANY, Classification())
    assert found.startswith("--budget stopped phase head after 1 of 16 epochs: ")
    short = replace(cut, epochs=5, stopped=None)
    found = find_cause(replace(MANIFEST, phases=(short,)), MANY, Classification())
    assert found.startswith("--budget left phase head time for 5 of 16 epochs: ")


def test_few_epochs_and_random_weights() -> None:
    manifest = replace(MANIFEST, phases=(replace(HEAD, epochs=1),), weights=WeightsUsed("none"))
    found = find_cause(manifest, MANY, Classification()).split("; ")
    assert found[0] == "only 1 epoch of training: give it more --epochs"
    assert found[1] == "random weights: leave --weights none out"


def test_few_samples_of_a_class_and_in_the_test() -> None:
    data = replace(MANIFEST.data, test=8) if MANIFEST.data else None
    manifest = replace(MANIFEST, data=data)
    found = find_cause(manifest, ["ant"] * 50 + ["bee"] * 4, Classification()).split("; ")
    assert found == [
        "few samples: 'bee' has 4 to learn from",
        "a test of 8 samples, in which luck is large",
        LABELS,
    ]
    # Numbers are no groups of few samples each.
    assert find_cause(MANIFEST, [str(number) for number in range(300)], Regression()) == LABELS


def test_a_run_goes_to_the_next_number(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    assert choose_place(runs).name == "1"
    for name in ("1", "7", "demo", "10.old"):
        (runs / name).mkdir(parents=True)
    (runs / "9").write_text("a file takes a name, too")
    assert choose_place(runs) == runs / "10"
