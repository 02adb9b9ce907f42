"""Samples without labels beside a training are the same when it is gone on with."""

from __future__ import annotations

from pathlib import Path

import pytest

from tfxfer.errors import RunError
from tfxfer.job.unlabelled import check_same_unlabelled, digest_unlabelled
from tfxfer.run.manifest import Manifest


def test_contents_count_and_their_order_does_not() -> None:
    assert digest_unlabelled(["a", "b"]) == digest_unlabelled(("b", "a"))
    assert digest_unlabelled(["a", "b"]) != digest_unlabelled(["a", "b", "c"])
    assert digest_unlabelled(["a", "b"]) != digest_unlabelled(["ab"])


def test_other_samples_are_refused_by_the_option_that_names_them() -> None:
    begun = Manifest(backbone="b", head="h", unlabelled={"--style": "1", "--target": "2"})
    check_same_unlabelled(Path("run"), begun, {"--style": "1", "--target": "2"})
    with pytest.raises(RunError, match=r"expected the samples of --target .* Received: others"):
        check_same_unlabelled(Path("run"), begun, {"--style": "1", "--target": "3"})
    # Runs of before it was kept are gone on with.
    check_same_unlabelled(Path("run"), Manifest(backbone="b", head="h"), {"--style": "1"})
