"""What a head says of its last layers: that they can be fitted anew, or given further labels."""

from __future__ import annotations

import numpy as np

from tfxfer.backbone import BACKBONE_END
from tfxfer.errors import ContractError, DataError, ModelError
from tfxfer.testing.check import check, describe_error, fail, not_applicable
from tfxfer.testing.head_subject import HeadSubject

__all__ = ["further_labels", "linear_end"]

_SAMPLES = 8


@check("the layer that linear_end() names makes a softmax of pooled features", requires=("model",))
def linear_end(subject: HeadSubject) -> None:
    """Gives that layer other weights, and compares what the network says with what they say."""
    # Not at the top: they bring Keras, which a plugin's tests collect without.
    from tfxfer.adaptation.last_layer import fold_head
    from tfxfer.adaptation.linear_head import LinearHead
    from tfxfer.frontier.cut import stage_shape

    if subject.plugin.linear_end() is None:
        not_applicable("the head says nothing of a layer that can be fitted")
    rng, outputs = np.random.default_rng(0), len(subject.labels)
    with subject.restored_model() as whole:
        features = stage_shape(whole, BACKBONE_END)[-1]
        head = LinearHead(rng.normal(size=(features, outputs)), rng.normal(size=outputs))
        try:
            fold_head(whole, head, rng.normal(size=(_SAMPLES, features)).astype(np.float32))
        except ContractError as error:
            fail(
                f"linear_end() of head {subject.name!r}",
                expected="the dense layer that takes the pooled features and ends in a softmax",
                received=describe_error(error),
                fix="None leaves the model as it was trained.",
            )


@check("further labels come last, and leave the weights of those a model has", requires=("model",))
def further_labels(subject: HeadSubject) -> None:
    """Takes a model of some of the kit's labels on to all of them."""
    # Not at the top: see above.
    from tfxfer.keeping.growth import copy_weights

    plugin, what = subject.plugin, f"head {subject.name!r}"
    earlier = _leave_some_out(subject)
    if earlier is None:
        not_applicable("some samples of the kit have no fewer labels than all of them")
    try:
        found = plugin.extend_labels(earlier, subject.raw_labels)
    except DataError:
        found = earlier  # what it does not know it refuses, as by default
    if tuple(found) == earlier:
        not_applicable("the head takes no further labels")
    layers = plugin.label_layers()
    if (
        not isinstance(found, tuple)
        or found[: len(earlier)] != earlier
        or len(set(found)) < len(found)
        or set(found) != set(subject.labels)
    ):
        fail(
            f"extend_labels of {what}",
            expected=f"{earlier!r}, and after them the others of {subject.labels!r}",
            received=f"labels={found!r}",
            fix="The outputs of labels that a model has keep their places.",
        )
    first, second = (subject.make_model(labels) for labels in (earlier, found))
    try:
        copy_weights(first, second, layers)
    except ModelError as error:
        fail(
            f"label_layers of {what}",
            expected="the names of all layers whose weights end in an axis of one per label",
            received=f"layers={layers!r}, {describe_error(error)}",
            fix="All other layers must not depend on the labels.",
        )
    for name in layers:
        if name not in {layer.name for layer in second.layers}:
            fail(
                f"label_layers of {what}",
                expected="names of layers of `build`",
                received=f"layers={layers!r}",
                fix=f"No layer is called {name!r}.",
            )


def _leave_some_out(subject: HeadSubject) -> tuple[str, ...] | None:
    """Returns the labels of some of the kit's samples, fewer than those of all."""
    raw = subject.raw_labels
    for left_out in sorted(set(raw), reverse=True):
        try:
            found = tuple(subject.plugin.fit_labels([text for text in raw if text != left_out]))
        except DataError:
            continue  # too few are left for this task
        if set(found) < set(subject.labels):
            return found
    return None
