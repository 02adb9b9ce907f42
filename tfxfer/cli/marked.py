"""What `tfxfer explain` tells of samples that are no pictures, part by part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfxfer.cli.output import Output
from tfxfer.errors import StorageError, UsageError
from tfxfer.modality import Modality

if TYPE_CHECKING:
    from tfxfer.trust.marking import MarkedSample
    from tfxfer.trust.marks import Marks

__all__ = ["check_marks_page", "refuse_places", "tell_marks"]

_PAGE = "marked.html"
_STRONG, _FAINT = 0.5, 0.1  # of the strongest part


def refuse_places(modality: Modality, **options: Any) -> None:
    """Refuses options about places of a picture.

    Args:
        modality: whose samples have parts.
        options: values of these options, by name.

    Raises:
        UsageError: one of them was given.
    """
    given = [f"--{name}" for name, value in options.items() if value is not None]
    if given:
        raise UsageError(
            f"explain: expected no {', '.join(given)} for {modality.plural}, of which each "
            f"{modality.part_noun} is left out in turn. Leave it out, too."
        )


def check_marks_page(out: str | None, *, overwrite: bool) -> Path | None:
    """Returns where the page goes; None where nobody asked for one.

    Raises:
        StorageError: a file lies in the way.
    """
    if out is None:
        return None
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise StorageError(f"--out {out!r}: expected a folder. Received: a file.")
    if (folder / _PAGE).exists() and not overwrite:
        raise StorageError(
            f"--out {out!r}: expected no {_PAGE} in it. Received: one. To replace: --overwrite"
        )
    return folder / _PAGE


def tell_marks(
    output: Output,
    done: Sequence[MarkedSample],
    modality: Modality,
    *,
    truths: Mapping[str, str],
    page: Path | None,
    title: str,
) -> int:
    """Tells of samples, and returns the exit code.

    Args:
        output: of the command.
        done: the samples.
        modality: what they are.
        truths: of mistakes, by name.
        page: where a page of them goes; None makes none.
        title: of that page.
    """
    documents = []
    for found in done:
        name = found.item.name
        truth = {"truth": truths[name]} if name in truths else {}
        documents.append({**found.to_dict(modality.noun), **truth})
    output.emit(documents)
    for found in done:
        for number, marks in enumerate(found.marks):
            _show(output, marks, truths.get(found.item.name) if number == 0 else None)
        if found.file_marks is not None and found.agreement is not None:
            _show(output, found.file_marks, None, who="the file: ")
            output.show(f"  the file looks at {found.agreement.describe()}")
    if page is not None:
        _write_page(page, done, modality, title)
        output.show(f"page  {page}")
    failed = [found.item.error for found in done if found.item.error is not None]
    for error in failed:
        output.warn(str(error))
    if failed:
        output.print(f"error: {len(failed)} of {len(done)} {modality.plural} cannot be explained")
    return 1 if failed else 0


def _show(output: Output, marks: Marks, truth: str | None, *, who: str = "") -> None:
    right = "" if truth is None else f", in truth {truth}"
    output.show(f"{who}{marks.label} {marks.score:.3f}{right}")
    pieces = [("  ", "")]
    for part, strength in zip(marks.parts, marks.strengths, strict=True):
        word = part.text.strip()
        before, _, after = part.text.partition(word) if word else (part.text, "", "")
        pieces += [(before, ""), (word, _choose_style(strength, is_seen=part.is_seen)), (after, "")]
    output.show_styled(pieces)
    if marks.is_blank:
        output.show(f"  nothing in it speaks for {marks.label}")
    else:
        output.show(f"  {marks.describe()}")


def _choose_style(strength: float, *, is_seen: bool) -> str:
    """Returns how a part looks on a terminal, light or dark."""
    if not is_seen:
        return "dim strike"
    if strength >= _STRONG:
        return "bold reverse"
    if strength >= _FAINT:
        return "bold"
    return "underline" if strength <= -_FAINT else ""


def _write_page(page: Path, done: Sequence[MarkedSample], modality: Modality, title: str) -> None:
    from tfxfer.report.marks_page import render_marks
    from tfxfer.system.files import atomic_write, make_folder
    from tfxfer.version import __version__

    text = render_marks(done, modality, title=title, version=__version__)
    make_folder(page.parent)
    with atomic_write(page) as temporary:
        temporary.write_bytes(text.encode("utf-8", "backslashreplace"))
