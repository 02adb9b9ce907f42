"""Some of a person's samples, drawn at random: enough to measure what a whole set is like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfxfer.data.arrays import count_rows, list_arrays, map_arrays
from tfxfer.data.audit import count_workers
from tfxfer.data.cells import is_table
from tfxfer.data.columns import Columns
from tfxfer.data.record import Source
from tfxfer.data.samples import SampleData, SampleSplit
from tfxfer.data.sources import read_source
from tfxfer.errors import DataError
from tfxfer.inference.listing import list_samples
from tfxfer.inference.reading import Samples
from tfxfer.modality import Modality
from tfxfer.progress import Progress
from tfxfer.sample import Sample
from tfxfer.system.threads import open_pool

__all__ = ["Subset", "draw_subset", "locate_samples"]

_TOLD = 3  # samples left out that a message names


@dataclass(frozen=True, eq=False)
class Subset:
    """Samples that were drawn.

    Args:
        samples: what `open_stream` takes.
        contract: what the backbone expects of raw values, as these samples ask for it.
        of: how many there were to draw from; None where only reading them tells.
        remarks: what a person must be told of them, a line each.
    """

    samples: Any
    contract: Any
    of: int | None
    remarks: tuple[str, ...] = ()


def locate_samples(
    data: Samples | Source, modality: Modality, columns: Columns | None = None
) -> tuple[Sample, ...] | None:
    """Returns where samples are; None where they are arrays or a dataset, which have no place.

    Args:
        data: a folder, whose samples may lie at any depth; a table; files or a pattern; or what
            `load_images` returned.
        modality: says which files are samples.
        columns: what a table calls them; None is as ever.

    Raises:
        DataError: nothing there, or no sample.
    """
    parts: tuple[SampleSplit, ...] = ()
    if isinstance(data, SampleData):
        parts = (data.train, data.val, data.test)
    elif isinstance(data, SampleSplit):
        parts = (data,)
    if parts:
        samples = (record.locate(part.root) for part in parts for record in part.records)
        # As a folder lists them: one seed then draws the same of both.
        return tuple(sorted(samples, key=lambda sample: sample.name))
    if isinstance(data, (str, Path)) and is_table(data):
        data = read_source(data, modality, columns)
    if isinstance(data, Source):
        return tuple(record.locate(data.root) for record in data.records)
    if isinstance(data, (str, Path, list, tuple)):
        return list_samples(data, modality)
    return None


def draw_subset(
    data: Samples | Source,
    *,
    modality: Modality,
    contract: Any,
    count: int,
    seed: int = 0,
    progress: Progress | None = None,
) -> Subset:
    """Draws some samples at random, and leaves out those that cannot be read.

    Args:
        data: see `open_stream`; or the table of a CSV.
        modality: reads them.
        contract: what the backbone expects of raw values.
        count: how many are drawn where there are more.
        seed: of the draw.
        progress: told of samples looked at.

    Returns:
        The drawn, in their order. A `tf.data.Dataset` comes back as it is.

    Raises:
        DataError: nothing there, or none that can be read.
    """
    rng = np.random.default_rng(seed)
    if isinstance(data, (SampleData, SampleSplit)):
        contract = (data.train if isinstance(data, SampleData) else data).contract
    located = locate_samples(data, modality)
    if located is not None:
        chosen = [located[i] for i in _draw(len(located), count, rng)]
        if isinstance(data, (SampleData, SampleSplit)):
            return Subset(chosen, contract, len(located))  # inspected when they were loaded
        return _inspect(chosen, modality, contract, len(located), progress)
    if hasattr(data, "element_spec"):
        return Subset(data, contract, None)
    whole: Any = (
        {name: np.asarray(values) for name, values in data.items()}
        if isinstance(data, Mapping)
        else np.asarray(data)
    )
    if not list_arrays(whole) or any(values.ndim == 0 for values in list_arrays(whole)):
        return Subset(data, contract, None)  # whoever reads it says what is wrong with it
    rows = _draw(count_rows(whole), count, rng)
    return Subset(map_arrays(lambda x: x[rows], whole), contract, count_rows(whole))


def _draw(available: int, count: int, rng: np.random.Generator) -> np.ndarray:
    if available <= count:
        return np.arange(available)
    return np.sort(rng.choice(available, count, replace=False))


def _inspect(
    samples: Sequence[Sample],
    modality: Modality,
    contract: Any,
    of: int,
    progress: Progress | None,
) -> Subset:
    findings = []
    with modality.reading(), open_pool(count_workers()) as pool:
        for found in pool.map(modality.inspect, samples):
            findings.append(found)
            if progress is not None:
                progress(f"checking {modality.plural}", len(findings), len(samples))
    pairs = list(zip(samples, findings, strict=True))
    usable = [sample for sample, found in pairs if found.fault is None]
    faults = [f"{sample.name}: {', '.join(found.fault)}" for sample, found in pairs if found.fault]
    told = "; ".join(faults[:_TOLD]) + "; …" * (len(faults) > _TOLD)
    if not usable:
        raise DataError(
            f"{modality.plural}: expected some that can be read. Received: {told or 'none at all'}."
        )
    left_out = f"{len(faults)} of {len(pairs)} {modality.plural} left out: {told}"
    facts = [found.facts for _, found in pairs if found.fault is None]
    fitted, words = modality.fit_contract(contract, facts)
    return Subset(usable, fitted, of, (*[left_out] * bool(faults), *words))
