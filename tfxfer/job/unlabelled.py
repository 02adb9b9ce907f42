"""The samples without labels that a training sees beside its own: `--target` and `--style`."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np

from tfxfer.data.record import Record
from tfxfer.data.samples import SampleData, SampleSplit
from tfxfer.errors import RunError
from tfxfer.run.manifest import Manifest

__all__ = ["check_same_unlabelled", "digest_unlabelled", "make_unlabelled"]


def make_unlabelled(
    name: str, root: Path, records: tuple[Record, ...], data: SampleData, prints: tuple[str, ...]
) -> SampleSplit:
    """Returns samples without labels, to be read as those of a training are.

    Args:
        name: what they are, such as `target`.
        root: the folder that paths are relative to.
        records: of the samples.
        data: the labelled samples.
        prints: fingerprints of the samples.
    """
    return SampleSplit(
        name=name,
        root=root,
        records=records,
        labels=data.labels,
        targets=np.zeros((len(records), len(data.labels)), np.float32),
        modality=data.train.modality,
        size=data.train.size,
        contract=data.train.contract,
        fingerprints=prints,
    )


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
