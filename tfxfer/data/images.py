"""DATA → audited, split and encoded images, read as often as needed and never all at once."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tfxfer.data.audit import Audit, Problem, count_workers
from tfxfer.data.balance import oversampled_order, sample_weights
from tfxfer.data.table import SplitRow, write_split_table
from tfxfer.images.augment import check_level, make_views
from tfxfer.images.decode import open_image, quiet_pillow
from tfxfer.preprocessing import Resize

__all__ = ["ImageData", "ImageSplit"]

# Batches being decoded while the consumer works: one hides the decoding, a second evens it out.
_BATCHES_AHEAD = 2

_Batch = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
class ImageSplit:
    """The images of one part, read when asked for.

    Args:
        name: `train`, `val` or `test`.
        root: folder that `paths` are relative to.
        paths: of the images, sorted.
        raw_labels: as DATA has them.
        labels: the outputs' names, the same in all parts.
        targets: float32 (images, outputs).
        image_size: side of the square, in pixels.
        resize: how a photo becomes that square.
        seed: of the augmented views.
        skipped: what was left out of this part alone, by `load_split`.
    """

    name: str
    root: Path
    paths: tuple[str, ...]
    raw_labels: tuple[str, ...]
    labels: tuple[str, ...]
    targets: np.ndarray
    image_size: int
    resize: Resize = field(default_factory=Resize)
    seed: int = 0
    skipped: tuple[Problem, ...] = ()

    def __len__(self) -> int:
        return len(self.paths)

    def read_views(
        self,
        indices: Sequence[int] | np.ndarray,
        *,
        views: Sequence[int] = (0,),
        level: str = "none",
        flip: bool = True,
    ) -> np.ndarray:
        """Returns views of some images, in the order of `indices`.

        Shapes: uint8 (indices, views, image_size, image_size, 3).

        Raises:
            ImageError: a file has changed since it was audited.
        """
        order = np.asarray(indices, np.int64)
        out = self._allocate(len(order), views)
        batches = self.iter_views(
            batch_size=max(1, len(order)), views=views, level=level, order=order, flip=flip
        )
        for _, pixels in batches:
            out = pixels
        return out

    def iter_views(
        self,
        *,
        batch_size: int = 32,
        views: Sequence[int] = (0,),
        level: str = "none",
        flip: bool = True,
        order: Sequence[int] | np.ndarray | None = None,
        wanted: np.ndarray | None = None,
        workers: int | None = None,
    ) -> Iterator[_Batch]:
        """Yields batches of indices and views, decoding ahead while the consumer works.

        Each image is decoded once for all of its views. At most three batches are in memory. The
        threads end with the iterator, also when the consumer stops early.

        Args:
            batch_size: images in a batch; the last one may have fewer.
            views: numbers of the views; 0 is the plain one.
            level: how far views other than 0 may go: `none`, `light` or `strong`.
            flip: whether they may be mirrored.
            order: indices to read, in this order; all by default.
            wanted: bool (images of this part, views): the others hold arbitrary pixels; all by
                default.
            workers: threads; one per core by default.

        Shapes: yields int64 (n,) and uint8 (n, views, image_size, image_size, 3).
        """
        check_level(level)
        numbers = np.asarray(views, np.int64)
        made = np.ones((len(self), len(numbers)), bool) if wanted is None else wanted
        everything = np.arange(len(self)) if order is None else np.asarray(order, np.int64)
        chunks = iter(
            [everything[i : i + batch_size] for i in range(0, len(everything), batch_size)]
        )
        pool = ThreadPoolExecutor(count_workers(workers), thread_name_prefix="tfxfer-decode")
        waiting: deque[tuple[np.ndarray, np.ndarray, list[Future[None]]]] = deque()

        def start_next() -> None:
            chunk = next(chunks, None)
            if chunk is not None:
                out = self._allocate(len(chunk), views)
                jobs = [
                    pool.submit(self._fill, out[row], int(index), numbers, made[index], level, flip)
                    for row, index in enumerate(chunk)
                ]
                waiting.append((chunk, out, jobs))

        try:
            with quiet_pillow():
                for _ in range(_BATCHES_AHEAD + 1):
                    start_next()
                while waiting:
                    chunk, out, jobs = waiting.popleft()
                    for job in jobs:
                        job.result()
                    yield chunk, out
                    del out
                    start_next()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def dataset(
        self,
        *,
        batch_size: int = 32,
        shuffle: bool = False,
        augment: str = "none",
        flip: bool = True,
        balance: str = "none",
        first_epoch: int = 0,
        workers: int | None = None,
    ) -> Any:
        """Returns a `tf.data.Dataset` of float32 pixels 0..255 and targets, batched and prefetched.

        Each iteration is an epoch: with `shuffle` it has another order, with `augment` other views.
        Both follow from the seed and the epoch's number.

        Args:
            batch_size: images in a batch; the last one may have fewer.
            shuffle: whether each epoch has an order of its own.
            augment: `none`, `light` or `strong`.
            flip: whether augmented views may be mirrored.
            balance: `none`; `weights` adds a loss weight per image as third item; `oversample`
                draws rare classes more often and implies shuffling.
            first_epoch: number of the first iteration, so that a resumed training goes on.
            workers: threads; one per core by default.

        Shapes: float32 (batch, image_size, image_size, 3) and (batch, outputs), and with
            `balance="weights"` (batch,).
        """
        import tensorflow as tf

        check_level(augment)
        weights = sample_weights(self.targets, balance)
        epochs = iter(range(first_epoch, 2**31))

        def read_epoch() -> Iterator[tuple[np.ndarray, ...]]:
            epoch = next(epochs)
            # View 0 is the plain image.
            views = (0,) if augment == "none" else (epoch + 1,)
            order = self._order_epoch(epoch, shuffle=shuffle, balance=balance)
            for indices, pixels in self.iter_views(
                batch_size=batch_size,
                views=views,
                level=augment,
                flip=flip,
                order=order,
                workers=workers,
            ):
                batch = (pixels[:, 0], self.targets[indices])
                yield batch if weights is None else (*batch, weights[indices])

        side, outputs = self.image_size, self.targets.shape[1]
        signature = [
            tf.TensorSpec((None, side, side, 3), tf.uint8),
            tf.TensorSpec((None, outputs), tf.float32),
        ]
        if weights is not None:
            signature.append(tf.TensorSpec((None,), tf.float32))
        # Pixels cross as bytes and grow to floats on TensorFlow's side: a quarter of the copying.
        return (
            tf.data.Dataset.from_generator(read_epoch, output_signature=tuple(signature))
            .map(lambda pixels, *rest: (tf.cast(pixels, tf.float32), *rest))
            .apply(tf.data.experimental.assert_cardinality(-(-len(self) // batch_size)))
            .prefetch(1)
        )

    def _order_epoch(self, epoch: int, *, shuffle: bool, balance: str) -> np.ndarray:
        rng = np.random.default_rng((self.seed, epoch))
        if balance == "oversample":
            return oversampled_order(self.targets, rng)
        return rng.permutation(len(self)) if shuffle else np.arange(len(self))

    def _allocate(self, count: int, views: Sequence[int]) -> np.ndarray:
        return np.empty((count, len(views), self.image_size, self.image_size, 3), np.uint8)

    def _fill(
        self,
        out: np.ndarray,
        index: int,
        views: np.ndarray,
        chosen: np.ndarray,
        level: str,
        flip: bool,
    ) -> None:
        # A resize without antialiasing depends on pixels that a reduced JPEG no longer has.
        needed = self.image_size if self.resize.antialias else None
        image = open_image(self.root / self.paths[index], min_side_px=needed)
        out[chosen] = make_views(
            image,
            size_px=self.image_size,
            resize=self.resize,
            level=level,
            views=views[chosen].tolist(),
            seed=self.seed,
            index=index,
            flip=flip,
        )


@dataclass(frozen=True, eq=False)
class ImageData:
    """The three parts of a data set, and how they came about.

    Args:
        train: to learn from.
        val: to pick the best epoch with.
        test: to report; nothing is tuned on it.
        labels: the outputs' names.
        audit: what was found in the files.
        fingerprint: sha256 over every used path, file and label: other data, other fingerprint.
        rows: which image is in which part, and with which others it has to stay.
    """

    train: ImageSplit
    val: ImageSplit
    test: ImageSplit
    labels: tuple[str, ...]
    audit: Audit
    fingerprint: str
    rows: tuple[SplitRow, ...]

    def write_split(self, path: str | Path) -> None:
        """Writes `path,label,split,group`; `load_images(split_file=…)` reads it back."""
        write_split_table(path, self.rows)


def hash_records(paths: Sequence[str], sha256s: Sequence[str], labels: Sequence[str]) -> str:
    """Returns one sha256 for a set of labelled files, whatever their order."""
    digest = hashlib.sha256()
    for row in sorted(zip(paths, sha256s, labels, strict=True)):
        # Lengths keep apart what a separator inside a path could join.
        digest.update("".join(f"{len(text)}:{text}" for text in row).encode())
    return digest.hexdigest()
