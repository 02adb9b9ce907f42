"""The whole job of `tfxfer train`: images, model, phases, test, run directory."""

from __future__ import annotations

import contextlib
import io
import json
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfxfer.data.sources import Source
from tfxfer.errors import DataError, RunError
from tfxfer.manifest import (
    DataSummary,
    Manifest,
    PhaseRecord,
    WeightsUsed,
    collect_versions,
)
from tfxfer.plan_text import PlanLine, describe_plan
from tfxfer.progress import Progress
from tfxfer.request import TrainRequest, check_place, check_request
from tfxfer.run import RunDirectory
from tfxfer.schedule import Phase, resolve_schedule
from tfxfer.storage import atomic_write, to_json

if TYPE_CHECKING:
    from tfxfer.data import ImageData
    from tfxfer.device import Device
    from tfxfer.head import Head
    from tfxfer.model import ModelInfo
    from tfxfer.plan import FitPlan
    from tfxfer.training import FitState

__all__ = ["train_run"]

_STATE = "state.json"
_RESERVE_SECONDS = 5.0  # saving the model and the report of a budgeted run


def train_run(
    request: TrainRequest,
    out: str | Path,
    *,
    source: Source | None = None,
    overwrite: bool = False,
    resume: bool = False,
    started: float | None = None,
    callbacks: Sequence[Any] = (),
    progress: Progress | None = None,
    on_plan: Callable[[list[PlanLine]], None] | None = None,
    on_audit: Callable[[ImageData], None] | None = None,
) -> RunDirectory:
    """Trains, tests and saves; the run directory holds everything after.

    Args:
        request: what to train.
        out: the run directory.
        source: images listed already; None reads `request.data`.
        overwrite: replace a run that is there.
        resume: go on after the last finished phase of the run that is there; `request` is then
            what that run was asked for. A run that is done is returned as it is.
        started: `time.monotonic()` from which a budget counts; None is now.
        callbacks: Keras callbacks.
        progress: told how far long work is.
        on_plan: gets what is about to happen.
        on_audit: gets the images, audited and split.

    Raises:
        TfxferError: see the parts: data, plugins, weights, schedule, device, run.
    """
    started = time.monotonic() if started is None else started
    out = Path(out)
    run = RunDirectory.open(out) if resume else None
    if run is None:
        check_place(out, overwrite=overwrite)
    elif run.read_manifest().status == "done":
        return run
    # Everything that can be wrong with the request is found before an image is read.
    backbone, head, schedule = check_request(request)
    request = request.with_absolute_paths(backbone.weights)

    from tfxfer.device import prepare_device

    device = prepare_device(request.device)

    from tfxfer.data import load_images

    data = load_images(
        request.data if source is None else source,
        head=head,
        image_size=request.image_size or backbone.default_image_size,
        resize=backbone.preprocessing.resize,
        seed=request.seed,
        strict=request.strict,
        # Interrupted before it was written: the seed gives the same split again.
        split_file=run.split_path if run is not None and run.split_path.is_file() else None,
        progress=progress,
    )
    if run is not None:
        _check_same_data(run, data)
    if on_audit is not None:
        on_audit(data)
    _check_parts(data)
    job = _Job(request, data, head, device, started)
    job.build(backbone)
    if run is None:
        job.choose(schedule)
        # From here on nothing that was asked for can be at fault: an earlier run may go.
        run = RunDirectory.create(out, overwrite=overwrite)
    with run.lock():
        try:
            job.train(run, callbacks, progress, on_plan, resume=resume)
        except BaseException:
            job.mark_interrupted()
            raise
    return run


def _check_parts(data: ImageData) -> None:
    counts = {split.name: len(split) for split in (data.train, data.val, data.test)}
    if not all(counts.values()):
        received = ", ".join(f"{count:,} in {name}" for name, count in counts.items())
        raise DataError(
            "data: expected images to learn from, to choose the best epoch with and to test with. "
            f"Received: {received}. Add images."
        )


def _check_same_data(run: RunDirectory, data: ImageData) -> None:
    before = run.read_manifest().data
    if before is not None and before.fingerprint != data.fingerprint:
        raise RunError(
            f"run {str(run.path)!r}: expected the images it was started with. Received: other "
            "files or labels. Train anew with another --out."
        )


