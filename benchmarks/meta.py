"""What a start that `tfxfer meta` learnt gains over the plain one, on labels that it never saw.

Reptile learns on twelve labels of `pacs3`, four things in three looks. Both starts then learn
tasks of the nine labels of the other things, of flowers and of steel defects, with a new head and
the same steps of the same optimizer, and are tested on other images of the same labels: the share
of right answers, mean over draws, each start on the same draws.

    python benchmarks/meta.py --data FOLDER [--tasks 5x5] [--iterations 1000] [--image-size 96]
        [--draws 20] [--steps 8,50] [--outer 1] [--rate 1e-3]
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
from record import make_parser, print_table, write_record

BACKBONE = "efficientnet_lite0"
KNOWN = 4  # of the seven things of pacs3, by name
TESTED, POOL = 15, 40  # images of each label that test a task, and of which it is drawn


def copy_looks(source: Path, target: Path, things: slice) -> Path:
    """Makes a folder of labels of pacs3, each a thing in a look."""
    for look in sorted(path for path in source.iterdir() if path.is_dir()):
        for folder in sorted(path for path in look.iterdir() if path.is_dir())[things]:
            shutil.copytree(folder, target / f"{look.name}_{folder.name}")
    return target


def list_pool(folder: Path) -> tuple[list[Path], np.ndarray]:
    """Returns some images of each label, and the numbers of these."""
    folders = sorted(path for path in folder.iterdir() if path.is_dir())
    paths = [sorted(path.rglob("*.jpg"))[:POOL] for path in folders]
    numbers = np.repeat(np.arange(len(paths)), [len(found) for found in paths])
    return [path for found in paths for path in found], numbers


def split_task(
    numbers: np.ndarray, ways: int, shots: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Returns rows to learn from and their classes within the task, and the same to test with."""
    drawn = rng.choice(int(numbers.max()) + 1, ways, replace=False)
    learnt, tested = [], []
    for number in drawn:
        rows = rng.permutation(np.flatnonzero(numbers == number))
        learnt.append(rows[:shots])
        tested.append(rows[shots : shots + TESTED])
    places = np.arange(ways)
    return (
        np.concatenate(learnt), np.repeat(places, shots),
        np.concatenate(tested), np.repeat(places, TESTED),
    )  # fmt: skip


class Start:
    """One start: a network that is set back to it before each task.

    Args:
        weights: of the backbone.
        stage: up to which both starts are the same.
        ways: classes of a task.
        side_px: of the images.
    """

    def __init__(self, weights: str, stage: str, ways: int, side_px: int) -> None:
        import keras

        import tfxfer
        from tfxfer.frontier.cut import make_suffix
        from tfxfer.meta.reptile import Pattern, make_inner_optimizer
        from tfxfer.stages import set_trainable

        labels = [f"class_{number}" for number in range(ways)]
        self.model = tfxfer.build_model(BACKBONE, labels=labels, size=side_px, weights=weights)
        set_trainable(self.model, stage)
        self.network = make_suffix(self.model, stage)
        self.network.compile(make_inner_optimizer(Pattern()), "categorical_crossentropy")
        self.network.optimizer.build(self.network.trainable_variables)
        self._weights = self.network.get_weights()
        variables = self.network.optimizer.variables
        self._state = [np.array(keras.ops.convert_to_numpy(x)) for x in variables]

    def try_task(self, maps: np.ndarray, task: Any, steps: Sequence[int], seed: int) -> list[float]:
        """Returns the share of right answers after each number of steps."""
        rows, classes, tested, truth = task
        self.network.set_weights(self._weights)
        for variable, value in zip(self.network.optimizer.variables, self._state, strict=True):
            variable.assign(value)
        rng, targets, found = np.random.default_rng(seed), np.eye(classes.max() + 1)[classes], []
        for step in range(1, max(steps) + 1):
            drawn = rng.permutation(len(rows))[:10]
            self.network.train_on_batch(maps[rows[drawn]], targets[drawn])
            if step in steps:
                answers = np.asarray(self.network.predict_on_batch(maps[tested])).argmax(axis=1)
                found.append(float((answers == truth).mean()))
        return found


