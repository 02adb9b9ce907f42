from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfxfer.images.decode import open_image
from tfxfer.preprocessing import Preprocessing, Resize
from tfxfer_edge.proof.contract import diagnose_contract
from tfxfer_edge.proof.parity import check_parity
from tfxfer_edge.tflite.flatbuffer import read_model, write_model
from tfxfer_edge.tflite.interpreter import TFLiteModel

from .. import photo_classifier as photos
from .photo_files import content_of, write_file


def reverse_channels(content: bytes) -> bytes:
    """Returns the file with blue first: what a model trained on BGR is when nobody says so."""
    model = read_model(content)
    for tensor in model.subgraphs[0].tensors:
        data = model.buffers[tensor.buffer].data
        shape = [] if tensor.shape is None else list(tensor.shape)
        if data is not None and shape == [6, 48]:
            values = np.asarray(data, np.uint8).view(np.float32).reshape(6, 16, 3)
            model.buffers[tensor.buffer].data = (
                np.ascontiguousarray(values[..., ::-1]).ravel().view(np.uint8)
            )
            return write_model(model)
    raise AssertionError("no weights of shape (6, 48)")


WRONG = {
    "0..1 for -1..1": lambda: (photos.float_core(), photos.ZERO_TO_ONE, {}),
    "-1..1 for 0..1": lambda: (
        photos.float_core(photos.ZERO_TO_ONE),
        photos.MINUS_ONE_TO_ONE,
        {"preprocessing": photos.ZERO_TO_ONE},
    ),
    "no rescale: pixels reach the model as 0..255, it was trained on -1..1": lambda: (
        photos.float_core(),
        None,
        {},
    ),
    "no rescale: pixels reach the model as 0..255, it was trained on 0..1": lambda: (
        photos.float_core(photos.ZERO_TO_ONE),
        None,
        {"preprocessing": photos.ZERO_TO_ONE},
    ),
    "double rescale: the file makes pixels -1..1": lambda: (
        photos.float_in_graph(),
        photos.MINUS_ONE_TO_ONE,
        {},
    ),
    "double rescale: the graph rescales pixels to -1..1 twice": lambda: (
        photos.convert(photos.build(rescales=2)),
        None,
        {},
    ),
    "BGR for RGB": lambda: (reverse_channels(photos.float_in_graph()), None, {}),
}


# Far from each other, as those of satellites' bands are.
STRONG = Preprocessing.from_mean_std(mean=(160.0, 120.0, 60.0), std=(80.0, 50.0, 30.0))
STRONG_REVERSED = Preprocessing.from_mean_std(mean=(60.0, 120.0, 160.0), std=(30.0, 50.0, 80.0))
IMAGENET = Preprocessing.from_mean_std(mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375))
CAFFE = Preprocessing.from_mean_std(mean=(123.68, 116.779, 103.939), std=1.0)
WRONG |= {
    "-1..1 for ImageNet's mean and std": lambda: (
        photos.float_core(IMAGENET),
        photos.MINUS_ONE_TO_ONE,
        {"preprocessing": IMAGENET},
    ),
    "ImageNet's mean and std for -1..1": lambda: (photos.float_core(), IMAGENET, {}),
    "no rescale: pixels reach the model as 0..255, it was trained on ImageNet's mean and std": (
        lambda: (photos.float_core(IMAGENET), None, {"preprocessing": IMAGENET})
    ),
    "no rescale: pixels reach the model as 0..255, it was trained on ImageNet's mean alone": (
        lambda: (photos.float_core(CAFFE), None, {"preprocessing": CAFFE})
    ),
    "double rescale: the file makes pixels ImageNet's mean and std": lambda: (
        photos.convert(photos.build(preprocessing=IMAGENET)),
        IMAGENET,
        {"preprocessing": IMAGENET},
    ),
    "mean and std in the order of BGR": lambda: (
        photos.float_core(STRONG),
        STRONG_REVERSED,
        {"preprocessing": STRONG},
    ),
}


@pytest.mark.parametrize("wanted", WRONG)
def test_a_wrong_contract_is_named(wanted: str, tmp_path: Path) -> None:
    content, stated, truth = WRONG[wanted]()
    path = write_file(tmp_path, content, stated)
    found = check_parity(photos.predictor(**truth), path, photos.FILES, mediapipe=False)
    assert found.contract is not None
    assert found.contract.startswith(wanted), found.contract
    assert found.interpreter.largest > 0.1


@pytest.mark.parametrize("resize", [Resize(fit="crop"), Resize(fit="pad")])
def test_another_resize_is_named(resize: Resize, tmp_path: Path) -> None:
    path = write_file(tmp_path, photos.float_in_graph(), resize=resize)
    files = []
    for number, file in enumerate(photos.FILES):
        # Between two others: what is cropped or padded sees another picture.
        row = [open_image(photos.FILES[(number + step) % 6]) for step in (1, 0, 2)]
        wide = np.concatenate([np.asarray(x.resize((200, 200))) for x in row], axis=1)
        files.append(tmp_path / f"{file.stem}.png")
        Image.fromarray(wide).save(files[-1])
    model = TFLiteModel(path)
    line = diagnose_contract(photos.predictor(), model, files)
    wanted = f"another resize: the file says {resize.fit}, bilinear, the model wants stretch"
    assert line is not None
    assert line.startswith(wanted)
    # Trained that way, nothing is wrong with it.
    assert diagnose_contract(photos.predictor(resize=resize), model, files) is None


def test_what_is_right_is_not_called_wrong(tmp_path: Path) -> None:
    for name in ("in_graph", "core", "uint8"):
        path = write_file(tmp_path, *content_of(name))
        assert diagnose_contract(photos.predictor(), TFLiteModel(path), photos.FILES) is None


def test_broken_weights_are_no_contract(tmp_path: Path) -> None:
    model = photos.build(activation="softmax", rescales=0)
    kernel, bias = model.get_layer("scores").get_weights()
    shuffled = np.random.default_rng(0).permutation(kernel.ravel()).reshape(kernel.shape)
    model.get_layer("scores").set_weights([shuffled, bias])
    try:
        path = write_file(tmp_path, photos.convert(model), photos.MINUS_ONE_TO_ONE)
    finally:
        model.get_layer("scores").set_weights([kernel, bias])
    found = check_parity(photos.predictor(), path, photos.FILES, mediapipe=False)
    assert found.interpreter.top1 is not None
    assert found.interpreter.top1 < 0.7
    assert found.interpreter.largest > 0.5
    assert found.contract is None
