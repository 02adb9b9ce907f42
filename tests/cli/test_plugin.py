"""`tfxfer plugin`: a new plugin in one line, and the kit for people without pytest."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest

from tfxfer.cli.main import run
from tfxfer.registry.lookup import Registry
from tfxfer.testing import BACKBONE_CHECKS

Install = Callable[..., None]
BAD = (
    "raises_at_import",
    "hangs_at_import",
    "missing_dependency",
    "newer_contract",
    "claims_taken_name_a",
    "claims_taken_name_b",
    "returns_nonsense",
)


def call(*args: str) -> tuple[int, dict[str, Any]]:
    """Runs `tfxfer plugin … --json`; returns its code and its document."""
    stdout = io.StringIO()
    code = run(["plugin", *args, "--json"], stdout=stdout, registry=Registry())
    document: dict[str, Any] = json.loads(stdout.getvalue())
    return code, document


def outcomes(document: dict[str, Any]) -> dict[str, str]:
    return {item["name"]: item["outcome"] for item in document["checks"]}


def test_check_of_a_good_plugin_beside_all_bad_ones(install_doubles: Install) -> None:
    install_doubles("good_backbone", *BAD)
    code, document = call("check", "double_tiny")
    found = outcomes(document)
    assert {name: outcome for name, outcome in found.items() if outcome != "passed"} == {
        "weights_sha256": "not_applicable"
    }
    assert list(found) == [item.name for item in BACKBONE_CHECKS]
    assert (code, document["ok"]) == (0, True)
    assert {key: document[key] for key in ("name", "kind", "distribution", "version")} == {
        "name": "double_tiny",
        "kind": "backbone",
        "distribution": "tfxfer-double-good-backbone",
        "version": "1.0",
    }
    bad = ("raises", "hangs", "missing", "newer", "claims", "returns")
    assert not [name for name in sys.modules if name.startswith(tuple(f"double_{x}" for x in bad))]


def test_a_plugin_whose_build_is_nonsense_fails_its_check_and_the_gate(
    install_doubles: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    install_doubles("returns_nonsense")
    code, document = call("check", "double_nonsense")
    assert (code, document["ok"]) == (3, False)
    assert [n for n, outcome in outcomes(document).items() if outcome == "failed"] == ["builds"]
    assert document["error"]["type"] == "GateError"
    assert "--waive builds=" in document["error"]["message"]
    (failed,) = [item for item in document["checks"] if item["outcome"] == "failed"]
    assert "build returned str, not a Keras tensor" in failed["message"]
    assert set(failed) == {"name", "outcome", "message", "seconds", "description"}

    code, document = call("check", "double_nonsense", "--waive", "builds=a word is enough")
    assert (code, document["ok"]) == (0, True)
    assert outcomes(document)["builds"] == "waived"

    stdout = io.StringIO()
    assert run(["plugin", "check", "double_nonsense"], stdout=stdout, registry=Registry()) == 3
    lines = [line.split() for line in stdout.getvalue().splitlines()]
    assert ["passed", "metadata", "0.0", "s"] in lines
    assert [line[0] for line in lines if line[1] == "builds"] == ["failed"]
    assert lines[-1][:3] == ["backbone", "double_nonsense", "[tfxfer-double-returns-nonsense"]
    assert "build returned str" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("folders", "name", "words"),
    [
        (["raises_at_import"], "double_raises", "this double cannot be imported"),
        (["hangs_at_import"], "double_hangs", "its import did not end within 3 s"),
        (["missing_dependency"], "double_needy", "It needs 'no_such_module_anywhere'"),
        (["newer_contract"], "double_newer", "Upgrade tfxfer: pip install 'tfxfer"),
        (["claims_taken_name_a", "claims_taken_name_b"], "double_taken", "pip uninstall"),
    ],
)
def test_a_plugin_that_does_not_load_is_told_and_not_checked(
    folders: list[str], name: str, words: str, install_doubles: Install
) -> None:
    install_doubles(*folders)
    limit = "3s" if name == "double_hangs" else "60s"
    code, document = call("check", name, "--timeout", limit)
    assert code == 1
    assert words in document["error"]["message"]
    assert "checks" not in document


def test_names_that_have_no_kit(install_doubles: Install) -> None:
    install_doubles("commands", "good_backbone")
    code, document = call("check", "double_tinny")
    assert (code, document["error"]["type"]) == (1, "UnknownPluginError")
    assert "Did you mean 'double_tiny'?" in document["error"]["message"]
    code, document = call("check", "double-hello")
    assert (code, document["error"]["type"]) == (2, "UsageError")
    assert (
        "expected a backbone, a head or a modality, which have a kit"
        in document["error"]["message"]
    )


def test_options_that_do_not_fit(install_doubles: Install) -> None:
    install_doubles("good_backbone", "good_head")
    code, document = call("check", "double_softmax", "--image-size", "32")
    assert (code, document["error"]["type"]) == (2, "UsageError")
    assert "for backbones only" in document["error"]["message"]
    for waiver, words in (("flat", "expected a reason"), ("flta=x", "name of a check")):
        code, document = call("check", "double_tiny", "--waive", waiver)
        assert (code, document["error"]["type"]) == (2, "UsageError")
        assert words in document["error"]["message"]


def test_a_name_that_is_both_needs_its_kind() -> None:
    (point,) = entry_points(group="tfxfer.heads", name="classification")
    twin = type(point)(point.name, point.value, "tfxfer.backbones")
    stdout = io.StringIO()
    code = run(
        ["plugin", "check", "classification", "--json"],
        stdout=stdout,
        registry=Registry([point, twin]),
    )
    assert code == 2
    assert "expected --kind" in json.loads(stdout.getvalue())["error"]["message"]


def test_new_writes_a_distribution_and_says_what_comes_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    code, document = call("new", "tfxfer-mynet")
    assert code == 0
    assert (document["kind"], document["name"]) == ("backbone", "mynet")
    assert (document["distribution"], document["module"]) == ("tfxfer-mynet", "tfxfer_mynet")
    assert all((tmp_path / "tfxfer-mynet" / name).is_file() for name in document["files"])
    assert document["next"] == ["cd tfxfer-mynet", "pip install -e .", "tfxfer plugin check mynet"]
    assert "  pip install -e ." in capsys.readouterr().err
    code, document = call("new", "tfxfer-mynet")
    assert code == 2
    assert "expected one that is new or empty" in document["error"]["message"]
    out = tmp_path / "elsewhere" / "head"
    code, document = call("new", "counter", "--kind", "head", "--out", str(out))
    assert (code, document["path"]) == (0, str(out))


def test_new_refuses_a_name_that_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, install_doubles: Install
) -> None:
    install_doubles("good_backbone")
    monkeypatch.chdir(tmp_path)
    code, document = call("new", "double-tiny")
    assert (code, document["error"]["type"]) == (2, "UsageError")
    assert "which tfxfer-double-good-backbone 1.0 brings" in document["error"]["message"]
    assert not (tmp_path / "double-tiny").exists()
    assert call("new", "double-tiny", "--kind", "head")[0] == 0


def test_json_may_stand_before_the_subcommand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    stdout = io.StringIO()
    code = run(["plugin", "--json", "new", "mynet"], stdout=stdout, registry=Registry([]))
    assert (code, json.loads(stdout.getvalue())["name"]) == (0, "mynet")


def test_both_subcommands_honour_the_common_options() -> None:
    from tfxfer.cli.plugin import command

    assert isinstance(command, click.Group)
    for name in ("check", "new"):
        params = {param.name for param in command.commands[name].params}
        assert {"as_json", "verbosity"} <= params


def test_the_terminal_sees_marks(install_doubles: Install) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    install_doubles("returns_nonsense")
    stdout = Terminal()
    assert run(["plugin", "check", "double_nonsense"], stdout=stdout, registry=Registry()) == 3
    text = click.unstyle(stdout.getvalue())
    assert "✓ metadata" in text
    assert "✗ builds" in text
    assert "? reload" in text


def test_check_of_a_modality(install_doubles: Install, tmp_path: Path) -> None:
    install_doubles("good_modality")
    for number in range(3):
        np.save(tmp_path / f"{number}.npy", np.arange(12.0) * number + 1)
    code, document = call("check", "double_ramp", "--samples", str(tmp_path))
    assert (code, document["kind"]) == (0, "modality")
    # No backbone that is installed here reads it.
    found = outcomes(document)
    assert {name for name, outcome in found.items() if outcome == "passed"} == {
        "metadata", "provenance", "laziness", "options", "findings", "copies", "arguments",
    }  # fmt: skip
    assert set(found.values()) == {"passed", "not_run"}
    code, document = call("check", "double_ramp", "--backbone", "resnet50")
    assert (code, document["error"]["type"]) == (3, "GateError")
    assert [n for n, outcome in outcomes(document).items() if outcome == "failed"] == ["contract"]


def test_options_of_another_kind(install_doubles: Install, tmp_path: Path) -> None:
    install_doubles("good_modality", "good_head")
    for name, options, words in (
        ("double_softmax", ("--samples", str(tmp_path)), "for modalities only"),
        ("double_softmax", ("--backbone", "resnet50"), "for modalities only"),
        ("double_ramp", ("--weights", "x.h5"), "for backbones only"),
    ):
        code, document = call("check", name, *options)
        assert (code, document["error"]["type"]) == (2, "UsageError")
        assert words in document["error"]["message"]


@pytest.mark.parametrize(
    ("folders", "name", "words"),
    [
        (["raising_modality"], "double_raising", "this modality cannot be imported"),
        (["hanging_modality"], "double_hanging", "its import did not end within 3 s"),
    ],
)
def test_a_modality_that_does_not_load_is_told_and_not_checked(
    folders: list[str], name: str, words: str, install_doubles: Install
) -> None:
    install_doubles(*folders)
    code, document = call("check", name, "--timeout", "3s" if "hanging" in name else "60s")
    assert code == 1
    assert words in document["error"]["message"]


def test_kinds_without_a_kit_say_so(install_doubles: Install) -> None:
    install_doubles("claims_taken_reader_a")
    code, document = call("check", "doubletaken")
    assert (code, document["error"]["type"]) == (2, "UsageError")
    assert (
        "Received: a reader of tfxfer-double-claims-taken-reader-a"
        in (document["error"]["message"])
    )
