"""Weights in Hugging Face's layout, `model.safetensors`, as the arrays of our layers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfxfer.errors import WeightsError
from tfxfer_text.configuration import EncoderConfig

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Target", "list_targets", "load_encoder"]

_PREFIXES = ("bert.", "distilbert.", "model.", "encoder.")
# What stands on an encoder in the files of those who trained one for a task, and a count of places.
_NOT_THE_ENCODER = re.compile(
    r"(pooler|cls|classifier|pre_classifier|qa_outputs|dropout)\..*"
    r"|vocab_(transform|layer_norm|projector)\..*"
    r"|embeddings\.(position_ids|token_type_ids)"
)
_OLD_NAMES = (("LayerNorm.gamma", "LayerNorm.weight"), ("LayerNorm.beta", "LayerNorm.bias"))
_PICKLES = frozenset({".bin", ".ckpt", ".pkl", ".pt", ".pth"})
_SHORT = 3  # names that a message repeats


@dataclass(frozen=True)
class Target:
    """Where one tensor goes.

    Args:
        layer: name of ours.
        part: which of its variables, such as `kernel`.
        shape: of the tensor in the file.
        is_dense: whether it is a matrix that maps columns to rows, as PyTorch has it.
    """

    layer: str
    part: str
    shape: tuple[int, ...]
    is_dense: bool = False


def list_targets(config: EncoderConfig) -> dict[str, Target]:
    """Returns where every tensor of a file goes, by its name without a prefix."""
    found = {
        "embeddings.word_embeddings.weight": Target(
            "word_embedding", "embeddings", (config.vocabulary_size, config.hidden_size)
        ),
        "embeddings.position_embeddings.weight": Target(
            "position_embedding", "embeddings", (config.max_tokens, config.hidden_size)
        ),
        **_norm("embeddings.LayerNorm", "embedding_norm", config),
    }
    if config.segments:
        found["embeddings.token_type_embeddings.weight"] = Target(
            "segment_embedding", "embeddings", (config.segments, config.hidden_size)
        )
    for number in range(config.blocks):
        found.update(_block(config, number))
    return found


def load_encoder(model: Any, config: EncoderConfig, path: Path) -> None:
    """Reads a file's tensors into the layers that `build_encoder` made.

    Nothing is set before everything is known to be there and to fit.

    Args:
        model: flat `keras.Model` that holds those layers.
        config: of the network.
        path: of `model.safetensors`.

    Raises:
        WeightsError: it is no such file, or lacks a tensor, has an unknown one, or one of another
            shape or kind of number; the message names it.
    """
    values = list(_read(path, list_targets(config)))
    for target, value in values:
        variable = getattr(model.get_layer(target.layer), target.part)
        variable.assign(value.T if target.is_dense else value)


def _norm(theirs: str, ours: str, config: EncoderConfig) -> dict[str, Target]:
    return {
        f"{theirs}.weight": Target(ours, "gamma", (config.hidden_size,)),
        f"{theirs}.bias": Target(ours, "beta", (config.hidden_size,)),
    }


def _dense(theirs: str, ours: str, outputs: int, inputs: int) -> dict[str, Target]:
    return {
        f"{theirs}.weight": Target(ours, "kernel", (outputs, inputs), is_dense=True),
        f"{theirs}.bias": Target(ours, "bias", (outputs,)),
    }


_BERT_PARTS = {
    "prefix": "encoder.layer.",
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "output": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "inner": "intermediate.dense",
    "outer": "output.dense",
    "norm": "output.LayerNorm",
}
_DISTILBERT_PARTS = {
    "prefix": "transformer.layer.",
    "query": "attention.q_lin",
    "key": "attention.k_lin",
    "value": "attention.v_lin",
    "output": "attention.out_lin",
    "attention_norm": "sa_layer_norm",
    "inner": "ffn.lin1",
    "outer": "ffn.lin2",
    "norm": "output_layer_norm",
}


def _block(config: EncoderConfig, number: int) -> dict[str, Target]:
    parts = _BERT_PARTS if config.kind == "bert" else _DISTILBERT_PARTS
    theirs = {part: f"{parts['prefix']}{number}.{name}" for part, name in parts.items()}
    ours, width = f"block_{number + 1}", config.hidden_size
    found: dict[str, Target] = {}
    for part in ("query", "key", "value", "output"):
        found |= _dense(theirs[part], f"{ours}_{part}", width, width)
    found |= _norm(theirs["attention_norm"], f"{ours}_attention_norm", config)
    found |= _dense(theirs["inner"], f"{ours}_inner", config.inner_size, width)
    found |= _dense(theirs["outer"], f"{ours}_outer", width, config.inner_size)
    found |= _norm(theirs["norm"], f"{ours}_norm", config)
    return found


def _read(path: Path, targets: Mapping[str, Target]) -> Iterator[tuple[Target, np.ndarray]]:
    import safetensors
    from safetensors import safe_open

    _refuse_pickle(path)
    try:
        file: Any = safe_open(path, framework="numpy")
    except (OSError, safetensors.SafetensorError) as error:
        raise WeightsError(
            f"weights {str(path)!r}: expected a safetensors file. "
            f"Received: {type(error).__name__}: {error}."
        ) from error
    with file:
        names = _match(list(file.keys()), targets, path)
        for name, target in targets.items():
            _check_shape(path, names[name], tuple(file.get_slice(names[name]).get_shape()), target)
        for name, target in targets.items():
            yield target, _read_tensor(partial(file.get_tensor, names[name]), path, name)


def _refuse_pickle(path: Path) -> None:
    with path.open("rb") as file:
        # A zip or a pickle, whatever its name: what PyTorch writes, and what may run code.
        start = file.read(4)
    if path.suffix in _PICKLES or start[:2] == b"PK" or start[:1] == b"\x80":
        raise WeightsError(
            f"weights {str(path)!r}: expected a safetensors file. Received: a pickle, which can "
            "run whatever its author wrote. Where PyTorch is, save them again: transformers' "
            "AutoModel.from_pretrained(FOLDER).save_pretrained(FOLDER) writes model.safetensors."
        )


def _match(names: list[str], targets: Mapping[str, Target], path: Path) -> dict[str, str]:
    """Returns the names in the file by ours; every tensor of the file is accounted for."""
    found: dict[str, str] = {}
    unknown = []
    for name in names:
        known = _strip(name, targets)
        if known in targets and known not in found:
            found[known] = name
        elif known in targets or not _NOT_THE_ENCODER.fullmatch(known):
            unknown.append(name)
    missing = [name for name in targets if name not in found]
    if missing or unknown:
        what, those = ("lacks", missing) if missing else ("holds besides", sorted(unknown))
        also = f" and {len(those) - _SHORT} more" if len(those) > _SHORT else ""
        raise WeightsError(
            f"weights {str(path)!r}: expected the tensors of the encoder that config.json "
            f"describes. Received: a file that {what} {', '.join(those[:_SHORT])}{also}. "
            "Give the model.safetensors that belongs to that config.json."
        )
    return found


def _strip(name: str, targets: Mapping[str, Target]) -> str:
    for old, new in _OLD_NAMES:
        name = name.replace(old, new)
    # `encoder.` begins a name of BERT's own as well.
    while name not in targets and not _NOT_THE_ENCODER.fullmatch(name):
        prefix = next((prefix for prefix in _PREFIXES if name.startswith(prefix)), None)
        if prefix is None:
            break
        name = name.removeprefix(prefix)
    return name


def _check_shape(path: Path, name: str, shape: tuple[int, ...], target: Target) -> None:
    if shape != target.shape:
        raise WeightsError(
            f"weights {str(path)!r}: expected {name} of shape {target.shape}, as config.json has "
            f"it. Received: shape={shape}. Give the model.safetensors that belongs to it."
        )


def _read_tensor(read: Callable[[], Any], path: Path, name: str) -> np.ndarray:
    import numpy as np

    try:
        value = np.asarray(read())
        if value.dtype.kind not in "fV":
            raise TypeError(f"numbers of {value.dtype}")
        value = value.astype(np.float32)
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        raise WeightsError(
            f"weights {str(path)!r}: expected {name} in float32, float16 or bfloat16. "
            f"Received: {type(error).__name__}: {error}. Save them again in float32."
        ) from error
    if not np.isfinite(value).all():
        raise WeightsError(
            f"weights {str(path)!r}: expected finite numbers in {name}. Received: some that are "
            "not. Fetch the file again."
        )
    return value
