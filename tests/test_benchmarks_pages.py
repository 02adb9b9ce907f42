"""The tables of benchmarks in docs/ are made from records, and from nothing else."""

from __future__ import annotations

import importlib
import json
import re
import runpy
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "benchmarks"
RECORDS = ROOT / "docs" / "benchmarks" / "records"
MACHINE = {"machine": {"cpu": "Z80", "cores": 1}, "commit": "abc", "written": "2027-01-02T03:04:05"}


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Any]]:
    """Returns a function that imports a module of benchmarks/ by its name."""
    monkeypatch.setattr(sys, "path", [str(ROOT / "scripts"), str(FOLDER), *sys.path])
    yield importlib.import_module
    for name in set(sys.modules):
        if (FOLDER / f"{name}.py").exists() or name.partition(".")[0] == "reference":
            del sys.modules[name]


@pytest.fixture
def main(script: Callable[[str], Any]) -> Callable[[list[str]], int]:
    """The command."""
    found: Callable[[list[str]], int]
    found = runpy.run_path(str(ROOT / "scripts" / "render_benchmarks"))["main"]
    return found


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    """A copy of the pages and records."""
    shutil.copytree(ROOT / "docs" / "benchmarks", tmp_path / "benchmarks")
    for page in (ROOT / "docs").glob("*.md"):
        shutil.copy(page, tmp_path)
    return tmp_path


def test_pages_are_up_to_date(main: Callable[[list[str]], int]) -> None:
    assert main(["--check"]) == 0


