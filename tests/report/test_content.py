"""What a page says of a run, before anything is drawn."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfxfer import Phase, RunError
from tfxfer.data.audit_file import write_audit
from tfxfer.data.problems import Audit, Problem
from tfxfer.data.table import SplitRow, read_split_table, write_split_table
from tfxfer.evaluation.tables import Matrix, Table
from tfxfer.modality import Sample
from tfxfer.report.answers import Answer
from tfxfer.report.audit import list_left_out
from tfxfer.report.content import Content, make_content
from tfxfer.report.copies import CopyGroup
from tfxfer.report.material import Material, read_material
from tfxfer.report.mistakes import rank_mistakes
from tfxfer.report.parts import Curves, Facts, Gallery, Note, Profile, Reliability, Section
from tfxfer.run.directory import RunDirectory
from tfxfer.run.manifest import PhaseRecord
from tfxfer.system.files import to_json, write_table
from tfxfer.system.plain_text import guard_row
from tfxfer.trust.baselines import BaselineRecord, BaselineResult
from tfxfer.trust.course import Finding
from tfxfer.trust.estimate import Estimate
from tfxfer.trust.fair_record import Effect, FairTraining
from tfxfer.trust.fairness import Fairness, Gap
from tfxfer.trust.label_errors import LabelError, write_label_errors
from tfxfer.trust.mistakes import list_mistakes
from tfxfer.trust.profile import GapProfile, StageGap
from tfxfer.trust.slices import ColumnSlices, SliceGroup, SliceReport
from tfxfer.trust.temperature import Calibration, CalibrationFigures, SplitCalibration
from tfxfer_heads import Classification, Multilabel, Regression

Describe = Callable[..., Content]
Fill = Callable[..., RunDirectory]


def find(content: Content, name: str) -> Section:
    return next(section for section in content.sections if section.name == name)


def list_texts(content: Content) -> list[str]:
    return [sentence.text for sentence in content.verdict]


def list_parts(section: Section, kind: type) -> list[Any]:
    return [part for part in section.parts if isinstance(part, kind)]


def list_ranked(material: Material) -> list[Answer]:
    found = rank_mistakes(material)
    assert found is not None
    return found


def list_notes(content: Content, name: str) -> list[str]:
    return [note.text for note in list_parts(find(content, name), Note)]


def test_the_verdict_counts_and_names(class_run: RunDirectory, describe: Describe) -> None:
    first, *rest = describe(class_run).verdict
    # Wilson's interval of 9 of 12 is 46.8 to 91.1 %.
    assert first.text == (
        "9 of 12 images that it had never seen are right: 75.0 %, and between 47 and 91 % if more "
        "were tested."
    )
    assert (first.tone, first.section) == ("good", "results")
    texts = [sentence.text for sentence in rest]
    assert texts[0].startswith("The most frequent mistake: ant is taken for bee")
    assert texts[0].endswith(", 2 of 4 times.")
    assert texts[1] == "Phase 'fine_tune' was stopped by --budget after 2 of 4 epochs."
    assert "The phone's file is 3.6 MB (int8), takes 4.4 ms" in texts[2]
    assert "loses nothing that a test of this size can see" in texts[2]
    assert texts[3:] == [
        "1 image was left out of the data.",
        "1 image is a copy of others, and on the same side of the split as these.",
    ]


def test_a_result_at_chance_is_said_at_once(class_run: RunDirectory, describe: Describe) -> None:
    warning = {"kind": "chance", "message": "accuracy may be luck", "cause": "few samples"}
    manifest = replace(class_run.read_manifest(), warnings=(warning,))
    class_run.write_manifest(manifest)
    first, second, third, *_ = describe(class_run).verdict
    assert first.tone == second.tone == third.tone == "bad"
    assert (second.text, third.text) == ("Accuracy may be luck.", "Likely: few samples.")


def test_curves_have_their_phases(class_run: RunDirectory, describe: Describe) -> None:
    accuracy, loss = list_parts(find(describe(class_run), "training"), Curves)
    assert (accuracy.title, loss.title) == ("Accuracy", "Loss")
    assert (accuracy.is_share, loss.is_share) == (True, False)
    assert accuracy.phases == (("head", 3), ("fine_tune", 2))
    assert accuracy.kept == 3
    validation, training = accuracy.lines
    assert validation.values == pytest.approx((0.4, 0.5, 0.6, 0.7, 0.8))
    assert training.values == pytest.approx((0.5, 0.6, 0.7, 0.8, 0.9))
    assert (validation.is_main, training.is_main) == (True, False)


def test_the_page_tells_the_course_as_the_terminal_does(
    class_run: RunDirectory, describe: Describe
) -> None:
    head = PhaseRecord("head", "top", 3, 1e-3, 10, cached=True, seconds=1.0, planned_epochs=3)
    cut = replace(head, name="fine_tune", epochs=17, planned_epochs=8, stopped="budget")
    plan = [
        {
            "phase": asdict(Phase(name, "top", 8, 1e-3)),
            "views": 1, "trainable_parameters": 10, "cached": True,
        }
        for name in ("head", "fine_tune", "all")
    ]  # fmt: skip
    manifest = replace(class_run.read_manifest(), phases=(head, cut), plan=tuple(plan))
    class_run.write_manifest(manifest)
    content = describe(class_run)
    texts = list_texts(content)
    assert (
        "Phase 'fine_tune' was stopped by --budget in epoch 17, before its learning rate had "
        "fallen."
    ) in texts
    assert "Phase 'all' was not begun: --budget left no time for it." in texts
    (table,) = list_parts(find(content, "training"), Table)
    assert [row[3] for row in table.rows] == ["3", "17"]
    useless = replace(head, name="fine_tune", epochs=5)
    manifest = replace(manifest, phases=(replace(head, best_epoch=2), useless))
    class_run.write_manifest(manifest)
    content = describe(class_run)
    assert any(text.startswith("Fine-tuning did not help") for text in list_texts(content))
    # Planned as three epochs, had five: the plan is none of it.
    (table,) = list_parts(find(content, "training"), Table)
    assert [row[3] for row in table.rows] == ["3", "5"]


def test_what_went_wrong_in_the_training_is_said(
    class_run: RunDirectory, describe: Describe
) -> None:
    findings = (
        Finding("collapse", 1, "it has collapsed", "lower the rate", "head", "rollback"),
        Finding("overfitting", 4, "it overfits", "train shorter", "fine_tune"),
    )
    manifest = replace(class_run.read_manifest(), findings=tuple(x.to_dict() for x in findings))
    class_run.write_manifest(manifest)
    content = describe(class_run)
    collapse = "Epoch 2: it has collapsed; back to the best epoch. Lower the rate."
    notes = list_notes(content, "training")
    assert [x for x in notes if x.startswith("Epoch")] == [
        collapse,
        "Epoch 5: it overfits. Train shorter.",
    ]
    # A collapse can make a model worthless; overfitting costs the epochs after the best.
    bad = [sentence.text for sentence in content.verdict if sentence.tone == "bad"]
    assert bad == [collapse]
    class_run.write_manifest(replace(manifest, findings=({"kind": "collapse"},)))
    with pytest.raises(RunError, match="finding of a training"):
        describe(class_run)


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


def test_results_and_confidence(class_run: RunDirectory, describe: Describe) -> None:
    content = describe(class_run)
    (matrix,) = list_parts(find(content, "results"), Matrix)
    assert matrix.counts == ((2, 2, 0), (0, 4, 0), (1, 0, 3))
    figures, classes = list_parts(find(content, "results"), Table)
    assert figures.rows[0][1].startswith("75.0 % [46.8, 91.1]")
    assert classes.rows[0][0] == "ant"  # F1 4/7, behind 2/3 and 6/7
    (reliability,) = list_parts(find(content, "confidence"), Reliability)
    # Nine answers at .8 are right; those at .9, .6 and .5 are wrong.
    assert [(each.samples, each.right) for each in reliability.bins] == [
        (1, 0),
        (1, 0),
        (9, 1),
        (1, 0),
    ]


def test_the_surest_mistakes_come_first(class_run: RunDirectory) -> None:
    material = read_material(class_run)
    found = list_ranked(material)
    assert [answer.score for answer in found] == pytest.approx([0.9, 0.6, 0.5])
    assert all(answer.is_right is False for answer in found)


def test_the_farthest_mistakes_come_first(tmp_path: Path, fill: Fill) -> None:
    head, truths = Multilabel(), ["a|b", "a|b", "a|b", "a|b"]
    scores = np.array([[0.9, 0.1], [0.2, 0.1], [0.9, 0.9], [0.9, 0.4]])
    material = read_material(fill(tmp_path / "run", head, ("a", "b"), truths, scores))
    # Both labels wrong, then one: of equally far ones the surer. The right one is none.
    names = [answer.path[5:7] for answer in list_ranked(material)]
    assert names == ["01", "00", "03"]


def test_numbers_are_as_far_as_they_are(tmp_path: Path, fill: Fill) -> None:
    truths = ["1|100", "2|300", "3|200", "4|400"]
    scores = np.array([[1, 100], [2, 320], [3.5, 200], [4, 400]])
    head = Regression(mean=(0.0, 0.0), std=(1.0, 1.0))
    labels = ("x", "y")
    material = read_material(fill(tmp_path / "run", head, labels, truths, scores))
    # .5 of a spread of 1.1 is farther than 20 of one of 112.
    names = [answer.path[5:7] for answer in list_ranked(material)]
    assert names == ["02", "01"]


def test_numbers_below_zero_are_numbers(
    tmp_path: Path, fill: Fill, describe: Describe, render: Callable[..., str]
) -> None:
    truths = ["-1", "0", "1"] * 4
    scores = np.tile([[-1.0], [0.0], [1.0]], (4, 1))
    scores[3] = -3
    run = fill(tmp_path / "run", Regression(mean=(0.0,), std=(1.0,)), ("x",), truths, scores)
    # Such answers have no classes, so that nobody looks for labels that look wrong.
    run.write_manifest(replace(run.read_manifest(), request={"data": "numbers.csv"}))
    (answer,) = list_ranked(read_material(run))
    assert (answer.truth, answer.path) == ("-1", "test/03.png")
    assert float(answer.label) == -3
    content = describe(run)
    assert "labels" not in [section.name for section in content.sections]
    assert "-3.0, in truth -1" in render(run) or "-3, in truth -1" in render(run)


def test_a_name_that_no_table_may_have_finds_its_sample(class_run: RunDirectory) -> None:
    names = {"test/03.png": "=1+1/\x1b3.png", "test/05.png": "'-5.png", "test/07.png": "-7"}
    split = [
        replace(row, path=names.get(row.path, row.path))
        for row in read_split_table(class_run.split_path)
    ]
    write_split_table(class_run.split_path, split)
    answers = [asdict(answer) for answer in read_material(class_run).answers]
    for row in answers:
        row["path"] = names.get(row["path"], row["path"])
        row["right"] = "true" if row.pop("is_right") else "false"
    write_table(class_run.predictions_path, map(guard_row, answers))
    found = [answer.path for answer in read_material(class_run).tested]
    assert [found[number] for number in (3, 5, 7)] == list(names.values())
    assert "'=1+1/\\x1b3.png" in class_run.predictions_path.read_text()
    mistakes = list_mistakes(class_run, 99, locate=Sample)
    assert mistakes
    assert {item.sample.name for item in mistakes} <= {row.path for row in split}


def test_answers_that_nobody_can_rank_are_not_none(
    tmp_path: Path, fill: Fill, describe: Describe
) -> None:
    truths, scores = ["1", "2", "3"] * 4, np.ones((12, 1))
    run = fill(tmp_path / "run", Regression(mean=(0.0,), std=(1.0,)), ("x",), truths, scores)
    table = run.predictions_path
    table.write_text(table.read_text().replace(",2,", ",two,"))
    run.write_manifest(replace(run.read_manifest(), request={"data": "numbers.csv"}))
    text = str(find(describe(run), "mistakes"))
    assert "They cannot be ranked" in text
    assert "none" not in text


def test_what_leaked_is_left_out_and_no_copy_in_use(
    class_run: RunDirectory, describe: Describe
) -> None:
    problems = (
        Problem("b.png", "split_leak", "a.png is in test", skipped=True, like="a.png"),
        Problem("b.png", "duplicate", "same as a.png", skipped=False, like="a.png"),
        Problem("c.png", "split_leak", "a.png is in test", skipped=True, like="a.png"),
    )
    write_audit(class_run.audit_path, Audit(problems, images=24, files=26))
    assert read_material(class_run).copy_groups == []
    content = describe(class_run)
    assert not any("same side" in text for text in list_texts(content))
    assert len(list_parts(find(content, "data"), Gallery)) == 1  # of what was left out


def test_copies_are_grouped(class_run: RunDirectory) -> None:
    problems = (
        Problem("b.png", "duplicate", "same as a.png", skipped=False, like="a.png"),
        Problem("c.png", "duplicate", "same as a.png", skipped=False, like="a.png"),
        Problem("e.png", "near_duplicate", "nearly d.png", skipped=False, like="d.png"),
        Problem("f.png", "suspicious", "grey", skipped=False),
    )
    write_audit(class_run.audit_path, Audit(problems, images=24, files=24))
    material = read_material(class_run)
    assert material.copy_groups == [
        CopyGroup("a.png", ("b.png", "c.png"), is_exact=True),
        CopyGroup("d.png", ("e.png",), is_exact=False),
    ]
    assert list_left_out(material) == []


def test_a_run_without_an_audit_knows_exact_copies(
    class_run: RunDirectory, describe: Describe
) -> None:
    class_run.audit_path.unlink()
    same = "ab" * 8
    write_split_table(
        class_run.split_path,
        [SplitRow(f"{x}.png", "ant", "train", "a.png", same if x in "ac" else "") for x in "abcd"],
    )
    assert read_material(class_run).copy_groups == [CopyGroup("a.png", ("c.png",), True)]
    assert "An earlier tfxfer" in str(find(describe(class_run), "data"))


def test_a_run_of_before_answers_were_kept(class_run: RunDirectory, describe: Describe) -> None:
    class_run.predictions_path.unlink()
    class_run.history_path.unlink()
    content = describe(class_run)
    assert content.verdict[0].text.startswith("Accuracy 75.0 %, between 46.8 and 91.1 %, on 12")
    assert "confidence" not in [section.name for section in content.sections]
    assert content.list_explained() == ()


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


def test_the_card_says_how_to_repeat(class_run: RunDirectory, describe: Describe) -> None:
    command = "tfxfer train photos"
    card = find(describe(class_run, command=command, remarks=("data: CC BY 4.0",)), "card")
    (facts,) = list_parts(card, Facts)
    rows = dict(facts.rows)
    assert rows["Licences"] == "pretrained weights (imagenet): Apache-2.0; data: CC BY 4.0"
    assert rows["Measured"].startswith("accuracy 75.0 %")
    assert "weakest at ant" in rows["Limits"]
    assert card.parts[-1].command == command  # type: ignore[union-attr]
    (unknown,) = list_parts(find(describe(class_run), "card"), Facts)
    assert "data: not recorded" in dict(unknown.rows)["Licences"]


@pytest.mark.parametrize("text", ['{"chosen": "int8"}', '{"metric": {"title": "x"}, "float": 1}'])
def test_an_export_of_another_version_is_named(
    class_run: RunDirectory, describe: Describe, text: str
) -> None:
    (class_run.export / "export.json").write_text(text)
    with pytest.raises(RunError, match=r"export\.json.*Export anew"):
        describe(class_run)


def test_an_export_that_chose_none_of_its_files_is_named(
    class_run: RunDirectory, describe: Describe
) -> None:
    path = class_run.export / "export.json"
    path.write_text(path.read_text().replace('"chosen": "int8"', '"chosen": "int4"'))
    with pytest.raises(RunError, match=r"export\.json.*KeyError: 'int4'\. Export anew"):
        describe(class_run)


def test_a_run_that_is_not_done_has_no_page(class_run: RunDirectory) -> None:
    class_run.write_manifest(replace(class_run.read_manifest(), status="interrupted"))
    with pytest.raises(RunError, match=r"status='interrupted'\. Go on with it"):
        read_material(class_run)


@pytest.mark.parametrize(
    ("name", "text"),
    [("history.csv", "epoch,phase,loss\n0,head,x\n"), ("predictions.csv", "path\n1\n")],
)
def test_a_table_that_somebody_changed_is_named(
    class_run: RunDirectory, name: str, text: str
) -> None:
    (class_run.path / name).write_text(text)
    with pytest.raises(ValueError, match=name):
        read_material(class_run)


def test_one_right_answer_has_no_mistakes(tmp_path: Path, fill: Fill, describe: Describe) -> None:
    labels = ("a", "b")
    run = fill(tmp_path / "run", Classification(), labels, [*labels] * 6, np.eye(2)[[0, 1] * 6])
    content = describe(run)
    assert "There are none among 12 images." in str(find(content, "mistakes"))
    assert not any("mistake" in text for text in list_texts(content))


def test_a_thousand_labels_are_no_million_cells(
    tmp_path: Path, fill: Fill, describe: Describe, render: Callable[..., str]
) -> None:
    labels = [f"label {number:04}" for number in range(1000)]
    truths = labels[:40]
    scores = np.zeros((40, 1000))
    scores[np.arange(40), np.arange(40)] = 1
    scores[[3, 7]] = np.eye(1000)[[999, 999]]
    run = fill(tmp_path / "run", Classification(), labels, truths, scores)
    results = find(describe(run), "results")
    assert list_parts(results, Matrix) == []
    pairs = next(table for table in list_parts(results, Table) if "pairs" in table.title)
    assert pairs.rows == (
        ("label 0003", "label 0999", "1", "1"),
        ("label 0007", "label 0999", "1", "1"),
    )
    assert len(render(run)) < 200_000
