"""`tfxfer explain` on a run: pictures, attention, mistakes, and the file beside it."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tfxfer import Registry
from tfxfer.data.record import Source
from tfxfer.run.directory import Manifest, RunDirectory

Run = Callable[..., Any]
Learnt = tuple[Path, Any]


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """Grey noise, twice as wide as high, with a green block in its left half."""
    pixels = np.random.default_rng(0).integers(90, 110, (60, 120, 1)).repeat(3, 2)
    pixels[10:40, 10:45] = [20, 230, 20]
    path = tmp_path / "some" / "a.png"
    path.parent.mkdir()
    Image.fromarray(pixels.astype(np.uint8)).save(path)
    return path


def read(path: Any) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image, int)


def test_a_picture_for_each_sample(learnt: Learnt, photo: Path, tfxfer: Run) -> None:
    run, _ = learnt
    done = tfxfer("explain", run, photo, "--json")
    assert done.code == 0, done.stderr
    (document,) = done.document
    (explained,) = document["explained"]
    assert document["image"] == str(photo)
    assert document["method"] == "gradcam"
    assert document["stage"] == "block_3"
    assert document["label"] == explained["label"] == "apple"
    assert explained["score"] == document["score"]
    assert not explained["blank"]
    assert document["picture"] == str(run / "explain" / "a_heat.png")
    drawn = read(document["picture"])
    assert drawn.shape == (60, 120, 3)
    changed = np.abs(drawn - read(photo)).sum(axis=2)
    assert changed[:, :60].mean() > 2 * changed[:, 60:].mean()
    # Again is no harm in the run's own folder, and a line for each sample is what people read.
    again = tfxfer("explain", run, photo, "--label", "mango", "--stage", "block_1")
    assert again.code == 0, again.stderr
    assert "mango" in again.stdout
    assert "a_heat.png" in again.stdout


def test_attention_outside_of_a_box_and_of_a_mask(
    learnt: Learnt, photo: Path, tfxfer: Run, tmp_path: Path
) -> None:
    def ask(*options: Any) -> dict[str, float]:
        done = tfxfer("explain", learnt[0], photo, "--stage", "block_1", *options, "--json")
        assert done.code == 0, done.stderr
        found: dict[str, float] = done.document[0]["attention"]
        return found

    inside = ask("--box", "5,5,50,45")
    assert inside == ask("--box", ",".join(str(x) for x in (5 / 120, 5 / 60, 50 / 120, 45 / 60)))
    assert inside["outside"] < 0.2
    assert inside["area_outside"] == pytest.approx(1 - 45 * 40 / 7200, abs=1e-6)
    # The control: where nothing is, nothing is looked at.
    assert ask("--box", "60,0,120,60")["outside"] > 0.8
    mask = np.zeros((60, 120), np.uint8)
    mask[5:45, 5:50] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    assert ask("--mask", tmp_path / "mask.png")["outside"] == pytest.approx(
        inside["outside"], abs=0.1
    )
    told = tfxfer("explain", learnt[0], photo, "--box", "5,5,50,45")
    assert "% of the attention is outside, where 75 % of the picture is" in told.stdout


def test_the_runner_up_is_beside_it(learnt: Learnt, photo: Path, tfxfer: Run) -> None:
    done = tfxfer("explain", learnt[0], photo, "--runner-up", "--json")
    assert done.code == 0, done.stderr
    (document,) = done.document
    first, second = document["explained"]
    ranked = sorted(document["scores"], key=document["scores"].__getitem__, reverse=True)
    assert [first["label"], second["label"]] == ranked[:2]
    assert read(document["picture"]).shape[1] == 2 * 120 + 8


def test_the_worst_mistakes(
    learnt: Learnt, photos: Path, tfxfer: Run, tmp_path: Path, reseal: Callable[[Path], None]
) -> None:
    run = Path(shutil.copytree(learnt[0], tmp_path / "run"))
    table = run / "predictions.csv"
    kept = table.read_text()
    rows = list(csv.DictReader(kept.splitlines()))[:3]
    for score, row in zip((0.6, 0.9, 0.7), rows, strict=True):
        row |= {"score": str(score), "right": "false", "truth": "nobody"}
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    reseal(run)
    done = tfxfer("explain", run, "--worst", 2, "--out", tmp_path / "worst", "--json")
    assert done.code == 0, done.stderr
    expected = [str(photos / rows[number]["path"]) for number in (1, 2)]
    assert [item["image"] for item in done.document] == expected
    assert [item["truth"] for item in done.document] == ["nobody"] * 2
    assert len(list((tmp_path / "worst").glob("*_heat*.png"))) == 2


@pytest.mark.parametrize("data", ["demo:photos", "table"])
def test_mistakes_lie_where_the_run_has_its_samples_from(
    learnt: Learnt,
    photos: Path,
    tfxfer: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    reseal: Callable[[Path], None],
    data: str,
) -> None:
    run, root = tmp_path / "run", tmp_path / "photos"
    shutil.copytree(learnt[0], run)
    shutil.copytree(photos, root)
    (root / "all.csv").write_text("path,label\n")
    document = json.loads((run / "run.json").read_text())
    document["request"]["data"] = str(root / "all.csv") if data == "table" else data
    (run / "run.json").write_text(json.dumps(document))
    table = run / "predictions.csv"
    header, first, *_ = table.read_text().splitlines()
    table.write_text(f"{header}\n{first.replace('true', 'false')}\n")
    reseal(run)
    if data != "table":
        monkeypatch.setattr(
            "tfxfer.job.run_samples.stored_source", {data: Source(root, (), "folders")}.get
        )
    done = tfxfer("explain", run, "--worst", 1, "--json")
    assert done.code == 0, done.stderr
    assert [item["image"] for item in done.document] == [str(root / first.split(",")[0])]


def test_an_exported_file_is_explained_and_compared(
    learnt: Learnt, photo: Path, tfxfer: Run, tmp_path: Path
) -> None:
    run = learnt[0]
    exported = tfxfer("export", run, "--recipe", "float32", "--out", tmp_path / "edge", "--json")
    assert exported.code == 0, exported.stderr
    file = next((tmp_path / "edge").glob("*.tflite"))
    out = ("--out", tmp_path / "out")
    alone = tfxfer("explain", file, photo, *out, "--json")
    assert alone.code == 0, alone.stderr
    assert alone.document[0]["method"] == "occlusion"
    assert alone.document[0]["stage"] is None
    assert alone.document[0]["label"] == "apple"
    both = tfxfer("explain", run, photo, "--file", file, "--json")
    assert both.code == 0, both.stderr
    (document,) = both.document
    # Float against the same in float: any difference is rounding.
    assert document["agreement"]["rank_correlation"] > 0.99
    assert document["agreement"]["overlap"] > 0.9
    assert document["agreement"]["verdict"] == "same"
    assert document["file"]["label"] == "apple"
    assert [item.get("model") for item in document["explained"]] == [None, "file"]
    told = tfxfer("explain", run, photo, photo, "--file", file, "--box", "0,0,.5,1")
    assert "the file looks at the same place in 2 of 2 images" in told.stdout
    assert "on average" in told.stdout
    assert "the file says apple" in told.stdout
    assert "looks at the same place" in told.stdout
    # A second time the pictures are in the way.
    assert "--overwrite" in tfxfer("explain", file, photo, *out).error


def test_one_that_cannot_be_read_costs_itself(
    learnt: Learnt, photo: Path, tfxfer: Run, tmp_path: Path
) -> None:
    (photo.parent / "b.png").write_bytes(b"no image")
    done = tfxfer("explain", learnt[0], photo.parent, "--json")
    assert done.code == 1
    good, bad = done.document
    assert good["picture"]
    assert bad["error"]["type"] == "DecodeError"
    assert "picture" not in bad
    assert "1 of 2 images have no picture" in done.stderr
    json.dumps(done.document)


def test_samples_without_places_are_refused_at_once(
    install_doubles: Callable[..., None], tfxfer: Run, tmp_path: Path
) -> None:
    install_doubles("sensor")
    run = RunDirectory.create(tmp_path / "run")
    run.write_manifest(Manifest(backbone="x", head="y", modality="double_sensor", status="done"))
    done = tfxfer("explain", run.path, "a.npy", registry=Registry())
    assert done.code == 1
    assert "expected samples with places or parts that can be shown" in done.error
    assert "whose windows have neither" in done.error
