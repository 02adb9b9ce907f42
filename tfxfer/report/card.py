"""The model card: what the model is of, for and not for, and how to make it again.

Source: the sections are those of Mitchell et al. 2019, Model Cards for Model Reporting,
https://arxiv.org/abs/1810.03993, as far as a run can know them.
"""

from __future__ import annotations

from tfxfer.evaluation import format_metrics
from tfxfer.report.material import Material
from tfxfer.report.parts import Facts, Note, Section
from tfxfer.run.seals import SEALED, describe_unsealed

__all__ = ["make_card"]

_MOST_LABELS = 20


def make_card(material: Material) -> Section:
    """Returns what someone must know who gets the model without having trained it."""
    return Section(
        "card",
        "Model card",
        (
            Facts(
                (
                    ("Model", _describe_model(material)),
                    ("Answers", _describe_labels(material)),
                    ("Data", _describe_data(material)),
                    ("Measured", _describe_measure(material)),
                    ("Intended use", _describe_use(material)),
                    ("Limits", _describe_limits(material)),
                    ("Licences", _describe_licences(material)),
                    ("Trained", _describe_training(material)),
                    ("Files", _describe_files(material)),
                    ("Versions", _describe_versions(material)),
                )
            ),
            _describe_repeat(material),
        ),
    )


def _describe_model(material: Material) -> str:
    manifest = material.manifest
    unit = f" {material.modality.size_unit}" if material.modality.size_unit else ""
    size = "" if manifest.size is None else f", input of {manifest.size}{unit}"
    return f"{manifest.backbone} with the head {manifest.head}{size}; model.keras, float32"


def _describe_labels(material: Material) -> str:
    labels = material.manifest.labels
    more = f" and {len(labels) - _MOST_LABELS:,} more" if len(labels) > _MOST_LABELS else ""
    return ", ".join(labels[:_MOST_LABELS]) + more


def _describe_data(material: Material) -> str:
    manifest = material.manifest
    where = str(manifest.request.get("data", "not recorded"))
    if manifest.data is None:
        return where
    count = f"{manifest.data.images:,} {material.modality.plural}"
    return f"{where}, {count}; fingerprint {manifest.data.fingerprint[:16]}"


def _describe_measure(material: Material) -> str:
    rows = dict(format_metrics(material.metrics, material.head))
    title, value = next(iter(rows.items()))
    count = f"{material.metrics['images']:,} {material.modality.plural}"
    return f"{title} {value} on {count} that neither training nor the choice of the epoch saw"


def _describe_use(material: Material) -> str:
    plural = material.modality.plural
    return (
        f"To answer as above to {plural} like those it was trained on. It was not examined for any "
        "use in which a wrong answer harms somebody: that takes tests of your own."
    )


def _describe_limits(material: Material) -> str:
    noun, plural = material.modality.noun, material.modality.plural
    limits = [
        f"It answers to every {noun}, also to one that shows nothing of all this.",
        f"The test is of the same collection as the training: {plural} from elsewhere may fare "
        "worse, which tfxfer evaluate measures.",
    ]
    words = material.head.figures.label_words(material.metrics)
    if len(words) > 1:
        limits.append(f"It is weakest at {words[0][0]}: {words[0][1]}.")
    limits += [f"{warning['message']}." for warning in material.manifest.warnings]
    return " ".join(f"{line[:1].upper()}{line[1:]}" for line in limits)


def _describe_licences(material: Material) -> str:
    weights = material.manifest.weights
    words = []
    if weights is not None and weights.source != "none":
        words.append(f"pretrained weights ({weights.source}): {weights.licence or 'not recorded'}")
    words += material.origin.remarks or ("data: not recorded, ask who gave it to you",)
    return "; ".join(words)


def _describe_training(material: Material) -> str:
    manifest = material.manifest
    seconds = sum(phase.seconds for phase in manifest.phases)
    where = f" on {manifest.device}" if manifest.device else ""
    return (
        f"{manifest.created[:10]}{where}, {manifest.precision}, seed {manifest.seed}, "
        f"{seconds:.0f} s in {len(manifest.phases)} phases"
    )


def _describe_versions(material: Material) -> str:
    return ", ".join(f"{name} {version}" for name, version in material.manifest.versions.items())


def _describe_files(material: Material) -> str:
    run, known = material.run, material.manifest.sha256
    unsealed = describe_unsealed(run, material.manifest)
    told = [f"{name} sha256 {known[name][:16]}" for name in SEALED if name in known]
    lines = [f"{', '.join(told)}: as the training wrote them"] if told else []
    return "; ".join([*lines, *([unsealed] if unsealed else [])]) or "not recorded"


def _describe_repeat(material: Material) -> Note:
    if not material.origin.command:
        return Note("What was asked for is in run.json.")
    return Note(
        "To repeat this run with the versions above and the same data, type",
        material.origin.command,
    )
