"""The network of a loaded module, cut out of it: a pure graph, and the values of its weights."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tfxfer.errors import ModelError
from tfxfer.saved_model import check_saved_model
from tfxfer.system.quiet import quiet_native
from tfxfer_hub.handle import Handle
from tfxfer_hub.pure_graph import PureGraph, WeightSpec, find_impure

__all__ = ["cut_graph", "load_module"]

_IMAGE = "image"
_LARGE_CONSTANT_BYTES = (
    1024  # above, a constant is kept as a weight, which a config is no place for
)
_PREFERRED = ("serving_default", "default", "serve")
_NORMALIZATIONS = frozenset({"FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"})
_PASSTHROUGH_OPS = frozenset({"Identity", "Cast", "Reshape"})


def load_module(path: str, *, handle: Handle) -> Any:
    """Returns what `tf.saved_model.load` makes of a folder.

    Raises:
        ModelError: it cannot be loaded, or would do more than compute.
    """
    import tensorflow as tf

    check_saved_model(Path(path), remedy="Export the module without them.")

    try:
        return tf.saved_model.load(path)
    # A damaged folder fails in protobuf, in the checkpoint reader or anywhere in TensorFlow.
    except Exception as error:
        raise ModelError(
            f"module {handle.location!r}: expected a SavedModel that TensorFlow loads. "
            f"Received: {_first_line(error)}. Get it anew."
        ) from error


def cut_graph(module: Any, *, handle: Handle, size: int) -> tuple[PureGraph, list[np.ndarray]]:
    """Returns a module's network for images of one size, and its weights' values in that order.

    The module is traced as at inference. What it does in training mode is of no use here: batch
    statistics stay as they are and nothing is dropped, in every phase, of every backbone. Gamma and
    beta of a batch normalization are therefore no trainable weights, either.

    Args:
        module: from `load_module`.
        handle: which of its functions and outputs to take.
        size: side of the square image, in pixels.

    Raises:
        ModelError: no function of it maps one image to features, or it does more than compute.
    """
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import (
        convert_variables_to_constants_v2,
    )

    endpoint = _find_endpoint(module, handle)
    losses = [loss for loss in getattr(module, "regularization_losses", []) if callable(loss)]

    def infer(image: Any) -> list[Any]:
        features = _choose_output(endpoint(image), handle)
        penalties = [tf.cast(loss(), tf.float32) for loss in losses]
        return [features, *([tf.add_n(penalties)] if penalties else [])]

    spec = tf.TensorSpec((None, size, size, 3), tf.float32, name=_IMAGE)
    try:
        traced = tf.function(infer, autograph=False).get_concrete_function(spec)
        with quiet_native():
            frozen = convert_variables_to_constants_v2(traced, lower_control_flow=False)
    except ModelError:
        raise
    # A function of a SavedModel takes only what it was saved for, and TensorFlow says so in prose.
    except Exception as error:
        raise ModelError(
            f"module {handle.location!r}: expected a function of one float image "
            f"(batch, {size}, {size}, 3). Received: {_first_line(error)}. Give the size that it "
            "was made for (hub:HANDLE#size=PX), or name another function (#signature=NAME)."
        ) from error
    features, *penalty = [tensor.name for tensor in frozen.outputs]
    shape = frozen.outputs[0].shape
    _check_features(shape, handle)
    definition = frozen.graph.as_graph_def()
    specs, values = _lift_weights(definition, _captured(traced), module, frozen=handle.frozen)
    definition = _tidy(definition, [name.partition(":")[0] for name in (features, *penalty)])
    impure = find_impure(definition)
    if impure:
        raise ModelError(
            f"module {handle.location!r}: expected operations that compute numbers from numbers, "
            f"with nothing random at inference. Received: {', '.join(impure[:3])}. "
            "Export the module without them."
        )
    used = {node.name for node in definition.node}
    # By name: checkpoints know weights by their order, which must not be that of a trace.
    pairs = sorted(zip(specs, values, strict=True), key=lambda pair: pair[0].name)
    kept = [pair for pair in pairs if pair[0].node in used]
    held = _normalization_weights(definition, [pair[0] for pair in kept])
    # A trace numbers what it captures; a file should not differ from one build to the next.
    nodes = {spec.node: f"weights/{spec.name}" for spec, _ in kept}
    _rename(definition, nodes)
    graph = PureGraph(
        definition=definition.SerializeToString(deterministic=True),
        image=frozen.inputs[0].op.name,
        weights=tuple(
            replace(spec, node=nodes[spec.node], trainable=spec.trainable and spec.node not in held)
            for spec, _ in kept
        ),
        features=features,
        feature_shape=tuple(shape[1:]),
        penalty=penalty[0] if penalty else None,
    )
    if not handle.frozen and not any(weight.trainable for weight in graph.weights):
        raise ModelError(
            f"module {handle.location!r}: expected weights that can be trained. Received: none in "
            "what leads from the image to the features. Use it frozen, with a head that trains: "
            "hub:HANDLE#frozen and --schedule head."
        )
    return graph, [value for _, value in kept]


def _find_endpoint(module: Any, handle: Handle) -> Callable[[Any], Any]:
    signatures: Mapping[str, Any] = getattr(module, "signatures", {})
    if handle.signature is None and callable(module):
        return lambda image: _call_as_at_inference(module, image)
    name = handle.signature
    if name is None:
        preferred = [key for key in _PREFERRED if key in signatures]
        name = (preferred or [*signatures, ""])[0] if preferred or len(signatures) == 1 else ""
    if name not in signatures:
        raise ModelError(
            f"module {handle.location!r}: expected a function to call: __call__, "
            f"serving_default, or hub:HANDLE#signature=NAME. Received: "
            f"signature={handle.signature!r}; it has: {', '.join(sorted(signatures)) or 'none'}."
        )
    function = signatures[name]
    arguments = list(function.structured_input_signature[1])
    if len(arguments) != 1:
        raise ModelError(
            f"module {handle.location!r}: expected a function of one image. Received: "
            f"signature={name!r} of {', '.join(sorted(arguments)) or 'nothing'}. Name another: "
            f"hub:HANDLE#signature=NAME, among {', '.join(sorted(signatures))}."
        )
    return lambda image: function(**{arguments[0]: image})


def _call_as_at_inference(module: Any, image: Any) -> Any:
    # Whether a restored function has the argument can only be read with private means.
    try:
        return module(image, training=False)
    except (TypeError, ValueError) as error:
        try:
            return module(image)
        except (TypeError, ValueError):
            raise error from None


def _choose_output(outputs: Any, handle: Handle) -> Any:
    if isinstance(outputs, Mapping):
        named = dict(outputs)
    elif isinstance(outputs, (list, tuple)):
        named = {str(number): output for number, output in enumerate(outputs)}
    else:
        named = {"default": outputs}
    chosen = handle.output
    if chosen is None:
        chosen = "default" if "default" in named or len(named) != 1 else next(iter(named))
    if chosen not in named:
        raise ModelError(
            f"module {handle.location!r}: expected one output, one named 'default', or "
            f"hub:HANDLE#output=NAME. Received: output={handle.output!r}; it has: "
            f"{', '.join(map(str, named))}."
        )
    return named[chosen]


def _check_features(shape: Any, handle: Handle) -> None:
    known = shape.rank in (2, 3, 4) and shape[-1] is not None
    if not known:
        raise ModelError(
            f"module {handle.location!r}: expected a vector, tokens or a map of known channels. "
            f"Received: shape={shape}. Choose another output: hub:HANDLE#output=NAME."
        )


def _captured(traced: Any) -> dict[str, Any]:
    """Returns the variables that a traced function reads, by the node that stands for each."""
    by_handle = {id(variable.handle): variable for variable in traced.graph.variables}
    return {
        placeholder.op.name: by_handle[id(captured)]
        for captured, placeholder in traced.graph.captures
        if id(captured) in by_handle
    }


def _lift_weights(
    definition: Any, variables: Mapping[str, Any], module: Any, *, frozen: bool
) -> tuple[list[WeightSpec], list[np.ndarray]]:
    """Turns the constants of a frozen graph that are weights into placeholders."""
    import tensorflow as tf

    # What a module declares counts: a variable's own flag survives a freezing before the save.
    declared: Iterable[Any] | None = getattr(module, "trainable_variables", None)
    trainable = None if declared is None else {id(variable.handle) for variable in declared}
    specs, values, names = [], [], set[str]()
    for node in definition.node:
        if node.op != "Const" or not tf.dtypes.as_dtype(node.attr["dtype"].type).is_floating:
            continue
        variable = variables.get(node.name)
        value = tf.make_ndarray(node.attr["value"].tensor)
        if variable is None and value.nbytes <= _LARGE_CONSTANT_BYTES:
            continue
        moves = variable is not None and not frozen
        if moves and trainable is not None:
            moves = id(variable.handle) in trainable
        elif moves:
            moves = bool(variable.trainable)
        called = node.name if variable is None else variable.name.partition(":")[0]
        name = _free_name(called.replace("/", "_"), names)
        names.add(name)
        specs.append(WeightSpec(node.name, name, value.shape, value.dtype.name, moves))
        values.append(value)
        dtype = node.attr["dtype"].type
        node.op = "Placeholder"
        node.attr.clear()
        node.attr["dtype"].type = dtype
        node.attr["shape"].shape.CopyFrom(tf.TensorShape(value.shape).as_proto())
    return specs, values


def _free_name(name: str, taken: set[str]) -> str:
    number, free = 1, name
    while free in taken:
        number, free = number + 1, f"{name}_{number}"
    return free


def _tidy(definition: Any, fetches: list[str]) -> Any:
    """Returns what the fetches are computed from, without what only orders side effects."""
    from tensorflow.core.framework.graph_pb2 import GraphDef

    for node in definition.node:
        # Nothing in the graph has an effect (`find_impure`), so no order has to be kept.
        data = [name for name in node.input if not name.startswith("^")]
        del node.input[:]
        node.input.extend(data)
        node.device = ""
        for key in [key for key in node.attr if key.startswith("_")]:
            del node.attr[key]
    nodes = {node.name: node for node in definition.node}
    needed, waiting = set[str](), list(fetches)
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting += [source.partition(":")[0] for source in nodes[name].input]
    tidy = GraphDef(versions=definition.versions, library=definition.library)
    tidy.node.extend(node for node in definition.node if node.name in needed)
    return tidy


def _rename(definition: Any, names: Mapping[str, str]) -> None:
    """Gives nodes other names, wherever those are used, and sorts all by name.

    Nodes with other names have one output each.
    """
    for node in definition.node:
        node.name = names.get(node.name, node.name)
        inputs = [names.get(name.removesuffix(":0"), name) for name in node.input]
        del node.input[:]
        node.input.extend(inputs)
    nodes = sorted(definition.node, key=lambda node: node.name)
    del definition.node[:]
    definition.node.extend(nodes)


def _normalization_weights(definition: Any, specs: list[WeightSpec]) -> set[str]:
    """Returns the nodes of gammas and betas: what batch normalizations scale and shift with."""
    nodes = {node.name: node for node in definition.node}

    def origin(name: str) -> str:
        node = nodes[name.partition(":")[0]]
        while node.op in _PASSTHROUGH_OPS:
            node = nodes[node.input[0].partition(":")[0]]
        return str(node.name)

    held = {
        origin(name)
        for node in definition.node
        if node.op in _NORMALIZATIONS
        for name in node.input[1:3]
    }
    # Of other than maps they are written out in arithmetic; then their names are all there is.
    names = {spec.name for spec in specs}
    for spec in specs:
        match = re.fullmatch(r"(.*)(gamma|beta)", spec.name)
        if match and f"{match[1]}moving_mean" in names:
            held.add(spec.node)
    return held


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0][:300] if text else type(error).__name__