class _Job:
    """One run while it is trained: keeps `run.json` true after every step."""

    run: RunDirectory
    model: Any

    def __init__(
        self,
        request: TrainRequest,
        data: ImageData,
        head: Head,
        device: Device,
        started: float,
    ) -> None:
        self.request, self.data = request, data
        self.head, self.device, self.started = head, device, started
        self.manifest: Manifest | None = None
        self.schedule: tuple[Phase, ...] = ()
        self.views = 1
        self.expected_seconds: float | None = None
        self.fits = True
        self.read_seconds = 0.0

    def build(self, backbone: Any) -> None:
        """Makes the untrained model; nothing is written yet."""
        from tfxfer.model import build_model

        self.model = build_model(
            backbone,
            labels=self.data.labels,
            head=self.head,
            image_size=self.request.image_size,
            weights=self.request.weights,
            targets=self.data.train.targets,
            seed=self.request.seed,
        )

    def train(
        self,
        run: RunDirectory,
        callbacks: Sequence[Any],
        progress: Progress | None,
        on_plan: Callable[[list[PlanLine]], None] | None,
        *,
        resume: bool,
    ) -> None:
        """Trains into a run whose lock is held."""
        from tfxfer.frontier import CacheStore
        from tfxfer.training import fit

        request, data, model = self.request, self.data, self.model
        self.run, state = run, None
        if resume:
            self.manifest, state = run.read_manifest(), self._load_state(model)
            self.schedule = tuple(Phase.from_dict(item["phase"]) for item in self.manifest.plan)
            self.views = self.manifest.plan[0]["views"]
        folder = None if request.cache_dir is None else Path(request.cache_dir)
        with CacheStore(folder) as store:
            self._write_start(model, store, on_plan)
            history = fit(
                model,
                data,
                schedule=self.schedule,
                callbacks=callbacks,
                batch_size=request.batch_size,
                augment=request.augment,
                flip=request.flip,
                views=self.views,
                balance=request.balance,
                seed=request.seed,
                cache=request.cache,
                store=store,
                device=self.device,
                deadline=self._deadline(model),
                verbose=0,
                progress=progress,
                state=state,
                on_phase_end=lambda reached: self._save_state(model, reached),
            )
        self._finish(model, history.state, progress)

    def mark_interrupted(self) -> None:
        """Says in `run.json` that the run is not done."""
        if self.manifest is not None and self.manifest.status == "running":
            # What went wrong is on its way up; a disk that is still full must not hide it.
            with contextlib.suppress(OSError):
                self._write(status="interrupted")

    def _write(self, **changes: Any) -> None:
        assert self.manifest is not None
        self.manifest = replace(self.manifest, **changes)
        self.run.write_manifest(self.manifest)

    def _plan(self, model: Any, store: Any) -> FitPlan:
        from tfxfer.plan import plan_fit

        return plan_fit(
            model,
            self.schedule,
            images=len(self.data.train),
            views=self.views,
            val=len(self.data.val),
            store=store,
            cache=self.request.cache,
        )

    def choose(self, schedule: tuple[Phase, ...]) -> None:
        """Settles the schedule and the views, and how long they are expected to take."""
        from tfxfer.budget import choose_schedule, estimate_seconds, macs_share, probe_speeds
        from tfxfer.feed import SplitSource
        from tfxfer.model import get_info
        from tfxfer.training import DEFAULT_VIEWS

        request, data, model = self.request, self.data, self.model
        counts = {
            "train": len(data.train),
            "val": len(data.val),
            "test": len(data.test),
            "batch_size": request.batch_size,
        }
        speeds = probe_speeds(model, SplitSource(data.train, augment=request.augment))
        self.read_seconds = speeds.read_seconds
        shares = macs_share(model)
        stages = [stage.name for stage in get_info(model).stages]
        if request.budget_seconds is not None:
            choice = choose_schedule(
                speeds,
                shares,
                stages,
                seconds=self._seconds_left(),
                augment=request.augment != "none",
                **counts,
            )
            self.schedule, self.views = choice.schedule, choice.views
            self.expected_seconds, self.fits = choice.seconds, choice.fits
            return
        self.schedule = resolve_schedule(schedule, stages, backbone=request.backbone)
        self.views = request.views or (1 if request.augment == "none" else DEFAULT_VIEWS)
        self.expected_seconds = estimate_seconds(
            speeds, shares, self.schedule, views=self.views, **counts
        )

    def _seconds_left(self) -> float:
        assert self.request.budget_seconds is not None
        return self.request.budget_seconds - (time.monotonic() - self.started) - _RESERVE_SECONDS

    def _deadline(self, model: Any) -> float | None:
        """Returns when training must end so that the test still fits into the budget."""
        if self.request.budget_seconds is None:
            return None
        import numpy as np

        images = len(self.data.val) + len(self.data.test)
        batch = np.zeros((32, *model.inputs[0].shape[1:]), np.float32)
        model.predict_on_batch(batch)
        lap = time.monotonic()
        model.predict_on_batch(batch)
        testing = ((time.monotonic() - lap) / len(batch) + self.read_seconds) * images
        return time.monotonic() + self._seconds_left() - testing

    def _write_start(
        self,
        model: Any,
        store: Any,
        on_plan: Callable[[list[PlanLine]], None] | None,
    ) -> None:
        from tfxfer.model import get_info

        info, data = get_info(model), self.data
        plan = self._plan(model, store)
        if on_plan is not None:
            on_plan(
                describe_plan(
                    plan, self.request, self.device, self.expected_seconds, late=not self.fits
                )
            )
        if self.manifest is not None:
            self._write(status="running")
        else:
            self.manifest = self._first_manifest(info, plan)
            self.run.write_manifest(self.manifest)
        # After the manifest: whatever is interrupted from here on, `--resume` goes on with.
        with atomic_write(self.run.split_path) as temporary:
            data.write_split(temporary)
        self.run.write_labels(data.labels)

    def _first_manifest(self, info: ModelInfo, plan: FitPlan) -> Manifest:
        data = self.data
        return Manifest(
            backbone=self.request.backbone,
            head=self.request.head,
            request=asdict(self.request),
            head_options=self.head.options(),
            labels=data.labels,
            image_size=info.image_size,
            preprocessing=info.preprocessing.to_dict(),
            seed=self.request.seed,
            versions=collect_versions(),
            device=self.device.kind,
            precision=self.device.precision,
            weights=WeightsUsed(info.weights.source, info.weights.sha256, info.weights.licence),
            data=DataSummary(
                images=len(data.train) + len(data.val) + len(data.test),
                train=len(data.train),
                val=len(data.val),
                test=len(data.test),
                fingerprint=data.fingerprint,
                skipped=tuple(
                    {"path": item.path, "kind": item.kind, "detail": item.detail}
                    for item in data.audit.problems
                    if item.skipped
                ),
            ),
            plan=tuple(
                {
                    "phase": item.phase.to_dict(),
                    "views": plan.views,
                    "trainable_parameters": item.trainable_parameters,
                    "cached": item.cached,
                }
                for item in plan.phases
            ),
        )

    def _load_state(self, model: Any) -> FitState | None:
        import numpy as np

        from tfxfer.training import FitState

        path = self.run.checkpoints / _STATE
        if not path.is_file():
            return None
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            content = (self.run.checkpoints / document["weights"]).read_bytes()
            stored = np.load(io.BytesIO(content))
            model.set_weights([stored[name] for name in stored.files])
            return FitState.from_dict(document["state"])
        except (OSError, ValueError, LookupError, TypeError, zipfile.BadZipFile) as error:
            raise RunError(
                f"run {str(self.run.path)!r}: expected a checkpoint that can be read. Received: "
                f"{type(error).__name__}: {error}. Train anew with --overwrite."
            ) from error

    def _save_state(self, model: Any, state: FitState) -> None:
        import numpy as np

        # The state names its weights, so that the two files are never of different phases.
        name = f"{len(state.records)}-{state.records[-1].name}.npz"
        with atomic_write(self.run.checkpoints / name) as temporary:
            # Not Keras's HDF5: on a full disk that library ends the process with a segmentation
            # fault. And not numpy straight to disk: its zip file would be left open.
            content = io.BytesIO()
            np.savez(content, *model.get_weights())
            # A view of its buffer would outlive it in the traceback of a full disk.
            temporary.write_bytes(content.getvalue())
        with atomic_write(self.run.checkpoints / _STATE) as temporary:
            document = {"weights": name, "state": state.to_dict()}
            temporary.write_text(to_json(document), encoding="utf-8")
        self._write_phases(state)

    def _write_phases(self, state: FitState) -> None:
        rows, epoch, records = [], 0, []
        for record in state.records:
            within = (
                state.best_epoch
                if state.best_phase == record.name and state.best_epoch is not None
                else None
            )
            for number in range(record.epochs):
                logs = {key: values[number] for key, values in record.history.items()}
                rows.append({"epoch": epoch, "phase": record.name, **logs})
                epoch += 1
            values = {key: value for key, value in record.to_dict().items() if key != "history"}
            records.append(PhaseRecord(**values, best_epoch=within))
        self.run.write_history(rows)
        self._write(phases=tuple(records))

    def _finish(self, model: Any, state: FitState, progress: Progress | None) -> None:
        import keras

        from tfxfer.inference import Predictor, evaluate
        from tfxfer.model import freeze_to

        freeze_to(model, None, batch_norm=True)
        self._write_phases(state)
        with atomic_write(self.run.model_path) as temporary:
            # Uncompiled: a spent optimizer would double the file, and a head's own loss would need
            # its plugin where only the layers are wanted.
            keras.Model(model.inputs[0], model.outputs[0], name=model.name).save(temporary)
        predictor = Predictor.from_model(model)
        metrics = {
            name: evaluate(predictor, split, seed=self.request.seed, progress=progress)
            for name, split in (("val", self.data.val), ("test", self.data.test))
        }
        self._write(metrics=metrics, status="done")
