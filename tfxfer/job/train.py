"""The whole job of `tfxfer train`: samples, model, phases, test, run directory."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tfxfer.backbone import BACKBONE_END
from tfxfer.data.audit_file import write_audit
from tfxfer.data.feed import SplitSource
from tfxfer.data.loading import load_samples
from tfxfer.data.samples import SampleData
from tfxfer.device import prepare_device
from tfxfer.errors import DataError, RunError, StorageError
from tfxfer.frontier.cut import stage_shape
from tfxfer.frontier.fill import Conversion
from tfxfer.frontier.shelf import Shelf
from tfxfer.frontier.store import CacheStore
from tfxfer.job.adapt import adapt_model, check_adaptable, read_target, record_target
from tfxfer.job.align import Aligning, check_aligned
from tfxfer.job.baselines import train_baselines
from tfxfer.job.checkpoint import Checkpoints
from tfxfer.job.choice import Clock, choose_training, recall_training
from tfxfer.job.domain_source import split_fractions
from tfxfer.job.domains import check_domains, record_domain_tests, weigh_samples
from tfxfer.job.fair import check_request_fair, list_watched_groups, make_fair
from tfxfer.job.fitting import Fitting, build
from tfxfer.job.gap_check import store_gap
from tfxfer.job.keep import Keeping, record_forgetting
from tfxfer.job.label_check import LabelCheck, plan_seconds
from tfxfer.job.place import find_shelf
from tfxfer.job.plan_text import PlanLine, describe_plan
from tfxfer.job.prepare import Prepared, check_apart, check_place, find_earlier_split
from tfxfer.job.record import RunRecord, describe_start
from tfxfer.job.request import TrainRequest
from tfxfer.job.result import write_result
from tfxfer.job.room import check_room, list_needs
from tfxfer.job.statistics import check_statistics, keep_statistics
from tfxfer.job.style import read_style, record_style
from tfxfer.job.unlabelled import check_same_unlabelled, digest_unlabelled
from tfxfer.progress import Progress
from tfxfer.run.assets import write_assets
from tfxfer.run.directory import RunDirectory
from tfxfer.run.manifest import Manifest
from tfxfer.run.seals import check_sealed
from tfxfer.schedule import FitState
from tfxfer.stages import freeze_to
from tfxfer.training.finite import NotFiniteError
from tfxfer.training.plan import FitPlan, plan_fit
from tfxfer.trust.course import Finding
from tfxfer.trust.watch import Watch

__all__ = ["RESERVE_SECONDS", "train_run"]

RESERVE_SECONDS = 5.0
"""Of a budget, for saving the model and what is said of it."""


def train_run(
    prepared: Prepared,
    out: str | Path,
    *,
    overwrite: bool = False,
    resume: bool = False,
    started: float | None = None,
    callbacks: Sequence[Any] = (),
    progress: Progress | None = None,
    on_plan: Callable[[list[PlanLine]], None] | None = None,
    on_audit: Callable[[SampleData], None] | None = None,
    on_model: Callable[[Any], None] | None = None,
    reserve_seconds: float = 0.0,
    on_finding: Callable[[str], None] | None = None,
) -> RunDirectory:
    """Trains, tests and saves; the run directory holds everything after.

    Args:
        prepared: what to train, from `prepare`.
        out: the run directory.
        overwrite: replace a run that is there.
        resume: go on where the run that is there stopped, at the last epoch that it kept;
            `prepared` is then of what that run was asked for, with the data or the caches in
            another place if need be. A run that is done is returned as it is, unless its model is
            gone: then that is made again.
        started: `time.monotonic()` from which a budget counts; None is now.
        callbacks: Keras callbacks.
        progress: told how far long work is.
        on_plan: gets what is about to happen.
        on_audit: gets the samples, audited and split.
        on_model: gets the Keras model once the run is done.
        reserve_seconds: of a budget, for what is done with the run afterwards.
        on_finding: gets a line on each thing that goes wrong in the training.

    Raises:
        TfxferError: see the parts: data, plugins, weights, schedule, device, run.
    """
    begin = functools.partial(
        _train, prepared, Path(out), overwrite=overwrite,
        started=time.monotonic() if started is None else started, callbacks=callbacks,
        progress=progress, on_plan=on_plan, on_audit=on_audit, on_model=on_model,
        reserve_seconds=reserve_seconds, on_finding=on_finding,
    )  # fmt: skip
    check_apart(prepared.request, out)
    if not resume:
        check_place(out, overwrite=overwrite)
        return begin(None)
    run = RunDirectory.open(out)
    if run.is_whole():
        return run
    with run.lock():
        # Another process may have finished it meanwhile.
        return run if run.is_whole() else begin(run)


def _train(
    prepared: Prepared,
    out: Path,
    run: RunDirectory | None,
    *,
    overwrite: bool,
    started: float,
    callbacks: Sequence[Any],
    progress: Progress | None,
    on_plan: Callable[[list[PlanLine]], None] | None,
    on_audit: Callable[[SampleData], None] | None,
    on_model: Callable[[Any], None] | None,
    reserve_seconds: float,
    on_finding: Callable[[str], None] | None,
) -> RunDirectory:
    """Does what `train_run` says; of a run to go on with, the lock is held."""
    manifest = None
    if run is not None:
        manifest = run.read_manifest()
        # Where the samples and the caches are may be another place than it was.
        before = find_shelf(out, TrainRequest.from_dict(manifest.request).cache_dir)
        if before != find_shelf(out, prepared.request.cache_dir):
            Shelf(before).clear()
        manifest = replace(manifest, request=asdict(prepared.request))
        if manifest.status == "done":
            # Its model is lost: what is known of that is no word on the next one.
            manifest = replace(
                manifest, metrics={}, sha256=_keep(manifest.sha256, run.split_path.name), exports=()
            )
    request = prepared.request
    # Interrupted before it was written: the same seed and earlier run give the same split again.
    split_file = None
    if run is not None and run.split_path.is_file():
        split_file = check_sealed(run, run.split_path)
    device = prepare_device(request.device)
    least_size = prepared.least_size
    if manifest is not None and manifest.size is not None:
        prepared, least_size = prepared.at_size(manifest.size), None
    data = load_samples(
        prepared.source,
        modality=prepared.modality,
        head=prepared.head,
        size=prepared.size,
        contract=prepared.backbone.preprocessing,
        seed=request.seed,
        fractions=split_fractions(request),
        strict=request.strict,
        split_file=split_file,
        split_from=find_earlier_split(request.split_from) if split_file is None else None,
        earlier=None if prepared.earlier is None else prepared.earlier.known,
        least_size=least_size,
        domain=prepared.domain,
        progress=progress,
    )
    prepared = prepared.at_size(data.train.size)
    if manifest is not None:
        _check_same_data(out, manifest, data)
    if on_audit is not None:
        on_audit(data)
    _check_parts(data)
    check_domains(prepared, data, run)
    check_request_fair(request, data, prepared.head)
    check_statistics(prepared, data)
    target = read_target(prepared, data, progress)
    style = read_style(prepared, data, progress)
    unlabelled = {
        **({} if target is None else {"--target": digest_unlabelled(target.samples.fingerprints)}),
        **({} if style is None else {"--style": style.digest}),
    }
    if manifest is not None:
        check_same_unlabelled(out, manifest, unlabelled)
    _say(progress, "building the model")
    model = build(prepared, data)
    check_adaptable(request, model)
    keeping = Keeping.begin(prepared, data, model, progress)
    aligning = Aligning.begin(request, model, data, target, progress)
    _say(progress, "measuring this machine")
    clock = Clock(request.budget_seconds, started, RESERVE_SECONDS + reserve_seconds)
    conversion = Conversion()
    features = stage_shape(model, BACKBONE_END)[-1]
    label_seconds = plan_seconds(request, data, prepared.head, features)
    if manifest is not None:
        choice = recall_training(manifest)
    else:
        planned = replace(clock, reserve_seconds=clock.reserve_seconds + label_seconds)
        choice = choose_training(
            prepared, data, model, planned, conversion,
            companions=0 if aligning is None else len(aligning.samples),
        )  # fmt: skip
    _say(progress, "measuring this machine", is_done=True)
    planned_shelf = Shelf(find_shelf(out, request.cache_dir))
    store = CacheStore(shelf=planned_shelf)
    plan = plan_fit(
        model,
        choice.schedule,
        images=len(data.train),
        views=choice.views,
        val=len(data.val),
        store=store,
        cache=request.cache,
        input_itemsizes=SplitSource(data.train).itemsizes,
        companions=0 if aligning is None else len(aligning.samples),
    )
    check_aligned(request, plan)
    if manifest is not None:
        _check_same_plan(out, manifest, plan)
    check_room(list_needs(model, plan, out, held_bytes=planned_shelf.count_bytes()))
    if run is None:
        # From here on nothing that was asked for can be at fault: an earlier run may go.
        run = RunDirectory.create(out, overwrite=overwrite)
    # A run that goes on is locked already.
    lock = run.lock() if manifest is None else contextlib.nullcontext()
    with lock, store:
        # Not before the lock is held: until then it may be another process's.
        shelf = store.shelf = Shelf(find_shelf(out, request.cache_dir), run=out)
        if manifest is None:
            shelf.clear()  # of an earlier run at this place
        shelf.open()
        if on_plan is not None:
            late, better = not choice.fits, choice.next_seconds
            chooses = prepared.head.monitor.can_choose(len(data.val))
            on_plan(
                describe_plan(
                    plan, request, device, choice.seconds, late=late, better=better,
                    advice=prepared.backbone.fine_tuning,
                    few=None if chooses else len(data.val), shots=prepared.shots,
                )
            )  # fmt: skip
        record = RunRecord(
            run, manifest or describe_start(prepared, data, device, plan, unlabelled)
        )
        checkpoints = Checkpoints(run)
        try:
            # After the manifest: whatever is interrupted from here on, `--resume` goes on with.
            write_assets(run, prepared.modality.list_assets(data.train.contract))
            data.write_split(run.split_path)
            record.seal(run.split_path.name)
            data.write_slices(run.slices_path)
            run.write_skipped(data.audit.list_left_out())
            if split_file is None:  # else its near copies are known already, and not looked for
                write_audit(run.audit_path, data.audit)
            run.write_labels(data.labels)
            # Of the network as it begins: a snapshot has trained it.
            data = weigh_samples(run, prepared, model, data, target, progress, on_finding)
            snapshot = None if manifest is None else checkpoints.restore(model)
            if snapshot is None and choice.gap_seconds:
                store_gap(run, data, model, progress=progress, on_fault=on_finding)
            deadline = clock.find_deadline(model, data, choice.read_seconds)
            # What an epoch showed that is run again is shown again.
            reached = 0 if snapshot is None else snapshot.epochs
            earlier = tuple(x for x in record.manifest.findings if x["epoch"] < reached)
            if earlier != record.manifest.findings:
                record.update(findings=earlier)

            def tell(line: str) -> None:
                found = [each.to_dict() for each in watch.findings]
                others = (each for each in earlier if each not in found)
                record.update(findings=(*others, *found))
                if on_finding is not None:
                    on_finding(line)

            look = LabelCheck(run, request, data, prepared.head, progress)
            watch = Watch(
                request.on_collapse,
                validation=data.val,
                groups=list_watched_groups(request, data, prepared.head),
                tell=tell,
            )
            fitting = Fitting(
                prepared, data, store, conversion, device, (*callbacks, watch), progress,
                deadline=deadline, last_seconds=choice.last_seconds,
                on_features=look if label_seconds else None, keeping=keeping, aligning=aligning,
                style=style,
            )  # fmt: skip

            def keep(network: Any, reached: FitState) -> None:
                checkpoints.keep_phase(network, reached)
                record.write_phases(reached)

            try:
                state = fitting.run(
                    model, plan, snapshot=snapshot,
                    on_phase_end=keep, on_epoch_end=checkpoints.keep_epoch,
                )  # fmt: skip
            except NotFiniteError as error:
                if not error.state.records:
                    raise  # there is no epoch to keep
                state = error.state
                ended = Finding(
                    "not_finite", error.epoch, error.what, error.advice, error.phase, "stop"
                )
                record.update(findings=(*record.manifest.findings, ended.to_dict()))
                if on_finding is not None:
                    on_finding(ended.describe())
            if keeping is not None:
                model = keeping.finish(model, lambda: build(prepared, data))
            keep_statistics(run, prepared, model, data, progress)
            make_fair(run, request, model, data, progress)
            record_style(run, style, model, plan)
            adapt_model(run, request, model, data, target, progress)
            _say(progress, "saving the model")
            freeze_to(model, None, batch_norm=True)
            record.write_phases(state)
            scores = write_result(
                run, record, data, model, progress, seed=request.seed, calibrate=request.calibrate
            )
            record_domain_tests(run, prepared, data, scores)
            record_target(record, model, target, progress, seed=request.seed)
            record_forgetting(run, prepared, data, model, progress)
            if keeping is not None:
                keeping.store(run, model, data, seed=request.seed, progress=progress)
            if request.baselines:
                baselines = train_baselines(
                    request.baselines, prepared=prepared, data=data, state=state, model=model,
                    metrics=record.manifest.metrics["test"], views=choice.views, device=device,
                    progress=progress,
                )  # fmt: skip
                baselines.write(run.trust)
            record.update(status="done")
            checkpoints.remove()
            shelf.clear()
        except BaseException:
            # What goes on its way up is why it ended; a disk that is full must not hide it.
            with contextlib.suppress(OSError):
                checkpoints.save_pending()
            record.mark_interrupted()
            raise
    if on_model is not None:
        on_model(model)
    return run


def _check_parts(data: SampleData) -> None:
    counts = {split.name: len(split) for split in (data.train, data.val, data.test)}
    if not all(counts.values()):
        received = ", ".join(f"{count:,} in {name}" for name, count in counts.items())
        plural = data.train.modality.plural
        raise DataError(
            f"data: expected {plural} to learn from, to choose the best epoch with and to test "
            f"with. Received: {received}. Add {plural}."
        )


def _check_same_data(out: Path, manifest: Manifest, data: SampleData) -> None:
    before = manifest.data
    if before is not None and before.fingerprint != data.fingerprint:
        raise RunError(
            f"run {str(out)!r}: expected the {data.train.modality.plural} it was started with. "
            "Received: other files or labels. Train anew with another --out."
        )


def _keep(seals: Mapping[str, str], name: str) -> dict[str, str]:
    return {name: seals[name]} if name in seals else {}


def _check_same_plan(out: Path, manifest: Manifest, plan: FitPlan) -> None:
    """Refuses to go on with other phases cached: their networks are others, and so is the end."""
    for before, now in zip(manifest.planned_phases(), plan.phases, strict=True):
        if before.cached and not now.cached:
            raise StorageError(
                f"run {str(out)!r}: expected room to cache phase {now.phase.name!r}, as when it "
                "was begun. Received: a disk with less. Free some space, or name another folder: "
                "--cache-dir"
            )


def _say(progress: Progress | None, what: str, *, is_done: bool = False) -> None:
    """Names work of which nobody knows how far it is, or its end."""
    if progress is not None:
        progress(what, int(is_done), int(is_done))
