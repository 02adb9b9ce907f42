"""A trained model, from memory or a file, that scores images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tfxfer.errors import DataError
from tfxfer.progress import Progress

if TYPE_CHECKING:
    from tfxfer.data import ImageSplit

from tfxfer.inference.predictor import _BATCH_IMAGES, Predictor

__all__ = ["evaluate", "load_own_test", "predict"]


def score_split(predictor: Predictor, split: ImageSplit, *, progress: Any = None) -> np.ndarray:
    """Returns the scores of every image of a split, in its order.

    Shapes: (images, outputs).
    """
    parts: list[np.ndarray] = []
    done = 0
    for _, pixels in split.iter_views(batch_size=_BATCH_IMAGES):
        parts.append(predictor.score(pixels[:, 0]))
        done += len(pixels)
        if progress is not None:
            progress("scoring images", done, len(split))
    if not parts:
        raise DataError(f"split {split.name!r}: expected at least one image. Received: none.")
    return np.concatenate(parts)


def load_own_test(
    model: str | Path, data: str | Path, predictor: Predictor, *, progress: Progress | None = None
) -> ImageSplit | None:
    """Returns the test split of a run's own data; None where the data is other.

    Whoever measures a run on the folder it was trained on would measure training images.

    Args:
        model: a run directory, or its `model.keras`.
        data: a folder or a CSV.
        predictor: of the model.
        progress: told of files read.
    """
    from tfxfer.data import load_images
    from tfxfer.run.directory import RunDirectory

    path = Path(model)
    folder = path if path.is_dir() else path.parent
    if not (folder / "run.json").is_file():
        return None
    run = RunDirectory.open(folder)
    trained_on = str(run.read_manifest().request.get("data", ""))
    if Path(data).resolve() != Path(trained_on).resolve() or not run.split_path.is_file():
        return None
    return load_images(
        data,
        head=predictor.head,
        image_size=predictor.image_size,
        resize=predictor.resize,
        split_file=run.split_path,
        progress=progress,
    ).test


def evaluate(model: Any, data: Any, *, seed: int = 0, progress: Any = None) -> dict[str, Any]:
    """Scores images and compares with what they are.

    Args:
        model: a `Predictor`, or a Keras model from `build_model` or `load_model`.
        data: an `ImageSplit`, such as `data.test`, or a batched `tf.data.Dataset` of
            (pixels 0..255, targets).
        seed: of the bootstrap intervals.
        progress: told of images done.

    Returns:
        The metrics of the head's task, each headline with a 95 % interval; see
        `tfxfer.evaluation.score_predictions`.
    """
    from tfxfer.data import ImageSplit
    from tfxfer.evaluation import score_predictions

    predictor = model if isinstance(model, Predictor) else Predictor.from_model(model)
    if isinstance(data, ImageSplit):
        scores, targets = score_split(predictor, data, progress=progress), data.targets
    else:
        pairs = [(predictor.score(np.asarray(x[0])), np.asarray(x[1])) for x in data]
        if not pairs:
            raise DataError("evaluate: expected at least one batch of images. Received: none.")
        scores = np.concatenate([pair[0] for pair in pairs])
        targets = np.concatenate([pair[1] for pair in pairs])
    return score_predictions(
        targets,
        scores,
        task=predictor.head.task,
        labels=predictor.labels,
        seed=seed,
        threshold=predictor.head.threshold,
    )


def predict(
    model: Any, images: Sequence[str | Path], *, progress: Progress | None = None
) -> list[dict[str, Any]]:
    """Returns one document per image file: image, label, score, scores.

    Args:
        model: a `Predictor`, or a Keras model from `build_model` or `load_model`.
        images: files in any format that training reads.
        progress: told of images done.

    Raises:
        ImageError: a file that is no readable image.
    """
    from tfxfer.images.decode import open_image, resize_image

    predictor = model if isinstance(model, Predictor) else Predictor.from_model(model)
    # As training reads: without antialiasing every pixel of the file counts.
    needed = predictor.image_size if predictor.resize.antialias else None
    documents: list[dict[str, Any]] = []
    for start in range(0, len(images), _BATCH_IMAGES):
        files = images[start : start + _BATCH_IMAGES]
        pixels = np.stack(
            [
                resize_image(
                    open_image(Path(file), min_side_px=needed),
                    predictor.image_size,
                    predictor.resize,
                )
                for file in files
            ]
        )
        decoded = predictor.head.decode(predictor.score(pixels), predictor.labels)
        documents += [
            {"image": str(file), "label": x.label, "score": x.score, "scores": x.scores}
            for file, x in zip(files, decoded, strict=True)
        ]
        if progress is not None:
            progress("labelling images", len(documents), len(images))
    return documents
