"""Which sample is learnt from, which is looked at meanwhile, and which is never touched."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from tfxfer.errors import DataError, UsageError

__all__ = ["DEFAULT_FRACTIONS", "PARTS", "join_groups", "split_records", "stratify_values"]

PARTS = ("train", "val", "test")
DEFAULT_FRACTIONS = (0.7, 0.15, 0.15)

# A scarce class serves training first, then the test that is reported, then the choice of epoch.
_SCARCE_ORDER = (0, 2, 1)

# A combination of labels rarer than this cannot be in all parts in proportion.
_MIN_STRATUM = 7


def join_groups(*labellings: Sequence[Hashable | None]) -> np.ndarray:
    """Returns one group per sample: samples that share a value in any labelling belong together.

    Args:
        labellings: one value per sample each, such as the user's groups and the duplicates found.
            None belongs to nobody.

    Shapes: returns int64 (samples,), each the index of the group's first sample.
    """
    count = len(labellings[0])
    parent = list(range(count))

    def find(item: int) -> int:
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    for labelling in labellings:
        first_of: dict[Hashable, int] = {}
        for index, value in enumerate(labelling):
            if value is None:
                continue
            one, other = find(first_of.setdefault(value, index)), find(index)
            # The lower index is the root, whatever the order of the joins.
            parent[max(one, other)] = min(one, other)
    return np.array([find(index) for index in range(count)], np.int64)


def split_records(
    labels: Sequence[Hashable],
    groups: Sequence[Hashable],
    *,
    fractions: tuple[float, float, float] = DEFAULT_FRACTIONS,
    seed: int,
    stratify: bool,
    given: Sequence[str | None] | None = None,
) -> np.ndarray:
    """Returns `train`, `val` or `test` for each sample.

    A group is never on two sides. With `stratify`, each label keeps its share in every part, and is
    in every part if it has at least three groups of its own; with two it is in train and test.

    Parts that are given stay as they are. Where DATA has given parts, those that it lacks are taken
    from its train samples, in the proportion of `fractions`: with train and val alone, test is
    0.15 / (0.7 + 0.15) of train. Images without a part, beside others with one, are split as if
    they were alone; one whose group has a part follows its group.

    Args:
        labels: one per sample.
        groups: one per sample; samples with the same value stay together.
        fractions: shares of train, val and test.
        seed: the same seed gives the same split on every machine.
        stratify: whether labels are classes.
        given: the part of each sample, or None.

    Raises:
        UsageError: fractions that are no shares.
        DataError: a group whose samples are given different parts.
    """
    shares = _check_fractions(fractions)
    _, label_ids = np.unique(np.array([str(label) for label in labels]), return_inverse=True)
    if not stratify:
        label_ids = np.zeros(len(labels), np.int64)
    group_ids = join_groups(list(groups))
    rng = np.random.default_rng(seed)
    parts = _given_parts(group_ids, given)
    free = parts < 0
    if not free.all():
        present = np.isin(np.arange(3), parts)
        missing = ~present & (shares > 0)
        if not free.any() and missing.any():
            # The parts that DATA lacks come out of its train samples.
            free = parts == 0
            shares = np.where(missing | (np.arange(3) == 0), shares, 0.0)
            shares = shares / shares.sum()
    if free.any():
        parts[free] = _split_free(label_ids[free], group_ids[free], shares, rng)
    return np.array(PARTS)[parts]


def stratify_values(values: np.ndarray, *, bins: int = 10) -> np.ndarray:
    """Returns the quantile bin of each value, so that parts of numbers span the same range.

    Shapes: values (samples,); returns int64 (samples,).
    """
    # 20 is the smallest number that 0.7, 0.15 and 0.15 share without a remainder.
    bins = max(1, min(bins, len(values) // 20))
    edges = np.quantile(values, np.linspace(0, 1, bins + 1)[1:-1])
    return np.searchsorted(edges, values, side="right")


def merge_rare(labels: Sequence[str]) -> list[str]:
    """Returns the labels with those too rare to be split in proportion joined into one."""
    names, inverse, counts = np.unique(np.array(labels), return_inverse=True, return_counts=True)
    return [
        str(names[index]) if counts[index] >= _MIN_STRATUM else "" for index in inverse.tolist()
    ]


def _check_fractions(fractions: Sequence[float]) -> np.ndarray:
    shares = np.asarray(fractions, np.float64)
    if shares.shape != (3,) or not (shares >= 0).all() or not shares[0] > 0:
        raise UsageError(
            "split: expected three shares, of train, val and test, with train above 0. "
            f"Received: fractions={tuple(fractions)!r}."
        )
    if abs(shares.sum() - 1) > 1e-6:
        raise UsageError(
            f"split: expected shares that add up to 1. Received: fractions={tuple(fractions)!r}, "
            f"which add up to {shares.sum():g}."
        )
    return shares / shares.sum()


def _given_parts(group_ids: np.ndarray, given: Sequence[str | None] | None) -> np.ndarray:
    parts = np.full(len(group_ids), -1)
    if given is None:
        return parts
    of_group: dict[int, int] = {}
    for index, (group, word) in enumerate(zip(group_ids.tolist(), given, strict=True)):
        if word is None:
            continue
        part = PARTS.index(word)
        if of_group.setdefault(group, part) != part:
            raise DataError(
                f"split: expected a group on one side only. Received: samples {group} and {index} "
                f"of one group, in {PARTS[of_group[group]]} and {word}."
            )
    return np.array([of_group.get(group, -1) for group in group_ids.tolist()], np.int64)


def _split_free(
    labels: np.ndarray, groups: np.ndarray, shares: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Returns the part of each sample: first large groups, then single ones fill what is left."""
    label_count = int(labels.max()) + 1
    starts, sizes, members = _members(groups)
    order = rng.permutation(len(starts))
    wanted = np.bincount(labels, minlength=label_count)[:, None] * shares
    have = np.zeros_like(wanted)
    main = np.array(
        [
            np.argmax(np.bincount(labels[members[s : s + n]]))
            for s, n in zip(starts, sizes, strict=True)
        ]
    )
    # Large groups first, while there is room everywhere; then one label after the other.
    order = order[np.lexsort((main[order], -sizes[order]))]
    left = np.bincount(main, minlength=label_count)
    # What rounding cost the parts in labels that are done: otherwise a hundred classes of ten
    # samples would all round in favour of the same part.
    carry = np.zeros(3)
    # In this order also where two parts lack as much.
    usable = np.array([part for part in _SCARCE_ORDER if shares[part] > 0])
    parts = np.empty(len(labels), np.int64)
    for group in order.tolist():
        rows = members[starts[group] : starts[group] + sizes[group]]
        label = main[group]
        counts = np.bincount(labels[rows], minlength=label_count)
        empty = [part for part in usable.tolist() if have[label, part] == 0]
        if len(empty) >= left[label]:
            part = empty[0]
        else:
            need = counts @ (wanted - have) + carry.clip(-0.49, 0.49)
            part = int(usable[np.argmax(need[usable])])
        parts[rows] = part
        have[:, part] += counts
        left[label] -= 1
        if left[label] == 0:
            carry += wanted[label] - have[label]
    return parts


def _members(groups: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns where each group starts in the third array, how many it has, and the samples."""
    members = np.argsort(groups, kind="stable")
    _, starts, sizes = np.unique(groups[members], return_index=True, return_counts=True)
    return starts, sizes, members
