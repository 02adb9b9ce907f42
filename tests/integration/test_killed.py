"""A run that is killed outright, again and again, ends bit for bit like one that never was."""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="forks, and kills")

# TensorFlow is imported once; each command line runs in a process of its own, forked from here.
# Steps are slowed down by sleeping, so that kills hit epochs and not only what is around them.
NURSERY = """
import json, os, signal, sys, time
import keras, tensorflow
import tfxfer.training.snapshot as snapshot
from tfxfer.cli.main import main
from tfxfer.training.epoch_lines import EpochLines

moving = EpochLines.on_train_batch_end

def move(self, batch, logs=None):
    time.sleep(0.03)
    moving(self, batch, logs)

def drop(variables, values, *, what):
    if what != "optimizer":
        write(variables, values, what=what)

EpochLines.on_train_batch_end, write = move, snapshot._write
print("ready", flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    child = os.fork()
    if not child:
        said = os.open(asked["log"], os.O_CREAT | os.O_APPEND | os.O_WRONLY)
        os.dup2(said, 1)
        os.dup2(said, 2)
        if asked["drop_optimizer"]:
            snapshot._write = drop
        main(asked["args"])
    # Until it is waited for, its number is nobody else's.
    print("begun", flush=True)
    if sys.stdin.readline() == "kill\\n":
        os.kill(child, signal.SIGKILL)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
OPTIONS = (
    "--backbone", "double_vivid", "--head-epochs", "4", "--epochs", "4", "--views", "2",
    "--batch-size", "8", "--no-report", "-v",
)  # fmt: skip


class Nursery:
    """Starts `tfxfer train`, to be killed."""

    def __init__(self, folder: Path, photos: Path, weights: Path) -> None:
        self._start = [str(photos), "--weights", str(weights), *OPTIONS]
        self._log = folder / "log"
        self._errors = (folder / "nursery").open("w")
        self._process = subprocess.Popen(
            [sys.executable, "-c", NURSERY],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        assert self._read() == "ready"

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def close(self) -> None:
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            assert stream is not None
            stream.close()
        self._process.wait(timeout=60)

    def train(
        self,
        run: Path,
        *,
        wait: Callable[[], None] | None = None,
        drop_optimizer: bool = False,
    ) -> tuple[int, str]:
        """Begins a run, or goes on with it, and kills it after a wait; returns code and words."""
        self._log.unlink(missing_ok=True)
        going_on = ["--resume", "--no-report", "-v"]
        args = going_on if (run / "run.json").exists() else self._start
        asked = {
            "args": ["train", *args, "--out", str(run)],
            "log": str(self._log),
            "drop_optimizer": drop_optimizer,
        }
        self._say(json.dumps(asked))
        assert self._read() == "begun"
        if wait is not None:
            wait()
        self._say("wait" if wait is None else "kill")
        code = int(self._read())
        return code, self._log.read_text() if self._log.exists() else ""

    def finish(self, run: Path, **options: Any) -> str:
        code, said = self.train(run, **options)
        assert code == 0, said
        return said


@pytest.fixture(scope="module")
def nursery(
    photos: Path, weights: Path, tmp_path_factory: pytest.TempPathFactory, _surroundings: None
) -> Iterator[Nursery]:
    nursery = Nursery(tmp_path_factory.mktemp("nursery"), photos, weights)
    yield nursery
    nursery.close()


@pytest.fixture(scope="module")
def whole(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """A run that nobody disturbed, and how many seconds it took."""
    run, started = tmp_path_factory.mktemp("whole") / "run", time.monotonic()
    nursery.finish(run)
    return run, time.monotonic() - started


def trace(run: Path) -> dict[str, Any]:
    """Returns all that two equal trainings have in common."""
    document = json.loads((run / "run.json").read_text())
    assert document["status"] == "done"
    with zipfile.ZipFile(run / "model.keras") as archive:
        weights = archive.read("model.weights.h5")
    return {
        "split": (run / "split.csv").read_text(),
        "history": (run / "history.csv").read_text(),
        "metrics": document["metrics"],
        "findings": document["findings"],
        "phases": [{**phase, "seconds": 0} for phase in document["phases"]],
        "weights": hashlib.sha256(weights).hexdigest(),
    }


def wait_for_epoch(run: Path, *, then_s: float = 0.0) -> Callable[[], None]:
    """Returns a wait until there is a checkpoint within the first phase."""

    def wait() -> None:
        end = time.monotonic() + 120
        while not (run / "checkpoints" / "state.json").exists():
            assert time.monotonic() < end, "no checkpoint within two minutes"
            time.sleep(0.005)
        time.sleep(then_s)

    return wait


def kill_often(nursery: Nursery, whole: tuple[Path, float], folder: Path, kills: int) -> list[str]:
    """Kills runs at random moments until as many processes are dead, and compares all of them."""
    expected, rng = trace(whole[0]), random.Random(0)
    found, number = [], 0
    while kills:
        run = folder / str(number)
        number += 1
        while kills:
            delay = rng.uniform(0, whole[1])
            code, said = nursery.train(run, wait=lambda delay=delay: time.sleep(delay))
            if code == 0:
                break
            assert code == -9, said
            kills -= 1
            epochs = [x.split()[1] for x in said.splitlines() if x.startswith("epoch ")]
            found.append(f"{delay:.1f} s: {', '.join(epochs) or 'no epoch'}")
        else:
            nursery.finish(run)
        assert trace(run) == expected
        assert list((run / "checkpoints").iterdir()) == []
    return found


def test_five_kills_leave_no_trace(
    nursery: Nursery, whole: tuple[Path, float], tmp_path: Path
) -> None:
    run = tmp_path / "epoch"
    assert nursery.train(run, wait=wait_for_epoch(run, then_s=0.02))[0] == -9
    said = nursery.finish(run)
    # It goes on within the phase.
    assert "epoch 1/" not in said
    assert "epoch 8/8" in said
    assert trace(run) == trace(whole[0])
    print(kill_often(nursery, whole, tmp_path, kills=4))


def test_without_the_optimizer_the_comparison_fails(
    nursery: Nursery, whole: tuple[Path, float], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    assert nursery.train(run, wait=wait_for_epoch(run))[0] == -9
    nursery.finish(run, drop_optimizer=True)
    found, expected = trace(run), trace(whole[0])
    assert found["weights"] != expected["weights"]
    assert found["history"] != expected["history"]
    assert found["split"] == expected["split"]


@pytest.mark.slow
def test_fifty_kills_leave_no_trace(
    nursery: Nursery, whole: tuple[Path, float], tmp_path: Path
) -> None:
    found = kill_often(nursery, whole, tmp_path, kills=50)
    print("\n".join(found))
    assert len(found) == 50
    assert any("no epoch" not in line for line in found)
