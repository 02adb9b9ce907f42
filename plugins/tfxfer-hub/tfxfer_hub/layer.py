"""The layer that a hub module becomes. Needs Keras and TensorFlow, and no tfxfer."""

from __future__ import annotations

from typing import Any

import keras

from tfxfer_hub.pure_graph import PureGraph

__all__ = ["HubLayer"]


@keras.saving.register_keras_serializable(package="tfxfer_hub")
class HubLayer(keras.layers.Layer):
    """A module's network from image to features, with the module's weights as its own.

    It computes as at inference in every phase: batch statistics never move and nothing is dropped.
    Its config holds the graph, so that a saved model needs neither the module nor a network.

    Args:
        graph: what `PureGraph.to_config` returns.
        trainable: as every Keras layer.
        name: as every Keras layer.
        dtype: as every Keras layer; the module computes in float32 whatever the policy is.

    Shapes: image (batch, size, size, 3); returns features (batch, …).

    Raises:
        UnsafeGraphError: the graph does more than compute numbers from numbers.
        RuntimeError: Keras runs on another backend than TensorFlow.
    """

    def __init__(
        self,
        graph: dict[str, Any],
        trainable: bool = True,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        if keras.config.backend() != "tensorflow":
            raise RuntimeError(
                "layer HubLayer: expected the TensorFlow backend, which runs hub modules. "
                f"Received: backend={keras.config.backend()!r}. Set KERAS_BACKEND=tensorflow."
            )
        super().__init__(trainable=trainable, name=name, dtype=dtype, autocast=False)
        import tensorflow as tf

        self._graph = PureGraph.from_config(graph)
        self._run = tf.function(self._graph.run, autograph=False, reduce_retracing=True)
        self._values = tuple(
            self.add_weight(
                name=spec.name,
                shape=spec.shape,
                dtype=spec.dtype,
                initializer="zeros",
                trainable=spec.trainable,
                autocast=False,
            )
            for spec in self._graph.weights
        )
        self.built = True

    def call(self, image: Any, training: bool | None = None) -> Any:
        """Returns the features, the same ones in training.

        While a trainable layer is trained it adds the module's own penalty to the loss; not when it
        is validated, so that the losses of a phase with this layer and one without it compare.
        """
        import tensorflow as tf

        image = tf.cast(image, tf.float32)
        values = [tf.convert_to_tensor(weight.value) for weight in self._values]
        # A call also within a trace: a gradient tape does not see nodes that are imported into it.
        features, *penalty = self._run(image, *values)
        if penalty and training and self.trainable:
            self.add_loss(penalty[0])
        return features

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """Returns (batch, …) without running the graph."""
        return (input_shape[0], *self._graph.feature_shape)

    def set_module_values(self, values: list[Any]) -> None:
        """Assigns the weights in the order of the graph, which is not that of `set_weights`."""
        for weight, value in zip(self._values, values, strict=True):
            weight.assign(value)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "graph": self._graph.to_config()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> HubLayer:
        """Returns the layer of `get_config`'s data."""
        # Keras's own would answer an error with the whole config, graph included.
        return cls(**config)
