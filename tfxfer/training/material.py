"""The samples that `fit` is given, as sources of training and validation, checked."""

from __future__ import annotations

from typing import Any

from tfxfer.data.arrays import Arrays
from tfxfer.data.datasets import ArraySource, DatasetSource, is_array, is_array_pair
from tfxfer.data.feed import SampleSource, SplitSource
from tfxfer.data.targets import check_label_order
from tfxfer.errors import DataError, UsageError
from tfxfer.frontier.cut import input_shapes
from tfxfer.progress import Progress
from tfxfer.stages import get_info
from tfxfer.training.objective import Objective
from tfxfer.training.options import Augmentation, choose_views
from tfxfer.training.plan import FitPlan

__all__ = ["check_data", "describe_passes", "make_sources"]


def make_sources(
    model: Any,
    data: Any,
    objective: Objective,
    augmentation: Augmentation,
    *,
    progress: Progress | None = None,
) -> tuple[SampleSource, SampleSource, int]:
    """Returns training and validation samples, and the views where nobody asks for a number.

    Their targets are as the head has them; see `Objective.adapt_targets`.

    Args:
        model: from `build_model`.
        data: what `fit` takes.
        objective: of the training.
        augmentation: of samples that tfxfer reads.
        progress: told of what is read.

    Raises:
        DataError: labels of another order, pixels of another range, no end, no samples.
        UsageError: something else, or augmentation of what only its user can vary.
    """
    info = get_info(model)
    # The conformance kit brings parts of its own.
    if hasattr(data, "train") and hasattr(data, "val"):
        labels = getattr(data, "labels", None)
        if labels is not None and info.labels:
            check_label_order(labels, info.labels, where="data")
        advice = info.fine_tuning
        level = augmentation.level or advice.augment or data.train.modality.default_level
        train = SplitSource(
            data.train, augment=level, options=augmentation.options, looks=augmentation.looks
        )
        return train, SplitSource(data.val), choose_views(level, advice)
    if not isinstance(data, tuple | list) or len(data) != 2 or is_array(data[0]):
        what = "arrays of training alone" if isinstance(data, tuple | list) else type(data).__name__
        raise UsageError(
            "fit: expected data from tfxfer.load_images, or (training, validation), each a "
            f"tf.data.Dataset or arrays (inputs, targets). Received: {what}. "
            "Hold some samples back for validation: the best epoch is found with them."
        )
    if augmentation.level not in (None, "none") or augmentation.options or augmentation.looks:
        raise UsageError(
            "fit: expected augmentation in the dataset itself, which is yours. Received: "
            f"augment={augmentation.level!r}, options={dict(augmentation.options)}. Only images "
            "from tfxfer.load_images are augmented here; Augmentation(views=8) takes 8 passes over "
            "a dataset."
        )
    if is_array_pair(data[0]) and augmentation.views not in (None, 1):
        raise UsageError(
            "fit: expected one view of arrays, which are the same on each pass. "
            f"Received: views={augmentation.views}. Images from tfxfer.load_images have several."
        )
    names = ("training", "validation")
    train_source, val_source = (
        _make_own(model, part, objective, name=name, progress=progress)
        for part, name in zip(data, names, strict=True)
    )
    return train_source, val_source, 1


def _make_own(
    model: Any, part: Any, objective: Objective, *, name: str, progress: Progress | None
) -> SampleSource:
    info = get_info(model)
    names = [tensor.name for tensor in model.inputs]
    inputs = dict(zip(names, input_shapes(model), strict=True))
    specs = info.modality.list_inputs(info.size, info.preprocessing)
    labels = getattr(part, "class_names", None)
    if labels is not None and info.labels:
        check_label_order(labels, info.labels, where=f"{name} dataset")

    def check(found: Arrays) -> None:
        info.modality.check_inputs(found, where=f"{name} data")

    source: ArraySource | DatasetSource
    if is_array_pair(part):
        dtypes = {tensor.name: str(tensor.dtype) for tensor in model.inputs}
        source = ArraySource(part, inputs=inputs, dtypes=dtypes, name=name, check=check)
    else:
        source = DatasetSource(
            part,
            inputs=inputs,
            specs={key: specs[key] for key in names if key in specs},
            name=name,
            check=check,
            progress=progress,
        )
    source.targets = objective.adapt_targets(model, source.targets)
    return source


def check_data(model: Any, train: SampleSource, val: SampleSource) -> None:
    """Refuses samples that do not fit a model.

    Raises:
        DataError: none, or of another shape.
    """
    info = get_info(model)
    expected = tuple(model.outputs[0].shape[1:])
    shapes = input_shapes(model)
    for name, source in (("training", train), ("validation", val)):
        if not len(source):
            raise DataError(f"{name} data: expected at least one sample. Received: none.")
        if source.input_shapes != shapes:
            raise DataError(
                f"{name} data: expected {info.modality.plural} of shape {_show(shapes)}, as the "
                f"model's input. Received: shape={_show(source.input_shapes)}. "
                "Load them with that size."
            )
        # What a head of the user's own is compared with only its loss can say.
        if info.has_own_head and source.targets.shape[1:] != expected:
            raise DataError(
                f"{name} data: expected targets of shape (samples, "
                f"{', '.join(map(str, expected))}), as the model's outputs; of classes one-hot. "
                f"Received: shape={source.targets.shape}."
            )


def describe_passes(plan: FitPlan, train: SampleSource, val: SampleSource) -> list[str]:
    """Returns one line for each dataset of which the passes are not what they seem to be.

    One that is cached is random, or views are asked for of one that is not cached.

    Args:
        plan: of the training.
        train: its samples; several views of them are several passes, which are meant to differ.
        val: of validation.

    Raises:
        DataError: one comes in another order on each pass.
    """
    lines = []
    if plan.views > 1 and not train.can_seek and not any(item.cached for item in plan.phases):
        lines.append(
            f"training dataset: it is not cached, so that views={plan.views} mean nothing; each "
            "epoch is a pass of its own"
        )
    if any(item.cached for item in plan.phases):
        if isinstance(train, DatasetSource) and train.is_random() and plan.views == 1:
            lines.append(
                "training dataset: it is random, other on each pass, and cached: every epoch sees "
                "the one version of each sample that the first pass gave. "
                "Pass augment=tfxfer.Augmentation(views=8) for 8 versions, cache=False for a new "
                "one in each epoch, or load_images, which augments itself (augment=)"
            )
        if isinstance(val, DatasetSource) and val.is_random():
            lines.append(
                "validation dataset: it is random, other on each pass, so that epochs are judged "
                "by chance. Take augmentation out of it"
            )
    return lines


def _show(shapes: tuple[tuple[int, ...], ...]) -> str:
    return str(shapes[0]) if len(shapes) == 1 else str(list(shapes))
