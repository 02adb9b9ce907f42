"""Images per second on a GPU: head phase, partial and full fine-tuning, against torchvision.

Two questions are answered at the end: is full fine-tuning of ResNet50 at least as fast as
torchvision's, and is filling the cache for the head phase limited by reading or by the card.

Our models under the JAX backend in bfloat16, and torchvision's ResNet50 in bfloat16 with channels
last, on the same card, alternating; both with BatchNormalization as it is (ours, by default) and
trained (torchvision's). Pixels lie on the card already, so that the card is measured and not the
reading, which is timed by itself: JPEGs decoded and varied by all cores. `--host` feeds pixels from
memory, as training does.

FLOP are counted per network: a training step is three forward passes of what it trains and one of
what it does not; `fill` is one, in float32. Bytes are those of the activations in bfloat16 (of
`fill` in float32), without any fusion: each is written and read forward, and read twice, its
gradient written and read, backward.

    KERAS_BACKEND=jax python benchmarks/gpu_training.py [--peak-tflops 989 --peak-gbyte 3350]
        [--batch 256] [--compile-torch]

A check of the script on a CPU: --backbones efficientnet_lite0 --image-size 32 --batch 4 --steps 2
"""

from __future__ import annotations

import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parent))

from record import make_parser, print_table, write_record

# Phases by what stays frozen: up to the backbone's end, a share of its stages, or nothing. `fill`
# computes what the head trains on.
FRONTIERS = {
    "fill": "backbone",
    "head, cached": "backbone",
    "head, uncached": "backbone",
    "partial": 0.7,
    "full": None,
}
CLASSES = 1000
PHOTO_PX, PHOTOS = 500, 512


@dataclass(frozen=True)
class Way:
    """One way to train.

    Args:
        train: trains that many steps.
        flop: of one image.
        bytes: of one image, by the activations.
    """

    train: Callable[[int], object]
    flop: float
    bytes: float


def main() -> None:
    parser = make_parser(__doc__, name="gpu_training")
    parser.add_argument("--backbones", default="resnet50,efficientnet_lite0")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--steps", type=int, default=30, help="timed, a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peak-tflops", type=float, help="dense bfloat16, of the card")
    parser.add_argument("--peak-gbyte", type=float, help="of memory a second, of the card")
    parser.add_argument("--compile-torch", action="store_true", help="torch.compile, too")
    parser.add_argument("--host", action="store_true", help="feed pixels from memory")
    options = parser.parse_args()

    rows = []
    for backbone in options.backbones.split(","):
        for name, frontier in FRONTIERS.items():
            if name == "fill":
                ways = {"ours": make_fill(backbone, options)}
            else:
                cached = name == "head, cached"
                ways = {"ours": make_ours(backbone, frontier, options, cached=cached)}
            if backbone == "resnet50" and name == "full":
                ways["ours, BatchNorm trained"] = make_ours(
                    backbone, frontier, options, batch_norm=True
                )
                ways |= make_torchvision(options)
            for way, speed in measure(ways, options).items():
                rows.append(
                    {
                        "backbone": backbone,
                        "phase": name,
                        "way": way,
                        "images_per_s": speed,
                        "gflop_per_image": ways[way].flop / 1e9,
                        "mbyte_per_image": ways[way].bytes / 1e6,
                        "flop_share": share(speed * ways[way].flop, options.peak_tflops, 1e12),
                        "byte_share": share(speed * ways[way].bytes, options.peak_gbyte, 1e9),
                    }
                )
    reading = {
        "backbone": "",
        "phase": "reading",
        "way": f"{os.cpu_count()} cores",
        "images_per_s": measure_reading(options.image_size),
    }
    rows.append(reading)
    print_table(
        ("backbone", "phase", "way", "images/s", "GFLOP", "MB", "of FLOP/s", "of bytes/s"),
        [
            (
                row["backbone"],
                row["phase"],
                row["way"],
                f"{row['images_per_s']:.0f}",
                *(
                    pattern.format(row[key]) if row.get(key) is not None else ""
                    for key, pattern in (
                        ("gflop_per_image", "{:.2f}"),
                        ("mbyte_per_image", "{:.0f}"),
                        ("flop_share", "{:.0%}"),
                        ("byte_share", "{:.0%}"),
                    )
                ),
            )
            for row in rows
        ],
    )
    answers = {"times_torchvision": compare_torchvision(rows), "head_phase": split_head_phase(rows)}
    for name, ratio in answers["times_torchvision"].items():
        print(f"full fine-tuning of ResNet50, {name}: {ratio:.2f} times torchvision's (bar 1.0)")
    for backbone, part in answers["head_phase"].items():
        print(
            f"head phase of {part['epochs']} epochs, {backbone}, µs an image: "
            f"{part['reading_us']:.0f} reading, {part['filling_us']:.0f} filling at the same time, "
            f"then {part['training_us']:.0f} training; limited by {part['limited_by']}"
        )
    write_record(options.json, {"bar": 1.0, "batch": options.batch, "rows": rows, **answers})


