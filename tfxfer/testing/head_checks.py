"""What a head must be: its options, its layers, its outputs, and that it learns."""

from __future__ import annotations

import inspect
import json

import numpy as np

from tfxfer.backbone import BACKBONE_END
from tfxfer.head import Head, Tempering
from tfxfer.registry.component import Component
from tfxfer.registry.contract import check_class, check_head
from tfxfer.schedule import Phase
from tfxfer.surgery import find_inputs
from tfxfer.testing.check import check, describe_error, fail, not_applicable
from tfxfer.testing.head_subject import HeadSubject
from tfxfer.testing.probes import BATCH_SAMPLES
from tfxfer.testing.subject import take_snapshot

__all__ = [
    "deterministic",
    "flat",
    "float32_outputs",
    "learns",
    "metadata",
    "model",
    "options",
    "output_range",
    "tempering",
]

_EPOCHS = 3
_TEMPERATURE = 2.0
_TOLERANCE = 1e-4  # of a probability in float32, of logits computed from divided weights
_CHANNELS = 16


@check("every attribute is what tfxfer.Head says of it")
def metadata(subject: HeadSubject) -> None:
    """Runs the check that the registry makes at the door."""
    plugin = subject.plugin
    component = subject.component or Component(
        "head", subject.name, f"{type(plugin).__module__}:{type(plugin).__qualname__}", "", ""
    )
    check_class(component, type(plugin), Head)
    check_head(component, plugin)


@check(
    "every option has a default, and options() repeats the head as JSON data",
    requires=("metadata",),
)
def options(subject: HeadSubject) -> None:
    """Makes the head with no options, and again from those that it says it has."""
    plugin = subject.plugin
    what = f"options of head {subject.name!r}"
    needed = [
        name
        for name, item in inspect.signature(type(plugin)).parameters.items()
        if item.default is item.empty and item.kind not in (item.VAR_KEYWORD, item.VAR_POSITIONAL)
    ]
    if needed:
        fail(
            what,
            expected="a default for each",
            received=f"none for {needed}",
            fix="Users name a head and nothing else.",
        )
    said = plugin.options()
    try:
        read = json.loads(json.dumps(said, allow_nan=False))
        again = type(plugin)(**read).options()
    except Exception as error:  # noqa: BLE001 - a plugin's code may raise anything
        fail(
            what,
            expected="JSON data that its constructor takes",
            received=f"{said!r}, {describe_error(error)}",
            fix="A run stores them, and makes the head from them when it resumes.",
        )
    if json.loads(json.dumps(again)) != read:
        fail(
            what,
            expected=f"a head made of {read!r} to say the same",
            received=f"options={again!r}",
            fix="Return every argument of the constructor, as it was given.",
        )


@check("builds one finite output per label on pooled features", requires=("flat",))
def model(subject: HeadSubject) -> None:
    """Builds the head on a small backbone; all later checks use that model."""
    shape = tuple(subject.model.outputs[0].shape)
    if shape != (None, len(subject.labels)):
        fail(
            f"head {subject.name!r}",
            expected=f"outputs of shape (batch, {len(subject.labels)})",
            received=f"shape={shape}",
            fix="One output per label.",
        )
    if not np.isfinite(subject.outputs).all():
        fail(
            f"head {subject.name!r}",
            expected="finite outputs",
            received="NaN or infinity",
            fix="Look at its initial weights, and at what `prepare` measured.",
        )


@check("no model nested in the head's layers", requires=("labels",))
def flat(subject: HeadSubject) -> None:
    """Looks at the graph of the head alone."""
    import keras

    features = keras.Input((_CHANNELS,))
    outputs = subject.plugin.build(features, subject.labels)
    graph = keras.Model(find_inputs(outputs), outputs)
    nested = [layer.name for layer in graph.layers if isinstance(layer, keras.Model)]
    if nested:
        fail(
            f"head {subject.name!r}",
            expected="a flat graph",
            received=f"nested models {nested}",
            fix="Call the layers one by one.",
        )


@check("outputs are float32 when training computes in bfloat16", requires=("labels",))
def float32_outputs(subject: HeadSubject) -> None:
    """Builds the head under a mixed precision policy."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        features = keras.Input((_CHANNELS,))
        outputs = subject.plugin.build(features, subject.labels)
    finally:
        keras.config.set_dtype_policy(before)
    if outputs.dtype != "float32":
        fail(
            f"head {subject.name!r}",
            expected="outputs in float32 under the policy mixed_bfloat16",
            received=f"dtype={outputs.dtype}",
            fix='Give the last layer dtype="float32".',
        )


@check("outputs are what the head's figures say: probabilities, for instance", requires=("model",))
def output_range(subject: HeadSubject) -> None:
    """Looks at the outputs of the kit's images."""
    figures, outputs = subject.plugin.figures, subject.outputs
    if not figures.in_range(outputs):
        sums = outputs.sum(axis=1)
        fail(
            f"head {subject.name!r}",
            expected=figures.score_range,
            received=f"values from {outputs.min():.3g} to {outputs.max():.3g}, sums of a sample "
            f"from {sums.min():.3g} to {sums.max():.3g}",
            fix="End in the activation that gives them: phones read the outputs as they are.",
        )


