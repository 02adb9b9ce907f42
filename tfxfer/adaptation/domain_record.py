"""How the sources of a training differ, and how its model does on each: `trust/domains.json`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tfxfer.trust.estimate import Estimate
from tfxfer.trust.stored import StoredRecord

__all__ = ["DomainRow", "Domains"]

_WIDEST = 24  # characters of a name in a line


@dataclass(frozen=True)
class DomainRow:
    """One source.

    Args:
        name: of it.
        samples: of it, that were learnt from; 0 of one that was left out.
        weight: of each of them in the loss; the mean over sources is 1.
        distance: to the target, as the squared maximum mean discrepancy of pooled features before
            training; None without a target.
        probed: how many of them the probes were asked about.
        seen: the headline of linear probes on those features that learnt from every source.
        unseen: that of a probe which learnt from the others alone.
        tested: how many of its samples the trained model was tested with.
        test: the trained model's headline on these.
    """

    name: str
    samples: int
    weight: float = 1.0
    distance: float | None = None
    probed: int = 0
    seen: Estimate | None = None
    unseen: Estimate | None = None
    tested: int = 0
    test: Estimate | None = None


@dataclass(frozen=True)
class Domains(StoredRecord):
    """How the sources of a training differ; `trust/domains.json`.

    Args:
        column: that says where a sample is from.
        left_out: the source that was kept out of training and validation, and is the test; None
            where each is in all parts.
        drawn: whether an epoch draws as many samples of each.
        rows: the sources, in order of their names.
        probe_metric: the headline of the probes; empty where there are none.
        note: why there are no probes; empty where there are.
        test_metric: the headline of the trained model; empty until it is tested.
    """

    title: ClassVar[str] = "record of domains"
    file_name: ClassVar[str] = "domains.json"

    column: str
    left_out: str | None
    drawn: bool
    rows: tuple[DomainRow, ...]
    probe_metric: str = ""
    note: str = ""
    test_metric: str = ""

    def describe(self) -> list[str]:
        """Returns what a person is told, a line each."""
        width = min(_WIDEST, max(len(row.name) for row in self.rows))
        said = f"sources by {self.column}"
        if self.left_out is not None:
            said += f"; {self.left_out} was left out, and is the test"
        lines = [said]
        for row in self.rows:
            words = [f"{row.samples:,} learnt from" if row.samples else "not learnt from"]
            if row.distance is not None:
                words.append(f"{row.distance:.3f} from the target")
                if row.samples and self.drawn:
                    words.append(f"weight {row.weight:.2f}")
            if row.test is not None:
                words.append(f"{self.test_metric} {_write(row.test)} on {row.tested:,} of the test")
            lines.append(f"  {row.name[:_WIDEST].ljust(width)}  {', '.join(words)}")
        probed = [row for row in self.rows if row.seen is not None and row.unseen is not None]
        if not probed:
            return (
                [*lines, f"  on a source that it has not seen: {self.note}"] if self.note else lines
            )
        lines += [
            "  on a source that it has not seen, by a linear probe of the features before training",
            f"  ({self.probe_metric} without its samples ← with them):",
        ]
        for row in probed:
            assert row.seen is not None
            assert row.unseen is not None
            lines.append(
                f"  {row.name[:_WIDEST].ljust(width)}  {_write(row.unseen)} ← {_write(row.seen)}, "
                f"of {row.probed:,}"
            )
        return lines


def _write(figure: Estimate) -> str:
    return f"{figure.value:.3g} [{figure.low:.3g}, {figure.high:.3g}]"
