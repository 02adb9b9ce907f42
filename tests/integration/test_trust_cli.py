"""What a run says of its own confidence, and answers that are not given."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfxfer.run.directory import RunDirectory
from tfxfer.trust.reliability import read_reliability
from tfxfer.trust.temperature import Calibration

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def many(paint: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of 130 images, enough for 58 to validate with and be sure of a temperature."""
    root, rng = tmp_path_factory.mktemp("many"), np.random.default_rng(5)
    for channel, label in enumerate(("zebra", "apple", "mango")):
        (root / label).mkdir()
        for number in range(130):
            paint(rng, channel).save(root / label / f"{number:03d}.png")
    return root


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_is_calibrated_and_says_so(
    tfxfer: Run, train: Run, many: Path, tmp_path: Path
) -> None:
    options = ("--head-epochs", 1, "--schedule", "head")
    done = train(many, "--out", tmp_path / "run", *options)
    assert done.code == 0, done.stderr
    document = json.loads((tmp_path / "run" / "run.json").read_text())
    record = Calibration.from_dict(document["calibration"])
    assert record.temperature != pytest.approx(1, abs=0.05)
    assert record.val.after.log_loss.value < record.val.before.log_loss.value
    assert record.test is not None
    assert f"after one temperature ({record.temperature:.3g})" in done.stdout
    # The figures of the run are those of the file, with the temperature in it.
    metrics = document["metrics"]["test"]
    assert metrics["log_loss"]["value"] == pytest.approx(record.test.after.log_loss.value, rel=1e-4)
    again = tfxfer("evaluate", tmp_path / "run", many, "--json")
    assert again.code == 0, again.stderr
    assert again.document["log_loss"]["value"] == pytest.approx(
        metrics["log_loss"]["value"], rel=1e-4
    )
    # And not those of the model as it was trained.
    assert again.document["log_loss"]["value"] != pytest.approx(
        record.test.before.log_loss.value, rel=1e-3
    )
    diagram = read_reliability(RunDirectory.open(tmp_path / "run"))
    assert diagram is not None
    assert diagram.error.value == pytest.approx(metrics["calibration_error"]["value"])


def test_a_run_may_keep_its_scores(train: Run, photos: Path, tmp_path: Path) -> None:
    options = ("--head-epochs", 1, "--schedule", "head", "--no-calibration")
    done = train(photos, "--out", tmp_path / "run", *options)
    assert done.code == 0, done.stderr
    document = json.loads((tmp_path / "run" / "run.json").read_text())
    assert document["calibration"] is None
    assert document["request"]["calibrate"] is False
    assert "confidence:" not in done.stdout
    # A run of before there was any reads as one without.
    del document["calibration"], document["request"]["calibrate"]
    (tmp_path / "run" / "run.json").write_text(json.dumps(document))
    assert RunDirectory.open(tmp_path / "run").read_manifest().calibration is None


def test_a_collapse_is_said_and_kept(train: Run, paint: Callable[..., Any], tmp_path: Path) -> None:
    # All are of one kind: nothing tells the classes apart, and one of them is the most frequent.
    rng = np.random.default_rng(7)
    for label, count in {"apple": 60, "mango": 12, "zebra": 12}.items():
        (tmp_path / "alike" / label).mkdir(parents=True)
        for number in range(count):
            paint(rng, 0).save(tmp_path / "alike" / label / f"{number}.png")
    options = ("--schedule", "head", "--head-epochs", 6, "--on-collapse", "stop")
    done = train(tmp_path / "alike", "--out", tmp_path / "run", *options)
    assert done.code == 0, done.stderr
    document = json.loads((tmp_path / "run" / "run.json").read_text())
    (found,) = document["findings"]
    assert (found["kind"], found["phase"], found["action"]) == ("collapse", "head", "stop")
    assert f"warning: epoch {found['epoch'] + 1}: it has collapsed" in done.stderr
    assert document["phases"][0]["epochs"] == found["epoch"] + 1 < 6


def test_unsure_answers_are_not_given(
    tfxfer: Run, learnt: tuple[Path, Any], photos: Path, tmp_path: Path
) -> None:
    run, done = learnt
    assert done.document["findings"] == []
    # Of 5 validation samples no temperature is measured, and the reason is said.
    assert "validation samples are too few" in done.document["calibration"]["reason"]
    table = tmp_path / "answers.csv"
    found = tfxfer("evaluate", run, photos, "--out", table, "--min-score", 0.0, "--json")
    scores = sorted(float(row["score"]) for row in read_rows(table))
    least = scores[len(scores) // 2]
    assert scores[0] < least
    assert found.document["abstention"]["answered"] == len(scores)
    given = sum(score >= least for score in scores)
    options = ("--min-score", least, "--out", table, "--overwrite", "-v")
    found = tfxfer("evaluate", run, photos, *options)
    assert f"{given} answered, {100 * given / len(scores):.1f} %, of these right" in found.stdout
    assert "FROM A SCORE OF" in found.stdout
    rows = read_rows(table)
    assert [row["sure"] for row in rows].count("true") == given

    shown = tfxfer("predict", run, photos, "--min-score", least, "--csv", tmp_path / "all.csv")
    assert shown.code == 0, shown.stderr
    assert "not sure" in shown.stdout
    documents = tfxfer("predict", run, photos, "--min-score", least, "--json").document
    unsure = [item for item in documents if not item["sure"]]
    assert 0 < len(unsure) < len(documents)
    assert {item["label"] for item in unsure} == {None}
    assert max(item["score"] for item in unsure) < least
    assert min(item["score"] for item in documents if item["sure"]) >= least
    table_rows = read_rows(tmp_path / "all.csv")
    for item, row in zip(documents, table_rows, strict=True):
        assert (row["sure"], row["label"]) == (
            ("true", item["label"]) if item["sure"] else ("false", "")
        )
    plain = tfxfer("predict", run, photos, "--json").document
    assert "sure" not in plain[0]
