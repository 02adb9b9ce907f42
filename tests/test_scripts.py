"""The parts of scripts/ that need no environment of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import pytest

SCRIPTS = Path(__file__).parent.parent / "scripts"
MINOR = "{}.{}".format(*sys.version_info[:2])


def load(name: str) -> ModuleType:
    loader = SourceFileLoader(f"script_{name}", str(SCRIPTS / name))
    spec = spec_from_loader(loader.name, loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


@pytest.fixture
def matrix(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # beside the script, for all to see
    return load("matrix")


@pytest.fixture
def constraints(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return load("constraints")


def test_a_python_on_the_path_that_does_not_run_is_passed_over(
    matrix: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shim = tmp_path / "bin" / f"python{MINOR}"
    shim.parent.mkdir()
    shim.write_text("#!/bin/sh\nexit 127\n", encoding="utf-8")
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", str(shim.parent), prepend=":")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "none"))
    assert matrix.find_python(MINOR) is None
    # pyenv keeps the interpreters themselves elsewhere.
    real = tmp_path / "pyenv" / "versions" / f"{MINOR}.99" / "bin" / "python"
    real.parent.mkdir(parents=True)
    real.symlink_to(sys.executable)
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    assert matrix.find_python(MINOR) == str(real)


def test_a_python_that_is_not_here_fails_its_cell_and_the_matrix(
    matrix: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(matrix, "find_python", lambda minor: None)
    monkeypatch.setattr(sys, "argv", ["matrix", "3.12"])
    assert matrix.main() == 1
    assert "| 3.12 |" in capsys.readouterr().out


def test_a_step_that_fails_names_itself_in_the_table(
    matrix: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(python: str, environment: Path) -> None:
        failing = [sys.executable, "-c", "raise SystemExit(3)"]
        matrix.run_step("installation", failing, environment=environment)

    monkeypatch.setattr(matrix, "find_python", lambda minor: sys.executable)
    monkeypatch.setattr(matrix, "install", fail)
    row, is_passed = matrix.run_cell("3.12")
    assert not is_passed
    assert row[-2] == "installation failed"
    assert len(row) == len(matrix.HEADINGS)


def test_a_demo_that_learned_nothing_fails(matrix: ModuleType, tmp_path: Path) -> None:
    def write(accuracy: float) -> None:
        document = {"metrics": {"test": {"accuracy": {"value": accuracy}}}}
        (tmp_path / "run.json").write_text(json.dumps(document), encoding="utf-8")

    write(0.93)
    assert matrix.read_accuracy(tmp_path) == 0.93
    write(0.1)
    with pytest.raises(matrix.StepError, match=r"demo: 10\.0% of digits right"):
        matrix.read_accuracy(tmp_path)


def test_the_table_goes_between_its_comments_and_nowhere_else(
    matrix: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readme = tmp_path / "README.md"
    monkeypatch.setattr(matrix, "README", readme)
    table = matrix.format_table([["3.13.0", *"abcde", "7 passed", "2026-01-02"]])
    assert table.splitlines()[0].startswith("| Python | TensorFlow | Keras | protobuf | LiteRT |")
    assert table.splitlines()[2] == "| 3.13.0 | a | b | c | d | e | 7 passed | 2026-01-02 |"
    readme.write_text("# No place\n", encoding="utf-8")
    assert not matrix.write_table(table)
    assert readme.read_text(encoding="utf-8") == "# No place\n"
    readme.write_text(f"before\n{matrix.START}\nold\n{matrix.END}\nafter\n", encoding="utf-8")
    assert matrix.write_table(table)
    expected = f"before\n{matrix.START}\n\n{table}\n\n{matrix.END}\nafter\n"
    assert readme.read_text(encoding="utf-8") == expected
    assert matrix.write_table(table)
    assert readme.read_text(encoding="utf-8") == expected


def test_what_cells_share_is_one_line(constraints: ModuleType) -> None:
    cells = {
        "3.11": {"keras": "3.15.1", "numpy": "2.1.3", "only": "1"},
        "3.12": {"keras": "3.15.1", "numpy": "2.5.5"},
    }
    assert constraints.merge(cells) == [
        "keras==3.15.1",
        'numpy==2.1.3 ; python_version == "3.11"',
        'numpy==2.5.5 ; python_version == "3.12"',
        'only==1 ; python_version == "3.11"',
    ]


def test_cells_are_read_as_they_are_written(
    constraints: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constraints, "CONSTRAINTS", tmp_path / "constraints.txt")
    cells = {"3.11": {"a-b": "1.2.post3", "c": "1"}, "3.12": {"a-b": "1.2.post3", "c": "2"}}
    text = constraints.HEADER + "\n".join(constraints.merge(cells))
    (tmp_path / "constraints.txt").write_text(text, encoding="utf-8")
    assert {python: constraints.read_cell(python) for python in cells} == cells


def test_all_name_the_same_pythons(matrix: ModuleType, constraints: ModuleType) -> None:
    assert tuple(constraints.CELLS) == matrix.PYTHONS
    text = (SCRIPTS.parent / ".ci" / "run").read_text(encoding="utf-8")
    assert f"${{TFXFER_PYTHON:-{' '.join(reversed(matrix.PYTHONS))}}}" in text


@pytest.mark.parametrize("name", ["matrix", "constraints"])
def test_help_says_what_it_does(name: str) -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / name), "--help"], capture_output=True, text=True, check=True
    )
    assert "every supported Python" in done.stdout or "each supported Python" in done.stdout


@pytest.fixture
def audit(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return load("audit_constraints")


def put_pip_audit(folder: Path, monkeypatch: pytest.MonkeyPatch, says: str, code: int) -> None:
    """A program of that name on the PATH which notes what it is asked."""
    folder.mkdir()
    path = folder / "pip-audit"
    path.write_text(
        f"#!/bin/sh\nfor last; do :; done\ncat $last >> {folder}/asked\n{says}\nexit {code}"
    )
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script")
@pytest.mark.parametrize(
    ("vulnerabilities", "skipped", "code", "words"),
    [
        ("[]", "", 0, "0 vulnerabilities in 1 packages, 0 not looked up"),
        (
            '[{"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["2.0"]}]',
            "",
            1,
            "torn 1.0: PYSEC-1, mended in 2.0",
        ),
        ("[]", ', {"name": "mine", "skip_reason": "not there"}', 2, "1 not looked up"),
    ],
)
def test_vulnerabilities_of_each_python_are_told(
    audit: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    vulnerabilities: str,
    skipped: str,
    code: int,
    words: str,
) -> None:
    document = (
        f'{{"dependencies": [{{"name": "torn", "version": "1.0", "vulns": {vulnerabilities}}}'
        f"{skipped}]}}"
    )
    # pip-audit itself ends with 1 where it finds something.
    put_pip_audit(tmp_path / "bin", monkeypatch, f"echo '{document}'", int("id" in vulnerabilities))
    monkeypatch.setattr(sys, "argv", ["audit_constraints", "3.11"])
    assert audit.main() == code
    assert words in capsys.readouterr().out
    asked = (tmp_path / "bin" / "asked").read_text().split()
    assert "tensorflow==2.19.1" in asked
    assert not any(line.startswith(("tensorflow==2.2", "#")) for line in asked)
    monkeypatch.setattr(audit, "ACCEPTED", {"CVE-1": "nothing here calls it"})
    assert audit.main() == (code if code == 2 else 0)


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script")
def test_an_audit_without_a_list_says_that_it_takes_the_network(
    audit: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["audit_constraints"])
    put_pip_audit(tmp_path / "bin", monkeypatch, "echo 'no route to host' >&2", 1)
    assert audit.main() == 2
    said = capsys.readouterr().err
    assert "which takes the network. Received: exit code 1: no route to host" in said
    monkeypatch.setenv("PATH", str(tmp_path))
    assert audit.main() == 2
    assert "pip install pip-audit" in capsys.readouterr().err


def test_floors_are_those_of_every_distribution_but_one(matrix: ModuleType) -> None:
    floors = matrix.read_floors()
    assert {"keras>=3.15,<4", "tensorflow>=2.19,<2.22", "pillow-heif>=1.0"} <= set(floors)
    assert [line for line in floors if line.startswith("keras>")] == ["keras>=3.15,<4"]
    assert not any(line.startswith(("tfxfer", "keras-hub")) for line in floors)
    folders = [folder.name for folder in matrix.list_distributions()]
    assert folders[1] == "tools"
    assert "tfxfer-kerashub" not in folders
    assert "tfxfer-heads" in folders


def test_the_cell_of_floors_runs_every_test_of_versions_that_it_can(matrix: ModuleType) -> None:
    files = {x for x in matrix._choose_tests("floors") if x.endswith(".py")}
    assert {"tests/test_model.py", "tools/tests/conversion/test_graph.py"} <= files
    assert "tests/trust/test_fairness.py" not in files
    assert not [path for path in files if "kerashub" in path]
    assert all((SCRIPTS.parent / path).is_file() for path in files)
    assert matrix._choose_tests("3.12") == []


def test_the_cell_of_floors_says_so_and_takes_uv(
    matrix: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(matrix, "find_python", lambda minor: f"python{minor}")
    monkeypatch.setattr(matrix.shutil, "which", lambda _: None)
    row, is_passed = matrix.run_cell("floors")
    assert (row[0], row[-2], is_passed) == ("floors", "no uv on the PATH", False)
    assert "== Python 3.11, floors" in capsys.readouterr().err
