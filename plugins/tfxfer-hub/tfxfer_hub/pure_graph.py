"""A network as a graph without state, small enough for a layer's config. Needs no tfxfer.

A SavedModel may hold any operation, also one that writes files, which is why Keras loads its own
`TFSMLayer` only when told that the file is trusted. What is kept of a module here is the
computation from image and weights to features, and every operation in it is checked before it
runs: a model that holds it loads in safe mode. `tfxfer.saved_model` judges whole SavedModels by
the same words, but a saved model must load where tfxfer is not installed.
"""

from __future__ import annotations

import base64
import functools
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

__all__ = ["PureGraph", "UnsafeGraphError", "WeightSpec", "find_impure"]

# What these do is in functions of the graph's library, which is checked, too.
_WRAPPERS = frozenset(
    {"Case", "If", "PartitionedCall", "StatefulPartitionedCall", "While"}
)  # fmt: skip
# Attributes whose text says how to compute. Any other text may name a file, an address or code.
_WORDS = frozenset(
    {
        "coordinate_transformation_mode", "data_format", "direction", "dst_format", "equation",
        "fill_mode", "interpolation", "lower_control_flow", "message", "mode", "padding",
        "round_mode", "src_format",
    }
)  # fmt: skip
_MOST_BYTES = 2**28  # of an unpacked graph; those of 50 to 150 layers take 0.1 to 1 MiB


class UnsafeGraphError(ValueError):
    """A graph with an operation that does more than compute numbers from numbers."""


@dataclass(frozen=True)
class WeightSpec:
    """One weight of a graph.

    Args:
        node: name of the placeholder that takes its value.
        name: as the module calls it, without slashes.
        shape: of the value.
        dtype: of the value, such as `float32`.
        trainable: whether training may move it.
    """

    node: str
    name: str
    shape: tuple[int, ...]
    dtype: str
    trainable: bool


@dataclass(frozen=True)
class PureGraph:
    """Features as a function of an image and of weights.

    Args:
        definition: serialized `GraphDef`.
        image: name of the placeholder that takes the image.
        weights: in the order in which their values are passed.
        features: name of the tensor that is the output.
        feature_shape: of that tensor, without the batch.
        penalty: name of the scalar that the module adds to a loss; None where it has none.
    """

    definition: bytes
    image: str
    weights: tuple[WeightSpec, ...]
    features: str
    feature_shape: tuple[int, ...]
    penalty: str | None = None

    def to_config(self) -> dict[str, Any]:
        """Returns plain JSON data; `from_config` reads it back."""
        packed = base64.b64encode(zlib.compress(self.definition, 9)).decode("ascii")
        return {**asdict(self), "definition": packed}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Reads `to_config`'s data.

        Raises:
            UnsafeGraphError: it does more than compute, or is far larger than a graph is.
        """
        unpacker = zlib.decompressobj()
        definition = unpacker.decompress(base64.b64decode(config["definition"]), _MOST_BYTES)
        if not unpacker.eof:
            raise UnsafeGraphError(
                f"graph: expected at most {_MOST_BYTES / 2**20:.0f} MiB. Received: more."
            )
        weights = tuple(
            WeightSpec(**{**item, "shape": tuple(item["shape"])}) for item in config["weights"]
        )
        shape = tuple(config["feature_shape"])
        graph = cls(
            **{**config, "definition": definition, "weights": weights, "feature_shape": shape}
        )
        graph.check()
        return graph

    @functools.cached_property
    def graph_def(self) -> Any:
        """The `GraphDef`, parsed once: without protobuf's C++ it takes a third of a second."""
        from tensorflow.core.framework.graph_pb2 import GraphDef

        return GraphDef.FromString(self.definition)

    def check(self) -> None:
        """Refuses operations that do more than compute.

        Raises:
            UnsafeGraphError: names the first of them.
        """
        impure = find_impure(self.graph_def)
        if impure:
            raise UnsafeGraphError(
                "graph: expected operations that compute numbers from numbers. "
                f"Received: {', '.join(impure[:3])}."
            )

    def run(self, image: Any, *values: Any) -> list[Any]:
        """Returns the features and, where there is one, the penalty, inside a `tf.function`.

        Shapes: image (batch, size, size, 3), values as `weights` says; features (batch, …).
        """
        import tensorflow as tf

        nodes = [self.image, *(weight.node for weight in self.weights)]
        fetches = [self.features, *filter(None, [self.penalty])]
        return tf.graph_util.import_graph_def(
            self.graph_def,
            input_map={f"{node}:0": x for node, x in zip(nodes, (image, *values), strict=True)},
            return_elements=fetches,
            name="module",
        )


def find_impure(definition: Any) -> list[str]:
    """Returns the operations of a `GraphDef` that do more than compute numbers from numbers.

    Those are: unknown ones, those that TensorFlow calls stateful (variables, files, random
    numbers, Python), those that take or give text or handles, and those with an attribute of text
    that no computation needs, such as `ImmutableConst`, which reads a file.

    Args:
        definition: a `GraphDef`; the functions in its library are looked at, too.
    """
    from tensorflow.python.framework import op_def_registry

    own = {function.signature.name for function in definition.library.function}
    found = []
    for node in _nodes(definition):
        if node.op in own:
            continue
        operation = op_def_registry.get(node.op)
        reason = "unknown" if operation is None else _reason(operation, node)
        if reason:
            found.append(f"{node.op} ({reason})")
    return list(dict.fromkeys(found))


def _nodes(definition: Any) -> Iterator[Any]:
    yield from definition.node
    for function in definition.library.function:
        yield from function.node_def


def _reason(operation: Any, node: Any) -> str:
    if operation.is_stateful and node.op not in _WRAPPERS:
        return "has a state or an effect"
    arguments: Sequence[Any] = (*operation.input_arg, *operation.output_arg)
    if any(not _is_numeric(argument.type) for argument in arguments):
        return "takes or gives text or handles"
    for key, value in node.attr.items():
        if not _is_numeric(value.type) or not all(map(_is_numeric, value.list.type)):
            return "takes or gives text or handles"
        if (value.s or value.list.s) and key not in _WORDS and not key.startswith("_"):
            return f"has the text {key!r}"
        if value.tensor.string_val or not _is_numeric(value.tensor.dtype):
            return "holds text or handles"
    return ""


def _is_numeric(dtype: int) -> bool:
    from tensorflow.core.framework import types_pb2

    return dtype % 100 not in (  # above 100 are references to the same kinds
        types_pb2.DT_STRING,
        types_pb2.DT_RESOURCE,
        types_pb2.DT_VARIANT,
    )
