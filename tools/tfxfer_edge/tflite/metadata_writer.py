"""Writes what MediaPipe Tasks and the Android Task Library read from a `.tflite` file.

It needs tflite-support, the reference.
"""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from tfxfer.errors import ModelError
from tfxfer.preprocessing import Preprocessing, Resize
from tfxfer.quiet import quiet_native
from tfxfer_edge.tflite.card import CONTRACT_FILE, LABELS_FILE, ModelCard
from tfxfer_edge.tflite.flatbuffer import as_text, read_model, write_model
from tfxfer_edge.tflite.libusb import import_tflite_support
from tfxfer_edge.tflite.metadata_reader import read_metadata
from tfxfer_edge.tflite.runtime import load_interpreter

__all__ = ["write_metadata"]

_FIELD, _IDENTIFIER = "TFLITE_METADATA", b"M001"

_IDENTITY = Preprocessing()
_TOLERANCE = 1e-5  # relative; the schema's floats have 24 bits
_OUTPUTS = {
    "classifier": ("probability", "Probability of each label; they add up to 1."),
    "multilabel_classifier": ("probability", "Probability of each label on its own."),
    "regressor": ("value", "One value per label, in the label's unit."),
    "features": ("features", "A feature vector."),
}


def write_metadata(content: bytes, card: ModelCard) -> bytes:
    """Returns the same model with metadata that MediaPipe and the Task Library read.

    The result is read back by ours and by tflite-support's reader and compared, and its outputs for
    a noise image must be those of `content`, bit for bit.

    Args:
        content: a `.tflite` file with one input and one output; what metadata it has is replaced.
        card: what to write.

    Raises:
        ModelError: labels that do not match the outputs, a quantized input that does not stand for
            the preprocessing, or a result that differs.
        PluginImportError: tflite-support is not installed.
    """
    support, schema, versions = import_tflite_support()
    before = _probe(content)
    _check_card(card, before)
    files = _files(card)
    buffer = _pack(card, before, schema, versions)
    model = read_model(content)
    _embed(model, buffer)
    written = _append(write_model(model), files)
    after = _probe(written)
    if before != after:
        raise ModelError(
            f"model {card.name!r}: expected the same outputs after its metadata was written. "
            "Received: others."
        )
    _compare(card, written, support, files)
    return written


@dataclass(frozen=True)
class _Probe:
    """The ends of a model, and what it makes of a noise image."""

    input_dtype: str
    input_shape: tuple[int, ...]
    input_quantization: tuple[float, int]
    output_dtype: str
    output_shape: tuple[int, ...]
    output_quantization: tuple[float, int]
    answer: bytes


def _probe(content: bytes) -> _Probe:
    interpreter = load_interpreter(content)
    sources, targets = interpreter.get_input_details(), interpreter.get_output_details()
    if len(sources) != 1 or len(targets) != 1:
        raise ModelError(
            "model: expected one input and one output. "
            f"Received: {len(sources)} and {len(targets)}."
        )
    source, target = sources[0], targets[0]
    dtype = np.dtype(source["dtype"])
    rng = np.random.default_rng(0)
    noise: Any = rng.uniform(-1, 1, source["shape"])
    if dtype.kind != "f":
        limits = np.iinfo(dtype)
        noise = rng.integers(limits.min, limits.max, source["shape"], endpoint=True)
    interpreter.set_tensor(source["index"], noise.astype(dtype))
    with quiet_native():
        interpreter.invoke()
    return _Probe(
        input_dtype=dtype.name,
        input_shape=tuple(int(size) for size in source["shape"]),
        input_quantization=(float(source["quantization"][0]), int(source["quantization"][1])),
        output_dtype=np.dtype(target["dtype"]).name,
        output_shape=tuple(int(size) for size in target["shape"]),
        output_quantization=(float(target["quantization"][0]), int(target["quantization"][1])),
        answer=interpreter.get_tensor(target["index"]).tobytes(),
    )


