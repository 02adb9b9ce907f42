"""Where the time of a default training goes: each part timed alone, times what a run needs of it.

EfficientNet-Lite0 on `flowers5`, two phases with all of their epochs. In a run decoding overlaps
with the network, so the parts add up to more than it takes; averaging the weights, keeping the best
and what Keras does between epochs is not in them. Parts in brackets are not in a run: they are what
it does without.

    python benchmarks/breakdown.py --data FOLDER [--images 512] [--repeats 3]
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
from record import make_parser, print_table, write_record

STARTED = time.perf_counter()  # nothing heavy has been imported yet
BATCH_IMAGES = 32


def main() -> None:
    parser = make_parser(__doc__, name="breakdown")
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    once: dict[str, float] = {}
    subject = Subject(options.data, options.images, once)
    rows: list[dict[str, Any]] = [
        {"part": part, "seconds": seconds} for part, seconds in once.items()
    ]
    for part, run, processed, needed in subject.parts():
        first = measure(run)
        seconds = statistics.median(measure(run) for _ in range(options.repeats))
        if needed and ("train" in part or "validate" in part):
            rows.append({"part": f"compile: {part}", "seconds": first - seconds})
        rows.append(
            {
                "part": part,
                "ms_per_image": 1000 * seconds / processed,
                "images": needed,
                "seconds": seconds / processed * needed,
            }
        )
        print(part, f"{rows[-1]['ms_per_image']:.2f} ms an image", flush=True)
    total = sum(row["seconds"] for row in rows if is_in_run(row))
    print_table(
        ("part", "ms an image", "images in a run", "seconds in a run", "share"),
        [
            (
                row["part"],
                f"{row['ms_per_image']:.2f}" if "images" in row else "",
                f"{row['images']:,}" if row.get("images") else "",
                f"{row['seconds']:.1f}" if is_in_run(row) else "",
                f"{row['seconds'] / total:.0%}" if is_in_run(row) else "",
            )
            for row in rows
        ],
    )
    write_record(options.json, {"rows": rows, "total_s": total})


def is_in_run(row: dict[str, Any]) -> bool:
    """Whether a part is one of a run's, and not one that stands beside it."""
    return row.get("images") != 0


