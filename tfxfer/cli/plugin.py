"""`tfxfer plugin new` and `tfxfer plugin check`: what a plugin's author types."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import click

from tfxfer.cli.options import TIME
from tfxfer.cli.output import Output, tfxfer_command
from tfxfer.errors import GateError, PluginError, UnknownPluginError, UsageError
from tfxfer.registry.component import Component, Kind
from tfxfer.registry.lookup import Registry
from tfxfer.system.keras_settings import check_keras_settings
from tfxfer.system.plain_text import escape_controls
from tfxfer.system.quiet import quiet_native
from tfxfer.system.spelling import did_you_mean

__all__ = ["command"]

_KINDS: tuple[Kind, ...] = ("backbone", "head", "modality")
_KITS = "a backbone, a head or a modality"
_MARKS = {"passed": "✓", "failed": "✗", "waived": "~", "not_applicable": "-", "not_run": "?"}
_COLOURS = {"passed": "green", "failed": "red", "waived": "yellow"}


@click.group("plugin")
@click.option("--json", "as_json", is_flag=True, help="The same after the subcommand.")
@click.option("-v", "--verbose", "verbosity", count=True, help="The same after the subcommand.")
@click.pass_context
def command(ctx: click.Context, *, as_json: bool, verbosity: int) -> None:
    """Start a plugin of your own, or check one."""
    given = {"as_json": as_json, "verbosity": verbosity}
    ctx.default_map = dict.fromkeys(("check", "new"), given)


@tfxfer_command("new")
@click.argument("name")
@click.option(
    "--kind",
    type=click.Choice(_KINDS),
    default="backbone",
    show_default=True,
    help="What the plugin brings.",
)
@click.option(
    "--out",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder to write; NAME in this one by default.",
)
def new(output: Output, *, name: str, kind: str, folder: Path | None) -> None:
    """Write a whole plugin, which passes its own check. NAME is for pip: tfxfer-mynet."""
    from tfxfer.scaffold import plan_scaffold, write_scaffold

    plan = plan_scaffold(name, kind=kind)
    taken = [c for c in output.registry.list() if (c.kind, c.name) == (kind, plan.component)]
    if taken:
        raise UsageError(
            f"{kind} {plan.component!r}: expected a name that no installed distribution has. "
            f"Received: name={name!r}, which {taken[0].origin} brings. Choose another."
        )
    target = folder if folder is not None else Path(plan.distribution)
    files = write_scaffold(plan, target)
    lines = (
        f"cd {target}",
        "pip install -e .",
        f"tfxfer plugin check {plan.component}{plan.check_options}",
    )
    output.emit(
        {
            "kind": kind,
            "name": plan.component,
            "distribution": plan.distribution,
            "module": plan.module,
            "path": target,
            "files": files,
            "next": lines,
        }
    )
    output.show(f"Wrote {target}: {', '.join(files)}")
    output.print("Next:")
    for line in lines:
        output.print(f"  {line}")


@tfxfer_command("check")
@click.argument("name")
@click.option("--kind", type=click.Choice(_KINDS), help="Needed where a name is of several.")
@click.option(
    "--weights",
    metavar="PATH|SOURCE|none",
    default="none",
    show_default=True,
    help="Of a backbone. Random weights need no network.",
)
@click.option(
    "--size",
    "--image-size",
    "size",
    type=click.IntRange(min=1),
    help="Of the input of a backbone or a modality: the side of an image in pixels.  "
    "[default: the smallest that the backbone takes]",
)
@click.option(
    "--samples",
    metavar="PATH",
    type=click.Path(path_type=Path, exists=True),
    help="Of a modality: a folder of a few files, or a text with a sample per line.",
)
@click.option(
    "--backbone",
    metavar="NAME",
    help="Of a modality: whose preprocessing it is tried with.  [default: the first that reads it]",
)
@click.option(
    "--waive",
    "waivers",
    metavar="CHECK=REASON",
    multiple=True,
    help="A check that may fail, and why. Repeatable.",
)
@click.option(
    "--timeout",
    "timeout_s",
    type=TIME,
    default="60s",
    show_default=True,
    help="How long the import may take.",
)
def check(
    output: Output,
    *,
    name: str,
    kind: str | None,
    weights: str,
    size: int | None,
    samples: Path | None,
    backbone: str | None,
    waivers: tuple[str, ...],
    timeout_s: float,
) -> None:
    """Run the conformance kit on an installed backbone, head or modality."""
    from tfxfer.registry.isolation import find_fault

    check_keras_settings()
    registry = output.registry
    component = _find(registry, name, kind)
    reasons = dict(_split_waiver(text) for text in waivers)
    if component.kind == "head" and (weights != "none" or size is not None):
        raise UsageError(
            f"head {name!r}: expected --weights and --size for backbones only. "
            f"Received: weights={weights!r}, size={size}. Leave them out."
        )
    if component.kind != "modality" and (samples is not None or backbone is not None):
        raise UsageError(
            f"{component.kind} {name!r}: expected --samples and --backbone for modalities only. "
            f"Received: samples={samples}, backbone={backbone}. Leave them out."
        )
    if component.kind == "modality" and weights != "none":
        raise UsageError(
            f"modality {name!r}: expected --weights for backbones only. "
            f"Received: weights={weights!r}. Leave it out."
        )
    # In a process of its own: what hangs or crashes at import must not do so here.
    fault = find_fault(component, timeout_s=timeout_s)
    if fault is not None:
        raise PluginError(fault)

    with nullcontext() if output.verbosity else quiet_native():
        import keras  # noqa: F401 - loads TensorFlow, which greets in C++

    from tfxfer.testing.check import Result
    from tfxfer.testing.kits import examine_backbone, examine_head, run_report
    from tfxfer.testing.modality_kit import examine_modality

    def show(result: Result) -> None:
        output.check_interrupt()
        _show(output, result)

    if component.kind == "head":
        examination = examine_head(name, waivers=reasons, component=component, registry=registry)
    elif component.kind == "modality":
        examination = examine_modality(
            name,
            waivers=reasons,
            samples=samples,
            size=size,
            backbone=backbone,
            component=component,
            registry=registry,
        )
    else:
        examination = examine_backbone(
            name,
            waivers=reasons,
            weights=weights,
            size=size,
            component=component,
            registry=registry,
        )
    report = run_report(examination, show)
    output.emit(report.to_dict())
    counts = [result.outcome for result in report.results]
    summary = ", ".join(
        f"{counts.count(outcome)} {outcome.replace('_', ' ')}" for outcome in dict.fromkeys(counts)
    )
    output.show(f"{component.kind} {report.name} [{component.origin}]: {summary}")
    if not report.ok:
        raise GateError(
            f"{component.kind} {report.name!r}: expected every check to pass. "
            f"Received: failed={', '.join(report.failed)}. Mend it, or waive a check with a "
            f"reason: --waive {report.failed[0]}='…' [{component.origin}]"
        )


command.add_command(new)
command.add_command(check)


def _show(output: Output, result: object) -> None:
    from tfxfer.testing.check import Result

    assert isinstance(result, Result)
    if output.stdout.isatty() and not output.as_json:
        mark = click.style(_MARKS[result.outcome], fg=_COLOURS.get(result.outcome))
        said = escape_controls(f"{result.name:<20} {result.description}")
        click.echo(f"{mark} {said}", file=output.stdout)
    else:
        output.show(f"{result.outcome:<14}  {result.name:<20}  {result.seconds:6.1f} s")
    if result.message and (result.outcome == "failed" or output.verbosity):
        output.print(f"  {result.name}: {result.message}")


def _find(registry: Registry, name: str, kind: str | None) -> Component:
    """Returns the component that a name or `prefix:handle` means."""
    components = registry.list()
    prefix = name.partition(":")[0]
    found = [c for c in components if c.name in (name, prefix) and kind in (None, c.kind)]
    kinds = sorted({c.kind for c in found} & set(_KINDS))
    if found and not kinds:
        other = found[0]
        raise UsageError(
            f"{other.kind} {name!r}: expected {_KITS}, which have a kit. "
            f"Received: a {other.kind} of {other.origin}. Test it with pytest."
        )
    if len(kinds) > 1:
        raise UsageError(
            f"plugin {name!r}: expected --kind, since it names a {' and a '.join(kinds)}. "
            f"Received: none. Add one of: {', '.join(f'--kind {each}' for each in kinds)}"
        )
    if not found:
        names = sorted({c.name for c in components if c.kind in _KINDS})
        raise UnknownPluginError(
            f"no {kind or _KITS.removeprefix('a ')} named {name!r}.{did_you_mean(name, names)} "
            "Of a plugin in this folder: pip install -e . To list all: tfxfer plugins"
        )
    component = next(c for c in found if c.kind in _KINDS)
    if component.status != "ok":
        # Loading says best what is in conflict or missing, and what to do about it.
        registry.load_component(component)
    return component


def _split_waiver(text: str) -> tuple[str, str]:
    name, _, reason = text.partition("=")
    return name.strip(), reason.strip()
