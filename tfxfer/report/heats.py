"""What a model looked at in the samples that the page shows: places of pictures, or parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tfxfer.data.arrays import Arrays, map_arrays
from tfxfer.errors import DataError
from tfxfer.progress import Progress
from tfxfer.report.material import Material
from tfxfer.report.pictures import SIDES_PX
from tfxfer.sample import Sample

if TYPE_CHECKING:
    from tfxfer.inference.predictor import Predictor
    from tfxfer.trust.marks import Marks

__all__ = ["can_explain", "map_heats", "mark_samples"]

_MOST_SPANS = 24  # of each sample: two dozen are shown, and nobody waits long for a page


def can_explain(material: Material) -> bool:
    """Returns whether a run's samples have places or parts to be shown, and are there."""
    modality = material.modality
    can_show = modality.picture_input is not None or bool(modality.part_noun)
    return can_show and material.origin.root is not None


def map_heats(
    material: Material,
    paths: Sequence[str],
    predictor: Predictor,
    *,
    progress: Progress | None = None,
) -> dict[str, np.ndarray]:
    """Returns pictures of what speaks for each answer, by Grad-CAM, by the sample's path.

    A sample that cannot be read has none. Nor has any where the network has no map to look at:
    covering places of every sample would take longer than anybody waits for a page.

    Args:
        material: of the run.
        paths: of the samples.
        predictor: the run's model.
        progress: told of samples done.

    Shapes: uint8 (height, width, 3) each.
    """
    if material.modality.picture_input is None:
        return {}
    from tfxfer.trust.gradcam import list_map_stages
    from tfxfer.trust.heatmaps import map_heat
    from tfxfer.trust.overlay import overlay

    if predictor.network is None or not list_map_stages(predictor.network):
        return {}
    kept, inputs = _read_samples(material, paths, predictor)
    if not kept:
        return {}
    stacked = map_arrays(lambda *each: np.concatenate(each), *inputs)
    found = map_heat(predictor, stacked, method="gradcam", progress=progress)
    heats = {}
    for (path, sample), values in zip(kept, found.values, strict=True):
        seen = material.modality.read_picture(
            sample, contract=predictor.contract, longest_px=SIDES_PX["wide"]
        )
        if values.any():  # else no place speaks for the answer, and the map shows nothing
            heats[path] = overlay(seen, values)
    return heats


def mark_samples(
    material: Material,
    paths: Sequence[str],
    predictor: Predictor,
    *,
    progress: Progress | None = None,
) -> dict[str, Marks]:
    """Returns what the parts of samples do for each answer, by the sample's path.

    A sample that cannot be read has none, nor has one without a part that speaks for the answer.

    Args:
        material: of the run.
        paths: of the samples.
        predictor: the run's model.
        progress: told of samples done.
    """
    if not material.modality.part_noun or material.modality.picture_input is not None:
        return {}
    from tfxfer.trust.marks import mark_parts

    found = {}
    for number, path in enumerate(paths):
        if progress is not None:
            progress(f"explaining {material.modality.plural}", number, len(paths))
        sample = material.origin.locate(path)
        if sample is None:
            continue
        try:
            with material.modality.reading():
                _, (marks,) = mark_parts(predictor, sample, most=_MOST_SPANS)
        except (DataError, OSError):
            continue  # the page says so in the words' place
        if not marks.is_blank:
            found[path] = marks
    return found


def _read_samples(
    material: Material, paths: Sequence[str], predictor: Predictor
) -> tuple[list[tuple[str, Sample]], list[Arrays]]:
    kept, inputs = [], []
    with predictor.modality.reading():
        for path in paths:
            sample = material.origin.locate(path)
            if sample is None:
                continue
            try:
                found = predictor.modality.read(
                    sample, size=predictor.size, contract=predictor.contract
                )
            except (DataError, OSError):
                continue  # the page says so in the picture's place
            kept.append((path, sample))
            inputs.append(found)
    return kept, inputs
