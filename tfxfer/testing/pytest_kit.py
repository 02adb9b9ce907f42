"""The kit as pytest classes: inherit, name the plugin, done. The one module here with pytest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tfxfer.testing.check import Examination
from tfxfer.testing.kits import BACKBONE_CHECKS, HEAD_CHECKS, examine_backbone, examine_head
from tfxfer.testing.modality_kit import MODALITY_CHECKS, examine_modality

__all__ = ["BackboneConformance", "HeadConformance", "ModalityConformance"]


class _Conformance:
    """What the classes share: one examination for all tests of a class."""

    waivers: ClassVar[Mapping[str, str]] = {}
    _examination: ClassVar[Examination | None] = None

    @classmethod
    def examine(cls) -> Examination:
        """Returns the checks of the plugin, none of them run yet."""
        raise NotImplementedError

    @classmethod
    def teardown_class(cls) -> None:
        """Lets go of the models."""
        cls._examination = None

    @classmethod
    def _assert_conforms(cls, check: str) -> None:
        if cls._examination is None:
            cls._examination = cls.examine()
        result = cls._examination.result(check)
        if result.outcome == "failed":
            pytest.fail(f"{result.message}\n  The promise: {result.description}.", pytrace=False)
        if result.outcome == "waived":
            pytest.xfail(result.message)
        if result.outcome != "passed":
            pytest.skip(f"{result.outcome.replace('_', ' ')}: {result.message}")


class BackboneConformance(_Conformance):
    """Every check of a backbone as a test of its own.

    Attributes:
        backbone: an installed name, a class or an instance.
        waivers: reasons, by the name of the check that may fail.
        weights: as `build_model` takes them; None is random weights.
        size: of the input that it is tried with, in the modality's unit; None is the smallest it
            takes.
        image_size: the same: the side of the square, in pixels.

    Example:
        class TestMyNet(BackboneConformance):
            backbone = MyNet
    """

    backbone: ClassVar[Any]
    weights: ClassVar[str | Path | None] = None
    size: ClassVar[int | None] = None
    image_size: ClassVar[int | None] = None

    @classmethod
    def examine(cls) -> Examination:
        """Returns the checks of the backbone, none of them run yet."""
        return examine_backbone(
            cls.backbone,
            waivers=cls.waivers,
            weights=cls.weights,
            size=cls.image_size if cls.size is None else cls.size,
        )

    @pytest.mark.parametrize("check", [item.name for item in BACKBONE_CHECKS])
    def test_conforms(self, check: str) -> None:
        """Fails with the message of the check."""
        self._assert_conforms(check)


class HeadConformance(_Conformance):
    """Every check of a head as a test of its own.

    Attributes:
        head: an installed name, a class or an instance.
        waivers: reasons, by the name of the check that may fail.
        raw_labels: raw labels as its data sets have them; None takes its `example_labels`.

    Example:
        class TestMyHead(HeadConformance):
            head = MyHead
    """

    head: ClassVar[Any]
    raw_labels: ClassVar[Sequence[str] | None] = None

    @classmethod
    def examine(cls) -> Examination:
        """Returns the checks of the head, none of them run yet."""
        return examine_head(cls.head, waivers=cls.waivers, raw_labels=cls.raw_labels)

    @pytest.mark.parametrize("check", [item.name for item in HEAD_CHECKS])
    def test_conforms(self, check: str) -> None:
        """Fails with the message of the check."""
        self._assert_conforms(check)


class ModalityConformance(_Conformance):
    """Every check of a modality as a test of its own.

    Attributes:
        modality: an installed name, a class or an instance.
        waivers: reasons, by the name of the check that may fail.
        samples: a few usable ones, no two of them copies: a folder, a list of paths or cells, or a
            static method that writes files into the folder it is given and returns them.
        contract: what a backbone states as `preprocessing`; None takes that of a backbone.
        size: of a model's input, in the modality's unit; None takes the smallest of a backbone.
        backbone: name of the one whose contract and size are taken; None is the first one
            installed that reads this modality.

    Example:
        class TestMyModality(ModalityConformance):
            modality = MyModality
            samples = Path(__file__).parent / "samples"
            contract = MyContract()
    """

    modality: ClassVar[Any]
    samples: ClassVar[Any] = None
    contract: ClassVar[Any] = None
    size: ClassVar[int | None] = None
    backbone: ClassVar[str | None] = None

    @classmethod
    def examine(cls) -> Examination:
        """Returns the checks of the modality, none of them run yet."""
        return examine_modality(
            cls.modality,
            waivers=cls.waivers,
            samples=cls.samples,
            contract=cls.contract,
            size=cls.size,
            backbone=cls.backbone,
        )

    @pytest.mark.parametrize("check", [item.name for item in MODALITY_CHECKS])
    def test_conforms(self, check: str) -> None:
        """Fails with the message of the check."""
        self._assert_conforms(check)
