"""What holds on to what a model knows: when, and to which samples it is true."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest

from tfxfer.frontier.cut import make_suffix
from tfxfer.job import keep
from tfxfer.job.keep import Keeping
from tfxfer.registry.lookup import get_head
from tfxfer.stages import set_trainable


def find_apart(head: str, known: int, rows: list[int], labels: int = 5) -> Any:
    """Asks for samples of these classes, where an earlier run knew the first ones."""
    task = get_head(head)
    earlier = SimpleNamespace(manifest=SimpleNamespace(labels=("x",) * known))
    prepared: Any = SimpleNamespace(earlier=earlier if known else None, head=task)
    train = SimpleNamespace(targets=np.eye(labels, dtype=np.float32)[rows])
    data: Any = SimpleNamespace(train=train, labels=("x",) * labels)
    return keep._find_apart(prepared, data, task.tempering())


def test_new_labels_are_told_apart_where_no_sample_has_another() -> None:
    assert find_apart("classification", 3, [3, 4, 4]) == ("head_dense", 3)
    assert find_apart("classification", 3, [3, 4, 0]) is None
    # A softmax over one label teaches nothing.
    assert find_apart("classification", 4, [4, 4]) is None
    assert find_apart("classification", 0, [3, 4]) is None
    assert find_apart("multilabel", 3, [3, 4]) is None
    assert find_apart("regression", 3, [3, 4]) is None


@pytest.mark.parametrize("method", ["distill", "relations", "l2sp"])
def test_each_method_adds_to_the_loss_of_what_has_moved(
    method: str, make_tiny: Callable[..., Any]
) -> None:
    model, earlier = make_tiny(seed=0), make_tiny(seed=1)
    set_trainable(model, "block_2")
    references = {}
    if method == "l2sp":
        references = keep.read_references(earlier.layers)
    run: Any = SimpleNamespace(model=earlier)
    keeping = Keeping(method, 1.0, run, references, link="softmax")
    network = make_suffix(model, "block_2")
    x = np.random.default_rng(0).normal(size=(4, *network.inputs[0].shape[1:])).astype(np.float32)

    def measure(watched: Any) -> float:
        watched(x, training=True)
        return float(sum(watched.losses))

    assert measure(network) == 0
    assert measure(keeping.wrap(network, "block_2")) > 1e-3
    model.set_weights(earlier.get_weights())
    keras.utils.set_random_seed(0)
    if method == "distill":  # the head's dropout is the training's alone
        assert measure(keeping.wrap(network, "block_2")) < 1
    else:
        assert measure(keeping.wrap(network, "block_2")) == pytest.approx(0, abs=1e-5)


def test_pooled_features_that_do_not_change_are_not_watched(make_tiny: Callable[..., Any]) -> None:
    model = make_tiny()
    run: Any = SimpleNamespace(model=model)
    network = make_suffix(model, "backbone")
    assert Keeping("relations", 1.0, run, {}).wrap(network, "backbone") is network


def test_the_information_of_what_is_learnt_again_counts_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []

    def measure(model: Any, split: Any, stage: Any, **options: Any) -> Any:
        asked.append(split.marks)
        return {"layer": [np.ones(1, np.float32)]}

    written = []
    monkeypatch.setattr(keep, "measure_importances", measure)
    monkeypatch.setattr(keep, "write_importances", lambda path, found: written.append(found))
    monkeypatch.setattr(keep, "find_fisher", lambda run: None)
    rows = (SimpleNamespace(fingerprint="old"), SimpleNamespace(fingerprint=""))
    earlier: Any = SimpleNamespace(rows=rows)
    keeping = Keeping("ewc", 1.0, earlier, {}, importances={"layer": [np.full(1, 2.0)]})
    run: Any = None
    for marks, expected in ((("old", "new"), 3.0), (("old",), 2.0)):
        data: Any = SimpleNamespace(train=Marked(marks))
        keeping.store(run, None, data, seed=0, progress=None)
        assert written[-1]["layer"][0] == expected
    # Where all of them come again nothing is measured.
    assert asked == [("new",)]


class Marked:
    """Samples of which only their fingerprints are known."""

    def __init__(self, marks: tuple[str, ...]) -> None:
        self.marks = self.fingerprints = marks

    def __len__(self) -> int:
        return len(self.marks)

    def select(self, mask: np.ndarray) -> Marked:
        return Marked(tuple(np.array(self.marks)[mask].tolist()))
