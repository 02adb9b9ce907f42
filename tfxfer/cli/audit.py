"""`tfxfer audit`: what is wrong with labelled samples, before anything is trained on them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tfxfer.cli.options import column_options, seed_option
from tfxfer.cli.output import Output, tfxfer_command
from tfxfer.cli.results import describe_audit
from tfxfer.system.plain_text import escape_controls

if TYPE_CHECKING:
    from tfxfer.job.audit import DataAudit

__all__ = ["command"]

_MOST_CLASSES = 30  # rows that a person reads
_MOST_ERRORS = 10


@tfxfer_command("audit")
@click.argument("data")
@click.option(
    "--backbone",
    help="What looks at the samples; `tfxfer plugins` lists them.  [default: what an installed "
    "distribution declares]",
)
@click.option("--head", help="What the labels mean.  [default: what the installed heads declare]")
@click.option(
    "--weights",
    default="default",
    show_default=True,
    help="Of the backbone: a named source, or the path of a file.",
)
@column_options
@seed_option("Seed for the split.")
@click.option(
    "--out",
    metavar="FOLDER",
    help="Write skipped.csv, split.csv, duplicates.csv and label_errors.csv.",
)
@click.option("--overwrite", is_flag=True, help="Replace the tables at --out.")
@click.option(
    "--no-label-check", is_flag=True, help="Look for no wrong labels, for which a backbone runs."
)
@click.option(
    "--strict", is_flag=True, help="End with exit code 1 where `train --strict` would stop."
)
def command(
    output: Output,
    *,
    data: str,
    backbone: str | None,
    head: str | None,
    weights: str,
    sample_column: str | None,
    label_column: str | None,
    seed: int,
    out: str | None,
    overwrite: bool,
    no_label_check: bool,
    strict: bool,
) -> None:
    """Say what is wrong with labelled samples, without training on them.

    DATA is what `tfxfer train` takes. Shown are its classes and the split, what cannot be used,
    copies, and labels that look wrong: a probe that has not seen a sample takes it for another
    class. Nothing in DATA is changed.
    """
    from tfxfer.data.problems import refuse_problems
    from tfxfer.job.audit import audit_data, check_folder
    from tfxfer.job.prepare import prepare
    from tfxfer.job.request import TrainRequest

    if no_label_check and weights != "default":
        raise click.UsageError("--weights are of the label check. Leave --no-label-check out.")
    if weights == "none":
        raise click.UsageError(
            "--weights none: features of random weights know no classes. Use --no-label-check."
        )
    request = TrainRequest(
        data=data,
        backbone=backbone or output.registry.default("backbone"),
        head=head,
        # The weights are for the label check alone, and may be a download.
        weights="none" if no_label_check else weights,
        seed=seed,
        sample_column=sample_column,
        label_column=label_column,
    )
    with output.progress() as progress:
        prepared = prepare(request, registry=output.registry, progress=progress)
    check_folder(out, overwrite=overwrite)
    if not no_label_check:
        with output.starting("importing TensorFlow"):
            import tfxfer.trust.label_search  # noqa: F401
    with output.quietly(), output.progress() as progress:
        found = audit_data(prepared, check_labels=not no_label_check, progress=progress)
    written: list[str] = []
    if out is not None:
        written = [str(Path(out) / name) for name in found.write_tables(Path(out))]
    output.emit({"data": data, **found.to_dict(), "files": written})
    for line in describe_audit(found.data):
        output.show(line)
    _show_classes(output, found)
    lengths = found.data.audit.lengths
    if lengths is not None:
        plural = prepared.modality.plural
        output.show_table((lengths.unit.upper(), plural.upper(), ""), lengths.draw())
    _show_labels(output, found)
    if written:
        output.show(f"files  {', '.join(written)}")
    if strict:
        refuse_problems(found.data.audit)


def _show_classes(output: Output, found: DataAudit) -> None:
    if not found.classes:
        return
    data = found.data
    shown = data.labels if output.verbosity else data.labels[:_MOST_CLASSES]
    parts = ("train", "val", "test")
    rows = [
        (escape_controls(x), *(f"{found.classes[name].get(x, 0):,}" for name in parts))
        for x in shown
    ]
    output.show_table(("CLASS", "TRAIN", "VAL", "TEST"), rows)
    if len(shown) < len(data.labels):
        output.show(f"and {len(data.labels) - len(shown):,} more: -v lists them")


def _show_labels(output: Output, found: DataAudit) -> None:
    from tfxfer.trust.label_errors import describe_label_errors

    errors: Any = found.label_errors
    if errors is None:
        output.show(f"labels were not checked: {found.reason}")
        return
    words = describe_label_errors(errors)
    if words is None:
        output.show("no label looks wrong")
        return
    output.show(words)
    sure = [error for error in errors if error.confident]
    shown = sure if output.verbosity else sure[:_MOST_ERRORS]
    if len(sure) > 1:
        rows = [
            (
                *map(escape_controls, (x.path, x.label, x.suggested)),
                f"{x.suggested_score:.2f}",
                f"{x.label_score:.2f}",
            )
            for x in shown
        ]
        output.show_table(("SAMPLE", "LABEL", "LOOKS LIKE", "SCORE", "OF LABEL"), rows)
    if len(shown) < len(sure):
        output.show(f"and {len(sure) - len(shown):,} more: -v lists them, --out writes all")
