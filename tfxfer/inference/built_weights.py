"""How much a config may have built, known weight by weight before any of it is made.

A layer of a billion units is a few bytes of a config. Keras builds it first, and misses its weights
in the file only then.
"""

from __future__ import annotations

import contextlib
import functools
import math
import re
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tfxfer.errors import ModelError

__all__ = ["MOST_BATCH", "bound_file", "bound_weights", "check_batch"]

_SPARE_BYTES = 64 << 20
"""For what a layer makes and does not store."""

MOST_BATCH = 10_000
"""Samples of a batch whose size a config fixes: layers with a state hold one for each."""

_LOADING = threading.RLock()


@contextlib.contextmanager
def bound_file(path: Path, *, package: Any) -> Iterator[None]:
    """Has Keras build no more than a file has weights for, until the block ends.

    Args:
        path: of a `.keras` or `.h5` file, whose content has been checked.
        package: that builds it, `keras` or `tf_keras`.

    Raises:
        ModelError: the config asks for more.
    """
    stored_bytes = path.stat().st_size
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            stored_bytes = sum(member.file_size for member in archive.infolist())

    def refuse(expected: str, received: str) -> ModelError:
        return ModelError(
            f"model {str(path)!r}: expected {expected}. Received: {received}. Save the model "
            "anew: model.save('model.keras')"
        )

    with bound_weights(package, stored_bytes=stored_bytes, refuse=refuse):
        yield


@contextlib.contextmanager
def bound_weights(
    package: Any, *, stored_bytes: int, refuse: Callable[[str, str], Exception]
) -> Iterator[None]:
    """Refuses to build more than a file can fill, until the block ends.

    Every weight of a layer is made by `Layer.add_weight`, which is asked here first. One thread at
    a time loads a file; what others build meanwhile is theirs.

    Args:
        package: that builds, `keras` or `tf_keras`.
        stored_bytes: of the arrays in the file.
        refuse: returns the error to raise; gets what was expected and what was received.

    Raises:
        Exception: what `refuse` returned, whatever became of it on its way up.
    """
    layer, most_bytes = package.layers.Layer, stored_bytes + _SPARE_BYTES
    thread, total = threading.get_ident(), 0
    faults: list[Exception] = []
    with _LOADING:
        add_weight = layer.add_weight

        @functools.wraps(add_weight)
        def add(self: Any, *args: Any, **options: Any) -> Any:
            nonlocal total
            if threading.get_ident() == thread:
                shape = _find_shape(args, options)
                total += _count_bytes(shape, options.get("dtype") or self.variable_dtype)
                if total > most_bytes:
                    faults.append(
                        refuse(
                            f"layers of at most {most_bytes:,} bytes, as the file holds "
                            f"{stored_bytes:,}",
                            f"layer {self.name!r:.80} with a weight of shape {shape!r:.80}, "
                            f"{total:,} bytes so far",
                        )
                    )
                    raise faults[0]
            return add_weight(self, *args, **options)

        layer.add_weight = add
        try:
            yield
        except Exception as error:
            # Keras makes an error of its own of what is raised while it builds.
            if faults and error is not faults[0]:
                raise faults[0] from error
            raise
        finally:
            layer.add_weight = add_weight
        if faults:
            raise faults[0]


def check_batch(config: Any, *, what: str) -> None:
    """Refuses a fixed batch so large that the states of layers alone would fill the memory.

    Args:
        config: of a layer.
        what: whose it is, for messages.

    Raises:
        ModelError: it has one.
    """
    for key in ("batch_input_shape", "batch_shape"):
        shape = config.get(key) if isinstance(config, dict) else None
        first = shape[0] if isinstance(shape, list) and shape else None
        if isinstance(first, int) and first > MOST_BATCH:
            raise ModelError(
                f"{what}: expected a batch of at most {MOST_BATCH:,} samples. Received: {first:,}. "
                "Leave the size of a batch open, None."
            )


def _find_shape(args: tuple[Any, ...], options: dict[str, Any]) -> tuple[int, ...]:
    """Returns the shape of a weight: Keras 3 takes it first, Keras 2 after the name."""
    shape = options.get("shape")
    if shape is None:
        shape = next((each for each in args if each is not None and not isinstance(each, str)), ())
    try:
        return tuple(int(each) for each in shape)
    except (TypeError, ValueError):  # a size that is not known, which Keras refuses itself
        return ()


def _count_bytes(shape: tuple[int, ...], dtype: Any) -> int:
    bits = re.search(r"\d+", str(getattr(dtype, "name", dtype)))
    return math.prod(shape) * max(1, int(bits[0]) // 8 if bits else 1)
