"""Freezing and unfreezing inside your own `model.fit`, with your own `tf.data`.

    python examples/02_freeze_in_your_own_fit.py photos/

Nothing here trains through tfxfer: it builds the flat model, and `freeze_to` moves the frontier.
"""

import sys

import keras

import tfxfer


def main(folder: str, *, image_size: int = 224, epochs: int = 3) -> keras.Model:
    train, val = keras.utils.image_dataset_from_directory(
        folder,
        image_size=(image_size, image_size),
        label_mode="categorical",
        validation_split=0.2,
        subset="both",
        seed=7,
    )
    model = tfxfer.build_model(
        "efficientnet_lite0", labels=train.class_names, image_size=image_size
    )

    # Phase 1: the head alone. BatchNormalization is frozen wherever it stands.
    tfxfer.freeze_to(model, "backbone")
    model.compile(
        optimizer=keras.optimizers.Adam(1e-3),
        loss="categorical_crossentropy",
        metrics=["accuracy"],
    )
    # `image_dataset_from_directory` shuffles; `shuffle=False` keeps Keras from warning of that.
    model.fit(train, validation_data=val, epochs=epochs, shuffle=False)

    # Phase 2: what follows block 11. `freeze_to` compiles again, as Keras wants after every change
    # of `trainable`; the lower rate is set after it.
    tfxfer.freeze_to(model, "block_11")
    model.optimizer.learning_rate = 1e-4
    model.fit(train, validation_data=val, initial_epoch=epochs, epochs=2 * epochs, shuffle=False)
    return model


if __name__ == "__main__":
    main(sys.argv[1])
