"""Whether the graph of a `.tflite` file can be run at all, told before a runtime follows it.

LiteRT trusts the numbers in a file. An operator that reads what nothing has written, or a weight
that is shorter than its shape says, is a pointer to nowhere: it ends the process with a signal, and
nothing is left to catch.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tfxfer.errors import ModelError
from tfxfer.system.bounded import MOST_MODEL_BYTES, LargeFileError, read_bytes
from tfxfer_edge.tflite.flatbuffer import read_model, type_name

__all__ = ["check_graphs", "check_model_file", "read_sound_model"]

_MISSING = -1  # an optional input that is left out
_BITS = {
    **dict.fromkeys(("float64", "int64", "uint64", "complex64"), 64),
    **dict.fromkeys(("float32", "int32", "uint32"), 32),
    **dict.fromkeys(("float16", "bfloat16", "int16", "uint16"), 16),
    **dict.fromkeys(("int8", "uint8", "bool"), 8),
    "int4": 4,
}
"""Of one value, by type. Others, such as strings, have no fixed size and are not measured."""


def read_sound_model(content: bytes | bytearray) -> Any:
    """Returns a `ModelT` whose weights are all inside, and whose graphs can be run.

    Raises:
        ModelError: see `read_model` and `check_graphs`.
    """
    model = read_model(content)
    check_graphs(model)
    return model


def check_model_file(path: str | Path) -> None:
    """Refuses a file that is no whole `.tflite` file, before a runtime says so in its own words.

    Raises:
        ModelError: it cannot be read, is empty, something else or cut off, or its graph cannot
            be run.
    """
    try:
        read_sound_model(read_bytes(Path(path), MOST_MODEL_BYTES))
    except (OSError, LargeFileError) as error:
        raise ModelError(
            f"model {str(path)!r}: expected a .tflite file. "
            f"Received: {getattr(error, 'strerror', None) or error}."
        ) from error
    except ModelError as error:
        raise ModelError(f"model {str(path)!r}: {str(error).removeprefix('model: ')}") from error


def check_graphs(model: Any) -> None:
    """Refuses a model whose operators and tensors do not fit together.

    Args:
        model: a `ModelT` whose weights are inside.

    Raises:
        ModelError: an index that leads nowhere, an operator that reads what no earlier one has
            written, a tensor that is written twice, or weights of another size than their shape.
    """
    for number, graph in enumerate(model.subgraphs):
        _GraphCheck(model, graph, "graph" if not number else f"graph {number}").run()


class _GraphCheck:
    """One graph, and what is known to be written after the operators looked at so far."""

    def __init__(self, model: Any, graph: Any, where: str) -> None:
        self._model, self._graph, self._where = model, graph, where
        self._tensors = _listed(graph.tensors)
        self._written: set[int] = set()

    def run(self) -> None:
        """Looks at tensors first, then at operators in the order in which they run."""
        for index, tensor in enumerate(self._tensors):
            if self._check_values(index, tensor) or tensor.isVariable:
                self._written.add(index)
        sources = self._check_indices(self._graph.inputs, "inputs")
        if fixed := self._written.intersection(sources):
            raise self._refuse("inputs that no file fills", f"input {min(fixed)} with values")
        self._written.update(sources)
        for number, operator in enumerate(_listed(self._graph.operators)):
            self._check_operator(number, operator)
        self._refuse_unwritten(
            self._check_indices(self._graph.outputs, "outputs"), "the graph's outputs"
        )

    def _check_values(self, index: int, tensor: Any) -> bool:
        """Returns whether the file holds the values of a tensor, which then are as many as due."""
        buffers = _listed(self._model.buffers)
        if not 0 <= tensor.buffer < len(buffers):
            raise self._refuse(
                f"buffers below {len(buffers)}", f"tensor {index} in buffer {tensor.buffer}"
            )
        data = buffers[tensor.buffer].data
        shape = _listed(tensor.shape)
        if any(size < 0 for size in shape):
            raise self._refuse("sizes from 0 upwards", f"tensor {index} of shape {shape!s:.80}")
        if data is None or not len(data):
            return False
        bits = _BITS.get(type_name(tensor).lower())
        if bits is None or tensor.sparsity is not None:
            return True
        due = (math.prod(map(int, shape)) * bits + 7) // 8
        if len(data) != due:
            raise self._refuse(
                f"{due:,} bytes for tensor {index} of shape {shape!s:.80}", f"{len(data):,} bytes"
            )
        return True

    def _check_operator(self, number: int, operator: Any) -> None:
        name = f"operator {number}"
        codes = _listed(self._model.operatorCodes)
        if not 0 <= operator.opcodeIndex < len(codes):
            raise self._refuse(f"kinds below {len(codes)}", f"{name} of {operator.opcodeIndex}")
        reads = [x for x in _listed(operator.inputs) if x != _MISSING]
        self._refuse_unwritten(self._check_indices(reads, f"{name}'s inputs"), name)
        self._check_indices(
            [x for x in _listed(operator.intermediates) if x != _MISSING],
            f"{name}'s intermediate tensors",
        )
        for target in self._check_indices(operator.outputs, f"{name}'s outputs"):
            if target in self._written:
                raise self._refuse(
                    "each tensor written once", f"{name} writes tensor {target} again"
                )
            self._written.add(target)

    def _check_indices(self, indices: Any, name: str) -> list[int]:
        found = [int(index) for index in _listed(indices)]
        for index in found:
            if not 0 <= index < len(self._tensors):
                raise self._refuse(f"tensors below {len(self._tensors)}", f"{index} among {name}")
        return found

    def _refuse_unwritten(self, indices: Iterable[int], reader: str) -> None:
        for index in indices:
            if index not in self._written:
                raise self._refuse(
                    "operators that read what is there by then",
                    f"tensor {index}, read by {reader}, which nothing before it writes",
                )

    def _refuse(self, expected: str, received: str) -> ModelError:
        return ModelError(
            f"model: expected {expected} in its {self._where}. Received: {received}. "
            "The file is damaged: copy or export it again."
        )


def _listed(values: Sequence[Any] | None) -> list[Any]:
    """Returns a vector of the flatbuffer, which is None where it is empty, as plain values."""
    if values is None:
        return []
    return values.tolist() if hasattr(values, "tolist") else list(values)
