"""Where a model is cut, also where what follows the cut reads the model's own inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfxfer import (
    Augmentation,
    Cache,
    Control,
    ModelError,
    Phase,
    Stage,
    fit,
    load_samples,
)
from tfxfer.data.feed import SplitSource
from tfxfer.data.samples import SampleData
from tfxfer.frontier.cut import (
    ACTIVATIONS,
    cache_bytes,
    list_crossing,
    list_prefix_inputs,
    make_prefix,
    make_suffix,
    stage_shape,
)
from tfxfer.frontier.fill import Conversion, fill_frontiers
from tfxfer.frontier.litert import InterpreterPool, KerasRunner
from tfxfer.frontier.store import CacheStore
from tfxfer.inference.keras_model import save_model, wrap_model
from tfxfer.inference.scoring import score_split
from tfxfer.stages import attach_info, get_info

from .masked import CHANNELS, LENGTH, WORDS, ReadsIdsAgain, WeightedMask, Words, make_model

# Cached and uncached batches are the same samples; what differs is rounding, in another order.
EXACT = 1e-4


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> SampleData:
    """Texts of two to six words, labelled by how long they are."""
    from tfxfer_heads import Classification

    rng = np.random.default_rng(0)
    rows = []
    for number in range(120):
        words = rng.integers(1, WORDS, rng.integers(2, LENGTH + 1))
        label = "long" if len(words) > 4 else "short"
        part = ("train", "train", "train", "val", "test")[number % 5]
        rows.append(f"{' '.join(map(str, words))},{label},{part}")
    table = tmp_path_factory.mktemp("texts") / "texts.csv"
    table.write_text("\n".join(["text,label,split", *dict.fromkeys(rows)]))
    return load_samples(
        table, modality=Words(), size=LENGTH, contract=None, head=Classification(), strict=False
    )


@pytest.fixture(scope="module")
def model() -> Any:
    return make_model()


def read_plain(data: SampleData) -> dict[str, np.ndarray]:
    source = SplitSource(data.train)
    found = source.read(np.arange(len(source)), np.zeros(len(source), int))
    assert isinstance(found, dict)
    return found


def predict(model: Any, inputs: Sequence[np.ndarray]) -> np.ndarray:
    return np.asarray(model([np.asarray(values) for values in inputs], training=False))


def differ(first: np.ndarray, second: np.ndarray) -> float:
    assert first.shape == second.shape
    return float(np.abs(first - second).max())


def test_inputs_that_are_read_on_both_sides_are_listed(model: Any) -> None:
    assert [tensor.name for tensor in model.inputs] == ["ids", "mask"]
    crossing = {stage: list_crossing(model, stage) for stage in (None, "embedding", "block_2")}
    assert crossing == {None: (0, 1), "embedding": (1,), "block_2": (1,)}
    # Pooling is the last that could read it.
    assert list_crossing(model, "backbone") == ()
    assert list_prefix_inputs(model, ["embedding"]) == (0,)
    assert list_prefix_inputs(model, ["embedding", "block_1"]) == (0, 1)
    # What comes after the cut may have weights of its own on an input.
    assert list_crossing(make_model(ReadsIdsAgain), "block_1") == (0, 1)


def test_images_cross_nothing(make_tiny: Callable[..., Any]) -> None:
    tiny = make_tiny()
    stages = [stage.name for stage in get_info(tiny).stages]
    assert [list_crossing(tiny, stage) for stage in stages] == [()] * 5
    assert list_prefix_inputs(tiny, stages) == list_crossing(tiny, None) == (0,)


@pytest.mark.parametrize("stage", ["embedding", "block_1", "block_2", "backbone"])
def test_the_two_sides_of_a_cut_are_the_model(model: Any, texts: SampleData, stage: str) -> None:
    inputs = list(read_plain(texts).values())
    before = [inputs[position] for position in list_prefix_inputs(model, [stage])]
    ends = make_prefix(model, [stage])(before if len(before) > 1 else before[0], training=False)
    (end,) = ends if isinstance(ends, list) else [ends]
    suffix = make_suffix(model, stage)
    assert suffix.get_layer("head_dense") is model.get_layer("head_dense")
    assert not {"embedding", "block_1_conv"} & {layer.name for layer in suffix.layers} or (
        stage == "embedding"
    )
    crossing = [inputs[position] for position in list_crossing(model, stage)]
    given = [np.asarray(end), *crossing]
    found = np.asarray(suffix(given if crossing else given[0], training=False))
    expected = predict(model, inputs)
    assert differ(found, expected) < 1e-6
    if crossing:
        # The mask of another sample fails the same check.
        wrong = np.asarray(suffix([given[0], crossing[0][::-1]], training=False))
        assert differ(wrong, expected) > 1e-3


def test_a_layer_with_weights_on_both_sides_is_refused() -> None:
    weighted = make_model(WeightedMask)
    # Only before the first block it lies on one side.
    assert list_crossing(weighted, "embedding") == (1,)
    for stage in ("block_1", "block_2"):
        words = rf"stage '{stage}' to end at the only computed.*layer 'mask_dense' crosses, too"
        with pytest.raises(ModelError, match=words):
            list_crossing(weighted, stage)
        with pytest.raises(ModelError, match="mask_dense"):
            make_suffix(weighted, stage)


@pytest.mark.parametrize("use_litert", [True, False])
def test_inputs_that_cross_are_cached_beside_the_activations(
    model: Any, texts: SampleData, use_litert: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tfxfer.frontier import fill

    runners, make_runner = [], fill.make_runner

    def watch(*args: Any, **options: Any) -> Any:
        runners.append(make_runner(*args, **options))
        return runners[-1]

    monkeypatch.setattr(fill, "make_runner", watch)
    source = SplitSource(texts.train, augment="light")
    stages = [None, "embedding", "block_2", "backbone"]
    arrays = fill_frontiers(
        model, {"x": (source, 2)}, stages, CacheStore(), dtype="float32", use_litert=use_litert
    )["x"]
    assert [type(runner) for runner in runners] == [InterpreterPool if use_litert else KerasRunner]
    places, views = np.arange(len(source)), np.ones(len(source), int)
    plain = read_plain(texts)
    lossy = source.read(places, views)
    assert isinstance(lossy, dict)
    expected = predict(model, list(lossy.values()))
    assert differ(expected, predict(model, list(plain.values()))) > 1e-3
    for stage in stages:
        kept = arrays[stage]
        names = {None: ["ids", "mask"], "backbone": None}.get(stage, [ACTIVATIONS, "mask"])
        if names is None:
            assert isinstance(kept, np.ndarray)
            assert kept.shape == (len(source), 2, CHANNELS)
            inputs: Any = kept[:, 1]
        else:
            assert isinstance(kept, dict)
            assert list(kept) == names
            assert kept["mask"].shape == (len(source), 2, LENGTH)
            assert kept["mask"].dtype == np.uint8
            inputs = [values[:, 1] for values in kept.values()]
        suffix = make_suffix(model, stage)
        found = np.asarray(suffix(inputs, training=False))
        assert differ(found, expected) < EXACT
        if names is not None:
            # Another sample's mask, and this one's in another view, fail the same check.
            others = (kept["mask"][::-1, 1], kept["mask"][:, 0])
            for other in others:
                wrong = np.asarray(suffix([*inputs[:-1], other], training=False))
                assert differ(wrong, expected) > 10 * EXACT


def test_a_later_pass_needs_fewer_inputs(
    model: Any, texts: SampleData, conversions: list[int]
) -> None:
    source, conversion = SplitSource(texts.train), Conversion()

    def fill(*stages: str) -> dict[str | None, Any]:
        sources = {"x": (source, 1)}
        return fill_frontiers(model, sources, stages, CacheStore(), conversion=conversion)["x"]

    first = fill("block_2", "embedding")
    # The embedding alone reads no mask.
    later = fill("embedding")["embedding"]
    assert conversions == [2]
    for part, values in first["embedding"].items():
        np.testing.assert_array_equal(later[part], values)
    assert differ(later[ACTIVATIONS], first["block_2"][ACTIVATIONS]) > 1e-2


def test_bytes_are_what_the_arrays_of_several_inputs_take(model: Any, texts: SampleData) -> None:
    source, stages = SplitSource(texts.val), [None, "embedding", "block_1", "backbone"]
    assert source.itemsizes == (4, 1)
    arrays = fill_frontiers(model, {"x": (source, 3)}, stages, CacheStore())["x"]
    for stage in stages:
        kept = arrays[stage]
        taken = sum(x.nbytes for x in (kept.values() if isinstance(kept, dict) else [kept]))
        found = cache_bytes(
            model, [stage], images=len(source), views=3, input_itemsizes=source.itemsizes
        )
        assert found == taken
    assert stage_shape(model, "block_1") == (LENGTH, CHANNELS)


SCHEDULE = (
    Phase("head", "backbone", 1, 1e-3, views=1),
    Phase("upper", "block_2", 2, 2e-2, decay="constant", warmup=0),
    Phase("lower", "embedding", 3, 2e-2, decay="constant", warmup=0),
)


def train(data: Any, **options: Any) -> tuple[list[np.ndarray], Any]:
    model = make_model()
    settings: dict[str, Any] = {
        "schedule": SCHEDULE,
        "augment": Augmentation("light", views=3),
        "cache": Cache(dtype="float32"),
        "batch_size": 8,
        "seed": 3,
        "verbose": 0,
    }
    history = fit(model, data, **(settings | options))
    return model.get_weights(), history


def distance(first: list[np.ndarray], second: list[np.ndarray]) -> float:
    return max(differ(x, y) for x, y in zip(first, second, strict=True))


@pytest.fixture(scope="module")
def reference(texts: SampleData) -> list[np.ndarray]:
    weights, history = train(texts)
    assert all(record.cached for record in history.state.records)
    assert history.state.best_phase == "lower"
    return weights


def test_training_through_a_mask_moves_every_block(reference: list[np.ndarray]) -> None:
    before = make_model().get_weights()
    moved = [not np.array_equal(x, y) for x, y in zip(before, reference, strict=True)]
    # The embedding is frozen throughout; three kernels and biases, and the head's, are not.
    assert moved == [False, *[True] * 8]


@pytest.mark.parametrize("cache", [False, Cache(dtype="float32", use_litert=False)])
def test_training_without_the_cache_gives_the_same_weights(
    texts: SampleData, reference: list[np.ndarray], cache: Any
) -> None:
    found, history = train(texts, cache=cache)
    assert {record.cached for record in history.state.records} == {cache is not False}
    assert distance(found, reference) < EXACT


def test_masks_of_other_samples_give_other_weights(
    texts: SampleData, reference: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(*args: Any, **options: Any) -> Any:
        arrays = fill_frontiers(*args, **options)
        for kept in arrays["train"].values():
            if isinstance(kept, dict):
                kept["mask"][...] = np.array(kept["mask"][::-1])
        return arrays

    monkeypatch.setattr("tfxfer.training.activations.fill_frontiers", fill)
    assert distance(train(texts)[0], reference) > 10 * EXACT


def test_a_dataset_of_dicts_trains_as_its_samples_do(texts: SampleData) -> None:
    pair = tuple(part.dataset(batch_size=5) for part in (texts.train, texts.val))
    assert set(pair[0].element_spec[0]) == {"ids", "mask"}
    plain = train(texts, augment="none")[0]
    assert distance(train(pair, augment="none")[0], plain) < EXACT
    assert distance(train(pair, augment="none", seed=4)[0], plain) > 10 * EXACT


def test_a_training_of_two_inputs_goes_on_where_it_was_stopped(
    texts: SampleData, reference: list[np.ndarray]
) -> None:
    kept = []

    def keep(state: Any) -> None:
        kept.append((state, model.get_weights()))

    model = make_model()
    options: dict[str, Any] = {
        "augment": Augmentation("light", views=3),
        "cache": Cache(dtype="float32"),
        "batch_size": 8,
        "seed": 3,
        "verbose": 0,
    }
    fit(model, texts, schedule=SCHEDULE, control=Control(on_phase_end=keep), **options)
    state, weights = kept[0]
    model = make_model(seed=9)
    model.set_weights(weights)
    fit(model, texts, schedule=SCHEDULE, control=Control(state=state), **options)
    assert distance(model.get_weights(), reference) < EXACT


def test_a_model_of_two_inputs_scores_and_is_saved(
    model: Any, texts: SampleData, tmp_path: Path
) -> None:
    import keras

    inputs = read_plain(texts)
    expected = predict(model, list(inputs.values()))
    assert differ(score_split(wrap_model(model), texts.train), expected) < 1e-6
    save_model(model, tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    attach_info(loaded, get_info(model))
    assert differ(score_split(wrap_model(loaded), texts.train), expected) < 1e-6
    assert differ(score_split(wrap_model(make_model(seed=1)), texts.train), expected) > 1e-3


def test_the_suffix_goes_on_where_the_prefix_ends(
    make_tiny: Callable[..., Any], blobs: Callable[..., Any]
) -> None:
    model, pixels = make_tiny(), blobs(4, 3, seed=0)[0].astype(np.float32)
    assert make_suffix(model, None) is model
    for stage in ("stem", "block_1", "block_2", "block_3", "backbone"):
        suffix = make_suffix(model, stage)
        assert suffix.get_layer("head_dense") is model.get_layer("head_dense")
        scores = suffix(make_prefix(model, [stage])(pixels, training=False))
        np.testing.assert_allclose(scores, model(pixels), atol=1e-6)
        assert "stem_conv" not in {layer.name for layer in suffix.layers}


def test_a_stage_that_another_tensor_crosses_is_refused(
    tiny_backbone: Any, make_tiny: Callable[..., Any]
) -> None:
    crossed = type("Crossed", (tiny_backbone,), {"stages": (Stage("inside", "block_2_relu"),)})
    model = make_tiny(backbone=crossed())
    with pytest.raises(
        ModelError, match=r"stage 'inside'.*only computed tensor.*after the addition"
    ):
        make_suffix(model, "inside")


def test_bytes_are_what_the_arrays_take(make_tiny: Callable[..., Any], images: Any) -> None:
    model, store = make_tiny(), CacheStore()
    stages = ["backbone", "block_1", None, "block_3"]
    arrays = fill_frontiers(model, {"x": (SplitSource(images.val), 2)}, stages, store)["x"]
    assert arrays["block_1"].dtype == np.float16
    taken = sum(array.nbytes for array in arrays.values())
    assert cache_bytes(model, stages, images=12, views=2) == taken
    pixels = 12 * 2 * 32 * 32 * 3
    assert cache_bytes(model, [None], images=12, views=2, input_itemsizes=(4,)) == 4 * pixels
