"""How far sets of images are from ImageNet, as backbones remember it, and halves of one set apart.

Real sets are folders below --data; textures and noise are painted here. A backbone whose weights
are no file in --weights takes those that pip brought.

    python benchmarks/domain_gap.py --data FOLDER --weights FOLDER [--images 256]
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
from record import make_parser, print_table, read_record, write_record

SIDE_PX = 224
BACKBONES = {
    "efficientnet_lite0": "default",
    "mobilenet_v2": "mobilenet_v2_1.0_224_notop.weights.h5",
    "resnet50": "resnet50_224_notop_float16.weights.h5",
}
FOLDERS = {
    "photos of seven things": "pacs3/photo",
    "hymenoptera": "hymenoptera",
    "flowers5": "flowers5",
    "paintings of seven things": "pacs3/art_painting",
    "cartoons of seven things": "pacs3/cartoon",
    "steel defects": "neu_surface_defects",
}
HALVINGS = 100


def paint_noise(count: int, rng: np.random.Generator) -> np.ndarray:
    """Returns images of which every value is drawn by itself."""
    return rng.integers(0, 256, (count, SIDE_PX, SIDE_PX, 3), dtype=np.uint8)


def paint_textures(count: int, rng: np.random.Generator) -> np.ndarray:
    """Returns images of random phases under a spectrum that falls off, as that of photos does.

    The exponent is another one for each image: from grain to clouds.
    """
    steps = np.fft.fftfreq(SIDE_PX)
    radius = np.hypot(steps[:, None], steps[None])
    radius[0, 0] = 1
    images = []
    for _ in range(count):
        noise = rng.normal(size=(2, 3, SIDE_PX, SIDE_PX))
        spectrum = (noise[0] + 1j * noise[1]) / radius ** rng.uniform(0.5, 2)
        values = np.real(np.fft.ifft2(spectrum)).transpose(1, 2, 0)
        values = (values - values.mean((0, 1))) / values.std((0, 1)) * rng.uniform(20, 50) + 128
        images.append(np.clip(values, 0, 255).astype(np.uint8))
    return np.stack(images)


PAINTED: dict[str, Callable[[int, np.random.Generator], np.ndarray]] = {
    "random textures": paint_textures,
    "noise": paint_noise,
}


def measure_set(model: Any, data: Any, images: int) -> dict[str, Any]:
    """Returns the profile of one set, and how often its halves are said to differ."""
    from tfxfer.stages import get_info
    from tfxfer.trust.distances import measure_mmd
    from tfxfer.trust.gap import profile_moments, read_moments
    from tfxfer.trust.set_gap import SIGNIFICANT
    from tfxfer.trust.subset import draw_subset

    info = get_info(model)
    subset = draw_subset(
        data, modality=info.modality, contract=info.preprocessing, count=images, seed=0
    )
    moments = read_moments(model, subset, images=images)
    rng = np.random.default_rng(0)
    values = []
    for number in range(HALVINGS):
        order = rng.permutation(len(moments))
        half = len(order) // 2
        one, other = moments.features[order[:half]], moments.features[order[half:]]
        values.append(measure_mmd(one, other, seed=number, permutations=199)[1])
    return {
        **profile_moments(model, moments).to_dict(),
        "halves_differ": float(np.mean(np.array(values) < SIGNIFICANT)),
    }


def main() -> None:
    parser = make_parser(__doc__, name="domain_gap")
    parser.add_argument("--images", type=int, default=256, help="of each set")
    parser.add_argument("--backbones", default=",".join(BACKBONES))
    options = parser.parse_args()
    import tfxfer

    for backbone in options.backbones.split(","):
        file = options.weights / BACKBONES[backbone]
        weights = str(file) if file.is_file() else "default"
        model = tfxfer.build_model(backbone, labels=["a", "b"], weights=weights)
        for name in (*FOLDERS, *PAINTED):
            done = read_record(options.json).get("sets", {})
            if backbone in done.get(name, {}):
                continue
            rng = np.random.default_rng(0)
            data = (
                options.data / FOLDERS[name]
                if name in FOLDERS
                else PAINTED[name](options.images, rng)
            )
            found = measure_set(model, data, options.images)
            print(f"{backbone}, {name}: {found['mean']:.3f}", flush=True)
            done = {**done, name: {**done.get(name, {}), backbone: found}}
            write_record(options.json, {"sets": done})
    sets = read_record(options.json)["sets"]
    print_table(
        ("set", *options.backbones.split(",")),
        [
            (name, *(f"{x['mean']:.3f} [{x['low']:.3f}, {x['high']:.3f}]" for x in found.values()))
            for name, found in sets.items()
        ],
    )
    rates = [x["halves_differ"] for found in sets.values() for x in found.values()]
    print(f"halves said to differ: {100 * np.mean(rates):.1f} % of {HALVINGS * len(rates):,}")


if __name__ == "__main__":
    main()
