"""What a preset says of itself: its network, and what becomes of pixels before it."""

from __future__ import annotations

import inspect
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tfxfer.errors import ModelError
from tfxfer.preprocessing import Preprocessing, Resize
from tfxfer.system.bounded import MOST_JSON_BYTES, read_text
from tfxfer_kerashub.errors import PresetError, first_line
from tfxfer_kerashub.fetching import find_file, import_keras_hub, list_image_backbones
from tfxfer_kerashub.handle import Handle

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Preset", "find_weights", "make_network", "read_preset"]

WEIGHTS = "model.weights.h5"
_CONFIG = "config.json"
_CONVERTER = "image_converter.json"
_DEFAULT_SIZE = 224
_PROBE_PX = 8
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Preset:
    """The network of a preset and its contract with pixels.

    Args:
        name: as the user typed it, for messages.
        network: KerasHub's class.
        config: arguments of its constructor.
        shape_key: which of them is the image's shape.
        fixed_size: side of the only image it was made for, in pixels; None for any.
        image_size: side of the image that it is used with, in pixels.
        preprocessing: what it expects of pixels.
    """

    name: str
    network: type[Any]
    config: Mapping[str, Any]
    shape_key: str
    fixed_size: int | None
    image_size: int
    preprocessing: Preprocessing


def read_preset(handle: Handle) -> Preset:
    """Returns what the configuration files of a preset say; reads no weights.

    Raises:
        PresetError: no such preset, not one of images, or one that does not say what it does to
            pixels.
    """
    name = f"kerashub:{handle.preset}"
    _refuse_known_others(handle.preset, name)
    try:
        document = _read_json(find_file(handle.preset, _CONFIG), name)
    except FileNotFoundError:
        raise PresetError(
            f"{name}: expected a preset, which holds a {_CONFIG}. Received: a place without it. "
            "`backbone.save_to_preset(FOLDER)` of KerasHub makes one."
        ) from None
    network, shape_key = _find_network(document, name)
    config = document.get("config", {})
    fixed_size = _read_fixed_size(config.get(shape_key), name)
    converter = _load_converter(handle.preset, name)
    if handle.size is not None:
        size = handle.size
    else:
        size = _read_size(converter, name) or fixed_size or _DEFAULT_SIZE
    return Preset(
        name=name,
        network=network,
        config=config,
        shape_key=shape_key,
        fixed_size=fixed_size,
        image_size=size,
        preprocessing=_read_preprocessing(converter, handle, name),
    )


def make_network(preset: Preset, size: int) -> Any:
    """Returns KerasHub's own model for images of `size` px, with random weights.

    Raises:
        ModelError: it cannot be made for that size.
        PresetError: its configuration does not fit KerasHub's class.
    """
    # Its precision is the saved one; here it follows Keras's policy, as every other backbone does.
    config = {key: value for key, value in preset.config.items() if key != "dtype"}
    other_size = preset.fixed_size not in (None, size)
    if other_size:
        config[preset.shape_key] = (size, size, 3)
    try:
        return preset.network.from_config(config)
    except Exception as error:  # whatever a constructor makes of a size or a strange config
        if other_size:
            raise ModelError(
                f"backbone {preset.name!r}: expected images of {preset.fixed_size} px. "
                f"Received: image_size={size}: {first_line(error)}"
            ) from error
        raise PresetError(
            f"{preset.name}: expected a {_CONFIG} that {preset.network.__name__} of the installed "
            f"KerasHub takes. Received: {type(error).__name__}: {first_line(error)}"
        ) from error


def find_weights(handle: Handle) -> Path:
    """Returns the weights file of a preset, after a download if need be.

    Raises:
        FileNotFoundError: it has none, or only parts of one.
        PresetError: it cannot be reached.
    """
    return find_file(handle.preset, WEIGHTS)


def _refuse_known_others(preset: str, name: str) -> None:
    # Without a network: a 9 billion parameter chat model must not be fetched to be refused.
    known = import_keras_hub().models.Backbone.presets
    if preset in known and not any(preset in found.presets for found in list_image_backbones()):
        raise PresetError(
            f"{name}: expected a preset of an image backbone. Received: one of text, sound or "
            f"several inputs, {known[preset]['metadata'].get('path', 'no family')!r}."
        )


def _read_json(path: Path, name: str) -> dict[str, Any]:
    try:
        document = json.loads(read_text(path, MOST_JSON_BYTES))
    except (OSError, ValueError, RecursionError) as error:
        raise PresetError(
            f"{name}: expected JSON in {path.name}. Received: {first_line(error)}"
        ) from error
    if not isinstance(document, dict):
        raise PresetError(f"{name}: expected an object in {path.name}. Received: {document!r:.80}")
    return document


