from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tfxfer import Preprocessing
from tfxfer.errors import DataError, ModelError, UsageError
from tfxfer_edge import Converted, FrozenGraph, convert, freeze
from tfxfer_edge.tflite.flatbuffer import list_operators, tensor_table
from tfxfer_edge.tflite.runtime import load_interpreter

Photos = Callable[..., np.ndarray]
Run = Callable[[Converted, np.ndarray], np.ndarray]
ENGINES = ("quantizer", "converter")
INTEGER_BODY = [
    "CONV_2D",
    "DEPTHWISE_CONV_2D",
    "CONV_2D",
    "ADD",
    "MEAN",
    "FULLY_CONNECTED",
    "SOFTMAX",
]


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    """Returns the mean cosine of centred scores: equal scores for all images would be 0."""
    one, other = one - other.mean(axis=0), other - other.mean(axis=0)
    norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return float(((one * other).sum(axis=1) / np.maximum(norms, 1e-9)).mean())


@pytest.fixture(scope="module")
def int8(small_graph: FrozenGraph, photos: Photos) -> dict[str, Converted]:
    """The small model in int8, by engine."""
    pixels = photos(24)
    return {
        name: convert(small_graph, recipe="int8", calibration=pixels, engine=name)
        for name in ENGINES
    }


@pytest.fixture(scope="module")
def squeeze_excite(photos: Photos, settled: Callable[..., Any]) -> FrozenGraph:
    """MobileNetV3 small at 64 px: hard-swish and squeeze-excite, random weights."""
    keras.utils.set_random_seed(0)
    model = keras.applications.MobileNetV3Small((64, 64, 3), weights=None, classes=5)
    # Random scores are all alike; a trained head's are not.
    logits = model.get_layer("logits").kernel
    logits.assign(logits * 6)
    return freeze(settled(model, photos(32, seed=9)), preprocessing="in_graph")


def test_float32_is_keras(small: Any, small_graph: FrozenGraph, photos: Photos, run: Run) -> None:
    made = convert(small_graph, recipe="float32")
    pixels = photos(8, seed=1)
    expected = np.asarray(small(pixels.astype(np.float32), training=False))
    np.testing.assert_allclose(run(made, pixels), expected, atol=1e-4)
    # The control: a model whose stem is one percent larger.
    stem = small.get_layer("stem_conv").kernel
    before = np.array(stem)
    stem.assign(before * 1.01)
    other = np.asarray(small(pixels.astype(np.float32), training=False))
    stem.assign(before)
    assert np.abs(run(made, pixels) - other).max() > 1e-4
    assert (made.engine, made.input_dtype, made.input_quantization) == (
        "converter",
        "float32",
        None,
    )
    assert list_operators(made.content) == INTEGER_BODY


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("recipe", "tolerance"), [("float16", 5e-3), ("dynamic_w8", 5e-2)])
def test_fewer_bits_for_weights(
    small_graph: FrozenGraph,
    photos: Photos,
    run: Run,
    engine: Any,
    recipe: str,
    tolerance: float,
) -> None:
    made = convert(small_graph, recipe=recipe, engine=engine)
    pixels = photos(8, seed=1)
    np.testing.assert_allclose(run(made, pixels), small_graph.run(pixels), atol=tolerance)
    assert (made.engine, made.recipe.name) == (engine, recipe)
    assert made.input_dtype == made.output_dtype == "float32"
    wanted = {"float16": "float16", "dynamic_w8": "int8"}[recipe]
    if engine == "converter" and recipe == "dynamic_w8":
        return  # it leaves weights of less than 1,024 numbers as they are
    assert wanted in {row.dtype for row in tensor_table(made.content) if row.is_constant}


@pytest.mark.parametrize("engine", ENGINES)
def test_int8_agrees_with_float(
    int8: dict[str, Converted], small_graph: FrozenGraph, photos: Photos, run: Run, engine: str
) -> None:
    pixels = photos(40, seed=1)
    expected, found = small_graph.run(pixels), run(int8[engine], pixels)
    assert (found.argmax(axis=1) == expected.argmax(axis=1)).mean() >= 0.9
    assert cosine(found, expected) >= 0.98


@pytest.mark.parametrize("engine", ENGINES)
def test_a_wrong_contract_does_not_agree(
    make_small: Callable[..., Any], photos: Photos, run: Run, engine: Any
) -> None:
    # The control of the test above: 0..1 where the network was trained on -1..1.
    core, pixels = make_small(None), photos(40, seed=1)
    right = Preprocessing.from_mean_std(mean=127.5, std=127.5)
    expected = np.asarray(core(right.apply(pixels), training=False))
    scores = {}
    for name, preprocessing in {
        "right": right,
        "wrong": Preprocessing.from_mean_std(mean=0, std=255),
    }.items():
        made = convert(core, calibration=photos(24), preprocessing=preprocessing, engine=engine)
        scores[name] = run(made, pixels)
    # `make_small(None)` settled on 0..255: both are far from training, but only one is the same.
    assert np.abs(scores["right"] - expected).max() < 0.05
    assert cosine(scores["wrong"], expected) < 0.9


