"""What of a graph a phone's accelerator took, as `benchmark_model` tells it.

Source:
    LiteRT's `tools/benchmark/benchmark_tflite_model.cc` and its delegate providers, whose log lines
    are read here: whether a delegate was made, and whether it got the graph, a part or nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["ACCELERATORS", "read_delegated", "write_option"]

_OPTIONS: Mapping[str, str] = {"cpu": "", "gpu": "--use_gpu=true ", "nnapi": "--use_nnapi=true "}
_NAMES = {"gpu": "GPU", "nnapi": "NNAPI"}

ACCELERATORS = tuple(_OPTIONS)
"""What `--accelerator` takes."""


def write_option(accelerator: str) -> str:
    """Returns the option of `benchmark_model`, ended by a space; nothing for the CPU."""
    return _OPTIONS[accelerator]


def read_delegated(printed: str, accelerator: str) -> str | None:
    """Returns what of a graph an accelerator took.

    Args:
        printed: the log of one call of `benchmark_model`.
        accelerator: that was asked for.

    Returns:
        `all`, `none`, `a part` or such as `40 of 64 operators`; None for the CPU, of which nothing
        is asked.

    Example:
        >>> log = "INFO: GPU acceleration is unsupported on this platform."
        >>> read_delegated(log, "gpu")
        'none'
    """
    if accelerator not in _NAMES:
        return None
    name = re.escape(_NAMES[accelerator])
    applied = re.search(
        rf"Explicitly applied {name} delegate[^\n]*?(completely|partially)", printed
    )
    if applied is None:
        return "none"  # it said why, or was never made
    if applied[1] == "completely":
        return "all"
    # XNNPACK may take what is left, and says so in the same words.
    line = rf"Replacing (\d+) out of (\d+) node\(s\) with delegate \(TfLite{name}"
    counts = re.search(line, printed, re.IGNORECASE)
    return "a part" if counts is None else f"{counts[1]} of {counts[2]} operators"
