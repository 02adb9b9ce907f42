"""What a microcontroller makes of a file: its memory, and its answers beside LiteRT's."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tfxfer_edge.proof.contract import EXPLAINED, measure_spread
from tfxfer_edge.proof.parity import Agreement, measure_agreement
from tfxfer_edge.proof.subject import Subject
from tfxfer_edge.tflite.flatbuffer import list_operators
from tfxfer_edge.tflite.micro_run import PACKAGE, find_version, run_micro
from tfxfer_edge.tflite.runtime import load_interpreter

__all__ = ["MicroReport", "measure_micro", "run_litert"]

_NEAR = 0.02  # of scores 0..1: a few steps of 8 bits
_INSTALL = "pip install 'tfxfer-edge[micro]' (Linux on x86-64)"


@dataclass(frozen=True)
class MicroReport:
    """What a microcontroller makes of a file.

    Args:
        operators: kinds of operators, for a `MicroMutableOpResolver`, in order of the graph.
        runs: whether TensorFlow Lite Micro runs it; None where that was not tried.
        reason: why it was not tried or does not run, with the operator.
        version: of `tflite-micro`.
        arena_bytes: the least memory for tensors, on 64 bits.
        samples: how many were compared with LiteRT.
        largest_steps: by how many steps of the output any score differs from that of LiteRT's
            plain kernels; of a float output, the largest difference itself.
        equality: the same in words.
        agreement: with LiteRT as a phone runs it, whose fast kernels round otherwise.
        limit: the mean difference of a score from LiteRT's that is still the same answer.
    """

    operators: tuple[str, ...]
    runs: bool | None = None
    reason: str | None = None
    version: str | None = None
    arena_bytes: int | None = None
    samples: int = 0
    largest_steps: float | None = None
    equality: str | None = None
    agreement: Agreement | None = None
    limit: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Returns plain JSON data."""
        return {**asdict(self), "words": self.words}

    @property
    def fault(self) -> str | None:
        """What is wrong with the answers, in one line; None where they are LiteRT's."""
        if self.agreement is None or self.limit is None or self.agreement.mean <= self.limit:
            return None
        return (
            f"TensorFlow Lite Micro differs from LiteRT by {self.agreement.mean:.3g} on average, "
            f"above {self.limit:.3g}"
        )

    @property
    def words(self) -> str:
        """What was found, in one line for people."""
        if self.runs is None:
            return f"microcontroller: memory for tensors {self.reason}"
        if not self.runs:
            return f"microcontroller: TensorFlow Lite Micro does not run the file: {self.reason}"
        return (
            f"microcontroller: {self.arena_bytes:,} bytes for tensors, the answers of LiteRT's "
            f"plain kernels {self.equality} on {self.samples} images, "
            f"{len(self.operators)} kinds of operators"
        )


def measure_micro(subject: Subject, content: bytes, inputs: np.ndarray) -> MicroReport:
    """Returns what TensorFlow Lite Micro makes of a file.

    Args:
        subject: what is exported; it says whether two answers are one.
        content: the file, without metadata.
        inputs: real samples as the input holds them.

    Shapes: inputs (samples, size, size, channels).
    """
    operators = tuple(dict.fromkeys(list_operators(content)))
    if find_version() is None:
        reason = f"not measured: {PACKAGE} is not installed. {_INSTALL}"
        return MicroReport(operators, reason=reason)
    run = run_micro(content, inputs)
    if run.outputs is None:
        return MicroReport(operators, False, run.reason, run.version)
    plain = run_litert(content, inputs, plain=True)
    scale = _find_scale(content)
    steps = float(np.abs(run.outputs.astype(np.float64) - plain).max())
    fast = run_litert(content, inputs, plain=False)
    return MicroReport(
        operators,
        True,
        None,
        run.version,
        run.arena_bytes,
        len(inputs),
        steps,
        _describe(steps, is_integer=run.outputs.dtype.kind in "iu"),
        _compare(subject, _as_scores(run.outputs, scale), _as_scores(fast, scale)),
        max(EXPLAINED * measure_spread(_as_scores(fast, scale)), _NEAR),
    )


def run_litert(content: bytes, inputs: np.ndarray, *, plain: bool) -> np.ndarray:
    """Returns what LiteRT answers, as the output tensor holds it.

    Args:
        content: a file of one input.
        inputs: samples as it holds them.
        plain: without the fast kernels of XNNPACK, which round otherwise.

    Shapes: inputs (samples, …) without the batch; returns (samples, …).
    """
    interpreter = load_interpreter(content, keep_all=plain)
    source = interpreter.get_input_details()[0]["index"]
    target = interpreter.get_output_details()[0]["index"]
    parts = []
    for sample in inputs:
        interpreter.set_tensor(source, sample[None])
        interpreter.invoke()
        parts.append(interpreter.get_tensor(target).copy())
    return np.concatenate(parts)


def _find_scale(content: bytes) -> tuple[float, int]:
    scale, zero = load_interpreter(content).get_output_details()[0]["quantization"]
    return (float(scale), int(zero)) if scale else (1.0, 0)


def _as_scores(steps: np.ndarray, scale: tuple[float, int]) -> np.ndarray:
    return ((steps.astype(np.float64) - scale[1]) * scale[0]).astype(np.float32)


def _compare(subject: Subject, found: np.ndarray, expected: np.ndarray) -> Agreement:
    rows = [x.reshape(len(x), -1) for x in (expected, found)]
    return measure_agreement(subject.predictor, *rows)


def _describe(steps: float, *, is_integer: bool) -> str:
    if steps == 0:
        return "bit for bit"
    if not is_integer:
        return f"within {steps:.2g}"
    return "within one step" if steps <= 1 else f"within {steps:.0f} steps"
