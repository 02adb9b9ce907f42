"""The kit's classes in the hands of pytest: each check a test, each outcome its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

QUICK = "metadata or provenance or weights_sha256 or findings"  # these import no Keras

MODULE = """
from double_broken_backbones import ExchangedWeights, NoFamily
from double_good_backbone import Tiny
from double_good_head import Softmax
from double_good_modality import Ramp

from tfxfer.testing import BackboneConformance, HeadConformance, ModalityConformance


class TestGood(BackboneConformance):
    backbone = Tiny


class TestInstance(BackboneConformance):
    backbone = Tiny()


class TestBroken(BackboneConformance):
    backbone = ExchangedWeights


class TestWaived(BackboneConformance):
    backbone = ExchangedWeights
    waivers = {"weights_sha256": "the file changes every night"}


class TestWaivedInVain(BackboneConformance):
    backbone = Tiny
    waivers = {"metadata": "it is good"}


class TestHead(HeadConformance):
    head = Softmax


class TestModality(ModalityConformance):
    modality = Ramp

    @staticmethod
    def samples(folder):
        import numpy as np

        paths = [folder / f"{number}.npy" for number in (1, 2)]
        for number, path in enumerate(paths):
            np.save(path, np.arange(8.0) * number + 1)
        return paths
"""


def test_each_check_is_a_test(tmp_path: Path) -> None:
    (tmp_path / "test_conformance.py").write_text(MODULE, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-v", "-rA", "-p", "no:cacheprovider", "-k", QUICK],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    text = done.stdout
    for line in (
        "TestGood::test_conforms[metadata] PASSED",
        "TestGood::test_conforms[provenance] SKIPPED",
        "TestGood::test_conforms[weights_sha256] SKIPPED",
        "TestInstance::test_conforms[metadata] PASSED",
        "TestBroken::test_conforms[weights_sha256] FAILED",
        "TestWaived::test_conforms[weights_sha256] XFAIL",
        "TestWaivedInVain::test_conforms[metadata] FAILED",
        "TestHead::test_conforms[metadata] PASSED",
        "TestModality::test_conforms[metadata] PASSED",
        "TestModality::test_conforms[findings] PASSED",
    ):
        assert line in text, text
    assert "not run: no installed distribution brings" in text
    assert "not applicable: the backbone declares no weights" in text
    assert "the file changes every night" in text
    assert "expected sha256 0000" in text
    assert "The promise: weights that are on this machine" in text
    assert "Take the waiver out." in text
    assert done.returncode == 1
