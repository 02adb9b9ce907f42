"""Weights files of Keras, of the whole network or without its top, in either format."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tfxfer.errors import WeightsError
from tfxfer.system.hdf5_content import check_hdf5_content

__all__ = ["read_weights_file"]


def read_weights_file(
    path: Path, *, into: Any, make_whole: Callable[..., Any], backbone: str, network: str
) -> None:
    """Reads every array of an untouched network without its top.

    Args:
        path: Keras 3 `.weights.h5` or `.keras`, or legacy `.h5`.
        into: the network, a `keras.Model`; what it holds after an error is undefined.
        make_whole: returns the network with its top; takes `classes`.
        backbone: its name, for messages.
        network: the call of `keras.applications` that makes it, for messages.

    Raises:
        WeightsError: the file cannot be read, has gaps, or is of another network.
    """
    import keras
    import numpy as np

    # A loader that skips an array leaves NaN behind, which the check below sees.
    for weight in into.weights:
        if keras.backend.is_float_dtype(weight.dtype):
            weight.assign(np.full(weight.shape, np.nan, "float32"))
    try:
        _check_content(path, backbone)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            _read(path, into=into, make_whole=make_whole)
        _refuse_skipped(caught)
    except WeightsError:
        raise  # ours: it is a ValueError, too
    except (ValueError, OSError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise WeightsError(
            f"backbone {backbone!r} cannot read its weights: expected a .weights.h5 or legacy "
            f".h5 file of keras.applications.{network}, with or without its top. "
            f"Received: path={str(path)!r}. "
            f"Keras says: {' '.join(str(error).split())[:300]}"
        ) from error
    for weight in into.weights:
        if not np.isfinite(keras.ops.convert_to_numpy(weight)).all():
            raise WeightsError(
                f"weights of {backbone!r}: expected finite numbers for every array. "
                f"Received: none, NaN or infinity for {weight.path!r} in path={str(path)!r}."
            )


def _check_content(path: Path, backbone: str) -> None:
    import h5py  # type: ignore[import-untyped]

    if not h5py.is_hdf5(path):
        return  # which Keras says in its own words

    def refuse(expected: str, received: str) -> WeightsError:
        return WeightsError(
            f"weights of {backbone!r}: expected {expected}. Received: {received} in "
            f"path={str(path)!r}. Download the file again."
        )

    with h5py.File(path, "r") as file:
        check_hdf5_content(file, stored_bytes=path.stat().st_size, refuse=refuse)


def _read(path: Path, *, into: Any, make_whole: Callable[..., Any]) -> None:
    try:
        into.load_weights(path)
    except ValueError as error:
        # Legacy files are read by counting layers, so one with top needs a model with top; in
        # the others a top is simply left unread.
        if path.name.endswith((".weights.h5", ".keras")):
            raise
        whole = make_whole()
        classes = _count_classes(path, whole.layers[-1].name)
        if classes not in (None, whole.output.shape[-1]):
            whole = make_whole(classes=classes)
        try:
            whole.load_weights(path)
        except ValueError:
            raise error from None
        # The top is a chain at the end; what comes before it is `into`, layer by layer.
        given, receivers = ([x for x in model.layers if x.weights] for model in (whole, into))
        for receiver, layer in zip(receivers, given, strict=False):
            receiver.set_weights(layer.get_weights())


def _refuse_skipped(caught: Sequence[warnings.WarningMessage]) -> None:
    """Raises where Keras warned of layers that stay random; passes other warnings on.

    Not a filter that makes an error of it: that would leave the file open.
    """
    for item in caught:
        if str(item.message).startswith("Skipping nested container"):
            raise ValueError(str(item.message))
        warnings.warn_explicit(item.message, item.category, item.filename, item.lineno)


def _count_classes(path: Path, top: str) -> int | None:
    """Returns the length of the only vector, the bias, that a legacy file has in layer `top`."""
    import h5py

    lengths: list[int] = []

    def note(_: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.ndim == 1:
            lengths.append(item.shape[0])

    with h5py.File(path, "r") as file:
        layers = file.get("model_weights", file)  # a whole model keeps them there
        if top in layers:
            layers[top].visititems(note)
    return lengths[0] if len(lengths) == 1 else None
