from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tfxfer import evaluate, load_images, load_model
from tfxfer.job.plan_text import PlanLine
from tfxfer.job.prepare import prepare
from tfxfer.job.request import TrainRequest
from tfxfer.job.train import train_run
from tfxfer.stages import get_info


class Interrupted(BaseException):
    pass


def make_request(photos: Path, module: Path) -> TrainRequest:
    return TrainRequest(
        data=str(photos), backbone=f"hub:{module}", head_epochs=2, epochs=2, augment="none"
    )


def test_a_run_is_interrupted_resumed_and_read_without_its_module(
    photos: Path, network: Any, tmp_path: Path
) -> None:
    module, out = tmp_path / "module", tmp_path / "run"
    network.save(module, save_format="tf")
    request = make_request(photos, module)
    plan: list[PlanLine] = []

    import keras

    def stop(epoch: int, logs: Any) -> None:
        if epoch == 2:
            raise Interrupted

    with pytest.raises(Interrupted):
        train_run(
            prepare(request),
            out,
            callbacks=[keras.callbacks.LambdaCallback(on_epoch_begin=stop)],
            on_plan=plan.extend,
        )
    lines = {line.what: line.value for line in plan}
    assert lines["stages"] == "none inside the backbone: it trains as a whole"
    assert lines["phase head"].startswith("frozen up to backbone, 14 trainable")
    assert lines["phase head"].endswith("from cached activations")
    assert lines["phase fine_tune"].startswith("nothing frozen, 292 trainable")
    run = train_run(prepare(request), out, resume=True)
    document = json.loads((out / "run.json").read_text(encoding="utf-8"))
    assert [phase["name"] for phase in document["phases"]] == ["head", "fine_tune"]
    assert len(document["weights"]["sha256"]) == 64
    module.rename(tmp_path / "elsewhere")
    model = load_model(run.path)
    data = load_images(photos, head=get_info(model).head, image_size=32, split_file=run.split_path)
    measured = evaluate(model, data.test)["accuracy"]["value"]
    assert measured == pytest.approx(document["metrics"]["test"]["accuracy"]["value"])


def test_a_run_of_a_stranger_makes_no_request(monkeypatch: pytest.MonkeyPatch) -> None:
    import tensorflow as tf

    from tfxfer.registry.lookup import get_backbone
    from tfxfer_hub import backbone

    def refuse(*_: Any) -> None:
        raise AssertionError("opened")

    monkeypatch.setattr(backbone, "fetch_module", refuse)
    monkeypatch.setattr(tf.saved_model, "load", refuse)
    assert get_backbone("hub:https://localhost:1/module/1").stages == ()
