"""The HTML of a page: one file that asks nobody for anything."""

from __future__ import annotations

import itertools
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup

from tfxfer.report.content import Content
from tfxfer.report.pictures import PictureBook
from tfxfer.report.plots import PLOTS, draw_plot
from tfxfer.report.quotes import QuoteBook
from tfxfer.system.plain_text import escape_controls

__all__ = ["make_environment", "render_page"]

_FOLDER = files("tfxfer.report") / "templates"


def render_page(content: Content, pictures: PictureBook, quotes: QuoteBook, *, version: str) -> str:
    """Returns the page as HTML.

    Everything that comes from outside, such as a label or the name of a file, is escaped.

    Args:
        content: what it says.
        pictures: finds the samples that it shows.
        quotes: finds the words of those that are no pictures.
        version: of tfxfer.
    """
    environment = make_environment()
    numbers = itertools.count(1)

    def draw(part: Any) -> Markup:
        # Of numbers, and of text that matplotlib and `draw_plot` escape.
        return Markup(draw_plot(part, name=f"plot{next(numbers)}"))  # noqa: S704

    environment.globals |= {
        "draw": draw,
        "kind": lambda part: "plot" if type(part) in PLOTS else type(part).__name__.lower(),
        "picture": pictures.find,
        "heat": pictures.find_heat,
        "quote": quotes.find,
        "share": _find_share,
    }
    return environment.get_template("page.html").render(
        content=content,
        version=version,
    )


def make_environment() -> jinja2.Environment:
    """Returns what renders our templates: names from outside are text, and never markup."""
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_read_template),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # Names of files may hold what steers a terminal or turns text around.
        finalize=_finalize,
    )
    environment.globals = {"style": Markup(_read_template("page.css"))}  # noqa: S704  ours
    return environment


def _read_template(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _finalize(value: Any) -> Any:
    if isinstance(value, str) and not isinstance(value, Markup):
        return escape_controls(value)
    return value


def _find_share(count: int, row: tuple[int, ...]) -> int:
    """Returns percent of a row, for the strength of a colour."""
    total = sum(row)
    return round(100 * count / total) if total else 0