@pytest.mark.parametrize("engine", ENGINES)
def test_int8_has_only_what_it_needs(int8: dict[str, Converted], engine: str) -> None:
    made = int8[engine]
    # No MUL or ADD for pixels, batch norm folded, softmax stays, one QUANTIZE at each end.
    assert list_operators(made.content) == ["QUANTIZE", *INTEGER_BODY, "QUANTIZE"]
    assert made.input_dtype == made.output_dtype == "uint8"
    assert made.output_quantization == pytest.approx((1 / 256, 0))
    kernels = [
        row
        for row in tensor_table(made.content)
        if row.is_constant and row.dtype == "int8" and len(row.shape) == 4
    ]
    assert {len(row.scale) for row in kernels} == {16}, "one scale for each channel"


@pytest.mark.parametrize("engine", ENGINES)
def test_the_input_is_within_half_a_step(int8: dict[str, Converted], engine: str) -> None:
    scale, zero = int8[engine].input_quantization or (0, 0)
    for pixel in (0, 255):
        assert abs(scale * (pixel - zero) - (pixel / 127.5 - 1)) <= 0.501 * scale


@pytest.mark.parametrize("engine", ENGINES)
def test_dark_photos_keep_the_full_range(
    small_graph: FrozenGraph, int8: dict[str, Converted], photos: Photos, engine: Any
) -> None:
    made = convert(small_graph, calibration=photos(12) // 8, engine=engine)
    assert made.input_quantization == pytest.approx(int8[engine].input_quantization)


@pytest.mark.parametrize("engine", ENGINES)
def test_per_channel_pixels_cost_one_mul_and_one_add(
    make_small: Callable[..., Any], photos: Photos, run: Run, engine: Any
) -> None:
    contract = Preprocessing.from_mean_std(mean=(124, 116, 104), std=(58, 57, 60))
    model = make_small(list(contract.scale), list(contract.offset))
    graph = freeze(model, preprocessing="in_graph")
    made = convert(graph, calibration=photos(24), engine=engine)
    operators = list_operators(made.content)
    assert operators.count("MUL") <= 1
    assert operators.count("ADD") + operators.count("SUB") <= 1 + 1  # the block's own
    assert (operators[0], operators[-1]) == ("QUANTIZE", "QUANTIZE")
    assert operators.count("QUANTIZE") == 2
    assert made.input_quantization == pytest.approx((1.0, 0))
    assert made.preprocessing is not None
    assert made.preprocessing.mean == pytest.approx(contract.mean)
    pixels = photos(40, seed=1)
    assert cosine(run(made, pixels), graph.run(pixels)) >= 0.97


@pytest.mark.parametrize("engine", ENGINES)
def test_int16x8_is_closer_than_int8(
    small_graph: FrozenGraph, int8: dict[str, Converted], photos: Photos, run: Run, engine: Any
) -> None:
    made = convert(small_graph, recipe="int16x8", calibration=photos(24), engine=engine)
    pixels = photos(16, seed=1)
    assert list_operators(made.content) == ["QUANTIZE", *INTEGER_BODY, "DEQUANTIZE"]
    assert made.input_dtype == made.output_dtype == "float32"
    expected = small_graph.run(pixels)
    errors = [np.abs(run(x, pixels) - expected).mean() for x in (made, int8[engine])]
    assert errors[0] < errors[1]


def test_int16x8_of_hard_swish_is_one_line_of_each_engine(
    squeeze_excite: FrozenGraph, photos: Photos
) -> None:
    with pytest.raises(ModelError) as caught:
        convert(squeeze_excite, recipe="int16x8", calibration=photos(12))
    first, *lines = str(caught.value).splitlines()
    assert "int16x8" in first
    assert [line.split(":")[0].strip() for line in lines] == [f"engine {x}" for x in ENGINES]
    assert all("HARD_SWISH" in line for line in lines)


def test_int8_selective_keeps_the_worst_layers_float(
    squeeze_excite: FrozenGraph, photos: Photos, run: Run
) -> None:
    calibration, pixels = photos(24), photos(24, seed=1)
    made, plain = (
        convert(squeeze_excite, recipe=name, calibration=calibration)
        for name in ("int8_selective", "int8")
    )
    assert made.kept_float
    assert set(made.kept_float) <= {*squeeze_excite.layers, "scores"}
    assert made.input_dtype == made.output_dtype == "uint8"
    assert any("stay float" in note for note in made.notes)
    expected = squeeze_excite.run(pixels)
    errors = [np.square(run(x, pixels) - expected).sum() for x in (made, plain)]
    assert errors[0] < 0.7 * errors[1]
    half = convert(squeeze_excite, recipe="float16")
    assert len(made.content) <= 0.6 * len(half.content)
    operators = list_operators(made.content)
    assert (operators[0], operators[-1]) == ("QUANTIZE", "QUANTIZE")


def test_the_next_engine_is_tried_and_the_first_is_noted(
    small_graph: FrozenGraph, photos: Photos, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tfxfer_edge.conversion.engines import quantizer
    from tfxfer_edge.conversion.quantized import ConversionError

    def fail(*_: Any) -> Any:
        raise ConversionError("engine quantizer: not today.")

    monkeypatch.setattr(quantizer, "calibrate", fail)
    made = convert(small_graph, calibration=photos(12))
    assert made.engine == "converter"
    assert made.notes == ("engine quantizer: not today.",)
    with pytest.raises(ModelError, match="not today"):
        convert(small_graph, calibration=photos(12), engine="quantizer")


def test_an_input_off_by_more_than_half_a_step_is_refused(
    small_graph: FrozenGraph, photos: Photos, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FrozenGraph, "input_range", (-1.0, 0.5))
    with pytest.raises(ModelError, match="half a step"):
        convert(small_graph, calibration=photos(12), engine="quantizer")


def test_a_free_batch_runs_at_any_size(small: Any, photos: Photos) -> None:
    made = convert(small, calibration=photos(12), preprocessing="in_graph", dynamic_batch=True)
    assert made.input_shape == (None, 64, 64, 3)
    pixels = photos(3, seed=1)
    interpreter = load_interpreter(made.content)
    detail = interpreter.get_input_details()[0]
    assert detail["shape_signature"].tolist() == [-1, 64, 64, 3]
    single = []
    for image in pixels:
        interpreter.set_tensor(detail["index"], image[None])
        interpreter.invoke()
        single.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0])
    interpreter.resize_tensor_input(detail["index"], pixels.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(detail["index"], pixels)
    interpreter.invoke()
    together = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    np.testing.assert_array_equal(together, np.stack(single))


@pytest.mark.parametrize("recipe", ["int8", "int16x8", "int8_selective"])
def test_no_images_is_never_noise(small_graph: FrozenGraph, recipe: str) -> None:
    with pytest.raises(UsageError, match="calibration"):
        convert(small_graph, recipe=recipe)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x[:0], "at least one"),
        (lambda x: x[:, :32], r"\(64, 64, 3\)"),
        (lambda x: x / 255.0, "divided by 255"),
        (lambda x: x / 127.5 - 1, "0..255"),
        (lambda x: x * np.nan, "0..255"),
        (lambda x: np.full_like(x, 7), "one value"),
        (lambda x: iter(()), "at least one"),
        (lambda x: x.astype(str), "dtype"),
    ],
)
def test_images_that_are_none(
    small_graph: FrozenGraph, photos: Photos, change: Callable[..., Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        convert(small_graph, calibration=change(photos(12)))


def test_few_images_are_noted(small_graph: FrozenGraph, photos: Photos) -> None:
    pixels = photos(4)
    pixels[0] = 9
    made = convert(small_graph, calibration=pixels)
    assert len(made.notes) == 2
    assert "1 of 4 images are of one value" in made.notes[0]
    assert "4 images are few" in made.notes[1]


def test_calibration_may_be_batches_with_targets(
    small_graph: FrozenGraph, photos: Photos, int8: dict[str, Converted]
) -> None:
    def batches() -> Iterator[Any]:
        for part in np.split(photos(24), 4):
            yield part.astype(np.float32), np.zeros(6)

    assert convert(small_graph, calibration=batches()).content == int8["quantizer"].content


def test_equal_inputs_make_equal_files(
    small_graph: FrozenGraph, photos: Photos, int8: dict[str, Converted]
) -> None:
    assert convert(small_graph, calibration=photos(24)).content == int8["quantizer"].content


def test_unknown_names_are_refused(small_graph: FrozenGraph) -> None:
    with pytest.raises(UsageError, match="'int8'"):
        convert(small_graph, recipe="int9")
    with pytest.raises(UsageError, match="quantizer, converter"):
        convert(small_graph, engine="toco")  # type: ignore[arg-type]


def test_saving_is_all_or_nothing(int8: dict[str, Converted], tmp_path: Path) -> None:
    made = int8["quantizer"]
    path = tmp_path / f"model{made.suffix}"
    made.save(path)
    assert path.read_bytes() == made.content
    assert [file.name for file in tmp_path.iterdir()] == ["model.tflite"]


def test_grey_images_and_one_channel(photos: Photos, run: Run) -> None:
    keras.utils.set_random_seed(0)
    pixels = keras.Input((32, 32, 1))
    x = keras.layers.Conv2D(4, 3, strides=2, activation="relu")(pixels)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(pixels, keras.layers.Dense(3, activation="sigmoid")(x))
    made = convert(
        model,
        calibration=photos(12, side_px=32)[..., :1],
        preprocessing=Preprocessing.from_mean_std(mean=0, std=255),
    )
    assert made.input_quantization == pytest.approx((1 / 255, 0))
    with pytest.raises(ModelError, match="3 channels"):
        freeze(model, preprocessing=Preprocessing.from_mean_std(mean=(1, 2, 3), std=1))
