"""`tfxfer gap`: how far samples are from what a backbone knows, or from other samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tfxfer.cli.opening import check_table
from tfxfer.cli.options import column_options, seed_option, size_option
from tfxfer.cli.output import Output, tfxfer_command
from tfxfer.errors import ModelError
from tfxfer.system.keras_settings import check_keras_settings

if TYPE_CHECKING:
    from tfxfer.data.columns import Columns
    from tfxfer.registry.lookup import Registry
    from tfxfer.run.directory import RunDirectory
    from tfxfer.trust.profile import GapProfile
    from tfxfer.trust.subject import Subject

__all__ = ["command"]

_BAR_CHARACTERS = 24
_BAR_END = 0.8  # noise; what is farther gets no longer bar, but a plus


@tfxfer_command("gap")
@click.argument("data")
@click.argument("other", required=False)
@click.option(
    "--backbone",
    help="Name of a backbone; `tfxfer plugins` lists them.  [default: what an installed "
    "distribution declares; of a run its own]",
)
@column_options
@size_option
@click.option(
    "--images",
    type=click.IntRange(2, 1024),
    default=256,
    show_default=True,
    help="How many samples of each set are drawn at random.",
)
@click.option("--weights", help="Named source, or path of a file.  [default: the backbone's first]")
@seed_option("Seed for the draw of the samples and for the intervals.")
@click.option("--csv", "table", metavar="FILE.csv", help="Write the distances, a row per stage.")
@click.option("--overwrite", is_flag=True, help="Replace the file at --csv.")
def command(
    output: Output,
    *,
    data: str,
    other: str | None,
    backbone: str | None,
    sample_column: str | None,
    label_column: str | None,
    size: int | None,
    images: int,
    weights: str | None,
    seed: int,
    table: str | None,
    overwrite: bool,
) -> None:
    """Say how far samples are from what a backbone was trained on, or from other samples.

    DATA is a folder of samples, at any depth and without labels, a CSV, or a run: then its samples
    and its backbone are taken. With OTHER the two sets are also compared with each other, such as
    what a model was trained on with what it sees now.
    """
    from tfxfer.data.columns import Columns
    from tfxfer.trust.subject import open_run_subject, open_subject
    from tfxfer.trust.subset import draw_subset

    # Before Keras starts, which takes long: a slip of the finger is told at once.
    check_keras_settings()
    named = [data] if other is None else [data, other]
    check_table(table, "--csv", overwrite=overwrite, inputs=tuple(named))
    registry = output.registry
    run = _find_run(data)
    if run is None:
        name = backbone or registry.default("backbone")
        subject = open_subject(name, weights=weights or "default", size=size, registry=registry)
    else:
        _refuse_options(run, {"--backbone": backbone, "--size": size, "--weights": weights})
        subject = open_run_subject(run, registry=registry)
    called = Columns(sample_column, label_column)
    sources = [_find_source(name, subject, called, run, registry) for name in named]
    with output.progress() as progress:
        subsets = [
            draw_subset(
                source,
                modality=subject.modality,
                contract=subject.contract,
                count=images,
                seed=seed + number,
                progress=progress,
            )
            for number, source in enumerate(sources)
        ]
    for remark in dict.fromkeys(line for subset in subsets for line in subset.remarks):
        output.print(remark)
    with output.starting(f"importing TensorFlow, building {subject.backbone.name}"):
        from tfxfer.trust.gap import profile_moments, read_moments
        from tfxfer.trust.moments import explain_missing
        from tfxfer.trust.set_gap import make_set_gap

        model = subject.build()
        reason = explain_missing(model)
    if reason and other is None:
        output.emit(profile_moments(model, None, reason=reason, seed=seed).to_dict())
        named_backbone = f" --backbone {subject.backbone.name}" if run is None else ""
        raise ModelError(
            f"{reason}. Expected another backbone or weights, or a second set: tfxfer gap "
            f"{data} OTHER{named_backbone}"
        )
    with output.quietly(), output.progress() as progress:
        moments = [read_moments(model, x, images=images, progress=progress) for x in subsets]
        with progress.waiting("computing distances"):
            profiles = [profile_moments(model, x, reason=reason, seed=seed) for x in moments]
            between = None
            if len(moments) == 2:
                first, second = (x.features for x in moments)
                between = make_set_gap(first, second, backbone=profiles[0].backbone, seed=seed)
    if run is not None:
        profiles[0].write(run.trust)
    if reason:
        output.print(*_describe(profiles[0], subject))
    else:
        for name, profile in zip(named, profiles, strict=True):
            _show_verdict(output, name, profile, subject)
        if other is None:
            _show_stages(output, profiles[0])
        else:
            _show_both(output, _tell_apart(named), profiles)
    if between is None:
        output.emit({**profiles[0].to_dict(), "verdict": _describe(profiles[0], subject)})
    else:
        verdict = between.describe(*_tell_apart(named))
        output.show(verdict)
        sets = {key: x.to_dict() for key, x in zip(("a", "b"), profiles, strict=True)}
        output.emit({**between.to_dict(), "verdict": verdict, **sets})
    if table is not None:
        from tfxfer.system.files import write_table

        columns = ("data", "stage", "depth", "distance", "low", "high")
        write_table(table, list(_list_rows(named, profiles)), columns=columns)


def _find_run(data: str) -> RunDirectory | None:
    from tfxfer.run.directory import RunDirectory

    return RunDirectory.open(data) if (Path(data) / "run.json").is_file() else None


def _refuse_options(run: RunDirectory, options: dict[str, Any]) -> None:
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise click.UsageError(
            f"run {str(run.path)!r}: expected no {', '.join(given)}, which a run knows itself. "
            "Leave that out, or give the folder of the samples."
        )


def _find_source(
    name: str,
    subject: Subject,
    columns: Columns,
    other: RunDirectory | None,
    registry: Registry,
) -> Any:
    """Returns the samples that a word means: those of a run, or those at a path."""
    from tfxfer.inference.own_run import remember_columns
    from tfxfer.job.demo import stored_source
    from tfxfer.trust.subject import read_run_source
    from tfxfer.trust.subset import locate_samples

    run = _find_run(name)
    if run is not None:
        stored = stored_source(str(run.read_manifest().request.get("data", "")), registry)
        return read_run_source(run, subject.modality, stored)
    if other is not None:  # what is held against a run's samples is mostly of their kind
        columns = columns.or_else(remember_columns(other.path))
    return list(locate_samples(name, subject.modality, columns) or ())


def _describe(profile: GapProfile, subject: Subject) -> tuple[str, ...]:
    from tfxfer.trust.profile import describe_profile

    return describe_profile(profile, subject.modality.landmarks)


def _show_verdict(output: Output, name: str, profile: GapProfile, subject: Subject) -> None:
    plural, size = subject.modality.plural, f"{profile.size} {subject.modality.size_unit}".strip()
    output.show(
        f"{name}, {profile.images:,} {plural}: distance from what {profile.backbone} "
        f"({profile.weights}, {size}) was trained on"
    )
    for line in _describe(profile, subject):
        output.show(line)


def _show_stages(output: Output, profile: GapProfile) -> None:
    rows = [
        (
            stage.name,
            f"{stage.depth:.2f}",
            f"{stage.distance:.3f}",
            f"{stage.low:.3f} to {stage.high:.3f}",
            _draw_bar(stage.distance),
        )
        for stage in profile.stages
    ]
    output.show_table(("STAGE", "DEPTH", "DISTANCE", "95 %", ""), rows)


def _show_both(output: Output, names: Sequence[str], profiles: Sequence[GapProfile]) -> None:
    rows = [
        (
            one.name,
            f"{one.depth:.2f}",
            *(f"{stage.distance:.3f}  {_draw_bar(stage.distance)}" for stage in (one, other)),
        )
        for one, other in zip(profiles[0].stages, profiles[1].stages, strict=True)
    ]
    output.show_table(("STAGE", "DEPTH", *names), rows)


def _draw_bar(distance: float) -> str:
    length = round(distance / _BAR_END * _BAR_CHARACTERS)
    return "#" * min(length, _BAR_CHARACTERS) + "+" * (length > _BAR_CHARACTERS)


def _tell_apart(names: Sequence[str]) -> tuple[str, ...]:
    """Returns the last parts of two paths, or the paths where those are equal."""
    short = tuple(Path(name).name or name for name in names)
    return tuple(names) if len(set(short)) < len(short) else short


def _list_rows(names: Sequence[str], profiles: Sequence[GapProfile]) -> Iterator[dict[str, Any]]:
    for name, profile in zip(names, profiles, strict=True):
        for stage in profile.stages:
            yield {
                "data": name,
                "stage": stage.name,
                "depth": round(stage.depth, 4),
                "distance": stage.distance,
                "low": stage.low,
                "high": stage.high,
            }
