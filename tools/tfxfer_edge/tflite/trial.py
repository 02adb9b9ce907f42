"""A `.tflite` file from outside, run once in a process of its own before it is run in ours.

`soundness` sees an operator that reads what nothing wrote. It does not know what each of a hundred
kinds of operators wants of its inputs; a runtime that is given a weight for a bias ends with a
signal.
"""

from __future__ import annotations

from pathlib import Path

from tfxfer.errors import ModelError
from tfxfer.system.process import ask_child

__all__ = ["try_file"]

_TIMEOUT_S = 120  # a network of 100 MB takes about a second
_CODE = """
import numpy as np
from ai_edge_litert.interpreter import Interpreter

interpreter = Interpreter(model_path=read_question(), num_threads=1)
interpreter.allocate_tensors()
for detail in interpreter.get_input_details():
    interpreter.set_tensor(detail["index"], np.zeros(detail["shape"], detail["dtype"]))
interpreter.invoke()
answer(True)
"""


def try_file(path: str | Path) -> None:
    """Loads a file and runs it on zeros, where it can harm nobody.

    Raises:
        ModelError: that process did not live to tell of it.
    """
    outcome = ask_child(_CODE, str(path), timeout_s=_TIMEOUT_S)
    if outcome.answers:
        return
    # An error that has words is told better by whoever loads the file in earnest.
    if outcome.signal or outcome.hung:
        how = f"ended its process with signal {outcome.signal}"
        raise ModelError(
            f"model {str(path)!r}: expected a file LiteRT runs. Received: one that "
            f"{outcome.end if outcome.hung else how}. It is damaged: copy or export it again."
        )
