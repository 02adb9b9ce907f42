"""Pages lead where they say: links, the index of docs/, CONTRIBUTING's map of the repository."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tfxfer.testing import BACKBONE_CHECKS

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "plugins/*/*.md", "tools/*.md", "examples/*/*.md")
    for path in ROOT.glob(pattern)
)


def without_code(text: str) -> str:
    """Returns a page without its fenced blocks and code spans."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"`[^`\n]*`", "", text)


def links(text: str) -> list[str]:
    """Returns what a page links to inside the repository."""
    found = re.findall(r"\]\(([^)\s]+)\)", text)
    return [link for link in found if "://" not in link]


def anchors(text: str) -> set[str]:
    """Returns the anchors that a page's titles have on a code host."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    titles = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def broken_links(page: Path) -> Iterator[str]:
    """Yields the links of a page that lead to no file or to no title."""
    for link in links(page.read_text("utf-8")):
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        if not target.exists() or (anchor and anchor not in anchors(target.read_text("utf-8"))):
            yield link


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    assert list(broken_links(page)) == []


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    (tmp_path / "b.md").write_text("# A `title`, with signs\n\n```\n# no title\n```\n", "utf-8")
    page = tmp_path / "a.md"
    good = "[a](b.md) [b](b.md#a-title-with-signs) [c](https://example.org/x#y)"
    page.write_text(f"{good} [d](c.md) [e](b.md#no-title) [f](#nothing)", "utf-8")
    assert list(broken_links(page)) == ["c.md", "b.md#no-title", "#nothing"]


def test_the_index_has_every_page() -> None:
    index = ROOT / "docs" / "index.md"
    found = [(index.parent / link).resolve() for link in links(index.read_text("utf-8"))]
    pages = {path for path in PAGES if path != index}
    assert {path for path in found if path.suffix == ".md"} == pages
    assert len(found) == len(set(found))


def map_faults(text: str, root: Path) -> set[str]:
    """Returns folders that a map names and are not there, or the other way round."""
    named = set(re.findall(r"^\| `([\w/]+/)` \|", text, flags=re.MULTILINE))
    there = {f"tfxfer/{path.parent.name}/" for path in (root / "tfxfer").glob("*/__init__.py")}
    there |= {f"{path.parent.name}/" for path in root.glob("[!.]*/*")}
    # What the map need not say: where its own links lead, and what is not kept.
    return named ^ (there - {"docs/", "build/", "dist/", "runs/", "__pycache__/"})


def test_the_map_of_the_repository_is_true() -> None:
    assert map_faults((ROOT / "CONTRIBUTING.md").read_text("utf-8"), ROOT) == set()


def test_a_false_map_is_found(tmp_path: Path) -> None:
    for name in ("tfxfer/run/__init__.py", "tfxfer/job/__init__.py", "tools/x.py", "runs/x"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    rows = "| `tfxfer/` | all |\n| `tfxfer/run/` | a |\n| `tools/` | b |\n"
    assert map_faults(rows, tmp_path) == {"tfxfer/job/"}
    assert map_faults(f"{rows}| `tfxfer/job/` | c |\n", tmp_path) == set()
    assert map_faults(f"{rows}| `tfxfer/gone/` | d |\n", tmp_path) == {
        "tfxfer/job/",
        "tfxfer/gone/",
    }


def test_readme_counts_the_checks_right() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    assert f"{len(BACKBONE_CHECKS)} checks from" in " ".join(text.split())


def test_pages_are_wrapped() -> None:
    long = [
        f"{path.relative_to(ROOT)}: {line}"
        for path in PAGES
        for line in without_code(path.read_text("utf-8")).splitlines()
        if len(line) > 100 and not line.startswith("|")
    ]
    assert long == []
