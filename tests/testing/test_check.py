"""What an examination makes of checks, waivers and one another."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from tfxfer import UsageError
from tfxfer.testing import BACKBONE_CHECKS, HEAD_CHECKS, MODALITY_CHECKS, Check, Report
from tfxfer.testing.check import (
    CheckError,
    Examination,
    check,
    describe_error,
    fail,
    not_applicable,
    not_run,
)

CALLS: list[str] = []


@check("always holds")
def good(subject: Any) -> None:
    CALLS.append("good")


@check("never holds", requires=("good",))
def bad(subject: Any) -> None:
    fail("a double", expected="good", received="bad", fix="Mend it.")


@check("raises", requires=("good",))
def raising(subject: Any) -> None:
    raise RuntimeError("out of order")


@check("has nothing to look at")
def absent(subject: Any) -> None:
    not_applicable("there is none")


@check("cannot look here")
def elsewhere(subject: Any) -> None:
    not_run("no tool")


@check("hangs on a bad one", requires=("bad",))
def after_bad(subject: Any) -> None:
    raise AssertionError("must not run")


@check("hangs on one that is not applicable", requires=("absent",))
def after_absent(subject: Any) -> None:
    pass


@check("hangs on one that was not run", requires=("elsewhere",))
def after_elsewhere(subject: Any) -> None:
    raise AssertionError("must not run")


KIT = (good, bad, raising, absent, elsewhere, after_bad, after_absent, after_elsewhere)


def outcomes(**waivers: str) -> dict[str, str]:
    results = Examination(KIT, object(), waivers=waivers).results()
    return {result.name: result.outcome for result in results}


def messages(**waivers: str) -> dict[str, str]:
    results = Examination(KIT, object(), waivers=waivers).results()
    return {result.name: result.message for result in results}


def test_outcomes() -> None:
    assert outcomes() == {
        "good": "passed",
        "bad": "failed",
        "raising": "failed",
        "absent": "not_applicable",
        "elsewhere": "not_run",
        "after_bad": "not_run",
        "after_absent": "passed",
        "after_elsewhere": "not_run",
    }
    found = messages()
    assert found["good"] == ""
    assert found["bad"] == "a double: expected good. Received: bad. Mend it."
    assert "RuntimeError: out of order" in found["raising"]
    assert found["absent"] == "there is none"
    assert found["after_bad"] == "needs 'bad', which failed"
    assert found["after_elsewhere"] == "needs 'elsewhere', which was not run"


def test_a_check_runs_once_and_alone_with_what_it_requires() -> None:
    CALLS.clear()
    examination = Examination(KIT, object())
    assert examination.result("bad").outcome == "failed"
    assert CALLS == ["good"]
    heard: list[str] = []
    examination.results(lambda result: heard.append(result.name))
    assert CALLS == ["good"]
    assert heard == [item.name for item in KIT]


def test_a_waived_failure_is_no_failure_and_says_why() -> None:
    found = outcomes(bad="the phone has no such thing")
    assert found["bad"] == "waived"
    assert found["after_bad"] == "not_run"
    assert messages(bad="the phone has no such thing")["bad"].startswith(
        "the phone has no such thing (a double: expected good."
    )


def test_a_waived_check_that_passes_is_a_failure() -> None:
    assert outcomes(good="for luck")["good"] == "failed"
    assert "it passes. Take the waiver out." in messages(good="for luck")["good"]
    # Its own promise holds, so what hangs on it can be looked at.
    assert outcomes(good="for luck")["bad"] == "failed"


def test_what_is_not_applicable_cannot_be_waived() -> None:
    assert outcomes(absent="for luck")["absent"] == "failed"
    assert "is not applicable: there is none" in messages(absent="for luck")["absent"]


def test_what_is_not_run_here_may_be_waived_for_elsewhere() -> None:
    assert outcomes(elsewhere="fails there")["elsewhere"] == "not_run"


@pytest.mark.parametrize("reason", ["", "  "])
def test_a_waiver_needs_a_reason(reason: str) -> None:
    with pytest.raises(UsageError, match=r"waiver 'bad': expected a reason"):
        Examination(KIT, object(), waivers={"bad": reason})


def test_a_waiver_needs_a_check() -> None:
    with pytest.raises(UsageError, match=r"waiver 'bda': expected the name of a check: good, bad"):
        Examination(KIT, object(), waivers={"bda": "a slip"})


def test_a_report_as_data() -> None:
    results = Examination(KIT, object()).results()
    report = Report("tiny", "backbone", "tfxfer-tiny", "1.0", results)
    assert not report.ok
    assert report.failed == ("bad", "raising")
    document = report.to_dict()
    assert {key: document[key] for key in ("name", "kind", "distribution", "version", "ok")} == {
        "name": "tiny",
        "kind": "backbone",
        "distribution": "tfxfer-tiny",
        "version": "1.0",
        "ok": False,
    }
    assert set(document["checks"][1]) == {"name", "outcome", "message", "seconds", "description"}
    passing = Report("tiny", "backbone", "", "", tuple(r for r in results if r.name == "good"))
    assert passing.ok


def test_errors_are_described_in_one_line() -> None:
    assert describe_error(ValueError("a.\n\nb.")) == "ValueError: a. b"
    assert describe_error(KeyError()) == "KeyError"
    assert len(describe_error(ValueError("x" * 10_000))) < 500
    assert issubclass(CheckError, AssertionError)
    assert CheckError.exit_code == 3


@pytest.mark.parametrize("kit", [BACKBONE_CHECKS, HEAD_CHECKS, MODALITY_CHECKS])
def test_a_kit_is_in_order_and_says_what_it_promises(kit: tuple[Check, ...]) -> None:
    seen: set[str] = set()
    for item in kit:
        assert item.name not in seen
        assert set(item.requires) <= seen, f"{item.name} comes before what it requires"
        assert item.description[0].islower() or item.description[0].isupper()
        assert not item.description.endswith(".")
        assert len(item.description) < 100
        seen.add(item.name)


def test_the_functions_need_no_pytest_and_the_module_no_keras() -> None:
    code = (
        "import sys\n"
        "sys.modules['pytest'] = None\n"
        "import tfxfer.testing\n"
        "from tfxfer.testing import check_backbone, check_head, Report\n"
        "assert not {'keras', 'tensorflow'} & set(sys.modules)\n"
        "try:\n"
        "    tfxfer.testing.BackboneConformance\n"
        "except ImportError:\n"
        "    print('needs pytest')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, "needs pytest\n"), done.stderr
