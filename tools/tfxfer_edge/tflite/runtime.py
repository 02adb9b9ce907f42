"""LiteRT's interpreter on a file in memory, and the run on noise that every rewrite ends with."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfxfer.errors import ModelError
from tfxfer.system.quiet import quiet_native

__all__ = ["load_interpreter", "verify"]


def load_interpreter(
    content: bytes | bytearray, *, threads: int = 1, keep_all: bool = False
) -> Any:
    """Returns an allocated interpreter.

    Args:
        content: the file.
        threads: of its kernels.
        keep_all: every tensor can be read after a run; slow, without XNNPACK.

    Raises:
        ModelError: the runtime does not take the file.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    options: dict[str, Any] = {}
    if keep_all:
        options["experimental_op_resolver_type"] = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        options["experimental_preserve_all_tensors"] = True
    try:
        with quiet_native(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            interpreter = Interpreter(model_content=bytes(content), num_threads=threads, **options)
            interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(f"model: expected a file LiteRT loads. Received: {first}") from error
    return interpreter


def verify(content: bytes | bytearray, *, fills: Mapping[str, int] | None = None) -> None:
    """Loads the file and runs it once on noise; every rewrite ends with this.

    Not on zeros, which have no length to divide by: what makes NaN of them is no fault.

    Args:
        content: the file.
        fills: inputs that hold one value instead, by their names.

    Raises:
        ModelError: it does not load, does not run, or its output is not finite.
    """
    interpreter = load_interpreter(content)
    rng = np.random.default_rng(0)
    for detail in interpreter.get_input_details():
        name, shape, dtype = detail["name"], detail["shape"], np.dtype(detail["dtype"])
        if name in (fills or {}):
            values = np.full(shape, (fills or {})[name])
        elif dtype.kind == "f":
            values = rng.uniform(0, 1, shape)  # in the range of every usual preprocessing
        else:
            values = rng.integers(0, 2 if dtype.itemsize > 2 else 128, shape)  # tokens, or steps
        interpreter.set_tensor(detail["index"], values.astype(dtype))
    try:
        with quiet_native():
            interpreter.invoke()
    except (ValueError, RuntimeError) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(f"model: expected a file LiteRT runs. Received: {first}") from error
    for detail in interpreter.get_output_details():
        if not np.isfinite(interpreter.get_tensor(detail["index"])).all():
            raise ModelError(
                "model: expected finite outputs for inputs of noise. Received: NaN or infinity."
            )
