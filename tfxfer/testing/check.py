"""A check, what came of it, and the report of all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

from tfxfer.errors import TfxferError, UsageError

__all__ = [
    "Check",
    "CheckError",
    "Examination",
    "Outcome",
    "Report",
    "Result",
    "check",
    "describe_error",
    "fail",
    "not_applicable",
    "not_run",
]

_LONGEST = 400  # characters of somebody else's message: Keras lists every argument of a call

Outcome = Literal["passed", "failed", "waived", "not_applicable", "not_run"]


class CheckError(TfxferError, AssertionError):
    """A plugin does not do what a check expects."""

    exit_code = 3


class _CheckSkipped(Exception):  # noqa: N818 - no error: a check that ends without having failed
    def __init__(self, outcome: Outcome, reason: str) -> None:
        super().__init__(reason)
        self.outcome = outcome
        self.reason = reason


def fail(what: str, *, expected: str, received: str, fix: str) -> NoReturn:
    """Raises the CheckError of a check that failed, in the words of every other error.

    Example:
        >>> fail("stage 'stem'", expected="a layer", received="none", fix="Name it.")
        Traceback (most recent call last):
        tfxfer.testing.check.CheckError: stage 'stem': expected a layer. Received: none. Name it.
    """
    raise CheckError(f"{what}: expected {expected}. Received: {received}. {fix}")


def not_applicable(reason: str) -> NoReturn:
    """Ends a check that has nothing to look at, such as stages where there are none."""
    raise _CheckSkipped("not_applicable", reason)


def not_run(reason: str) -> NoReturn:
    """Ends a check that cannot look here, such as one that needs another package."""
    raise _CheckSkipped("not_run", reason)


@dataclass(frozen=True)
class Check:
    """One promise of the contract.

    Args:
        name: what waivers, reports and test ids call it.
        description: the promise, in one line.
        run: looks at a subject; returns if the promise holds, else calls `fail`.
        requires: checks without which this one can say nothing.
    """

    name: str
    description: str
    run: Callable[[Any], None]
    requires: tuple[str, ...] = ()


def check(
    description: str, *, requires: Sequence[str] = ()
) -> Callable[[Callable[[Any], None]], Check]:
    """Turns a function of a subject into the check of that name.

    Example:
        >>> @check("is positive")
        ... def positive(subject): assert subject > 0
        >>> positive.name, positive.description
        ('positive', 'is positive')
    """

    def decorate(function: Callable[[Any], None]) -> Check:
        return Check(function.__name__, description, function, tuple(requires))

    return decorate


@dataclass(frozen=True)
class Result:
    """What came of one check.

    Args:
        name: of the check.
        description: of the check.
        outcome: `passed`; `failed`; `waived`, failed as its waiver says; `not_applicable`, this
            plugin has nothing of the kind; `not_run`, it could not be looked at here.
        message: why it is not `passed`; empty where it is.
        seconds: it took, without what it requires.
    """

    name: str
    description: str
    outcome: Outcome
    message: str
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Returns plain JSON data."""
        return {
            "name": self.name,
            "outcome": self.outcome,
            "message": self.message,
            "seconds": round(self.seconds, 3),
            "description": self.description,
        }


@dataclass(frozen=True)
class Report:
    """What came of all checks of one component.

    Args:
        name: of the component.
        kind: `backbone`, `head` or `modality`.
        distribution: pip name of what brought it; empty where nothing is installed.
        version: of that distribution.
        results: in the order of the kit.
    """

    name: str
    kind: str
    distribution: str
    version: str
    results: tuple[Result, ...]

    @property
    def ok(self) -> bool:
        """Whether no check failed."""
        return not self.failed

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the checks that failed."""
        return tuple(result.name for result in self.results if result.outcome == "failed")

    def to_dict(self) -> dict[str, Any]:
        """Returns plain JSON data."""
        return {
            "name": self.name,
            "kind": self.kind,
            "distribution": self.distribution,
            "version": self.version,
            "ok": self.ok,
            "checks": [result.to_dict() for result in self.results],
        }


class Examination:
    """Runs the checks of a kit on one subject, each once, what it requires first.

    Args:
        checks: the kit, in order.
        subject: what every check gets.
        waivers: reasons, by the name of the check that may fail.

    Raises:
        UsageError: a waiver of an unknown check, or without a reason.
    """

    def __init__(
        self, checks: Sequence[Check], subject: Any, *, waivers: Mapping[str, str] | None = None
    ) -> None:
        self.subject = subject
        self._checks = {item.name: item for item in checks}
        self._waivers = dict(waivers or {})
        self._results: dict[str, Result] = {}
        self._unusable: dict[str, Outcome] = {}
        for name, reason in self._waivers.items():
            if name not in self._checks:
                raise UsageError(
                    f"waiver {name!r}: expected the name of a check: {', '.join(self._checks)}. "
                    f"Received: waiver={name!r}."
                )
            if not isinstance(reason, str) or not reason.strip():
                raise UsageError(
                    f"waiver {name!r}: expected a reason, in words. Received: reason={reason!r}. "
                    "Say why this plugin cannot do it."
                )

    def result(self, name: str) -> Result:
        """Returns what came of one check."""
        if name not in self._results:
            self._results[name] = self._examine(self._checks[name])
        return self._results[name]

    def results(self, on_result: Callable[[Result], None] | None = None) -> tuple[Result, ...]:
        """Returns what came of every check; `on_result` hears of each as it ends."""
        for name in self._checks:
            found = self.result(name)
            if on_result is not None:
                on_result(found)
        return tuple(self._results[name] for name in self._checks)

    def _examine(self, item: Check) -> Result:
        for need in item.requires:
            self.result(need)
        started = time.perf_counter()
        outcome, message = self._run(item)
        if outcome in ("failed", "not_run"):
            self._unusable[item.name] = outcome
        reason = self._waivers.get(item.name)
        if reason is not None:
            outcome, message = _waive(item, outcome, message, reason)
        return Result(item.name, item.description, outcome, message, time.perf_counter() - started)

    def _run(self, item: Check) -> tuple[Outcome, str]:
        for need in item.requires:
            if need in self._unusable:
                words = "failed" if self._unusable[need] == "failed" else "was not run"
                return "not_run", f"needs {need!r}, which {words}"
        try:
            item.run(self.subject)
        except _CheckSkipped as end:
            return end.outcome, end.reason
        except TfxferError as error:
            return "failed", str(error)
        except Exception as error:  # noqa: BLE001 - a plugin's code may raise anything
            return "failed", (
                f"check {item.name!r}: expected the plugin's code to run. "
                f"Received: {describe_error(error)}. Mend what raises it."
            )
        return "passed", ""


def _waive(item: Check, outcome: Outcome, message: str, reason: str) -> tuple[Outcome, str]:
    if outcome == "failed":
        return "waived", f"{reason} ({message})"
    if outcome == "not_run":
        return outcome, message
    words = "passes" if outcome == "passed" else f"is not applicable: {message}"
    return (
        "failed",
        f"waiver {item.name!r}: expected a check that fails. Received: it {words}. "
        "Take the waiver out.",
    )


def describe_error(error: BaseException) -> str:
    r"""Returns the type of an error and the beginning of what it says, on one line.

    Example:
        >>> describe_error(ValueError("too large.\n\nShapes: 3"))
        'ValueError: too large. Shapes: 3'
    """
    text = " ".join(str(error).split())
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]}…"
    return f"{type(error).__name__}: {text.rstrip('.')}" if text else type(error).__name__
