"""What a backbone must be before anything is trained: its attributes, its graph, its errors."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from importlib import metadata as packages
from pathlib import Path
from typing import Any

import numpy as np

from tfxfer.backbone import Backbone, Weights
from tfxfer.errors import ModelError, TfxferError, WeightsError
from tfxfer.registry.component import Component
from tfxfer.registry.contract import check_backbone, check_class
from tfxfer.surgery import find_inputs
from tfxfer.system.scratch import scratch_folder
from tfxfer.testing.backbone_subject import BackboneSubject
from tfxfer.testing.check import check, describe_error, fail, not_applicable, not_run
from tfxfer.testing.subject import ask, take_snapshot
from tfxfer.weights import file_sha256

__all__ = [
    "builds",
    "deterministic",
    "flat",
    "metadata",
    "model",
    "stages",
    "unknown_weights",
    "weights_sha256",
    "wrong_size",
]

_RANKS = {"map": 4, "tokens": 3, "vector": 2}


@check("every attribute is what tfxfer.Backbone says of it")
def metadata(subject: BackboneSubject) -> None:
    """Runs the check that the registry makes at the door."""
    plugin = subject.plugin
    component = subject.component or Component(
        "backbone", subject.name, f"{type(plugin).__module__}:{type(plugin).__qualname__}", "", ""
    )
    check_class(component, type(plugin), Backbone)
    check_backbone(component, plugin, requested_name=subject.name)


@check("build makes features of the announced kind at several sizes", requires=("metadata",))
def builds(subject: BackboneSubject) -> None:
    """Builds at the smallest size, at an odd one and at the default."""
    plugin, modality = subject.plugin, subject.modality
    modality.check_contract(plugin.preprocessing)
    channels = set()
    for size in subject.sizes:
        what = f"backbone {subject.name!r} at {size} {modality.size_unit}"
        try:
            features = subject.graph(size).outputs[0]
        except Exception as error:  # noqa: BLE001 - a plugin's code may raise anything
            fail(
                what,
                expected="build to return a Keras tensor",
                received=describe_error(error),
                fix="Every size from the smallest to the default must build.",
            )
        shape, rank = tuple(features.shape), _RANKS[plugin.output]
        if len(shape) != rank or shape[-1] is None:
            fail(
                what,
                expected=f"a tensor of rank {rank}, since output={plugin.output!r}",
                received=f"shape={shape}",
                fix="Change `output`, or what build returns.",
            )
        channels.add(shape[-1])
    if len(channels) > 1:
        fail(
            f"backbone {subject.name!r}",
            expected="as many channels at every size",
            received=f"channels={sorted(channels)} at sizes={subject.sizes}",
            fix="Return a map, tokens or a pooled vector, not a flattened map.",
        )


@check(
    "features are computed from the inputs that build gets, with no model nested in the graph",
    requires=("builds",),
)
def flat(subject: BackboneSubject) -> None:
    """Looks at the graph of the backbone alone."""
    import keras

    graph = subject.graph(subject.size)
    # By name: the graph may have been rebuilt from inputs of its own, as `replace_layers` does.
    found = [tensor.name for tensor in graph.inputs]
    if sorted(found) != sorted(subject.graph_inputs):
        fail(
            f"backbone {subject.name!r}",
            expected=f"features that are computed from {list(subject.graph_inputs)}, which build "
            "gets",
            received=f"inputs={found}",
            fix="Pass input_tensor=inputs, or call the layers on `inputs`.",
        )
    nested = [layer.name for layer in graph.layers if isinstance(layer, keras.Model)]
    if nested:
        fail(
            f"backbone {subject.name!r}",
            expected="a flat graph",
            received=f"nested models {nested}",
            fix="Give the inner model input_tensor=inputs, or call its layers one by one.",
        )


@check(
    "every stage ends at a single tensor that all later layers hang on, in order from the inputs",
    requires=("flat",),
)
def stages(subject: BackboneSubject) -> None:
    """Cuts the graph at every stage."""
    import keras

    from tfxfer.frontier.cut import find_crossing, list_ancestors

    declared = subject.plugin.stages
    if not declared:
        not_applicable("the backbone declares no stages: it is one block")
    graph = subject.graph(subject.size)
    names = [layer.name for layer in graph.layers]
    before: tuple[str, ...] = ()
    for stage in declared:
        what = f"stage {stage.name!r} of {subject.name!r}"
        if stage.end not in names:
            close = difflib.get_close_matches(stage.end, names, n=2)
            fail(
                what,
                expected=f"a layer {stage.end!r}",
                received=f"none of that name; close ones: {close}",
                fix="Name the layer in build; names that Keras numbers change with every build.",
            )
        try:
            cut = graph.get_layer(stage.end).output
        except AttributeError as error:  # a layer that was called twice
            fail(
                what,
                expected=f"a layer {stage.end!r} with one output",
                received=describe_error(error),
                fix="Call a layer once; end the stage at one that nothing else uses.",
            )
        if not isinstance(cut, keras.KerasTensor):
            fail(
                what,
                expected="a layer with a single output tensor",
                received=f"{stage.end!r} returns {type(cut).__name__}",
                fix="End the stage after the tensors are joined.",
            )
        if id(cut) not in list_ancestors(graph.outputs[0]) or find_crossing(cut, graph.outputs)[1]:
            fail(
                what,
                expected="the only computed tensor that what follows needs",
                received=f"end={stage.end!r}, beside which another tensor crosses, or from which "
                "nothing leads on",
                fix="End the stage after the addition that closes its block.",
            )
        prefix = {layer.name for layer in keras.Model(find_inputs(cut), cut).layers}
        if not set(before) <= prefix or stage.end in before:
            fail(
                what,
                expected=f"an end behind that of the stage before it, {before[-1]!r}",
                received=f"end={stage.end!r}, before it",
                fix="List the stages in order from the inputs.",
            )
        before = (*before, stage.end)


@check("backbone, pooling and head become one model with finite outputs", requires=("stages",))
def model(subject: BackboneSubject) -> None:
    """Builds the model that all later checks use."""
    built = subject.initial
    if not np.isfinite(np.asarray(ask(built, subject.values))).all():
        fail(
            f"backbone {subject.name!r}",
            expected="finite outputs",
            received="NaN or infinity",
            fix="Look at its initial weights, or at the file they were loaded from.",
        )


@check(
    "two builds from one seed have equal layers and weights; two calls have equal outputs",
    requires=("model",),
)
def deterministic(subject: BackboneSubject) -> None:
    """Compares the backbone built alone with the one in the model."""
    graph, whole = subject.graph(subject.size), subject.initial
    what = f"backbone {subject.name!r}"
    names = {layer.name for layer in graph.layers if layer.weights}
    others = {layer.name for layer in whole.layers}
    if not names <= others:
        fail(
            what,
            expected="the same names of layers from every build",
            received=f"names of one build only: {sorted(names - others)[:5]}",
            fix="Name every layer: Keras numbers the others through the whole process.",
        )
    if subject.weights is None:
        initial = subject.initial_weights
        moved = [
            path
            for path, value in take_snapshot(graph).items()
            if not np.array_equal(value, initial[path])
        ]
        if moved:
            fail(
                what,
                expected="equal random weights from equal seeds",
                received=f"differences in {moved[:3]}, {len(moved)} in all",
                fix="Draw weights through Keras's initializers, which follow set_random_seed.",
            )
    first, second = (np.asarray(ask(whole, subject.values)) for _ in range(2))
    if not np.array_equal(first, second):
        fail(
            what,
            expected="equal outputs of two calls",
            received=f"difference={np.abs(first - second).max():.3g}",
            fix="Take out what draws random numbers when training=False.",
        )


@check("sizes it does not take are refused as a TfxferError", requires=("builds",))
def wrong_size(subject: BackboneSubject) -> None:
    """Asks for one size below the smallest, and for one above all that are announced."""
    smallest, largest = int(subject.plugin.min_size), max(subject.sizes)
    what, unit = f"backbone {subject.name!r}", subject.modality.size_unit
    error = _error_of(subject, size=smallest - 1)
    if not isinstance(error, ModelError):
        fail(
            f"{what} at {smallest - 1} {unit}",
            expected="tfxfer.ModelError",
            received=_words(error),
            fix="Leave the message to build_model: the smallest size is all it needs.",
        )
    error = _error_of(subject, size=largest + 1)
    if error is not None and not isinstance(error, TfxferError):
        fail(
            f"{what} at {largest + 1} {unit}",
            expected="a model, or tfxfer.ModelError",
            received=_words(error),
            fix="Raise ModelError from build with the sizes that it takes.",
        )


@check("unknown weights and files that are none are refused as WeightsError", requires=("model",))
def unknown_weights(subject: BackboneSubject) -> None:
    """Asks for a source that does not exist, and loads a file of noise."""
    error = _error_of(subject, size=subject.size, weights="no_such_weights")
    if not isinstance(error, WeightsError):
        fail(
            f"weights 'no_such_weights' of {subject.name!r}",
            expected="tfxfer.WeightsError",
            received=_words(error),
            fix="Leave the message to build_model: `weights` is all it needs.",
        )
    for suffix in _suffixes(subject.plugin.weights.values()):
        with scratch_folder("check") as folder:
            path = folder / f"noise{suffix}"
            path.write_bytes(np.random.default_rng(0).bytes(4096))
            try:
                with subject.restored_model() as whole:
                    subject.plugin.load_weights(whole, path)
            except WeightsError:
                continue
            except Exception as raised:  # noqa: BLE001 - a plugin's code may raise anything
                error = raised
            else:
                error = None
        fail(
            f"load_weights of {subject.name!r} on a file of noise, noise{suffix}",
            expected="tfxfer.WeightsError",
            received=_words(error),
            fix="Catch what reading the file raises, and raise WeightsError from it.",
        )


def _suffixes(sources: Iterable[Weights]) -> list[str]:
    """Returns the endings of declared files, or one that any reader may meet."""
    names = [source.member or source.url or "" for source in sources]
    return sorted({Path(name).suffix for name in names if Path(name).suffix}) or [".h5"]


@check("weights that are on this machine have the sha256 that is declared", requires=("metadata",))
def weights_sha256(subject: BackboneSubject) -> None:
    """Reads the files that installed packages carry; downloads nothing."""
    sources = subject.plugin.weights
    if not sources:
        not_applicable("the backbone declares no weights")
    verified, absent = [], []
    for name, weights in sources.items():
        if weights.sha256 is None or weights.package is None or weights.member is None:
            absent.append(name)
            continue
        what = f"weights {name!r} of {subject.name!r}"
        try:
            dist = packages.distribution(weights.package)
        except packages.PackageNotFoundError:
            absent.append(name)
            continue
        path = Path(str(dist.locate_file(weights.member)))
        if not path.is_file():
            fail(
                what,
                expected=f"the file {weights.member!r} in {weights.package}",
                received=f"version={dist.version} without it",
                fix="`pip show -f` lists the files of a distribution.",
            )
        found = file_sha256(path)
        if found != weights.sha256:
            fail(
                what,
                expected=f"sha256 {weights.sha256}",
                received=f"sha256={found} in {weights.package} {dist.version}",
                fix="Correct the declaration, or reinstall the package.",
            )
        verified.append(name)
    if not verified:
        not_run(
            f"of weights {', '.join(absent)} no file is in an installed package with a declared "
            "sha256, and the kit downloads nothing"
        )


def _error_of(subject: BackboneSubject, **options: Any) -> Exception | None:
    try:
        subject.build_model(labels=("first", "second"), **{"weights": subject.weights, **options})
    except Exception as error:  # noqa: BLE001 - a plugin's code may raise anything
        return error
    return None


def _words(error: Exception | None) -> str:
    return "no error" if error is None else describe_error(error)
