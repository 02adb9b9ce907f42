"""Where a preset's files are on this machine, after a download if need be."""

from __future__ import annotations

import inspect
import warnings
from pathlib import Path
from typing import Any

from tfxfer.errors import PluginImportError
from tfxfer.system.quiet import quiet_native
from tfxfer.system.spelling import did_you_mean
from tfxfer_kerashub.errors import PresetError, first_line

__all__ = ["find_file", "import_keras_hub", "list_image_backbones"]

_FORMS = (
    "a name of KerasHub's such as resnet_50_imagenet, "
    "kaggle://OWNER/MODEL/keras/VARIATION[/VERSION], hf://OWNER/MODEL, or a preset folder"
)
_REMEDIES = (
    "Without a network, name a preset folder (kerashub:FOLDER), which "
    "`keras_hub.models.Backbone.from_preset(…).save_to_preset(FOLDER)` makes where there is one, "
    "or take a backbone whose weights come from pip (tfxfer-efficientnet: efficientnet_lite0)."
)


def import_keras_hub() -> Any:
    """Returns the module, silent about itself.

    Raises:
        PluginImportError: it is not installed, or something that it needs is not.
    """
    try:
        with quiet_native(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what it imports, about their own future
            import keras_hub
    # tensorflow-text of another TensorFlow fails in C++, with errors that are no ImportError.
    except Exception as error:
        raise PluginImportError(
            f"keras-hub cannot be imported: expected a version of 0.31. Received: "
            f"{type(error).__name__}: {first_line(error)}. Install it: "
            "pip install 'keras-hub>=0.31,<0.32', and the tensorflow-text of your TensorFlow's "
            "minor version"
        ) from error
    return keras_hub


def list_image_backbones() -> list[type[Any]]:
    """Returns KerasHub's classes of networks that take images, and make none from text."""
    models = vars(import_keras_hub().models)
    classes = [found for found in models.values() if inspect.isclass(found)]
    painters = {found.backbone_cls for found in classes if issubclass(found, models["TextToImage"])}
    return [
        found
        for found in classes
        if issubclass(found, models["Backbone"])
        and found not in painters
        and {"image_shape", "input_shape"} & set(inspect.signature(found.__init__).parameters)
    ]


def find_file(preset: str, member: str) -> Path:
    """Returns a file of a preset; Kaggle and Hugging Face are asked for what no cache has.

    Args:
        preset: as `Handle.preset`.
        member: name of the file, such as `config.json`.

    Raises:
        FileNotFoundError: the preset is there, and has no such file.
        PresetError: there is no such preset, or it cannot be reached; says every way out.
    """
    scheme, mark, name = preset.partition("://")
    if not mark:
        named = import_keras_hub().models.Backbone.presets
        if preset not in named:
            return _find_local(preset, member)
        scheme, _, name = named[preset]["kaggle_handle"].partition("://")
    try:
        if scheme == "kaggle" and name.count("/") in (3, 4):
            return _fetch_from_kaggle(name, member)
        if scheme == "hf" and name.count("/") == 1:
            return _fetch_from_hugging_face(name, member)
    except FileNotFoundError:
        raise
    # requests, httpx, kagglesdk and huggingface_hub, each with errors of its own.
    except Exception as error:
        raise PresetError(
            f"preset {preset!r} cannot be fetched: {first_line(error)}. {_REMEDIES}"
        ) from error
    raise PresetError(f"preset {preset!r}: expected {_FORMS}. Received: preset={preset!r}.")


def _find_local(preset: str, member: str) -> Path:
    folder = Path(preset).expanduser()
    if folder.is_dir():
        path = folder.absolute() / member
        if not path.is_file():
            raise FileNotFoundError(path)
        return path
    names = sorted({name for found in list_image_backbones() for name in found.presets})
    where = "a file" if folder.exists() else "no folder of that name"
    raise PresetError(
        f"no preset {preset!r}.{did_you_mean(preset, names)} Expected {_FORMS}. "
        f"Received: preset={preset!r}, {where}."
    )


def _fetch_from_kaggle(name: str, member: str) -> Path:
    import kagglehub
    from kagglehub.exceptions import KaggleApiHTTPError

    try:
        return Path(kagglehub.model_download(name, member))
    except KaggleApiHTTPError as error:
        if "404" in str(error):
            raise FileNotFoundError(f"{name}: {member}") from error
        raise
    except ValueError as error:
        if "is not present in the model files" in str(error):
            raise FileNotFoundError(f"{name}: {member}") from error
        raise


def _fetch_from_hugging_face(name: str, member: str) -> Path:
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError, RemoteEntryNotFoundError

    cached = huggingface_hub.try_to_load_from_cache(name, member)
    if isinstance(cached, str):
        return Path(cached)
    try:
        return Path(huggingface_hub.hf_hub_download(name, member))
    except LocalEntryNotFoundError:
        raise ConnectionError("no connection to huggingface.co, and no copy in its cache") from None
    except RemoteEntryNotFoundError as error:
        raise FileNotFoundError(f"{name}: {member}") from error
