"""A folder of class folders becomes a tested Keras model.

python examples/01_train_from_a_folder.py photos/ model.keras
"""

import sys

import tfxfer


def main(folder: str, out: str, *, image_size: int = 224, epochs: int = 12) -> float:
    data = tfxfer.load_images(folder, image_size=image_size, seed=7)
    for line in data.audit.summary():
        print(line)

    model = tfxfer.build_model("efficientnet_lite0", labels=data.labels, image_size=image_size)
    history = tfxfer.fit(model, data, schedule=tfxfer.two_phase(epochs=epochs))
    print(f"best epoch: {history.state.best_epoch}, in phase {history.state.best_phase}")

    scores = tfxfer.evaluate(model, data.test)
    accuracy = scores["accuracy"]
    print(f"test accuracy {accuracy['value']:.3f} [{accuracy['low']:.3f}, {accuracy['high']:.3f}]")

    # Plain Keras: `keras.models.load_model(out)` needs no tfxfer.
    model.save(out)
    return accuracy["value"]


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
