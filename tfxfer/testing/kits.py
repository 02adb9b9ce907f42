"""The two kits: which checks a backbone and a head go through, as plain functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path

from tfxfer.backbone import Backbone
from tfxfer.errors import UsageError
from tfxfer.head import Head
from tfxfer.registry.component import Component
from tfxfer.registry.lookup import Registry, default_registry
from tfxfer.testing import (
    backbone_checks,
    ending_checks,
    figure_checks,
    head_checks,
    label_checks,
)
from tfxfer.testing.backbone_subject import BackboneSubject
from tfxfer.testing.check import Check, Examination, Report, Result
from tfxfer.testing.export_checks import export_float, export_int8, export_uint8_input
from tfxfer.testing.head_subject import HeadSubject
from tfxfer.testing.pixel_checks import preprocessing
from tfxfer.testing.reload_check import reload, start_loader
from tfxfer.testing.shared_checks import laziness, provenance
from tfxfer.testing.subject import Subject
from tfxfer.testing.training_checks import (
    cached,
    freezing,
    no_randomness,
    phase_fine_tune,
    phase_head,
)

__all__ = [
    "BACKBONE_CHECKS",
    "HEAD_CHECKS",
    "check_backbone",
    "check_head",
    "examine_backbone",
    "examine_head",
    "run_report",
]

BACKBONE_CHECKS: tuple[Check, ...] = (
    backbone_checks.metadata,
    provenance,
    laziness,
    backbone_checks.weights_sha256,
    backbone_checks.builds,
    backbone_checks.flat,
    backbone_checks.stages,
    backbone_checks.model,
    preprocessing,
    backbone_checks.deterministic,
    no_randomness,
    freezing,
    phase_head,
    phase_fine_tune,
    cached,
    reload,
    export_float,
    export_int8,
    export_uint8_input,
    backbone_checks.wrong_size,
    backbone_checks.unknown_weights,
)
"""What a backbone goes through, in order."""

HEAD_CHECKS: tuple[Check, ...] = (
    head_checks.metadata,
    provenance,
    laziness,
    head_checks.options,
    label_checks.labels,
    label_checks.label_errors,
    figure_checks.strata,
    head_checks.flat,
    head_checks.model,
    head_checks.float32_outputs,
    head_checks.output_range,
    head_checks.tempering,
    ending_checks.linear_end,
    ending_checks.further_labels,
    label_checks.predictions,
    figure_checks.figures,
    head_checks.deterministic,
    head_checks.learns,
    reload,
    export_float,
    export_int8,
)
"""What a head goes through, in order."""


def examine_backbone(
    backbone: str | Backbone | type[Backbone],
    *,
    waivers: Mapping[str, str] | None = None,
    weights: str | Path | None = None,
    size: int | None = None,
    image_size: int | None = None,
    component: Component | None = None,
    registry: Registry | None = None,
) -> Examination:
    """Returns the checks of one backbone, none of them run yet.

    Args:
        backbone: an installed name, such as `mobilenet_v2` or `prefix:handle`; a class; or an
            instance.
        waivers: reasons, by the name of the check that may fail.
        weights: as `build_model` takes them; None is random weights, which need no network.
        size: of the input that it is tried with, in the modality's unit; None is the smallest it
            takes.
        image_size: the same: the side of the square, in pixels.
        component: the entry point that brings it; looked for where None.
        registry: where names are looked up; what is installed where None.

    Raises:
        UsageError: a waiver of an unknown check, or without a reason.
        PluginError: an unknown name, or a plugin that does not load.
    """
    registry = registry or default_registry()
    if isinstance(backbone, str):
        plugin: Backbone = registry.load_backbone(backbone)
    elif isinstance(backbone, type):
        plugin = backbone()
    else:
        plugin = backbone
    subject = BackboneSubject(
        plugin,
        component=component,
        registry=registry,
        weights=weights,
        size=image_size if size is None else size,
    )
    return Examination(BACKBONE_CHECKS, subject, waivers=waivers)


def examine_head(
    head: str | Head | type[Head],
    *,
    waivers: Mapping[str, str] | None = None,
    raw_labels: Sequence[str] | None = None,
    component: Component | None = None,
    registry: Registry | None = None,
) -> Examination:
    """Returns the checks of one head, none of them run yet.

    Args:
        head: an installed name, a class or an instance.
        waivers: reasons, by the name of the check that may fail.
        raw_labels: raw labels as its data sets have them, which `decode` gives back unchanged;
            None takes its `example_labels`.
        component: the entry point that brings it; looked for where None.
        registry: where names are looked up; what is installed where None.

    Raises:
        UsageError: a waiver of an unknown check, or without a reason.
        PluginError: an unknown name, or a plugin that does not load.
    """
    registry = registry or default_registry()
    if isinstance(head, str):
        plugin: Head = registry.load_head(head)
    elif isinstance(head, type):
        plugin = head()
    else:
        plugin = head
    subject = HeadSubject(plugin, component=component, registry=registry, raw_labels=raw_labels)
    return Examination(HEAD_CHECKS, subject, waivers=waivers)


def check_backbone(
    backbone: str | Backbone | type[Backbone],
    *,
    waivers: Mapping[str, str] | None = None,
    weights: str | Path | None = None,
    size: int | None = None,
    image_size: int | None = None,
    registry: Registry | None = None,
    on_result: Callable[[Result], None] | None = None,
) -> Report:
    """Runs every check on a backbone; see `examine_backbone` for the arguments.

    `on_result` hears of each check as it ends.

    Example:
        report = check_backbone("efficientnet_lite0")
        assert report.ok, report.failed
    """
    examination = examine_backbone(
        backbone,
        waivers=waivers,
        weights=weights,
        size=image_size if size is None else size,
        registry=registry,
    )
    return run_report(examination, on_result)


def check_head(
    head: str | Head | type[Head],
    *,
    waivers: Mapping[str, str] | None = None,
    raw_labels: Sequence[str] | None = None,
    registry: Registry | None = None,
    on_result: Callable[[Result], None] | None = None,
) -> Report:
    """Runs every check on a head; see `examine_head` for the arguments.

    `on_result` hears of each check as it ends.

    Example:
        report = check_head("my_head")
        assert report.ok, report.failed
    """
    examination = examine_head(head, waivers=waivers, raw_labels=raw_labels, registry=registry)
    return run_report(examination, on_result)


def run_report(
    examination: Examination, on_result: Callable[[Result], None] | None = None
) -> Report:
    """Runs what `examine_backbone`, `examine_head` or `examine_modality` returned."""
    subject = examination.subject
    if not isinstance(subject, Subject):
        raise UsageError(f"report: expected the examination of a plugin. Received: {subject!r}.")
    component = subject.component
    # Only what is saved with a model is loaded again, by a process that takes seconds to start.
    has_model = isinstance(subject, (BackboneSubject, HeadSubject))
    with start_loader() if has_model else nullcontext() as subject.loader:
        results = examination.results(on_result)
    return Report(
        name=subject.name,
        kind=subject.kind,
        distribution="" if component is None else component.distribution,
        version="" if component is None else component.version,
        results=results,
    )
