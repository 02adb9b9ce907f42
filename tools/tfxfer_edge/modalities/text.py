"""Files of texts: BERT's three inputs, its vocabulary in the file, and MediaPipe's classifier.

What splits a text into tokens is the contract of the run, which travels in the file as data. The
modality that reads it is looked up by its name, as everywhere: this package imports no plugin.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from tfxfer_edge.door import EdgeModality, Feed, InputMetadata

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
    from tfxfer_edge.tflite.probe import Probe
    from tfxfer_edge.tflite.sample_model import SampleModel

__all__ = ["TextEdge"]

_PROBES = 8


class TextEdge(EdgeModality):
    """Numbers of tokens, a mask and segments, int32 (size,) each.

    Its ladder has no recipe of 16-bit activations, whose kernels run on one core and mostly fall
    back, and ends in float16: 8-bit activations cost attention more than they cost convolutions.
    """

    name = "text"
    ladder = ("int8", "dynamic_w8", "float16")
    parity_samples = 100
    fills: ClassVar[Mapping[str, int]] = {"mask": 1, "segment_ids": 0}
    allows_islands = True

    def collect_calibration(
        self, calibration: Any, *, inputs: Sequence[Any], recipe: str
    ) -> tuple[Arrays, tuple[str, ...]]:
        """Returns tokens of calibration texts by the name of the input, and notes for people."""
        from tfxfer_edge.conversion.calibration import collect_samples

        return collect_samples(calibration, inputs=inputs, recipe=recipe, plural="texts")

    def describe_card(
        self, predictor: Predictor, converted: Converted | FrozenGraph
    ) -> dict[str, Any]:
        """Returns how a text becomes tokens, and the vocabulary itself."""
        contract = predictor.contract
        assets = predictor.modality.list_assets(contract)
        return {
            "modality": self.name,
            "size": predictor.size,
            "contract": contract.to_dict(),
            "assets": {name: path.read_bytes() for name, path in assets.items()},
        }

    def check_card(self, card: ModelCard, probe: Probe) -> None:
        """Refuses other inputs than BERT's three, and a card without a vocabulary."""
        from tfxfer_edge.tflite.text_metadata import check_text_inputs

        check_text_inputs(card, probe)

    def draft_inputs(self, card: ModelCard, probe: Probe) -> InputMetadata:
        """Returns the words for the three inputs and the tokenizer."""
        from tfxfer_edge.tflite.text_metadata import draft_text

        return draft_text(card, probe)

    def list_remarks(self, predictor: Predictor) -> tuple[str, ...]:
        """Returns a warning where the vocabulary has capitals, which MediaPipe never sees."""
        from tfxfer_edge.proof.text_parity import find_foreign_case

        found = find_foreign_case(predictor.contract.to_dict())
        return () if found is None else (f"{predictor.source!r}: {found}",)

    def open_model(
        self,
        content: str | Path | bytes,
        *,
        threads: int = 1,
        workers: int = 1,
        preprocessing: Any = None,
    ) -> SampleModel:
        """Returns what scores tokens."""
        from tfxfer_edge.tflite.sample_model import SampleModel

        return SampleModel(content, threads=threads, workers=workers)

    def encode(self, converted: Converted, samples: Arrays) -> dict[str, np.ndarray]:
        """Returns tokens as they are: there is nothing to rescale."""
        import numpy as np

        assert isinstance(samples, dict)  # of three inputs
        return {item.name: np.asarray(samples[item.name], item.dtype) for item in converted.inputs}

    def read_contract(self, model: SampleModel) -> tuple[Modality, int, Any]:
        """Returns how a text becomes tokens, the vocabulary taken out of the file."""
        from tfxfer_edge.tflite.assets import read_packed_contract

        return read_packed_contract(model)

    def make_probe(self, model: SampleModel) -> Arrays:
        """Returns random tokens of the vocabulary, as many as there is room for."""
        import numpy as np

        from tfxfer_edge.tflite.text_metadata import INPUTS, VOCABULARY_FILE

        rng = np.random.default_rng(0)
        words = 2  # without a vocabulary 0 and 1 are all that is sure to be in the table
        if model.card is not None and VOCABULARY_FILE in model.card.assets:
            words = model.card.assets[VOCABULARY_FILE].count(b"\n")
        ids, mask, segments = INPUTS
        shape = (_PROBES, *model.inputs[0].shape[1:])
        return {
            ids: rng.integers(0, words, shape).astype(np.int32),
            mask: np.ones(shape, np.int32),
            segments: np.zeros(shape, np.int32),
        }

    def find_feed(self, path: Path, model: SampleModel) -> Feed:
        """Returns random tokens: what a text costs does not depend on its words."""
        probe = self.make_probe(model)
        assert isinstance(probe, dict)
        tokens = model.inputs[0].shape[1]
        return Feed(f"{tokens} random tokens (seed 0), the most that it takes", probe)

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
        """Compares texts with Keras, in LiteRT and in MediaPipe."""
        from tfxfer_edge.proof.text_parity import check_text_parity

        samples = [split.records[row].locate(split.root) for row in rows]
        return check_text_parity(
            predictor, content, samples, reference=reference, progress=progress
        )

    def render_handover(self, model: SampleModel, *, file: str, extra: str) -> dict[str, str]:
        """Returns a README and a program for texts."""
        from tfxfer_edge.handover.texts import render_texts

        return render_texts(model, file=file, extra=extra)
