"""Another project's Keras settings are told before any work, with what they came from."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tfxfer.errors import SetupError
from tfxfer.system.keras_settings import (
    check_keras_settings,
    find_misfits,
    list_settings,
    locate_keras_home,
    read_keras_config,
)

FILE = "/home/me/.keras/keras.json"


def look(
    config: dict[str, str], *, has_jax: bool = True, platform: str = "linux", **variables: str
) -> list[tuple[str, str]]:
    settings = list_settings(variables, config, path=FILE)
    found = find_misfits(settings, has_jax=has_jax, platform=platform)
    return [(misfit.what, misfit.remedy) for misfit in found]


@pytest.mark.parametrize(
    ("config", "variables", "what", "remedy"),
    [
        (
            {"backend": "torch"},
            {},
            f"{FILE}: expected the backend tensorflow or jax. Received: torch.",
            "export KERAS_BACKEND=tensorflow",
        ),
        (
            {"backend": "jax"},
            {"KERAS_BACKEND": "mxnet"},
            "KERAS_BACKEND: expected the backend tensorflow or jax. Received: mxnet.",
            "export KERAS_BACKEND=tensorflow",
        ),
        (
            {"image_data_format": "channels_first"},
            {},
            f"{FILE}: expected image_data_format channels_last. Received: channels_first.",
            f'rm "{FILE}"',
        ),
        (
            {"floatx": "float16"},
            {},
            f"{FILE}: expected floatx float32. Received: float16.",
            f'rm "{FILE}"',
        ),
        (
            {},
            {"KERAS_MAX_EPOCHS": "1"},
            "KERAS_MAX_EPOCHS: expected no max_epochs, which ends every training early. "
            "Received: 1.",
            "unset KERAS_MAX_EPOCHS",
        ),
    ],
)
def test_a_misfit_names_where_it_comes_from(
    config: dict[str, str], variables: dict[str, str], what: str, remedy: str
) -> None:
    assert look(config, **variables) == [(what, remedy)]


def test_what_fits_is_let_through() -> None:
    usual = {"image_data_format": "channels_last", "floatx": "float32", "epsilon": "1e-07"}
    for backend in ("tensorflow", "jax"):
        assert look(usual | {"backend": backend}) == []
        assert look({"backend": "torch"}, KERAS_BACKEND=backend) == []
    assert look({}) == []
    assert look({}, KERAS_BACKEND="") == []  # which Keras takes for unset
    assert look({"max_epochs": "1"}) == []  # which Keras reads from the environment alone


def test_jax_must_be_there() -> None:
    assert [remedy for _, remedy in look({}, has_jax=False, KERAS_BACKEND="jax")] == [
        "pip install jax"
    ]


def test_remedies_are_those_of_the_system() -> None:
    broken = {"backend": "torch", "floatx": "float16"}
    remedies = [r for _, r in look(broken, platform="win32", KERAS_MAX_EPOCHS="1")]
    assert remedies == ["set KERAS_BACKEND=tensorflow", f'del "{FILE}"', "set KERAS_MAX_EPOCHS="]


def test_keras_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert locate_keras_home({}) == tmp_path / ".keras"
    assert locate_keras_home({"KERAS_HOME": "~/elsewhere"}) == tmp_path / "elsewhere"


@pytest.mark.parametrize("text", ["{", "[]", '"x"', ""])
def test_a_file_that_keras_cannot_read_says_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "keras.json"
    assert read_keras_config(path) == {}
    path.write_text(text, encoding="utf-8")
    assert read_keras_config(path) == {}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("KERAS_BACKEND", "KERAS_MAX_EPOCHS", "KERAS_MAX_STEPS_PER_EPOCH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    return tmp_path


def test_a_running_keras_is_asked_and_the_file_it_did_not_read_is_not(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import keras

    (home / "keras.json").write_text('{"floatx": "float16"}', encoding="utf-8")
    check_keras_settings()  # Keras is float32, whatever the file says now
    before = keras.config.floatx()
    try:
        keras.config.set_floatx("float16")
        with pytest.raises(SetupError, match=r"keras\.json: expected floatx float32") as caught:
            check_keras_settings()
        assert f'rm "{home / "keras.json"}" Or leave the file' in str(caught.value)
        assert caught.value.remedy == f'rm "{home / "keras.json"}"'
        (home / "keras.json").unlink()
        with pytest.raises(SetupError) as caught:
            check_keras_settings()
        assert str(caught.value) == (
            "keras.config: expected floatx float32. Received: float16. "
            "keras.config.set_floatx('float32')"
        )
    finally:
        keras.config.set_floatx(before)
    check_keras_settings()


def test_every_python_door_asks(
    home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import keras

    import tfxfer
    import tfxfer_edge

    monkeypatch.setattr(keras.config, "image_data_format", lambda: "channels_first")
    doors: dict[str, Any] = {
        "build_model": lambda: tfxfer.build_model("nothing", labels=[]),
        "fit": lambda: tfxfer.fit(None, None),  # type: ignore[arg-type]
        "evaluate": lambda: tfxfer.evaluate(None, None),  # type: ignore[arg-type]
        "predict": lambda: tfxfer.predict(None, []),  # type: ignore[arg-type]
        "embed": lambda: tfxfer.embed(None, []),  # type: ignore[arg-type]
        "load_model": lambda: tfxfer.load_model(tmp_path),
        "convert": lambda: tfxfer_edge.convert(None, recipe="float32"),
        "freeze": lambda: tfxfer_edge.freeze(None),
        "export": lambda: tfxfer_edge.export(tmp_path),
    }
    for door in doors.values():
        with pytest.raises(SetupError, match=r"channels_last. Received: channels_first"):
            door()


def run_child(
    code: str, home: Path, *words: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    kept = {x: v for x, v in os.environ.items() if not x.startswith("KERAS_")}
    return subprocess.run(
        [sys.executable, "-c", code, *words],
        env={**kept, "KERAS_HOME": str(home), **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def run_commands(lines: list[list[str]], home: Path, **variables: str) -> list[list[Any]]:
    """Returns exit code, heavy modules and stderr of each command line, all in one process."""
    done = run_child(RUN, home, json.dumps(lines), **variables)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


# One command line after another: starting Python for each would take longer than all they do.
RUN = """
import io, json, sys
from tfxfer.cli.main import run

