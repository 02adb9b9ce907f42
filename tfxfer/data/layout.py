"""What sibling folders mean: classes, or the parts of a split.

Names decide where they can. Where folders hold sub-folders of the same names and their own names
say nothing, nothing is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

from tfxfer.data.record import SPLIT_WORDS
from tfxfer.errors import DataError
from tfxfer.system.plain_text import escape_controls

__all__ = ["Layout", "Siblings", "read_part_name", "understand_folders"]

# What people write beside "train" and "test", and what says nothing.
_FILLERS = frozenset(
    ("data", "dataset", "datasets", "set", "sets", "split", "subset", "part", "folder", "files")
)
# Longer words first: "training" is not "train" and "ing".
_GLUED = re.compile(rf"^({'|'.join(sorted(SPLIT_WORDS, key=len, reverse=True))})([a-z]+)$")
_SHOWN = 5


@dataclass(frozen=True)
class Siblings:
    """The visible folders directly in DATA.

    Args:
        root: DATA.
        folders: in order of their names.
        inner: names of the visible folders in each, by its name.
        flat: names of those that hold samples themselves.
        nouns: what the modality calls one sample, and several.
    """

    root: Path
    folders: tuple[Path, ...]
    inner: Mapping[str, frozenset[str]]
    flat: frozenset[str]
    nouns: tuple[str, str] = ("sample", "samples")


@dataclass(frozen=True)
class Layout:
    """What the folders are.

    Args:
        splits: folder of each part; empty where every folder is a class.
        others: folders that are no part, where there are parts.
        understood: the same in a line, for the user.
        notes: what looks as if something else were meant.
    """

    splits: Mapping[str, Path] = field(default_factory=dict)
    others: tuple[Path, ...] = ()
    understood: str = ""
    notes: tuple[str, ...] = ()


def read_part_name(name: str, nouns: Collection[str] = ()) -> tuple[str, tuple[str, ...]] | None:
    """Returns the part that a folder's name speaks of, and its other words; None for a class.

    Args:
        name: of the folder.
        nouns: what samples are called, which says nothing more about a folder of them.

    Example:
        >>> read_part_name("training_set"), read_part_name("SignsTest"), read_part_name("fold_1")
        (('train', ()), ('test', ('signs',)), None)
    """
    fillers = _FILLERS.union(nouns)
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    words: list[str] = []
    for word in re.split(r"[\W_]+", spaced.lower()):
        glued = _GLUED.match(word)
        words += glued.groups() if glued and glued[2] in fillers else [word]
    parts = [word for word in words if word in SPLIT_WORDS]
    if len(parts) != 1:
        return None
    rest = tuple(w for w in words if w and w not in SPLIT_WORDS and w not in fillers)
    return SPLIT_WORDS[parts[0]], rest


def understand_folders(siblings: Siblings) -> Layout:
    """Returns whether folders are classes or parts.

    Raises:
        DataError: two folders for one part, parts without a train part, or folders that hold
            sub-folders of the same names and do not say what they are.
    """
    splits = _find_exact_splits(siblings) or _find_worded_splits(siblings)
    if splits:
        chosen = set(splits.values())
        others = tuple(folder for folder in siblings.folders if folder not in chosen)
        return Layout(splits, others, _describe_splits(splits))
    _refuse_shared(siblings)
    shown = escape_controls(siblings.root.name)
    understood = f"understood each folder in {shown}/ as a class" if siblings.folders else ""
    return Layout(understood=understood, notes=tuple(_list_doubts(siblings)))


def _find_exact_splits(siblings: Siblings) -> dict[str, Path]:
    """Returns the parts where folders are called train, val or test and nothing else."""
    splits: dict[str, Path] = {}
    for folder in siblings.folders:
        word = SPLIT_WORDS.get(folder.name.lower())
        if word in splits:
            raise _two_folders(siblings, word, splits[word], folder)
        if word is not None:
            splits[word] = folder
    others = [folder for folder in siblings.folders if folder not in splits.values()]
    worded = _find_worded_splits(siblings)
    # `train` may also be a class, beside `bus` and `car`; with a val or test folder, or with
    # nothing beside it, it is not.
    if not splits or (len(splits) == 1 and others):
        return {}
    if "train" not in splits and "train" not in worded:
        raise DataError(
            f"data {str(siblings.root)!r}: expected at least train/. "
            f"Received: {', '.join(sorted(f.name for f in siblings.folders))}. "
            "Rename the folder to learn from to 'train'."
        )
    return {**worded, **splits}


def _find_worded_splits(siblings: Siblings) -> dict[str, Path]:
    """Returns the parts where names speak of them in more words, as `training_set` does."""
    groups: dict[tuple[str, ...], list[tuple[str, Path]]] = {}
    for folder in siblings.folders:
        named = read_part_name(folder.name, siblings.nouns)
        if named is not None:
            groups.setdefault(named[1], []).append((named[0], folder))
    for rest, members in sorted(groups.items()):
        words = [word for word, _ in members]
        names = [folder.name for _, folder in members]
        is_alone = len(members) == len(siblings.folders) == 1 and not siblings.flat
        if "train" not in words or (len(set(words)) < 2 and not is_alone):
            continue
        # "test tube" and "train station" are classes; where more is said than the part, only
        # folders that hold the same classes are parts.
        if rest and not _shared(siblings, names):
            continue
        splits: dict[str, Path] = {}
        for word, folder in members:
            if word in splits:
                raise _two_folders(siblings, word, splits[word], folder)
            splits[word] = folder
        return splits
    return {}


def _two_folders(siblings: Siblings, word: str, one: Path, other: Path) -> DataError:
    return DataError(
        f"data {str(siblings.root)!r}: expected one folder for {word}. "
        f"Received: {one.name!r} and {other.name!r}. Join them."
    )


def _describe_splits(splits: Mapping[str, Path]) -> str:
    parts = [
        f"{escape_controls(splits[word].name)}/ as {word}"
        for word in ("train", "val", "test")
        if word in splits
    ]
    return f"understood {', '.join(parts)}"


def _shared(siblings: Siblings, names: Sequence[str]) -> frozenset[str]:
    return frozenset.intersection(*(siblings.inner[name] for name in names))


def _refuse_shared(siblings: Siblings) -> None:
    """Refuses folders that all hold the same sub-folders, and no sample of their own."""
    names = [folder.name for folder in siblings.folders]
    if len(names) < 2 or siblings.flat:
        return
    common = _shared(siblings, names)
    everything = frozenset.union(*siblings.inner.values())
    if len(common) < 2 or 2 * len(common) < len(everything):
        return
    raise DataError(
        f"data {str(siblings.root)!r}: expected a folder for each class, or train/, val/ and "
        f"test/. Received: {_list_names(names)}, which all hold folders named "
        f"{_list_names(common)}. If they are parts of the data, name them train, val and test; if "
        "they are sources of the same classes, such as cameras, train with --domain folders; if "
        f"they are classes, list the {siblings.nouns[1]} in a CSV with the columns path,label."
    )


def _list_doubts(siblings: Siblings) -> list[str]:
    nested = [f.name for f in siblings.folders if f.name not in siblings.flat]
    nested = [name for name in nested if siblings.inner[name]]
    if not nested:
        return []
    first = nested[0]
    inner = _list_names(siblings.inner[first])
    if len(siblings.folders) == 1 and len(siblings.inner[first]) > 1:
        place = siblings.root / first
        return [
            f"all {siblings.nouns[1]} lie one level deeper, in folders of {first!r}: {inner}. If "
            f"those are the classes, give {str(place)!r} as DATA"
        ]
    for one, other in combinations(nested, 2):
        both = siblings.inner[one] & siblings.inner[other]
        if len(both) > 1:
            return [
                f"{one!r} and {other!r} hold folders of the same names, {_list_names(both)}, and "
                "are taken for classes"
            ]
    if len(nested) == len(siblings.folders):
        return [
            f"all {siblings.nouns[1]} lie deeper than the class folders, such as in "
            f"{first + '/' + min(siblings.inner[first])!r}: the class is the outer folder, "
            f"{first!r}"
        ]
    return []


def _list_names(names: Sequence[str] | frozenset[str]) -> str:
    ordered = sorted(names)
    more = f" and {len(ordered) - _SHOWN} more" if len(ordered) > _SHOWN else ""
    return ", ".join(map(repr, ordered[:_SHOWN])) + more
