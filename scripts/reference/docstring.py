"""The house's docstrings (a summary, then Args, Shapes, Returns, …) as Markdown."""

from __future__ import annotations

import re

__all__ = ["escape_prose", "render_docstring", "summary"]

_SECTION = re.compile(
    r"^(Args|Attributes|Shapes|Units|Returns|Yields|Raises|Example|Examples|Source):[ ]*(.*)$"
)
_LISTS = ("Args", "Attributes", "Raises")
_ENTRY = re.compile(r"^ {4}(\*{0,2}\w[\w.`, ]*): (.*)$")


def render_docstring(text: str) -> str:
    r"""Returns a docstring as Markdown.

    Args:
        text: as `inspect.getdoc` returns it.

    Example:
        >>> print(render_docstring("Adds.\n\nArgs:\n    a: one.\n    b: the\n        other."))
        Adds.
        <BLANKLINE>
        *Args*
        <BLANKLINE>
        - `a`: one.
        - `b`: the other.
    """
    body: list[str] = []
    sections: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        found = _SECTION.match(line)
        if found:
            sections.append((found[1], [f"    {found[2]}"] if found[2] else []))
        elif sections:
            sections[-1][1].append(line)
        else:
            body.append(line)
    parts = [escape_prose("\n".join(body).strip())]
    parts += [_render_section(title, lines) for title, lines in sections]
    return "\n\n".join(parts)


def summary(text: str) -> str:
    """Returns the first sentence of a docstring, on one line."""
    return escape_prose(" ".join(text.partition("\n\n")[0].split()))


def escape_prose(text: str) -> str:
    r"""Returns text in which nothing outside of code spans is taken for HTML or a link.

    Example:
        >>> escape_prose("a < b, `a < b`, path[,split]")
        'a \\< b, `a < b`, path\\[,split\\]'
    """
    pieces = re.split(r"(`[^`]*`)", text)
    # Code spans are every other piece.
    pieces[::2] = [re.sub(r"([<\[\]])", r"\\\1", piece) for piece in pieces[::2]]
    return "".join(pieces)


def _render_section(title: str, lines: list[str]) -> str:
    if title in ("Example", "Examples"):
        code = "\n".join(line[4:] for line in lines).strip("\n")
        return f"*{title}*\n\n```python\n{code}\n```"
    if title not in _LISTS:
        return f"*{title}*: {escape_prose(' '.join(' '.join(lines).split()))}"
    entries: list[str] = []
    for line in lines:
        found = _ENTRY.match(line)
        if found:
            names = ", ".join(f"`{name.strip('` ')}`" for name in found[1].split(","))
            entries.append(f"- {names}: {escape_prose(found[2])}")
        elif line.strip() and entries:
            entries[-1] += f" {escape_prose(line.strip())}"
        elif line.strip():
            raise ValueError(f"{title}: expected `name: text`. Received: {line!r}")
    return f"*{title}*\n\n" + "\n".join(entries)
