"""A new plugin is whole, refuses to overwrite, and passes its own check once it is installed."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import sysconfig
import tomllib
import venv
from pathlib import Path
from typing import Any

import pytest

from tfxfer import CONTRACT_VERSION, UsageError
from tfxfer.scaffold import plan_scaffold, write_scaffold

ROOT = Path(__file__).parents[1]
FILES = {
    ".github/workflows/check.yml",
    ".gitignore",
    "README.md",
    "pyproject.toml",
    "tests/test_conformance.py",
}
SAMPLES = ("falling", "rising", "wave")


@pytest.mark.parametrize(
    ("name", "distribution", "module", "component", "class_name"),
    [
        ("tfxfer-my-net", "tfxfer-my-net", "tfxfer_my_net", "my_net", "MyNet"),
        ("Tfxfer_My.Net", "tfxfer-my-net", "tfxfer_my_net", "my_net", "MyNet"),
        ("dot-net2", "dot-net2", "dot_net2", "dot_net2", "DotNet2"),
    ],
)
def test_names(name: str, distribution: str, module: str, component: str, class_name: str) -> None:
    plan = plan_scaffold(name, kind="backbone")
    found = (plan.distribution, plan.module, plan.component, plan.class_name)
    assert found == (distribution, module, component, class_name)


@pytest.mark.parametrize(
    "name",
    ["", "my net", "9net", "ünet", "-net", "net-", "tfxfer", "json", "class", "tfxfer-class",
     "tfxfer-9", "../net", "a/b"],
)  # fmt: skip
def test_names_that_pip_or_python_does_not_take(name: str) -> None:
    with pytest.raises(UsageError, match=r"plugin: expected a name .*Received: name="):
        plan_scaffold(name, kind="backbone")


@pytest.mark.parametrize(
    ("kind", "own"), [("backbone", "network.py"), ("head", "task.py"), ("modality", "series.py")]
)
def test_files_are_whole(kind: str, own: str, tmp_path: Path) -> None:
    folder = tmp_path / "plugin"
    files = write_scaffold(plan_scaffold("dot-net", kind=kind), folder)
    modality = {"dot_net/network.py", *(f"samples/{name}.txt" for name in SAMPLES)}
    more = modality if kind == "modality" else set()
    assert set(files) == FILES | more | {"dot_net/__init__.py", f"dot_net/{own}"}
    for name in files:
        text = (folder / name).read_text(encoding="utf-8")
        assert "$class" not in text
        assert "$comp" not in text
        assert text.endswith("\n")
        if name.endswith(".py"):
            ast.parse(text)
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = {"dot_net": "dot_net:DotNet"}
    assert project["entry-points"] == (
        {"tfxfer.modalities": named, "tfxfer.backbones": {"dot_net_net": "dot_net:DotNetNet"}}
        if kind == "modality"
        else {f"tfxfer.{kind}s": named}
    )
    major, minor = CONTRACT_VERSION.split(".")
    assert f"tfxfer>={CONTRACT_VERSION},<{major}.{int(minor) + 1}" in project["dependencies"]
    assert "${{ matrix.python }}" in (folder / ".github/workflows/check.yml").read_text("utf-8")
    lines = (folder / "tests/test_conformance.py").read_text("utf-8").splitlines()
    assert len([line for line in lines if line]) <= (7 if kind == "modality" else 5)
    assert not list(tmp_path.glob(".*"))


def test_a_folder_with_files_is_left_alone(tmp_path: Path) -> None:
    plan = plan_scaffold("net", kind="backbone")
    (tmp_path / "mine.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match="expected one that is new or empty"):
        write_scaffold(plan, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    empty = tmp_path / "empty"
    empty.mkdir()
    assert write_scaffold(plan, empty)


def test_a_failure_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tfxfer import scaffold

    def stop(kind: str, values: dict[str, str]) -> Any:
        yield "first.txt", "written"
        raise KeyboardInterrupt

    monkeypatch.setattr(scaffold, "_render", stop)
    with pytest.raises(KeyboardInterrupt):
        write_scaffold(plan_scaffold("net", kind="head"), tmp_path / "net")
    assert not list(tmp_path.iterdir())


def shell(*command: object, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=560,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build_wheels(folder: Path) -> list[Path]:
    """Builds the wheels of the core and of the export tools from copies: the tree stays clean."""
    shell(
        sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q",
        "-w", folder, ROOT, ROOT / "tools", cwd=folder,
    )  # fmt: skip
    return sorted(folder.glob("*.whl"))


def make_environment(folder: Path) -> Path:
    venv.create(folder, with_pip=True)
    return folder / ("Scripts" if os.name == "nt" else "bin")


def author_a_plugin(bin_folder: Path, kind: str, cwd: Path, *pip_options: str) -> dict[str, Any]:
    """What an author types: new, install, check. Returns the check's document."""
    shell(bin_folder / "tfxfer", "plugin", "new", "tfxfer-fresh", "--kind", kind, cwd=cwd)
    plugin = cwd / "tfxfer-fresh"
    pip = (bin_folder / "python", "-m", "pip", "install", "-q")
    shell(*pip, *pip_options, "-e", ".", cwd=plugin)
    options = ("--samples", "samples") if kind == "modality" else ()
    document = json.loads(
        shell(bin_folder / "tfxfer", "plugin", "check", "fresh", *options, "--json", cwd=plugin)
    )
    assert isinstance(document, dict)
    return document


