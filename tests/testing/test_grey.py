"""The conformance kit on a backbone of one channel."""

from __future__ import annotations

from typing import Any

from tfxfer import Preprocessing
from tfxfer.testing import BACKBONE_CHECKS
from tfxfer.testing.check import Examination
from tfxfer.testing.kits import examine_backbone
from tfxfer.testing.probes import ProbeBackbone

# What starts a Python, trains for long or makes files has nothing to do with channels.
LEFT_OUT = ("laziness", "reload", "cached", "export_float", "export_int8", "export_uint8_input")


class Grey(ProbeBackbone):
    """Takes how bright pixels are."""

    name = family = "double_grey"
    preprocessing = Preprocessing.from_mean_std(mean=127.5, std=127.5, grey=True)


class Twice(Grey):
    """Rescales what has been rescaled."""

    def build(self, inputs: Any) -> Any:
        """Returns a map."""
        from keras import layers

        return super().build(layers.Rescaling(2.0)(inputs))


def find_faults(kind: type[Grey]) -> dict[str, str]:
    kept = [item for item in BACKBONE_CHECKS if item.name not in LEFT_OUT]
    results = Examination(kept, examine_backbone(kind).subject).results()
    return {item.name: item.message for item in results if item.outcome == "failed"}


def test_one_channel_passes_the_checks_of_images() -> None:
    assert find_faults(Grey) == {}


def test_a_second_rescale_is_found_there_too() -> None:
    (fault,) = find_faults(Twice).items()
    assert fault[0] == "preprocessing"
    assert "no rescaling inside the backbone" in fault[1]
