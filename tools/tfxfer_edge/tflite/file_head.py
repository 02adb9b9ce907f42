"""The head that scores a file: the one it was trained with, with its settings."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from tfxfer.errors import ModelError, PluginError, UnknownHeadError, UsageError
from tfxfer.head import Head
from tfxfer.registry.lookup import default_registry, get_head
from tfxfer_edge.tflite.card import ModelCard

__all__ = ["compare_head", "find_head"]


def find_head(card: ModelCard, *, source: str) -> tuple[Head, str]:
    """Returns the head that a file names, with its settings, and a remark; else one of its kind.

    Files of tfxfer 0.1 name none, and those of others cannot.

    Args:
        card: what the file says of itself.
        source: the file, for messages.

    Raises:
        ModelError: a head of another kind, settings that the installed one does not know, or no
            installed head of the kind.
    """
    remark = ""
    if card.head is not None:
        try:
            found = get_head(card.head, options=dict(card.head_options))
        except UsageError as error:
            raise ModelError(
                f"model {source!r}: expected head {card.head!r} with the settings that it was "
                f"trained with. Received: {error} Install the version that trained it, or say "
                "what the outputs are with --head."
            ) from error
        except UnknownHeadError:
            remark = (
                f"model {source!r}: it was trained with head {card.head!r}, which is not installed"
            )
        else:
            if found.metadata_kind != card.metadata_kind:
                raise ModelError(
                    f"model {source!r}: expected head {card.head!r} to be of the kind that its "
                    f"metadata says, {card.metadata_kind}. Received: {found.metadata_kind}."
                )
            return found, ""
    found = _find_of_kind(card, source)
    return found, f"{remark}: scored as {found.name!r}" if remark else ""


def compare_head(card: ModelCard | None, head: Head, *, source: str) -> str:
    """Returns what a head that was asked for leaves out of a file's own settings, or nothing."""
    if card is None or card.head != head.name:
        return ""
    ours = head.options()
    # What is only of the training changes no answer, but who can say which is? What a new head has
    # not measured yet, such as the spread of its targets, is nobody's wish.
    differing = {
        key: value for key, value in card.head_options.items() if ours.get(key) not in (None, value)
    }
    if not differing:
        return ""
    return (
        f"model {source!r}: it was trained with {_format(differing)}, and is scored with "
        f"{_format({key: ours.get(key) for key in differing})}: leave out --head for its own"
    )


def _find_of_kind(card: ModelCard, source: str) -> Head:
    """Returns a head that writes this kind of metadata; the default one first."""
    registry = default_registry()
    names = [component.name for component in registry.list("head")]
    with contextlib.suppress(PluginError):  # none is declared: any will do
        names.insert(0, registry.default("head"))
    options = {} if card.threshold is None else {"threshold": card.threshold}
    for name in names:
        try:
            if registry.load_head(name).metadata_kind == card.metadata_kind:
                return registry.load_head(name, **options)
        except PluginError:
            continue  # a broken head costs its own name
    raise ModelError(
        f"model {source!r}: expected metadata of a kind that an installed head writes. "
        f"Received: {card.metadata_kind!r}. Say what the outputs are with --head."
    )


def _format(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value!r}" for key, value in options.items())
