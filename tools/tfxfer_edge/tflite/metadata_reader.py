"""Reads what MediaPipe Tasks and the Android Task Library read from a `.tflite` file."""

from __future__ import annotations

from collections.abc import Mapping

from tfxfer.data.provenance import PROVENANCE_FILE, Provenance
from tfxfer.errors import ModelError, TfxferError
from tfxfer.preprocessing import Preprocessing, Resize
from tfxfer.system.arguments import check_kind
from tfxfer_edge.tflite import metadata_schema as schema
from tfxfer_edge.tflite.card import CONTRACT_FILE, ModelCard
from tfxfer_edge.tflite.metadata_table import Table, find_metadata
from tfxfer_edge.tflite.packed_archive import PackedFiles
from tfxfer_edge.tflite.packed_files import (
    Contract,
    find_assets,
    read_contract,
    split_labels,
)

__all__ = ["read_card", "read_metadata"]


def read_metadata(content: bytes) -> ModelCard | None:
    """Returns what a `.tflite` file says of itself; None where it has no metadata.

    Raises:
        ModelError: the metadata is damaged, or names a file that is not packed.
    """
    check_kind(
        content,
        (bytes, bytearray),
        where="read_metadata",
        name="content",
        expected="the bytes of a .tflite file, such as Path(…).read_bytes()",
        error=ModelError,
    )
    try:
        buffer = find_metadata(content)
        if buffer is None:
            return None
        return read_card(buffer, PackedFiles(content))
    except TfxferError as error:
        raise ModelError(str(error)) from error
    # A damaged table fails in struct, in flatbuffers or in the unpacking below.
    except Exception as error:
        raise ModelError(
            "metadata: expected TFLite metadata of a model with one output. "
            f"Received: {type(error).__name__}: {error}"
        ) from error


def read_card(buffer: bytes, files: Mapping[str, bytes]) -> ModelCard:
    """Returns what metadata says.

    Args:
        buffer: its own flatbuffer.
        files: that are packed behind the model.

    Raises:
        ModelError: it names a file that is not there, or one that cannot be read.
    """
    root = Table.of_root(buffer, schema.SCHEMA_IDENTIFIER)
    (graph,) = root.tables(schema.Model.SUBGRAPHS)
    sources = graph.tables(schema.SubGraph.INPUTS)
    (target,) = graph.tables(schema.SubGraph.OUTPUTS)
    for item in (
        *root.tables(schema.Model.FILES),
        *graph.tables(schema.SubGraph.FILES),
        *target.tables(schema.Tensor.FILES),
        *(item for source in sources for item in source.tables(schema.Tensor.FILES)),
        *_list_vocabularies(graph),
    ):
        name = item.string(schema.AssociatedFile.NAME)
        if name not in files:
            raise ModelError(
                f"metadata: expected the file {name!r} that it names, packed behind the model. "
                f"Received: {sorted(files)[:5]}. The file may be truncated."
            )
    named = [
        item.string(schema.AssociatedFile.NAME)
        for item in target.tables(schema.Tensor.FILES)
        if item.byte(schema.AssociatedFile.KIND) == schema.FileKind.AXIS_LABELS
    ]
    labels = split_labels(files[named[0]]) if named else ()
    # A file of somebody else's has none: it stretches photos, as MediaPipe does.
    contract = Contract("classifier" if labels else "features", Resize())
    if CONTRACT_FILE in files:
        contract = read_contract(files[CONTRACT_FILE])
    learnt = files.get(PROVENANCE_FILE)
    return ModelCard(
        name=root.string(schema.Model.NAME),
        description=root.string(schema.Model.DESCRIPTION),
        version=root.string(schema.Model.VERSION),
        author=root.string(schema.Model.AUTHOR),
        licence=root.string(schema.Model.LICENSE),
        labels=labels,
        metadata_kind=contract.metadata_kind,
        preprocessing=_read_normalization(sources[0], contract.resize),
        resize=contract.resize,
        threshold=contract.threshold,
        white=contract.white,
        provenance=Provenance.from_bytes(learnt) if learnt is not None else None,
        modality=contract.modality,
        size=contract.size,
        contract=contract.contract,
        assets=find_assets(contract, files),
        head=contract.head,
        head_options=contract.head_options,
    )


def _list_vocabularies(graph: Table) -> list[Table]:
    return [
        item
        for unit in graph.tables(schema.SubGraph.PROCESS_UNITS)
        if unit.byte(schema.ProcessUnit.KIND) == schema.ProcessUnitKind.BERT_TOKENIZER
        for options in unit.table(schema.ProcessUnit.OPTIONS)
        for item in options.tables(schema.BertTokenizer.VOCABULARY)
    ]


def _read_normalization(source: Table, resize: Resize) -> Preprocessing | None:
    for unit in source.tables(schema.Tensor.PROCESS_UNITS):
        if unit.byte(schema.ProcessUnit.KIND) == schema.ProcessUnitKind.NORMALIZATION:
            (options,) = unit.table(schema.ProcessUnit.OPTIONS)
            mean = options.floats(schema.Normalization.MEAN)
            std = options.floats(schema.Normalization.STD)
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