def test_a_figure_that_is_changed_on_a_page_alone_is_stale(
    main: Callable[[list[str]], int], docs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = docs / "benchmarks" / "training.md"
    text = page.read_text("utf-8")
    assert text.count("94.2% [93.0, 95.2]") == 1
    page.write_text(text.replace("94.2% [93.0, 95.2]", "95.2% [94.0, 96.2]"), "utf-8")
    assert main(["--check", "--folder", str(docs)]) == 1
    assert capsys.readouterr().err == f"{page}: stale. Run: scripts/render_benchmarks\n"
    assert main(["--folder", str(docs)]) == 0
    assert page.read_text("utf-8") == text


def test_a_figure_that_is_changed_in_a_record_changes_its_table_and_its_claim(
    main: Callable[[list[str]], int], docs: Path
) -> None:
    path = docs / "benchmarks" / "records" / "startup.json"
    record = json.loads(path.read_text("utf-8"))
    (row,) = [row for row in record["rows"] if row["command"] == "tfxfer plugins"]
    row["seconds"] = 0.4
    path.write_text(json.dumps(record), "utf-8")
    assert main(["--check", "--folder", str(docs)]) == 1
    assert main(["--folder", str(docs)]) == 0
    (claim,) = [
        line
        for line in (docs / "benchmarks.md").read_text("utf-8").splitlines()
        if line.startswith("| [`tfxfer plugins`]")
    ]
    assert claim.endswith("| ≤ 0.3 s | 0.400 s |  | **no** |")
    assert "| `tfxfer plugins` | 0.400 s |" in (docs / "benchmarks" / "growth.md").read_text(
        "utf-8"
    )


def test_what_a_script_wrote_replaces_the_rows_of_a_record(
    main: Callable[[list[str]], int], docs: Path, tmp_path: Path
) -> None:
    rounds = {"cached": [10, 20, 10], "whole": [100, 100, 300]}
    rows = [{"augment": level, "all": rounds} for level in ("none", "light")]
    written = tmp_path / "head_phase.json"
    written.write_text(json.dumps({"epochs": 20, "rows": rows, **MACHINE}), "utf-8")
    record = docs / "benchmarks" / "records" / "head_phase.json"
    before = json.loads(record.read_text("utf-8"))
    assert main(["--ingest", str(written), "--folder", str(docs)]) == 0
    assert json.loads(record.read_text("utf-8"))["columns"] == before["columns"]
    text = (docs / "benchmarks" / "time.md").read_text("utf-8")
    assert "| none | 10 s (10 to 20) | 100 s (100 to 300) | 10.0 (5.0 to 30.0) |" in text
    assert "`python benchmarks/head_phase.py --data FOLDER`, cpu Z80, 1 cores, commit abc" in text
    # A claim whose row is gone is an error, not an empty cell.
    written.write_text(json.dumps({"epochs": 20, "rows": rows[:1], **MACHINE}), "utf-8")
    with pytest.raises(
        ValueError, match="claim 'the same with 8 views': expected one row of head_"
    ):
        main(["--ingest", str(written), "--folder", str(docs)])


def test_every_reader_takes_what_its_script_writes(script: Callable[[str], Any]) -> None:
    readers = script("ingest").READERS
    texts = {path.stem: path.read_text("utf-8") for path in FOLDER.glob("*.py")}
    scripts = {name for name, text in texts.items() if "make_parser(__doc__" in text}
    # Pictures are no figures; scratch_claims is claims.py, of another training. What the
    # other ones print stands on the pages of their wings as it is.
    by_hand = {
        "pictures", "adaptation", "adaptation_training", "keeping", "few_shots", "sources", "style",
        "int8_refit",
        "meta",
    }  # fmt: skip
    assert set(readers) == (scripts - by_hand) | {"scratch_claims"}
    both = {"cached_s": 10.0, "whole_s": 50.0}
    rows = readers["two_phase_speed"]({"set": "s", "rounds": [{"epochs": [27, 8], **both}]})
    assert rows["two_phase_speed"][0]["epochs"] == "27 + 8"
    assert rows["two_phase_speed"][0]["times_faster"] == {"rounds": [5.0]}
    rows = readers["breakdown"](
        {
            "rows": [
                {"part": "fit", "ms_per_image": 1.0, "images": 3, "seconds": 3.0},
                {"part": "beside", "ms_per_image": 9.0, "images": 0, "seconds": 0.0},
                {"part": "start", "seconds": 1.0},
            ],
            "total_s": 4.0,
        }
    )
    assert [row.get("share") for row in rows["breakdown"]] == [0.75, 0.25, None]
    rows = readers["text_cost"](
        {
            "cache": {
                "rounds": [
                    {
                        "head_cached_s": 2,
                        "head_whole_s": 40,
                        "epoch_cached_s": 5,
                        "epoch_whole_s": 11,
                        "deep_cached_s": 5,
                        "deep_whole_s": 15,
                    }
                ]
            },
            "growth": {"5000": {"cpu_s": 50.0, "peak_mib": 1.0}},
        }
    )
    assert rows["text_cache"][0]["times_faster"] == {"rounds": [20.0]}
    assert rows["text_growth"] == [
        {"texts": 5000, "cpu_s": 50.0, "peak_mib": 1.0, "cpu_s_per_1000": 10.0}
    ]
    rows = readers["growth"]({"points": {"p": {"images": 500, "seconds": 31.0, "peak_mib": 1.0}}})
    assert rows["growth"][0]["s_per_1000"] == 62


def test_figures_of_trust_are_read(script: Callable[[str], Any]) -> None:
    readers = script("ingest").READERS
    profile = {"images": 9, "mean": 0.5, "low": 0.4, "high": 0.6, "halves_differ": 0.02}
    sets = {"noise": {"a": profile, "b": {**profile, "mean": 0.45, "halves_differ": 0.05}}}
    (row,) = readers["domain_gap"]({"sets": sets})["domain_gap"]
    assert row["a"] == {"value": 0.5, "low": 0.4, "high": 0.6}
    assert (row["b"]["value"], row["halves_differ"]) == (0.45, pytest.approx(0.035))

    draw = {"set": "s", "images": 90, "made": 3, "found": 1.0, "seconds": 1.0}
    draw |= {"confident": 4, "confident_made": 2}
    runs = [
        {**draw, "seed": 0},
        {**draw, "seed": 1, "confident": 6},
        {**draw, "seed": None, "made": 0, "found": None, "confident": 1, "confident_made": 0},
        {**draw, "set": "s, shuffled", "seed": 0, "found": 0.0},
    ]
    real, shuffled = readers["label_errors"]({"runs": runs})["label_errors"]
    assert (real["confident"], real["confident_as_is"]) == ({"rounds": [4, 6]}, 1)
    assert (real["made"], real["found"]) == (3, {"rounds": [1.0, 1.0]})
    assert (shuffled["found"], "confident_as_is" in shuffled) == (0.0, False)

    def run(value: float) -> dict[str, Any]:
        return {"accuracy": {"value": value, "low": 0.1, "high": 0.9}}

    ways = {"advised": 0.75, "default": 1.0, "frozen": 0.5, "last_third": 0.875}
    runs_by_key = {f"s/128/1/{way}": run(value) for way, value in ways.items()}
    (row,) = readers["advice"]({"runs": runs_by_key})["advice"]
    assert (row["set"], row["size"], row["seed"]) == ("s", 128, 1)
    assert row["regret"] is None  # of three ways
    runs_by_key |= {"s/128/1/two_thirds": run(0.5), "s/128/1/all": run(0.25)}
    (row,) = readers["advice"]({"runs": runs_by_key})["advice"]
    assert row["regret"] == 12.5  # the default is none of the four
    assert row["advised"] == {"value": 0.75, "low": 0.1, "high": 0.9}


def test_a_page_outside_of_the_benchmarks_is_rendered_too(
    main: Callable[[list[str]], int], docs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = docs / "domain_gap.md"
    text = page.read_text("utf-8")
    assert text.count("0.190 [0.182, 0.199]") == 1
    page.write_text(text.replace("0.190 [0.182, 0.199]", "0.180 [0.172, 0.189]"), "utf-8")
    assert main(["--check", "--folder", str(docs)]) == 1
    assert capsys.readouterr().err == f"{page}: stale. Run: scripts/render_benchmarks\n"


def test_a_best_that_ours_never_reaches_is_no_gain(script: Callable[[str], Any]) -> None:
    def run(*accuracies: float) -> dict[str, Any]:
        epochs = [{"seconds": 10.0 * n, "val_accuracy": x} for n, x in enumerate(accuracies, 1)]
        return {"epochs": epochs, "seconds": epochs[-1]["seconds"], "cores": 2}

    runs = {
        "flowers5/0/ours": run(0.9),
        "flowers5/0/guide_head": run(0.5, 0.8, 0.6),
        "flowers5/1/ours": run(0.5),
        "flowers5/1/guide_head": run(0.6),
        "flowers5/0/probe": run(0.5),
    }
    found = script("ingest").READERS["training"]({"runs": runs})
    first, second = found["time_to_best"]
    assert (first["theirs_s"], first["ours_s"], first["times_faster"]) == (20, 10, 2)
    assert (first["whole_s"], first["times_whole"], first["probe_s"]) == (30, 3, 10)
    assert (second["ours_s"], "times_faster" in second) == (None, False)
    assert found["time_to_best_median"][0]["times_faster"] == {"rounds": [2.0, 0.0]}


def test_files_of_no_script_are_refused(script: Callable[[str], Any], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"other\.json: expected one of advice, breakdown, "):
        script("ingest").ingest(tmp_path / "other.json", RECORDS)


def test_figures_are_shown_with_their_interval_or_range(script: Callable[[str], Any]) -> None:
    tables = script("tables")
    share, points = tables.Column("x", "x", ".1%"), tables.Column("x", "x", "+.1f", " points")

    def show(figure: Any, column: Any = share) -> str:
        text: str = tables.format_figure(figure, column)
        return text

    assert show(0.9415) == "94.2%"
    assert show({"value": 0.942, "low": 0.93, "high": 0.952}) == "94.2% [93.0, 95.2]"
    assert show({"value": 1.8, "low": -0.04, "high": 2.8}, points) == "+1.8 points [-0.0, +2.8]"
    assert show({"rounds": [3, 1, 10]}, tables.Column("x", "x", ".0f", " s")) == "3 s (1 to 10)"
    assert show([0.5, 0.25]) == "50.0%, 25.0%"
    assert (show(None), show("a|b")) == ("", "a\\|b")


def test_records_hold_what_is_documented_and_nothing_else(
    script: Callable[[str], Any], tmp_path: Path
) -> None:
    tables = script("tables")
    for path in sorted(RECORDS.glob("*.json")):
        if path.name == "claims.json":
            continue
        record = tables.Record.read(path)
        record.write(tmp_path / path.name)
        assert (tmp_path / path.name).read_text("utf-8") == path.read_text("utf-8")
        for column in record.columns:  # none is empty for all rows
            shown = [tables.look_up(row, column.key) for row in record.rows]
            assert not shown or any(value is not None for value in shown), (path.name, column.key)
    document = json.loads((RECORDS / "startup.json").read_text("utf-8"))
    for broken in ({**document, "cpus": 2}, {**document, "columns": [{"name": "x"}]}):
        (tmp_path / "startup.json").write_text(json.dumps(broken), "utf-8")
        with pytest.raises(ValueError, match=r"startup\.json: expected keys of a "):
            tables.Record.read(tmp_path / "startup.json")


def test_every_record_is_shown(script: Callable[[str], Any]) -> None:
    pages = [*(ROOT / "docs").glob("*.md"), *(ROOT / "docs" / "benchmarks").glob("*.md")]
    text = "\n".join(path.read_text("utf-8") for path in pages)
    shown = set(re.findall(r"<!-- table: (\w+)", text))
    # Two are of the claims alone: what all share, and a median over the rows of another.
    alone = {"claims", "setup", "time_to_best_median"}
    assert {path.stem for path in RECORDS.glob("*.json")} - alone == shown


def test_markers_that_lead_nowhere_are_refused(script: Callable[[str], Any]) -> None:
    render = script("pages").render_page
    with pytest.raises(ValueError, match=r"expected nothing\.json in .*\. Received: none\."):
        render("<!-- table: nothing -->\n<!-- /table -->", RECORDS)
    with pytest.raises(ValueError, match="expected an end"):
        render("<!-- table: startup -->\n", RECORDS)
    once = render("a\n\n<!-- table: startup -->\n<!-- /table -->\n\nb", RECORDS)
    assert render(once, RECORDS) == once
    assert once.startswith("a\n")
    assert once.endswith("\n\nb")


def test_the_page_is_short() -> None:
    assert len((ROOT / "docs" / "benchmarks.md").read_text("utf-8").splitlines()) < 150
