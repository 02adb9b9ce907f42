"""The page itself: one file, every section, and nothing of a name taken for markup."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from tfxfer.data.audit_file import write_audit
from tfxfer.data.problems import Audit, Problem
from tfxfer.run.directory import RunDirectory
from tfxfer.run.manifest import DataSummary
from tfxfer_heads import Classification, Multilabel, Regression

Fill = Callable[..., RunDirectory]
Render = Callable[..., str]
ATTACK = "<img src=x onerror=alert(1)>"  # in names of the run
SECTIONS = ["training", "results", "confidence", "mistakes", "data", "domain", "export", "card"]


class Page(HTMLParser):
    """What a browser would make of a page: tags with their attributes, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self._is_style = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {key: value or "" for key, value in attrs}))
        self._is_style = tag == "style"

    def handle_endtag(self, tag: str) -> None:
        self._is_style = False

    def handle_data(self, data: str) -> None:
        if not self._is_style:
            self.text += data

    def list_ids(self) -> list[str]:
        return [attrs["id"] for _, attrs in self.tags if "id" in attrs]

    def list_requests(self) -> Iterator[str]:
        """Yields every address that a browser might ask somebody for."""
        for _, attrs in self.tags:
            for name in ("src", "srcset", "href", "data", "poster", "action", "background"):
                if name in attrs and not attrs[name].startswith(("#", "data:")):
                    yield attrs[name]
            yield from re.findall(r"url\((?!#)[^)]*\)", attrs.get("style", ""))


def test_it_asks_nobody_and_runs_nothing(
    class_run: RunDirectory, photos: Path, render: Render
) -> None:
    text = render(class_run, photos, command="tfxfer train photos", remarks=("CC BY 4.0",))
    page = Page(text)
    assert list(page.list_requests()) == []
    assert not re.search(r"https?:", text)
    tags = [tag for tag, _ in page.tags]
    assert "script" not in tags
    assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on")]
    assert tags.count("style") == 1
    assert "@import" not in text
    assert ("meta", "default-src 'none'; img-src data:; style-src 'unsafe-inline'") in [
        (tag, attrs.get("content", "")) for tag, attrs in page.tags
    ]


def test_every_section_is_there_in_order(
    class_run: RunDirectory, photos: Path, render: Render
) -> None:
    page = Page(render(class_run, photos))
    found = [attrs["id"] for tag, attrs in page.tags if tag == "section"]
    assert found == ["verdict", *SECTIONS]
    assert len(page.list_ids()) == len(set(page.list_ids()))
    # Links inside the page, and what a drawing refers to, are there.
    links = [attrs["href"][1:] for _, attrs in page.tags if attrs.get("href", "").startswith("#")]
    assert set(links) <= set(page.list_ids())


def test_names_are_text(class_run: RunDirectory, photos: Path, render: Render) -> None:
    page = Page(render(class_run, photos, remarks=(ATTACK,)))
    assert not [attrs for tag, attrs in page.tags if attrs.get("src") == "x"]
    assert f"test/00{ATTACK}.png" in page.text
    assert page.text.count(f"bee \"'& {ATTACK}") > 3
    # In a plot, too, and as they are: a label with dollars is no formula.
    assert "$cat$" in page.text
    assert f"damaged {ATTACK}" in page.text
    assert f"not scored {ATTACK}" in page.text


def test_an_unescaped_name_would_be_found() -> None:
    page = Page(f"<p>{ATTACK}</p><script>1</script>")
    assert list(page.list_requests()) == ["x"]
    assert [name for _, attrs in page.tags for name in attrs] == ["src", "onerror"]


def test_controls_in_names_are_visible(tmp_path: Path, fill: Fill, render: Render) -> None:
    labels = ("a\u202eb", "c")
    truths = [*labels] * 6
    run = fill(tmp_path / "run", Classification(), labels, truths, np.eye(2)[[1, 0] * 6])
    text = render(run)
    assert "\\u202e" in text
    assert "\u202e" not in re.sub(r"<svg.*?</svg>", "", text, flags=re.DOTALL)


