"""`tfxfer demo`: the whole job on real samples that come from pip."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any

import click

from tfxfer.cli.output import Output, Session, tfxfer_command
from tfxfer.cli.report import try_report
from tfxfer.cli.results import quote
from tfxfer.cli.train import run_training
from tfxfer.cli.train_options import shared_options
from tfxfer.errors import (
    ContractError,
    GateError,
    PluginConflictError,
    PluginImportError,
    TfxferError,
)
from tfxfer.registry.lookup import default_registry

__all__ = ["command"]


class _DemoOption(click.Option):
    """An option whose help lists the demos that are installed, imported or not."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        record = super().get_help_record(ctx)
        session = ctx.find_root().obj
        registry = session.registry if isinstance(session, Session) else default_registry()
        names = dict.fromkeys(component.name for component in registry.list("demo"))
        if record is None or not names:
            return record
        return record[0], f"{record[1]}  [installed: {', '.join(names)}]"


@tfxfer_command("demo")
@click.option("--out", default="runs/demo", show_default=True, help="Folder of the run.")
@click.option(
    "--data",
    metavar="NAME",
    cls=_DemoOption,
    help="Which samples; tfxfer itself brings elpv, photos of solar cells (CC BY-NC-SA), and "
    "digits of scikit-learn.  [default: what an installed distribution declares]",
)
@click.option(
    "--force", is_flag=True, help="Exit with 0, too, where the model is no better than chance."
)
@shared_options
def command(
    output: Output,
    *,
    out: str,
    data: str | None,
    force: bool,
    overwrite: bool,
    break_lock: bool,
    no_report: bool,
    **options: Any,
) -> None:
    """Train on real samples from pip, and export for a phone: the whole job in one line.

    EfficientNet-Lite0, its weights and the photos came with pip, too: without --data it needs no
    network. The run at --out is replaced if it is an earlier demo's. A --budget is that of the
    training; the export and the report come after it.
    """
    started = time.monotonic()
    from tfxfer.job.demo import demo_request, demo_source, is_demo_run
    from tfxfer.run.directory import RunDirectory

    if break_lock:
        RunDirectory(out).break_lock()
    export = _find_exporter(output)
    name = data or output.registry.default("demo")
    demo = output.registry.load_demo(name)
    request = demo_request(demo, registry=output.registry, options=options)
    with output.progress() as progress:
        found = demo_source(name, registry=output.registry, progress=progress)
    for line in found.remarks:
        output.print(line)
    document = run_training(
        output,
        request,
        out,
        started=started,
        overwrite=overwrite or is_demo_run(out),
        source=found.source,
        suggest=False,
        with_report=False,
    )

    def report() -> None:
        page = None if no_report else try_report(output, RunDirectory.open(out))
        if page is not None:
            output.show(f"report  {page}")

    model = out
    if export is None:
        output.emit(document)
        report()
        output.print("a file for the phone takes tfxfer-edge: pip install tfxfer-edge")
    else:
        try:
            # A result at chance is shown with all of it before the demo ends with 3.
            made = export(output, out, quick=True, force=True)
        except BaseException as error:
            # A run that cannot be read any more must not hide why the export ended.
            with contextlib.suppress(TfxferError):
                output.emit(RunDirectory.open(out).read_manifest().to_dict())
            if isinstance(error, GateError):
                report()
            raise
        output.emit(RunDirectory.open(out).read_manifest().to_dict())
        report()
        model = next(x["path"] for x in made["candidates"] if x["recipe"] == made["chosen"])
    output.print(f"took {time.monotonic() - started:.0f} s in all")
    output.show(f"try it:  {quote('tfxfer', 'predict', model, found.example)}")
    if document["warnings"] and not force:
        raise GateError(
            f"demo: expected a model that is better than chance. Received: "
            f"{document['warnings'][0]['message']}. All of it is in {out!r}; --force ends with 0."
        )


def _find_exporter(output: Output) -> Callable[..., dict[str, Any]] | None:
    """Returns what exports; found before minutes of training."""
    offered = output.registry.list("exporter")
    names = sorted({component.name for component in offered})
    if len(names) > 1:
        listed = ", ".join(f"{component.name} ({component.origin})" for component in offered)
        raise PluginConflictError(
            f"demo: expected one exporter. Received: {listed}. Uninstall all but one."
        )
    if not names:
        return None
    try:
        return output.registry.load_exporter(names[0])
    except (ContractError, PluginImportError) as error:
        # The training does not need it.
        output.warn(f"no export: {error}")
        return None
