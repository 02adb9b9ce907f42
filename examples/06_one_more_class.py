"""A few photos a class become a file, and a class is added to the file without training.

python examples/06_one_more_class.py photos/ new_class_name photos_of_it/ out/
"""

import sys
from pathlib import Path

import tfxfer
import tfxfer_edge


def main(folder: str, name: str, new: str, out: str, *, image_size: int = 224) -> Path:
    # The nearest class mean: no epoch, one look at each photo.
    head = tfxfer.get_head("prototype")
    data = tfxfer.load_images(folder, head=head, image_size=image_size, seed=7)
    model = tfxfer.build_model(
        "efficientnet_lite0", head=head, labels=data.labels, image_size=image_size
    )
    tfxfer.fit(model, data, schedule="head")

    pixels = data.train.read_views(range(len(data.train)))[:, 0]
    converted = tfxfer_edge.convert(model, recipe="int8", calibration=pixels)
    card = tfxfer_edge.ModelCard(
        "one more class",
        labels=data.labels,
        preprocessing=converted.normalization,
        head=head.name,  # says that a class can be added; `tfxfer export` writes it, too
        head_options=head.options(),
    )
    first = Path(out, "first.tflite")
    first.parent.mkdir(parents=True)
    first.write_bytes(tfxfer_edge.write_metadata(converted.content, card))

    larger = tfxfer_edge.add_class(first, name, new, Path(out, "larger"))
    card = tfxfer_edge.read_metadata(larger.read_bytes())
    print(f"{larger}: {', '.join(card.labels)}")
    return larger


if __name__ == "__main__":
    main(*sys.argv[1:5])
