"""`tfxfer report`, and the page at the end of a training."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
Learnt = tuple[Path, Any]
SHORT = ("--schedule", "head", "--head-epochs", 1, "--views", 1)


def list_pictures(text: str) -> list[str]:
    return re.findall(r'<img src="(data:[^"]+)"', text)


@pytest.fixture
def run(learnt: Learnt, reseal: Callable[[Path], None], tmp_path: Path) -> Path:
    """A copy of the run that has learnt its classes, with one answer made wrong."""
    path = tmp_path / "run"
    shutil.copytree(learnt[0], path)
    lines = (path / "predictions.csv").read_text().splitlines()
    number = next(k for k, line in enumerate(lines) if ",test,zebra,zebra," in line)
    lines[number] = lines[number].replace(",zebra,zebra,", ",zebra,apple,").replace("true", "false")
    (path / "predictions.csv").write_text("\n".join(lines) + "\n")
    reseal(path)
    return path


def test_the_page_of_a_run(run: Path, tfxfer: Run) -> None:
    done = tfxfer("report", run, "--json")
    assert done.code == 0, done.stderr
    (report,) = done.document["reports"]
    page = run / "report.html"
    assert report["report"] == str(page)
    assert report["bytes"] == page.stat().st_size < 200_000
    assert report["run"] == str(run)
    assert "images that it had never seen are right" in report["verdict"][0]["text"]
    assert {"training", "results", "mistakes", "data", "export", "card"} <= set(report["sections"])
    # The mistake, and what the model looked at beside it.
    text = page.read_text()
    assert len(list_pictures(text)) == 2
    assert len(set(list_pictures(text))) == 2
    # What repeats the run is what was typed.
    assert re.search(r"tfxfer train \S+photos\S* --backbone double_vivid .*--epochs 2", text)

    done = tfxfer("report", run)
    assert done.code == 0
    assert done.stdout.splitlines()[-1] == f"report  {page}"
    assert report["verdict"][0]["text"] in done.stdout


def test_several_runs_have_a_page_each(run: Path, tmp_path: Path, tfxfer: Run) -> None:
    other = tmp_path / "other"
    shutil.copytree(run, other)
    done = tfxfer("report", run, other, "--json")
    assert done.code == 0, done.stderr
    assert [each["run"] for each in done.document["reports"]] == [str(run), str(other)]
    assert (other / "report.html").is_file()
    refused = tfxfer("report", run, other, "--out", tmp_path / "page.html")
    assert refused.code == 2
    assert "--out is the page of a single run" in refused.stderr


def test_a_page_elsewhere(run: Path, tmp_path: Path, tfxfer: Run) -> None:
    page = tmp_path / "page.html"
    assert tfxfer("report", run, "--out", page).code == 0
    assert page.is_file()
    assert not (run / "report.html").exists()
    page.write_text("mine")
    refused = tfxfer("report", run, "--out", page)
    assert refused.code == 1
    assert "To replace it: --overwrite" in refused.error
    assert page.read_text() == "mine"
    assert tfxfer("report", run, "--out", page, "--overwrite").code == 0
    assert page.read_text() != "mine"


@pytest.mark.parametrize("name", ["run.json", "trust/gap.json", "model.keras"])
def test_a_page_replaces_nothing_of_its_run(run: Path, tfxfer: Run, name: str) -> None:
    file = run / name
    file.parent.mkdir(exist_ok=True)
    file.touch()
    kept = file.read_bytes()
    for words in ((), ("--overwrite",)):
        done = tfxfer("report", run, "--out", file, *words)
        assert done.code == 1
        assert "expected another file than what is read" in done.error
    assert file.read_bytes() == kept


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (("gone",), 1, "no run at"),
        (("{run}", "--out", "nowhere/page.html"), 1, "no such folder to put it in"),
        (("{run}", "--out", "."), 1, "Received: a folder"),
        ((), 2, "RUN"),
    ],
)
def test_what_cannot_be_meant(
    run: Path, tfxfer: Run, args: tuple[str, ...], code: int, message: str
) -> None:
    done = tfxfer("report", *(arg.format(run=run) for arg in args))
    assert done.code == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_run_that_is_not_done(run: Path, tfxfer: Run) -> None:
    manifest = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**manifest, "status": "interrupted"}))
    done = tfxfer("report", run)
    assert done.code == 1
    assert "status='interrupted'. Go on with it" in done.error


def test_data_that_has_gone(run: Path, tfxfer: Run) -> None:
    manifest = json.loads((run / "run.json").read_text())
    manifest["request"]["data"] = "/nowhere/photos"
    (run / "run.json").write_text(json.dumps(manifest))
    done = tfxfer("report", run, "--json")
    assert done.code == 0, done.stderr
    text = (run / "report.html").read_text()
    assert list_pictures(text) == []
    assert "the data is not known here" in text


def test_a_model_that_has_gone(run: Path, tfxfer: Run) -> None:
    (run / "model.keras").unlink()
    done = tfxfer("report", run)
    assert done.code == 0, done.stderr
    assert len(list_pictures((run / "report.html").read_text())) == 1


def test_training_ends_with_a_page(
    photos: Path, weights: Path, tfxfer: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("train", photos, "--backbone", "double_vivid", "--weights", weights, *SHORT)
    done = tfxfer(*words, "--out", tmp_path / "run")
    assert done.code == 0, done.stderr
    page = tmp_path / "run" / "report.html"
    *_, told, following = done.stdout.splitlines()
    assert told == f"report {page}"
    assert following.startswith("next   ")
    assert page.is_file()

    def fail(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("no plot today")

    # A page that cannot be made costs no training.
    monkeypatch.setattr("tfxfer.job.report.make_content", fail)
    done = tfxfer(*words, "--out", tmp_path / "other", "-v", "--json")
    assert done.code == 0
    assert done.document["status"] == "done"
    assert "no report: ZeroDivisionError: no plot today. The run is done." in done.stderr
    assert "Traceback" in done.stderr
    assert not (tmp_path / "other" / "report.html").exists()
    done = tfxfer(*words, "--out", tmp_path / "third")
    assert "Traceback" not in done.stderr
    assert "no report: ZeroDivisionError" in done.stderr


def test_no_page_is_made_where_none_is_wanted(learnt: Learnt) -> None:
    assert not (learnt[0] / "report.html").exists()  # the fixture says --no-report


def test_open_shows_it(run: Path, tfxfer: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setattr("click.launch", shown.append)
    assert tfxfer("report", run, "--open").code == 0
    assert shown == [(run / "report.html").as_uri()]
