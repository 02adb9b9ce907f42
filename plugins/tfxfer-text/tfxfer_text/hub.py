"""Files of a model on Hugging Face, from its cache where there is a copy."""

from __future__ import annotations

from pathlib import Path

from tfxfer.errors import StorageError
from tfxfer.system.files import describe_storage_error
from tfxfer_text.errors import FolderError, first_line

__all__ = ["fetch_file"]


def fetch_file(repository: str, member: str, *, revision: str | None = None) -> Path:
    """Returns a file of a repository, downloaded if this machine has no copy.

    Args:
        repository: `OWNER/NAME`.
        member: name of the file.
        revision: a branch, a tag or a commit; None is the main branch.

    Raises:
        FileNotFoundError: the repository is there, and has no such file.
        FolderError: there is no such repository, or it cannot be reached.
        StorageError: the disk is full, or its cache cannot be written.
    """
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError, RemoteEntryNotFoundError

    cached = huggingface_hub.try_to_load_from_cache(repository, member, revision=revision)
    if isinstance(cached, str):
        return Path(cached)
    try:
        return Path(huggingface_hub.hf_hub_download(repository, member, revision=revision))
    except LocalEntryNotFoundError:
        reason = "no connection to huggingface.co, and no copy in its cache"
        raise FolderError(_describe(repository, member, reason)) from None
    except RemoteEntryNotFoundError as error:
        raise FileNotFoundError(f"{repository}: {member}") from error
    # requests, httpx and huggingface_hub, each with errors of its own.
    except Exception as error:
        full = describe_storage_error(error)
        if full is not None:
            raise StorageError(full) from error
        raise FolderError(_describe(repository, member, first_line(error))) from error


def _describe(repository: str, member: str, reason: str) -> str:
    return f"{member} of {repository} on Hugging Face: {reason}"
