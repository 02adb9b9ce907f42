"""docs/cli.md and docs/api.md are what the program says of itself, on any terminal."""

from __future__ import annotations

import doctest
import importlib
import os
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import pytest

ROOT = Path(__file__).parent.parent
SCRIPTS = ROOT / "scripts"


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Any]]:
    """Returns a function that imports a module of the generator."""
    monkeypatch.syspath_prepend(SCRIPTS)
    yield lambda name: importlib.import_module(f"reference.{name}")
    for name in [x for x in sys.modules if x.partition(".")[0] == "reference"]:
        del sys.modules[name]


def test_pages_are_up_to_date_on_a_narrow_terminal_in_another_locale() -> None:
    odd = {"COLUMNS": "30", "LC_ALL": "C", "LANGUAGE": "de", "PYTHONUTF8": "0"}
    done = subprocess.run(
        [sys.executable, SCRIPTS / "docs", "--check"],
        env={**os.environ, **odd},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_stale_page_is_named_and_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    main = runpy.run_path(str(SCRIPTS / "docs"))["main"]
    for name in ("api.md", "cli.md"):
        shutil.copy(ROOT / "docs" / name, tmp_path)
    page = tmp_path / "cli.md"
    page.write_text(page.read_text("utf-8").replace("--no-flip", "--no-mirror"), "utf-8")
    arguments = ["--folder", str(tmp_path)]
    assert main([*arguments, "--check"]) == 1
    assert capsys.readouterr().err == f"{page}: stale. Run: scripts/docs\n"
    assert "--no-mirror" in page.read_text("utf-8")
    assert main(arguments) == 0
    assert main([*arguments, "--check"]) == 0
    (tmp_path / "api.md").unlink()
    assert main([*arguments, "--check"]) == 1


def test_every_exported_name_and_every_command_is_there() -> None:
    import tfxfer
    import tfxfer_edge
    from tfxfer.cli.main import COMMANDS

    names = (ROOT / "docs" / "api.md").read_text("utf-8")
    for package in (tfxfer, tfxfer_edge):
        for name in package.__all__:
            assert f"### {package.__name__}.{name}\n" in names or f"\n| `{name}` |" in names
    commands = (ROOT / "docs" / "cli.md").read_text("utf-8")
    for name in (*COMMANDS, "export", "benchmark", "plugin new", "plugin check"):
        assert f"## tfxfer {name}\n" in commands


def test_an_option_says_how_it_is_typed_what_it_means_and_its_default(
    module: Callable[[str], Any],
) -> None:
    commands = module("commands")

    def cells(*names: str, **attributes: Any) -> list[str]:
        return commands.describe_option(click.Option(names, **attributes))

    assert cells("-v", "--verbose", count=True, help="More.") == ["`-v`, `--verbose`", "More.", ""]
    assert cells("--on", is_flag=True, help="On.") == ["`--on`", "On.", ""]
    assert cells("--px", type=click.IntRange(8, 512), default=224, show_default=True) == [
        "`--px N`",
        "8 to 512.",
        "`224`",
    ]
    assert cells("--px", default=224, help="Hidden default.")[2] == ""
    assert cells("--by", type=click.Choice(["size", "speed"]), required=True, help="What.") == [
        "`--by size\\|speed`",
        "What. Required.",
        "",
    ]
    assert cells("--out", multiple=True, help="Where.  [default: here]") == [
        "`--out TEXT`",
        "Where. May be repeated.",
        "here",
    ]


def test_a_command_is_described_without_what_all_share(module: Callable[[str], Any]) -> None:
    @click.command("paint", help="Paints.\n\nNAME is a <colour>.\fnot for people")
    @click.argument("name")
    @click.option("--json", is_flag=True, help="Shared.")
    @click.option("--secret", hidden=True)
    def paint() -> None:
        raise AssertionError("described, not run")

    text = module("commands").describe_command(
        click.Context(paint, info_name="paint"), paint, {"--json", "--help"}
    )
    assert text == "## paint\n\n```\npaint [OPTIONS] NAME\n```\n\nPaints.\n\nNAME is a \\<colour>."


def test_commands_of_other_distributions_are_left_out(
    module: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from types import SimpleNamespace

    def point(name: str, distribution: str) -> Any:
        return SimpleNamespace(name=name, dist=SimpleNamespace(name=distribution))

    commands = module("commands")
    points = [point("export", "tfxfer-edge"), point("bake", "tfxfer-bakery")]
    monkeypatch.setattr(commands, "entry_points", lambda group: points)
    assert commands._foreign_commands() == {"bake"}


def test_docstrings_become_lists_and_code(module: Callable[[str], Any]) -> None:
    docstring = module("docstring")
    assert doctest.testmod(docstring, raise_on_error=True).attempted == 2
    with pytest.raises(ValueError, match=r"Args: expected `name: text`\. Received: '    nothing'"):
        docstring.render_docstring("Adds.\n\nArgs:\n    nothing")


def test_signatures_are_written_as_one_would_write_them(module: Callable[[str], Any]) -> None:
    names = module("names")

    def add(a: int, *rest: int, by: str = "one", mark: object = object()) -> int:
        return a

    assert names.format_signature("add", add) == (
        'add(a: int, *rest: int, by: str = "one", mark: object = …) -> int'
    )

    def long(first: str, *, second: str = "x" * 50, third: str = "y" * 30) -> None:
        return None

    assert names.format_signature("long", long).splitlines()[:3] == [
        "long(",
        "    first: str,",
        "    *,",
    ]


def test_a_public_name_without_a_docstring_fails(module: Callable[[str], Any]) -> None:
    def bare() -> None:
        return None

    names = module("names")
    with pytest.raises(ValueError, match=r"pkg\.bare: expected a docstring"):
        names.describe_function("pkg.bare", bare)
    with pytest.raises(ValueError, match=r"pkg\.LIMIT: expected a docstring below it"):
        names._describe_value(ModuleType("pkg"), "LIMIT", 3)