def measure(run: Callable[[], object]) -> float:
    """Returns the seconds of a call."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


class Subject:
    """A model, its images, and the parts of its training.

    Args:
        root: folder that holds the sets.
        images: how many to time with.
        once: gets the seconds of what a run does once.
    """

    def __init__(self, root: Path, images: int, once: dict[str, float]) -> None:
        import keras

        import tfxfer
        from tfxfer.frontier.fill import Conversion
        from tfxfer.frontier.litert import KerasRunner
        from tfxfer.frontier.store import CacheStore
        from tfxfer.stages import stage_tensor
        from tfxfer.training.options import DEFAULT_VIEWS
        from tfxfer.training.plan import plan_fit

        once["import TensorFlow, Keras and tfxfer"] = time.perf_counter() - STARTED
        from sets import load_set

        started = time.perf_counter()
        self.data = load_set("flowers5", root, seed=0)
        once["find, check and split the files"] = time.perf_counter() - started
        started = time.perf_counter()
        labels, targets = self.data.labels, self.data.train.targets
        self.model = tfxfer.build_model("efficientnet_lite0", labels=labels, targets=targets)
        once["build the model"] = time.perf_counter() - started
        with CacheStore() as store:
            plan = plan_fit(
                self.model,
                tfxfer.two_phase(),
                images=len(self.data.train),
                views=DEFAULT_VIEWS,
                val=len(self.data.val),
                store=store,
            )
        self.head, self.fine = plan.phases
        pixels = self.model.inputs[0]
        both = [stage_tensor(self.model, item.stage) for item in plan.phases]
        stages, conversion = [item.stage for item in plan.phases], Conversion()
        started = time.perf_counter()
        self.whole = conversion.open_runner(self.model, stages, use_litert=True)
        once["convert the backbone to LiteRT"] = time.perf_counter() - started
        started = time.perf_counter()
        self.litert = conversion.open_runner(self.model, stages[1:], use_litert=True)
        once["take its frozen part"] = time.perf_counter() - started
        self.keras_runner = KerasRunner(keras.Model(pixels, both[1]))
        self.order = np.arange(images)
        self.pixels = self.data.train.read_views(self.order)[:, 0]
        self.pooled, self.stored = (x.astype(np.float16) for x in self.whole(self.pixels))
        self.views = DEFAULT_VIEWS

    def parts(self) -> list[tuple[str, Callable[[], object], int, int]]:
        """Returns name, call, images that a call processes, and images that a run needs."""
        train, val, timed = len(self.data.train), len(self.data.val), len(self.order)
        head, fine = self.head.phase, self.fine.phase
        varied = self.views - 1
        views = range(1, self.views)
        drawn = self.draw(self.fine).uses(range(head.epochs, head.epochs + fine.epochs))
        missing = int(drawn[:, 1:].sum())  # the plain views are there already
        return [
            ("decode plain images", self.decode(range(1)), timed, train + val),
            (
                f"decode and vary, {varied} views, of which what is drawn",
                self.decode(views, wanted=drawn[:, 1:]),
                int(drawn[self.order, 1:].sum()),
                missing,
            ),
            ("backbone in LiteRT", lambda: self.whole(self.pixels), timed, train + val),
            (
                "its frozen part, the same views",
                lambda: self.litert(self.pixels),
                timed,
                missing,
            ),
            ("train the head", self.train(self.head, self.pooled), timed, train * head.epochs),
            ("validate the head", self.validate(self.head, self.pooled), timed, val * head.epochs),
            (
                "train the upper blocks",
                self.train(self.fine, self.stored),
                timed,
                train * fine.epochs,
            ),
            (
                "validate the upper blocks",
                self.validate(self.fine, self.stored),
                timed,
                val * fine.epochs,
            ),
            ("(frozen part in Keras)", lambda: self.keras_runner(self.pixels), timed, 0),
            ("(train the head, whole network)", self.train(self.head, self.pixels), timed, 0),
            (
                "(train the upper blocks, whole network)",
                self.train(self.fine, self.pixels),
                timed,
                0,
            ),
        ]

    def draw(self, item: Any) -> Any:
        """Returns which views of the training images a phase draws."""
        from tfxfer.data.draw import EpochDraw

        return EpochDraw(len(self.data.train), item.views, BATCH_IMAGES, 0)

    def decode(self, views: range, *, wanted: Any = None) -> Callable[[], object]:
        """Returns what decodes the images once, in these views, or in what is wanted of them."""

        def run() -> None:
            for _ in self.data.train.iter_views(
                views=views, level="light", order=self.order, wanted=wanted
            ):
                pass

        return run

    def train(self, item: Any, inputs: np.ndarray) -> Callable[[], object]:
        """Returns what trains one epoch of a phase at a rate of 0, fed as `tfxfer.fit` feeds it.

        Args:
            item: the planned phase.
            inputs: at its frontier, or the pixels themselves.
        """
        prepared: list[Any] = []

        def run() -> None:
            if not prepared:  # later parts freeze other layers
                prepared.append(self.compile(item, inputs))
            prepared[0].fit(self.batches(inputs), verbose=0, shuffle=False)

        return run

    def validate(self, item: Any, inputs: np.ndarray) -> Callable[[], object]:
        """Returns what validates a phase, as `train` trains it."""
        prepared: list[Any] = []

        def run() -> None:
            if not prepared:
                prepared.append(self.compile(item, inputs))
            prepared[0].evaluate(self.batches(inputs), verbose=0)

        return run

    def compile(self, item: Any, inputs: np.ndarray) -> Any:
        """Returns what a phase trains: the whole network where the inputs are pixels."""
        import keras

        from tfxfer.frontier.cut import make_suffix
        from tfxfer.stages import get_info, set_trainable

        set_trainable(self.model, item.stage)
        network = self.model if inputs is self.pixels else make_suffix(self.model, item.stage)
        head = get_info(self.model).head
        network.compile(keras.optimizers.Adam(0.0), loss=head.loss(), metrics=head.metrics())
        return network

    def batches(self, inputs: np.ndarray) -> Any:
        """Returns the timed images as batches, shuffled."""
        from tfxfer.data.draw import EpochDraw
        from tfxfer.training.batches import make_batches

        draw = EpochDraw(len(inputs), 1, BATCH_IMAGES, 0)
        targets = self.data.train.targets[self.order]
        return make_batches(lambda chosen, _: inputs[chosen].astype(np.float32), draw, targets)


if __name__ == "__main__":
    main()
