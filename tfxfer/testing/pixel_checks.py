"""What happens to pixels before the first weights, and what is random before the frontier."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfxfer.backbone import BACKBONE_END
from tfxfer.keras_private import find_calls
from tfxfer.testing.check import check, fail
from tfxfer.testing.subject import BackboneSubject

__all__ = ["no_randomness", "preprocessing"]

_RESCALE = "rescale_pixels"  # what `tfxfer.build_model` calls its first layer
_COLOURS = ((40.0, 130.0, 215.0), (255.0, 90.0, 10.0))
_TOLERANCE = 1e-4  # of the values in network units: float32 rounding of pixel * scale + offset
_TRAINING_TOLERANCE = 1e-6  # frozen layers compute the same thing in both modes


@check(
    "the first weights see pixels as `preprocessing` makes them: once, and nothing else",
    requires=("model",),
)
def preprocessing(subject: BackboneSubject) -> None:
    """Sends images of one colour through what comes before the first layer with weights.

    Padding, cropping and reordering only move values; any rescaling changes them.
    """
    import keras

    whole = subject.model
    what = f"backbone {subject.name!r}"
    if _RESCALE not in {layer.name for layer in whole.layers}:
        fail(
            what,
            expected="a graph that starts at the inputs that build gets",
            received="a graph of its own, to which no preprocessing is applied",
            fix="Pass input_tensor=inputs, or call the layers on `inputs`.",
        )
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
    for colour in _COLOURS:
        pixels = np.full((1, *whole.inputs[0].shape[1:]), colour, np.float32)
        expected = subject.plugin.preprocessing.apply(np.array(colour))
        for values in _as_list(probe(pixels, training=False)):
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


@check(
    "nothing random before the frontier: the frozen network is the same in training",
    requires=("model",),
)
def no_randomness(subject: BackboneSubject) -> None:
    """Runs the frozen backbone twice in training mode and once in inference."""
    import keras

    from tfxfer.stages import freeze_to, get_info, stage_tensor

    whole = subject.model
    what = f"backbone {subject.name!r}"
    drawing = [
        layer.name
        for layer in subject.backbone_layers()
        if any("seed_generator_state" in item.path for item in layer.variables)
    ]
    if drawing:
        fail(
            what,
            expected="no layer that draws random numbers: Dropout ignores trainable=False",
            received=f"layers={drawing[:5]}",
            fix="Replace them by Identity (tfxfer.surgery.replace_layers), or set their rate to 0.",
        )
    freeze_to(whole, BACKBONE_END)
    names = [stage.name for stage in get_info(whole).stages]
    prefix = keras.Model(whole.inputs[0], [stage_tensor(whole, name) for name in names])
    with subject.restored_model():
        runs = [
            [np.asarray(x) for x in _as_list(prefix(subject.pixels, training=training))]
            for training in (True, True, False)
        ]
    for name, first, second, still in zip(names, *runs, strict=True):
        scale = max(float(np.abs(still).max()), 1e-6)
        if not np.array_equal(first, second):
            words, off = "two runs in training mode", np.abs(first - second).max()
        elif not np.abs(first - still).max() <= _TRAINING_TOLERANCE * scale:
            words, off = "training and inference", np.abs(first - still).max()
        else:
            continue
        fail(
            f"{what}, frozen up to stage {name!r}",
            expected=f"equal activations in {words}",
            received=f"difference={off:.3g}, of values up to {scale:.3g}",
            fix="Whatever depends on training=True must be off when the layer is not trainable.",
        )


def _as_list(outputs: Any) -> list[Any]:
    return list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]


def _triple(values: np.ndarray) -> str:
    return f"({', '.join(f'{value:.4g}' for value in values)})"
