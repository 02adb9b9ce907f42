"""What an export must know of one kind of sample: photos, texts, whatever a plugin brings.

A distribution brings it with one line in its `pyproject.toml`; the name is the modality's:

    [project.entry-points."tfxfer_edge.modalities"]
    text = "tfxfer_edge.modalities.text:TextEdge"

Nothing below this package's commands asks which kind it deals with: it asks the door.
"""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from tfxfer.errors import ModelError, PluginConflictError
from tfxfer.registry.component import Component, normalise_name, raise_contract_error
from tfxfer.registry.contract import check_requirement, make_instance
from tfxfer.registry.discovery import find_entry_points, read_label
from tfxfer.registry.importing import import_component

if TYPE_CHECKING:
    import numpy as np

    from tfxfer.data.arrays import Arrays
    from tfxfer.data.samples import SampleSplit
    from tfxfer.inference.predictor import Predictor
    from tfxfer.modality import Modality
    from tfxfer.progress import Progress
    from tfxfer_edge.conversion.converted import Converted
    from tfxfer_edge.conversion.graph import FrozenGraph
    from tfxfer_edge.proof.parity import Parity
    from tfxfer_edge.tflite.card import ModelCard
    from tfxfer_edge.tflite.metadata_builder import Draft
    from tfxfer_edge.tflite.probe import Probe
    from tfxfer_edge.tflite.sample_model import SampleModel

__all__ = [
    "GROUP",
    "IMAGE",
    "EdgeModality",
    "Feed",
    "InputMetadata",
    "find_door",
    "list_modalities",
]

GROUP = "tfxfer_edge.modalities"
IMAGE = "image"
"""The modality of a file, and of a model, that says nothing of what it reads."""


@dataclass(frozen=True)
class InputMetadata:
    """What the metadata of a file says of its inputs.

    Args:
        tensors: a table each, in the order of the file's inputs.
        process_units: what is done to all of them together, such as splitting a text into tokens.
        parser_version: of the oldest parser that reads them.
    """

    tensors: Sequence[Draft]
    process_units: Sequence[Draft] = ()
    parser_version: str = "1.0.0"


@dataclass(frozen=True)
class Feed:
    """What one file is timed on.

    Args:
        words: what it is, for people.
        inputs: samples as the input tensors hold them, by the tensors' names; None where only
            noise can be had.
    """

    words: str
    inputs: Mapping[str, np.ndarray] | None


