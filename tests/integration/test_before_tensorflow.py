"""A slip of the finger is told before anything heavy is imported: nobody waits to learn of it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tfxfer.preprocessing import Preprocessing
from tfxfer.run.directory import Manifest, RunDirectory

# Where each import of these is a fault that a test sees.
REFUSE = """
import io, json, sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("tensorflow", "keras", "tf_keras", "jax"):
            raise RuntimeError(f"imports {name} already")

sys.meta_path.insert(0, Refuse())
from tfxfer.cli.main import main, run
"""
PROGRAM = f"{REFUSE}main(sys.argv[1:])\n"
# One command line after another: starting Python for each would take longer than all they do.
PROGRAMS = f"""{REFUSE}
for words in json.load(sys.stdin):
    stdout, sys.stderr = io.StringIO(), io.StringIO()
    code = run([*words.split(), "--json"], stdout=stdout)
    answer = [code, json.loads(stdout.getvalue())["error"]["message"], sys.stderr.getvalue()]
    print(json.dumps(answer), file=sys.__stdout__, flush=True)
"""


WRONG = [
    ("train gone --backbone double_vivid", 1, "nothing at that path"),
    ("report gone", 1, "no run at"),
    ("report cut", 1, "expected a finished training"),
    ("report done --out nowhere/x.html", 1, "no such folder to put it in"),
    ("report done --out file.txt", 1, "--overwrite"),
    ("report done --out done/run.json --overwrite", 1, "another file than what is read"),
    ("advise photos --backbone double_vivid --out nowhere/x.json", 1, "no such folder"),
    ("advise photos --backbone double_vivid --out loose", 1, "Received: a folder"),
    ("advise photos --backbone double_vivid --out file.txt", 1, "--overwrite"),
    ("advise file.txt --out file.txt --overwrite", 1, "another file than what is read"),
    ("train empty --backbone double_vivid", 1, "expected images in class folders"),
    ("train file.txt --backbone double_vivid", 1, "file.txt"),
    ("train photos --backbone double_vivvid", 1, "Did you mean 'double_vivid'?"),
    ("train photos --backbone double_vivid --head clasification", 1, "Did you mean"),
    ("train photos --backbone double_vivid --out done", 1, "an earlier run"),
    ("train photos --backbone double_vivid --out file.txt", 1, "Received: a file"),
    ("train photos --backbone double_vivid --weights gone.npz", 1, "gone.npz"),
    ("train photos --backbone double_vivid --unfreeze-from no_stage", 1, "no_stage"),
    ("train photos --backbone double_vivid --style gone", 1, "nothing at that path"),
    ("meta photos --backbone double_vivid --tasks 5 --out start.npz", 2, "WAYSxSHOTS"),
    ("meta photos --backbone double_vivid --out gone/start.npz", 1, "no such folder to put it in"),
    ("train --resume --out gone", 1, "no such folder"),
    ("train --resume", 2, "expected the run to go on with"),
    ("train", 2, "expected DATA"),
    ("audit gone --backbone double_vivid", 1, "nothing at that path"),
    ("audit photos --backbone double_vivvid", 1, "Did you mean 'double_vivid'?"),
    ("audit photos --backbone double_vivid --weights gone.npz", 1, "gone.npz"),
    ("audit photos --backbone double_vivid --weights none", 2, "--no-label-check"),
    (
        "audit photos --backbone double_vivid --weights labels.txt --out file.txt",
        1,
        "Received: a file",
    ),
    ("evaluate gone photos", 1, "nothing there"),
    ("evaluate empty photos", 1, "expected a folder with run.json"),
    ("evaluate cut photos", 1, "status='interrupted'"),
    ("evaluate file.txt photos", 1, "suffix='.txt'"),
    ("evaluate done gone", 1, "nothing at that path"),
    ("evaluate done empty", 1, "expected images in class folders"),
    ("evaluate done loose", 1, "expected images in class folders"),
    ("evaluate done photos --out file.txt", 1, "--overwrite"),
    ("evaluate done photos --out gone/table.csv", 1, "no such folder"),
    ("evaluate model.keras photos --labels gone.txt", 1, "gone.txt"),
    ("evaluate model.keras photos --labels labels.txt --head no", 1, "no head named 'no'"),
    ("evaluate model.tflite gone", 1, "nothing at that path"),
    ("predict gone photos", 1, "nothing there"),
    ("predict cut photos", 1, "status='interrupted'"),
    ("predict done gone.jpg", 1, "gone.jpg"),
    ("predict done empty", 1, "expected images in it"),
    ("predict done file.txt", 1, "expected one of the formats"),
    ("predict done loose", 1, "0 bytes"),
    ("predict done file.txt gone.jpg loose", 1, "Received: none among 3"),
    ("predict model.keras loose/1.jpg", 1, "0 bytes"),
    ("predict model.tflite file.txt", 1, "expected one of the formats"),
    ("predict done photos --csv file.txt", 1, "--overwrite"),
    ("predict model.keras photos --labels gone.txt", 1, "gone.txt"),
    ("explain gone photos", 1, "nothing there"),
    ("explain cut photos", 1, "status='interrupted'"),
    ("explain done", 2, "SAMPLES or --worst N"),
    ("explain done photos --worst 3", 2, "Received: both"),
    ("explain done --worst 3", 1, "expected one that says where its samples are"),
    ("explain done --worst 0", 2, "--worst"),
    ("explain model.tflite --worst 3", 2, "a run, which knows its mistakes"),
    ("explain model.tflite photos", 2, "expected --out FOLDER"),
    ("explain done gone.jpg", 1, "gone.jpg"),
    ("explain done loose", 1, "0 bytes"),
    ("explain done photos --label cat", 2, "as label. Received: label='cat'"),
    ("explain done photos --stage block_9", 1, "no stage 'block_9'"),
    ("explain done photos --box 1,2,3", 2, "LEFT,TOP,RIGHT,BOTTOM"),
    ("explain done photos --mask gone.png", 1, "gone.png"),
    ("explain done photos --mask a --box 0,0,1,1", 2, "--box or --mask"),
    ("explain done photos --file gone.tflite", 1, "gone.tflite"),
    ("explain done photos --file model.tflite --stage block_1", 2, "--stage"),
    ("explain done photos --file model.tflite --method gradcam", 2, "by occlusion"),
    ("explain done photos --method lime", 2, "gradcam"),
    ("explain done photos --out file.txt", 1, "Received: a file"),
    ("export gone", 1, "nothing there"),
    ("export cut", 1, "status='interrupted'"),
    ("export empty --out edge", 1, "neither run.json nor saved_model.pb"),
    ("export done --out loose", 1, "expected a new or empty folder"),
    ("export model.keras", 2, "--out DIR"),
    ("export model.keras --out edge", 2, "--calibration DATA"),
    ("export model.keras --out edge --calibration gone", 1, "nothing at that path"),
    ("export model.keras --out edge --calibration photos --labels gone.txt", 1, "gone.txt"),
    ("export model.keras --out edge --calibration photos --head no", 1, "no head named"),
    ("benchmark gone.tflite", 1, "nothing there"),
    ("gap gone --backbone double_vivid --weights none", 1, "gone"),
    ("gap photos gone --backbone double_vivid --weights none", 1, "gone"),
    ("gap empty --backbone double_vivid --weights none", 1, "expected images in it"),
    ("gap loose --backbone double_vivid --weights none", 1, "some that can be read"),
    ("gap photos --backbone double_vivvid", 1, "Did you mean 'double_vivid'?"),
    ("gap photos --backbone double_vivid --weights gone.npz", 1, "gone.npz"),
    ("gap photos --backbone double_vivid --weights none --size 8", 1, "size"),
    ("gap photos --images 1", 2, "--images"),
    ("gap photos --csv gone/table.csv", 1, "no such folder"),
    ("gap done --backbone double_vivid", 2, "which a run knows itself"),
    ("gap done", 1, "names its weights"),
    ("benchmark loose", 1, "Received: a folder"),
    ("compare file.txt done", 1, "Received: a file."),
    ("doctor --timeout soon", 2, "such as 90s"),
]
# The control: the hook does see the import.
RIGHT = [
    "train photos --backbone double_vivid --weights none",
    "evaluate done photos",
    "predict done file.txt photos",
    "predict model.keras photos",
    "gap photos loose/../photos --backbone double_vivid --weights none",
    "explain done photos --stage block_1 --box 0,0,1,1",
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Path:
    """A folder of what commands take, and of what none does."""
    root = tmp_path_factory.mktemp("place")
    (root / "empty").mkdir()
    (root / "loose").mkdir()
    (root / "loose" / "1.jpg").write_bytes(b"")
    (root / "file.txt").write_text("no folder")
    (root / "model.keras").write_bytes(b"no model")
    (root / "model.tflite").write_bytes(b"no model")
    (root / "labels.txt").write_text("a\nb\n")
    (root / "photos").symlink_to(photos)
    for name, status in (("done", "done"), ("cut", "interrupted")):
        run = RunDirectory.create(root / name)
        manifest = Manifest(
            backbone="double_vivid",
            head="classification",
            status=status,
            size=32,
            preprocessing=Preprocessing().to_dict(),
        )
        run.write_manifest(manifest)
    (root / "done" / "model.keras").write_bytes(b"a model")
    return root


@dataclass(frozen=True)
class Answer:
    """What one command line came to."""

    code: int
    message: str
    stderr: str


@pytest.fixture(scope="module")
def answers(place: Path) -> dict[str, Answer]:
    """What each line of both lists came to, all in one process."""
    lines = [*(words for words, _, _ in WRONG), *RIGHT]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAMS],
        input=json.dumps(lines),
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
        cwd=place,
    )
    found = [Answer(*json.loads(line)) for line in done.stdout.splitlines()]
    return dict(zip(lines, found, strict=True))


@pytest.mark.parametrize(("words", "code", "message"), WRONG)
def test_wrong_arguments(words: str, code: int, message: str, answers: dict[str, Answer]) -> None:
    answer = answers[words]
    assert message in answer.message, answer
    assert answer.code == code, answer
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize("words", RIGHT)
def test_right_arguments_get_as_far_as_that(words: str, answers: dict[str, Answer]) -> None:
    answer = answers[words]
    assert answer.code == 70
    assert "imports" in answer.message


@pytest.mark.parametrize(
    ("words", "code", "message"), [WRONG[0], (RIGHT[0], 70, "imports"), WRONG[-1]]
)
def test_the_whole_program_says_the_same(words: str, code: int, message: str, place: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words.split(), "--json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=place,
    )
    assert message in json.loads(done.stdout)["error"]["message"]
    assert done.returncode == code
    assert "Traceback" not in done.stderr


def test_each_sample_that_cannot_be_read_has_its_line(place: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "predict", "done", "file.txt", "loose", "gone.jpg"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=place,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    # A slow machine says between them what takes so long.
    lines = [x for x in done.stderr.splitlines() if x.startswith(("warning: ", "error: "))]
    assert "Traceback" not in done.stderr
    starts = ["warning: image 'file.txt'", "warning: image 'loose/1.jpg'"]
    starts += ["warning: image 'gone.jpg'", "error: images: expected at least one"]
    assert len(lines) == len(starts)
    assert all(line.startswith(start) for line, start in zip(lines, starts, strict=True)), lines
