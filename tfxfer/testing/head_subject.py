"""One head, as part of a model on a small backbone of the kit's own."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from tfxfer.head import Head
from tfxfer.images.modality import ImageModality
from tfxfer.modality import Modality
from tfxfer.registry.component import Component
from tfxfer.registry.lookup import Registry
from tfxfer.testing.probes import ProbeBackbone, ProbeData
from tfxfer.testing.subject import Subject

__all__ = ["HeadSubject"]


class HeadSubject(Subject):
    """One head, on a small backbone of the kit's own.

    Args:
        plugin: the head.
        component: the entry point that brings it.
        registry: where components come from.
        raw_labels: raw labels as the head's data sets have them; None takes its `example_labels`.
    """

    kind = "head"

    def __init__(
        self,
        plugin: Head,
        *,
        component: Component | None = None,
        registry: Registry | None = None,
        raw_labels: Sequence[str] | None = None,
    ) -> None:
        super().__init__(plugin, component=component, registry=registry)
        self._raw_labels = raw_labels

    @cached_property
    def raw_labels(self) -> tuple[str, ...]:
        """One raw label for each of the kit's samples."""
        some = self._raw_labels or self.plugin.example_labels
        return tuple(some[number % len(some)] for number in range(ProbeData.count()))

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """What the head makes of them."""
        return tuple(self.plugin.fit_labels(self.raw_labels))

    @cached_property
    def targets(self) -> np.ndarray:
        """(samples, outputs), as the head encodes them."""
        return np.asarray(self.plugin.encode(self.raw_labels, self.labels))

    @cached_property
    def modality(self) -> Modality:
        """Images: a head sees none of what the backbone reads."""
        return ImageModality()

    @cached_property
    def data(self) -> Any:
        """Twelve images with the head's targets."""
        return ProbeData(
            self.targets,
            modality=self.modality,
            size=ProbeBackbone.min_image_size,
            contract=ProbeBackbone.preprocessing,
        )

    def make_model(self, labels: Sequence[str] | None = None) -> Any:
        """Returns a new model of the probe backbone and the head, with equal weights each time.

        Args:
            labels: of its outputs; None takes the kit's.
        """
        from tfxfer.model import build_model

        return build_model(
            ProbeBackbone(),
            labels=labels or self.labels,
            head=self.plugin,
            size=ProbeBackbone.min_image_size,
            weights=None,
            targets=self.data.train.targets,
            seed=0,
        )

    @cached_property
    def model(self) -> Any:
        """The first such model."""
        return self.make_model()
