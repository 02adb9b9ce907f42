"""The earlier model's answers as soft targets, on whatever the training shows.

Learning without forgetting: beside the loss of the head, the new model's answers for the earlier
labels are drawn to what the earlier model answers to the very same input, its augmentation
included. The earlier model's part after the freeze frontier is computed beside the one that trains;
what comes before is the same network and cached once for both.

Source:
    Li and Hoiem 2016, Learning without Forgetting, https://arxiv.org/abs/1606.09282, eq. 2 and 3,
    with T = 2; Hinton et al. 2015, https://arxiv.org/abs/1503.02531, section 2 for the factor T².
    That teacher and student see the same view: Beyer et al. 2022, https://arxiv.org/abs/2106.05237.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import keras

__all__ = ["TEMPERATURE", "KeepAnswers", "measure_divergence", "watch_answers"]

TEMPERATURE = 2.0
"""Of both models' answers, after Li and Hoiem: small scores count for more."""

_LEAST = 1e-7  # a probability of 0 has no logarithm

Link = Literal["softmax", "sigmoid"]


def measure_divergence(
    earlier: Any, answers: Any, *, link: Link | None, temperature: float = TEMPERATURE
) -> Any:
    """Returns how far a model's answers are from an earlier one's, of each sample.

    Under a link it is T² · KL(earlier ‖ answers) of the answers at temperature T: over the earlier
    labels, whose scores are taken as a distribution of their own (softmax), or of each label,
    summed (sigmoid). Without one it is half the squared difference, summed.

    Args:
        earlier: scores of the earlier model.
        answers: scores of the model that trains; those of further labels come last and do not
            count.
        link: what made scores of logits; None where nobody knows.
        temperature: what the logits are divided by.

    Shapes: earlier (samples, labels), answers (samples, at least as many); returns (samples,).
    """
    ops = keras.ops
    answers = answers[:, : earlier.shape[-1]]
    if link is None:
        return 0.5 * ops.sum(ops.square(answers - earlier), axis=-1)
    if link == "softmax":
        # log p is the logit but for a constant, which the softmax over some of the labels drops.
        old, new = (ops.log(ops.clip(x, _LEAST, 1.0)) / temperature for x in (earlier, answers))
        old, new = ops.log_softmax(old, axis=-1), ops.log_softmax(new, axis=-1)
        divergence = ops.sum(ops.exp(old) * (old - new), axis=-1)
    else:
        old, new = (_find_logit(x) / temperature for x in (earlier, answers))
        yes = ops.sigmoid(old) * (ops.log_sigmoid(old) - ops.log_sigmoid(new))
        no = ops.sigmoid(-old) * (ops.log_sigmoid(-old) - ops.log_sigmoid(-new))
        divergence = ops.sum(yes + no, axis=-1)
    return temperature**2 * divergence


def _find_logit(probability: Any) -> Any:
    ops = keras.ops
    inside = ops.clip(probability, _LEAST, 1 - _LEAST)
    return ops.log(inside) - ops.log(1 - inside)


class KeepAnswers(keras.layers.Layer):
    """Passes answers on, and adds to the loss how far they are from an earlier model's.

    Args:
        ask: the earlier model's answers to a batch of inputs.
        strength: what the penalty is multiplied by.
        link: see `measure_divergence`.
    """

    def __init__(self, ask: Callable[[list[Any]], Any], *, strength: float, link: Any) -> None:
        # The inputs stay what they are: activations may be float16, and token numbers integers.
        super().__init__(name="keep_answers", dtype="float32", autocast=False)
        self._ask, self._strength, self._link = ask, strength, link

    def call(self, inputs: list[Any]) -> Any:
        """Returns the answers, which come before what they were made of."""
        answers, *given = inputs
        earlier = keras.ops.stop_gradient(self._ask(given))
        found = measure_divergence(earlier, answers, link=self._link)
        self.add_loss(self._strength * keras.ops.mean(found))
        return answers

    def compute_output_spec(self, inputs: list[Any]) -> Any:
        """Returns that the answers have the shape that they had."""
        return keras.KerasTensor(inputs[0].shape, inputs[0].dtype)


def watch_answers(network: Any, earlier: Any, *, strength: float, link: Link | None) -> Any:
    """Returns a network for one training, whose loss also keeps an earlier one's answers.

    Args:
        network: that trains; it shares its layers with what is returned.
        earlier: a network of the same inputs, whose weights stay as they are.
        strength: what the penalty is multiplied by.
        link: see `measure_divergence`.
    """

    # A closure and no attribute: the earlier network's weights are none of what is trained.
    def ask(given: list[Any]) -> Any:
        return earlier(given if len(given) > 1 else given[0], training=False)

    keeper = KeepAnswers(ask, strength=strength, link=link)
    inputs = list(network.inputs)
    outputs = keeper([network.outputs[0], *inputs])
    return keras.Model(inputs if len(inputs) > 1 else inputs[0], outputs, name=network.name)