def compute_maps(model: Any, paths: list[Path], stage: str) -> np.ndarray:
    """Returns what the part that both starts share makes of images."""
    from tfxfer.frontier.fill import Conversion
    from tfxfer.inference.reading import open_stream
    from tfxfer.stages import get_info

    info = get_info(model)
    stream = open_stream(paths, modality=info.modality, size=info.size, contract=info.preprocessing)
    runner = Conversion().open_runner(model, [stage], use_litert=False)
    try:
        return np.concatenate([runner([batch])[0] for batch in stream.iter_batches(32)])
    finally:
        runner.close()


def compare(plain: list[list[float]], reptile: list[list[float]]) -> list[dict[str, float]]:
    """Returns means in percent, and their difference on the same draws, for each number of steps.

    Args:
        plain: shares of right answers of one start, for each draw and number of steps.
        reptile: of the other one.
    """
    rows = []
    for one, other in zip(np.transpose(plain), np.transpose(reptile), strict=True):
        gain = 100 * (other - one)
        half_width = 1.96 * gain.std(ddof=1) / np.sqrt(len(gain))
        rows.append(
            {
                "plain": 100 * float(one.mean()),
                "reptile": 100 * float(other.mean()),
                "gain": float(gain.mean()),
                "half_width": float(half_width),
            }
        )
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    from tfxfer.job.meta import learn_initialization
    from tfxfer.job.prepare import prepare
    from tfxfer.job.request import TrainRequest
    from tfxfer.meta.reptile import Pattern
    from tfxfer.meta.tasks import TaskSize

    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    parser = make_parser(__doc__, name="meta")
    parser.add_argument("--tasks", default="5x5")
    parser.add_argument("--iterations", type=int, default=1000)
    parser.add_argument("--image-size", type=int, default=96)
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--steps", default="8,50")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--outer", type=float, default=Pattern.outer)
    parser.add_argument("--rate", type=float, default=Pattern.rate)
    options = parser.parse_args(arguments)
    size, steps = TaskSize.parse(options.tasks), [int(x) for x in options.steps.split(",")]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        known, other, file = (Path(folder) / name for name in ("known", "other", "start.npz"))
        copy_looks(options.data / "pacs3", known, slice(KNOWN))
        copy_looks(options.data / "pacs3", other, slice(KNOWN, None))
        request = TrainRequest(str(known), BACKBONE, size=options.image_size, seed=options.seed)
        pattern = Pattern(options.iterations, rate=options.rate, outer=options.outer)
        learnt = learn_initialization(prepare(request), file, size, pattern)
        print(learnt, file=sys.stderr, flush=True)
        assert learnt.stage is not None
        starts = {
            "plain": Start("default", learnt.stage, size.ways, options.image_size),
            "reptile": Start(str(file), learnt.stage, size.ways, options.image_size),
        }
        for name in ("pacs3, other things", "flowers5", "neu_surface_defects"):
            pool = other if name.startswith("pacs3") else options.data / name
            paths, numbers = list_pool(pool)
            maps = compute_maps(starts["plain"].model, paths, learnt.stage)
            for shots in sorted({1, size.shots}):
                tasks = [
                    split_task(
                        numbers, size.ways, shots, np.random.default_rng((options.seed, draw))
                    )
                    for draw in range(options.draws)
                ]
                found = {
                    start: [network.try_task(maps, task, steps, n) for n, task in enumerate(tasks)]
                    for start, network in starts.items()
                }
                for step, row in zip(steps, compare(**found), strict=True):
                    rows.append({"set": name, "shots": shots, "steps": step, **row})
    settings = {
        name: getattr(options, name)
        for name in ("tasks", "image_size", "draws", "seed", "outer", "rate")
    }
    record = {"settings": settings, "learnt": learnt.to_dict() | {"path": ""}, "rows": rows}
    write_record(options.json, record)
    shown = [
        (
            *(row[name] for name in ("set", "shots", "steps")),
            *(f"{row[name]:.1f}" for name in ("plain", "reptile")),
            f"{row['gain']:+.1f} ± {row['half_width']:.1f}",
        )
        for row in rows
    ]
    print_table(("set", "shots", "steps", "plain start", "reptile start", "gain"), shown)
    return 0


if __name__ == "__main__":
    sys.exit(main())
