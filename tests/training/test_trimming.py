"""Batches cut to their longest sample give what whole ones give, and cost less."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfxfer import Augmentation, Cache, Phase, fit, load_samples
from tfxfer.data.samples import SampleData
from tfxfer.data.trimming import LENGTH_STEP, Trimming, fill_up
from tfxfer.errors import ContractError
from tfxfer.frontier.cut import (
    ACTIVATIONS,
    cache_bytes,
    find_trimming,
    input_shapes,
    list_crossing,
    stage_shape,
)
from tfxfer.frontier.fill import fill_frontiers
from tfxfer.frontier.store import CacheStore
from tfxfer.inference.embedding import embed
from tfxfer.inference.keras_model import wrap_model
from tfxfer.inference.scoring import evaluate, predict, score_split
from tfxfer.sample import InputSpec
from tfxfer.training.plan import plan_fit
from tfxfer.training.speeds import macs_share

from . import padded

# Sums over 16 or 64 places, of which the same few are not zero, in float32.
CLOSE = 1e-5
SIZE = padded.SIZE


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory) -> SampleData:
    table = padded.write_notes(tmp_path_factory.mktemp("notes"))
    return load_samples(table, modality=padded.Notes(), size=SIZE, contract=None)


@pytest.fixture(scope="module")
def model() -> Any:
    return padded.make_model()


def test_shapes_of_a_model_that_takes_any_length(model: Any) -> None:
    assert [tuple(tensor.shape) for tensor in model.inputs] == [(None, None)] * 2
    assert input_shapes(model) == ((SIZE,), (SIZE,))
    nodes = [len(layer._inbound_nodes) for layer in model.layers]
    assert stage_shape(model, "block_1") == (SIZE, padded.CHANNELS)
    assert stage_shape(model, "backbone") == (padded.CHANNELS,)
    assert stage_shape(model, None) == (SIZE,)
    assert [len(layer._inbound_nodes) for layer in model.layers] == nodes
    taken = cache_bytes(model, ["block_1"], images=3, views=2, input_itemsizes=(4, 4))
    assert taken == 3 * 2 * (2 * SIZE * padded.CHANNELS + 4 * SIZE)


def test_what_is_cut_at_each_frontier(model: Any) -> None:
    inputs = find_trimming(model, None, is_cached=False)
    assert inputs == find_trimming(model, "block_1", is_cached=False)
    assert inputs == find_trimming(model, None, is_cached=True)
    assert inputs is not None
    assert inputs.padded == {"ids", "mask"}
    block = find_trimming(model, "block_1", is_cached=True)
    assert block is not None
    assert (block.names, block.padded) == ((ACTIVATIONS, "mask"), {ACTIVATIONS, "mask"})
    assert find_trimming(model, "backbone", is_cached=True) is None
    assert list_crossing(model, "backbone") == ()


def test_a_batch_is_cut_to_its_longest_sample() -> None:
    trimming = Trimming.of_inputs(padded.Notes(), padded.Notes().list_inputs(SIZE, None))
    assert trimming is not None
    mask = np.zeros((3, SIZE), np.int32)
    for longest, span in ((1, 16), (16, 16), (17, 32), (60, 64), (64, 64)):
        mask[1, :longest] = 1
        cut = trimming.trim({"ids": mask + 1, "mask": mask})
        assert isinstance(cut, dict)
        assert {x.shape for x in cut.values()} == {(3, span)}
        whole = fill_up(cut, padded.Notes().list_inputs(SIZE, None))
        assert isinstance(whole, dict)
        np.testing.assert_array_equal(whole["mask"], mask)
    assert trimming.trim({"ids": mask})["ids"].shape == (3, SIZE)  # nothing tells
    assert Trimming.of_inputs(padded.Notes(), {"x": InputSpec((3,))}) is None
    unlike = {"x": InputSpec((3,), is_padded=True), "y": InputSpec((4,), is_padded=True)}
    with pytest.raises(ContractError, match="one length"):
        Trimming.of_inputs(padded.Notes(), unlike)


UPPER = Phase("upper", "block_1", 2, 2e-2, decay="constant", warmup=0)
SCHEDULE = (UPPER, Phase("all", None, 1, 2e-2, decay="constant", warmup=0))


def train(data: Any, backbone: Any = padded.Mixing, **options: Any) -> list[np.ndarray]:
    model = padded.make_model(backbone)
    settings: dict[str, Any] = {
        "schedule": SCHEDULE,
        "augment": Augmentation("light", views=3),
        "cache": Cache(dtype="float32", use_litert=False),
        "batch_size": 8,
        "seed": 3,
        "verbose": 0,
    }
    fit(model, data, **(settings | options))
    return model.get_weights()


def distance(first: list[np.ndarray], second: list[np.ndarray]) -> float:
    return max(float(np.abs(x - y).max()) for x, y in zip(first, second, strict=True))


@pytest.fixture(scope="module")
def cut(notes: SampleData) -> tuple[list[np.ndarray], list[int]]:
    """Weights of a training, and the lengths of what it took from the cache."""
    spans: list[int] = []
    find = Trimming.find_span

    def watch(self: Trimming, arrays: Any) -> int:
        spans.append(find(self, arrays))
        return spans[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trimming, "find_span", watch)
        return train(notes), spans


@pytest.fixture
def uncut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(padded.Notes, "count_used", lambda self, inputs: None)


def test_training_takes_short_batches_of_a_few_lengths(
    cut: tuple[list[np.ndarray], list[int]],
) -> None:
    assert set(cut[1]) <= {16, 32, 48, 64}
    assert len(set(cut[1])) > 1
    assert np.mean(cut[1]) < 0.6 * SIZE


def test_whole_batches_give_the_same_weights(
    notes: SampleData, cut: tuple[list[np.ndarray], list[int]], uncut: None
) -> None:
    assert distance(train(notes), cut[0]) < CLOSE


def test_training_without_the_cache_gives_the_same_weights(
    notes: SampleData, cut: tuple[list[np.ndarray], list[int]]
) -> None:
    assert distance(train(notes, cache=False), cut[0]) < CLOSE


def test_epochs_of_a_single_batch_train(notes: SampleData) -> None:
    few = dataclasses.replace(notes, val=notes.val.select(np.arange(len(notes.val)) < 3))
    schedule = (dataclasses.replace(UPPER, epochs=3),)
    found = train(few, schedule=schedule, batch_size=96)
    uncached = train(few, schedule=schedule, batch_size=96, cache=False)
    assert distance(found, uncached) < CLOSE
    assert distance(found, padded.make_model().get_weights()) > 10 * CLOSE


def test_another_order_gives_other_weights(
    notes: SampleData, cut: tuple[list[np.ndarray], list[int]]
) -> None:
    assert distance(train(notes, seed=4), cut[0]) > 10 * CLOSE


def test_a_network_that_heeds_no_mask_shows_that_it_is_cut(
    notes: SampleData, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = train(notes, padded.Heedless, schedule=(UPPER,))
    monkeypatch.setattr(padded.Notes, "count_used", lambda self, inputs: None)
    whole = train(notes, padded.Heedless, schedule=(UPPER,))
    assert distance(whole, short) > 10 * CLOSE


def test_a_dataset_of_short_batches_trains_as_its_samples_do(notes: SampleData) -> None:
    pair = tuple(part.dataset(batch_size=5) for part in (notes.train, notes.val))
    lengths = {batch[0]["ids"].shape[1] for batch in pair[0]}
    assert len(lengths) > 1
    options: dict[str, Any] = {"augment": "none", "schedule": (UPPER,)}
    # The order is other: the samples' own batches are of like length.
    plain = dataclasses.replace(notes, train=dataclasses.replace(notes.train, lengths=None))
    assert distance(train(pair, **options), train(plain, **options)) < CLOSE


def test_a_shuffled_dataset_has_batches_of_like_length(notes: SampleData) -> None:
    def widths(data: Any) -> list[int]:
        return [int(batch[0]["mask"].numpy().sum(axis=1).max()) for batch in data]

    like = notes.train.dataset(batch_size=8, shuffle=True)
    unlike = dataclasses.replace(notes.train, lengths=None).dataset(batch_size=8, shuffle=True)
    assert np.mean(widths(like)) < 0.8 * np.mean(widths(unlike))
    assert sum(len(batch[1]) for batch in like) == len(notes.train)


def test_scores_come_in_the_samples_order(
    model: Any, notes: SampleData, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor, split = wrap_model(model), notes.train
    found = score_split(predictor, split)
    one_by_one = np.concatenate(
        [
            predictor.score({k: v[:, 0] for k, v in split.read_views([i]).items()})
            for i in range(len(split))
        ]
    )
    assert np.abs(found - one_by_one).max() < CLOSE
    assert np.abs(found - one_by_one[::-1]).max() > 10 * CLOSE
    heedless = wrap_model(padded.make_model(padded.Heedless))
    short = score_split(heedless, split)
    monkeypatch.setattr(padded.Notes, "count_used", lambda self, inputs: None)
    assert np.abs(score_split(heedless, split) - short).max() > 10 * CLOSE
    assert np.abs(score_split(predictor, split) - found).max() < CLOSE


def test_short_batches_are_predicted_and_evaluated(model: Any, notes: SampleData) -> None:
    data = notes.test.dataset(batch_size=5)
    scores = score_split(wrap_model(model), notes.test)
    answers = predict(model, data)
    assert [x["scores"]["low"] for x in answers] == pytest.approx(scores[:, 1].tolist(), abs=CLOSE)
    assert evaluate(model, data)["accuracy"] == evaluate(model, notes.test)["accuracy"]


def test_embeddings_average_what_a_sample_has(model: Any, notes: SampleData) -> None:
    found = embed(model, notes.test, stage="embedding", use_litert=False)
    table = model.get_layer("embedding").get_weights()[0]
    inputs = {k: v[:, 0] for k, v in notes.test.read_views(np.arange(len(notes.test))).items()}
    for row, ids, mask in zip(found, inputs["ids"], inputs["mask"], strict=True):
        np.testing.assert_allclose(row, table[ids[mask > 0]].mean(axis=0), atol=1e-6)
    assert np.abs(found - table[inputs["ids"]].mean(axis=1)).max() > 1e-3


def test_caches_filled_by_litert_equal_those_of_keras(model: Any, notes: SampleData) -> None:
    from tfxfer.data.feed import SplitSource

    sources = {"train": (SplitSource(notes.val), 1)}
    arrays = [
        fill_frontiers(model, sources, ["block_1"], CacheStore(), dtype="float32", use_litert=x)
        for x in (True, False)
    ]
    one, other = (each["train"]["block_1"] for each in arrays)
    assert one[ACTIVATIONS].shape == (len(notes.val), 1, SIZE, padded.CHANNELS)
    np.testing.assert_allclose(one[ACTIVATIONS], other[ACTIVATIONS], atol=CLOSE)


def test_a_size_that_the_samples_settle(tmp_path: Path) -> None:
    table = padded.write_notes(tmp_path, longest=20)
    options: dict[str, Any] = {"modality": padded.Notes(), "size": SIZE, "contract": None}
    data = load_samples(table, **options, least_size=4)
    train_lengths = data.train.lengths
    assert train_lengths is not None
    assert data.train.size == data.val.size == data.test.size == train_lengths.max() < SIZE
    assert load_samples(table, **options).train.size == SIZE
    assert load_samples(table, **options, least_size=40).train.size == 40
    picture = data.audit.lengths
    assert picture is not None
    assert (picture.size, picture.samples, picture.unit) == (data.train.size, 96, "words")
    assert picture.describe("notes") in data.audit.notes
    assert LENGTH_STEP == 16


def test_shares_of_a_network_of_any_length_are_those_of_whole_samples(model: Any) -> None:
    # By hand: no vector of the table is multiplied; three dense layers on all words, and the head.
    channels = padded.CHANNELS
    block, head = channels * channels * SIZE, channels * model.output.shape[-1]
    shares = macs_share(model)
    assert shares["embedding"] == pytest.approx(1)
    assert shares["block_1"] == pytest.approx((2 * block + head) / (3 * block + head))
    assert shares["backbone"] == pytest.approx(head / (3 * block + head))


def test_behind_a_table_of_vectors_its_inputs_are_cached(model: Any) -> None:
    phases = [Phase(name, name, 1, 1e-3) for name in ("block_1", "embedding")]
    with CacheStore(memory_bytes=2**30) as store:
        block, table = (
            plan_fit(
                model, [phase], images=10, views=1, store=store, input_itemsizes=(4, 4)
            )
            for phase in phases
        )  # fmt: skip
    # Twelve bytes a word behind the table, with the mask; eight before it.
    assert (table.phases[0].stage, table.phases[0].cut) == ("embedding", None)
    assert table.cache_bytes == 10 * SIZE * 2 * 4
    assert table.views_per_stage() == {None: 1}
    # Behind a block, which computes something: float16 and the mask.
    assert (block.phases[0].stage, block.phases[0].cut) == ("block_1", "block_1")
    assert block.cache_bytes == 10 * SIZE * (padded.CHANNELS * 2 + 4)


def test_a_table_in_front_of_the_frontier_stays_as_it_is(notes: SampleData) -> None:
    before, schedule = padded.make_model(), [Phase("upper", "embedding", 1, 2e-2)]
    model = padded.make_model()
    fit(model, notes, schedule=schedule, batch_size=8, augment="none", verbose=0)
    moved = {
        layer.name: any(
            not np.array_equal(x, y)
            for x, y in zip(
                layer.get_weights(), model.get_layer(layer.name).get_weights(), strict=True
            )
        )
        for layer in before.layers
        if layer.weights
    }
    assert not moved.pop("embedding")
    assert moved["block_1_dense"]
    assert moved["block_3_dense"]
