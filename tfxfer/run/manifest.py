"""What `run.json` says, as data: no file is touched here."""

from __future__ import annotations

import contextlib
import importlib.metadata
import platform
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

from tfxfer.errors import RunError
from tfxfer.schedule import Phase
from tfxfer.system.files import to_plain
from tfxfer.system.records import read_record
from tfxfer.version import __version__

if TYPE_CHECKING:
    from tfxfer.registry.component import Component

__all__ = [
    "DataSummary",
    "Manifest",
    "PhaseRecord",
    "PlannedPhase",
    "RunStatus",
    "WeightsUsed",
    "collect_versions",
    "plugin_versions",
]

RunStatus = Literal["running", "interrupted", "done"]

_VERSIONS = ("tfxfer", "keras", "tensorflow", "jax", "numpy", "pillow", "ai-edge-litert")


@dataclass(frozen=True)
class WeightsUsed:
    """Which pretrained weights a run started from.

    Args:
        source: a declared name such as `imagenet`, a path, or `none`.
        sha256: of the file; None for random weights.
        licence: SPDX identifier or words, where known.
    """

    source: str
    sha256: str | None = None
    licence: str | None = None


@dataclass(frozen=True)
class DataSummary:
    """What a run was trained and measured on.

    Args:
        images: number of images used, all splits together.
        train: number of images in the training split.
        val: number of images in the validation split.
        test: number of images in the test split.
        fingerprint: hash of the images and labels.
        skipped: what was left out, and why, up to 10,000 samples; skipped.csv names all.
        unread: how many files were not read, by their ending; skipped.csv names them.
        notes: what the data was taken for and what it holds, a line each.
    """

    images: int
    train: int
    val: int
    test: int
    fingerprint: str
    skipped: tuple[Any, ...] = ()
    unread: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("skipped", "notes"):
            object.__setattr__(self, name, tuple(to_plain(getattr(self, name))))
        object.__setattr__(self, "unread", to_plain(self.unread))


@dataclass(frozen=True)
class PlannedPhase:
    """One phase that a run is going to train.

    Args:
        phase: with its stage resolved.
        views: versions of each training image that the epochs of the run draw among.
        trainable_parameters: number of values that it trains.
        cached: whether activations are cached at the frontier.
    """

    phase: Phase
    views: int
    trainable_parameters: int
    cached: bool


