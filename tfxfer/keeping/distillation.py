"""The earlier model's answers as soft targets, on whatever the training shows.

Learning without forgetting: beside the loss of the head, the new model's answers for the earlier
labels are drawn to what the earlier model answers to the very same input, its augmentation
included. The earlier model's part after the freeze frontier is computed beside the one that trains;
what comes before is the same network and cached once for both.

Where nothing that is trained on has an earlier label, the loss of the head would only teach that
none of these is ever the answer, and undo in a few steps what the soft targets hold: then it is
shown the further labels alone, as the paper's is, whose new task has outputs of its own.

Source:
    Li and Hoiem 2016, Learning without Forgetting, https://arxiv.org/abs/1606.09282, eq. 2 and 3,
    with T = 2; Hinton et al. 2015, https://arxiv.org/abs/1503.02531, section 2 for the factor T².
    That teacher and student see the same view: Beyer et al. 2022, https://arxiv.org/abs/2106.05237.
"""

from __future__ import annotations

from typing import Any, Literal

import keras
import numpy as np

from tfxfer.keeping.watching import ask_earlier, watch_network
from tfxfer.surgery import find_output

__all__ = ["TEMPERATURE", "Link", "answer_apart", "measure_divergence", "watch_answers"]

TEMPERATURE = 2.0
"""Of both models' answers, after Li and Hoiem: small scores count for more."""

_LEAST = 1e-7  # a probability of 0 has no logarithm

Link = Literal["softmax", "sigmoid"]


def measure_divergence(
    earlier: Any,
    answers: Any,
    *,
    link: Link | None,
    temperature: float = TEMPERATURE,
    scale: np.ndarray | None = None,
) -> Any:
    """Returns how far a model's answers are from an earlier one's, of each sample.

    Under a link it is T² · KL(earlier ‖ answers) of the answers at temperature T: over the earlier
    labels, whose scores are taken as a distribution of their own (softmax), or of each label,
    summed (sigmoid). Without one it is half the squared difference in units of `scale`, summed.

    Args:
        earlier: scores of the earlier model.
        answers: scores of the model that trains; those of further labels come last and do not
            count.
        link: what made scores of logits; None where nobody knows.
        temperature: what the logits are divided by.
        scale: of each earlier output where there is no link; None is 1.

    Shapes: earlier (samples, labels), answers (samples, at least as many), scale (labels,); returns
        (samples,).
    """
    ops = keras.ops
    answers = answers[:, : earlier.shape[-1]]
    if link is None:
        gap = answers - earlier
        return 0.5 * ops.sum(
            ops.square(gap if scale is None else gap / scale[: earlier.shape[-1]]), axis=-1
        )
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


def answer_apart(logits: Any, known: int) -> Any:
    """Returns a softmax over the further labels alone; earlier ones have a score of 0.

    Args:
        logits: of all labels.
        known: how many of them, the first ones, an earlier model had.

    Shapes: (samples, labels); returns the same.
    """
    further = keras.ops.softmax(logits[:, known:], axis=-1)
    return keras.ops.pad(further, [[0, 0], [known, 0]])


def watch_answers(
    network: Any,
    earlier: Any,
    *,
    strength: float,
    link: Link | None,
    apart: tuple[str, int] | None = None,
    scale: np.ndarray | None = None,
) -> Any:
    """Returns a network for one training, whose loss also keeps an earlier one's answers.

    Args:
        network: that trains; it shares its layers with what is returned.
        earlier: a network of the same inputs, whose weights stay as they are.
        strength: what the penalty is multiplied by.
        link: see `measure_divergence`.
        apart: the layer that puts out the logits of a softmax, and how many labels are earlier
            ones: the head's loss gets the answers of `answer_apart`. None where some of the
            samples have earlier labels.
        scale: see `measure_divergence`.
    """
    if apart is None:

        def penalize(scores: Any, given: list[Any]) -> Any:
            before = ask_earlier(earlier, given)
            found = measure_divergence(before, scores, link=link, scale=scale)
            return strength * keras.ops.mean(found)

        return watch_network(network, penalize)
    layer, known = apart

    def penalize_logits(logits: Any, given: list[Any]) -> Any:
        scores = keras.ops.softmax(logits[:, :known], axis=-1)
        found = measure_divergence(ask_earlier(earlier, given), scores, link="softmax")
        return strength * keras.ops.mean(found)

    return watch_network(
        network,
        penalize_logits,
        watched=find_output(network, layer),
        change=lambda _, logits: answer_apart(logits, known),
    )
