"""Images per second on a GPU: head phase, partial and full fine-tuning, against torchvision.

Our training code under the JAX backend in bfloat16, and torchvision's ResNet50 in bfloat16 with
channels last, on the same card, alternating. Pixels lie on the card already, so that the card is
measured and not the reading; `--host` feeds them from memory as training does. The share of what
the card can do is counted from FLOP per image; a training step counts as three forward passes of
what it trains and one of what it does not.

    KERAS_BACKEND=jax python benchmarks/gpu_training.py [--peak-tflops 989] [--batch 256]

A check of the script on a CPU: --backbones efficientnet_lite0 --image-size 32 --batch 4 --steps 2
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parent))

from record import make_parser, print_table, write_record

# Phases by the share of stages that stay frozen; the backbone's end, and nothing.
FRONTIERS = {"head, uncached": "backbone", "partial": 0.7, "full": None}
CLASSES = 1000
Step = Callable[[], None]


def main() -> None:
    parser = make_parser(__doc__, name="gpu_training")
    parser.add_argument("--backbones", default="resnet50,efficientnet_lite0")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--steps", type=int, default=30, help="timed, a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peak-tflops", type=float, help="dense bfloat16, of the card")
    parser.add_argument("--host", action="store_true", help="feed pixels from memory")
    options = parser.parse_args()

    rows = []
    for backbone in options.backbones.split(","):
        for name, frontier in FRONTIERS.items():
            epoch, flop = make_ours(backbone, frontier, options)
            ways = {"ours": epoch}
            if backbone == "resnet50" and name == "full":
                ways |= make_torchvision(options)
            speeds = measure(ways, options)
            for way, speed in speeds.items():
                share = None
                if options.peak_tflops:
                    share = speed * flop / (options.peak_tflops * 1e12)
                rows.append(
                    {
                        "backbone": backbone,
                        "phase": name,
                        "way": way,
                        "images_per_s": speed,
                        "gflop_per_image": flop / 1e9,
                        "share_of_peak": share,
                        "against_torchvision": speed / speeds["torchvision"]
                        if "torchvision" in speeds
                        else None,
                    }
                )
    print_table(
        ("backbone", "phase", "way", "images/s", "GFLOP an image", "of the peak", "torchvision"),
        [
            (
                row["backbone"],
                row["phase"],
                row["way"],
                f"{row['images_per_s']:.0f}",
                f"{row['gflop_per_image']:.2f}",
                "" if row["share_of_peak"] is None else f"{100 * row['share_of_peak']:.0f} %",
                "" if row["against_torchvision"] is None else f"{row['against_torchvision']:.2f}x",
            )
            for row in rows
        ],
    )
    write_record(options.json, {"bar": 1.0, "batch": options.batch, "rows": rows})


def measure(ways: dict[str, Callable[[int], None]], options: Any) -> dict[str, float]:
    """Returns images per second, medians of rounds that alternate."""
    for way in ways.values():
        way(3)  # compiles, and fills caches
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(options.rounds):
        for name, way in ways.items():
            started = time.perf_counter()
            way(options.steps)
            seconds[name].append((time.perf_counter() - started) / options.steps)
    return {name: options.batch / statistics.median(x) for name, x in seconds.items()}


def make_ours(backbone: str, frontier: Any, options: Any) -> tuple[Callable[[int], None], float]:
    """Returns a function that trains some steps, and the FLOP of one image."""
    import keras
    import numpy as np

    import tfxfer
    from tfxfer.model import get_info, layers_up_to, set_trainable

    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    model = tfxfer.build_model(
        backbone,
        labels=[str(n) for n in range(CLASSES)],
        weights=None,
        image_size=options.image_size,
    )
    names = [stage.name for stage in get_info(model).stages]
    stage = names[round(frontier * (len(names) - 2))] if isinstance(frontier, float) else frontier
    set_trainable(model, stage)
    model.compile(
        keras.optimizers.SGD(0.1, momentum=0.9), "categorical_crossentropy", jit_compile=True
    )
    frozen = {layer.name for layer in layers_up_to(model, stage)}
    flop = sum(
        (2 if layer.name in frozen else 6) * macs
        for layer, macs in ((layer, count_macs(layer)) for layer in model.layers)
    )
    rng = np.random.default_rng(0)
    shape = (options.batch, options.image_size, options.image_size, 3)
    pixels: Any = rng.integers(0, 256, shape, np.uint8).astype(np.float32)
    targets: Any = np.eye(CLASSES, dtype=np.float32)[rng.integers(0, CLASSES, options.batch)]
    if not options.host and keras.backend.backend() == "jax":
        import jax

        pixels, targets = jax.device_put(pixels), jax.device_put(targets)

    class Batches(keras.utils.PyDataset):
        def __init__(self, steps: int) -> None:
            super().__init__()
            self.steps = steps

        def __len__(self) -> int:
            return self.steps

        def __getitem__(self, index: int) -> Any:
            return pixels, targets

    return lambda steps: model.fit(Batches(steps), epochs=1, verbose=0, shuffle=False), float(flop)


def count_macs(layer: Any) -> float:
    """Returns the multiplications of a convolution or dense layer for one image."""
    import math

    kernel = getattr(layer, "kernel", None)
    if kernel is None:
        return 0.0
    sides = layer.output.shape[1:-1] if len(layer.output.shape) > 2 else ()
    return math.prod(kernel.shape) * math.prod(sides)


def make_torchvision(options: Any) -> dict[str, Callable[[int], None]]:
    """Returns torchvision's ResNet50 under the same batch, where it is installed."""
    try:
        import torch
        import torchvision
    except ImportError as error:
        print(f"torchvision is left out: {error}", file=sys.stderr)
        return {}
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = torchvision.models.resnet50(num_classes=CLASSES).to(
        device, memory_format=torch.channels_last
    )
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    loss = torch.nn.CrossEntropyLoss()
    side = options.image_size
    pixels = torch.rand(options.batch, 3, side, side, device=device).contiguous(
        memory_format=torch.channels_last
    )
    targets = torch.randint(0, CLASSES, (options.batch,), device=device)

    def train(steps: int) -> None:
        for _ in range(steps):
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast(device, torch.bfloat16):
                value = loss(model(pixels), targets)
            value.backward()
            optimizer.step()
        if device == "cuda":
            torch.cuda.synchronize()

    return {"torchvision": train}


if __name__ == "__main__":
    main()
