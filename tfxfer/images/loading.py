"""Images from disk, for people who have no backbone at hand yet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tfxfer.data.loading import load_samples
from tfxfer.data.record import Source
from tfxfer.data.samples import SampleData
from tfxfer.data.split import DEFAULT_FRACTIONS
from tfxfer.images.modality import ImageModality
from tfxfer.preprocessing import Preprocessing, Resize
from tfxfer.progress import Progress
from tfxfer.system.arguments import check_kind

if TYPE_CHECKING:
    from tfxfer.head import Head

__all__ = ["load_images"]


def load_images(
    path: str | Path | Source,
    *,
    head: str | Head | None = None,
    image_size: int = 224,
    resize: Resize | None = None,
    seed: int = 0,
    fractions: tuple[float, float, float] = DEFAULT_FRACTIONS,
    labels: Sequence[str] | None = None,
    strict: bool = False,
    split_file: str | Path | None = None,
    near_duplicates: bool = True,
    progress: Progress | None = None,
    workers: int | None = None,
) -> SampleData:
    """Returns the audited, split and encoded images of DATA.

    Args:
        path: a folder of class folders, a folder with train/, val/ and test/, or a CSV with the
            columns `path,label[,split][,group]`; or a `Source` made by hand.
        head: what the labels mean: a head, or the name of an installed one; None is the default
            head.
        image_size: side of the square, in pixels.
        resize: how a photo becomes that square; a backbone's `preprocessing.resize`.
        seed: of the split and of the augmented views.
        fractions: shares of train, val and test, where DATA has none of its own.
        labels: names of the outputs, in order, where a model has settled them; None takes them
            from DATA.
        strict: refuse data of which anything would have to be left out.
        split_file: the split.csv of an earlier run, to be repeated.
        near_duplicates: whether to keep resized and re-encoded copies on one side of the split.
        progress: called while files are read and compared.
        workers: threads; one per core by default.

    Raises:
        DataError: data that cannot be trained on; the message says what to do.
    """
    modality = ImageModality()
    check_kind(
        resize,
        (Resize, type(None)),
        where="load_images",
        name="resize",
        expected="a tfxfer.Resize, such as a backbone's preprocessing.resize",
    )
    return load_samples(
        path,
        modality=modality,
        head=head,
        size=image_size,
        contract=Preprocessing(resize=resize or Resize()),
        seed=seed,
        fractions=fractions,
        labels=labels,
        strict=strict,
        split_file=split_file,
        near_duplicates=near_duplicates,
        progress=progress,
        workers=workers,
    )
