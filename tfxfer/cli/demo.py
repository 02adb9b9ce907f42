"""`tfxfer demo`: the whole job on real photos that come from pip."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import click

from tfxfer.cli.output import Output, tfxfer_command
from tfxfer.cli.report import try_report
from tfxfer.cli.results import quote
from tfxfer.cli.train import run_training
from tfxfer.cli.train_options import shared_options
from tfxfer.errors import ContractError, GateError, PluginConflictError, PluginImportError

__all__ = ["command"]


@tfxfer_command("demo")
@click.option("--out", default="runs/demo", show_default=True, help="Folder of the run.")
@click.option(
    "--data",
    type=click.Choice(["elpv", "digits"]),
    default="elpv",
    show_default=True,
    help="Photos of solar cells (CC BY-NC-SA), or scikit-learn's digits.",
)
@click.option(
    "--force", is_flag=True, help="Exit with 0, too, where the model is no better than chance."
)
@shared_options
def command(
    output: Output,
    *,
    out: str,
    data: str,
    force: bool,
    overwrite: bool,
    no_report: bool,
    **options: Any,
) -> None:
    """Train on real images from pip, and export for a phone: the whole job in one line.

    EfficientNet-Lite0 and its weights came with pip, too: it needs no network. The run at --out is
    replaced if it is an earlier demo's. A --budget is that of the training; the export and the
    report come after it.
    """
    started = time.monotonic()
    from tfxfer.job.demo import demo_request, demo_source, is_demo_run
    from tfxfer.run.directory import RunDirectory

    export = _find_exporter(output)
    source = demo_source(data)
    for line in source.remarks:
        output.print(line)
    document = run_training(
        output,
        demo_request(data, source, backbone=output.registry.default("backbone"), options=options),
        out,
        started=started,
        overwrite=overwrite or is_demo_run(out),
        source=source.source,
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
        except GateError:
            report()
            raise
        finally:
            output.emit(RunDirectory.open(out).read_manifest().to_dict())
        report()
        model = next(x["path"] for x in made["candidates"] if x["recipe"] == made["chosen"])
    output.print(f"took {time.monotonic() - started:.0f} s in all")
    output.show(f"try it:  {quote('tfxfer', 'predict', model, source.example)}")
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
