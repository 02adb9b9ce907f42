"""Encoders fine-tuned as they say themselves, with every head, on a small random one."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tfxfer import Phase, build_model, get_backbone
from tfxfer.fine_tuning import FineTuning
from tfxfer.frontier.store import CacheStore
from tfxfer.job.plan_text import PlanLine
from tfxfer.job.prepare import prepare
from tfxfer.job.request import TrainRequest
from tfxfer.job.train import train_run
from tfxfer.standard_schedules import follow_advice
from tfxfer.training.plan import plan_fit
from tfxfer_text.backbones import BertTiny, MiniLML6
from tfxfer_text.fine_tuning import ENCODER_FINE_TUNING
from tfxfer_text.miniature import MINIATURE

SIZE = 16


def relabel(table: Path, target: Path, label: Callable[[str], str]) -> Path:
    """Writes a table of the same texts with other labels."""
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    with target.open("w", encoding="utf-8", newline="") as file:
        written = csv.writer(file)
        written.writerow(("text", "label"))
        written.writerows((row["text"], label(row["label"])) for row in rows)
    return target


def test_encoders_say_how_they_are_trained() -> None:
    for backbone in (MiniLML6(), BertTiny()):
        assert backbone.fine_tuning == ENCODER_FINE_TUNING != FineTuning()
    head, tuned = follow_advice(ENCODER_FINE_TUNING)
    names = [stage.name for stage in MiniLML6().stages]
    assert tuned.stage == names[0]  # all blocks train, the tables do not
    # Devlin et al. 2019, A.3.
    assert 2e-5 <= tuned.learning_rate <= 5e-5
    assert 2 <= tuned.epochs <= 4
    assert (tuned.optimizer, tuned.weight_decay, tuned.warmup) == ("adamw", 0.01, 0.1)
    assert head.learning_rate > tuned.learning_rate


@pytest.mark.parametrize(
    ("head", "label"),
    [
        ("classification", lambda label: label),
        ("multilabel", lambda label: "kind|long" if label == "good" else "long"),
        ("regression", lambda label: "1.5" if label == "good" else "-1.5"),
    ],
)
def test_each_head_learns_from_texts(
    head: str,
    label: Callable[[str], str],
    texts: Path,
    tiny_folder: Path,
    tmp_path: Path,
) -> None:
    table = relabel(texts, tmp_path / "texts.csv", label)
    request = TrainRequest(str(table), f"text:{tiny_folder}", head=head, size=SIZE)
    plans: list[PlanLine] = []
    run = train_run(prepare(request), tmp_path / "run", on_plan=plans.extend)
    manifest = run.read_manifest()
    first, second = manifest.phases
    assert (first.name, first.stage, first.cached) == ("head", "backbone", True)
    assert (second.name, second.stage, second.cached) == ("fine_tune", "embedding", True)
    assert second.learning_rate == ENCODER_FINE_TUNING.rate
    assert second.trainable_parameters > first.trainable_parameters
    told = {line.what: line.value for line in plans}
    assert "frozen up to embedding" in told["phase fine_tune"]
    # The tables compute nothing: what lies behind them is not stored, what goes into them is.
    assert told["phase fine_tune"].endswith("at 5e-05 of adamw, from cached inputs")
    assert "Devlin et al. 2019" in told["fine-tuning"]
    with run.history_path.open(encoding="utf-8", newline="") as file:
        losses = [float(row["loss"]) for row in csv.DictReader(file)]
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]
    assert manifest.metrics["test"]


def test_what_lies_between_blocks_is_planned_by_tokens_and_width(
    texts: Path, tiny_folder: Path, tmp_path: Path
) -> None:
    backbone = get_backbone(f"text:{tiny_folder}")
    model = build_model(backbone, labels=["bad", "good"], size=SIZE)
    phase = Phase("upper", "block_1", 1, 5e-5)
    with CacheStore(tmp_path) as store:
        plan = plan_fit(
            model, [phase], images=10, val=4, views=1, store=store, input_itemsizes=(4, 4, 4)
        )
    # float16 for each token and channel, and the mask as int32, which every block reads.
    assert plan.cache_bytes == (10 + 4) * (SIZE * MINIATURE.hidden_size * 2 + SIZE * 4)
    assert plan.phases[0].cut == "block_1"
