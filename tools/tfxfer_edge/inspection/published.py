"""What accelerators say that they take, as data: which document says so, and when it was read.

Nothing here is a guess: an operator that a list does not name is not in it. `docs/inspect.md` says
what the lists leave open.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["EDGE_TPU", "GPU", "LISTS", "MICRO", "NNAPI", "XNNPACK", "PublishedList"]

_READ = "2026-11-29"
_FLOAT = ("float32",)
_HALF = ("float32", "float16")
_EIGHT = ("float32", "int8", "uint8")
_INTEGERS = ("int8", "uint8")
_WITH_INT32 = (*_EIGHT, "int32")
_ANY: tuple[str, ...] = ()
"""The list says nothing of types."""


@dataclass(frozen=True)
class PublishedList:
    """Operators that an accelerator takes.

    Args:
        name: of the accelerator.
        source: the document.
        read: when, as a date.
        operators: the types that each may compute in; empty where the list does not say.
        conditions: what else must hold, in words, for operators where the list says so.
        notes: what it says of all files.
    """

    name: str
    source: str
    read: str
    operators: Mapping[str, tuple[str, ...]]
    conditions: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def _each(names: str, types: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    return dict.fromkeys(names.split(), types)


XNNPACK = PublishedList(
    name="XNNPACK",
    source="LiteRT, tflite/delegates/xnnpack/xnnpack_delegate.cc, commit 038d2a26; LOG as "
    "ai-edge-litert 2.3.0 has it",
    read=_READ,
    operators={
        **_each(
            "ABS CEIL COS EXP FLOOR GELU HARD_SWISH LOG NEG RELU RELU6 RELU_N1_TO_1 ROUND RSQRT "
            "SIN SQRT SQUARE",
            _HALF,
        ),
        **_each(
            "AVERAGE_POOL_2D BATCH_MATMUL DIV MAXIMUM MINIMUM PRELU SOFTMAX SQUARED_DIFFERENCE",
            _FLOAT,
        ),
        **_each("ELU", ("float32", "int8")),
        **_each(
            "ADD CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE FULLY_CONNECTED LEAKY_RELU "
            "LOGISTIC MAX_POOL_2D MEAN MUL PAD QUANTIZE REDUCE_MAX REDUCE_MIN RESHAPE "
            "RESIZE_BILINEAR SLICE SPACE_TO_DEPTH SPLIT STRIDED_SLICE SUB SUM TANH TRANSPOSE "
            "TRANSPOSE_CONV",
            _EIGHT,
        ),
        **_each("DEQUANTIZE", (*_INTEGERS, "float16")),
    },
)
"""Its conditions are in `xnnpack`, since they decide where a graph is cut."""

GPU = PublishedList(
    name="GPU delegate",
    source="TensorFlow, lite/g3doc/performance/gpu_advanced.md, commit 021bfd4e",
    read=_READ,
    operators=_each(
        "ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D EXP FULLY_CONNECTED LOGISTIC "
        "LSTM MAX_POOL_2D MAXIMUM MINIMUM MUL PAD PRELU RELU RELU6 RESHAPE RESIZE_BILINEAR SOFTMAX "
        "STRIDED_SLICE SUB TRANSPOSE_CONV",
        (*_HALF, *_INTEGERS),
    ),
    conditions={"LSTM": "version 2, the basic one"},
    notes=(
        "it computes in float; files in 8 bits must be allowed by an option, which is experimental",
    ),
)

NNAPI = PublishedList(
    name="NNAPI delegate",
    source="TensorFlow, lite/delegates/nnapi/nnapi_delegate.cc (Validate, Android 11), commit "
    "acdcab50",
    read=_READ,
    operators={
        **_each(
            "AVERAGE_POOL_2D HARD_SWISH LOGISTIC MAX_POOL_2D PAD PADV2 RELU RELU6 RELU_N1_TO_1 "
            "RESHAPE RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR SOFTMAX CONCATENATION LEAKY_RELU "
            "PRELU MEAN REDUCE_MAX REDUCE_MIN SPACE_TO_DEPTH DEPTH_TO_SPACE TANH",
            _EIGHT,
        ),
        **_each(
            "ABS DIV ELU EXP L2_POOL_2D LOG LOG_SOFTMAX POW REDUCE_PROD RSQRT SIN SQRT SUM",
            _FLOAT,
        ),
        **_each(
            "ADD ARG_MAX ARG_MIN EXPAND_DIMS GATHER MAXIMUM MINIMUM MUL SELECT SLICE SPLIT SPLIT_V "
            "SQUARED_DIFFERENCE SUB TILE TOPK_V2 CAST",
            _WITH_INT32,
        ),
        **_each("NEG", ("float32", "int32")),
        **_each("PACK", ("float32", "int8", "int32")),
        **_each("QUANTIZE", _EIGHT),
        **_each("DEQUANTIZE", (*_INTEGERS, "float16")),
        **_each("LOGICAL_AND LOGICAL_NOT LOGICAL_OR", ("bool",)),
        **_each("EQUAL GREATER GREATER_EQUAL LESS LESS_EQUAL NOT_EQUAL", (*_WITH_INT32, "bool")),
        **_each(
            "BATCH_TO_SPACE_ND BIDIRECTIONAL_SEQUENCE_LSTM CONV_2D DENSIFY DEPTHWISE_CONV_2D "
            "EMBEDDING_LOOKUP FILL FLOOR FULLY_CONNECTED HASHTABLE_LOOKUP L2_NORMALIZATION "
            "LOCAL_RESPONSE_NORMALIZATION LSH_PROJECTION LSTM REDUCE_ANY RNN SPACE_TO_BATCH_ND "
            "SQUEEZE STRIDED_SLICE SVDF TRANSPOSE TRANSPOSE_CONV UNIDIRECTIONAL_SEQUENCE_LSTM "
            "UNIDIRECTIONAL_SEQUENCE_RNN",
            _ANY,
        ),
    },
    conditions={
        "CONV_2D": "a bias",
        "FULLY_CONNECTED": "an output that is not int16",
        "MEAN": "an output that is more than one number",
        "SOFTMAX": "4 dimensions at most",
    },
    notes=(
        "which of them the phone's own driver takes, the driver says; NNAPI is deprecated since "
        "Android 15",
    ),
)

EDGE_TPU = PublishedList(
    name="Edge TPU compiler",
    source="coral.ai/docs/edgetpu/models-intro, table of supported operations (runtime 14), as "
    "repeated at developer.axis.com for ARTPEC-7",
    read=_READ,
    operators=_each(
        "ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D EXPAND_DIMS FULLY_CONNECTED "
        "L2_NORMALIZATION LOGISTIC UNIDIRECTIONAL_SEQUENCE_LSTM MAXIMUM MAX_POOL_2D MEAN MINIMUM "
        "MUL PACK PAD PRELU QUANTIZE REDUCE_MAX REDUCE_MIN RELU RELU6 RELU_N1_TO_1 RESHAPE "
        "RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR RSQRT SLICE SOFTMAX SPACE_TO_DEPTH SPLIT "
        "SQUARED_DIFFERENCE SQUEEZE STRIDED_SLICE SUB SUM TANH TRANSPOSE TRANSPOSE_CONV",
        _INTEGERS,
    ),
    conditions={
        "AVERAGE_POOL_2D": "no fused activation",
        "CONCATENATION": "no fused activation",
        "CONV_2D": "the same dilation in x and y",
        "DEPTHWISE_CONV_2D": "the same dilation in x and y",
        "FULLY_CONNECTED": "an output of one dimension",
        "MAX_POOL_2D": "no fused activation",
        "MEAN": "none over the batch; over channels only where they are a multiple of 4",
        "PACK": "not along the batch",
        "PAD": "not along the batch",
        "PRELU": "a slope for each channel",
        "REDUCE_MAX": "not over the batch",
        "REDUCE_MIN": "not over the batch",
        "RESHAPE": "tensors that are not large",
        "RESIZE_BILINEAR": "three dimensions; some sizes are left out for their precision",
        "RESIZE_NEAREST_NEIGHBOR": "three dimensions; some sizes are left out for their precision",
        "SOFTMAX": "one dimension of at most 16,000 values",
        "SPLIT": "not along the batch",
        "STRIDED_SLICE": "strides of 1, no mask for an ellipsis or a new axis",
        "SUM": "not over the batch",
    },
    notes=("it takes files in 8 bits alone, whose sizes are fixed",),
)

MICRO = PublishedList(
    name="TensorFlow Lite Micro",
    source="tflite-micro, python/tflite_micro/python_ops_resolver.cc, commit 03e16b29",
    read=_READ,
    operators=_each(
        "ABS ADD ADD_N ARG_MAX ARG_MIN ASSIGN_VARIABLE AVERAGE_POOL_2D BATCH_TO_SPACE_ND "
        "BROADCAST_ARGS BROADCAST_TO CALL_ONCE CAST CEIL CONCATENATION CONV_2D COS CUMSUM "
        "DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE DIV ELU EQUAL EXP EXPAND_DIMS FILL FLOOR "
        "FLOOR_DIV FLOOR_MOD FULLY_CONNECTED GATHER GATHER_ND GREATER GREATER_EQUAL HARD_SWISH IF "
        "L2_NORMALIZATION L2_POOL_2D LEAKY_RELU LESS LESS_EQUAL LOG LOGICAL_AND LOGICAL_NOT "
        "LOGICAL_OR LOGISTIC LOG_SOFTMAX MAXIMUM MAX_POOL_2D MEAN MINIMUM MIRROR_PAD MUL NEG "
        "NOT_EQUAL PACK PAD PADV2 PRELU QUANTIZE READ_VARIABLE REDUCE_MAX RELU RELU6 RESHAPE "
        "RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR ROUND RSQRT SELECT_V2 SHAPE SIN SLICE SOFTMAX "
        "SPACE_TO_BATCH_ND SPACE_TO_DEPTH SPLIT SPLIT_V SQRT SQUARE SQUARED_DIFFERENCE SQUEEZE "
        "STRIDED_SLICE SUB SUM SVDF TANH TRANSPOSE TRANSPOSE_CONV UNIDIRECTIONAL_SEQUENCE_LSTM "
        "UNPACK VAR_HANDLE WHILE ZEROS_LIKE",
        _ANY,
    ),
    notes=("the list names operators alone: which types each takes, its kernel says",),
)

LISTS = (GPU, NNAPI, EDGE_TPU, MICRO)
