"""A run → its page in a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfxfer.progress import Progress
from tfxfer.report.content import Content
from tfxfer.report.material import Material
from tfxfer.report.page import render_page
from tfxfer.report.pictures import PictureBook
from tfxfer.report.quotes import QuoteBook
from tfxfer.system.files import atomic_write
from tfxfer.trust.marks import Marks
from tfxfer.version import __version__

__all__ = ["WrittenReport", "write_report"]


@dataclass(frozen=True)
class WrittenReport:
    """A page that was written.

    Args:
        path: of the file.
        size_bytes: of it.
        content: what it says.
    """

    path: Path
    size_bytes: int
    content: Content


def write_report(
    material: Material,
    content: Content,
    *,
    out: str | Path | None = None,
    heats: Mapping[str, np.ndarray] | None = None,
    marks: Mapping[str, Marks] | None = None,
    progress: Progress | None = None,
) -> WrittenReport:
    """Writes the page of a run in one step.

    Args:
        material: of the run, from `read_material`.
        content: of the page, from `make_content`.
        out: the file; None is the run's own `report.html`.
        heats: pictures of what the model looked at, by the sample's path.
        marks: of samples with parts, what these do for the answer, by the sample's path.
        progress: told that the page is being made.

    Raises:
        StorageError: the disk is full or cannot be written.
        ContractError: the head's figures fail.
    """
    if progress is not None:
        progress("making the report", 0, 0)
    path = material.run.report_path if out is None else Path(out)
    text = render_page(
        content, PictureBook(material, heats), QuoteBook(material, marks), version=__version__
    )
    data = text.encode("utf-8", errors="backslashreplace")
    with atomic_write(path) as temporary:
        temporary.write_bytes(data)
    if progress is not None:
        progress("making the report", 1, 1)
    return WrittenReport(path, len(data), content)
