"""What a head must be beyond its model: how its samples are split, and what it measures."""

from __future__ import annotations

import json

import numpy as np

from tfxfer.errors import ContractError, ModelError
from tfxfer.evaluation import (
    Figures,
    Metric,
    describe_metrics,
    find_warnings,
    format_metrics,
    paired_difference,
    score_predictions,
)
from tfxfer.testing.check import check, describe_error, fail
from tfxfer.testing.head_subject import HeadSubject

__all__ = ["figures", "strata"]

_RESAMPLES = 50  # nobody reads these intervals: they only have to be some


@check("strata, groups to balance and known labels are those of the labels", requires=("labels",))
def strata(subject: HeadSubject) -> None:
    """Asks for the strata of the kit's raw labels, and for the groups of their targets."""
    plugin, raw = subject.plugin, subject.raw_labels
    what = f"head {subject.name!r}"
    found = plugin.strata(raw)
    if (
        not isinstance(found, list)
        or len(found) != len(raw)
        or not all(isinstance(item, str) for item in found)
    ):
        fail(
            what,
            expected=f"strata to return a list of {len(raw)} texts, one per raw label",
            received=f"strata={found!r}",
            fix="Number them, and return the numbers as text.",
        )
    if list(reversed(plugin.strata(raw[::-1]))) != found:
        fail(
            what,
            expected="strata that do not depend on the order of the samples",
            received=f"{found} and, in reverse, {plugin.strata(raw[::-1])}",
            fix="A run that resumes reads the files in another order.",
        )
    if plugin.complete_strata and len(set(found)) < 2:
        fail(
            what,
            expected=f"two strata or more of the labels {sorted(set(raw))}, as complete_strata "
            "asks for",
            received=f"strata={sorted(set(found))}",
            fix="Return the class of each raw label, or leave complete_strata False.",
        )
    plugin.check_labels(raw, subject.labels)
    if plugin.can_balance:
        groups = np.asarray(plugin.membership(subject.targets))
        if groups.ndim != 2 or len(groups) != len(raw) or not np.isin(groups, (0, 1)).all():
            fail(
                what,
                expected=f"membership to return 0 and 1 of shape ({len(raw)}, groups)",
                received=f"shape={groups.shape}, values={np.unique(groups)[:5].tolist()}",
                fix="Say there which groups a sample is in, or set can_balance = False.",
            )


@check(
    "figures tell right answers from wrong ones, have intervals and read as text",
    requires=("labels",),
)
def figures(subject: HeadSubject) -> None:
    """Scores the targets themselves, then those of other samples, as if a model had said them."""
    plugin, targets, labels = subject.plugin, subject.targets, subject.labels
    what = f"figures of head {subject.name!r}"
    catalogue = plugin.figures.catalogue
    if not issubclass(plugin.figures, Figures) or not all(
        isinstance(metric, Metric) for metric in catalogue.values()
    ):
        fail(
            what,
            expected="a subclass of tfxfer.evaluation.Figures, with a Metric for each name",
            received=f"figures={plugin.figures!r}",
            fix="Reuse ClassFigures, MultilabelFigures or ValueFigures, or derive from Figures.",
        )
    document = score_predictions(targets, targets, head=plugin, labels=labels, resamples=_RESAMPLES)
    try:
        json.dumps(document, allow_nan=False)
    except (TypeError, ValueError) as error:
        fail(
            what,
            expected="details that are JSON data",
            received=describe_error(error),
            fix="`tfxfer evaluate --json` prints them: no numpy, no NaN.",
        )
    for name in catalogue:
        figure = document.get(name)
        if figure is not None and not figure["low"] <= figure["value"] <= figure["high"]:
            fail(
                what,
                expected=f"an interval of {name!r} that holds the value",
                received=f"{name}={figure}",
                fix="Look at `interval`.",
            )
    try:
        find_warnings(document, plugin)
        describe_metrics(document, plugin)
    except ContractError as error:
        fail(
            what,
            expected="baselines and words of the document that they measure",
            received=str(error),
            fix="Look at `baselines`, `unpredicted` and `label_words`; the defaults know nothing.",
        )
    first = document["headline"]
    rows = dict(format_metrics(document, plugin))
    if catalogue[first].title not in rows:
        fail(
            what,
            expected=f"a row of the headline, {catalogue[first].title!r}",
            received=f"rows={list(rows)}",
            fix="`rows` says how a person reads a document; the default needs no help.",
        )
    others = np.roll(targets, 1, axis=0)
    drop = paired_difference(
        targets, targets, others, head=plugin, labels=labels, metric=first, resamples=_RESAMPLES
    )
    if not drop["value"] > 0:
        fail(
            what,
            expected=f"a worse {first!r} for the answers of other samples than for the right ones",
            received=f"difference={drop['value']:.3g}",
            fix="Look at `lower_is_better` in the catalogue, and at the order of the outputs.",
        )
    broken = np.array(targets)
    broken[0, 0] = np.nan
    try:
        plugin.make_figures(targets, broken, labels)
    except ModelError:
        return
    fail(
        what,
        expected="tfxfer.ModelError for scores that are not a number",
        received="no error",
        fix="Call Figures.__init__, which looks at shapes and numbers.",
    )