@check("one training gives a finite loss, the monitor's value and new weights", requires=("model",))
def learns(subject: HeadSubject) -> None:
    """Trains the head for a few epochs on the kit's images."""
    from tfxfer import fit

    plugin = subject.plugin
    what = f"head {subject.name!r}"
    first, second = plugin.metrics(), plugin.metrics()
    if any(one is other for one in first for other in second):
        fail(
            what,
            expected="fresh metrics from every call",
            received="the same objects twice",
            fix="Make them in `metrics`: a metric holds the counts of one training.",
        )
    phase = Phase("head", BACKBONE_END, _EPOCHS, 1e-2, warmup=0, decay="constant")
    with subject.restored_model() as whole:
        before = take_snapshot(whole)
        history = fit(
            whole,
            subject.data,
            schedule=(phase,),
            batch_size=BATCH_SAMPLES,
            augment="none",
            verbose=0,
        ).history
        after = take_snapshot(whole)
    if plugin.monitor.name not in history:
        fail(
            what,
            expected=f"its monitor, {plugin.monitor.name!r}, among what training logs",
            received=f"logs={sorted(history)}",
            fix="Name the metric in `metrics` as the monitor does, without `val_`.",
        )
    if all(np.array_equal(before[path], after[path]) for path in before):
        fail(
            what,
            expected="weights that change",
            received="none that did",
            fix="Look at the loss: it must depend on the outputs.",
        )


@check("two builds from one seed have equal layers, weights and outputs", requires=("model",))
def deterministic(subject: HeadSubject) -> None:
    """Builds the model a second time."""
    again = subject.make_model()
    first, second = take_snapshot(subject.model), take_snapshot(again)
    if first.keys() != second.keys():
        fail(
            f"head {subject.name!r}",
            expected="the same names of layers from every build",
            received=f"names of one build only: {sorted(first.keys() ^ second.keys())[:5]}",
            fix="Name every layer: Keras numbers the others through the whole process.",
        )
    moved = [path for path in first if not np.array_equal(first[path], second[path])]
    if moved:
        fail(
            f"head {subject.name!r}",
            expected="equal random weights from equal seeds",
            received=f"differences in {moved[:3]}, {len(moved)} in all",
            fix="Draw weights through Keras's initializers, which follow set_random_seed.",
        )
    one, other = (
        np.asarray(item(subject.values, training=False)) for item in (subject.model, again)
    )
    if not np.array_equal(one, other):
        fail(
            f"head {subject.name!r}",
            expected="equal outputs of two builds",
            received=f"difference={np.abs(one - other).max():.3g}",
            fix="Take out what draws random numbers when training=False.",
        )


@check("a temperature divides the logits and changes no answer", requires=("output_range",))
def tempering(subject: HeadSubject) -> None:
    """Folds one into the layer that the head names, and compares the scores."""
    # Not at the top: they bring Keras, which a plugin's tests collect without.
    from tfxfer.trust.calibration import fold_temperature
    from tfxfer.trust.temperature import temper

    plugin, what = subject.plugin, f"tempering() of head {subject.name!r}"
    said = plugin.tempering()
    if said is None:
        not_applicable("the head says nothing of a temperature")
    if not isinstance(said, Tempering) or said.link not in ("softmax", "sigmoid"):
        fail(
            what,
            expected="a tfxfer.Tempering with softmax or sigmoid, or None",
            received=repr(said),
            fix="None leaves the model as it was trained.",
        )
    with subject.restored_model() as whole:
        before = np.asarray(whole(subject.values, training=False))
        fold_temperature(whole, said, _TEMPERATURE)
        after = np.asarray(whole(subject.values, training=False))
    expected = temper(before, _TEMPERATURE, link=said.link)
    off = float(np.abs(after - expected).max())
    if not off <= _TOLERANCE:
        fail(
            what,
            expected=f"scores of logits divided by {_TEMPERATURE:g} once the weights of layer "
            f"{said.layer!r} are",
            received=f"difference={off:.3g}",
            fix="Name the layer whose outputs the activation takes, linear in all its weights.",
        )
    answers = [[x.label for x in plugin.decode(s, subject.labels)] for s in (before, after)]
    if answers[0] != answers[1]:
        fail(
            what,
            expected="the same answers from logits divided by a number",
            received=f"{answers[0]} and {answers[1]}",
            fix="Return None where an answer depends on how sure it is, as with a threshold.",
        )
