"""`tfxfer train --domain`, `--leave-out` and `--reweight`: samples of several sources."""

from __future__ import annotations

import csv
import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tfxfer import find_label_errors
from tfxfer.adaptation.domain_record import Domains
from tfxfer.adaptation.record import Adaptation
from tfxfer.adaptation.reweighting import Reweighting
from tfxfer.trust.slices import SliceReport

Run = Callable[..., Any]
Paint = Callable[[np.random.Generator, int], Image.Image]

LABELS = ("apple", "mango", "zebra")
OPTIONS = ("--schedule", "head", "--head-epochs", 6, "--batch-size", 8, "--views", 1)
SIZES = {"studio": 20, "street": 8}  # images a class


def veil(image: Image.Image) -> Image.Image:
    """Returns an image as another camera takes it."""
    pixels = np.asarray(image, float) * (0.9, 0.8, 0.7) + (25, 8, 5)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory, paint: Paint) -> Path:
    """One folder a source, with class folders in each."""
    root, rng = tmp_path_factory.mktemp("sources"), np.random.default_rng(0)
    for name, count in SIZES.items():
        for channel, label in enumerate(LABELS):
            (root / name / label).mkdir(parents=True)
            for number in range(count):
                image = paint(rng, channel)
                image = image if name == "studio" else veil(image)
                image.save(root / name / label / f"{number:02d}.png")
    return root


@pytest.fixture(scope="module")
def table(sources: Path) -> Path:
    """The same as a table."""
    path = sources.parent / f"{sources.name}.csv"
    rows = [f"{sources.name}/{p.relative_to(sources).as_posix()}" for p in sources.rglob("*.png")]
    lines = [f"{row},{row.split('/')[2]},{row.split('/')[1]}" for row in sorted(rows)]
    path.write_text("\n".join(["path,label,Camera", *lines]) + "\n")
    return path


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def trained(
    sources: Path, paint: Paint, train: Run, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path, Any]:
    folder = tmp_path_factory.mktemp("trained")
    rng = np.random.default_rng(3)
    (folder / "target").mkdir()
    for number in range(30):
        veil(paint(rng, number % 3)).save(folder / "target" / f"{number}.png")
    more = ("--domain", "folders", "--target", folder / "target")
    done = train(sources, "--out", folder / "run", *OPTIONS, *more)
    assert done.code == 0, done.stderr
    return folder / "run", folder / "target", done


def test_folders_are_sources_and_each_is_in_every_part(
    sources: Path, trained: tuple[Path, Path, Any]
) -> None:
    out, _, done = trained
    rows = read_rows(out / "split.csv")
    counts = Counter((row["split"], *row["path"].split("/")[:2]) for row in rows)
    assert {row["label"] for row in rows} == set(LABELS)
    assert len(rows) == 3 * sum(SIZES.values())
    for part in ("train", "val", "test"):
        for source in SIZES:
            assert all(counts[part, source, label] >= 1 for label in LABELS)
    slices = read_rows(out / "slices.csv")
    assert {row["domain"] for row in slices} == set(SIZES)
    assert "as a source: street, studio" in done.stderr
    assert "by folders, as many samples of each in an epoch" in done.stderr


def test_what_is_near_the_target_counts_more(trained: tuple[Path, Path, Any]) -> None:
    out, _, done = trained
    found = Domains.read(out / "trust")
    assert found is not None
    assert (found.column, found.left_out, found.drawn) == ("domain", None, True)
    street, studio = found.rows
    assert (street.name, studio.name) == ("street", "studio")
    assert street.distance is not None
    assert studio.distance is not None
    assert street.distance < studio.distance / 2
    assert street.weight > 1.2 > 0.8 > studio.weight
    assert street.weight + studio.weight == pytest.approx(2)
    weights = {row["path"]: float(row["weight"]) for row in read_rows(out / "trust/weights.csv")}
    assert {path.split("/")[0]: weight for path, weight in weights.items()} == pytest.approx(
        {"street": street.weight, "studio": studio.weight}
    )
    train = [row["path"] for row in read_rows(out / "split.csv") if row["split"] == "train"]
    assert sorted(weights) == sorted(train)
    assert f"{street.distance:.3f} from the target, weight {street.weight:.2f}" in done.stdout


