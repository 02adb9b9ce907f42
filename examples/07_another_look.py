"""Labels of one look, a folder of another: the run's last layer is fitted to what counts.

    python examples/07_another_look.py studio/ factory/ runs/factory

Photos in `factory/` need no labels. Those that lie in folders named as the labels are only test.
"""

import sys

from tfxfer.adaptation.record import Adaptation
from tfxfer.job.prepare import prepare
from tfxfer.job.request import TrainRequest
from tfxfer.job.train import train_run


def main(
    folder: str, target: str, out: str, *, image_size: int = 224, epochs: int | None = None
) -> Adaptation:
    request = TrainRequest(
        data=folder,
        backbone="efficientnet_lite0",
        size=image_size,
        target=target,
        schedule="head" if epochs else "two_phase",
        head_epochs=epochs,
    )
    run = train_run(prepare(request), out)
    found = Adaptation.read(run.trust)
    assert found is not None
    for line in found.describe():
        print(line)
    # run.path holds a plain Keras model, no layer larger: `tfxfer export` takes it as any other.
    return found


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3])