for arguments in json.loads(sys.argv[1]):
    sys.stderr = io.StringIO()
    code = run(arguments)
    heavy = sorted({"keras", "tensorflow"} & set(sys.modules))
    print(json.dumps([code, heavy, sys.stderr.getvalue()]), flush=True)
"""
COMMANDS = {
    "train": ["train", "gone", "--backbone", "efficientnet_lite0", "--out", "run"],
    "evaluate": ["evaluate", "run", "gone"],
    "predict": ["predict", "run", "gone.png"],
    "export": ["export", "run"],
    "gap": ["gap", "gone"],
    "check": ["plugin", "check", "classification"],
}


@pytest.mark.parametrize(
    ("config", "variables", "what"),
    [
        ({"backend": "torch"}, {}, "keras.json: expected the backend tensorflow or jax"),
        ({}, {"KERAS_BACKEND": "nonsense"}, "KERAS_BACKEND: expected the backend"),
        ({"image_data_format": "channels_first"}, {}, "expected image_data_format channels_last"),
        ({"floatx": "float16"}, {}, "keras.json: expected floatx float32"),
    ],
)
def test_commands_say_it_before_tensorflow_starts(
    tmp_path: Path, config: dict[str, str], variables: dict[str, str], what: str
) -> None:
    (tmp_path / "keras.json").write_text(json.dumps(config), encoding="utf-8")
    (tmp_path / "run").mkdir()
    lines = [
        [str(tmp_path / x) if x == "run" else x for x in arguments]
        for arguments in COMMANDS.values()
    ]
    answers = run_commands(lines, tmp_path, **variables)
    for name, (code, heavy, stderr) in zip(COMMANDS, answers, strict=True):
        assert (code, heavy) == (1, []), name
        (line,) = stderr.strip().splitlines()
        assert line.startswith("error: "), name
        assert what in line, name


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_commands_go_on_with_what_fits(tmp_path: Path, backend: str) -> None:
    settings = {"floatx": "float32", "image_data_format": "channels_last", "backend": "torch"}
    (tmp_path / "keras.json").write_text(json.dumps(settings), encoding="utf-8")
    ((code, heavy, stderr),) = run_commands([COMMANDS["train"]], tmp_path, KERAS_BACKEND=backend)
    assert (code, heavy) == (1, [])
    assert "data 'gone'" in stderr


def test_a_keras_that_does_not_start_is_explained(tmp_path: Path) -> None:
    for package, name in (("tfxfer", "build_model"), ("tfxfer_edge", "export")):
        done = run_child(f"from {package} import {name}", tmp_path, KERAS_BACKEND="nonsense")
        assert done.returncode == 1
        assert done.stderr.strip().splitlines()[-1] == (
            "tfxfer.errors.SetupError: KERAS_BACKEND: expected the backend tensorflow or jax. "
            "Received: nonsense. export KERAS_BACKEND=tensorflow"
        )
