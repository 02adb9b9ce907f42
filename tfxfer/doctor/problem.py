"""One thing that is wrong, or worth knowing, and the command that mends it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from tfxfer.doctor.environment import Environment
from tfxfer.system import shell

__all__ = ["Problem", "Rule", "Severity", "set_variable", "unset_variable"]

Severity = Literal["problem", "note"]


@dataclass(frozen=True)
class Problem:
    """What a rule has to say.

    Args:
        what: expected and received.
        remedy: what to type.
        severity: `problem` for what does not work; `note` for what works, or is not there and
            need not be.
        mends: normalised names of the packages whose version the remedy settles: what else is
            wrong with them is looked at after that.
    """

    what: str
    remedy: str
    severity: Severity = "problem"
    mends: frozenset[str] = frozenset()


Rule = Callable[[Environment], Iterator[Problem]]


def set_variable(environment: Environment, name: str, value: str) -> str:
    """Returns the command that sets an environment variable in the user's shell."""
    return shell.set_variable(name, value, platform=environment.platform)


def unset_variable(environment: Environment, name: str) -> str:
    """Returns the command that takes an environment variable away in the user's shell."""
    return shell.unset_variable(name, platform=environment.platform)
