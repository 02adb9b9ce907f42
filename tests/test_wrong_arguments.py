"""What cannot be meant, at every public name: an error of ours in one line, never a raw one."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import tfxfer
from tfxfer import TfxferError

PHASE = {"name": "p", "stage": None, "epochs": 1, "learning_rate": 1e-3}


def make_unbuilt() -> Any:
    import keras

    return keras.Sequential([keras.layers.Dense(2)])


def make_foreign() -> Any:
    import keras

    layers = [keras.Input((32, 32, 3)), keras.layers.Flatten(), keras.layers.Dense(3)]
    return keras.Sequential(layers)


KINDS: dict[str, Callable[[], Any]] = {
    "None": lambda: None,
    "a text": lambda: "photos/",
    "a path": lambda: Path("gone"),
    "a negative number": lambda: -1,
    "a fraction": lambda: 0.5,
    "True": lambda: True,
    "a list of objects": lambda: [object()],
    "an object": object,
    "an array": lambda: np.zeros((2, 3)),
    "a class": lambda: SimpleNamespace,
    "an unbuilt model": make_unbuilt,
    "a model of somebody's": make_foreign,
}

Call = Callable[[Any, SimpleNamespace], Any]

# Each argument with the kinds that it takes; `ours` has a model, its samples and a backbone.
ARGUMENTS: dict[str, tuple[Call, set[str]]] = {
    "build_model(backbone)": (lambda x, _: tfxfer.build_model(x, labels=["a", "b"]), set()),
    "build_model(labels)": (lambda x, ours: ours.build(labels=x), set()),
    "build_model(head)": (lambda x, ours: ours.build(head=x), {"None"}),
    "build_model(size)": (lambda x, ours: ours.build(size=x), {"None"}),
    "build_model(weights)": (lambda x, ours: ours.build(weights=x), {"None"}),
    "build_model(seed)": (lambda x, ours: ours.build(seed=x), set()),
    "freeze_to(model)": (lambda x, _: tfxfer.freeze_to(x, "backbone"), set()),
    "freeze_to(stage)": (
        lambda x, ours: tfxfer.freeze_to(ours.model, x),
        {"None", "a fraction"},
    ),
    "fit(model)": (lambda x, ours: tfxfer.fit(x, ours.data), set()),
    "fit(data)": (lambda x, ours: tfxfer.fit(ours.model, x), set()),
    "fit(pair)": (lambda x, ours: tfxfer.fit(ours.model, (x, x)), set()),
    "fit(schedule)": (lambda x, ours: ours.fit(schedule=x), {"None"}),
    "fit(callbacks)": (lambda x, ours: ours.fit(callbacks=x), {"None"}),
    "fit(batch_size)": (lambda x, ours: ours.fit(batch_size=x), set()),
    "fit(augment)": (lambda x, ours: ours.fit(augment=x), {"None"}),
    "fit(balance)": (lambda x, ours: ours.fit(balance=x), set()),
    "fit(seed)": (lambda x, ours: ours.fit(seed=x), set()),
    "fit(cache)": (lambda x, ours: ours.fit(cache=x), {"True"}),
    "fit(device)": (lambda x, ours: ours.fit(device=x), {"None"}),
    "fit(control)": (lambda x, ours: ours.fit(control=x), {"None"}),
    "evaluate(model)": (lambda x, ours: tfxfer.evaluate(x, ours.data.test), set()),
    "evaluate(data)": (lambda x, ours: tfxfer.evaluate(ours.model, x), set()),
    "evaluate(seed)": (
        lambda x, ours: tfxfer.evaluate(ours.model, ours.data.test, seed=x),
        set(),
    ),
    "predict(model)": (lambda x, ours: tfxfer.predict(x, ours.data.test), set()),
    "predict(samples)": (lambda x, ours: tfxfer.predict(ours.model, x), set()),
    "predict(labels)": (
        lambda x, ours: tfxfer.predict(ours.file, ours.data.test, labels=x),
        set(),
    ),
    "predict(head)": (
        lambda x, ours: tfxfer.predict(ours.file, ours.data.test, labels=ours.labels, head=x),
        {"None"},
    ),
    "embed(model)": (lambda x, ours: tfxfer.embed(x, ours.data.test), set()),
    "embed(data)": (lambda x, ours: tfxfer.embed(ours.model, x), set()),
    "embed(stage)": (
        lambda x, ours: tfxfer.embed(ours.model, ours.data.test, stage=x),
        {"a fraction"},
    ),
    "load_model(path)": (lambda x, _: tfxfer.load_model(x), set()),
    "load_run(path)": (lambda x, _: tfxfer.load_run(x), set()),
    "RunDirectory(path)": (lambda x, _: tfxfer.RunDirectory(x), {"a text", "a path"}),
    "load_images(path)": (lambda x, _: tfxfer.load_images(x), set()),
    "load_images(head)": (lambda x, ours: ours.load(head=x), {"None"}),
    "load_images(image_size)": (lambda x, ours: ours.load(image_size=x), set()),
    "load_images(resize)": (lambda x, ours: ours.load(resize=x), {"None"}),
    "load_images(seed)": (lambda x, ours: ours.load(seed=x), set()),
    "load_images(fractions)": (lambda x, ours: ours.load(fractions=x), set()),
    "load_images(labels)": (lambda x, ours: ours.load(labels=x), {"None"}),
    "load_images(split_file)": (lambda x, ours: ours.load(split_file=x), {"None"}),
    "load_samples(path)": (lambda x, ours: ours.load_samples(path=x), set()),
    "load_samples(modality)": (lambda x, ours: ours.load_samples(modality=x), set()),
    "load_samples(contract)": (lambda x, ours: ours.load_samples(contract=x), set()),
    "get_backbone(name)": (lambda x, _: tfxfer.get_backbone(x), set()),
    "get_head(name)": (lambda x, _: tfxfer.get_head(x), {"None"}),
    "get_head(options)": (lambda x, _: tfxfer.get_head(options=x), {"None"}),
    "get_modality(name)": (lambda x, _: tfxfer.get_modality(x), set()),
    "two_phase(epochs)": (lambda x, _: tfxfer.two_phase(epochs=x), set()),
    "two_phase(rate)": (lambda x, _: tfxfer.two_phase(rate=x), {"a fraction"}),
    "two_phase(unfreeze_from)": (
        lambda x, _: tfxfer.two_phase(unfreeze_from=x),
        {"None", "a fraction", "a text"},
    ),
    "progressive(steps)": (lambda x, _: tfxfer.progressive(steps=x), set()),
    "from_scratch(epochs)": (lambda x, _: tfxfer.from_scratch(epochs=x), set()),
    "Phase(stage)": (
        lambda x, _: tfxfer.Phase(**(PHASE | {"stage": x})),
        {"None", "a fraction", "a text"},
    ),
    "Phase(decay)": (lambda x, _: tfxfer.Phase(**(PHASE | {"decay": x})), set()),
    "Phase(patience)": (lambda x, _: tfxfer.Phase(**(PHASE | {"patience": x})), {"None"}),
    "Augmentation(views)": (lambda x, _: tfxfer.Augmentation(views=x), {"None"}),
    "Augmentation(options)": (lambda x, _: tfxfer.Augmentation(options=x), set()),
    "Cache(dtype)": (lambda x, _: tfxfer.Cache(dtype=x), set()),
    "Preprocessing(scale)": (
        lambda x, _: tfxfer.Preprocessing(scale=x),
        {"a fraction", "a negative number"},
    ),
    "Resize(fit)": (lambda x, _: tfxfer.Resize(fit=x), set()),
    "measure_gap(model)": (lambda x, ours: tfxfer.measure_gap(x, ours.data), set()),
    "measure_gap(data)": (lambda x, ours: tfxfer.measure_gap(ours.model, x), set()),
    "measure_gap(images)": (
        lambda x, ours: tfxfer.measure_gap(ours.model, ours.data, images=x),
        set(),
    ),
    "measure_gap(seed)": (
        lambda x, ours: tfxfer.measure_gap(ours.model, ours.data, seed=x),
        set(),
    ),
    "compare_sets(model)": (lambda x, ours: tfxfer.compare_sets(x, ours.data, ours.data), set()),
    "compare_sets(a)": (lambda x, ours: tfxfer.compare_sets(ours.model, x, ours.data), set()),
    "compare_sets(b)": (lambda x, ours: tfxfer.compare_sets(ours.model, ours.data, x), set()),
    "compare_sets(images)": (
        lambda x, ours: tfxfer.compare_sets(ours.model, ours.data, ours.data, images=x),
        set(),
    ),
    "compare_sets(seed)": (
        lambda x, ours: tfxfer.compare_sets(ours.model, ours.data, ours.data, seed=x),
        set(),
    ),
    "explain(model)": (lambda x, ours: tfxfer.explain(x, ours.data.test), set()),
    "explain(samples)": (lambda x, ours: tfxfer.explain(ours.model, x), set()),
    "explain(stage)": (lambda x, ours: ours.explain(stage=x), {"None"}),
    "explain(label)": (lambda x, ours: ours.explain(label=x), {"None"}),
    "explain(method)": (lambda x, ours: ours.explain(method=x), {"None"}),
    "explain(labels)": (
        lambda x, ours: tfxfer.explain(ours.file, ours.data.test, labels=x),
        set(),
    ),
    "find_label_errors(model)": (lambda x, ours: tfxfer.find_label_errors(x, ours.data), set()),
    "find_label_errors(data)": (lambda x, ours: tfxfer.find_label_errors(ours.model, x), set()),
    "find_label_errors(seed)": (
        lambda x, ours: tfxfer.find_label_errors(ours.model, ours.data, seed=x),
        set(),
    ),
    "calibrate(model)": (lambda x, ours: tfxfer.calibrate(x, ours.data.val), set()),
    "calibrate(data)": (lambda x, ours: tfxfer.calibrate(ours.model, x), set()),
    "calibrate(seed)": (
        lambda x, ours: tfxfer.calibrate(ours.model, ours.data.val, seed=x),
        set(),
    ),
    "Watch(on_collapse)": (lambda x, _: tfxfer.Watch(x), set()),
    "Watch(validation)": (lambda x, _: tfxfer.Watch(validation=x), {"None"}),
    "Watch(pair)": (lambda x, _: tfxfer.Watch(validation=(x, x)), {"an array"}),
    "Watch(groups)": (
        lambda x, ours: tfxfer.Watch(validation=ours.data.val, groups=x),
        {"None"},
    ),
    "Watch(tell)": (
        lambda x, _: tfxfer.Watch(tell=x),
        {"a class", "an unbuilt model", "a model of somebody's"},  # can be called
    ),
}

# These only store what they are given, or are to be subclassed.
STORE = {
    "ApplicationBackbone", "Backbone", "ClosedForm", "Control", "Demo", "DemoSamples", "Findings",
    "FineTuning", "Head", "InputSpec", "Losses", "Modality", "Monitor", "Part", "Picture",
    "Prediction", "Registry", "Sample", "Stage", "Tempering", "Weights",
}  # fmt: skip


@pytest.fixture(scope="module")
def ours(
    make_tiny: Callable[..., Any],
    images: Any,
    tiny_backbone: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> SimpleNamespace:
    model, root = make_tiny(), images.test.root
    file = tmp_path_factory.mktemp("models") / "somewhere.keras"
    model.save(file)
    head = tfxfer.get_head("classification")
    build = {"labels": ["a", "b"], "weights": None, "head": head}
    samples = {
        "path": root,
        "modality": tfxfer.get_modality("image"),
        "size": 32,
        "contract": tfxfer.Preprocessing(),
        "head": head,
    }
    return SimpleNamespace(
        model=model,
        file=file,
        labels=images.labels,
        data=images,
        build=lambda **other: tfxfer.build_model(tiny_backbone(), **(build | other)),
        explain=lambda **other: tfxfer.explain(model, images.test, **other),
        fit=lambda **other: tfxfer.fit(model, images, **({"verbose": 0} | other)),
        load=lambda **other: tfxfer.load_images(root, **({"image_size": 32} | other)),
        load_samples=lambda **other: tfxfer.load_samples(**(samples | other)),
    )


def test_every_public_function_is_tried() -> None:
    tried = {name.partition("(")[0] for name in ARGUMENTS}
    public = {name for name in tfxfer.__all__ if callable(getattr(tfxfer, name))}
    errors = {
        name
        for name in public
        if inspect.isclass(getattr(tfxfer, name)) and issubclass(getattr(tfxfer, name), Exception)
    }
    assert tried | STORE == public - errors
    assert not tried & STORE
    assert all(kinds <= set(KINDS) for _, kinds in ARGUMENTS.values())


@pytest.mark.parametrize("argument", sorted(ARGUMENTS))
def test_an_argument_of_the_wrong_kind_is_refused_in_our_words(
    argument: str, ours: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    call, fine = ARGUMENTS[argument]
    failures = []
    for kind, make in KINDS.items():
        if kind in fine:
            continue
        try:
            call(make(), ours)
        except TfxferError as error:
            if not str(error) or "object at 0x" in str(error):
                failures.append(f"{kind}: {error}")
        except Exception as error:  # noqa: BLE001 - a raw one is what is looked for
            failures.append(f"{kind}: raw {type(error).__name__}: {error}")
        else:
            failures.append(f"{kind}: let through")
    assert failures == []


def test_public_functions_name_the_model_they_take() -> None:
    names = (
        "build_model",
        "embed",
        "evaluate",
        "explain",
        "fit",
        "freeze_to",
        "load_model",
        "predict",
    )
    for name in names:
        signature = inspect.signature(getattr(tfxfer, name))
        hints = [str(x.annotation) for x in signature.parameters.values() if x.name == "model"]
        hints += [str(signature.return_annotation)] * (name in ("build_model", "load_model"))
        assert hints, name
        assert all("keras.Model" in hint for hint in hints), name
