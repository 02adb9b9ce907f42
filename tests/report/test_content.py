"""What a page says of a run, before anything is drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from tfxfer import Phase, RunError
from tfxfer.data.audit_file import read_audit, write_audit
from tfxfer.evaluation.tables import Matrix, Table
from tfxfer.report.material import read_material
from tfxfer.report.parts import Curves, Facts, Gallery, Reliability
from tfxfer.run.directory import RunDirectory
from tfxfer.run.manifest import PhaseRecord
from tfxfer.trust.course import Finding
from tfxfer_heads import Classification

from .told import Describe, Fill, find, list_notes, list_parts, list_texts


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


def test_what_the_record_of_an_audit_does_not_name_is_counted(
    class_run: RunDirectory, describe: Describe
) -> None:
    audit = read_audit(class_run.audit_path)
    more = {"corrupt": (200_000, 200_000), "ignored": (1_000, 0)}
    write_audit(class_run.audit_path, replace(audit, unnamed=more))
    content = describe(class_run)
    assert "200,001 images were left out of the data." in [x.text for x in content.verdict]
    data = find(content, "data")
    assert any(note.startswith("201,000 more findings") for note in list_notes(content, "data"))
    tables = [table for table in list_parts(data, Table) if "found" in table.columns]
    corrupt = next(row for row in tables[0].rows if row[0] == "corrupt")
    assert corrupt[1:3] == ("200,001", "200,001")
    (gallery,) = [x for x in list_parts(data, Gallery) if x.title == "Left out"]
    assert gallery.rest == 200_000


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


def test_a_run_of_before_answers_were_kept(class_run: RunDirectory, describe: Describe) -> None:
    class_run.predictions_path.unlink()
    class_run.history_path.unlink()
    content = describe(class_run)
    assert content.verdict[0].text.startswith("Accuracy 75.0 %, between 46.8 and 91.1 %, on 12")
    assert "confidence" not in [section.name for section in content.sections]
    assert content.list_explained() == ()


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


def test_words_of_a_history_are_those_of_the_run(class_run: RunDirectory) -> None:
    # As it is written, no word of it is a formula.
    class_run.write_history([{"epoch": 0, "phase": "=head", "loss": 0.5, "-x": 1.0}])
    text = (class_run.path / "history.csv").read_text()
    assert "'=head" in text
    (epoch,) = read_material(class_run).history
    assert (epoch.phase, sorted(epoch.values)) == ("=head", ["-x", "loss"])


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
