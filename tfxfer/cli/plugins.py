"""`tfxfer plugins`: what is installed, who brought it, and whether it works."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import click

from tfxfer.cli.options import TIME
from tfxfer.cli.output import Output, tfxfer_command

__all__ = ["command"]


@tfxfer_command("plugins")
@click.option("--check", is_flag=True, help="Import each one in a process of its own.")
@click.option(
    "--timeout",
    "timeout_s",
    type=TIME,
    default="60s",
    show_default=True,
    help="How long one import may take.",
)
def command(output: Output, *, check: bool, timeout_s: float) -> None:
    """List installed plugins of every kind, and where they come from."""
    registry = output.registry
    components = registry.list()
    if check:
        # Each check waits for a process: two at a time, so that a slow one delays nobody.
        with ThreadPoolExecutor(2) as pool:
            components = tuple(
                pool.map(lambda c: registry.check(c, timeout_s=timeout_s), components)
            )
    output.emit([component.to_dict() for component in components])
    if components:
        output.show_table(
            ("KIND", "NAME", "DISTRIBUTION", "VERSION", "STATUS"),
            [(c.kind, c.name, c.distribution, c.version, c.status) for c in components],
        )
    if not any(component.kind == "backbone" for component in components):
        output.show("No backbone. Try: pip install tfxfer-efficientnet tfxfer-heads")
    for component in components:
        if component.error is not None:
            output.print(
                f"{component.status}: {component.kind} {component.name}: {component.error}"
            )
