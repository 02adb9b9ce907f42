"""The code in docs/plugins.md runs, and its table of checks is the kit's."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tfxfer import Backbone, Head, Weights, build_model
from tfxfer.evaluation import format_metrics, headline, score_predictions
from tfxfer.testing import BACKBONE_CHECKS, HEAD_CHECKS, MODALITY_CHECKS, check_modality

GUIDE = Path(__file__).parent.parent / "docs" / "plugins.md"


def blocks() -> dict[str, str]:
    """Returns the first Python block of each title of the guide."""
    found = {}
    title = ""
    for part in re.split(r"^(#+ .*)$", GUIDE.read_text(encoding="utf-8"), flags=re.MULTILINE):
        if part.startswith("#"):
            title = part.lstrip("# ")
        for code in re.findall(r"```python\n(.*?)```", part, flags=re.DOTALL):
            found.setdefault(title, code)
    return found


def run(title: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    module = ModuleType("my_package")
    monkeypatch.setitem(sys.modules, "my_package", module)
    exec(compile(blocks()[title], str(GUIDE), "exec"), module.__dict__)
    return module.__dict__


def test_a_backbone_in_20_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    title = "A backbone in 20 lines"
    assert len(blocks()[title].strip().splitlines()) <= 20
    made = run(title, monkeypatch)["MyNet"]
    assert issubclass(made, Backbone)
    model = build_model(made(), labels=["a", "b"], weights=None, image_size=32)
    assert model(np.zeros((1, 32, 32, 3), np.float32)).shape == (1, 2)


def test_a_head_in_20_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    title = "A head in 20 lines"
    code = [line for line in blocks()[title].strip().splitlines() if line.strip()]
    assert len(code) <= 20
    made = run(title, monkeypatch)["HiddenLayer"]
    assert issubclass(made, Head)
    backbone = run("A backbone in 20 lines", monkeypatch)["MyNet"]
    model = build_model(
        backbone(), head=made(units=8), labels=["a", "b"], weights=None, image_size=32
    )
    assert model.get_layer("head_hidden").units == 8


def test_figures_of_a_task_of_your_own(monkeypatch: pytest.MonkeyPatch) -> None:
    made = run("A task of your own", monkeypatch)["GradeFigures"]
    head = SimpleNamespace(name="grades", figures=made, make_figures=made)
    targets, scores = np.eye(3)[[0, 1, 2, 2]], np.eye(3)[[0, 1, 1, 0]]
    found = score_predictions(targets, scores, head=head, labels=["0", "1", "2"])  # type: ignore[arg-type]
    assert headline(found)[1]["value"] == pytest.approx(3 / 4)
    assert found["exact"]["value"] == pytest.approx(1 / 2)
    assert [title for title, _ in format_metrics(found, head)] == ["right grade", "mean error"]  # type: ignore[arg-type]


def test_weights_are_declared_as_the_guide_says(monkeypatch: pytest.MonkeyPatch) -> None:
    made = run("Weights, licence, quantization", monkeypatch)["WEIGHTS"]
    assert {type(item) for item in made.values()} == {Weights}


def test_a_modality_passes_its_kit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made = run("A modality", monkeypatch)
    for number in range(3):
        lines = (f"{n * (number + 1) % 7}.5" for n in range(20))
        (tmp_path / f"{number}.txt").write_text("\n".join(lines))
    report = check_modality(made["Series"], samples=tmp_path, contract=made["Scaling"](2.0))
    odd = {item.name: item.message for item in report.results if item.outcome != "passed"}
    # The module of this test lies in no file, and no distribution brings it.
    assert set(odd) == {"provenance", "copies", "laziness"}, odd


def test_the_table_has_every_check() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    table = text.partition("<!-- checks -->")[2].partition("<!-- /checks -->")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", table, flags=re.MULTILINE)
    kits = (*BACKBONE_CHECKS, *HEAD_CHECKS, *MODALITY_CHECKS)
    assert rows == [(item.name, item.description) for item in kits]
