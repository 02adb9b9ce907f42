"""A schedule of your own, your own `tf.data`, and any Keras callback.

    python examples/03_your_own_schedule.py photos/ checkpoints/

A `tf.data.Dataset` must keep its order: `fit` shuffles, since it caches what lies before the
frontier.
"""

import sys
from pathlib import Path

import keras

import tfxfer


def main(folder: str, out: str, *, image_size: int = 224, epochs: int = 4) -> keras.Model:
    data = tfxfer.load_images(folder, image_size=image_size)
    train, val = data.train.dataset(), data.val.dataset()  # or any batched (pixels, targets)
    model = tfxfer.build_model("efficientnet_lite0", labels=data.labels, image_size=image_size)

    schedule = (
        tfxfer.Phase("head", "backbone", epochs=epochs, learning_rate=1e-3),
        # Each block further from the head trains at 0.8 of the next one's rate.
        tfxfer.Phase("upper", "block_12", epochs=epochs, learning_rate=3e-4, stage_decay=0.8),
        tfxfer.Phase("deeper", 0.5, epochs=epochs, learning_rate=1e-4, patience=2),
    )
    callbacks = [
        # These see the full model and one training through all phases.
        keras.callbacks.ModelCheckpoint(Path(out) / "best.keras", save_best_only=True),
        keras.callbacks.CSVLogger(str(Path(out) / "epochs.csv")),
    ]
    history = tfxfer.fit(model, (train, val), schedule=schedule, callbacks=callbacks)
    for record in history.state.records:
        print(f"{record.name}: {record.epochs} epochs in {record.seconds:.0f} s")
    return model


if __name__ == "__main__":
    Path(sys.argv[2]).mkdir(parents=True, exist_ok=True)
    main(sys.argv[1], sys.argv[2])
