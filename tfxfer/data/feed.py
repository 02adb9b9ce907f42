"""What a phase trains on: sources of pixels, the draw of each epoch, and batches for `fit`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from tfxfer.errors import DataError

if TYPE_CHECKING:
    from tfxfer.data import ImageSplit

__all__ = ["DatasetSource", "PixelSource", "SplitSource"]


class PixelSource(Protocol):
    """Images in a fixed order, each in several views.

    Attributes:
        targets: float32 (images, outputs).
        sample_weights: float32 (images,), or None for equal weights.
        can_seek: whether `read` can fetch any image at any time.
        image_shape: (height, width, 3).
    """

    targets: np.ndarray
    sample_weights: np.ndarray | None
    can_seek: bool
    image_shape: tuple[int, ...]

    def __len__(self) -> int:
        """Returns the number of images."""
        ...

    def iter_views(
        self, views: Sequence[int], *, wanted: np.ndarray | None = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Yields (image indices (n,), view numbers (v,), pixels (n, v, size, size, 3)).

        Args:
            views: numbers.
            wanted: bool (images, views); what is not wanted may be anything, or missing.
        """
        ...

    def read(self, indices: np.ndarray, views: np.ndarray) -> np.ndarray:
        """Returns one view of each image: float32 (n, size, size, 3)."""
        ...


class SplitSource:
    """Pixels of an `ImageSplit`.

    Args:
        split: images with their targets.
        augment: level of augmentation of the views after the first.
        sample_weights: one per image, or None.
        flip: whether views may be mirrored.
    """

    can_seek = True

    def __init__(
        self,
        split: ImageSplit,
        *,
        augment: str = "none",
        sample_weights: np.ndarray | None = None,
        flip: bool = True,
    ) -> None:
        self.split, self.augment, self.flip = split, augment, flip
        self.targets = split.targets
        self.sample_weights = sample_weights
        self.image_shape: tuple[int, ...] = (split.image_size, split.image_size, 3)

    def __len__(self) -> int:
        return len(self.split)

    def iter_views(
        self, views: Sequence[int], *, wanted: np.ndarray | None = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Yields every image of which a view is wanted once, decoded once."""
        numbers = np.asarray(views)
        order = None if wanted is None else np.flatnonzero(wanted.any(1))
        for indices, pixels in self.split.iter_views(
            batch_size=32,
            views=views,
            level=self.augment,
            flip=self.flip,
            order=order,
            wanted=wanted,
        ):
            yield np.asarray(indices), numbers, pixels

    def read(self, indices: np.ndarray, views: np.ndarray) -> np.ndarray:
        """Decodes one view of each image."""
        pixels = np.empty((len(indices), *(self.split.image_size,) * 2, 3), np.float32)
        for view in np.unique(views):
            chosen = np.flatnonzero(views == view)
            read = self.split.read_views(
                indices[chosen], views=(int(view),), level=self.augment, flip=self.flip
            )
            pixels[chosen] = read[:, 0]
        return pixels


class DatasetSource:
    """Pixels of somebody's `tf.data.Dataset` of (pixels, targets) or (pixels, targets, weights).

    Every view is one pass over the dataset, so augmentation inside it gives different views. The
    dataset must yield its images in the same order on each pass: shuffling is done here.

    Args:
        dataset: batched.
        name: for messages.

    Raises:
        DataError: not batched pairs, or no images.
    """

    can_seek = False

    def __init__(self, dataset: Any, *, name: str = "training") -> None:
        self._dataset, self._name = dataset, name
        # -1 is what tf.data calls infinite.
        if hasattr(dataset, "cardinality") and int(dataset.cardinality()) == -1:
            raise DataError(
                f"{name} dataset: expected an end. Received: one that repeats for ever. "
                "Take .repeat() out; the schedule says how many epochs there are."
            )
        targets, weights, shapes, self._digests = [], [], set(), []
        for element in dataset:
            pixels, target, weight = self._unpack(element)
            shapes.add(tuple(int(side) for side in pixels.shape[1:]))
            targets.append(np.asarray(target))
            self._digests.append(hashlib.sha256(np.asarray(target).tobytes()).digest())
            if weight is not None:
                weights.append(np.asarray(weight, np.float32))
        if not targets:
            raise DataError(f"{name} dataset: expected batches of images. Received: none.")
        if len(shapes) > 1:
            raise DataError(
                f"{name} dataset: expected images of one size. Received: {sorted(shapes)}. "
                "Resize them in .map()."
            )
        self.image_shape: tuple[int, ...] = shapes.pop()
        self.targets = np.concatenate(targets)
        self.sample_weights = np.concatenate(weights) if weights else None

    def __len__(self) -> int:
        return len(self.targets)

    def _unpack(self, element: Any) -> tuple[Any, Any, Any]:
        if not isinstance(element, tuple) or len(element) not in (2, 3):
            raise DataError(
                f"{self._name} dataset: expected batches of (pixels, targets) or "
                f"(pixels, targets, weights). Received: {type(element).__name__}."
            )
        if len(element[0].shape) != 4 or element[0].shape[-1] != 3:
            raise DataError(
                f"{self._name} dataset: expected pixels of shape (batch, height, width, 3); call "
                f".batch(32) on a dataset of single images. Received: shape={element[0].shape}."
            )
        return element[0], element[1], element[2] if len(element) == 3 else None

    def iter_views(
        self, views: Sequence[int], *, wanted: np.ndarray | None = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Yields every batch of a pass for each view, whatever is wanted of it."""
        for view in views:
            start = number = 0
            for number, element in enumerate(self._dataset, 1):
                pixels, target, _ = self._unpack(element)
                digest = hashlib.sha256(np.asarray(target).tobytes()).digest()
                if number > len(self._digests) or digest != self._digests[number - 1]:
                    raise DataError(
                        f"{self._name} dataset: expected the same order on every pass, since its "
                        "activations are cached. Take .shuffle() out, or pass "
                        "reshuffle_each_iteration=False; tfxfer shuffles."
                    )
                indices = np.arange(start, start + len(pixels))
                start += len(pixels)
                yield indices, np.array([view]), np.asarray(pixels)[:, None]
            if number != len(self._digests):
                raise DataError(
                    f"{self._name} dataset: expected {len(self._digests)} batches on every pass. "
                    f"Received: {number} on a later one. A generator that is used up needs a "
                    "function that makes a new one."
                )

    def read(self, indices: np.ndarray, views: np.ndarray) -> np.ndarray:
        """A dataset has no random access."""
        raise DataError(f"{self._name} dataset: cannot fetch single images of a tf.data.Dataset.")
