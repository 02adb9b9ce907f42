"""From what was measured of some samples to a way of training, with reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from tfxfer.errors import RunError
from tfxfer.fine_tuning import FineTuning
from tfxfer.system.files import atomic_write, to_json
from tfxfer.system.records import read_document
from tfxfer.trust.profile import FAR
from tfxfer.trust.stored import PlainRecord

__all__ = [
    "Advice",
    "Evidence",
    "StageProbe",
    "Strategy",
    "choose_backbone",
    "choose_strategy",
    "read_advice",
]

# Where features are at least as good as this, whatever luck the validation split had, nothing is
# left to gain that a test of some hundred samples shows: NEU's defects, 99.2 % by a probe, gained
# 0.1 points by fine-tuning (docs/benchmarks/training.md).
_CEILING = 0.97
# Far from what the network knows, and with enough samples, more epochs on fewer views did better:
# ELPV, 87.5 against 86.3 % (docs/benchmarks/defaults.md, views and epochs).
_MANY = 1000
_FAR_EPOCHS, _FAR_VIEWS = 12, 4
# Where frozen features say little, more of the network has something to learn: on three sets of
# five two thirds did better than the last third, by 0.7, 1.5 and 5 points, and on the two whose
# probes say more they did not (docs/advice.md). That is where the limit was drawn, too.
_LITTLE = 0.9
_DEEPEST = 0.35
"""Two thirds of the network train: all of it costs twice as much."""


@dataclass(frozen=True)
class StageProbe:
    """What a linear classifier makes of the features at one stage.

    Args:
        stage: its name.
        depth: fraction of the stages that end with it.
        figure: share of validation samples that it has right, `value`, `low`, `high`, 95 %.
        gain: by how much it is better than at the end of the backbone, paired on the same samples,
            in points; 0 at the end itself.
    """

    stage: str
    depth: float
    figure: Mapping[str, float]
    gain: Mapping[str, float]


@dataclass(frozen=True)
class Evidence:
    """What was measured of a backbone on some samples.

    Args:
        backbone: its name.
        size: of the input, in the modality's unit.
        samples: to learn from.
        groups: how many labels they have that exclude each other; 0 for other tasks.
        rarest: samples of the rarest of these.
        probes: from the input to the end; empty where the task has no groups.
        half: what a probe at the end learns from half of the samples, in points below all of them;
            None where it was not measured.
        gap: how far the samples are from what the network was trained on; None where unknown.
        gap_words: the same in words, or why it is unknown.
        seconds: that the default training would take here.
    """

    backbone: str
    size: int
    samples: int
    groups: int
    rarest: int
    probes: tuple[StageProbe, ...]
    half: float | None
    gap: float | None
    gap_words: str
    seconds: float


@dataclass(frozen=True)
class Strategy:
    """How much of a backbone to train, and how.

    Args:
        schedule: `head` or `two_phase`.
        unfreeze_from: fraction of the stages that stay frozen in the second phase; None is the
            schedule's own.
        epochs: of the second phase; None is the schedule's own.
        views: of each sample; None is the default.
        reasons: a sentence each.
    """

    schedule: str
    unfreeze_from: float | None = None
    epochs: int | None = None
    views: int | None = None
    reasons: tuple[str, ...] = ()

    def to_request(self) -> dict[str, Any]:
        """Returns the fields of a request that it settles."""
        fields = {key: value for key, value in asdict(self).items() if key != "reasons"}
        return {key: value for key, value in fields.items() if value is not None}


@dataclass(frozen=True)
class Advice(PlainRecord):
    """A training that `tfxfer train --plan` runs, and what led to it.

    Args:
        request: fields of a `TrainRequest`.
        seconds: that it is expected to take here.
        phases: what it does, in words, a line each.
        reasons: why, a sentence each.
        evidence: of each backbone that was tried.
    """

    title: ClassVar[str] = "plan"

    request: Mapping[str, Any]
    seconds: float
    phases: tuple[str, ...]
    reasons: tuple[str, ...]
    evidence: tuple[Evidence, ...]

    def write(self, path: Path) -> None:
        """Writes it where `read_advice` finds it."""
        with atomic_write(path) as temporary:
            temporary.write_text(to_json(self.to_dict()), encoding="utf-8")


def read_advice(path: Path) -> Advice:
    """Returns the advice in a file.

    Raises:
        RunError: it is missing, or something else.
    """
    expected = "a plan, as `tfxfer advise --out` writes it"
    return Advice.from_dict(read_document(path, expected=expected, error=RunError))


def choose_backbone(evidence: Sequence[Evidence]) -> tuple[Evidence, tuple[str, ...]]:
    """Returns the backbone to take, and why.

    The one whose features at the end tell most; of those within the best one's interval, the one
    that trains fastest.

    Args:
        evidence: of each, at least one.
    """
    if len(evidence) == 1:
        return evidence[0], ()
    ends = {item.backbone: item.probes[-1].figure for item in evidence if item.probes}
    if len(ends) < len(evidence):
        chosen = min(evidence, key=lambda item: item.seconds)
        return chosen, (f"{chosen.backbone} trains fastest; features cannot be compared here",)
    best = max(ends.values(), key=lambda figure: figure["value"])
    close = [item for item in evidence if ends[item.backbone]["value"] >= best["low"]]
    chosen = min(close, key=lambda item: item.seconds)
    others = ", ".join(
        f"{name} {100 * figure['value']:.1f} %"
        for name, figure in ends.items()
        if name != chosen.backbone
    )
    why = "the best features" if len(close) == 1 else "the fastest of those with the best features"
    return chosen, (
        f"{chosen.backbone} has {why}: a linear probe has "
        f"{100 * ends[chosen.backbone]['value']:.1f} % of validation right; {others}",
    )


def choose_strategy(evidence: Evidence, advice: FineTuning | None = None) -> Strategy:
    """Returns how much of a backbone to train.

    The default is what the backbone advises: of images two phases with the last third unfrozen,
    which was best or equal on most sets that it was measured on. It is left where something
    measured speaks against it: features that are as good as they can be; features that are better
    before the end, so that what follows must change; features that say little; samples far from
    what the network knows, of which there are many. A backbone that trains as a whole needs no more
    depth.

    Args:
        evidence: of the backbone.
        advice: of the backbone; None is that of images.

    Source:
        Features that become specific to the old task towards the end: Yosinski et al. 2014, How
        transferable are features in deep neural networks? Features of earlier stages for far tasks:
        Evci et al. 2022, Head2Toe.
    """
    probes = evidence.probes
    advice = FineTuning() if advice is None else advice
    if not probes:
        return _choose_without_probes(evidence, advice)
    end = probes[-1].figure
    if end["low"] >= _CEILING:
        return Strategy(
            "head",
            reasons=(
                f"frozen features are enough: a linear probe has {100 * end['value']:.1f} % of "
                f"validation right, at least {100 * end['low']:.1f} %, and fine-tuning could gain "
                "less than a test shows",
            ),
        )
    reasons = [f"a linear probe on frozen features has {100 * end['value']:.1f} % right"]
    if evidence.half is not None and evidence.half > 0:
        reasons.append(
            f"it had {evidence.half:.1f} points less with half of the samples: more samples help"
        )
    better = [probe for probe in probes[:-1] if probe.gain["low"] > 0]
    depth = None
    if better and isinstance(advice.unfreeze_from, float):
        best = max(better, key=lambda probe: probe.gain["value"])
        depth = max(_DEEPEST, min(advice.unfreeze_from, best.depth))
        reasons.append(
            f"features at {best.stage} are better than at the end by {best.gain['value']:.1f} "
            f"points [{best.gain['low']:.1f}, {best.gain['high']:.1f}]: what follows is made for "
            f"another task, so {100 * (1 - depth):.0f} % of the stages train"
        )
    elif end["high"] < _LITTLE and isinstance(advice.unfreeze_from, float):
        depth = min(advice.unfreeze_from, _DEEPEST)
        reasons.append(
            f"that is little, {100 * end['high']:.1f} % at most: with more of the network trained "
            f"there is more to gain, so {100 * (1 - depth):.0f} % of the stages train"
        )
    return _complete(evidence, advice, depth, reasons)


def _choose_without_probes(evidence: Evidence, advice: FineTuning) -> Strategy:
    return _complete(
        evidence,
        advice,
        None,
        ["this task has no classes to probe for: the advice rests on the rest"],
    )


def _complete(
    evidence: Evidence, advice: FineTuning, depth: float | None, reasons: list[str]
) -> Strategy:
    far = evidence.gap is not None and evidence.gap >= FAR
    reasons.append(evidence.gap_words)
    if far and evidence.samples >= _MANY:
        reasons.append(
            f"far from what the network knows, and {evidence.samples:,} samples to learn from: "
            f"{_FAR_EPOCHS} epochs on {_FAR_VIEWS} views did better than fewer on more"
        )
        return Strategy("two_phase", depth, _FAR_EPOCHS, _FAR_VIEWS, tuple(reasons))
    if depth is None:
        reasons.append(
            "nothing measured speaks against the default: the head first, then "
            f"{_describe_depth(advice.unfreeze_from)}"
        )
    return Strategy("two_phase", depth, reasons=tuple(reasons))


def _describe_depth(unfreeze_from: str | float | None) -> str:
    """Returns what trains, for people.

    Example:
        >>> _describe_depth(0.7), _describe_depth(None), _describe_depth("block_4")
        ('the last third', 'all of it', 'what follows block_4')
    """
    if unfreeze_from is None or unfreeze_from == 0:
        return "all of it"
    if isinstance(unfreeze_from, str):
        return f"what follows {unfreeze_from}"
    share = 1 - unfreeze_from
    return "the last third" if 0.28 <= share <= 0.36 else f"the last {100 * share:.0f} %"
