"""docs/cli.md: every command of this repository, as click knows it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterator
from importlib.metadata import entry_points
from inspect import cleandoc
from pathlib import Path
from typing import Any

import click

from reference.docstring import escape_prose
from reference.page import escape_cell, make_table

__all__ = ["describe_command", "describe_option", "render_commands"]

_ROOT = Path(__file__).resolve().parents[2]
_HEADER = """\
<!-- Written by scripts/docs. Do not edit: change the command's help instead. -->

# Command line

`tfxfer COMMAND` asks no questions. Results go to stdout, everything else to stderr. `TIME` is
`90s`, `10m` or `1h`. Ctrl-C leaves nothing half-written.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | your input or data is at fault |
| 2 | usage |
| 3 | a quality gate was not met |
| 70 | a fault of ours; one line names the file that holds the traceback |
| 130 | interrupted (Ctrl-C) |
| 143 | terminated (SIGTERM) |
"""


def render_commands() -> str:
    """Returns the page."""
    from tfxfer.cli.main import cli

    root = click.Context(cli, info_name="tfxfer", **cli.context_settings)
    commands = list(_walk(root, cli))
    leaves = [_options(*pair) for pair in commands if not isinstance(pair[1], click.Group)]
    shared = set.intersection(*({_key(option) for option in options} for options in leaves))
    common = [option for option in leaves[0] if _key(option) in shared]
    skipped = {name for option in common for name in option.opts}
    index = [[_link(context), _summary(command)] for context, command in commands]
    return "\n\n".join(
        [
            _HEADER,
            "## Commands",
            make_table(["command", "does"], index),
            "Each of them takes:",
            make_table(["option", "meaning"], [describe_option(x)[:2] for x in common]),
            *(describe_command(context, command, skipped) for context, command in commands),
        ]
    )


def describe_command(
    context: click.Context, command: click.Command, skipped: Collection[str] = ()
) -> str:
    """Returns the section of one command.

    Args:
        context: of the command.
        command: what it is of.
        skipped: options that are described elsewhere, such as `--json`.
    """
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    help_text = cleandoc(command.help or "").partition("\f")[0]
    parts = [f"## {context.command_path}", f"```\n{usage}\n```", escape_prose(help_text)]
    rows = [
        describe_option(option)
        for option in _options(context, command)
        if not option.hidden and not set(skipped) & set(option.opts)
    ]
    if rows:
        parts.append(make_table(["option", "meaning", "default"], rows))
    if isinstance(command, click.Group):
        rows = [
            [_link(below), _summary(found)]
            for below, found in _walk(context, command)
            if below.parent is context
        ]
        parts.append(make_table(["command", "does"], rows))
    return "\n\n".join(parts)


def describe_option(option: click.Option) -> list[str]:
    """Returns the cells of an option: how it is typed, what it means, its default."""
    typed = ", ".join(f"`{name}`" for name in option.opts)
    value = _value(option)
    if value:
        typed = ", ".join(f"`{name} {value}`" for name in option.opts)
    # A default in words stands at the end of the help, since click has no other place for it.
    meaning, default = option.help or "", ""
    words = re.search(r"\s*\[default: ([^\]]*)\]$", meaning)
    if words:
        meaning, default = meaning[: words.start()], words[1]
    elif option.show_default and not option.is_flag:
        default = ", ".join(f"`{item}`" for item in _as_list(option.default))
    notes = []
    limits = _limits(option.type)
    if limits and not option.count:
        notes.append(limits)
    if option.multiple and "repeat" not in meaning.lower():
        notes.append("May be repeated.")
    if option.required:
        notes.append("Required.")
    meaning = " ".join([escape_prose(meaning), *notes])
    return [escape_cell(cell) for cell in (typed, meaning, default)]


def _options(context: click.Context, command: click.Command) -> list[click.Option]:
    """Returns the options, `--help` among them, in the order of their help."""
    return [x for x in command.get_params(context) if isinstance(x, click.Option)]


def _key(option: click.Option) -> tuple[object, ...]:
    return (*option.opts, option.help)


def _walk(
    context: click.Context, group: click.Group
) -> Iterator[tuple[click.Context, click.Command]]:
    """Yields the commands of a group that come from this repository, and theirs."""
    foreign = _foreign_commands() if context.parent is None else set()
    for name in group.list_commands(context):
        command = None if name in foreign else group.get_command(context, name)
        if command is None or command.hidden:
            continue
        below = click.Context(command, info_name=name, parent=context)
        yield below, command
        if isinstance(command, click.Group):
            yield from _walk(below, command)


def _foreign_commands() -> set[str]:
    """Returns the commands of installed plugins that are not of this repository."""
    files = [_ROOT / "pyproject.toml", *_ROOT.glob("*/pyproject.toml")]
    files += _ROOT.glob("plugins/*/pyproject.toml")
    ours = {tomllib.loads(file.read_text(encoding="utf-8"))["project"]["name"] for file in files}
    points = entry_points(group="tfxfer.commands")
    return {x.name for x in points if x.dist is None or x.dist.name not in ours}


def _value(option: click.Option) -> str:
    """Returns what is typed after an option; empty for a flag."""
    if option.is_flag or option.count:
        return ""
    if option.metavar:
        return option.metavar
    if isinstance(option.type, click.Choice):
        return "|".join(str(choice) for choice in option.type.choices)
    if isinstance(option.type, (click.types.IntParamType, click.types.FloatParamType)):
        return "N"
    own = option.type.get_metavar(option, click.Context(click.Command("")))
    if own:
        return own.strip("[]")
    if isinstance(option.type, click.Path):
        return "FOLDER" if not option.type.file_okay else "PATH"
    return option.type.name.upper()


def _limits(kind: Any) -> str:
    """Returns the bounds of a number, in words."""
    low, high = getattr(kind, "min", None), getattr(kind, "max", None)
    if low is not None and high is not None:
        return f"{low} to {high}."
    if low is not None:
        return f"At least {low}."
    return "" if high is None else f"At most {high}."


def _as_list(default: Any) -> list[str]:
    if isinstance(default, (list, tuple)):
        return [str(item) for item in default]
    # Click marks an absent default with None, or, in later versions, with a sentinel of its own.
    return [] if default is None or type(default).__name__ == "Sentinel" else [str(default)]


def _summary(command: click.Command) -> str:
    text = cleandoc(command.help or "").partition("\n\n")[0]
    return escape_cell(escape_prose(text))


def _link(context: click.Context) -> str:
    return f"[`{context.command_path}`](#{context.command_path.replace(' ', '-')})"
