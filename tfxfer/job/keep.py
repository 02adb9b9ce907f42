"""`--keep`: what holds on to what a model knows while it is trained, and what was forgotten."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from tfxfer.backbone import BACKBONE_END
from tfxfer.data.samples import SampleData, SampleSplit
from tfxfer.errors import ModelError
from tfxfer.frontier.cut import make_suffix
from tfxfer.head import Tempering
from tfxfer.inference.keras_model import wrap_model
from tfxfer.inference.scoring import score_split
from tfxfer.job.earlier import EarlierRun, find_fisher
from tfxfer.job.fisher import (
    find_frontier,
    list_importances,
    measure_importances,
    measure_scale,
)
from tfxfer.job.prepare import Prepared
from tfxfer.keeping.anchor import hold_weights, read_references
from tfxfer.keeping.distillation import Link, watch_answers
from tfxfer.keeping.fisher import Importances, add_importances, write_importances
from tfxfer.keeping.low_rank import adapt_layers, merge_layers
from tfxfer.keeping.methods import METHODS
from tfxfer.keeping.relations import watch_relations
from tfxfer.progress import Progress
from tfxfer.run.directory import RunDirectory
from tfxfer.stages import attach_info, get_info, layers_up_to
from tfxfer.trust.forgetting import measure_forgetting

__all__ = ["Keeping", "record_forgetting", "select_tested"]


@dataclass(frozen=True, eq=False)
class Keeping:
    """What holds on to what a model knows, for as long as it trains.

    Args:
        method: a word of `METHODS`.
        strength: what its penalty is multiplied by.
        earlier: the run that the training goes on from; None for pretrained weights.
        references: weights that the training begins with, by layer.
        importances: of these weights; None is 1 for all of them.
        stage: up to which everything stays frozen.
        link: what makes scores of the head's logits, see `tfxfer.head.Tempering`.
        apart: see `tfxfer.keeping.distillation.watch_answers`.
        scale: of each output, in its unit.
    """

    method: str
    strength: float
    earlier: EarlierRun | None
    references: dict[str, list[np.ndarray]]
    importances: Importances | None = None
    stage: str | None = None
    link: Link | None = None
    apart: tuple[str, int] | None = None
    scale: np.ndarray | None = None

    @classmethod
    def begin(
        cls, prepared: Prepared, data: SampleData, model: Any, progress: Progress | None
    ) -> Self | None:
        """Returns what a request asks for; None where it asks for nothing.

        Args:
            prepared: what to train.
            data: its samples.
            model: as the training begins.
            progress: told how far the measuring of weights is.

        Raises:
            ModelError: no layer that trains takes a low-rank adapter.
        """
        request = prepared.request
        if request.keep is None:
            return None
        strength = request.keep_strength or METHODS[request.keep].strength
        layers = model.layers
        if prepared.earlier is None:
            # Nothing is known of a new head that would be worth keeping.
            layers = layers_up_to(model, BACKBONE_END)
        tempering = prepared.head.tempering()
        importances, stages = None, [item.name for item in get_info(model).stages]
        stage = find_frontier(prepared.schedule, stages)
        if request.keep == "lora":
            frozen = {layer.name for layer in layers_up_to(model, stage)}
            above = [x for x in layers_up_to(model, BACKBONE_END) if x.name not in frozen]
            if not adapt_layers(above, seed=request.seed):
                raise ModelError(
                    f"--keep lora: expected layers after {stage!r} with kernels that a low rank "
                    f"is smaller than. Received: none in backbone {prepared.backbone.name!r}. "
                    "Choose another --keep, or unfreeze more: --unfreeze-from"
                )
        if request.keep == "ewc":
            assert prepared.earlier is not None
            importances = list_importances(
                prepared.earlier, model, stage, seed=request.seed, progress=progress
            )
        return cls(
            request.keep,
            0.0 if strength is None else strength,
            prepared.earlier,
            read_references(layers) if request.keep in ("l2sp", "ewc") else {},
            importances,
            stage,
            None if tempering is None else tempering.link,
            _find_apart(prepared, data, tempering),
            measure_scale(data.train.targets),
        )

    def finish(self, model: Any, make_plain: Callable[[], Any]) -> Any:
        """Returns the model as it is kept: a plain network, whatever it was trained as.

        Args:
            model: trained.
            make_plain: makes one of the same layers.
        """
        if self.method != "lora":
            return model
        plain = make_plain()
        merge_layers(model, plain)
        attach_info(plain, get_info(model))  # `fit` has learnt how samples are read
        return plain

    def store(
        self, run: RunDirectory, model: Any, data: SampleData, *, seed: int, progress: Any
    ) -> None:
        """Writes what a training that goes on from this one needs, where the method needs it.

        Args:
            run: whose lock is held.
            model: as it is kept.
            data: its samples.
            seed: of the answers that are drawn.
            progress: told how far it is.
        """
        if self.importances is not None:
            # What is learnt again is in what was known before.
            rows = () if self.earlier is None else self.earlier.rows
            known = {row.fingerprint for row in rows if row.fingerprint}
            split = data.train.select(
                np.array([mark not in known for mark in data.train.fingerprints], bool)
            )
            own: Importances = {}
            if len(split):
                own = measure_importances(model, split, self.stage, seed=seed, progress=progress)
            write_importances(find_fisher(run), add_importances(self.importances, own))

    def wrap(self, network: Any, stage: str | None) -> Any:
        """Returns the network that is fitted in place of one; see `tfxfer.Control`."""
        if self.references:
            return hold_weights(
                network, self.references, strength=self.strength, importances=self.importances
            )
        # Pooled features that are the inputs do not change.
        if self.method == "relations" and stage != BACKBONE_END:
            assert self.earlier is not None
            ends = {item.name: item.end for item in get_info(self.earlier.model).stages}
            teacher = make_suffix(self.earlier.model, stage)
            return watch_relations(network, teacher, ends[BACKBONE_END], strength=self.strength)
        if self.method == "distill":
            assert self.earlier is not None
            teacher = make_suffix(self.earlier.model, stage)
            return watch_answers(
                network,
                teacher,
                strength=self.strength,
                link=self.link,
                apart=self.apart,
                scale=self.scale,
            )
        return network


def _find_apart(
    prepared: Prepared, data: SampleData, tempering: Tempering | None
) -> tuple[str, int] | None:
    """Returns where the further labels' logits are, if no sample that is learnt from has others."""
    if prepared.earlier is None or tempering is None or tempering.link != "softmax":
        return None
    known = len(prepared.earlier.manifest.labels)
    classes = prepared.head.find_classes(data.train.targets)
    # A softmax over a single one is 1, whatever is shown, and teaches nothing.
    if classes is None or (classes < known).any() or len(data.labels) < known + 2:
        return None
    return tempering.layer, known


