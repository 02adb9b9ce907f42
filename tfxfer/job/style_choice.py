"""`--style` before anything is read: what cannot be meant, and where its samples are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tfxfer.adaptation.methods import TRAINED
from tfxfer.adaptation.style_record import DEFAULT_STYLE, STYLES, StyleMethod
from tfxfer.data.record import Record, Source, make_source
from tfxfer.errors import DataError, UsageError
from tfxfer.inference.listing import list_samples
from tfxfer.modality import Modality

if TYPE_CHECKING:
    from tfxfer.job.request import TrainRequest

__all__ = ["check_style", "choose_method", "list_style"]

_UNKNOWN = ""


def choose_method(request: TrainRequest) -> StyleMethod | None:
    """Returns how samples are given the look of `--style`; None where there is none."""
    if request.style is None:
        return None
    return next(x for x in STYLES if x == (request.style_method or DEFAULT_STYLE))


def check_style(request: TrainRequest) -> None:
    """Refuses a style that would change nothing, or that cannot be meant.

    Raises:
        UsageError: which of them.
    """
    if request.style_method not in (None, *STYLES):
        raise UsageError(
            f"training: expected style_method among {', '.join(STYLES)}. "
            f"Received: style_method={request.style_method!r}."
        )
    if request.style is None:
        if request.style_method is not None:
            raise UsageError(
                "training: expected --style-method with the samples whose look is meant. "
                f"Received: style_method={request.style_method!r} alone. Name their folder: "
                "--style FOLDER"
            )
        return
    if request.adapt in TRAINED:
        raise UsageError(
            "training: expected --style or a method that works on both looks while the network "
            f"trains, which would find what the style left. Received: --adapt {request.adapt}. "
            "Leave one of them out, or take --adapt auto."
        )
    method = choose_method(request)
    if method != "mixstyle" and (request.augment == "none" or request.views == 1):
        what = "--augment none" if request.augment == "none" else "--views 1"
        raise UsageError(
            f"training: expected varied views with --style-method {method}, which are given the "
            f"look. Received: {what}. Leave it out, or take --style-method mixstyle."
        )
    given = {
        "--no-cache": not request.cache,
        f"--schedule {request.schedule}": request.schedule in ("head", "scratch"),
    }
    wrong = [option for option, is_given in given.items() if is_given]
    if method == "mixstyle" and wrong:
        raise UsageError(
            "training: expected --style-method mixstyle with activations that are cached at a "
            f"stage of the backbone. Received: {', '.join(wrong)}. Leave that out, or take "
            "--style-method fda."
        )


def list_style(request: TrainRequest, modality: Modality, level: str) -> Source | None:
    """Lists the samples of `--style`, none of them opened and none with a label.

    Args:
        request: what was asked for.
        modality: says which files are samples, and whether they have looks.
        level: of augmentation, that of the request or the default.

    Returns:
        Them; None where no style was asked for.

    Raises:
        UsageError: samples that have no look, or no views that could get one.
        DataError: no folder, one without samples, or that of the labelled ones.
    """
    method = choose_method(request)
    if request.style is None or method is None:
        return None
    if not (modality.has_looks and modality.reads_files):
        raise UsageError(
            f"--style: expected a modality whose samples have a look. Received: {modality.name!r}, "
            f"whose {modality.plural} have none. Leave it out."
        )
    if method != "mixstyle" and level == "none":
        raise UsageError(
            f"--style-method {method}: expected varied views, which are given the look. Received: "
            "a backbone that trains without. Name a level: --augment light"
        )
    root = Path(request.style)
    if not root.is_dir():
        what = "a file" if root.exists() else "nothing at that path"
        raise DataError(
            f"--style {request.style!r}: expected a folder of {modality.plural} whose look is "
            f"meant. Received: {what}."
        )
    if root.resolve() == Path(request.data).resolve():
        raise DataError(
            f"--style {request.style!r}: expected {modality.plural} of another look than the "
            "labelled ones. Received: the same folder. Leave --style out."
        )
    records = [
        Record(Path(str(sample.path)).relative_to(root).as_posix(), _UNKNOWN)
        for sample in list_samples(str(root), modality)
    ]
    return make_source(root.resolve(), records, (), modality, kind="folders")
