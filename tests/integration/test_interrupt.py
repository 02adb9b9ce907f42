"""Ctrl-C at any moment leaves whole files only, and `--resume` goes on from there."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfxfer.device import Device, prepare_device
from tfxfer.job.place import find_shelf
from tfxfer.run.directory import RunDirectory

Run = Callable[..., Any]

# The whole program; every cache goes to TMPDIR, however small it is.
PROGRAM = """
import sys
import tfxfer.frontier.store
from tfxfer.cli.main import main
tfxfer.frontier.store._MEMORY_CAP_BYTES = 0
print("started", flush=True)
main(sys.argv[1:])
"""


@pytest.fixture
def interrupt_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Presses Ctrl-C at the end of an epoch, counted through all phases from 0."""
    from tfxfer.training.epoch_lines import EpochLines

    original = EpochLines.on_epoch_end

    def at(number: int) -> None:
        def on_epoch_end(self: Any, epoch: int, logs: Any = None) -> None:
            original(self, epoch, logs)
            if epoch == number:
                signal.raise_signal(signal.SIGINT)

        monkeypatch.setattr(EpochLines, "on_epoch_end", on_epoch_end)

    return at


def read_status(run: Path) -> str:
    status: str = json.loads((run / "run.json").read_text())["status"]
    return status


def trace(run: Path) -> dict[str, Any]:
    """Returns all that two equal trainings have in common."""
    document = json.loads((run / "run.json").read_text())
    with zipfile.ZipFile(run / "model.keras") as archive:
        weights = archive.read("model.weights.h5")
    return {
        "split": (run / "split.csv").read_text(),
        "labels": (run / "labels.txt").read_text(),
        "history": (run / "history.csv").read_text(),
        "metrics": document["metrics"],
        "plan": document["plan"],
        "epochs": [phase["epochs"] for phase in document["phases"]],
        "weights": hashlib.sha256(weights).hexdigest(),
    }