def record_forgetting(
    run: RunDirectory, prepared: Prepared, data: SampleData, model: Any, progress: Progress | None
) -> None:
    """Writes what a training has forgotten of the run that it went on from.

    Args:
        run: whose lock is held.
        prepared: what was trained; nothing is written where it began anew.
        data: its samples, with those the earlier run was tested with.
        model: as it is kept.
        progress: told of samples scored.
    """
    earlier = prepared.earlier
    if earlier is None:
        return
    split = select_tested(data.test, earlier)
    before = after = np.zeros((0, len(data.labels)), np.float32)
    if len(split):
        known = score_split(wrap_model(earlier.model), split, progress=progress)
        before = np.zeros((len(split), len(data.labels)), np.float32)
        before[:, : known.shape[1]] = known
        after = score_split(wrap_model(model), split, progress=progress)
    found = measure_forgetting(
        split.targets,
        before,
        after,
        head=prepared.head,
        labels=data.labels,
        known=len(earlier.manifest.labels),
        run=str(earlier.run.path.absolute()),
        keep=prepared.request.keep,
        replay=prepared.request.replay,
        missing=max(0, earlier.count_tested() - len(split)),
        seed=prepared.request.seed,
    )
    found.write(run.trust)


def select_tested(test: SampleSplit, earlier: EarlierRun) -> SampleSplit:
    """Returns the samples of a test split that the earlier run was tested with."""
    rows = [row for row in earlier.rows if row.split == "test"]
    known = {row.fingerprint for row in rows if row.fingerprint}
    # DATA may hold a copy: of one content, the first.
    _, first = np.unique(np.array(test.fingerprints, np.str_), return_index=True)
    is_first = np.isin(np.arange(len(test)), first)
    return test.select(is_first & np.array([mark in known for mark in test.fingerprints], bool))