def compare_torchvision(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Returns how many times as fast as torchvision's training ours is, like against like."""
    speed = {row["way"]: row["images_per_s"] for row in rows if row["phase"] == "full"}
    pairs = {
        "BatchNorm frozen": ("ours", "torchvision, BatchNorm frozen"),
        "BatchNorm trained": ("ours, BatchNorm trained", "torchvision"),
        "BatchNorm trained, compiled": ("ours, BatchNorm trained", "torchvision, compiled"),
    }
    return {
        name: speed[ours] / speed[theirs]
        for name, (ours, theirs) in pairs.items()
        if ours in speed and theirs in speed
    }


def split_head_phase(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Returns what the head phase of each backbone spends on an image, and which part is longest.

    Reading and filling overlap, once an image; training comes afterwards, in every epoch.
    """
    from tfxfer.standard_schedules import two_phase

    epochs = two_phase()[0].epochs
    (reading,) = (row["images_per_s"] for row in rows if row["phase"] == "reading")
    found: dict[str, dict[str, Any]] = {}
    for backbone in dict.fromkeys(row["backbone"] for row in rows if row["backbone"]):
        speed = {row["phase"]: row["images_per_s"] for row in rows if row["backbone"] == backbone}
        parts = {
            "reading": 1e6 / reading,
            "filling": 1e6 / speed["fill"],
            "training": 1e6 * epochs / speed["head, cached"],
        }
        longest = max(parts, key=lambda name: parts[name])
        found[backbone] = {"epochs": epochs, "limited_by": longest}
        found[backbone] |= {f"{name}_us": value for name, value in parts.items()}
    return found


def share(done: float, peak: float | None, unit: float) -> float | None:
    """Returns what part of a peak is used; None where nobody said what the card can do."""
    return None if peak is None else done / (peak * unit)


def measure_reading(size_px: int) -> float:
    """Returns images per second: JPEGs of 500 px decoded, cropped and resized by all cores."""
    import numpy as np
    from PIL import Image

    import tfxfer

    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        for number in range(PHOTOS):
            coarse = rng.integers(0, 256, (25, 25, 3), np.uint8)
            photo = Image.fromarray(coarse).resize((PHOTO_PX, PHOTO_PX), Image.Resampling.BICUBIC)
            place = Path(folder, f"class_{number % 2}")
            place.mkdir(exist_ok=True)
            photo.save(place / f"{number}.jpg", quality=90)
        data = tfxfer.load_images(folder, image_size=size_px, seed=0, near_duplicates=False)
        seconds = []
        for _ in range(3):
            started = time.perf_counter()
            for _ in data.train.iter_views(batch_size=32, views=(1,), level="light"):
                pass
            seconds.append(time.perf_counter() - started)
        return len(data.train) / statistics.median(seconds)


def measure(ways: dict[str, Way], options: Any) -> dict[str, float]:
    """Returns images per second, medians of rounds that alternate."""
    for way in ways.values():
        way.train(3)  # compiles, and fills caches
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(options.rounds):
        for name, way in ways.items():
            started = time.perf_counter()
            way.train(options.steps)
            seconds[name].append((time.perf_counter() - started) / options.steps)
    return {name: options.batch / statistics.median(x) for name, x in seconds.items()}


def make_ours(
    backbone: str, frontier: Any, options: Any, *, cached: bool = False, batch_norm: bool = False
) -> Way:
    """Returns our training of a phase, compiled by XLA.

    Args:
        backbone: its name.
        frontier: what stays frozen: a stage, a share of the stages, or None.
        options: of the command line.
        cached: trains what follows the frontier on activations.
        batch_norm: trains BatchNormalization, too.
    """
    import keras
    import numpy as np

    import tfxfer
    from tfxfer.frontier.cut import make_suffix
    from tfxfer.stages import get_info, layers_up_to, set_trainable

    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    model = tfxfer.build_model(
        backbone,
        labels=[str(n) for n in range(CLASSES)],
        weights=None,
        image_size=options.image_size,
    )
    names = [stage.name for stage in get_info(model).stages]
    stage = names[round(frontier * (len(names) - 2))] if isinstance(frontier, float) else frontier
    set_trainable(model, stage, batch_norm=batch_norm)
    network = make_suffix(model, stage) if cached else model
    network.compile(
        keras.optimizers.SGD(0.1, momentum=0.9), "categorical_crossentropy", jit_compile=True
    )
    frozen = {layer.name for layer in layers_up_to(model, stage)}
    layers = [layer for layer in model.layers if not cached or layer.name not in frozen]
    flop = sum((2 if layer.name in frozen else 6) * count_macs(layer) for layer in layers)
    moved = sum(
        (2 if layer.name in frozen else 6) * 2 * math.prod(layer.output.shape[1:])
        for layer in layers
    )
    rng = np.random.default_rng(0)
    shape = (options.batch, *network.inputs[0].shape[1:])
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

    return Way(
        lambda steps: network.fit(Batches(steps), epochs=1, verbose=0, shuffle=False), flop, moved
    )


def make_fill(backbone: str, options: Any) -> Way:
    """Returns what fills the cache of the head phase: float32, from and to the host's memory."""
    import keras
    import numpy as np

    import tfxfer
    from tfxfer.frontier.litert import make_runner
    from tfxfer.stages import stage_tensor

    keras.mixed_precision.set_global_policy("float32")
    model = tfxfer.build_model(
        backbone, labels=["a", "b"], weights=None, image_size=options.image_size
    )
    prefix = keras.Model(model.inputs[0], stage_tensor(model, "backbone"))
    runner = make_runner(prefix, use_litert=False)
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (options.batch, *model.inputs[0].shape[1:]), np.uint8)

    def fill(steps: int) -> None:
        for _ in range(steps):
            runner(pixels)

    macs = sum(count_macs(layer) for layer in prefix.layers)
    numbers = sum(math.prod(layer.output.shape[1:]) for layer in prefix.layers)
    return Way(fill, 2 * macs, 2 * 4 * numbers)


def count_macs(layer: Any) -> float:
    """Returns the multiplications of a convolution or dense layer for one image."""
    kernel = getattr(layer, "kernel", None)
    if kernel is None:
        return 0.0
    sides = layer.output.shape[1:-1] if len(layer.output.shape) > 2 else ()
    return math.prod(kernel.shape) * math.prod(sides)


def make_torchvision(options: Any) -> dict[str, Way]:
    """Returns ways to train torchvision's ResNet50 under the same batch, where it is installed."""
    try:
        import torch
        import torchvision
    except ImportError as error:
        print(f"torchvision is left out: {error}", file=sys.stderr)
        return {}
    torch.backends.cudnn.benchmark = True
    device = "cuda" if torch.cuda.is_available() else "cpu"
    side = options.image_size
    pixels = torch.rand(options.batch, 3, side, side, device=device).contiguous(
        memory_format=torch.channels_last
    )
    targets = torch.randint(0, CLASSES, (options.batch,), device=device)
    loss = torch.nn.CrossEntropyLoss()

    def make(*, batch_norm: bool, compiled: bool) -> Way:
        model = torchvision.models.resnet50(num_classes=CLASSES).to(
            device, memory_format=torch.channels_last
        )
        macs, moved = count_torch(model, pixels[:1])
        model.train()
        if not batch_norm:
            for module in model.modules():
                if isinstance(module, torch.nn.BatchNorm2d):
                    module.eval().requires_grad_(False)
        network = torch.compile(model) if compiled else model
        moving = [weight for weight in model.parameters() if weight.requires_grad]
        optimizer = torch.optim.SGD(moving, 0.1, momentum=0.9)

        def train(steps: int) -> None:
            for _ in range(steps):
                optimizer.zero_grad(set_to_none=True)
                with torch.autocast(device, torch.bfloat16):
                    value = loss(network(pixels), targets)
                value.backward()
                optimizer.step()
            if device == "cuda":
                torch.cuda.synchronize()

        return Way(train, 6 * macs, 6 * 2 * moved)

    ways = {
        "torchvision": make(batch_norm=True, compiled=False),
        "torchvision, BatchNorm frozen": make(batch_norm=False, compiled=False),
    }
    if options.compile_torch:
        ways["torchvision, compiled"] = make(batch_norm=True, compiled=True)
    return ways


def count_torch(model: Any, pixels: Any) -> tuple[float, float]:
    """Returns the multiplications of one image, and the numbers that its layers put out."""
    import torch

    macs = numbers = 0.0

    def count(module: Any, _: Any, output: Any) -> None:
        nonlocal macs, numbers
        numbers += output.numel()
        if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
            places = output.numel() / output.shape[1]
            macs += module.weight.numel() * places

    leaves = [module for module in model.modules() if not list(module.children())]
    hooks = [module.register_forward_hook(count) for module in leaves]
    with torch.no_grad():
        model.eval()(pixels)
    for hook in hooks:
        hook.remove()
    return macs, numbers


if __name__ == "__main__":
    main()
