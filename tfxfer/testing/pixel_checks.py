"""What happens to pixels before the first weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfxfer.keras_private import find_calls
from tfxfer.testing.backbone_subject import BackboneSubject
from tfxfer.testing.check import check, fail
from tfxfer.testing.subject import list_outputs

__all__ = ["preprocessing"]

_RESCALE = "rescale_pixels"  # what `tfxfer.build_model` calls its first layer
_COLOURS = ((40.0, 130.0, 215.0), (255.0, 90.0, 10.0))
_TOLERANCE = 1e-4  # of the values in network units: float32 rounding of pixel * scale + offset


@check(
    "the first weights see pixels as `preprocessing` makes them: once, and nothing else",
    requires=("model",),
)
def preprocessing(subject: BackboneSubject) -> None:
    """Sends images of one colour through what comes before the first layer with weights.

    Padding, cropping and reordering only move values; any rescaling changes them.
    """
    subject.require_images()
    import keras

    whole = subject.model
    what = f"backbone {subject.name!r}"
    reached, hidden = _walk_to_weights(whole)
    if hidden:
        fail(
            what,
            expected="no rescaling inside the backbone: the core applies `preprocessing`",
            received=f"layers={hidden}",
            fix="Replace them by Identity (tfxfer.surgery.replace_layers).",
        )
    if not reached:
        return
    probe = keras.Model(whole.inputs[0], reached)
    contract = subject.plugin.preprocessing
    for whole_colour in _COLOURS:
        colour = whole_colour[: contract.channels]  # of grey one number
        pixels = np.full((1, *whole.inputs[0].shape[1:]), colour, np.float32)
        expected = contract.apply(np.array(colour))
        for values in list_outputs(probe(pixels, training=False)):
            _check_values(what, colour, expected, np.asarray(values).ravel())


def _check_values(
    what: str, colour: tuple[float, ...], expected: np.ndarray, values: np.ndarray
) -> None:
    tolerance = _TOLERANCE * max(1.0, float(np.abs(expected).max()))
    allowed = np.array([*expected, 0.0])  # 0 pads
    away = np.abs(values[:, None] - allowed).min(axis=1)
    missing = [value for value in expected if np.abs(values - value).min() > tolerance]
    if away.max() <= tolerance and not missing:
        return
    fail(
        what,
        expected=f"pixels {colour} to reach the first weights as {_triple(expected)}",
        received=f"values from {values.min():.4g} to {values.max():.4g}",
        fix="Take the rescaling out of build, or correct `preprocessing`: it is applied once, by "
        "the core.",
    )


def _walk_to_weights(model: Any) -> tuple[list[Any], list[str]]:
    """Returns what enters the first layers with weights, and the rescaling layers before them."""
    import keras

    consumers: dict[int, list[Any]] = {}
    for operation in model.operations:
        for node in find_calls(operation):
            for tensor in node.input_tensors:
                consumers.setdefault(id(tensor), []).append((operation, node))
    rescaling = (keras.layers.Rescaling, keras.layers.Normalization)
    waiting = [model.get_layer(_RESCALE).output]
    reached: dict[int, Any] = {}
    hidden, seen = [], set()
    while waiting:
        tensor = waiting.pop()
        if id(tensor) in seen:
            continue
        seen.add(id(tensor))
        for operation, node in consumers.get(id(tensor), ()):
            if isinstance(operation, rescaling):
                hidden.append(operation.name)
            elif getattr(operation, "weights", None):
                reached[id(tensor)] = tensor
                continue
            waiting.extend(node.output_tensors)
    return list(reached.values()), sorted(hidden)


def _triple(values: np.ndarray) -> str:
    return f"({', '.join(f'{value:.4g}' for value in values)})"
