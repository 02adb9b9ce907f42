"""What a training is asked for, and whether it can be meant."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tfxfer.backbone import BACKBONE_END, Backbone
from tfxfer.errors import ModelError, RunError, UsageError
from tfxfer.run.directory import RunDirectory
from tfxfer.schedule import Phase, from_scratch, progressive, resolve_schedule, two_phase

if TYPE_CHECKING:
    from tfxfer.head import Head

__all__ = ["SCHEDULES", "TrainRequest", "check_place", "check_request"]

_UNUSED: dict[str, tuple[str, ...]] = {
    "two_phase": (),
    "progressive": ("unfreeze_from",),
    "head": ("epochs", "unfreeze_from"),
    "scratch": ("head_epochs", "unfreeze_from"),
}
SCHEDULES = tuple(_UNUSED)


@dataclass(frozen=True)
class TrainRequest:
    """What a training was asked for; `run.json` keeps it, and `--resume` repeats it.

    Args:
        data: a folder, or a CSV.
        backbone: an installed plugin's name.
        head: an installed plugin's name.
        head_options: keyword arguments of the head.
        weights: `default`, a named source, a path, or `none`.
        image_size: side of the square input, in pixels; None is the backbone's own.
        schedule: `two_phase`, `progressive`, `head` (only it trains) or `scratch` (all of it does).
        head_epochs: of the head's phase; None is the schedule's own.
        epochs: of each later phase; None is the schedule's own.
        unfreeze_from: see `two_phase`; None is the schedule's own.
        budget_seconds: of wall time, up to the tested model; None is no limit.
        batch_size: images a step.
        augment: `none`, `light` or `strong`.
        flip: whether augmentation may mirror.
        views: versions of each image that epochs draw among; None is the default.
        balance: `none`, `weights` or `oversample`.
        seed: of the split, the order, the views and the head.
        device: `auto`, `cpu` or `gpu`.
        cache: False trains every phase from pixels.
        cache_dir: where large caches go; None is the system's place for temporary files.
        strict: stop at data of which anything would have to be left out.
    """

    data: str
    backbone: str
    head: str = "classification"
    head_options: dict[str, Any] | None = None
    weights: str = "default"
    image_size: int | None = None
    schedule: str = "two_phase"
    head_epochs: int | None = None
    epochs: int | None = None
    unfreeze_from: str | float | None = None
    budget_seconds: float | None = None
    batch_size: int = 32
    augment: str = "light"
    flip: bool = True
    views: int | None = None
    balance: str = "none"
    seed: int = 0
    device: str = "auto"
    cache: bool = True
    cache_dir: str | None = None
    strict: bool = False

    def __post_init__(self) -> None:
        checks = {
            f"a schedule among {', '.join(SCHEDULES)}": self.schedule in SCHEDULES,
            "a batch size of at least 1": self.batch_size >= 1,
            "views of at least 1": self.views is None or self.views >= 1,
            "a seed of at least 0": self.seed >= 0,
        }
        for expected, holds in checks.items():
            if not holds:
                raise UsageError(f"training: expected {expected}. Received: {self}.")
        chosen = ("head_epochs", "epochs", "unfreeze_from", "views")
        given = [name for name in chosen if getattr(self, name) is not None]
        given += ["schedule"] * (self.schedule != "two_phase")
        if self.budget_seconds is not None and given:
            raise UsageError(
                "training: expected a budget, which chooses views, depth and epochs, or those. "
                f"Received: budget_seconds={self.budget_seconds:g} and {', '.join(given)}."
            )

    def with_absolute_paths(self, sources: Collection[str] = ()) -> Self:
        """Returns the same for every working directory: a run is gone on with from any.

        Args:
            sources: names of the backbone's weights, which are no paths.
        """

        def absolute(name: str, words: Collection[str] = ()) -> str:
            path = Path(name).expanduser()
            return name if name in words or not path.exists() else str(path.absolute())

        return replace(
            self,
            data=absolute(self.data),
            weights=absolute(self.weights, ("default", "none", *sources)),
            cache_dir=None if self.cache_dir is None else absolute(self.cache_dir),
        )

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Reads what `run.json` keeps; refuses keys it does not know."""
        unknown = set(data) - {item.name for item in fields(cls)}
        if unknown:
            raise RunError(f"run.json: unknown keys in request. Received: {sorted(unknown)}.")
        return cls(**data)

    def make_schedule(self) -> tuple[Phase, ...]:
        """Returns the schedule, unresolved."""
        given: dict[str, Any] = {
            "head_epochs": self.head_epochs,
            "epochs": 0 if self.schedule == "head" else self.epochs,
        }
        given = {key: value for key, value in given.items() if value is not None}
        wrong = [name for name in _UNUSED[self.schedule] if getattr(self, name) is not None]
        if wrong:
            options = ", ".join(f"--{name.replace('_', '-')}" for name in wrong)
            raise UsageError(
                f"schedule {self.schedule!r}: expected no {options}, which it does not use. "
                "Leave it out, or use --schedule two_phase."
            )
        if self.schedule == "progressive":
            return progressive(**given)
        if self.schedule == "scratch":
            return from_scratch(**given)
        if self.unfreeze_from is not None:
            given["unfreeze_from"] = self.unfreeze_from
        return two_phase(**given)


def check_request(request: TrainRequest) -> tuple[Backbone, Head, tuple[Phase, ...]]:
    """Returns the plugins and the schedule that a request names; does not start Keras.

    Raises:
        TfxferError: something in it cannot be meant, whatever the images are.
    """
    from tfxfer.registry.lookup import get_backbone, get_head
    from tfxfer.weights import resolve_weights

    schedule = request.make_schedule()
    if request.cache_dir is not None and not Path(request.cache_dir).is_dir():
        raise UsageError(
            f"--cache-dir: expected a folder. Received: {request.cache_dir!r}. Make it first."
        )
    if request.budget_seconds is not None and not request.cache:
        raise UsageError(
            "--budget: expected cached activations, which make times predictable. "
            "Received: --no-cache. Leave one of them out."
        )
    backbone = get_backbone(request.backbone)
    head = get_head(request.head, options=request.head_options)
    if request.balance != "none" and head.task == "regression":
        raise UsageError(
            f"--balance: expected classes to balance. Received: head={request.head!r}, whose "
            "targets are numbers. Leave it out."
        )
    stages = [*(stage.name for stage in backbone.stages), BACKBONE_END]
    resolve_schedule(schedule, stages, backbone=request.backbone)
    if request.image_size is not None and request.image_size < backbone.min_image_size:
        raise ModelError(
            f"backbone {backbone.name!r}: expected an image size of at least "
            f"{backbone.min_image_size} px. Received: image_size={request.image_size}."
        )
    resolve_weights(backbone, request.weights)
    return backbone, head, schedule


def check_place(out: str | Path, *, overwrite: bool = False) -> None:
    """Refuses a place where no run can be made.

    Raises:
        RunError: it holds something, or cannot be written.
    """
    out = Path(out)
    shown = f"cannot make a run at {str(out)[:200]!r}"
    try:
        RunDirectory.check_free(out, overwrite=overwrite)
        above = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
    except RunError:
        raise
    except OSError as error:
        raise RunError(
            f"{shown}: expected a folder that can be read. Received: {error.strerror}. "
            "Choose another --out."
        ) from error
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        what = "a folder that you may not write to" if above.is_dir() else "a file"
        raise RunError(
            f"{shown}: expected a folder that can be written. Received: {str(above)!r}, {what}. "
            "Choose another --out."
        )
