"""All that a page says, before any of it is drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tfxfer.report.adapted import make_adapted
from tfxfer.report.audit import make_audit
from tfxfer.report.card import make_card
from tfxfer.report.confidence import make_confidence
from tfxfer.report.domain import make_domain
from tfxfer.report.exported import make_exported
from tfxfer.report.forgotten import make_forgotten
from tfxfer.report.groups import make_groups
from tfxfer.report.material import Material
from tfxfer.report.mistakes import make_mistakes
from tfxfer.report.parts import Gallery, Section, Sentence
from tfxfer.report.results import make_results
from tfxfer.report.sources import make_sources
from tfxfer.report.suspects import make_suspects
from tfxfer.report.training import make_training
from tfxfer.report.transfer import make_transfer
from tfxfer.report.verdict import describe_verdict

__all__ = ["Content", "make_content"]


@dataclass(frozen=True)
class Content:
    """What a page says.

    Args:
        title: name of the run.
        subtitle: what it is of, in a line.
        verdict: what it comes to.
        sections: in the order of the page.
    """

    title: str
    subtitle: str
    verdict: tuple[Sentence, ...]
    sections: tuple[Section, ...]

    def list_explained(self) -> tuple[str, ...]:
        """Returns the samples beside which the page shows what the model looked at."""
        plates = (
            plate
            for section in self.sections
            for part in section.parts
            if isinstance(part, Gallery)
            for plate in part.plates
        )
        return tuple(dict.fromkeys(plate.path for plate in plates if plate.is_explained))


def make_content(material: Material) -> Content:
    """Returns what the page of a run says."""
    manifest = material.manifest
    counts = "" if manifest.data is None else f"{manifest.data.images:,} {material.modality.plural}"
    facts = (manifest.backbone, manifest.head, counts, manifest.created[:10])
    makers: tuple[Callable[[Material], Section | None], ...] = (
        make_training,
        make_results,
        make_adapted,
        make_forgotten,
        make_confidence,
        make_mistakes,
        make_suspects,
        make_audit,
        make_domain,
        make_transfer,
        make_groups,
        make_sources,
        make_exported,
        make_card,
    )
    made = [make(material) for make in makers]
    return Content(
        material.run.path.resolve().name,
        " · ".join(filter(None, facts)),
        describe_verdict(material),
        tuple(section for section in made if section is not None),
    )
