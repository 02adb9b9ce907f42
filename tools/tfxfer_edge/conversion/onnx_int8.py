"""Float ONNX in integers: QDQ, the form that onnxruntime's kernels are found by.

Convolutions and dense layers compute in 8 bits, weights with a scale for each output channel. Two
ends stay float, for next to nothing: what rescales pixels, whose rounding would be done twice, and
the last dense layer with the pooling before it and what follows.

Source:
    `onnxruntime.quantization.quantize_static`, "Choosing parameters for CPU inference" (1.32): QDQ,
    signed weights, and for x86 unsigned activations, which ARM's kernels take, too. On a CPU with
    VNNI EfficientNet-Lite0 took 15.8 ms so, 24.6 with signed ones, and 25.0 in float. One of
    x86 without VNNI may saturate in sums of two products: the gate scores what it is run on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tfxfer.data.arrays import Arrays, count_rows, map_arrays
from tfxfer.errors import ModelError
from tfxfer.system.scratch import scratch_folder
from tfxfer_edge.conversion.quiet import quiet

__all__ = ["quantize_onnx"]

_RESCALES = frozenset({"Add", "Cast", "Div", "Identity", "Mul", "Sub", "Transpose"})
_POOLS = frozenset({"Flatten", "GlobalAveragePool", "ReduceMean", "Reshape", "Squeeze"})
_DENSE = frozenset({"Conv", "Gemm", "MatMul"})


def quantize_onnx(content: bytes, samples: Arrays, *, extremes: Arrays | None, name: str) -> bytes:
    """Returns a float ONNX file in 8 bits.

    Args:
        content: of the float file, with a free batch size.
        samples: that find the ranges, as its inputs take them; a dict of arrays by their names
            where it has several.
        extremes: the lowest and the highest that its input can be, which no photo may reach; they
            widen the range of the input alone. None of samples that have none.
        name: of the model, for messages.

    Shapes: (samples, …) each.

    Raises:
        ModelError: onnxruntime's quantizer refuses the graph.
    """
    try:
        with scratch_folder("onnx") as folder, quiet():
            return _quantize(content, samples, extremes, folder)
    except (OSError, MemoryError):
        raise  # a full disk is no fault of the model
    # The quantizer has a class for no fault of its own.
    except Exception as error:
        raise ModelError(
            f"model {name!r}: expected a graph that onnxruntime's quantizer takes. "
            f"Received: {(str(error).strip() or type(error).__name__).splitlines()[0]}"
        ) from error


def _quantize(content: bytes, samples: Arrays, extremes: Arrays | None, folder: Path) -> bytes:
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    given, prepared, target = (folder / f"{name}.onnx" for name in ("float", "prepared", "int8"))
    given.write_bytes(content)
    # Batch normalization is folded into weights here; sizes are known without symbols.
    quant_pre_process(given, prepared, skip_symbolic_shape=True)
    model = onnx.load(prepared)
    for number, node in enumerate(model.graph.node):
        node.name = node.name or f"node_{number}"  # by which they are left out below
    entry, rescales = _find_entry(model.graph)
    overrides = {}
    if extremes is not None and entry is not None:
        low, high = _find_range(model, entry, extremes)
        overrides[entry] = [{"rmin": low, "rmax": high}]
    quantize_static(
        model,
        target,
        _Reader(model.graph, samples),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        nodes_to_exclude=[*rescales, *_list_last(model.graph)],
        extra_options={"TensorQuantOverrides": overrides},
    )
    return target.read_bytes()


def _find_entry(graph: Any) -> tuple[str | None, list[str]]:
    """Returns the tensor that the network proper takes, and the nodes that rescale pixels to it."""
    stored = {item.name for item in graph.initializer}
    inputs = [item.name for item in graph.input if item.name not in stored]
    if len(inputs) != 1:
        return None, []
    at, found = inputs[0], list[str]()
    while True:
        readers = [node for node in graph.node if at in node.input]
        if len(readers) != 1 or readers[0].op_type not in _RESCALES:
            return at, found
        if any(x != at and x not in stored for x in readers[0].input):
            return at, found
        found.append(readers[0].name)
        at = readers[0].output[0]


def _find_range(model: Any, tensor: str, samples: Arrays) -> tuple[Any, Any]:
    """Returns the lowest and the highest value of a tensor for some samples."""
    import onnx
    import onnxruntime

    cut = onnx.ModelProto()
    cut.CopyFrom(model)
    del cut.graph.output[:]
    cut.graph.output.append(onnx.helper.make_empty_tensor_value_info(tensor))
    session = onnxruntime.InferenceSession(
        cut.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    assert not isinstance(samples, dict)  # a rescale is found behind one input
    values = samples
    if tensor != session.get_inputs()[0].name:
        values = session.run(None, {session.get_inputs()[0].name: samples})[0]
    return np.float32(values.min()), np.float32(values.max())


def _list_last(graph: Any) -> list[str]:
    """Returns the last node that multiplies weights, what follows, and what pools its input."""
    nodes = list(graph.node)
    last = max((at for at, node in enumerate(nodes) if node.op_type in _DENSE), default=None)
    if last is None:
        return []
    found = [node.name for node in nodes[last:]]
    makers = {made: node for node in nodes for made in node.output}
    maker = makers.get(nodes[last].input[0])
    while maker is not None and maker.op_type in _POOLS:
        found.append(maker.name)
        maker = makers.get(maker.input[0])
    return found


class _Reader:
    """Hands samples to the quantizer one by one, as its `CalibrationDataReader`s do."""

    def __init__(self, graph: Any, samples: Arrays) -> None:
        self._samples, self._at = samples, 0
        self._name = graph.input[0].name

    def get_next(self) -> dict[str, np.ndarray] | None:
        """Returns what the inputs take of the next sample; None after the last."""
        if self._at == count_rows(self._samples):
            return None
        at = self._at
        self._at += 1
        row = map_arrays(lambda x: x[at : at + 1], self._samples)
        return row if isinstance(row, dict) else {self._name: row}