def _check_card(card: ModelCard, probe: _Probe) -> None:
    # Not in the constructor: the 1001 labels of ImageNet's files have `crane` twice.
    bad = [x for x in card.labels if not x.strip() or "\n" in x or "\r" in x]
    bad += [x for x in card.labels if card.labels.count(x) > 1]
    if bad:
        raise ModelError(
            f"model {card.name!r}: expected labels of one line each, not blank and no two alike. "
            f"Received: label={bad[0]!r}."
        )
    if not card.labels and card.metadata_kind != "features":
        raise ModelError(
            f"model {card.name!r}: expected the labels of a {card.metadata_kind}. Received: none."
        )
    outputs = int(np.prod(probe.output_shape[1:]))
    if card.labels and len(card.labels) != outputs:
        raise ModelError(
            f"model {card.name!r}: expected {outputs} labels, one per output. "
            f"Received: {len(card.labels)}."
        )
    scale, zero = probe.input_quantization
    if probe.input_dtype not in ("uint8", "int8") or scale == 0:
        return
    # Clients feed bytes: byte 0 and 255 must stand for what the preprocessing makes of them.
    shift = 128 if probe.input_dtype == "int8" else 0
    for channel, (low, high) in enumerate(_ends(card.preprocessing or _IDENTITY)):
        for pixel, value in ((0, low), (255, high)):
            found = scale * (pixel - shift - zero)
            # Half a step is what rounding the zero point costs.
            if not abs(found - value) <= 0.51 * scale:
                raise ModelError(
                    f"model {card.name!r}: expected an input whose scale and zero point make "
                    f"pixel {pixel} of channel {channel} {value:.4g}, as the preprocessing does. "
                    f"Received: scale={scale:.6g}, zero_point={zero}, which make it {found:.4g}."
                )


def _ends(preprocessing: Preprocessing) -> list[tuple[float, float]]:
    """Returns what pixels 0 and 255 of each channel become."""
    pairs = zip(preprocessing.scale, preprocessing.offset, strict=True)
    return [(offset, 255 * scale + offset) for scale, offset in pairs]


def _files(card: ModelCard) -> dict[str, bytes]:
    contract: dict[str, Any] = {
        "metadata_kind": card.metadata_kind,
        "resize": {x.name: getattr(card.resize, x.name) for x in fields(Resize)},
    }
    if card.threshold is not None:
        contract["threshold"] = card.threshold
    files = {CONTRACT_FILE: (json.dumps(contract, indent=2) + "\n").encode()}
    if card.labels:
        files[LABELS_FILE] = "".join(f"{label}\n" for label in card.labels).encode()
    return files


def _pack(card: ModelCard, probe: _Probe, schema: Any, versions: Any) -> bytes:
    import flatbuffers

    def finish(model: Any) -> bytes:
        builder = flatbuffers.Builder(0)
        builder.Finish(model.Pack(builder), _IDENTIFIER)
        return bytes(builder.Output())

    graph = schema.SubGraphMetadataT()
    graph.inputTensorMetadata = [_input_tensor(card, probe, schema)]
    graph.outputTensorMetadata = [_output_tensor(card, probe, schema)]
    model = schema.ModelMetadataT()
    model.name, model.description = card.name, card.description or None
    model.version, model.author = card.version or None, card.author or None
    model.license = card.licence or None
    model.subgraphMetadata = [graph]
    contract = schema.AssociatedFileT()
    contract.name, contract.type = CONTRACT_FILE, schema.AssociatedFileType.UNKNOWN
    contract.description = "Kind of task, and how a photo becomes the square."
    model.associatedFiles = [contract]
    model.minParserVersion = versions.GetMinimumMetadataParserVersion(finish(model))
    return finish(model)


def _input_tensor(card: ModelCard, probe: _Probe, schema: Any) -> Any:
    preprocessing = card.preprocessing or _IDENTITY
    uniform = preprocessing.is_uniform
    tensor = schema.TensorMetadataT()
    tensor.name = "image"
    size = f"{probe.input_shape[2]} x {probe.input_shape[1]}"
    tensor.description = f"RGB photo, {size}, resized: {_describe_resize(card.resize)}."
    tensor.content = schema.ContentT()
    tensor.content.contentPropertiesType = schema.ContentProperties.ImageProperties
    image = tensor.content.contentProperties = schema.ImagePropertiesT()
    image.colorSpace = schema.ColorSpaceType.RGB
    image.defaultSize = schema.ImageSizeT()
    image.defaultSize.height, image.defaultSize.width = probe.input_shape[1:3]
    unit = schema.ProcessUnitT()
    unit.optionsType = schema.ProcessUnitOptions.NormalizationOptions
    unit.options = schema.NormalizationOptionsT()
    # One number where one serves: MediaPipe refuses normalization per channel, even of floats.
    channels = slice(0, 1 if uniform else 3)
    unit.options.mean = list(preprocessing.mean)[channels]
    unit.options.std = list(preprocessing.std)[channels]
    tensor.processUnits = [unit]
    tensor.stats = schema.StatsT()
    if probe.input_dtype == "uint8":
        tensor.stats.min, tensor.stats.max = [0.0], [255.0]
    else:
        ranges = preprocessing.output_range[channels]
        tensor.stats.min = [low for low, _ in ranges]
        tensor.stats.max = [high for _, high in ranges]
    return tensor


