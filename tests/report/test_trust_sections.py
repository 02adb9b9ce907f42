"""What a page says of confidence, groups, distance and the other records of trust."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tfxfer.adaptation.domain_record import DomainRow, Domains
from tfxfer.adaptation.record import Adaptation, Trial
from tfxfer.adaptation.record import Effect as AdaptationEffect
from tfxfer.adaptation.reweighting import Reweighting
from tfxfer.evaluation.tables import Table
from tfxfer.report.content import make_content
from tfxfer.report.material import read_material
from tfxfer.report.parts import Gallery, Note, Profile
from tfxfer.run.directory import RunDirectory
from tfxfer.system.files import to_json
from tfxfer.trust.baselines import BaselineRecord, BaselineResult
from tfxfer.trust.estimate import Estimate
from tfxfer.trust.fair_record import Effect, FairTraining
from tfxfer.trust.fairness import Fairness, Gap
from tfxfer.trust.forgetting import Forgetting, LabelMemory
from tfxfer.trust.label_errors import LabelError, write_label_errors
from tfxfer.trust.profile import GapProfile, StageGap
from tfxfer.trust.slices import ColumnSlices, SliceGroup, SliceReport
from tfxfer.trust.temperature import Calibration, CalibrationFigures, SplitCalibration
from tfxfer_heads import Classification

from .told import Describe, Fill, find, list_notes, list_parts, list_texts


@pytest.mark.parametrize(("right", "sure"), [(50, 99), (99, 99), (100, 60)])
def test_confidence_that_is_off_is_said(
    tmp_path: Path, fill: Fill, describe: Describe, right: int, sure: int
) -> None:
    truths = ["a"] * right + ["b"] * (100 - right)
    scores = np.tile([[sure / 100, 1 - sure / 100]], (100, 1))
    run = fill(tmp_path / "run", Classification(), ("a", "b"), truths, scores)
    expected = {
        50: ["It is too sure of itself: it claims 99 % on average, and is right 50 % of the time."],
        99: [],
        100: ["It is too modest: it claims 60 % on average, and is right 100 % of the time."],
    }
    texts = [text for text in list_texts(describe(run)) if text.startswith("It is too")]
    assert texts == expected[right]


def test_what_the_temperature_did_is_tabulated(class_run: RunDirectory, describe: Describe) -> None:
    def make(loss: float, error: float) -> CalibrationFigures:
        return CalibrationFigures(
            Estimate(loss, loss - 0.1, loss + 0.1), Estimate(error, error - 0.02, error + 0.02)
        )

    val = SplitCalibration(12, make(0.9, 0.2), make(0.5, 0.05))
    record = Calibration(2.0, val).to_dict()
    class_run.write_manifest(replace(class_run.read_manifest(), calibration=record))
    (table,) = list_parts(find(describe(class_run), "confidence"), Table)
    assert table.rows == (
        ("validation", "20.0 points [18.0, 22.0]", "5.0 points [3.0, 7.0]", "0.900", "0.500"),
    )


def test_what_was_tried_on_a_target_is_told_with_what_came_of_it(
    class_run: RunDirectory, describe: Describe
) -> None:
    assert all(section.name != "adapted" for section in describe(class_run).sections)
    zero, gain = Estimate(0.0, 0.0, 0.0), Estimate(0.4, 0.3, 0.5)
    before, after = Estimate(0.5, 0.3, 0.7), Estimate(0.9, 0.7, 1.0)
    Adaptation(
        "auto", "self_training", 90, 2, {"a": 0.25, "b": 0.75}, 0.4,
        (Trial("self_training", 1.2, gain), Trial("none", 0.8, zero)),
        AdaptationEffect(20, "accuracy", before, after),
    ).write(class_run.trust)  # fmt: skip
    content = describe(class_run)
    trials, effect, shares = list_parts(find(content, "adapted"), Table)
    assert trials.rows == (
        ("self-training (kept)", "1.20", "+0.40 [+0.30, +0.50]"),
        ("none", "0.80", ""),
    )
    assert effect.rows == (("before", "0.5 [0.3, 0.7]"), ("after", "0.9 [0.7, 1]"))
    assert shares.rows == (("a", "25.0%"), ("b", "75.0%"))
    first, left = list_notes(content, "adapted")
    assert "40 % of 90 answers changed" in first
    assert left.startswith("2 ")


def test_sources_are_told_side_by_side(class_run: RunDirectory, describe: Describe) -> None:
    assert all(section.name != "sources" for section in describe(class_run).sections)
    half, most = Estimate(0.5, 0.3, 0.7), Estimate(0.9, 0.7, 1.0)
    near = DomainRow("street", 40, 1.5, 0.1, 40, most, half, 9, most)
    far = DomainRow("studio", 90, 0.5, 0.3, 90, most, None, 20, None)
    Domains("camera", None, True, (near, far), "accuracy", "", "macro_f1").write(class_run.trust)
    (table,) = list_parts(find(describe(class_run), "sources"), Table)
    assert table.columns[2:4] == ("from the target", "weight")
    assert table.rows == (
        ("street", "40", "0.100", "1.50", "9", "0.9 [0.7, 1]", "0.9 [0.7, 1]", "0.5 [0.3, 0.7]"),
        ("studio", "90", "0.300", "0.50", "20", "none", "0.9 [0.7, 1]", "none"),
    )
    first, note = list_notes(describe(class_run), "sources")
    assert first == "Sources by camera."
    assert "a training with --leave-out tells" in note


def test_a_reweighting_of_few_samples_is_warned_of(
    class_run: RunDirectory, describe: Describe
) -> None:
    Reweighting(200, 80, 20.0, 0.05, 0.97, 0.1, 0.01, 9.0, ("a.jpg",)).write(class_run.trust)
    notes = list_notes(describe(class_run), "sources")
    assert "200 training samples are worth 20 of equal weight (10%)" in notes[0]
    assert "few look like the target" in notes[-1]


def test_what_was_forgotten_is_told_label_by_label(
    class_run: RunDirectory, describe: Describe
) -> None:
    assert all(section.name != "forgotten" for section in describe(class_run).sections)
    half, most = Estimate(0.5, 0.3, 0.7), Estimate(0.9, 0.7, 1.0)
    Forgetting(
        "runs/1", "distill", 0, 20, 1, ("c",), "accuracy", most, half, Estimate(40.0, 20.0, 60.0),
        (LabelMemory("a", 12, most, half), LabelMemory("b", 8, most, most)),
    ).write(class_run.trust)  # fmt: skip
    content = describe(class_run)
    (table,) = list_parts(find(content, "forgotten"), Table)
    assert table.rows == (
        ("a", "12", "90.0% [70.0%, 100.0%]", "50.0% [30.0%, 70.0%]"),
        ("b", "8", "90.0% [70.0%, 100.0%]", "90.0% [70.0%, 100.0%]"),
    )
    (note,) = list_notes(content, "forgotten")
    assert "accuracy 0.9 → 0.5, +40.00 lost [+20.00, +60.00]; 1 of its test samples" in note


def test_gaps_between_groups_and_what_was_not_looked_at(
    class_run: RunDirectory, describe: Describe
) -> None:
    group = SliceGroup("night", 6, {"accuracy": Estimate(0.5, 0.2, 0.8)})
    gap = Gap(0.3, 0.1, 0.5, "ant")
    column = ColumnSlices("light", (group,), "night", Fairness(gaps={"equal_opportunity": gap}))
    whole = SliceGroup("", 12, {"accuracy": Estimate(0.75, 0.47, 0.91)})
    report = SliceReport("test", "accuracy", 5, whole, (column,), {"id": "a value each"})
    report.write(class_run.trust)
    first, second = list_notes(describe(class_run), "groups")
    assert first.startswith("Gap in equal opportunity: 30.0 points")
    assert first.endswith(", of ant.")
    assert second == "id: not looked at, a value each."


def test_how_to_measure_the_gap_is_said(class_run: RunDirectory, describe: Describe) -> None:
    assert list_notes(describe(class_run), "domain") == ["Not measured."]
    class_run.write_manifest(replace(class_run.read_manifest(), request={"data": "photos"}))
    material = replace(read_material(class_run), gap_fault="It could not be measured: no weights.")
    section = find(make_content(material), "domain")
    measure, again = list_parts(section, Note)
    path = str(class_run.path)
    assert measure == Note(
        "Not measured yet. It could not be measured: no weights. To measure it, type",
        shlex.join(["tfxfer", "gap", path]),  # of DATA it would not be kept
    )
    assert again == Note("and make this page anew:", shlex.join(["tfxfer", "report", path]))


def test_records_of_trust_are_shown(class_run: RunDirectory, describe: Describe) -> None:
    class_run.trust.mkdir(exist_ok=True)
    stages = (StageGap("stem", 0.5, 0.1, 0.05, 0.2), StageGap("top", 1.0, 0.9, 0.8, 1.0))
    gap = GapProfile("tiny", 12, stages, 0.5, low=0.4, high=0.6)
    (class_run.trust / "gap.json").write_text(to_json(gap.to_dict()))
    figures = {"accuracy": {"value": 0.5, "low": 0.2, "high": 0.8}}
    result = BaselineResult(
        "probe", 2.0, 3, "accuracy", figures, {"value": 25.0, "low": 5.0, "high": 45.0}, "helps",
        "fine-tuning helps: accuracy 75.0 % against 50.0 %",
    )  # fmt: skip
    BaselineRecord((result,), ("scratch: no time",)).write(class_run.trust)
    poor = SliceGroup(
        "night", 6, {"accuracy": Estimate(0.5, 0.2, 0.8)}, behind=Estimate(0.5, 0.1, 0.8)
    )
    column = ColumnSlices("light", (poor,), "night", Fairness(reason="no groups"))
    whole = SliceGroup("", 12, {"accuracy": Estimate(0.75, 0.47, 0.91)})
    SliceReport("test", "accuracy", 5, whole, (column,)).write(class_run.trust)
    before, after = Estimate(0.8, 0.7, 0.9), Estimate(0.75, 0.6, 0.9)
    effect = Effect(12, before, after, Estimate(5.0, 1.0, 9.0), None, None)
    FairTraining(
        "equal_opportunity", "light", ("day", "night"), "accuracy", 0.5, (), effect, effect
    ).write(class_run.trust)
    error = LabelError("test/01.png", "test", "ant", "bee", 0.01, 0.98, 0.97, confident=True)
    write_label_errors(
        class_run.trust / "label_errors.csv", [error, replace(error, confident=False)]
    )
    content = describe(class_run)
    names = [section.name for section in content.sections]
    assert names == [
        "training", "results", "confidence", "mistakes", "labels", "data", "domain", "transfer",
        "groups", "export", "card",
    ]  # fmt: skip
    texts = list_texts(content)
    assert "1 label looks wrong." in texts
    assert "Worse by light: night has accuracy 50.0 %, between 20.0 and 80.0 %." in texts
    assert "Fine-tuning helps: accuracy 75.0 % against 50.0 %." in texts
    assert any("are far from what tiny was pretrained on" in text for text in texts)
    notes = [note.text for note in list_parts(find(content, "groups"), Note)]
    assert "Fair by light: penalty 0.5 on the gap in equal opportunity." in notes
    assert any(note.startswith("Test: gap none → none; accuracy 0.8 → 0.75") for note in notes)
    (profile,) = list_parts(find(content, "domain"), Profile)
    assert [(point.depth, point.value) for point in profile.points] == [(0.5, 0.1), (1.0, 0.9)]
    (gallery,) = list_parts(find(content, "labels"), Gallery)
    assert gallery.plates[0].lines[0] == "labelled ant, looks like bee"
    assert gallery.rest == 0  # what the probe is not sure of is no candidate
    (table,) = list_parts(find(content, "transfer"), Table)
    assert table.rows[0][3] == "+25.0 points [+5.0, +45.0]"


def test_a_wide_gap_alone_is_said(class_run: RunDirectory, describe: Describe) -> None:
    gap = GapProfile(
        "tiny", 12, (StageGap("top", 1.0, 0.05, 0.04, 0.06),), 0.05, low=0.04, high=0.06
    )
    class_run.trust.mkdir(exist_ok=True)
    (class_run.trust / "gap.json").write_text(to_json(gap.to_dict()))
    assert not any("pretrained on" in text for text in list_texts(describe(class_run)))
