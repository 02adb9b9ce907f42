"""The command line in this process, a tiny backbone that learns colours, and images to train on."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tfxfer import RunDirectory

BACKBONE = '''
import numpy as np

from tfxfer import Backbone, Preprocessing, Stage


class Vivid(Backbone):
    """Three blocks; its weights tell colours apart, so that a head learns in a few steps."""

    name = "double_vivid"
    family = "double"
    default_image_size = 32
    min_image_size = 16
    preprocessing = Preprocessing.from_mean_std(mean=127.5, std=12.75)
    stages = tuple(Stage(f"block_{n}", f"block_{n}_relu") for n in (1, 2, 3))

    def build(self, inputs):
        from keras import layers

        x = inputs
        for n, filters in ((1, 6), (2, 6), (3, 96)):
            x = layers.Conv2D(filters, 3, strides=2, padding="same", name=f"block_{n}_conv")(x)
            x = layers.BatchNormalization(name=f"block_{n}_bn")(x)
            x = layers.ReLU(name=f"block_{n}_relu")(x)
        return x

    def load_weights(self, model, path):
        for name, kernel in np.load(path).items():
            model.get_layer(name).kernel.assign(kernel)
'''
LABELS = ("zebra", "apple", "mango")
SIDE_PX = 48


@dataclass(frozen=True)
class Done:
    """What one command line came to."""

    code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> Any:
        """What `--json` printed; fails for anything but exactly one document."""
        return json.loads(self.stdout)

    @property
    def error(self) -> str:
        """The one line that says what is wrong."""
        lines = self.stderr.strip().splitlines()
        found = [number for number, line in enumerate(lines) if line.startswith("error: ")]
        assert len(found) == 1, self.stderr
        assert "Traceback" not in self.stderr
        return "\n".join(lines[found[0] :])


Run = Callable[..., Done]


@pytest.fixture(autouse=True, scope="module")
def _surroundings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The backbone as if pip had installed it, also for processes that a test starts."""
    from tfxfer.registry.lookup import default_registry

    site = tmp_path_factory.mktemp("site")
    (site / "double_vivid.py").write_text(BACKBONE)
    folder = site / "tfxfer_double_vivid-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: tfxfer-double-vivid\nVersion: 1.0\n"
        "Requires-Dist: tfxfer>=0.1,<0.2\n"
    )
    (folder / "entry_points.txt").write_text(
        "[tfxfer.backbones]\ndouble_vivid = double_vivid:Vivid\n"
    )
    paths = [str(site), *filter(None, [os.environ.get("PYTHONPATH")])]
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(site)
        patch.setenv("PYTHONPATH", os.pathsep.join(paths))
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        default_registry.cache_clear()
        yield
    default_registry.cache_clear()


def call(args: Sequence[Any], registry: Any = None) -> Done:
    from tfxfer.cli.main import run

    stdout, stderr = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stderr", stderr)
        code = run([str(arg) for arg in args], stdout=stdout, registry=registry)
    return Done(code, stdout.getvalue(), stderr.getvalue())


def make_kernels() -> dict[str, np.ndarray]:
    """Returns six differences of two channels, averaged over the field of view, 16 times each."""
    first = np.zeros((3, 3, 3, 6), np.float32)
    pairs = [(one, other) for one in range(3) for other in range(3) if one != other]
    for number, (one, other) in enumerate(pairs):
        first[:, :, one, number], first[:, :, other, number] = 1 / 9, -1 / 9
    through = np.broadcast_to(np.eye(6, dtype=np.float32) / 9, (3, 3, 6, 6))
    copies = np.tile(through, (1, 1, 1, 16))
    return {"block_1_conv": first, "block_2_conv": through, "block_3_conv": copies}


@pytest.fixture(scope="session")
def tfxfer() -> Run:
    """Runs one command line in this process; `registry` is what is installed unless given."""
    return lambda *args, registry=None: call(args, registry)


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of the tiny backbone."""
    path = tmp_path_factory.mktemp("weights") / "vivid.npz"
    np.savez(path, **make_kernels())
    return path


@pytest.fixture(scope="session")
def train(weights: Path) -> Run:
    """Runs `tfxfer train` with the tiny backbone, and leaves out the page, which costs seconds."""
    options = ("--backbone", "double_vivid", "--weights", weights, "--no-report")
    return lambda *args: call(["train", *args, *options])


@pytest.fixture(scope="session")
def reseal() -> Callable[[Path], None]:
    """Has a run take its files, which a test changed, for those that its training wrote."""
    from tfxfer.run.seals import seal_files

    def apply(path: Path) -> None:
        run = RunDirectory.open(path)
        run.write_manifest(replace(run.read_manifest(), sha256=seal_files(run)))

    return apply


@pytest.fixture(scope="session")
def quick() -> tuple[str, ...]:
    """Options of the shortest training with two phases."""
    return ("--head-epochs", "2", "--epochs", "2", "--views", "2", "--batch-size", "8")


def make_image(rng: np.random.Generator, channel: int) -> Image.Image:
    """Returns blobs of which one channel is the brightest."""
    coarse = rng.integers(0, 100, (6, 6, 3))
    coarse[..., channel] += 120
    small = Image.fromarray(coarse.astype(np.uint8))
    return small.resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC)


@pytest.fixture(scope="session")
def paint() -> Callable[[np.random.Generator, int], Image.Image]:
    """Returns an image whose class is its brightest channel."""
    return make_image


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes, their folders not in alphabetical order, 12 PNG and JPEG files each."""
    root = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for channel, label in enumerate(LABELS):
        (root / label).mkdir()
        for number in range(12):
            suffix = "png" if number % 2 else "jpg"
            make_image(rng, channel).save(root / label / f"{number:02d}.{suffix}")
    return root


@pytest.fixture(scope="module")
def learnt(
    photos: Path, train: Run, tmp_path_factory: pytest.TempPathFactory, _surroundings: None
) -> tuple[Path, Done]:
    """A run that has learnt its classes, and what `tfxfer train --json` said."""
    out = tmp_path_factory.mktemp("learnt") / "run"
    options = ("--head-epochs", 8, "--epochs", 2, "--batch-size", 4)
    done = train(photos, "--out", out, *options, "--json")
    assert done.code == 0, done.stderr
    return out, done
