"""A model in Hugging Face's layout: a folder, or a repository that is fetched file by file."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfxfer.errors import WeightsError
from tfxfer.system.bounded import read_text
from tfxfer.system.files import file_sha256
from tfxfer_text.configuration import EncoderConfig, read_config
from tfxfer_text.errors import FolderError, first_line
from tfxfer_text.hub import fetch_file
from tfxfer_text.tokenization import Tokenization
from tfxfer_text.vocabulary import read_vocabulary

__all__ = ["Folder", "open_folder", "read_encoder", "read_tokenization"]

WEIGHTS = "model.safetensors"
_CONFIG, _VOCABULARY, _TOKENIZER = "config.json", "vocab.txt", "tokenizer_config.json"
_PICKLE = "pytorch_model.bin"
_PARTS = "model.safetensors.index.json"
_REPOSITORY = re.compile(
    r"(hf://)?(?P<name>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(@(?P<revision>[\w./-]+))?"
)
_LARGEST_CONFIG_BYTES = 1 << 20
# Tables of words are filled up to a multiple of this, at most, so that they divide well.
_PADDED_TO = 128


@dataclass(frozen=True)
class Folder:
    """Where the files of a model are.

    Args:
        name: as the user typed it, for messages.
        path: on this machine; None for a repository.
        repository: on Hugging Face; None for a folder.
        revision: of the repository; None is its main branch.
    """

    name: str
    path: Path | None = None
    repository: str | None = None
    revision: str | None = None

    @property
    def handle(self) -> str:
        """What finds it again, from whichever folder it is asked for."""
        return self.name if self.path is None else str(self.path)

    def find(self, member: str) -> Path:
        """Returns a file of it, fetched if need be.

        Raises:
            FileNotFoundError: it has no such file.
            FolderError: it cannot be reached.
        """
        if self.path is None:
            assert self.repository is not None
            try:
                return fetch_file(self.repository, member, revision=self.revision)
            except FolderError as error:
                raise FolderError(
                    f"text:{self.name} cannot be fetched: {error}. Without a network, name a "
                    "folder that holds its config.json, vocab.txt and model.safetensors: "
                    "--backbone text:FOLDER"
                ) from error
        path = self.path / member
        if not path.is_file():
            raise FileNotFoundError(str(path))
        return path


def open_folder(handle: str) -> Folder:
    """Returns where the files of `text:HANDLE` are.

    Args:
        handle: a folder, or a repository on Hugging Face, `OWNER/NAME` or `OWNER/NAME@REVISION`.

    Raises:
        FolderError: it is neither.
    """
    path = Path(handle).expanduser()
    if handle.strip() and path.is_dir():
        return Folder(handle, path=path.absolute())
    matched = _REPOSITORY.fullmatch(handle)
    if matched is None or path.exists():
        what = "a file" if path.exists() else "no folder of that name"
        raise FolderError(
            f"text:{handle}: expected a folder with config.json, vocab.txt and {WEIGHTS}, or a "
            f"repository on Hugging Face, OWNER/NAME. Received: {what}."
        )
    return Folder(handle, repository=matched["name"], revision=matched["revision"])


def read_encoder(folder: Folder) -> EncoderConfig:
    """Returns what the folder's `config.json` says.

    Raises:
        FolderError: it has none, or it is of another architecture.
    """
    document = _read_json(folder, _CONFIG)
    if document is None:
        raise FolderError(
            f"text:{folder.name}: expected a {_CONFIG}. Received: a folder without it. "
            "transformers' save_pretrained(FOLDER) writes one."
        )
    try:
        return read_config(document, where=f"text:{folder.name}, {_CONFIG}")
    except WeightsError as error:
        raise FolderError(str(error)) from error


def read_tokenization(folder: Folder, config: EncoderConfig) -> Tokenization:
    """Returns what the folder's vocabulary and `tokenizer_config.json` say.

    Raises:
        FolderError: it has no vocabulary, or one that does not fit the weights.
    """
    try:
        path = folder.find(_VOCABULARY)
    except FileNotFoundError:
        raise FolderError(
            f"text:{folder.name}: expected a {_VOCABULARY}, a word piece a line. Received: a "
            "folder without it. Take a model with BERT's own tokenizer."
        ) from None
    said = _read_json(folder, _TOKENIZER) or {}
    lowercase = _read_flag(folder, said, "do_lower_case", default=True)
    assert lowercase is not None
    # None is what BERT's tokenizer does: accents go with the capitals.
    strip_accents = _read_flag(folder, said, "strip_accents", default=None)
    tokenization = Tokenization(
        sha256=file_sha256(path),
        source=f"text:{folder.handle}",
        lowercase=lowercase,
        strip_accents=lowercase if strip_accents is None else strip_accents,
        max_tokens=config.max_tokens,
        **{
            ours: _read_token(said, theirs, usual)
            for ours, theirs, usual in (
                ("unknown", "unk_token", "[UNK]"),
                ("start", "cls_token", "[CLS]"),
                ("end", "sep_token", "[SEP]"),
                ("padding", "pad_token", "[PAD]"),
            )
        },
        path=path,
    )
    required = tokenization.unknown, tokenization.start, tokenization.end, tokenization.padding
    try:
        words = len(read_vocabulary(path, required=required))
    except WeightsError as error:
        raise FolderError(str(error)) from error
    if not words <= config.vocabulary_size < words + _PADDED_TO:
        raise FolderError(
            f"text:{folder.name}: expected a {_VOCABULARY} of {config.vocabulary_size} word "
            f"pieces, as many as {_CONFIG} says. Received: {words}. "
            "Copy the one that belongs to the weights."
        )
    return tokenization


def find_folder_weights(folder: Folder) -> Path:
    """Returns the folder's `model.safetensors`.

    Raises:
        WeightsError: it has none, but perhaps a pickle; the message has the way out.
    """
    try:
        return folder.find(WEIGHTS)
    except FileNotFoundError:
        pass
    except FolderError as error:
        raise WeightsError(str(error)) from error
    for member, what in ((_PARTS, "one in several parts"), (_PICKLE, f"{_PICKLE}, a pickle")):
        try:
            folder.find(member)
        except FileNotFoundError:
            continue
        raise WeightsError(
            f"weights of text:{folder.name}: expected {WEIGHTS}. Received: {what}. Where PyTorch "
            "is, save it anew: transformers' AutoModel.from_pretrained(MODEL)"
            ".save_pretrained(FOLDER, max_shard_size='4GB')"
        )
    raise WeightsError(
        f"weights of text:{folder.name}: expected {WEIGHTS}. Received: a folder without it. "
        "Give a file with --weights PATH, or ask for random weights with --weights none."
    )


def _read_json(folder: Folder, member: str) -> dict[str, Any] | None:
    try:
        path = folder.find(member)
    except FileNotFoundError:
        return None
    where = f"text:{folder.name}, {member}"
    try:
        size = path.stat().st_size
        if size > _LARGEST_CONFIG_BYTES:
            raise FolderError(f"{where}: expected a few kB of JSON. Received: {size} bytes.")
        document = json.loads(read_text(path, _LARGEST_CONFIG_BYTES))
    except (OSError, ValueError, RecursionError) as error:
        raise FolderError(
            f"{where}: expected JSON. Received: {first_line(error)}. Fetch the file again."
        ) from error
    if not isinstance(document, dict):
        raise FolderError(f"{where}: expected an object. Received: {document!r:.80}.")
    return document


def _read_flag(
    folder: Folder, document: dict[str, Any], name: str, *, default: bool | None
) -> bool | None:
    value = document.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise FolderError(
            f"text:{folder.name}, {_TOKENIZER}: expected true or false as {name}. "
            f"Received: {value!r:.80}."
        )
    return value


def _read_token(document: dict[str, Any], name: str, usual: str) -> str:
    value = document.get(name, usual)
    # An earlier version wrote an object around it.
    content = value.get("content") if isinstance(value, dict) else value
    return content if isinstance(content, str) and content else usual
