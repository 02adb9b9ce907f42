from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tfxfer.data import Record
from tfxfer.data.samples import SampleSplit
from tfxfer.errors import ContractError, DataError, ImageError, UsageError
from tfxfer.images.decode import open_image, resize_image
from tfxfer.images.modality import PIXELS, ImageModality
from tfxfer.preprocessing import Preprocessing, Resize
from tfxfer.sample import InputSpec, Sample

IMAGES = ImageModality()


@pytest.fixture
def sample(photo: Image.Image, tmp_path: Path) -> Sample:
    photo.save(tmp_path / "x.png")
    return Sample("x.png", tmp_path / "x.png")


def read(sample: Sample, contract: Preprocessing | None = None, **options: Any) -> np.ndarray:
    return IMAGES.read(sample, size=24, contract=contract or Preprocessing(), **options)


def test_the_plain_view_is_resized_as_the_contract_says(sample: Sample) -> None:
    assert sample.path is not None
    for fit in ("stretch", "crop", "pad"):
        resize = Resize(fit=fit)
        found = read(sample, Preprocessing(resize=resize))
        expected = resize_image(open_image(sample.path), 24, resize)
        assert found.shape == (1, 24, 24, 3)
        assert found.dtype == np.uint8
        assert np.array_equal(found[0], expected)
    # The photo is no square: another way to make one of it gives other pixels.
    assert not np.array_equal(found, read(sample))


def test_views_follow_from_the_seed_the_sample_and_their_numbers(sample: Sample) -> None:
    plain = read(sample)
    views = read(sample, views=(0, 3, 3, 4), level="light")
    assert np.array_equal(views[0], plain[0])
    assert np.array_equal(views[1], views[2])
    assert not np.array_equal(views[1], views[3])
    for other in ({"seed": 1}, {"index": 1}):
        assert not np.array_equal(read(sample, views=(3,), level="light", **other), views[1:2])


def test_mirroring_is_an_option(sample: Sample) -> None:
    settings: Any = {"views": tuple(range(1, 9)), "level": "light"}
    by_default = read(sample, **settings)
    assert np.array_equal(read(sample, **settings, options={"flip": True}), by_default)
    assert not np.array_equal(read(sample, **settings, options={"flip": False}), by_default)


def test_what_is_no_image_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"x")
    with pytest.raises(ImageError, match=r"x\.png"):
        read(Sample("x.png", tmp_path / "x.png"))
    with pytest.raises(DataError, match=r"image 't.csv:2': expected a file"):
        read(Sample("t.csv:2", content="a text"))


def test_a_resize_without_antialiasing_sees_the_whole_photo(
    tmp_path: Path, photo: Image.Image
) -> None:
    photo.resize((1600, 1200)).save(tmp_path / "x.jpg", quality=95)
    resize = Resize(antialias=False)
    split = SampleSplit(
        name="test",
        root=tmp_path,
        records=(Record("x.jpg", "a"),),
        labels=("a", "b"),
        targets=np.eye(2, dtype=np.float32)[:1],
        modality=IMAGES,
        size=64,
        contract=Preprocessing(resize=resize),
    )
    full = resize_image(open_image(tmp_path / "x.jpg"), 64, resize)
    assert np.array_equal(split.read_views([0])[0, 0], full)
    reduced = resize_image(open_image(tmp_path / "x.jpg", min_side_px=64), 64, resize)
    assert not np.array_equal(reduced, full)


def test_the_input_is_a_square_of_pixels_stored_as_bytes() -> None:
    assert IMAGES.list_inputs(48, Preprocessing()) == {
        PIXELS: InputSpec((48, 48, 3), dtype="float32", stored="uint8")
    }