def test_a_source_has_figures_of_the_model_and_of_probes(trained: tuple[Path, Path, Any]) -> None:
    out, _, done = trained
    found = Domains.read(out / "trust")
    slices = SliceReport.read(out / "trust")
    assert found is not None
    assert slices is not None
    (column,) = slices.columns
    for row in found.rows:
        (group,) = (group for group in column.groups if group.value == row.name)
        assert row.tested == group.samples
        assert row.test is not None
        assert row.test.value == pytest.approx(group.metrics[found.test_metric].value)
        assert row.probed == row.samples
        assert row.seen is not None
        assert row.unseen is not None
        assert row.seen.value > 0.8
    assert "a source that it has not seen, by a linear probe" in done.stdout


def test_a_run_of_folders_knows_its_own_test(
    sources: Path, trained: tuple[Path, Path, Any], tfxfer: Run, tmp_path: Path
) -> None:
    out, _, _ = trained
    test = json.loads((out / "run.json").read_text())["metrics"]["test"]
    measured = tfxfer("evaluate", out, sources, "--json").document
    assert measured["images"] == test["images"]
    assert measured["accuracy"]["value"] == test["accuracy"]["value"]
    # Class folders are still class folders.
    shutil.copytree(sources / "street", other := tmp_path / "other")
    tested = [
        row
        for row in read_rows(out / "split.csv")
        if row["split"] == "test" and row["path"].startswith("street")
    ]
    found = tfxfer("evaluate", out, other, "--json").document
    assert found["images"] == len(tested)
    assert {row["label"] for row in found["per_class"]} == set(LABELS)
    (out / "trust/label_errors.csv").unlink(missing_ok=True)
    assert {error.path.split("/")[0] for error in find_label_errors(out)} <= set(SIZES)
    made = tfxfer("report", out)
    assert made.code == 0, made.stderr
    assert "Where it learnt from" in (out / "report.html").read_text()


def test_a_source_that_is_left_out_is_the_test(
    table: Path, trained: tuple[Path, Path, Any], train: Run, tmp_path: Path
) -> None:
    out, (_, target, _) = tmp_path / "run", trained
    given = ("--domain", "camera", "--leave-out", "street")
    more = ("--target", target, "--reweight", "target")
    done = train(table, "--out", out, *OPTIONS, *given, *more)
    assert done.code == 0, done.stderr
    parts = Counter(
        (row["split"], row["path"].split("/")[1]) for row in read_rows(out / "split.csv")
    )
    assert parts.pop(("test", "street")) == 3 * SIZES["street"]
    assert set(parts) == {("train", "studio"), ("val", "studio")}
    assert 40 <= parts["train", "studio"] <= 54
    found = Domains.read(out / "trust")
    assert found is not None
    assert (found.left_out, found.drawn) == ("street", False)
    street, studio = found.rows
    # Ratios weigh each sample, and a source not once more.
    assert (studio.weight, street.distance) == (1, None)
    assert Reweighting.read(out / "trust") is not None
    assert "by camera, each sample once an epoch; street is left out" in done.stderr
    assert (street.samples, street.tested, studio.tested) == (0, 24, 0)
    metrics = json.loads((out / "run.json").read_text())["metrics"]["test"]
    assert street.test is not None
    assert street.test.value == metrics[found.test_metric]["value"]
    assert studio.unseen is None
    assert "one source is learnt from" in found.note
    assert "street was left out, and is the test" in done.stdout


MIX = {"dim": 40, "lit": 6}  # images a class


