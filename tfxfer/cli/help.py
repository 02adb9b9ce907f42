"""`tfxfer help`: what a command does and takes."""

from __future__ import annotations

import click

from tfxfer.cli.output import Output, tfxfer_command

__all__ = ["command"]


@tfxfer_command("help")
@click.argument("words", metavar="[COMMAND]", nargs=-1)
def command(output: Output, *, words: tuple[str, ...]) -> None:
    """Say what a command does and takes."""
    context = click.get_current_context().find_root()
    for number, word in enumerate(words):
        group = context.command
        if not isinstance(group, click.Group):
            raise click.UsageError(f"{words[number - 1]!r} has no commands of its own: {word!r}")
        _, found, _ = group.resolve_command(context, [word])
        assert found is not None  # an unknown name is a usage error
        context = click.Context(found, parent=context, info_name=word)
    text = context.get_help()
    output.emit({"command": " ".join(words), "help": text})
    output.show(text)
