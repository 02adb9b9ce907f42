"""`tfxfer report`: the page of a run."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tfxfer.cli.opening import check_table
from tfxfer.cli.output import Output, tfxfer_command
from tfxfer.errors import RunError

if TYPE_CHECKING:
    from tfxfer.report.writer import WrittenReport
    from tfxfer.run.directory import RunDirectory

__all__ = ["command", "find_reserve", "make_report", "try_report"]

_REPORT_SECONDS = 8.0  # the domain gap was measured before the training
_MOST_OF_BUDGET = 1 / 15


@tfxfer_command("report")
@click.argument("runs", metavar="RUN...", nargs=-1, required=True)
@click.option(
    "--out", metavar="FILE", help="Where the page of a single RUN goes.  [default: RUN/report.html]"
)
@click.option("--overwrite", is_flag=True, help="Replace the file at --out.")
@click.option("--open", "show", is_flag=True, help="Open the page in a browser.")
def command(
    output: Output, *, runs: tuple[str, ...], out: str | None, overwrite: bool, show: bool
) -> None:
    """Make the page of a run: what came of it, why, and what to do next.

    One HTML file, RUN/report.html, that needs no network: a verdict in plain words, how the
    training went, each class, the worst mistakes as pictures, the data, the files for a phone, and
    a model card. A RUN/report.html that is there is made anew, such as after an export.
    """
    if out is not None and len(runs) > 1:
        raise click.UsageError(
            f"--out is the page of a single run. Received: {len(runs)} runs. Leave --out out."
        )
    opened = [_open_run(run) for run in runs]
    check_table(out, "--out", overwrite=overwrite, inputs=_list_inputs(opened[0]) if out else ())
    reports = []
    for run in opened:
        report, document = make_report(output, run, out=out)
        reports.append(document)
        for number, sentence in enumerate(report.content.verdict):
            output.show(f"{'  ' * bool(number)}{sentence.text}")
        output.show(f"report  {report.path}")
        if show:
            click.launch(report.path.resolve().as_uri())
    output.emit({"reports": reports})


def make_report(
    output: Output, run: RunDirectory, *, out: str | None = None, **options: Any
) -> tuple[WrittenReport, dict[str, Any]]:
    """Writes the page of a run, and returns it with what `--json` says of it.

    Args:
        output: of the command.
        run: a finished one.
        out: the file; None is the run's own.
        options: further ones of `report_run`.
    """
    started = time.monotonic()
    with output.starting("reading the run"):
        from tfxfer.job.report import report_run
    with output.quietly(), output.progress() as progress:
        report = report_run(run, out=out, registry=output.registry, progress=progress, **options)
    document = {
        "run": str(run.path),
        "report": str(report.path),
        "bytes": report.size_bytes,
        "seconds": time.monotonic() - started,
        "verdict": [{"text": each.text, "tone": each.tone} for each in report.content.verdict],
        "sections": [section.name for section in report.content.sections],
    }
    return report, document


def find_reserve(budget_seconds: float | None) -> float:
    """Returns the seconds of a budget that the page needs; 0 where it takes too large a part.

    Args:
        budget_seconds: of the whole training; None is no limit, of which nothing is reserved.
    """
    if budget_seconds is None or budget_seconds * _MOST_OF_BUDGET < _REPORT_SECONDS:
        return 0.0
    return _REPORT_SECONDS


def try_report(output: Output, run: RunDirectory, **options: Any) -> Path | None:
    """Writes the page of a run that is done, and returns its path.

    What goes wrong is said, and costs nothing else: then it returns None.
    """
    try:
        report, _ = make_report(output, run, **options)
    except Exception as error:  # noqa: BLE001 - of whatever kind, the training must not end with it
        kind = type(error).__name__
        output.warn(f"no report: {kind}: {error}. The run is done. Try: tfxfer report {run.path}")
        if output.verbosity:
            import traceback

            output.print("".join(traceback.format_exception(error)).rstrip())
        return None
    return report.path


def _open_run(path: str) -> RunDirectory:
    from tfxfer.run.directory import RunDirectory

    run = RunDirectory.open(path)
    status = run.read_manifest().status
    if status != "done":
        raise RunError(
            f"report of run {path!r}: expected a finished training. Received: status={status!r}. "
            f"Go on with it: tfxfer train --resume --out {path}"
        )
    return run


def _list_inputs(run: RunDirectory) -> tuple[str, ...]:
    """Returns what the page is made from, which it must not replace."""
    files = (path for path in run.path.rglob("*") if path != run.report_path)
    data = str(run.read_manifest().request.get("data", ""))
    return (*map(str, files), *([data] if data else []))