def _output_tensor(card: ModelCard, probe: _Probe, schema: Any) -> Any:
    tensor = schema.TensorMetadataT()
    tensor.name, tensor.description = _OUTPUTS[card.metadata_kind]
    tensor.content = schema.ContentT()
    tensor.content.contentPropertiesType = schema.ContentProperties.FeatureProperties
    tensor.content.contentProperties = schema.FeaturePropertiesT()
    tensor.stats = schema.StatsT()
    if probe.output_dtype == "uint8":
        tensor.stats.min, tensor.stats.max = [0.0], [255.0]
    elif card.metadata_kind in ("classifier", "multilabel_classifier"):
        tensor.stats.min, tensor.stats.max = [0.0], [1.0]
    if card.labels:
        labels = schema.AssociatedFileT()
        labels.name, labels.type = LABELS_FILE, schema.AssociatedFileType.TENSOR_AXIS_LABELS
        labels.description = "One label a line, in the order of the outputs."
        tensor.associatedFiles = [labels]
    return tensor


def _describe_resize(resize: Resize) -> str:
    filtered = "antialiased" if resize.antialias else "not antialiased"
    return f"{resize.fit}, {resize.method}, {filtered}"


def _embed(model: Any, metadata: bytes) -> None:
    # Not tflite-support's `populate()`: it knows an older schema and drops what that lacks, weights
    # outside of the flatbuffer first of all, and it does not align the weights.
    from ai_edge_litert import schema_py_generated as schema

    buffer = schema.BufferT()
    buffer.data = np.frombuffer(metadata, np.uint8)
    entries = [x for x in model.metadata or [] if as_text(x.name) == _FIELD]
    if entries:
        model.buffers[entries[0].buffer] = buffer
        return
    model.buffers.append(buffer)
    entry = schema.MetadataT()
    entry.name, entry.buffer = _FIELD, len(model.buffers) - 1
    model.metadata = [*(model.metadata or []), entry]


def _append(content: bytes, files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO(content)
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_STORED) as archive:
        for name, data in files.items():
            # With a fixed date the same model is the same file.
            archive.writestr(zipfile.ZipInfo(name), data)
    return stream.getvalue()


def _compare(card: ModelCard, written: bytes, support: Any, files: dict[str, bytes]) -> None:
    found = read_metadata(written)
    wanted = replace(
        card, preprocessing=replace(card.preprocessing or _IDENTITY, resize=card.resize)
    )
    for item in fields(ModelCard):
        ours, theirs = getattr(wanted, item.name), getattr(found, item.name)
        if isinstance(ours, Preprocessing) and isinstance(theirs, Preprocessing):
            same = _is_same(ours, theirs)
        else:
            same = ours == theirs
        if not same:
            raise ModelError(
                f"model {card.name!r}: expected the metadata to be read as it was written. "
                f"Received: {item.name}={theirs!r} for {ours!r}."
            )
    displayer = support.MetadataDisplayer.with_model_buffer(bytearray(written))
    packed = {
        name: bytes(displayer.get_associated_file_buffer(name))
        for name in displayer.get_packed_associated_file_list()
    }
    document = json.loads(displayer.get_metadata_json())
    if packed != files or document["name"] != card.name:
        raise ModelError(
            f"model {card.name!r}: expected tflite-support to read {sorted(files)} of it. "
            f"Received: {sorted(packed)} of {document['name']!r}."
        )


def _is_same(left: Preprocessing, right: Preprocessing) -> bool:
    return left.resize == right.resize and bool(
        np.allclose(_ends(left), _ends(right), rtol=_TOLERANCE, atol=_TOLERANCE)
    )
