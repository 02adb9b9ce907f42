"""Figures as a run stored them: whether those who show them can read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tfxfer.errors import ContractError, RunError

if TYPE_CHECKING:
    from tfxfer.head import Head

__all__ = ["check_stored_figures"]


def check_stored_figures(metrics: Mapping[str, Any], head: Head, *, where: str) -> None:
    """Refuses figures that are not what `score_predictions` returned.

    Only their head knows what they hold, so it is asked for all that is ever shown of them.

    Args:
        metrics: by split.
        head: the task that was scored.
        where: of the file, for messages.

    Raises:
        RunError: something in them is missing, or of another kind.
    """
    for part, document in metrics.items():
        try:
            _try_all(document, head)
        # What an author's figures raise on a document that is none of theirs.
        except (ContractError, TypeError, ValueError, LookupError, AttributeError) as error:
            words = " ".join(str(error).split())[:120]
            raise RunError(
                f"{where}: expected the figures of a {head.name} as metrics[{part!r}]. Received: "
                f"{type(error).__name__}: {words}. The file was changed: train anew with "
                "--overwrite."
            ) from error


def _try_all(document: Mapping[str, Any], head: Head) -> None:
    figures = head.figures
    value = document[document["headline"]]["value"]
    if value is not None and not isinstance(value, (int, float)):
        raise TypeError(f"{document['headline']}={value!r:.40}")
    if type(document["images"]) is not int:
        raise TypeError(f"images={document['images']!r:.40}")
    if not all(isinstance(note, str) for note in document["notes"]):
        raise TypeError("notes that are no text")
    figures.rows(document)
    figures.matrix(document)
    figures.tables(document)
    figures.baselines(document)
    figures.unpredicted(document)
    figures.label_words(document)