def assert_passed(document: dict[str, Any]) -> None:
    found = {item["name"]: item["outcome"] for item in document["checks"]}
    odd = {name: outcome for name, outcome in found.items() if outcome != "passed"}
    nothing_to_look_at = {
        "backbone": {"weights_sha256"},
        "head": {"tempering", "linear_end", "further_labels"},
        "modality": {"copies"},
    }
    assert odd == dict.fromkeys(nothing_to_look_at[document["kind"]], "not_applicable")
    assert (document["ok"], document["distribution"]) == (True, "tfxfer-fresh")


@pytest.mark.parametrize("kind", ["backbone", "head", "modality"])
def test_a_new_plugin_passes_its_check_against_the_wheels(kind: str, tmp_path: Path) -> None:
    """In a fresh environment that holds this project's wheels and nothing else of it.

    What others publish (TensorFlow alone has 2 GB) is not installed again: the environment sees the
    packages of the one that runs this test, behind its own. The slow test below does it all.
    """
    pytest.importorskip(
        "hatchling", reason="builds the wheels and the plugin: pip install hatchling"
    )
    wheels = build_wheels(tmp_path)
    scripts = make_environment(tmp_path / "venv")
    shell(scripts / "python", "-m", "pip", "install", "-q", "--no-deps", *wheels, cwd=tmp_path)
    # A folder that a .pth names comes behind the wheels, and its own .pth files, which lead to
    # source trees, are not read.
    site = next((tmp_path / "venv").rglob("site-packages"))
    others = sysconfig.get_paths()["purelib"]
    (site / "others.pth").write_text(f"{others}\n", encoding="utf-8")
    where = shell(scripts / "python", "-c", "import tfxfer; print(tfxfer.__file__)", cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(tmp_path), "the source tree, not the wheel"
    document = author_a_plugin(scripts, kind, tmp_path, "--no-deps", "--no-build-isolation")
    assert_passed(document)


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.parametrize("kind", ["backbone", "head", "modality"])
def test_a_new_plugin_passes_its_check_in_an_environment_of_its_own(
    kind: str, tmp_path: Path
) -> None:
    wheels = build_wheels(tmp_path)
    scripts = make_environment(tmp_path / "venv")
    constraints = ("-c", str(ROOT / "constraints.txt"))
    shell(scripts / "python", "-m", "pip", "install", "-q", *constraints, *wheels, cwd=tmp_path)
    assert_passed(author_a_plugin(scripts, kind, tmp_path, *constraints))
