"""The samples of a finished run, split as it split them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfxfer.data.arrays import Arrays, map_arrays
from tfxfer.data.columns import Columns
from tfxfer.data.loading import load_samples
from tfxfer.data.record import Source
from tfxfer.data.samples import SampleData, SampleSplit
from tfxfer.data.slice_table import complete_slices
from tfxfer.data.sources import read_source
from tfxfer.errors import DataError
from tfxfer.modality import Modality
from tfxfer.run.directory import RunDirectory
from tfxfer.run.seals import check_sealed
from tfxfer_edge.proof.run_record import read_record

__all__ = ["choose_rows", "draw_evenly", "list_run_images", "load_run_images", "pick_calibration"]


def load_run_images(run: RunDirectory, predictor: Any, *, progress: Any = None) -> SampleData:
    """Returns the three parts a run was trained, chosen and tested on.

    Args:
        run: finished.
        predictor: of its model.
        progress: told of files read.

    Raises:
        DataError: the samples are gone or have changed.
        RunError: `run.json` does not say where they are, or the split is another by now.
    """
    manifest = run.read_manifest()
    where = read_record(run).data
    data = load_samples(
        list_run_images(run, predictor.modality),
        modality=predictor.modality,
        size=predictor.size,
        contract=predictor.contract,
        head=predictor.head,
        seed=manifest.seed,
        labels=predictor.labels,
        split_file=check_sealed(run, run.split_path),
        progress=progress,
    )
    if manifest.data is not None and manifest.data.fingerprint != data.fingerprint:
        raise DataError(
            f"run {str(run.path)!r}: expected the {predictor.modality.plural} it was trained with "
            f"in {where!r}. "
            "Received: other files or labels."
        )
    return data


def list_run_images(run: RunDirectory, modality: Modality) -> Source:
    """Returns the samples of a run's data as they are now, with what is known of them beside.

    Args:
        run: finished.
        modality: that reads them.

    Raises:
        DataError: the data is gone.
        RunError: `run.json` does not say where it is.
    """
    from tfxfer.job.demo import stored_source

    where = read_record(run, modality).data
    columns = Columns.of_request(run.read_manifest().request)
    source = stored_source(where) or read_source(where, modality, columns)
    return complete_slices(source, run.slices_path)


def pick_calibration(split: SampleSplit, *, images: int, seed: int) -> tuple[Arrays, list[str]]:
    """Returns class-balanced samples of a training split, and their paths.

    Args:
        split: the training split, never validation or test; or samples without labels.
        images: how many.
        seed: of the choice.

    Shapes: of images uint8 (images, size, size, 3).

    Raises:
        DataError: samples of one class only.
    """
    classes = sorted(set(split.raw_labels))
    if split.labels and len(classes) < 2:
        raise DataError(
            f"calibration: expected {split.modality.plural} of at least two classes. "
            f"Received: {list(classes)}."
        )
    order = choose_rows(split, samples=images, seed=seed)
    samples = map_arrays(lambda x: x[:, 0], split.read_views(order))
    return samples, [split.paths[index] for index in order]


def choose_rows(split: SampleSplit, *, samples: int, seed: int) -> list[int]:
    """Returns which samples of a split stand for all of it: as many of each class as there are.

    Of more classes than samples, such as those of numbers, it is not the first ones by name.

    Args:
        split: whose samples.
        samples: how many, at most.
        seed: of the choice.
    """
    return draw_evenly(split.raw_labels, samples=samples, seed=seed)


def draw_evenly(groups: Sequence[str], *, samples: int, seed: int) -> list[int]:
    """Returns rows that are spread over groups as evenly as these allow, in ascending order.

    Args:
        groups: of each row, its class or the folder that it lies in.
        samples: how many, at most.
        seed: of the choice.
    """
    names = np.array(groups)
    rng = np.random.default_rng(seed)
    queues = [list(rng.permutation(np.flatnonzero(names == name))) for name in sorted(set(groups))]
    queues = [queues[number] for number in rng.permutation(len(queues))]
    chosen: list[int] = []
    while len(chosen) < min(samples, len(groups)):
        for queue in queues:
            if queue and len(chosen) < samples:
                chosen.append(int(queue.pop()))
    return sorted(chosen)
