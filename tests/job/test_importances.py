"""Which weights of an earlier run matter, of those that train next."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tfxfer.errors import RunError
from tfxfer.job import fisher
from tfxfer.keeping.anchor import list_learnt
from tfxfer.keeping.fisher import write_importances

HEAD = {"head_dense"}


@pytest.fixture
def earlier(
    make_tiny: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> SimpleNamespace:
    """A run that kept what matters behind `block_2`, and of which all else is measured as 1."""
    model = make_tiny()
    write_importances(tmp_path / "fisher.npz", fill(model, {"block_3_conv", *HEAD}, 7.0))
    monkeypatch.setattr(fisher, "load_learnt", lambda earlier, count: None)

    def measure(model: Any, split: Any, stage: str | None, **options: Any) -> Any:
        return fill(model, fisher._list_trained(model, stage), 1.0)

    monkeypatch.setattr(fisher, "measure_importances", measure)
    return SimpleNamespace(
        model=model,
        fisher_path=tmp_path / "fisher.npz",
        find_learnt=lambda count: ("a sample",),
        run=SimpleNamespace(path=tmp_path),
    )


def fill(model: Any, names: set[str], value: float) -> dict[str, list[np.ndarray]]:
    layers = [layer for layer in model.layers if layer.name in names]
    return {x.name: [np.full(w.shape, value, np.float32) for w in list_learnt(x)] for x in layers}


def test_what_the_run_has_stored_is_read(
    earlier: SimpleNamespace, make_tiny: Callable[..., Any]
) -> None:
    earlier.find_learnt = lambda count: ()  # nothing has to be measured
    found = fisher.list_importances(earlier, make_tiny(labels=5), "block_2", seed=0)
    assert set(found) == {"block_3_conv", *HEAD}
    assert (found["block_3_conv"][0] == 7).all()
    kernel = found["head_dense"][0]
    # Nothing is known of further labels.
    assert (kernel[:, :3] == 7).all()
    assert (kernel[:, 3:] == 0).all()


def test_what_it_kept_frozen_and_trains_now_is_measured(
    earlier: SimpleNamespace, make_tiny: Callable[..., Any]
) -> None:
    found = fisher.list_importances(earlier, make_tiny(labels=5), "block_1", seed=0)
    assert (found["block_2_conv"][0] == 1).all()
    # The earlier tasks are in what is stored, and in no measurement.
    assert (found["block_3_conv"][0] == 7).all()
    assert "block_1_conv" not in found


def test_what_nobody_can_measure_is_refused(
    earlier: SimpleNamespace, make_tiny: Callable[..., Any]
) -> None:
    earlier.find_learnt = lambda count: ()
    with pytest.raises(RunError, match="kept layers frozen that train now"):
        fisher.list_importances(earlier, make_tiny(labels=5), "block_1", seed=0)
