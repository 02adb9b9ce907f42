"""What a temperature costs samples that it was not fitted on, where the true one is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from tfxfer.trust.likelihood import Likelihood, apply_link, find_logits
from tfxfer.trust.temperature import find_temperature

CLASSES = 4
CHANCE = 0.002
"""Log loss that a temperature may cost on average; the likeliest of 73 samples costs .007 more than
the true one, half a sample's share (Wilks 1938)."""
Rule = Callable[[np.ndarray, np.ndarray], float]


@dataclass(frozen=True, eq=False)
class World:
    """Samples whose probabilities are known, so that the expected loss of others is exact.

    Args:
        logits: as several epochs of a model say, all as good as each other.
        truth: the true probabilities.

    Shapes: logits (epochs, samples, classes), truth (samples, classes).
    """

    logits: np.ndarray
    truth: np.ndarray

    @classmethod
    def of(cls, temperature: float, *, epochs: int = 1, noise: float = 0.0) -> World:
        rng = np.random.default_rng(0)
        labels = rng.integers(0, CLASSES, 4000)
        logits = rng.normal(0, 1.5, (4000, CLASSES)) + 3 * np.eye(CLASSES)[labels]
        said = logits + rng.normal(0, 1, (epochs, *logits.shape)) * noise
        return cls(said, apply_link(logits / temperature, "softmax"))

    def find_risk(self, temperature: float, *, epoch: int = 0) -> float:
        p = apply_link(self.logits[epoch] / temperature, "softmax")
        return float(-(self.truth * np.log(p)).sum(axis=1).mean())

    def find_excess(self, rule: Rule, *, samples: int, seeds: int) -> float:
        """Returns the mean loss that a rule adds to that of leaving the model alone."""
        found = []
        for seed in range(seeds):
            rng = np.random.default_rng(seed)
            drawn = rng.integers(0, len(self.truth), samples)
            labels = (rng.random((samples, 1)) > self.truth[drawn].cumsum(axis=1)).sum(axis=1)
            targets = np.eye(CLASSES)[labels.clip(0, CLASSES - 1)]
            scores = apply_link(self.logits[:, drawn].reshape(-1, CLASSES), "softmax")
            scores = scores.reshape(-1, samples, CLASSES)
            epoch = int(np.argmax((np.log(scores) * targets).sum(axis=(1, 2))))
            found.append(
                self.find_risk(rule(scores[epoch], targets), epoch=epoch)
                - self.find_risk(1.0, epoch=epoch)
            )
        return float(np.mean(found))


def fit(scores: np.ndarray, targets: np.ndarray) -> float:
    return find_temperature(scores, targets, link="softmax").value


def take_likeliest(scores: np.ndarray, targets: np.ndarray) -> float:
    return Likelihood(find_logits(scores, "softmax"), targets, "softmax").likeliest


@pytest.mark.parametrize("temperature", [0.4, 0.7, 1.0, 1.5, 3.0])
@pytest.mark.parametrize(("samples", "seeds"), [(40, 60), (73, 60), (400, 20)])
def test_it_never_costs_others_more_than_chance(
    temperature: float, samples: int, seeds: int
) -> None:
    world = World.of(temperature)
    assert world.find_excess(fit, samples=samples, seeds=seeds) < CHANCE


@pytest.mark.parametrize("temperature", [0.4, 0.7, 1.0, 1.5])
@pytest.mark.parametrize("samples", [20, 40, 73])
def test_nor_where_the_same_samples_chose_the_epoch(temperature: float, samples: int) -> None:
    world = World.of(temperature, epochs=10, noise=0.8)
    assert world.find_excess(fit, samples=samples, seeds=60) < CHANCE


def test_the_likeliest_one_does() -> None:
    assert World.of(1.0).find_excess(take_likeliest, samples=40, seeds=60) > 5 * CHANCE
    chosen = World.of(0.7, epochs=10, noise=0.8)
    assert chosen.find_excess(take_likeliest, samples=73, seeds=60) > 5 * CHANCE


@pytest.mark.parametrize("temperature", [0.4, 0.7, 1.5, 3.0])
def test_of_many_samples_it_is_near_the_best(temperature: float) -> None:
    world = World.of(temperature)
    best = world.find_risk(temperature) - world.find_risk(1.0)
    assert best < -0.02
    assert world.find_excess(fit, samples=3000, seeds=5) < best + 0.002
    # A third of the way there would not do.
    assert world.find_risk(temperature ** (2 / 3)) - world.find_risk(1.0) > best + 0.002
