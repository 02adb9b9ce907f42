"""Any Keras model becomes an int8 file, and what that costs is measured.

python examples/04_your_own_model_to_int8.py photos/ model.keras model.tflite
"""

import sys

import keras
import numpy as np

import tfxfer
import tfxfer_edge


def main(folder: str, model_path: str, out: str) -> tuple[float, float]:
    model = keras.models.load_model(model_path)
    data = tfxfer.load_images(folder, image_size=model.input_shape[1], seed=7)

    # Ranges come from training images; the model takes pixels 0..255 and rescales them itself.
    pixels = data.train.read_views(range(min(100, len(data.train))))[:, 0]
    converted = tfxfer_edge.convert(
        model, recipe="int8", calibration=pixels, preprocessing="in_graph"
    )
    converted.save(out)
    print(f"{out}: {len(converted.content):,} bytes, input {converted.input_dtype}")

    test = data.test.read_views(range(len(data.test)))[:, 0]
    truth = data.test.targets.argmax(axis=1)
    before = np.mean(np.argmax(model.predict(test, verbose=0), axis=1) == truth)
    after = np.mean(np.argmax(tfxfer_edge.TFLiteModel(out).score(test), axis=1) == truth)
    print(f"test accuracy {before:.3f} in Keras, {after:.3f} in int8")
    return float(before), float(after)


if __name__ == "__main__":
    main(*sys.argv[1:4])