def _find_network(document: Mapping[str, Any], name: str) -> tuple[type[Any], str]:
    if "registered_name" not in document:
        raise PresetError(
            f"{name}: expected a preset in KerasHub's own format. Received: a {_CONFIG} with "
            f"{', '.join(sorted(document)[:4])}. Convert it: keras_hub.models.Backbone."
            "from_preset(…).save_to_preset(FOLDER)"
        )
    # Looked up among KerasHub's, not imported by what the file says.
    registered = str(document["registered_name"]).rpartition(">")[2]
    for found in list_image_backbones():
        if found.__name__ == registered:
            parameters = inspect.signature(found.__init__).parameters
            return found, "image_shape" if "image_shape" in parameters else "input_shape"
    raise PresetError(
        f"{name}: expected a preset of an image backbone. "
        f"Received: {document['registered_name']!r}, of text, sound, several inputs or unknown "
        "to the installed KerasHub."
    )


def _read_fixed_size(shape: Any, name: str) -> int | None:
    if shape is None:
        return None
    height, width, channels = (tuple(shape) + (None,) * 3)[:3]
    if channels != 3 or height != width:
        raise PresetError(
            f"{name}: expected a network of square RGB images, channels last. "
            f"Received: image_shape={tuple(shape)}."
        )
    return height if height is None else int(height)


def _load_converter(preset: str, name: str) -> Any | None:
    import keras

    try:
        document = _read_json(find_file(preset, _CONVERTER), name)
    except FileNotFoundError:
        return None
    try:
        # Keras imports the module that a file names: the file may be a stranger's.
        if not str(document["module"]).startswith("keras_hub."):
            raise ValueError(f"module={document['module']!r}")
        return keras.saving.deserialize_keras_object(document)
    except Exception as error:  # whatever a constructor makes of a strange config
        raise PresetError(
            f"{name}: expected {_CONVERTER} of an image converter that the installed KerasHub "
            f"knows. Received: {type(error).__name__}: {first_line(error)}"
        ) from error


def _read_size(converter: Any | None, name: str) -> int | None:
    size = getattr(converter, "image_size", None)
    if size is None:
        return None
    if size[0] != size[1]:
        raise PresetError(
            f"{name}: expected a square image. Received: image_size={tuple(size)}. "
            f"Name a side: {name}#size={min(size)}"
        )
    return int(size[0])


def _read_preprocessing(converter: Any | None, handle: Handle, name: str) -> Preprocessing:
    resize = Resize() if converter is None else _read_resize(converter, name)
    if handle.pixels is not None:
        low, high = handle.pixels
        return Preprocessing(scale=(high - low) / 255, offset=low, resize=resize)  # type: ignore[arg-type]
    how = f"Say it: {name}#pixels=-1..1,size=224"
    if converter is None:
        raise PresetError(
            f"{name}: expected an {_CONVERTER}, which says what to do with pixels. "
            f"Received: a preset without it. {how}"
        )
    import numpy as np

    scale = 1.0 if converter.scale is None else converter.scale
    offset = 0.0 if converter.offset is None else converter.offset
    found = Preprocessing(scale=scale, offset=offset, resize=resize)
    pixels = np.random.default_rng(0).uniform(0, 255, (1, _PROBE_PX, _PROBE_PX, 3))
    size, converter.image_size = converter.image_size, (_PROBE_PX, _PROBE_PX)
    try:
        theirs = np.asarray(converter(pixels.astype(np.float32)))
    except Exception as error:  # a converter of another kind of input
        raise PresetError(
            f"{name}: its {type(converter).__name__} takes no images: {first_line(error)}. {how}"
        ) from error
    finally:
        converter.image_size = size
    ours = found.apply(pixels)
    if ours.shape != theirs.shape or not np.allclose(ours, theirs, rtol=1e-4, atol=1e-4):
        raise PresetError(
            f"{name}: expected an image converter that scales and shifts. "
            f"Received: {type(converter).__name__}, which does more. {how}"
        )
    return found


def _read_resize(converter: Any, name: str) -> Resize:
    fit = "stretch"
    if converter.crop_to_aspect_ratio:
        fit = "crop"
    elif converter.pad_to_aspect_ratio:
        fit = "pad"
    method = converter.interpolation
    if method not in ("bilinear", "bicubic", "nearest"):
        _log.warning("%s: resized with bicubic instead of %s, which tfxfer has not", name, method)
        method = "bicubic"
    return Resize(fit=fit, method=method, antialias=bool(converter.antialias))
