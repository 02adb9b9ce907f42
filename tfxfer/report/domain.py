"""The section on how far the data is from what the pretrained network knows, by depth."""

from __future__ import annotations

import shlex

from tfxfer.report.material import Material
from tfxfer.report.parts import Note, Part, Profile, ProfilePoint, Section, Sentence
from tfxfer.report.words import make_sentence
from tfxfer.trust.profile import FAR, describe_profile

__all__ = ["describe_gap", "make_domain"]

_TITLE = "Distance from what the pretrained network knows, by depth"


def make_domain(material: Material) -> Section:
    """Returns the profile of the domain gap, or why there is none."""
    gap, plural = material.gap, material.modality.plural
    title = "How familiar the data is"
    if gap is None:
        why = f" {material.gap_fault}" if material.gap_fault else ""
        if not material.manifest.request.get("data"):
            return Section("domain", title, (Note(f"Not measured.{why}"),))
        run = str(material.run.path)
        note = Note(f"Not measured yet.{why} To measure it, type", _write("gap", run))
        again = Note("and make this page anew:", _write("report", run))
        return Section("domain", title, (note, again))
    lines = describe_profile(gap, material.modality.landmarks)
    parts: list[Part] = [Note(make_sentence(line)) for line in lines]
    if gap.stages:
        points = tuple(
            ProfilePoint(stage.depth, stage.distance, stage.low, stage.high, stage.name)
            for stage in gap.stages
        )
        parts.insert(0, Profile(_TITLE, "distance", points))
        parts.append(
            Note(
                f"Measured on {gap.images:,} {plural} against the statistics that the weights "
                "carry of what they were trained on; 0 is the same."
            )
        )
    return Section("domain", title, tuple(parts))


def describe_gap(material: Material) -> Sentence | None:
    """Returns a line of the verdict where the data is far from what the network knows."""
    gap = material.gap
    if gap is None or gap.mean is None or gap.mean < FAR:
        return None
    return Sentence(
        f"The {material.modality.plural} are far from what {gap.backbone} was pretrained on: "
        "unfreezing more of it, or more data, pays more than usual.",
        section="domain",
    )


def _write(command: str, run: str) -> str:
    return shlex.join(["tfxfer", command, run])
