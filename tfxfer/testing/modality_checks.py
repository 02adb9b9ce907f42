"""What a modality must state: attributes, a contract, a model's inputs, and what it refuses."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from tfxfer.errors import ContractError, DataError, UsageError
from tfxfer.modality import Modality
from tfxfer.registry.component import Component
from tfxfer.registry.contract import check_class, check_modality
from tfxfer.sample import InputSpec
from tfxfer.surgery import find_inputs
from tfxfer.testing.check import check, describe_error, fail
from tfxfer.testing.modality_subject import ModalitySubject

__all__ = ["arguments", "builds", "contract", "inputs", "metadata", "options"]

_UNKNOWN = "no_such_thing"


@check("every attribute is what tfxfer.Modality says of it")
def metadata(subject: ModalitySubject) -> None:
    """Runs the check that the registry makes at the door."""
    plugin = subject.plugin
    component = subject.component or Component(
        "modality", subject.name, f"{type(plugin).__module__}:{type(plugin).__qualname__}", "", ""
    )
    check_class(component, type(plugin), Modality)
    check_modality(component, plugin)


@check(
    "a contract goes to run.json and comes back equal, and foreign ones are refused",
    requires=("metadata",),
)
def contract(subject: ModalitySubject) -> None:
    """Stores the contract as JSON, reads it back, and offers one that is none."""
    plugin, stated = subject.plugin, subject.contract
    what = f"contract of modality {subject.name!r}"
    plugin.check_contract(stated)
    data = stated.to_dict()
    try:
        stored = json.loads(json.dumps(data))
    except (TypeError, ValueError) as error:
        fail(
            what,
            expected="to_dict to return plain JSON data",
            received=f"to_dict={data!r}: {describe_error(error)}",
            fix="Return numbers, text, lists and dicts only.",
        )
    again = subject.read_back(stated, stored)
    if json.loads(json.dumps(again.to_dict())) != stored:
        fail(
            what,
            expected=f"read_contract to return what was stored, {stored!r}",
            received=f"to_dict={again.to_dict()!r}",
            fix="Read every key of to_dict.",
        )
    plugin.check_contract(again)
    for foreign in (None, object()):
        try:
            plugin.check_contract(foreign)
        except ContractError:
            continue
        fail(
            what,
            expected="check_contract to raise ContractError at what is no such contract",
            received=f"contract={foreign!r}, accepted",
            fix="Check the class of the contract.",
        )


@check(
    "a model's inputs have names, shapes and dtypes, the same whenever they are listed",
    requires=("contract",),
)
def inputs(subject: ModalitySubject) -> None:
    """Looks at what `list_inputs` returns."""
    found = subject.inputs
    what = f"inputs of modality {subject.name!r}"
    if not found or not all(
        isinstance(name, str) and name.isidentifier() and isinstance(spec, InputSpec)
        for name, spec in found.items()
    ):
        fail(
            what,
            expected="at least one tfxfer.InputSpec by name",
            received=f"inputs={found!r}",
            fix="Return a dict of InputSpecs.",
        )
    for name, spec in found.items():
        if not all(type(side) is int and side > 0 for side in spec.shape):
            fail(
                f"input {name!r}",
                expected="sides of whole numbers above zero, without the batch",
                received=f"shape={spec.shape!r}",
                fix="A model's inputs have a fixed size.",
            )
        for field in ("dtype", "stored"):
            try:
                np.dtype(getattr(spec, field))
            except TypeError:
                fail(
                    f"input {name!r}",
                    expected=f"the name of a NumPy dtype as {field}",
                    received=f"{field}={getattr(spec, field)!r}",
                    fix="Write it as 'float32' or 'int32'.",
                )
    shown = subject.plugin.picture_input
    if shown is not None and (shown not in found or len(found[shown].shape) != 3):
        fail(
            what,
            expected="an input (height, width, channels) among them as picture_input, or None",
            received=f"picture_input={shown!r}",
            fix="Heat maps are drawn over its places.",
        )
    again = subject.plugin.list_inputs(subject.size, subject.contract)
    if list(again.items()) != list(found.items()):
        fail(
            what,
            expected="the same at every call",
            received=f"inputs={found!r} and then {again!r}",
            fix="Derive them from size and contract alone.",
        )


@check(
    "options of augmentation have defaults, and unknown ones are refused", requires=("metadata",)
)
def options(subject: ModalitySubject) -> None:
    """Completes what is given, and asks for levels and options that there are none of."""
    plugin = subject.plugin
    what = f"options of modality {subject.name!r}"
    for level in plugin.levels:
        complete = plugin.complete_options(level, {})
        if complete != dict(plugin.view_options):
            fail(
                what,
                expected=f"the defaults where none is given, {dict(plugin.view_options)!r}",
                received=f"complete_options={complete!r}",
                fix="Fill in view_options.",
            )
    for level, given in ((_UNKNOWN, {}), (plugin.levels[0], {_UNKNOWN: True})):
        try:
            plugin.complete_options(level, given)
        except UsageError:
            continue
        fail(
            what,
            expected="complete_options to raise UsageError at an unknown level or option",
            received=f"level={level!r}, options={given!r}, accepted",
            fix="Leave complete_options to tfxfer.Modality.",
        )


@check("what a command line names becomes samples, and what is not there is a DataError")
def arguments(subject: ModalitySubject) -> None:
    """Names the samples as a user of `tfxfer predict` would."""
    plugin = subject.plugin
    what = f"arguments of modality {subject.name!r}"
    typed = [sample.name for sample in subject.samples]
    found = plugin.parse_samples(typed)
    if len(found) != len(typed):
        fail(
            what,
            expected=f"one sample per argument, {len(typed)}",
            received=f"samples={len(found)}",
            fix="Return them in the order of the arguments.",
        )
    for sample in found:
        finding = plugin.inspect(sample)
        if finding.fault is not None:
            fail(
                what,
                expected="samples that can be read, as those of the data are",
                received=f"sample={sample!r}, fault={finding.fault!r}",
                fix="Fill in what inspect and read look at.",
            )
    if not subject.is_files:
        return
    missing = str(subject.folder / f"{_UNKNOWN}{min(plugin.suffixes)}")
    try:
        plugin.parse_samples([missing])
    except DataError:
        return
    fail(
        what,
        expected="parse_samples to raise DataError at a file that is not there",
        received=f"arguments={[missing]!r}, accepted",
        fix="Ask whether each file is there.",
    )


@check(
    "build_inputs makes fresh inputs as listed, and what follows has nothing to train",
    requires=("inputs", "reads"),
)
def builds(subject: ModalitySubject) -> None:
    """Builds the first layers of a model, and sends a sample through them."""
    import keras

    what = f"build_inputs of modality {subject.name!r}"
    made = subject.plugin.build_inputs(subject.size, subject.contract)
    tensors = _list_tensors(made)
    if not all(isinstance(tensor, keras.KerasTensor) for tensor in tensors):
        fail(
            what,
            expected="a Keras tensor, or a dict of them by name",
            received=f"{type(made).__name__}",
            fix="Return what Backbone.build takes.",
        )
    sources = {id(source): source for tensor in tensors for source in find_inputs(tensor)}
    found = {source.name: (source.shape, source.dtype) for source in sources.values()}
    expected = {
        name: ((None, *spec.model_shape), spec.dtype) for name, spec in subject.inputs.items()
    }
    if found != expected:
        fail(
            what,
            expected=f"inputs as list_inputs has them, {expected}",
            received=f"inputs={found}",
            fix="Make a keras.Input of each InputSpec, by its name.",
        )
    again = _list_tensors(subject.plugin.build_inputs(subject.size, subject.contract))
    if {id(source) for tensor in again for source in find_inputs(tensor)} & set(sources):
        fail(
            what,
            expected="fresh inputs at every call",
            received="the inputs of the call before",
            fix="Two models must not share their inputs.",
        )
    by_name = {source.name: source for source in sources.values()}
    model = keras.Model([by_name[name] for name in expected], tensors)
    if model.trainable_weights:
        fail(
            what,
            expected="no trainable weights",
            received=f"weights={[weight.path for weight in model.trainable_weights]}",
            fix="What is learnt belongs to a backbone.",
        )
    read = subject.read(subject.samples[0])
    batch = [np.asarray(read[name], spec.dtype) for name, spec in subject.inputs.items()]
    for output in model(batch, training=False):
        values = np.asarray(output)
        if np.issubdtype(values.dtype, np.floating) and not np.isfinite(values).all():
            fail(
                what,
                expected="finite values of a sample",
                received=f"{np.size(values) - np.isfinite(values).sum()} that are not",
                fix="Look at the contract's numbers and at what read returns.",
            )


def _list_tensors(made: Any) -> list[Any]:
    return list(made.values()) if isinstance(made, dict) else [made]
