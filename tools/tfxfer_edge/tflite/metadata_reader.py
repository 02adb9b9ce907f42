"""Reads what MediaPipe Tasks and the Android Task Library read from a `.tflite` file.

It needs flatbuffers and a zip file only, so that `tfxfer evaluate model.tflite` works wherever
LiteRT does.
"""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

from tfxfer.errors import ModelError, TfxferError
from tfxfer.preprocessing import Preprocessing, Resize
from tfxfer_edge.tflite.card import CONTRACT_FILE, ModelCard
from tfxfer_edge.tflite.metadata_table import Table, find_metadata

__all__ = ["read_metadata"]

_IDENTIFIER = b"M001"

_AXIS_LABELS = 2  # AssociatedFileType.TENSOR_AXIS_LABELS
_NORMALIZATION = 1  # ProcessUnitOptions.NormalizationOptions


def read_metadata(content: bytes) -> ModelCard | None:
    """Returns what a `.tflite` file says of itself; None where it has no metadata.

    Raises:
        ModelError: the metadata is damaged, or names a file that is not packed.
    """
    try:
        buffer = find_metadata(content)
        if buffer is None:
            return None
        root = Table.of_root(buffer, _IDENTIFIER)
        (graph,) = root.tables(3)
        (source,), (target,) = graph.tables(2), graph.tables(3)
        files = _read_files(content)
        for item in [*root.tables(6), *graph.tables(4), *target.tables(6), *source.tables(6)]:
            if item.string(0) not in files:
                raise ModelError(
                    f"metadata: expected the file {item.string(0)!r} that it names, packed behind "
                    f"the model. Received: {sorted(files)}. The file may be truncated."
                )
        named = [item.string(0) for item in target.tables(6) if item.byte(2) == _AXIS_LABELS]
        labels = _split_labels(files[named[0]]) if named else ()
        contract = _read_contract(files.get(CONTRACT_FILE))
        resize = contract.get("resize", Resize())
        return ModelCard(
            name=root.string(0),
            description=root.string(1),
            version=root.string(2),
            author=root.string(4),
            licence=root.string(5),
            labels=labels,
            metadata_kind=contract.get("metadata_kind", "classifier" if labels else "features"),
            preprocessing=_read_normalization(source, resize),
            resize=resize,
            threshold=contract.get("threshold"),
        )
    except TfxferError as error:
        raise ModelError(str(error)) from error
    # A damaged table fails in struct, zipfile, json or the unpacking above.
    except Exception as error:
        raise ModelError(
            "metadata: expected TFLite metadata of one input and one output. "
            f"Received: {type(error).__name__}: {error}"
        ) from error


def _read_files(content: bytes) -> dict[str, bytes]:
    stream = io.BytesIO(content)
    if not zipfile.is_zipfile(stream):
        return {}
    with zipfile.ZipFile(stream) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _split_labels(data: bytes) -> tuple[str, ...]:
    # Not splitlines, which also breaks at characters that a label may hold. MediaPipe drops the
    # carriage return of Windows, too.
    lines = [line.removesuffix("\r") for line in data.decode("utf-8-sig").split("\n")]
    return tuple(lines[:-1] if lines[-1] == "" else lines)


def _read_contract(data: bytes | None) -> dict[str, Any]:
    if data is None:
        return {}
    contract = dict(json.loads(data))
    return {**contract, "resize": Resize(**contract["resize"])}


def _read_normalization(source: Table, resize: Resize) -> Preprocessing | None:
    for unit in source.tables(4):
        if unit.byte(0) == _NORMALIZATION:
            (options,) = unit.table(1)
            mean, std = options.floats(0), options.floats(1)
            if len(mean) != len(std) or len(mean) not in (1, 3):
                raise ModelError(
                    "metadata: expected one mean and one std, or three of each. "
                    f"Received: mean={list(mean)}, std={list(std)}."
                )
            channels = [0, 0, 0] if len(mean) == 1 else [0, 1, 2]
            return Preprocessing.from_mean_std(
                mean=[mean[i] for i in channels], std=[std[i] for i in channels], resize=resize
            )
    return None
