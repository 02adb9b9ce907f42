"""The section on where the samples are from, and how much each counts."""

from __future__ import annotations

from tfxfer.adaptation.domain_record import DomainRow, Domains
from tfxfer.evaluation.tables import Table
from tfxfer.report.material import Material
from tfxfer.report.parts import Note, Part, Section
from tfxfer.report.words import make_sentence
from tfxfer.trust.estimate import Estimate

__all__ = ["make_sources"]

_NONE = "none"


def make_sources(material: Material) -> Section | None:
    """Returns each source beside the others; None where samples are of one and count the same."""
    domains, reweighting = material.domains, material.reweighting
    if domains is None and reweighting is None:
        return None
    parts: list[Part] = []
    if reweighting is not None:
        warning = reweighting.find_warning()
        lines = [*reweighting.describe(), *([] if warning is None else [warning])]
        parts += [Note(make_sentence(line.strip())) for line in lines]
    if domains is not None:
        parts += _list_parts(domains, material.modality.plural)
    return Section("sources", "Where it learnt from", tuple(parts))


def _list_parts(domains: Domains, plural: str) -> list[Part]:
    first, *_ = domains.describe()
    columns = ["source", f"{plural} learnt from"]
    has_target = any(row.distance is not None for row in domains.rows)
    if has_target:
        columns += ["from the target", "weight"]
    columns += ["tested with", f"{domains.test_metric} of the model"]
    has_probes = bool(domains.probe_metric)
    if has_probes:
        columns += [f"{domains.probe_metric} of a probe", "of one that has not seen it"]
    rows = tuple(_list_cells(row, has_target, has_probes) for row in domains.rows)
    parts: list[Part] = [
        Note(make_sentence(first)),
        Table(f"The sources by {domains.column}", tuple(columns), rows),
    ]
    if has_probes:
        parts.append(
            Note(
                "The probes are linear, on features of the network before training, and were "
                f"asked about {plural} that were learnt from: how the model itself would do on a "
                "source that it has not seen, a training with --leave-out tells."
            )
        )
    elif domains.note:
        parts.append(Note(make_sentence(f"on a source that it has not seen: {domains.note}")))
    return parts


def _list_cells(row: DomainRow, has_target: bool, has_probes: bool) -> tuple[str, ...]:
    cells = [row.name, f"{row.samples:,}"]
    if has_target:
        is_near = row.distance is not None
        cells += [f"{row.distance:.3f}", f"{row.weight:.2f}"] if is_near else [_NONE, _NONE]
    cells += [f"{row.tested:,}", _write(row.test)]
    if has_probes:
        cells += [_write(row.seen), _write(row.unseen)]
    return tuple(cells)


def _write(figure: Estimate | None) -> str:
    if figure is None:
        return _NONE
    return f"{figure.value:.3g} [{figure.low:.3g}, {figure.high:.3g}]"