def test_the_first_layer_rescales_as_the_contract_says(photo: Image.Image) -> None:
    import keras

    pixels = np.asarray(photo.resize((8, 8)), np.float32)[None]
    three = Preprocessing.from_mean_std(mean=(124, 116, 104), std=(58, 57, 56))
    for contract in (Preprocessing.from_mean_std(mean=127.5, std=127.5), three):
        output = IMAGES.build_inputs(8, contract)
        (given,) = keras.utils.get_source_inputs(output)
        model = keras.Model(given, output)
        assert (given.name, given.shape) == (PIXELS, (None, 8, 8, 3))
        assert [layer.name for layer in model.layers] == [PIXELS, "rescale_pixels"]
        found = np.asarray(model(pixels))
        np.testing.assert_allclose(found, contract.apply(pixels), atol=1e-5)
        assert np.abs(found[..., ::-1] - contract.apply(pixels)).max() > 0.01


def test_the_contract_is_a_preprocessing_and_goes_round_through_data() -> None:
    contract = Preprocessing.from_mean_std(mean=(124, 116, 104), std=(58, 57, 56))
    IMAGES.check_contract(contract)
    assert IMAGES.read_contract(contract.to_dict()) == contract
    for wrong in (None, {"vocabulary": "words.txt"}, contract.to_dict()):
        with pytest.raises(ContractError, match=r"expected a tfxfer\.Preprocessing"):
            IMAGES.check_contract(wrong)


def test_what_is_ignored_is_explained() -> None:
    assert IMAGES.explain_ignored(".txt") == IMAGES.explain_ignored("") == "not an image"


def test_a_photo_is_told_from_others(sample: Sample, tmp_path: Path) -> None:
    found = IMAGES.inspect(sample)
    assert found.fault is None
    assert found.doubts == ()
    assert len(found.sha256) == 64
    with Image.open(tmp_path / "x.png") as image:
        image.save(tmp_path / "same.bmp")
        image.resize((200, 133)).save(tmp_path / "small.png")
    same, small = (
        IMAGES.inspect(Sample(name, tmp_path / name)) for name in ("same.bmp", "small.png")
    )
    # Other bytes, the same pixels; a smaller copy is found by its sketch alone.
    assert same.sha256 != found.sha256
    assert same.identity == found.identity
    assert small.identity != found.identity
    assert found.sketch is not None
    assert small.sketch is not None
    groups = IMAGES.find_copies([found.sketch, 255 - found.sketch, small.sketch])
    assert groups.tolist() == [0, 1, 0]
    (tmp_path / "empty.jpg").touch()
    fault = IMAGES.inspect(Sample("empty.jpg", tmp_path / "empty.jpg")).fault
    assert fault is not None
    assert fault[0] == "empty"


def test_levels_and_options_are_checked() -> None:
    assert IMAGES.complete_options("light", {}) == {"flip": True}
    assert IMAGES.complete_options("none", {"flip": False}) == {"flip": False}
    with pytest.raises(UsageError, match="level='extreme'"):
        IMAGES.complete_options("extreme", {})
    with pytest.raises(UsageError, match="among: flip"):
        IMAGES.complete_options("light", {"spin": True})


def test_a_command_line_names_files(sample: Sample) -> None:
    (found,) = IMAGES.parse_samples([str(sample.path)])
    assert (found.name, found.path) == (str(sample.path), sample.path)
    with pytest.raises(DataError, match=r"image '.*gone\.jpg': expected a file"):
        IMAGES.parse_samples([str(sample.path), "gone.jpg"])


def test_a_hurried_training_may_take_smaller_images() -> None:
    assert IMAGES.list_smaller_sizes(224) == (192, 160, 128)
    assert IMAGES.list_smaller_sizes(240) == (224, 192, 160, 128)
    assert IMAGES.list_smaller_sizes(97) == (96,)
    assert IMAGES.list_smaller_sizes(96) == ()


def test_a_grey_contract_takes_how_bright_pixels_are(sample: Sample) -> None:
    grey = Preprocessing.from_mean_std(mean=0.0, std=255.0, grey=True)
    assert IMAGES.list_inputs(24, grey)[PIXELS].shape == (24, 24, 1)
    views = read(sample, grey, views=(0, 1), level="light")
    colours = read(sample, views=(0, 1), level="light")
    assert views.shape == (2, 24, 24, 1)
    for view, colour in zip(views, colours, strict=True):
        expected = np.asarray(Image.fromarray(colour).convert("L"))
        np.testing.assert_array_equal(view[..., 0], expected)
