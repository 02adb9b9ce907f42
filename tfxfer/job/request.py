"""What a training is asked for."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from tfxfer.adaptation.record import ADAPTATIONS
from tfxfer.errors import RunError, UsageError
from tfxfer.fine_tuning import FineTuning
from tfxfer.job.adaptation_request import check_adaptation
from tfxfer.job.domain_request import check_domains_asked
from tfxfer.job.keeping_request import check_keeping
from tfxfer.job.shots import check_shots
from tfxfer.job.style_choice import check_style
from tfxfer.keeping.methods import METHODS
from tfxfer.schedule import Phase
from tfxfer.standard_schedules import follow_advice
from tfxfer.system.records import read_record
from tfxfer.trust.baselines import BASELINES
from tfxfer.trust.fairness import CRITERIA

__all__ = ["SCHEDULES", "TrainRequest"]

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
        head: an installed plugin's name; None is the default head.
        head_options: keyword arguments of the head.
        weights: `default`, a named source, a path, or `none`.
        size: of the input, in the modality's unit, of images pixels; None is the backbone's own.
        schedule: `two_phase`, `progressive`, `head` (only it trains) or `scratch` (all of it does).
        head_epochs: of the head's phase; None is the schedule's own.
        epochs: of each later phase; None is the schedule's own.
        unfreeze_from: see `FineTuning`; None is the schedule's own.
        budget_seconds: of wall time, up to the tested model; None is no limit.
        batch_size: samples a step.
        augment: one of the modality's levels, of images `none`, `light` or `strong`; None is the
            modality's default.
        view_options: of the augmentation, such as `{"flip": False}`.
        views: versions of each sample that epochs draw among; None is the default.
        balance: `none`, `weights` or `oversample`.
        seed: of the split, the order, the views and the head.
        device: `auto`, `cpu` or `gpu`.
        cache: False trains every phase through the whole network.
        cache_dir: where caches go while the run is not done; None is the run itself.
        strict: stop at data of which anything would have to be left out.
        split_from: an earlier run, whose samples keep their parts; None draws all of them.
        slices: a table of further columns, joined by path; None has those of `data` alone.
        on_collapse: what is done about a collapse or a divergence, one of `Watch`'s words.
        calibrate: False leaves out the temperature that makes confidence mean something.
        baselines: what the run is held against, of `tfxfer.trust.baselines.BASELINES`.
        fair: what the head is trained again for, `equal_opportunity`, `equalized_odds` or
            `demographic_parity`; None trains it once.
        slice: the column whose groups are to be treated alike.
        target: a folder of samples of the look that counts, without labels; None where that is the
            look of `data`.
        adapt: what is done about it, of `tfxfer.adaptation.record.ADAPTATIONS`; None is `auto`
            where there is a target.
        adapt_strength: what its penalty is multiplied by; None is the method's own.
        domain: the column that says where samples are from, or `folders` where DATA holds one
            folder a source; None where that is one place.
        leave_out: the source that nothing is learnt from, and that is the test; None is none.
        reweight: `target`, where training samples count by how like the target they are; None
            where all count the same. What `adapt` does is then done only where it is asked for.
        style: a folder of samples whose look some of the training samples are given; None where
            all keep their own.
        style_method: how, one of `tfxfer.adaptation.style_record.STYLES`; None is the default.
        from_run: an earlier run, whose model is trained on; None begins with `weights`.
        keep: what holds on to what the model knows, of `tfxfer.keeping.methods`; None is nothing.
        keep_strength: what its penalty is multiplied by; None is the method's own.
        replay: samples of each of the earlier run's labels that are learnt with the new ones.
        shots: `auto` lets the number of samples a class choose head, schedule and augmentation,
            where they are few and its user names none; `off` does not.
        sample_column: of a table, which holds the samples; None is the modality's own name.
        label_column: of a table, which holds the labels; None is `label`.
    """

    data: str
    backbone: str
    head: str | None = None
    head_options: dict[str, Any] | None = None
    weights: str = "default"
    size: int | None = None
    schedule: str = "two_phase"
    head_epochs: int | None = None
    epochs: int | None = None
    unfreeze_from: str | float | None = None
    budget_seconds: float | None = None
    batch_size: int = 32
    augment: str | None = None
    view_options: dict[str, Any] = field(default_factory=dict)
    views: int | None = None
    balance: str = "none"
    seed: int = 0
    device: str = "auto"
    cache: bool = True
    cache_dir: str | None = None
    strict: bool = False
    split_from: str | None = None
    slices: str | None = None
    calibrate: bool = True
    baselines: tuple[str, ...] = ()
    on_collapse: str = "warn"
    fair: str | None = None
    slice: str | None = None
    target: str | None = None
    adapt: str | None = None
    adapt_strength: float | None = None
    domain: str | None = None
    leave_out: str | None = None
    reweight: str | None = None
    style: str | None = None
    style_method: str | None = None
    from_run: str | None = None
    keep: str | None = None
    keep_strength: float | None = None
    replay: int = 0
    shots: str = "off"
    sample_column: str | None = None
    label_column: str | None = None

    def __post_init__(self) -> None:
        checks = {
            f"a schedule among {', '.join(SCHEDULES)}": self.schedule in SCHEDULES,
            "a batch size of at least 1": self.batch_size >= 1,
            "views of at least 1": self.views is None or self.views >= 1,
            "a seed of at least 0": self.seed >= 0,
            f"baselines among {', '.join(BASELINES)}": set(self.baselines) <= set(BASELINES),
            f"fair among {', '.join(CRITERIA)}": self.fair in (None, *CRITERIA),
            f"adapt among {', '.join(ADAPTATIONS)}": self.adapt in (None, *ADAPTATIONS),
            f"keep among {', '.join(METHODS)}": self.keep in (None, *METHODS),
            "replay of at least 0": self.replay >= 0,
        }
        for expected, holds in checks.items():
            if not holds:
                raise UsageError(f"training: expected {expected}. Received: {self}.")
        chosen = ("head_epochs", "epochs", "unfreeze_from", "views")
        given = [name for name in chosen if getattr(self, name) is not None]
        given += ["schedule"] * (self.schedule != "two_phase")
        if (self.fair is None) != (self.slice is None):
            raise UsageError(
                "training: expected --fair CRITERION and --slice COLUMN together. "
                f"Received: fair={self.fair!r}, slice={self.slice!r}."
            )
        beside = {
            "--fair": self.fair, "--target": self.target, "--style": self.style,
            "--keep": self.keep,
        }  # fmt: skip
        for option, value in beside.items():
            if value is not None and self.budget_seconds is not None:
                raise UsageError(
                    f"training: expected --budget without {option}, which takes time of its own. "
                    f"Received: both, budget_seconds={self.budget_seconds:g}. Leave one of them "
                    "out."
                )
        check_adaptation(
            adapt=self.adapt, strength=self.adapt_strength, target=self.target,
            schedule=self.schedule,
        )  # fmt: skip
        if self.target is not None and self.fair is not None:
            raise UsageError(
                "training: expected --fair or --target, each of which fits the last layer. "
                f"Received: both, fair={self.fair!r}. Leave one of them out."
            )
        check_domains_asked(self)
        check_style(self)
        check_keeping(self)
        check_shots(self)
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
            split_from=None if self.split_from is None else absolute(self.split_from),
            slices=None if self.slices is None else absolute(self.slices),
            target=None if self.target is None else absolute(self.target),
            style=None if self.style is None else absolute(self.style),
            from_run=None if self.from_run is None else absolute(self.from_run),
        )

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Reads what `run.json` keeps.

        Raises:
            RunError: it is something else.
        """
        data = dict(data)
        if "flip" in data:  # runs of tfxfer 0.1 knew images only
            data["view_options"] = {"flip": data.pop("flip")}
        renamed = {"image_size": "size"}
        return read_record(cls, data, where="run.json, request", error=RunError, renamed=renamed)

    def make_schedule(self, advice: FineTuning | None = None) -> tuple[Phase, ...]:
        """Returns the schedule, unresolved.

        Args:
            advice: of the backbone, for what is not asked for; None is that of images.

        Raises:
            UsageError: an option that the schedule does not use.
        """
        wrong = [name for name in _UNUSED[self.schedule] if getattr(self, name) is not None]
        if wrong:
            options = ", ".join(f"--{name.replace('_', '-')}" for name in wrong)
            raise UsageError(
                f"schedule {self.schedule!r}: expected no {options}, which it does not use. "
                "Leave it out, or use --schedule two_phase."
            )
        asked: dict[str, Any] = {
            "head_epochs": self.head_epochs,
            "unfreeze_from": self.unfreeze_from,
        }
        given = {key: value for key, value in asked.items() if value is not None}
        advice = replace(advice or FineTuning(), **given)
        return follow_advice(advice, self.schedule, epochs=self.epochs)
