"""DATA → audited, split and encoded samples, read as often as needed and never all at once."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from tfxfer.data.arrays import Arrays, map_arrays
from tfxfer.data.audit import Audit, Problem, count_workers
from tfxfer.data.balance import oversampled_order, sample_weights
from tfxfer.data.lengths import group_lengths
from tfxfer.data.record import Record
from tfxfer.data.slice_table import list_slices, write_slices
from tfxfer.data.table import SplitRow, write_split_table
from tfxfer.data.trimming import Trimming
from tfxfer.modality import Modality
from tfxfer.sample import InputSpec

if TYPE_CHECKING:
    from tfxfer.data.looks import Looks

__all__ = ["SampleData", "SampleSplit", "hash_records"]

# Batches being read while the consumer works: one hides the reading, a second evens it out.
_BATCHES_AHEAD = 2


@dataclass(frozen=True, eq=False)
class SampleSplit:
    """The samples of one part, read when asked for.

    Args:
        name: `train`, `val` or `test`.
        root: folder that the records' paths are relative to.
        records: the samples, sorted by path.
        labels: the outputs' names, the same in all parts.
        targets: float32 (samples, outputs).
        modality: how a sample is read.
        size: of an input, in the modality's unit.
        contract: what the backbone's weights expect of raw values.
        seed: of the augmented views.
        skipped: what was left out of this part alone, by `load_split`.
        notes: what is to be known of this part alone, a line each, by `load_split`.
        fingerprints: of each sample's content, as `split.csv` has them; none where nobody read it.
        lengths: of each sample, int64 (samples,), see `Modality.measure_lengths`; None where all
            are alike.
        weights: how much each sample counts in the loss of a training, float32 (samples,); None
            where all count the same.
        domains: number of the source that each sample is from, int64 (samples,), where a training
            is to draw as many of each; None where it is to draw each sample once.
    """

    name: str
    root: Path
    records: tuple[Record, ...]
    labels: tuple[str, ...]
    targets: np.ndarray
    modality: Modality
    size: int
    contract: Any
    seed: int = 0
    skipped: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    fingerprints: tuple[str, ...] = ()
    lengths: np.ndarray | None = None
    weights: np.ndarray | None = None
    domains: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.records)

    @property
    def paths(self) -> tuple[str, ...]:
        """Where each sample is, relative to `root`."""
        return tuple(record.path for record in self.records)

    @property
    def raw_labels(self) -> tuple[str, ...]:
        """The labels as DATA has them."""
        return tuple(record.label for record in self.records)

    @property
    def slices(self) -> dict[str, tuple[str, ...]]:
        """What DATA's further columns say of each sample; empty text where one says nothing."""
        return list_slices(self.records)

    @property
    def inputs(self) -> dict[str, InputSpec]:
        """The model's inputs that these samples are read for, by name."""
        return self.modality.list_inputs(self.size, self.contract)

    def select(self, chosen: np.ndarray) -> SampleSplit:
        """Returns some of the samples, in their order.

        Shapes: bool (samples,).
        """
        indices = np.flatnonzero(chosen).tolist()
        return replace(
            self,
            records=tuple(self.records[i] for i in indices),
            targets=self.targets[indices],
            fingerprints=tuple(self.fingerprints[i] for i in indices if self.fingerprints),
            lengths=None if self.lengths is None else self.lengths[indices],
            weights=None if self.weights is None else self.weights[indices],
            domains=None if self.domains is None else self.domains[indices],
        )

    def read_views(
        self,
        indices: Sequence[int] | np.ndarray,
        *,
        views: Sequence[int] = (0,),
        level: str = "none",
        options: Mapping[str, Any] | None = None,
        looks: Looks | None = None,
    ) -> Arrays:
        """Returns views of some samples, in the order of `indices`.

        Shapes: (indices, views, …) for each input; of images uint8 (…, size, size, 3).

        Raises:
            DataError: a sample has changed since it was audited.
        """
        order = np.asarray(indices, np.int64)
        out = self._allocate(len(order), views)
        batches = self.iter_views(
            batch_size=max(1, len(order)), views=views, level=level, order=order,
            options=options, looks=looks,
        )  # fmt: skip
        for _, found in batches:
            out = found
        return out

    def iter_views(
        self,
        *,
        batch_size: int = 32,
        views: Sequence[int] = (0,),
        level: str = "none",
        options: Mapping[str, Any] | None = None,
        looks: Looks | None = None,
        order: Sequence[int] | np.ndarray | None = None,
        wanted: np.ndarray | None = None,
        workers: int | None = None,
    ) -> Iterator[tuple[np.ndarray, Arrays]]:
        """Yields batches of indices and views, reading ahead while the consumer works.

        Each sample is read once for all of its views. At most three batches are in memory. The
        threads end with the iterator, also when the consumer stops early.

        Args:
            batch_size: samples in a batch; the last one may have fewer.
            views: numbers of the views; 0 is the plain one.
            level: how far views other than 0 may go, one of the modality's levels.
            options: of the augmentation, such as `{"flip": False}` for images.
            looks: of other samples, which some of the views get; None leaves all their own.
            order: indices to read, in this order; all by default.
            wanted: bool (samples of this part, views): the others hold arbitrary values; all by
                default.
            workers: threads; one per core by default.

        Shapes: yields int64 (n,) and (n, views, …); of images uint8 (n, views, size, size, 3).
        """
        complete = self.modality.complete_options(level, options or {})
        numbers = np.asarray(views, np.int64)
        made = np.ones((len(self), len(numbers)), bool) if wanted is None else wanted
        everything = np.arange(len(self)) if order is None else np.asarray(order, np.int64)
        chunks = iter(
            [everything[i : i + batch_size] for i in range(0, len(everything), batch_size)]
        )
        pool = ThreadPoolExecutor(count_workers(workers), thread_name_prefix="tfxfer-read")
        waiting: deque[tuple[np.ndarray, Arrays, list[Future[None]]]] = deque()

        def fill(out: Arrays, row: int, index: int) -> None:
            chosen = made[index]
            found = self.modality.read(
                self.records[index].locate(self.root),
                size=self.size,
                contract=self.contract,
                views=numbers[chosen].tolist(),
                level=level,
                seed=self.seed,
                index=index,
                options=complete,
            )
            if looks is not None:
                found = looks.give(self, found, numbers[chosen].tolist(), index)

            def put(target: np.ndarray, values: np.ndarray) -> np.ndarray:
                target[row, chosen] = values
                return target

            map_arrays(put, out, found)

        def start_next() -> None:
            chunk = next(chunks, None)
            if chunk is not None:
                out = self._allocate(len(chunk), views)
                jobs = [pool.submit(fill, out, row, int(i)) for row, i in enumerate(chunk)]
                waiting.append((chunk, out, jobs))

        try:
            with self.modality.reading():
                for _ in range(_BATCHES_AHEAD + 1):
                    start_next()
                while waiting:
                    chunk, out, jobs = waiting.popleft()
                    for job in jobs:
                        job.result()
                    yield chunk, out
                    del out
                    start_next()
        except BaseException as error:
            # Ctrl-C and SIGTERM do not wait for what a decoder is at.
            waits = isinstance(error, (Exception, GeneratorExit))
            pool.shutdown(wait=waits, cancel_futures=True)
            raise
        pool.shutdown()

    def dataset(
        self,
        *,
        batch_size: int = 32,
        shuffle: bool = False,
        augment: str = "none",
        options: Mapping[str, Any] | None = None,
        balance: str = "none",
        first_epoch: int = 0,
        workers: int | None = None,
    ) -> Any:
        """Returns a `tf.data.Dataset` of inputs and targets, batched and prefetched.

        Each iteration is an epoch: with `shuffle` it has another order, with `augment` other views.
        Both follow from the seed and the epoch's number. Of samples whose lengths differ, a
        shuffled batch holds ones of like length, and every batch is cut to what they use.

        Args:
            batch_size: samples in a batch; the last one may have fewer.
            shuffle: whether each epoch has an order of its own.
            augment: one of the modality's levels.
            options: of the augmentation.
            balance: `none`; `weights` adds a loss weight per sample as third item; `oversample`
                draws rare classes more often and implies shuffling.
            first_epoch: number of the first iteration, so that a resumed training goes on.
            workers: threads; one per core by default.

        Shapes: of images float32 (batch, size, size, 3), pixels 0..255; (batch, outputs), and with
            `balance="weights"` (batch,).
        """
        import tensorflow as tf

        self.modality.complete_options(augment, options or {})
        weights = sample_weights(self.targets, balance)
        epochs = iter(range(first_epoch, 2**31))
        trimming = Trimming.of_inputs(self.modality, self.inputs)

        def read_epoch() -> Iterator[tuple[Any, ...]]:
            epoch = next(epochs)
            # View 0 is the plain sample.
            views = (0,) if augment == "none" else (epoch + 1,)
            for indices, found in self.iter_views(
                batch_size=batch_size,
                views=views,
                level=augment,
                options=options,
                order=self._order_epoch(epoch, batch_size, shuffle=shuffle, balance=balance),
                workers=workers,
            ):
                inputs = map_arrays(lambda x: x[:, 0], found)
                batch = (
                    inputs if trimming is None else trimming.trim(inputs),
                    self.targets[indices],
                )
                yield batch if weights is None else (*batch, weights[indices])

        specs = self.inputs
        stored: Any = {
            name: tf.TensorSpec((None, *spec.model_shape), spec.stored)
            for name, spec in specs.items()
        }
        wide: Any = {name: spec.dtype for name, spec in specs.items()}
        if len(specs) == 1:
            (stored,), (wide,) = stored.values(), wide.values()
        signature = [stored, tf.TensorSpec((None, self.targets.shape[1]), tf.float32)]
        if weights is not None:
            signature.append(tf.TensorSpec((None,), tf.float32))
        # Values cross as stored and grow on TensorFlow's side: of images a quarter of the copying.
        return (
            tf.data.Dataset.from_generator(read_epoch, output_signature=tuple(signature))
            .map(lambda found, *rest: (tf.nest.map_structure(tf.cast, found, wide), *rest))
            .apply(tf.data.experimental.assert_cardinality(-(-len(self) // batch_size)))
            .prefetch(1)
        )

    def _order_epoch(
        self, epoch: int, batch_size: int, *, shuffle: bool, balance: str
    ) -> np.ndarray:
        rng = np.random.default_rng((self.seed, epoch))
        if balance == "oversample":
            order = oversampled_order(self.targets, rng)
        elif shuffle:
            order = rng.permutation(len(self))
        else:
            return np.arange(len(self))
        if self.lengths is None:
            return order
        return order[group_lengths(order, self.lengths, batch_size=batch_size, rng=rng)]

    def _allocate(self, count: int, views: Sequence[int]) -> Arrays:
        arrays: dict[str, np.ndarray] = {
            name: np.empty((count, len(views), *spec.shape), spec.stored)
            for name, spec in self.inputs.items()
        }
        return arrays if len(arrays) > 1 else next(iter(arrays.values()))


@dataclass(frozen=True, eq=False)
class SampleData:
    """The three parts of a data set, and how they came about.

    Args:
        train: to learn from.
        val: to pick the best epoch with.
        test: to report; nothing is tuned on it.
        labels: the outputs' names.
        audit: what was found in the samples.
        fingerprint: sha256 over every used path, file and label: other data, other fingerprint.
        rows: which sample is in which part, and with which others it has to stay.
        facts: of each used sample, for the modality's `fit_contract`.
        split_words: how many have the part of an earlier run, in a line; empty where none was
            asked.
        doubts: what is to be known of the parts before a figure of them is believed, a line each.
    """

    train: SampleSplit
    val: SampleSplit
    test: SampleSplit
    labels: tuple[str, ...]
    audit: Audit
    fingerprint: str
    rows: tuple[SplitRow, ...]
    facts: tuple[Mapping[str, Any], ...] = ()
    split_words: str = ""
    doubts: tuple[str, ...] = ()

    def resized(self, size: int) -> Self:
        """Returns the same samples, read at another size."""
        parts = (replace(part, size=size) for part in (self.train, self.val, self.test))
        train, val, test = parts
        return replace(self, train=train, val=val, test=test)

    def write_split(self, path: str | Path) -> None:
        """Writes `path,label,split,group,fingerprint`; `load_samples(split_file=…)` reads it."""
        write_split_table(path, self.rows)

    def write_slices(self, path: str | Path) -> None:
        """Writes what else DATA says of each sample; nothing where it says nothing."""
        write_slices(path, self.train.records + self.val.records + self.test.records)


def hash_records(paths: Sequence[str], sha256s: Sequence[str], labels: Sequence[str]) -> str:
    """Returns one sha256 for a set of labelled samples, whatever their order."""
    digest = hashlib.sha256()
    for row in sorted(zip(paths, sha256s, labels, strict=True)):
        # Lengths keep apart what a separator inside a path could join.
        digest.update("".join(f"{len(text)}:{text}" for text in row).encode())
    return digest.hexdigest()
