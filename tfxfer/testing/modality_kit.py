"""The modality's kit: which checks it goes through, as plain functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tfxfer.modality import Modality
from tfxfer.registry.component import Component
from tfxfer.registry.lookup import Registry, default_registry
from tfxfer.testing import modality_checks, sample_checks, view_checks
from tfxfer.testing.check import Check, Examination, Report, Result
from tfxfer.testing.kits import run_report
from tfxfer.testing.modality_subject import ModalitySubject, Samples
from tfxfer.testing.shared_checks import laziness, provenance

__all__ = ["MODALITY_CHECKS", "check_modality", "examine_modality"]

MODALITY_CHECKS: tuple[Check, ...] = (
    modality_checks.metadata,
    provenance,
    laziness,
    modality_checks.contract,
    modality_checks.options,
    modality_checks.inputs,
    sample_checks.findings,
    sample_checks.faults,
    sample_checks.copies,
    modality_checks.arguments,
    sample_checks.reads,
    view_checks.plain_view,
    view_checks.views,
    view_checks.variety,
    view_checks.looks,
    modality_checks.builds,
)
"""What a modality goes through, in order."""


def examine_modality(
    modality: str | Modality | type[Modality],
    *,
    waivers: Mapping[str, str] | None = None,
    samples: Samples | None = None,
    contract: Any = None,
    size: int | None = None,
    backbone: str | None = None,
    component: Component | None = None,
    registry: Registry | None = None,
) -> Examination:
    """Returns the checks of one modality, none of them run yet.

    Args:
        modality: an installed name, a class or an instance.
        waivers: reasons, by the name of the check that may fail.
        samples: a few usable ones, no two of them copies: a folder, a list, or a function that
            writes them into a folder. Without them, checks that read any are not run.
        contract: what a backbone states as `preprocessing`; None takes that of a backbone.
        size: of a model's input, in the modality's unit; None takes the smallest of a backbone.
        backbone: name of the one whose contract and size are taken; None is the first one
            installed that reads this modality.
        component: the entry point that brings it; looked for where None.
        registry: where names are looked up; what is installed where None.

    Raises:
        UsageError: a waiver of an unknown check, or without a reason.
        PluginError: an unknown name, or a plugin that does not load.
    """
    registry = registry or default_registry()
    if isinstance(modality, str):
        plugin: Modality = registry.load_modality(modality)
    elif isinstance(modality, type):
        plugin = modality()
    else:
        plugin = modality
    subject = ModalitySubject(
        plugin,
        component=component,
        registry=registry,
        samples=samples,
        contract=contract,
        size=size,
        backbone=backbone,
    )
    return Examination(MODALITY_CHECKS, subject, waivers=waivers)


def check_modality(
    modality: str | Modality | type[Modality],
    *,
    waivers: Mapping[str, str] | None = None,
    samples: Samples | None = None,
    contract: Any = None,
    size: int | None = None,
    backbone: str | None = None,
    registry: Registry | None = None,
    on_result: Callable[[Result], None] | None = None,
) -> Report:
    """Runs every check on a modality; see `examine_modality` for the arguments.

    `on_result` hears of each check as it ends.

    Example:
        report = check_modality("image", samples="photos/", backbone="mobilenet_v2")
        assert report.ok, report.failed
    """
    examination = examine_modality(
        modality,
        waivers=waivers,
        samples=samples,
        contract=contract,
        size=size,
        backbone=backbone,
        registry=registry,
    )
    return run_report(examination, on_result)
