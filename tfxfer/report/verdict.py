"""What a run comes to, in plain words, before any plot."""

from __future__ import annotations

from collections.abc import Iterator

from tfxfer.evaluation.blame import blame_head
from tfxfer.evaluation.display import headline
from tfxfer.report.audit import count_left_out
from tfxfer.report.confidence import describe_confidence
from tfxfer.report.domain import describe_gap
from tfxfer.report.exported import describe_chosen
from tfxfer.report.groups import describe_worst_group
from tfxfer.report.material import Material
from tfxfer.report.parts import Sentence, Tone
from tfxfer.report.suspects import describe_suspects
from tfxfer.report.transfer import describe_transfer
from tfxfer.report.words import make_sentence
from tfxfer.run.course import describe_course

__all__ = ["describe_verdict"]

_RUINOUS = ("collapse", "divergence")
"""Findings that a model can be worthless by."""


def describe_verdict(material: Material) -> tuple[Sentence, ...]:
    """Returns the sentences of the verdict, what matters most first."""
    return (
        _describe_result(material),
        *_describe_warnings(material),
        *_describe_confusion(material),
        *filter(None, (describe_suspects(material),)),
        *describe_worst_group(material),
        *_describe_course(material),
        *describe_transfer(material),
        *filter(None, (describe_gap(material), describe_confidence(material))),
        *_describe_export(material),
        *_describe_data(material),
    )


def _describe_result(material: Material) -> Sentence:
    name, figure = headline(material.metrics)
    count, plural = material.metrics["images"], material.modality.plural
    metric = material.head.figures.catalogue[name]
    tone: Tone = "bad" if material.manifest.warnings else "good"
    rights = [answer.is_right for answer in material.tested]
    if name in material.head.figures.counted and rights and None not in rights:
        low, high = (100 * figure[end] for end in ("low", "high"))
        text = (
            f"{sum(map(bool, rights)):,} of {count:,} {plural} that it had never seen are right: "
            f"{100 * figure['value']:.1f} %, and between {low:.0f} and {high:.0f} % if more were "
            "tested."
        )
        return Sentence(text, tone, "results")
    value = metric.read(figure)
    words = f"{metric.title[:1].upper()}{metric.title[1:]} {value}"
    return Sentence(f"{words}, on {count:,} {plural} that it had never seen.", tone, "results")


def _describe_warnings(material: Material) -> Iterator[Sentence]:
    causes = []
    for warning in material.manifest.warnings:
        message = warning["message"]
        yield Sentence(make_sentence(message), "bad", "results")
        causes.append(warning["cause"])
    for cause in dict.fromkeys(filter(None, causes)):
        yield Sentence(f"Likely: {cause}.", "bad", "training")


def _describe_confusion(material: Material) -> Iterator[Sentence]:
    with blame_head(material.head):
        matrix = material.head.figures.matrix(material.metrics)
        words = material.head.figures.label_words(material.metrics)
    if matrix is not None:
        confusions = matrix.list_confusions()
        if not confusions:
            return
        count, size, true, answer = confusions[0]
        yield Sentence(
            f"The most frequent mistake: {true} is taken for {answer}, {count:,} of {size:,} "
            "times.",
            section="mistakes",
        )
    elif len(words) > 1:
        yield Sentence(f"Weakest: {words[0][0]}, {words[0][1]}.", section="results")


def _describe_course(material: Material) -> Iterator[Sentence]:
    for finding in material.findings:
        if finding.kind in _RUINOUS:
            yield Sentence(make_sentence(finding.describe()), "bad", "training")
    for line in describe_course(material.manifest):
        yield Sentence(make_sentence(line), section="training")


def _describe_export(material: Material) -> Iterator[Sentence]:
    words = describe_chosen(material)
    if words:
        yield Sentence(words, section="export")


def _describe_data(material: Material) -> Iterator[Sentence]:
    count, groups = count_left_out(material), material.copy_groups
    noun, plural = material.modality.noun, material.modality.plural
    if count:
        yield Sentence(
            f"{count:,} {noun if count == 1 else plural} {'was' if count == 1 else 'were'} left "
            "out of the data.",
            section="data",
        )
    if groups:
        copies = sum(len(group.copies) for group in groups)
        yield Sentence(
            f"{copies:,} {noun if copies == 1 else plural} "
            f"{'is a copy' if copies == 1 else 'are copies'} of others, and on the same side of "
            "the split as these.",
            section="data",
        )
