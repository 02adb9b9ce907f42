"""What `fit` is told beside the data: how samples vary, what is cached, who watches."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from tfxfer.errors import UsageError
from tfxfer.fine_tuning import FineTuning
from tfxfer.progress import Progress
from tfxfer.schedule import FitState
from tfxfer.system.arguments import check_kind, check_number, check_word

if TYPE_CHECKING:
    import numpy as np

    from tfxfer.data.looks import Looks
    from tfxfer.frontier.fill import Conversion
    from tfxfer.frontier.store import CacheStore
    from tfxfer.training.batches import Change
    from tfxfer.training.companion import Companion
    from tfxfer.training.snapshot import Snapshot

__all__ = [
    "DEFAULT_VIEWS",
    "Augmentation",
    "Cache",
    "Control",
    "check_numbers",
    "choose_views",
    "group_options",
]

DEFAULT_VIEWS = 8
"""Augmented versions of each sample that epochs draw among; measured in docs/benchmarks.md."""


@dataclass(frozen=True)
class Augmentation:
    """How training samples vary. Validation and test samples never do.

    Args:
        level: how far, one of the modality's levels: `none`, `light` or `strong` for images; None
            is the modality's default, `light` for images.
        views: versions of each training sample that epochs draw among; None is 8, or 1 without
            augmentation and for a `tf.data.Dataset`, where each view is one more pass.
        options: of the modality, such as `{"flip": False}` where left and right differ.
        looks: of other samples, which some of the views get, as `tfxfer train --style` measures
            them; None leaves every view its own.
    """

    level: str | None = None
    views: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    looks: Looks | None = None

    def __post_init__(self) -> None:
        if self.views is not None:
            check_number(self.views, where="Augmentation", name="views", least=1)
        check_kind(
            self.options,
            Mapping,
            where="Augmentation",
            name="options",
            expected="a dict of options",
        )


@dataclass(frozen=True)
class Cache:
    """What becomes of activations below the frontier.

    Args:
        enabled: False trains every phase through the whole network.
        dtype: of what is stored, `float16` or `float32`.
        store: where it goes; None is memory while it is little, then temporary files.
        use_litert: False computes it through Keras.
        conversion: what of the network has been converted already; None is nothing.
    """

    enabled: bool = True
    dtype: str = "float16"
    store: CacheStore | None = None
    use_litert: bool = True
    conversion: Conversion | None = None

    def __post_init__(self) -> None:
        check_word(self.dtype, ("float16", "float32"), where="Cache", name="dtype")


@dataclass(frozen=True)
class Control:
    """How a training is watched, ended and gone on with.

    Args:
        deadline: `time.monotonic()` at which it should be over.
        progress: told of samples cached.
        state: of an earlier `fit` whose best weights the model holds; its phases are skipped.
        snapshot: that `on_epoch_end` or a job kept, to go on from within a phase; instead of
            `state`, and it brings the weights.
        on_phase_end: called with the state after each phase, the model holding its best weights.
        on_epoch_end: called with a `Snapshot` after each epoch that another one of its phase
            follows: all that a later `fit` needs to end as if nothing had been broken off.
            Callbacks that keep a state of their own are asked for it by `describe_state`, in JSON's
            types, and given it by `restore_state`; others begin anew.
        on_features: called once, before anything is trained, with what the untrained backbone makes
            of the training and of the validation samples, (samples, features) each: the mean over
            the views that were cached. Only where the first phase caches at the backbone's end.
        wrap: called with the network that a phase fits, and the stage that it begins after (None is
            the inputs); returns the one that is fitted in its place, which shares its layers, its
            inputs and its outputs: what it adds to the loss is of the training alone.
        change: called as a cached phase begins, with the model and the stage that its activations
            are of (None is the inputs); returns what makes the inputs of a training batch of those
            that were read, given these, the epoch's number and the batch's, or None, which leaves
            them. What it makes must follow from these and a seed alone.
        companion: samples beside those of each step in phases that train more than the head; a
            plan that is handed over was made with their number. Not together with `wrap`.
    """

    deadline: float | None = None
    progress: Progress | None = None
    state: FitState | None = None
    snapshot: Snapshot | None = None
    on_phase_end: Callable[[FitState], None] | None = None
    on_epoch_end: Callable[[Snapshot], None] | None = None
    on_features: Callable[[np.ndarray, np.ndarray], None] | None = None
    wrap: Callable[[Any, str | None], Any] | None = None
    change: Callable[[Any, str | None], Change | None] | None = None
    companion: Companion | None = None

    def __post_init__(self) -> None:
        if self.wrap is not None and self.companion is not None:
            raise UsageError(
                "Control: expected wrap or companion, each of which is fitted in place of the "
                "network. Received: both. Leave one of them out."
            )


_NEW = ("snapshot", "on_epoch_end", "on_features", "wrap", "change", "companion")
"""Fields that no keyword of tfxfer 0.1 had."""

_MOVED: Mapping[str, tuple[str, str]] = {
    "flip": ("augment", "options"),
    "views": ("augment", "views"),
    "cache_dtype": ("cache", "dtype"),
    "store": ("cache", "store"),
    "use_litert": ("cache", "use_litert"),
    **{item.name: ("control", item.name) for item in fields(Control) if item.name not in _NEW},
}
"""Keywords of tfxfer 0.1, and the group and field they are now."""


def group_options(
    augment: str | Augmentation | None,
    cache: bool | Cache,
    control: Control | None,
    moved: Mapping[str, Any],
) -> tuple[Augmentation, Cache, Control]:
    """Returns the groups, with keywords of tfxfer 0.1 put where they belong.

    Raises:
        TypeError: a keyword that `fit` never had.
        UsageError: a group that is none.
    """
    for name, value, kinds, expected in (
        ("augment", augment, (str, Augmentation, type(None)), "a level or a tfxfer.Augmentation"),
        ("cache", cache, (bool, Cache), "True, False or a tfxfer.Cache"),
        ("control", control, (Control, type(None)), "a tfxfer.Control"),
    ):
        check_kind(value, kinds, where="fit", name=name, expected=expected)
    groups: dict[str, Any] = {
        "augment": augment if isinstance(augment, Augmentation) else Augmentation(level=augment),
        "cache": Cache(enabled=cache) if isinstance(cache, bool) else cache,
        "control": control or Control(),
    }
    for name, value in moved.items():
        if name not in _MOVED:
            raise TypeError(f"fit() got an unexpected keyword argument {name!r}")
        group, item = _MOVED[name]
        kind = type(groups[group]).__name__
        shown = f"{item}={{'flip': …}}" if name == "flip" else f"{item}=…"
        warnings.warn(
            f"fit({name}=…) goes with tfxfer 0.2: use fit({group}=tfxfer.{kind}({shown}))",
            DeprecationWarning,
            stacklevel=3,
        )
        new = {**groups[group].options, "flip": value} if name == "flip" else value
        groups[group] = replace(groups[group], **{item: new})
    return groups["augment"], groups["cache"], groups["control"]


def choose_views(level: str, advice: FineTuning) -> int:
    """Returns how many versions of each sample epochs draw among where nobody asks for a number.

    Args:
        level: of augmentation.
        advice: of the backbone.

    Example:
        >>> choose_views("none", FineTuning()), choose_views("light", FineTuning(views=3))
        (1, 3)
    """
    return 1 if level == "none" else advice.views or DEFAULT_VIEWS


def check_numbers(*, batch_size: int, seed: int) -> None:
    """Refuses numbers that cannot be meant.

    Raises:
        UsageError: one of them.
    """
    check_number(batch_size, where="fit", name="batch_size", least=1)
    check_number(seed, where="fit", name="seed", least=0)