def paint_rule(rng: np.random.Generator, *, is_lit: bool, label: int) -> Image.Image:
    """Returns an image in which the class is the stronger of red and green, or, lit, the weaker."""
    coarse = rng.integers(0, 60, (6, 6, 3))
    coarse[..., label if not is_lit else 1 - label] += 70 if is_lit else 90
    coarse[..., 2] += 160 if is_lit else 0
    small = Image.fromarray(coarse.astype(np.uint8))
    return small.resize((48, 48), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def shifted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Mostly dim images to learn from, of which the target has none, and two targets."""
    root, rng = tmp_path_factory.mktemp("shifted"), np.random.default_rng(1)
    for label, name in enumerate(("even", "odd")):
        for place, counts in (("source", MIX), ("lit", {"lit": 25}), ("same", MIX)):
            (root / place / name).mkdir(parents=True)
            for light, count in counts.items():
                for number in range(count):
                    image = paint_rule(rng, is_lit=light == "lit", label=label)
                    image.save(root / place / name / f"{light}{number:02d}.png")
    return root


def test_reweighting_helps_where_the_target_is_rare_in_the_source(
    shifted: Path, train: Run, tfxfer: Run, tmp_path: Path
) -> None:
    given = (shifted / "source", *OPTIONS, "--target", shifted / "lit", "--no-calibration")
    plain = train(shifted / "source", "--out", tmp_path / "plain", *OPTIONS, "--no-calibration")
    assert plain.code == 0, plain.stderr
    done = train(*given, "--out", tmp_path / "run", "--reweight", "target")
    assert done.code == 0, done.stderr
    found = Reweighting.read(tmp_path / "run" / "trust")
    assert found is not None
    assert Adaptation.read(tmp_path / "run" / "trust") is None
    assert found.separation > 0.8
    assert all(Path(path).name.startswith("lit") for path in found.heaviest)
    assert "the last layer is left as that trains it" in done.stderr
    assert "training samples are worth" in done.stdout
    weighted = json.loads((tmp_path / "run" / "run.json").read_text())["metrics"]["target"]
    before = tfxfer("evaluate", tmp_path / "plain", shifted / "lit", "--json").document
    assert weighted["images"] == before["images"] == 50
    assert weighted["accuracy"]["value"] > before["accuracy"]["value"] + 0.3


def test_reweighting_does_nothing_where_there_is_no_shift(
    shifted: Path, train: Run, tmp_path: Path
) -> None:
    given = ("--target", shifted / "same", "--reweight", "target", "--adapt", "coral")
    done = train(shifted / "source", "--out", tmp_path / "run", *OPTIONS, *given)
    assert done.code == 0, done.stderr
    found = Reweighting.read(tmp_path / "run" / "trust")
    assert found is not None
    assert found.share > 0.9
    assert found.find_warning() is None
    # The last layer is fitted to the target, too, where that is asked for.
    adapted = Adaptation.read(tmp_path / "run" / "trust")
    assert adapted is not None
    assert adapted.kept == "coral"


def test_a_run_that_is_gone_on_with_has_the_same_weights_and_draws(
    sources: Path,
    trained: tuple[Path, Path, Any],
    train: Run,
    tfxfer: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import keras

    import tfxfer.job.domains as job
    from tfxfer.training.epoch_lines import EpochLines

    whole, target, _ = trained
    out, given = tmp_path / "run", ("--domain", "folders", "--target", target)
    ending = EpochLines.on_epoch_end

    def stop(self: Any, epoch: int, logs: Any = None) -> None:
        ending(self, epoch, logs)
        if epoch == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(EpochLines, "on_epoch_end", stop)
        broken = train(sources, "--out", out, *OPTIONS, *given)
    assert broken.code != 0
    assert json.loads((out / "run.json").read_text())["status"] == "interrupted"
    before = (out / "trust/weights.csv").read_bytes()

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("measured again")

    with monkeypatch.context() as patch:
        patch.setattr(job, "embed", refuse)
        done = tfxfer("train", "--resume", "--out", out, "--no-report")
    assert done.code == 0, done.stderr
    assert (out / "trust/weights.csv").read_bytes() == before
    assert before == (whole / "trust/weights.csv").read_bytes()
    one, other = (
        keras.models.load_model(path / "model.keras").get_weights() for path in (whole, out)
    )
    for first, second in zip(one, other, strict=True):
        np.testing.assert_array_equal(first, second)


def write_table(place: Path, sources: Path, change: Callable[[str, str], str]) -> Path:
    """Writes a table of the sources; `change` gives the camera of a sample by source and label."""
    place.mkdir()
    for name in SIZES:
        shutil.copytree(sources / name, place / name)
    rows = [path.relative_to(place).as_posix() for path in sorted(place.rglob("*.png"))]
    lines = [f"{row},{row.split('/')[1]},{change(*row.split('/')[:2])}" for row in rows]
    (place / "t.csv").write_text("\n".join(["path,label,camera", *lines]) + "\n")
    return place / "t.csv"


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("no_column", "expected a column of the data, or 'folders'"),
        ("no_column_in_folders", "data that has no further column"),
        ("typo", "Did you mean 'camera'?"),
        ("one", "expected 2 to 50 sources. Received: 'x' alone"),
        ("empty", "24 without a 'camera', first 'street/apple/00.png'"),
        ("one_label", "'apple' alone in 'x'"),
        ("few", "Received: 3 of 'x'"),
        ("many", "83 values in 'camera'"),
        ("no_such_source", "Did you mean 'street'?"),
        ("new_label", "'zebra' in that one alone"),
        ("class_folders", "'apple', which holds something else"),
        ("two_folders", "Rename the column"),
        ("leave_out_alone", "--domain COLUMN, or --domain folders"),
        ("reweight_alone", "--target FOLDER"),
        ("oversample", "--balance weights"),
        ("budget", "--domain without"),
        ("split_from", "--leave-out or --split-from"),
    ],
)
def test_what_cannot_be_sources_is_told_in_a_line(
    sources: Path, train: Run, tmp_path: Path, case: str, words: str
) -> None:
    rules: dict[str, Callable[[str, str], str]] = {
        "one": lambda *_: "x",
        "empty": lambda source, _: "" if source == "street" else "x",
        "one_label": lambda source, label: "x" if (source, label) == ("street", "apple") else "y",
        "new_label": lambda _, label: "x" if label == "zebra" else "y",
    }
    counts = iter(range(100))
    rules["few"] = lambda *_: "x" if next(counts) % 30 == 0 else "y"
    rules["many"] = lambda *_: f"{min(next(counts), 82)}"
    table = write_table(tmp_path / "data", sources, rules.get(case, lambda source, _: source))
    if case == "new_label":
        lines = table.read_text().splitlines()
        table.write_text("\n".join([*lines, lines[1].replace("apple,y", "mango,x")]) + "\n")
        extra = "street/apple/00.png,apple,y"
        rows = [line for line in lines if line != extra]
        table.write_text("\n".join([*rows, extra.replace(",y", ",x")]) + "\n")
    options: dict[str, tuple[Any, ...]] = {
        "no_column": (table, "--domain", "folders"),
        "no_column_in_folders": (sources / "street", "--domain", "camera"),
        "typo": (table, "--domain", "camra"),
        "no_such_source": (table, "--domain", "camera", "--leave-out", "streat"),
        "new_label": (table, "--domain", "camera", "--leave-out", "x"),
        "class_folders": (sources / "street", "--domain", "folders"),
        "leave_out_alone": (table, "--leave-out", "street"),
        "reweight_alone": (table, "--reweight", "target"),
        "oversample": (table, "--domain", "camera", "--balance", "oversample"),
        "budget": (table, "--domain", "camera", "--budget", "60s"),
        "split_from": (
            table, "--domain", "camera", "--leave-out", "street", "--split-from", tmp_path,
        ),
    }  # fmt: skip
    if case == "two_folders":
        more = tmp_path / "more.csv"
        rows = [path.relative_to(sources).as_posix() for path in sorted(sources.rglob("*.png"))]
        more.write_text("\n".join(["path,folders", *(f"{row},a" for row in rows)]) + "\n")
        options[case] = (sources, "--domain", "folders", "--slices", more)
    given = options.get(case, (table, "--domain", "camera"))
    done = train(*given, "--out", tmp_path / "run")
    assert done.code in (1, 2), done.stderr
    assert words in done.error
    assert not (tmp_path / "run").exists()


def test_parts_of_their_own_leave_nothing_to_leave_out(
    table: Path, train: Run, tmp_path: Path
) -> None:
    first, *rows = table.read_text().splitlines()
    own = table.parent / f"{tmp_path.name}.csv"
    parts = ("train", "train", "val", "test")
    lines = [f"{row},{parts[number % 4]}" for number, row in enumerate(rows)]
    own.write_text("\n".join([f"{first},split", *lines]) + "\n")
    done = train(own, "--out", tmp_path / "run", "--domain", "camera", "--leave-out", "street")
    assert "without parts of their own" in done.error
