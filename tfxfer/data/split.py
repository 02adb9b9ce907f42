"""Which sample is learnt from, which is looked at meanwhile, and which is never touched."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np

from tfxfer.errors import DataError, UsageError

__all__ = [
    "DEFAULT_FRACTIONS",
    "PARTS",
    "cross_strata",
    "join_groups",
    "split_records",
    "stratify_values",
]

PARTS = ("train", "val", "test")
DEFAULT_FRACTIONS = (0.7, 0.15, 0.15)

# So many groups of a label widen the limits of its shares by one standard deviation.
_GROUPS_PER_DEVIATION = 12

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
    keys: Sequence[str],
    fractions: tuple[float, float, float] = DEFAULT_FRACTIONS,
    seed: int,
    stratify: bool,
    given: Sequence[str | None] | None = None,
) -> np.ndarray:
    """Returns `train`, `val` or `test` for each sample.

    A group's place follows from a hash of its key and the seed, not from what else there is: the
    lowest hashes are test, the highest val. So samples that are added leave the others where they
    were, and the parts have their shares on average, within what chance does to a draw. Two rules
    may move a group all the same: with `stratify`, each label is in every part if it has at least
    three groups of its own (with two it is in train and test); and in a label of fewer than about
    40 groups a part's share is held near its fraction, see `_find_limits`. Both take and give
    groups at the edge of a part, one for each that is added.

    A group is never on two sides. A group whose smallest key changes, as by a copy that was added,
    is drawn anew.

    Parts that are given stay as they are. Where DATA has given parts, those that it lacks are taken
    from its train samples, in the proportion of `fractions`: with train and val alone, test is
    0.15 / (0.7 + 0.15) of train. Images without a part, beside others with one, are drawn as ever;
    one whose group has a part follows its group.

    Args:
        labels: one per sample.
        groups: one per sample; samples with the same value stay together.
        keys: one per sample, what its place follows from, such as a hash of its content.
        fractions: shares of train, val and test.
        seed: the same seed gives the same split on every machine.
        stratify: whether labels are classes.
        given: the part of each sample, or None.

    Raises:
        UsageError: fractions that are no shares.
        DataError: a group whose samples are given different parts.
    """
    shares = _check_fractions(fractions)
    names = np.array([str(label) if stratify else "" for label in labels])
    label_ids: np.ndarray = np.unique(names, return_inverse=True)[1]
    group_ids = join_groups(list(groups))
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
        held: np.ndarray = np.zeros((int(label_ids.max()) + 1, 3), np.bool_)
        held[label_ids[~free], parts[~free]] = True
        draws = _draw_keys([key for key, wanted in zip(keys, free, strict=True) if wanted], seed)
        parts[free] = _split_free(label_ids[free], group_ids[free], draws, shares, held)
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


def cross_strata(strata: Sequence[str], others: Sequence[str]) -> list[str]:
    """Returns strata that keep the shares of a second labelling, too, where there are enough.

    A combination of too few samples stays with the others of its stratum.

    Args:
        strata: of each sample, such as its label.
        others: the second labelling, such as where it is from.
    """
    pairs = list(zip(strata, others, strict=True))
    counts = Counter(pairs)
    return [
        f"{stratum}\0{other}" if counts[stratum, other] >= _MIN_STRATUM else stratum
        for stratum, other in pairs
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


def _draw_keys(keys: Sequence[str], seed: int) -> np.ndarray:
    """Returns a number 0..1 for each key, evenly spread: float64 (keys,)."""
    digests = b"".join(
        hashlib.blake2b(f"{seed}:{key}".encode(), digest_size=8).digest() for key in keys
    )
    # The upper 53 bits are what a float64 holds.
    return (np.frombuffer(digests, ">u8") >> np.uint64(11)).astype(np.float64) / 2**53


def _split_free(
    labels: np.ndarray,
    groups: np.ndarray,
    draws: np.ndarray,
    shares: np.ndarray,
    held: np.ndarray,
) -> np.ndarray:
    """Returns the part of each sample; `held` says which parts a label is in already."""
    starts, sizes, members = _members(groups)
    lowest = np.minimum.reduceat(draws[members], starts)
    main = np.array(
        [
            np.argmax(np.bincount(labels[members[s : s + n]]))
            for s, n in zip(starts, sizes, strict=True)
        ]
    )
    order = np.lexsort((lowest, main))
    ends = np.flatnonzero(np.diff(main[order], append=-1)) + 1
    part_of = np.empty(len(starts), np.int64)
    for chosen in np.split(order, ends[:-1]):
        part_of[chosen] = _place_label(lowest[chosen], sizes[chosen], shares, held[main[chosen[0]]])
    parts = np.empty(len(labels), np.int64)
    parts[members] = np.repeat(part_of, sizes)
    return parts


def _place_label(
    draws: np.ndarray, sizes: np.ndarray, shares: np.ndarray, held: np.ndarray
) -> np.ndarray:
    """Returns the part of each group of one label, sorted by its draw."""
    parts = np.zeros(len(draws), np.int64)
    # A group that would fill a part alone is learnt from, wherever its hash falls.
    least = shares[1:][shares[1:] > 0].min(initial=1.0)
    is_large = (sizes > 2 * sizes.mean()) & (sizes > least * sizes.sum())
    movable = np.flatnonzero(~is_large)
    count = len(movable)
    # Train keeps a group, unless it has one already.
    room = count - int(not held[0] and not is_large.any())
    test = int((draws[movable] < shares[2]).sum())
    val = int((draws[movable] >= 1 - shares[1]).sum())
    test = int(np.clip(test, *_find_limits(count, shares[2], is_held=bool(held[2]))))
    val = int(np.clip(val, *_find_limits(count, shares[1], is_held=bool(held[1]))))
    while test + val > room:
        # A scarce label serves the test that is reported before the choice of epoch.
        if val >= test:
            val -= 1
        else:
            test -= 1
    parts[movable[:test]] = 2
    parts[movable[count - val :]] = 1
    return parts


def _find_limits(count: int, share: float, *, is_held: bool) -> tuple[int, int]:
    """Returns how few and how many groups of a label a part may get, of `count`.

    Half a standard deviation about the share at 6 groups, and so on by the number of groups: small
    labels come close to their shares, and from 40 groups on, at 3.3 standard deviations, a limit is
    met by one label in a few hundred.
    """
    if share == 0:
        return 0, 0
    slack = count / _GROUPS_PER_DEVIATION * float(np.sqrt(count * share * (1 - share)))
    most = max(1, int(count * share + slack))
    if is_held:
        return 0, most
    return min(most, max(1, int(np.ceil(count * share - slack)))), most


def _members(groups: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns where each group starts in the third array, how many it has, and the samples."""
    members = np.argsort(groups, kind="stable")
    _, starts, sizes = np.unique(groups[members], return_index=True, return_counts=True)
    return starts, sizes, members
