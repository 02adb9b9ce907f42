"""What an export needs of `run.json`, each value checked: a file may have been edited."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tfxfer.errors import RunError, UsageError
from tfxfer.job.request import TrainRequest
from tfxfer.modality import Modality
from tfxfer.registry.lookup import get_modality
from tfxfer.run.directory import RunDirectory
from tfxfer.system.records import read_document

__all__ = ["RunRecord", "find_warnings", "read_record"]

_T = TypeVar("_T")
_WORTHLESS = ("chance", "unpredicted_classes")  # kinds of warnings that a run may have of itself
_WORDS: Mapping[type, str] = {
    dict: "an object",
    list: "a list",
    str: "a text",
    int: "a number",
    bool: "true or false",
}


@dataclass(frozen=True)
class RunRecord:
    """What a run says of its images and of its exports.

    Args:
        data: where its images are, or the name of a demo.
        varies: whether it was trained on varied views of them.
        view_options: how they were varied, complete, such as whether they may be mirrored.
        exports: paths of the files that earlier exports wrote.
    """

    data: str
    varies: bool
    view_options: Mapping[str, Any]
    exports: tuple[Path, ...]


def read_record(run: RunDirectory, modality: Modality | None = None) -> RunRecord:
    """Returns what `run.json` says.

    Args:
        run: finished.
        modality: of its images; None is the installed one of the name that the run has.

    Raises:
        RunError: it is missing, or a value is not what tfxfer writes.
    """
    manifest, where = run.read_manifest(), str(run.manifest_path)
    request = TrainRequest.from_dict(manifest.request)
    # Of what a run was trained with nothing is guessed, where a new request has a default.
    augment = _take(manifest.request, "augment", str, f"{where}: request")
    views = [
        _saw_views(item, f"{where}: plan[{number}]") for number, item in enumerate(manifest.plan)
    ]
    return RunRecord(
        data=request.data,
        varies=augment != "none" and any(views),
        view_options=_complete_options(
            modality or get_modality(manifest.modality), augment, request.view_options, where
        ),
        exports=tuple(
            Path(_take(item, "path", str, f"{where}: exports[{number}]"))
            for number, item in enumerate(manifest.exports)
        ),
    )


def find_warnings(run: RunDirectory) -> tuple[tuple[str, str], ...]:
    """Returns why a run is not worth exporting: what it was warned of itself, and what is to blame.

    Args:
        run: finished. One that says nothing of warnings has none.

    Returns:
        A message and its likely cause each; the cause is empty where none is known.

    Raises:
        RunError: its `run.json` cannot be read.
    """
    where = str(run.manifest_path)
    document = read_document(run.manifest_path, expected="the JSON of a run", error=RunError)
    entries = _check(_check(document, dict, where).get("warnings", []), list, f"{where}: warnings")
    found = []
    for number, item in enumerate(entries):
        place = f"{where}: warnings[{number}]"
        if _take(item, "kind", str, place) in _WORTHLESS:
            found.append((_take(item, "message", str, place), _take(item, "cause", str, place)))
    return tuple(found)


def _complete_options(
    modality: Modality, augment: str, options: Mapping[str, Any], where: str
) -> Mapping[str, Any]:
    try:
        return modality.complete_options(augment, options)
    except UsageError as error:
        raise RunError(f"cannot read {where}: {error}") from error


def _saw_views(item: Any, where: str) -> bool:
    planned = _take(item, "views", int, where)
    phase = _take(item, "phase", dict, where)
    return planned > 1 and phase.get("views") != 1


def _take(data: Any, key: str, kind: type[_T], where: str) -> _T:
    found = _check(data, dict, where)
    if key not in found:
        raise RunError(f"cannot read {where}: expected the key {key!r}. Received: {sorted(found)}.")
    return _check(found[key], kind, f"{where}.{key}")


def _check(value: Any, kind: type[_T], where: str) -> _T:
    if not isinstance(value, kind):
        raise RunError(
            f"cannot read {where}: expected {_WORDS[kind]}. Received: {value!r}. "
            "Train again, or mend the file by hand."
        )
    return value