@dataclass(frozen=True)
class PhaseRecord:
    """One finished phase.

    Args:
        name: as the plan calls it.
        stage: the frontier; None when nothing was frozen.
        epochs: how many were run.
        learning_rate: peak rate of the head.
        trainable_parameters: number of trained values.
        cached: whether activations were cached at the frontier.
        seconds: wall time.
        best_epoch: the best by the monitor, numbered through all phases, where known.
        planned_epochs: how many were planned, where known.
        stopped: what cut it off before its end: `budget`, `patience`, `callback`, `not_finite` for
            a loss that is not, or None. Where that is None and fewer were run than planned, the
            clock shortened the phase as a whole: its learning rate fell in time.
    """

    name: str
    stage: str | None
    epochs: int
    learning_rate: float
    trainable_parameters: int
    cached: bool
    seconds: float
    best_epoch: int | None = None
    planned_epochs: int | None = None
    stopped: str | None = None

    @property
    def is_shortened(self) -> bool:
        """Whether a budget left time for fewer epochs than planned, and the rate fell in them."""
        planned = self.planned_epochs
        return self.stopped is None and planned is not None and self.epochs < planned


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """All that `run.json` says. Everything but the two names may come later in the run.

    Args:
        backbone: name of the backbone.
        head: name of the head.
        tfxfer: version that wrote it.
        status: `running`, `interrupted` or `done`.
        created: when the run began, ISO 8601 in UTC.
        request: the arguments as they were given.
        head_options: the head's `options()`.
        labels: the outputs in order.
        modality: what the backbone reads.
        size: of the input, in the modality's unit: of images the side in pixels.
        preprocessing: the backbone's, `to_dict()`.
        seed: of the split, the batch order and the views.
        versions: of the packages that matter and of the plugins, by distribution.
        device: what it trained on.
        precision: policy of training, such as `float32`.
        weights: what it started from.
        data: what it was trained and measured on.
        plan: the resolved schedule, as JSON data.
        phases: the finished ones.
        findings: what went wrong in the training: `kind`, `epoch`, `phase`, `message`, `remedy` and
            `action` of each.
        calibration: what became of the model's confidence, a `tfxfer.trust` record; None where its
            head says nothing of it, and in runs of before there was one.
        metrics: by split (`val`, `test`), then by name; sampled ones with their interval.
        warnings: what must be said of the result: `kind`, `message` and `cause` of each; empty for
            one that is clearly better than chance.
        exports: what was written to `export/`.
        unlabelled: sha256 of the samples without labels that it was trained beside, by the option
            that names them.
        sha256: of the files that figures come of, by name, see `tfxfer.run.seals`; empty in runs of
            before it was kept.
    """

    backbone: str
    head: str
    tfxfer: str = __version__
    status: RunStatus = "running"
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    request: Mapping[str, Any] = field(default_factory=dict)
    head_options: Mapping[str, Any] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    modality: str = "image"
    size: int | None = None
    preprocessing: Mapping[str, Any] | None = None
    seed: int = 0
    versions: Mapping[str, str] = field(default_factory=dict)
    device: str | None = None
    precision: str = "float32"
    weights: WeightsUsed | None = None
    data: DataSummary | None = None
    plan: tuple[Any, ...] = ()
    phases: tuple[PhaseRecord, ...] = ()
    findings: tuple[Any, ...] = ()
    calibration: Mapping[str, Any] | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[Any, ...] = ()
    exports: tuple[Any, ...] = ()
    unlabelled: Mapping[str, str] = field(default_factory=dict)
    sha256: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.status not in get_args(RunStatus):
            raise RunError(
                f"run manifest: expected a status among {', '.join(get_args(RunStatus))}. "
                f"Received: status={self.status!r}."
            )
        if self.seed < 0:
            raise RunError(f"run manifest: expected a seed from 0 upwards. Received: {self.seed}.")
        for item in self.warnings:
            if not (isinstance(item, Mapping) and isinstance(item.get("message"), str)):
                raise RunError(
                    f"run manifest: expected warnings with a message each. Received: {item!r:.80}."
                )
        # As it will be read back: what was stored equals what was made.
        for name in (
            "request", "head_options", "preprocessing", "versions", "calibration", "metrics",
            "sha256",
        ):  # fmt: skip
            object.__setattr__(self, name, to_plain(getattr(self, name)))
        for name in ("labels", "plan", "findings", "warnings", "exports"):
            object.__setattr__(self, name, tuple(to_plain(getattr(self, name))))
        object.__setattr__(self, "phases", tuple(self.phases))

    def to_dict(self) -> dict[str, Any]:
        """Returns plain JSON data; `from_dict` reads it back."""
        document: dict[str, Any] = to_plain(asdict(self))
        return document

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """Reads `to_dict`'s data.

        Raises:
            RunError: it is something else.
        """
        # tfxfer 0.1 knew images only.
        renamed = {"image_size": "size"}
        return read_record(cls, data, where="run manifest", error=RunError, renamed=renamed)

    def planned_phases(self) -> tuple[PlannedPhase, ...]:
        """Returns what `plan` says.

        Raises:
            RunError: it says something else.
        """
        return tuple(
            read_record(PlannedPhase, item, where=f"run manifest, plan[{number}]", error=RunError)
            for number, item in enumerate(self.plan)
        )


def collect_versions(*distributions: str) -> dict[str, str]:
    """Returns the versions that a result depends on, read from metadata: nothing is imported.

    Args:
        distributions: more pip names, such as those of the plugins used.

    Returns:
        `python` and every named distribution that is installed.
    """
    versions = {"python": platform.python_version()}
    for name in dict.fromkeys((*_VERSIONS, *distributions)):
        # One that is not there, or whose metadata an installation left half-written, costs itself.
        with contextlib.suppress(Exception):
            found: str | None = importlib.metadata.version(name)
            if found:
                versions[name] = found
    return versions


def plugin_versions(components: Iterable[Component], used: Mapping[str, str]) -> dict[str, str]:
    """Returns the versions of the distributions that bring what a run uses, for `versions`.

    Args:
        components: what there is, as `Registry.list` returns it.
        used: names that users type, by kind, such as `{"backbone": "hub:…", "head": "tidy"}`.

    Returns:
        Versions by distribution; what belongs to no distribution is left out.

    Example:
        >>> from tfxfer.registry.component import Component
        >>> found = Component("head", "tidy", "m:Head", "tfxfer-heads", "0.1.0")
        >>> plugin_versions([found], {"backbone": "mine", "head": "tidy"})
        {'tfxfer-heads': '0.1.0'}
    """
    components = tuple(components)
    known = {(component.kind, component.name) for component in components}
    # Of `hub:handle` the name is what stands before the colon.
    wanted = {
        (kind, name if (kind, name) in known else name.partition(":")[0])
        for kind, name in used.items()
    }
    return {
        component.distribution: component.version
        for component in components
        if component.distribution and (component.kind, component.name) in wanted
    }