class EdgeModality(ABC):
    """What an export must know of one kind of sample.

    Importing the module of a subclass must import neither Keras nor TensorFlow. A class is
    instantiated without arguments and holds no state.

    Attributes:
        name: of the modality, as `tfxfer.modalities` has it; equals the entry point's name.
        ladder: recipes that `auto` tries, from the one a phone runs best.
        parity_samples: how many samples go through every client after the choice.
        fills: what an input holds where a file is only tried, by name; 0 where none is named. A
            mask of zeros would leave nothing to divide by.
        allows_islands: whether a full-integer file may hold operators that compute in float
            between integers, since there is no integer kernel for them.
    """

    name: ClassVar[str]
    ladder: ClassVar[tuple[str, ...]]
    parity_samples: ClassVar[int] = 16
    fills: ClassVar[Mapping[str, int]] = {}
    allows_islands: ClassVar[bool] = False

    # Calibration

    @abstractmethod
    def collect_calibration(
        self, calibration: Any, *, inputs: Sequence[Any], recipe: str
    ) -> tuple[Arrays, tuple[str, ...]]:
        """Returns samples that find the ranges, and notes for people.

        Args:
            calibration: what `convert` was given; None is refused.
            inputs: of the model, `ModelInput`s in order.
            recipe: its name, for messages.

        Raises:
            UsageError: there is none.
            DataError: samples that do not fit the inputs.
        """

    def make_extremes(self, inputs: Sequence[Any]) -> Arrays | None:
        """Returns samples that hold the least and the most that there can be; None of no such.

        An engine that finds the range of an input in samples alone calibrates on them, too.

        Args:
            inputs: of the model, `ModelInput`s in order.
        """
        return None

    # The file's own words

    @abstractmethod
    def describe_card(
        self, predictor: Predictor, converted: Converted | FrozenGraph
    ) -> dict[str, Any]:
        """Returns the fields of `ModelCard` that say how a sample becomes the inputs.

        Args:
            predictor: the model.
            converted: the file; before there is one, what it is made from.
        """

    @abstractmethod
    def check_card(self, card: ModelCard, probe: Probe) -> None:
        """Refuses a card that does not fit the inputs of a file.

        Raises:
            ModelError: says why.
        """

    @abstractmethod
    def draft_inputs(self, card: ModelCard, probe: Probe) -> InputMetadata:
        """Returns the metadata of the inputs, as the clients on a phone read it."""

    def list_remarks(self, predictor: Predictor) -> tuple[str, ...]:
        """Returns what a person must be told of a model before its files are made, a line each."""
        return ()

    # What runs a file

    @abstractmethod
    def open_model(
        self,
        content: str | Path | bytes,
        *,
        threads: int = 1,
        workers: int = 1,
        preprocessing: Any = None,
    ) -> SampleModel:
        """Returns what scores samples with a `.tflite` file, as `Modality.read` returns them.

        Args:
            content: the file, or its bytes.
            threads: of LiteRT's kernels.
            workers: interpreters that share the samples of one call.
            preprocessing: what samples go through before a float input, where the file does not
                say so.

        Raises:
            ModelError: it is no file of this modality.
        """

    def open_onnx(
        self, content: str | Path | bytes, *, threads: int = 1, preprocessing: Any = None
    ) -> SampleModel:
        """Returns the same for an `.onnx` file; see `open_model`."""
        from tfxfer_edge.onnx.model import OnnxSampleModel

        return OnnxSampleModel(content, threads=threads)

    @abstractmethod
    def encode(self, converted: Converted, samples: Arrays) -> dict[str, np.ndarray]:
        """Returns samples as the inputs of a file hold them, by name."""

    @abstractmethod
    def read_contract(self, model: SampleModel) -> tuple[Modality, int, Any]:
        """Returns how a raw sample becomes the inputs of a file: modality, size and contract.

        Raises:
            ModelError: the file does not say so.
            PluginError: what reads such samples is not installed.
        """

    @abstractmethod
    def make_probe(self, model: SampleModel) -> Arrays:
        """Returns a few samples that are as unlike each other as real ones are."""

    @abstractmethod
    def find_feed(self, path: Path, model: SampleModel) -> Feed:
        """Returns what a file is timed on.

        Args:
            path: the file; an `export.json` beside it may lead to real samples.
            model: the same, opened.
        """

    # Proof, and what goes to the app's developer

    @abstractmethod
    def check_parity(
        self,
        predictor: Predictor,
        content: bytes,
        split: SampleSplit,
        rows: Sequence[int],
        *,
        reference: Callable[[Arrays], np.ndarray] | None = None,
        progress: Progress | None = None,
    ) -> Parity:
        """Compares a file with the model it was made of, from the raw sample to the answer.

        Args:
            predictor: the model.
            content: the file, with its metadata.
            split: whose samples.
            rows: which of them.
            reference: scores samples with this very file as the gate does, which has passed it.
            progress: told of samples.
        """

    @abstractmethod
    def render_handover(self, model: SampleModel, *, file: str, extra: str) -> dict[str, str]:
        """Returns the texts that lie beside a file, by their names: how to run it in an app.

        Args:
            model: the file.
            file: what it is called.
            extra: Markdown for the README, such as the table of recipes.

        Raises:
            ModelError: no phone feeds such a file.
        """


def list_modalities() -> tuple[str, ...]:
    """Returns the modalities that an installed distribution has a door for; imports none."""
    return tuple(sorted({point.name for point in find_entry_points((GROUP,))}))


@functools.cache
def find_door(name: str) -> EdgeModality:
    """Returns what an export must know of a modality.

    Raises:
        ModelError: nobody says it.
        PluginConflictError: two distributions do.
        PluginImportError: its module does not import.
        ContractError: it imports, but is not what a door must be.
    """
    rivals: dict[str, tuple[Component, Distribution | None]] = {}
    for point in find_entry_points((GROUP,)):
        if point.name == name:
            label = ("", "") if point.dist is None else read_label(point.dist)
            component = Component("modality", name, point.value, *label)
            # One distribution found twice on sys.path is not two.
            key = normalise_name(component.distribution) or point.value
            rivals.setdefault(key, (component, point.dist))
    if not rivals:
        raise ModelError(
            f"modality {name!r}: expected one that files are made of: "
            f"{', '.join(list_modalities())}. Received: no entry point in {GROUP!r}."
        )
    if len(rivals) > 1:
        components = sorted((item for item, _ in rivals.values()), key=lambda item: item.origin)
        origins = ", ".join(item.origin for item in components)
        spare = " or ".join(f"pip uninstall {item.distribution}" for item in components)
        raise PluginConflictError(
            f"modality {name!r}: expected one distribution that exports it. Received: {origins}. "
            f"Remove one: {spare}"
        )
    ((component, dist),) = rivals.values()
    check_requirement(component, dist)
    found = import_component(component)
    if not isinstance(found, type) or not issubclass(found, EdgeModality):
        raise_contract_error(component, "a subclass of tfxfer_edge.EdgeModality", value=found)
    door: EdgeModality = make_instance(component, found)
    if getattr(door, "name", None) != name:
        raise_contract_error(component, f"the name {name!r}", name=getattr(door, "name", None))
    return door
