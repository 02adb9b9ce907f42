"""The samples without labels that a training sees beside its own: `--target` and `--style`."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path

from tfxfer.errors import RunError
from tfxfer.run.manifest import Manifest

__all__ = ["check_same_unlabelled", "digest_unlabelled"]


def digest_unlabelled(fingerprints: Collection[str]) -> str:
    """Returns a sha256 of samples' contents, whatever their names and their order.

    Args:
        fingerprints: of each sample.
    """
    return hashlib.sha256("\n".join(sorted(fingerprints)).encode()).hexdigest()


def check_same_unlabelled(out: Path, manifest: Manifest, found: Mapping[str, str]) -> None:
    """Refuses to go on with a run beside other samples than it was begun with.

    Args:
        out: the run.
        manifest: as it was begun.
        found: digests of the samples that are there now, by the option that names them.

    Raises:
        RunError: some have been added, changed or removed.
    """
    for option, digest in found.items():
        if manifest.unlabelled.get(option, digest) != digest:
            raise RunError(
                f"run {str(out)!r}: expected the samples of {option} that it was started with. "
                "Received: others. Put them back, or train anew with another --out."
            )
