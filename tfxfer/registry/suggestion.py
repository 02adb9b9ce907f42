"""Which distribution of this project would bring a name that nothing installed has."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from tfxfer.registry.component import Kind, normalise_name

__all__ = ["suggest_distribution", "suggest_package"]

# By what a name starts with. An empty beginning stands for every name: heads and exporters of
# this project come from one distribution each.
_KNOWN: Mapping[Kind, Mapping[str, str]] = {
    "modality": {"text": "tfxfer-text"},
    "backbone": {
        "efficientnet": "tfxfer-efficientnet",
        "mobilenet": "tfxfer-mobilenet",
        "resnet": "tfxfer-resnet",
        "vgg": "tfxfer-classics",
        "inception": "tfxfer-classics",
        "xception": "tfxfer-classics",
        "densenet": "tfxfer-classics",
        "convnext": "tfxfer-classics",
        "nasnet": "tfxfer-classics",
        "hub:": "tfxfer-hub",
        "kerashub:": "tfxfer-kerashub",
        "minilm": "tfxfer-text",
        "bert": "tfxfer-text",
        "distilbert": "tfxfer-text",
        "text:": "tfxfer-text",
    },
    "head": {"": "tfxfer-heads"},
    "command": dict.fromkeys(
        ("add-class", "benchmark", "convert", "export", "inspect"), "tfxfer-edge"
    ),
    "reader": {"onnx": "tfxfer-edge", "saved_model": "tfxfer-edge", "tflite": "tfxfer-edge"},
    "exporter": {"": "tfxfer-edge"},
    "demo": {"sms": "tfxfer-text"},
}

# Lets one slip pass in a word of this length ('mobilnet', 'exprot').
_LEAST_LIKENESS = 0.8


def suggest_distribution(kind: Kind, name: str) -> str | None:
    """Returns the distribution that may bring an unknown name; None where we know of none.

    Example:
        >>> suggest_distribution("backbone", "mobilnet_v2")
        'tfxfer-mobilenet'
    """
    known = {
        beginning: difflib.SequenceMatcher(None, name[: len(beginning)].lower(), beginning).ratio()
        for beginning in _KNOWN[kind]
    }
    best = max(known, key=known.__getitem__)
    return _KNOWN[kind][best] if known[best] >= _LEAST_LIKENESS else None


def suggest_package(module: str) -> str | None:
    """Returns the distribution of this project with a top-level module; None if none of it has.

    Example:
        >>> suggest_package("tfxfer_hub")
        'tfxfer-hub'
    """
    name = normalise_name(module)
    return name if any(name in names.values() for names in _KNOWN.values()) else None
