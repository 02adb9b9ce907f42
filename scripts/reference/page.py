"""Pages as files: formatted like all others, written, or compared with what is there."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

__all__ = ["escape_cell", "format_page", "make_table", "update_pages"]

_ROOT = Path(__file__).resolve().parents[2]


def update_pages(pages: Mapping[Path, str], *, check: bool, remedy: str) -> int:
    """Writes pages, or says which of them are stale.

    Args:
        pages: file → its text, formatted or not.
        check: compare, and change nothing.
        remedy: the command that mends a stale page.

    Returns:
        Exit code: 1 where `check` finds a stale page, else 0.
    """
    stale = []
    for path, text in pages.items():
        wanted = format_page(text)
        if path.is_file() and path.read_text(encoding="utf-8") == wanted:
            continue
        stale.append(path)
        if not check:
            path.write_text(wanted, encoding="utf-8", newline="\n")
    for path in stale:
        print(f"{path}: stale. Run: {remedy}" if check else path, file=sys.stderr)
    return int(check and bool(stale))


def format_page(text: str) -> str:
    """Returns Markdown as `mdformat` would leave it, by the options in `.mdformat.toml`."""
    import mdformat

    options = tomllib.loads((_ROOT / ".mdformat.toml").read_text(encoding="utf-8"))
    return mdformat.text(text, options=options, extensions={"gfm", "tables"})


def make_table(columns: list[str], rows: list[list[str]]) -> str:
    """Returns a Markdown table; cells are Markdown already."""
    lines = [columns, ["--"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def escape_cell(text: str) -> str:
    """Returns Markdown that may stand in a table."""
    return " ".join(text.split()).replace("|", "\\|")