def test_pictures_are_inside(class_run: RunDirectory, photos: Path, render: Render) -> None:
    text = render(class_run, photos)
    sources = [attrs["src"] for tag, attrs in Page(text).tags if tag == "img"]
    # Three mistakes, one of them with what the model looked at, and two copies of one photo.
    assert len(sources) == 3 + 1 + 2
    assert all(source.startswith("data:image/jpeg;base64,") for source in sources)
    assert text.count("cannot be read") == 1
    assert len(text) < 500_000


@pytest.mark.parametrize("gone", ["everything", "one"])
def test_data_that_is_gone_costs_its_pictures_alone(
    class_run: RunDirectory, photos: Path, render: Render, gone: str
) -> None:
    if gone == "one":
        (photos / "test" / "03.png").unlink()
        text = render(class_run, photos)
        assert text.count("the file is not there any more") == 1
        assert text.count("<img") == 5
    else:
        text = render(class_run, None)
        assert text.count("the data is not known here") == 6
    page = Page(text)
    assert [attrs["id"] for tag, attrs in page.tags if tag == "section"][1:] == SECTIONS
    assert "9 of 12 images" in page.text


def test_the_same_run_gives_the_same_page(
    class_run: RunDirectory, photos: Path, render: Render
) -> None:
    assert render(class_run, photos) == render(class_run, photos)


def test_a_number_has_no_classes(tmp_path: Path, fill: Fill, render: Render) -> None:
    truths = [f"{k}" for k in range(12)]
    scores = np.arange(12)[:, None] + 0.5
    scores[4] += 5
    head = Regression(mean=(5.0,), std=(3.0,))
    text = render(fill(tmp_path / "run", head, ("value",), truths, scores))
    page = Page(text)
    assert "Mean absolute error" in page.text
    assert "Answers beside the truth" in page.text
    assert "9.5, in truth 4" in page.text
    ids = [attrs["id"] for tag, attrs in page.tags if tag == "section"]
    assert ids == ["verdict", "training", "results", "mistakes", "data", "domain", "export", "card"]
    assert "taken for" not in page.text


def test_several_labels_have_a_table_and_no_matrix(
    tmp_path: Path, fill: Fill, render: Render
) -> None:
    head, labels = Multilabel(), ("a", "b")
    truths = ["a|b", "a", "b", ""] * 3
    scores = head.encode(truths, labels) * 0.8 + 0.1
    scores[3] = (0.9, 0.1)
    page = Page(render(fill(tmp_path / "run", head, labels, truths, scores)))
    assert "Each label" in page.text
    assert "nothing taken for a" in page.text
    assert "matrix" not in [attrs.get("class") for _, attrs in page.tags]


def test_samples_that_are_no_pictures(
    tmp_path: Path,
    fill: Fill,
    render: Render,
    install_doubles: Callable[..., None],
    export: Callable[[RunDirectory], None],
) -> None:
    from tfxfer.registry.lookup import default_registry

    install_doubles("sensor")
    default_registry.cache_clear()
    try:
        truths = ["run", "walk"] * 6
        run = fill(
            tmp_path / "run", Classification(), ("run", "walk"), truths, np.eye(2)[[1, 0] * 6],
            modality="double_sensor", preprocessing={"zero": [0, 0, 0], "range": [1, 1, 1]},
            data=DataSummary(24, 0, 12, 12, "f" * 64),
        )  # fmt: skip
        copy = Problem("b.csv", "duplicate", "same as a.csv", skipped=False, like="a.csv")
        write_audit(run.audit_path, Audit((copy,), images=24, files=24, plural="windows"))
        export(run)
        page = Page(render(run, tmp_path))
    finally:
        default_registry.cache_clear()
    assert "missing" not in [attrs.get("class") for _, attrs in page.tags]
    assert "walk taken for run" in page.text
    assert "Grad-CAM" not in page.text
    assert "0 of 12 windows" in page.text
    assert "The same window, 2 times" in page.text
    assert not re.search(r"\b(picture|photo|image)s?\b", page.text)
