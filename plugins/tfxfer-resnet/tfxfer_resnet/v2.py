"""ResNet50V2: normalisation and ReLU come before each convolution.

Source:
    He et al. 2016, https://arxiv.org/abs/1603.05027. Weights: Keras Applications.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tfxfer.application import ApplicationBackbone
from tfxfer.backbone import Stage, Weights
from tfxfer.preprocessing import Preprocessing
from tfxfer.surgery import find_inputs, replace_layers
from tfxfer_resnet.stages import stages_of_50_layers, weights_url

__all__ = ["ResNet50V2"]


class ResNet50V2(ApplicationBackbone):
    """ResNet50V2: 23.6 million parameters, 2048 features."""

    name = "resnet50_v2"
    family = "resnet"
    application = "ResNet50V2"
    preprocessing = Preprocessing.from_mean_std(mean=127.5, std=127.5)
    weights: ClassVar[Mapping[str, Weights]] = {
        "imagenet": Weights(
            licence="Apache-2.0",
            url=weights_url("resnet50v2"),
            md5="fac2f116257151a9d068a22e544a4917",
        )
    }
    stages = (*stages_of_50_layers(), Stage("top", "post_relu"))

    def build(self, inputs: Any) -> Any:
        """Returns the last map of already preprocessed images, with random weights.

        Shapes: inputs (batch, size, size, 3); returns (batch, size / 32, size / 32, 2048).
        """
        import keras

        output = super().build(inputs)
        layers = keras.Model(find_inputs(output), output).layers
        ends = {stage.end for stage in self.stages}
        blocks = {id(layer.output): layer.name for layer in layers if layer.name in ends}

        def rename(layer: Any) -> Any | None:
            # Keras numbers the pooling in the shortcuts through the whole process, so that a
            # second build would have other names than the run that was saved.
            if not isinstance(layer, keras.layers.MaxPooling2D) or id(layer.input) not in blocks:
                return None
            name = f"{blocks[id(layer.input)]}_shortcut_pool"
            return type(layer).from_config({**layer.get_config(), "name": name})

        return replace_layers(output, rename)