def test_resume_gives_what_an_uninterrupted_run_gives(
    photos: Path,
    train: Run,
    tfxfer: Run,
    quick: tuple[str, ...],
    tmp_path: Path,
    interrupt_at: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole, run = tmp_path / "whole", tmp_path / "run"
    assert train(photos, "--out", whole, *quick).code == 0
    interrupt_at(2)
    done = train(photos, "--out", run, *quick, "--json")
    assert done.code == 130
    assert done.error == "error: interrupted"
    assert f"to go on:  tfxfer train --resume --out {run}\n" in done.stderr
    assert done.document["error"]["type"] == "KeyboardInterrupt"
    assert read_status(run) == "interrupted"
    assert len(json.loads((run / "run.json").read_text())["phases"]) == 1
    assert not (run / "model.keras").exists()
    unfinished = tfxfer("predict", run, photos / "apple" / "00.jpg")
    assert unfinished.code == 1
    assert "status='interrupted'" in unfinished.error
    assert "--resume" in unfinished.error

    # Options would be ignored: they are refused, and the run stays as it is.
    for options in (("--seed", "3"), ("--overwrite",), ("--budget", "1m")):
        refused = tfxfer("train", "--resume", "--out", run, *options)
        assert refused.code == 2
        assert options[0] in refused.error
    assert tfxfer("train", tmp_path, "--resume", "--out", run).code == 2
    assert read_status(run) == "interrupted"

    monkeypatch.undo()
    done = tfxfer("train", photos, "--resume", "--out", run, "--json", "-v")
    assert done.code == 0, done.stderr
    # Only phase two was left.
    assert "epoch 1/" not in done.stderr
    assert "epoch 3/4" in done.stderr
    assert done.document["status"] == "done"
    assert trace(run) == trace(whole)

    before = (run / "model.keras").stat()
    again = tfxfer("train", "--resume", "--out", run, "--json")
    assert again.code == 0
    assert "is done" in again.stderr
    assert "epoch" not in again.stderr
    assert again.document == done.document
    assert (run / "model.keras").stat().st_mtime_ns == before.st_mtime_ns


def test_a_cache_that_another_process_fills_is_not_swept(
    photos: Path,
    train: Run,
    quick: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run, caches = tmp_path / "run", tmp_path / "caches"
    caches.mkdir()
    create = RunDirectory.create.__func__  # type: ignore[attr-defined]
    with contextlib.ExitStack() as other:

        def begin(cls: type[RunDirectory], path: Path, **options: Any) -> RunDirectory:
            """Another process is faster between a new run's folder and its lock."""
            made: RunDirectory = create(cls, path, **options)
            other.enter_context(made.lock())
            shelf = find_shelf(made.path, str(caches))
            shelf.mkdir()
            (shelf / "living.bin").touch()
            return made

        monkeypatch.setattr(RunDirectory, "create", classmethod(begin))
        done = train(photos, "--out", run, *quick, "--cache-dir", caches)
    assert done.code == 1
    assert "is in use" in done.error
    assert [path.name for path in caches.glob("*/*")] == ["living.bin"]


def test_resume_where_things_have_moved_and_a_model_is_lost(
    photos: Path,
    train: Run,
    tfxfer: Run,
    quick: tuple[str, ...],
    tmp_path: Path,
    interrupt_at: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, moved, caches, run = (tmp_path / name for name in ("first", "moved", "caches", "run"))
    shutil.copytree(photos, first)
    interrupt_at(3)
    assert train(first, "--out", run, *quick).code == 130
    monkeypatch.undo()
    assert (run / "checkpoints" / "1-head-epoch-1.npz").is_file()
    assert (run / "checkpoints" / "cache" / "index.json").is_file()
    shutil.move(first, moved)
    caches.mkdir()
    refused = tfxfer("train", "--resume", "--out", run)
    assert refused.code == 1
    assert "nothing at that path" in refused.error
    assert tfxfer("train", moved, "--out", tmp_path / "new", "--data", moved).code == 2
    refused = tfxfer("train", moved, "--resume", "--out", run)
    assert refused.code == 2
    assert f"--data {moved}" in refused.error
    (moved / "apple" / "01.png").rename(tmp_path / "aside.png")
    assert tfxfer("train", "--resume", "--out", run, "--data", moved).code == 1
    (tmp_path / "aside.png").rename(moved / "apple" / "01.png")

    done = tfxfer(
        "train", "--resume", "--out", run, "--data", moved, "--cache-dir", caches, "--no-report",
        "-v",
    )  # fmt: skip
    assert done.code == 0, done.stderr
    assert "epoch 3/4" not in done.stderr  # it was over
    assert "epoch 4/4" in done.stderr
    document = json.loads((run / "run.json").read_text())
    assert document["request"]["data"] == str(moved)
    assert document["request"]["cache_dir"] == str(caches)
    assert list((run / "checkpoints").iterdir()) == list(caches.iterdir()) == []

    # Of a run that is done nothing but the model holds the weights: it is trained once more.
    before = trace(run)
    (run / "model.keras").unlink()
    again = tfxfer("train", "--resume", "--out", run, "--no-report", "-v")
    assert again.code == 0, again.stderr
    assert "model.keras is gone: it is made again" in again.stderr
    assert "epoch 1/4" in again.stderr
    assert trace(run) == before


def test_resume_refuses_other_images(
    photos: Path,
    train: Run,
    tfxfer: Run,
    quick: tuple[str, ...],
    tmp_path: Path,
    interrupt_at: Callable[[int], None],
    paint: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data, run = tmp_path / "data", tmp_path / "run"
    shutil.copytree(photos, data)
    interrupt_at(2)
    assert train(data, "--out", run, *quick).code == 130
    monkeypatch.undo()
    before = (run / "run.json").read_text()

    changed = data / "apple" / "01.png"
    content = changed.read_bytes()
    paint(np.random.default_rng(9), 0).save(changed)
    done = tfxfer("train", "--resume", "--out", run)
    assert done.code == 1
    assert "expected the images it was started with" in done.error

    changed.unlink()
    done = tfxfer("train", "--resume", "--out", run)
    assert done.code == 1
    assert "apple/01.png" in done.error

    changed.write_bytes(content)
    weights = run / "checkpoints" / "1-head.npz"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    done = tfxfer("train", "--resume", "--out", run)
    assert done.code == 1
    assert "expected a checkpoint that can be read" in done.error
    assert (run / "run.json").read_text() == before

    shutil.rmtree(data)
    done = tfxfer("train", "--resume", "--out", run)
    assert done.code == 1
    assert "nothing at that path" in done.error
    assert (run / "run.json").read_text() == before


def test_resume_of_what_is_no_run(tmp_path: Path, tfxfer: Run) -> None:
    done = tfxfer("train", "--resume", "--out", tmp_path / "nothing")
    assert done.code == 1
    assert "no such folder" in done.error
    assert not (tmp_path / "nothing").exists()


def test_a_run_interrupted_while_it_is_begun_can_be_resumed(
    photos: Path, train: Run, tfxfer: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any) -> None:
        signal.raise_signal(signal.SIGINT)

    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr("tfxfer.data.samples.SampleData.write_split", interrupt)
        short = ("--schedule", "head", "--head-epochs", 1, "--views", 1)
        assert train(photos, "--out", run, *short).code == 130
    assert read_status(run) == "interrupted"
    assert not (run / "split.csv").exists()
    done = tfxfer("train", "--resume", "--out", run)
    assert done.code == 0, done.stderr
    assert (run / "split.csv").is_file()
    assert (run / "labels.txt").is_file()


@pytest.mark.parametrize("after", [lambda: None, lambda: "".index("x")], ids=["lost", "renamed"])
def test_an_interrupt_that_somebody_swallowed(
    photos: Path,
    train: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    after: Callable[[], Any],
) -> None:
    # What TensorFlow imports catches everything, here and there.
    def swallow(device: str) -> Device:
        try:
            signal.raise_signal(signal.SIGINT)
        except BaseException:  # noqa: BLE001 - that is what is tested
            after()
        return prepare_device(device)

    monkeypatch.setattr("tfxfer.job.train.prepare_device", swallow)
    done = train(photos, "--out", tmp_path / "run")
    assert done.code == 130
    assert done.error == "error: interrupted"
    assert "--resume" not in done.stderr
    assert not (tmp_path / "run").exists()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


# The real program


class Program:
    """`tfxfer train` in a process of its own, and what it leaves behind."""

    def __init__(self, folder: Path, photos: Path, weights: Path) -> None:
        self.run, self.temporary = folder / "run", folder / "tmp"
        self.temporary.mkdir(parents=True)
        command = [
            sys.executable, "-c", PROGRAM, "train", photos, "--out", self.run, "-v",
            "--backbone", "double_vivid", "--weights", weights,
            "--head-epochs", "2", "--epochs", "2", "--views", "2",
        ]  # fmt: skip
        self.process = subprocess.Popen(
            list(map(str, command)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "TMPDIR": str(self.temporary), "XDG_STATE_HOME": str(folder)},
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "started\n"

    def lines(self) -> Iterator[str]:
        assert self.process.stderr is not None
        # Not `yield from`: who stops early would close the pipe, and lose what is said after that.
        for line in self.process.stderr:  # noqa: UP028
            yield line

    def interrupt(self) -> str:
        """Presses Ctrl-C and returns what the process still said."""
        self.process.send_signal(signal.SIGINT)
        return self.process.communicate(timeout=120)[1]

    def check(self, said: str) -> str | None:
        """Fails for anything that is half-written; returns the run's status."""
        assert "Traceback" not in said, said
        assert "fault" not in said, said
        assert list(self.temporary.iterdir()) == [], said
        status = None
        if self.run.exists():
            assert not [path for path in self.run.rglob("*") if ".tmp" in path.name]
            assert not (self.run / ".lock-holder").exists()
        if (self.run / "run.json").exists():
            status = read_status(self.run)
        if (self.run / "model.keras").exists():
            with zipfile.ZipFile(self.run / "model.keras") as archive:
                assert archive.testzip() is None
        if (self.run / "labels.txt").exists():
            text = (self.run / "labels.txt").read_text()
            assert text == "apple\nmango\nzebra\n"
        for name, first in (("split.csv", "path"), ("history.csv", "epoch")):
            if (self.run / name).exists():
                with (self.run / name).open(newline="") as file:
                    rows = list(csv.reader(file))
                assert rows[0][0] == first
                assert {len(row) for row in rows} == {len(rows[0])}
        code = self.process.returncode
        assert code == (0 if status == "done" else 130), (code, status, said)
        return status


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize(
    ("line", "seconds"),
    [
        # Where an exception met C++ code, the process was aborted instead.
        ("starting Keras", 0.6),
        ("starting Keras", 1.0),
        ("  expected time", 0.5),
        pytest.param("epoch 4/4", 0.0, marks=pytest.mark.slow),
    ],
    ids=["importing soon", "importing", "caching", "saving"],
)
def test_sigint_while(
    line: str, seconds: float, photos: Path, weights: Path, tmp_path: Path
) -> None:
    program = Program(tmp_path, photos, weights)
    assert any(text.startswith(line) for text in program.lines())
    time.sleep(seconds)
    said = program.interrupt()
    status = program.check(said)
    assert ("error: interrupted" in said) == (status != "done")
    assert status in {"starting Keras": [None]}.get(line, ["interrupted", "done"])


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_sigint_at_20_random_moments(photos: Path, weights: Path, tmp_path: Path) -> None:
    started = time.monotonic()
    program = Program(tmp_path / "whole", photos, weights)
    said = program.process.communicate(timeout=300)[1]
    duration = time.monotonic() - started
    assert program.check(said) == "done"
    rng = random.Random(0)
    found = []
    for number in range(20):
        program = Program(tmp_path / str(number), photos, weights)
        delay = rng.uniform(0, duration)
        time.sleep(delay)
        found.append((delay, program.check(program.interrupt())))
    print([(f"{delay:.1f} s", status) for delay, status in found])
    assert None in [status for _, status in found]
    assert "interrupted" in [status for _, status in found]
