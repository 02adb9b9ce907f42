"""What a modality makes of samples: what is found in them, and what is read."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator

import numpy as np

from tfxfer.errors import DataError
from tfxfer.sample import Findings, Sample
from tfxfer.testing.check import check, describe_error, fail, not_applicable
from tfxfer.testing.modality_subject import ModalitySubject

__all__ = ["copies", "faults", "findings", "reads"]

_VIEWS = (0, 1, 4)
_GARBAGE_BYTES = 4096


@check("inspect finds usable samples usable, and copies equal", requires=("metadata",))
def findings(subject: ModalitySubject) -> None:
    """Inspects every sample, and byte-for-byte copies of them."""
    found = [_inspect(subject, sample) for sample in subject.samples]
    for sample, finding in zip(subject.samples, found, strict=True):
        what = f"findings of {sample.name!r}"
        if finding.fault is not None:
            fail(
                what,
                expected="no fault in a sample that its author gave",
                received=f"fault={finding.fault!r}",
                fix="Mend inspect, or give other samples.",
            )
        if not finding.sha256 or not finding.identity:
            fail(
                what,
                expected="the sha256 of its bytes, and an identity",
                received=f"sha256={finding.sha256!r}, identity={finding.identity!r}",
                fix="Fill in both: the audit finds copies by them.",
            )
        if sample.path is not None:
            expected = hashlib.sha256(sample.path.read_bytes()).hexdigest()
            if finding.sha256 != expected:
                fail(
                    what,
                    expected=f"sha256 {expected}, of the stored bytes",
                    received=f"sha256={finding.sha256!r}",
                    fix="Hash the file as it is stored.",
                )
    shapes = {None if found.sketch is None else np.shape(found.sketch) for found in found}
    if len(shapes) > 1:
        fail(
            f"sketches of modality {subject.name!r}",
            expected="the same shape for all samples, or none",
            received=f"shapes={sorted(map(str, shapes))}",
            fix="Make a sketch of a fixed size.",
        )
    for sample, finding in zip(subject.samples, found, strict=True):
        again = _inspect(subject, _copy(subject, sample))
        if (again.sha256, again.identity) != (finding.sha256, finding.identity):
            fail(
                f"findings of a copy of {sample.name!r}",
                expected="the same sha256 and identity as of the sample",
                received=f"identity={again.identity!r} instead of {finding.identity!r}",
                fix="Derive both from the content, not from the name.",
            )
    identities = [finding.identity for finding in found]
    if len(set(identities)) < len(identities):
        fail(
            f"identities of modality {subject.name!r}",
            expected="a different one for each sample",
            received=f"{len(set(identities))} of {len(identities)}",
            fix="Two samples are identical only if a network sees the same.",
        )


@check(
    "what is no sample is a fault found, not an error raised",
    requires=("inputs", "findings"),
)
def faults(subject: ModalitySubject) -> None:
    """Inspects and reads samples that are empty, garbage, or cut in half."""
    from tfxfer.data.audit import PROBLEM_KINDS

    for words, sample, is_surely_bad in _make_bad_samples(subject):
        what = f"{subject.plugin.noun}, {words}"
        try:
            finding = _inspect(subject, sample)
        except Exception as error:  # noqa: BLE001 - that it raises nothing is what is promised
            fail(
                f"inspect of a {what}",
                expected="Findings with a fault",
                received=describe_error(error),
                fix="Catch what decoding raises, and name it as the fault.",
            )
        if finding.fault is None:
            if is_surely_bad:
                fail(
                    f"inspect of a {what}",
                    expected="a fault",
                    received="fault=None",
                    fix="Decode the sample to its end.",
                )
            subject.read(sample)
            continue
        kind, detail = finding.fault
        if kind not in PROBLEM_KINDS or not detail:
            fail(
                f"fault of a {what}",
                expected=f"a kind among {', '.join(PROBLEM_KINDS)}, and what exactly",
                received=f"fault={finding.fault!r}",
                fix="Choose the kind that fits best.",
            )
        try:
            subject.read(sample)
        except DataError:
            continue
        except Exception as error:  # noqa: BLE001 - a plugin's code may raise anything
            received = describe_error(error)
        else:
            received = "an array"
        fail(
            f"read of a {what}",
            expected="a DataError, since a file may change after it was inspected",
            received=received,
            fix="Raise DataError where the sample cannot be read.",
        )


@check("read returns what list_inputs promises, at every size", requires=("inputs",))
def reads(subject: ModalitySubject) -> None:
    """Reads every sample, plain and in several views, at two sizes, by the contract as fitted."""
    _check_fitted(subject)
    for size in (subject.size, 2 * subject.size):
        promised = subject.plugin.list_inputs(size, subject.contract)
        for sample in subject.samples:
            for numbers in ((0,), _VIEWS):
                read = subject.read(sample, size=size, views=numbers)
                if list(read) != list(promised):
                    fail(
                        f"read of {sample.name!r}",
                        expected=f"the inputs {list(promised)}, in this order",
                        received=f"inputs={list(read)}",
                        fix="Return a dict by the names of list_inputs.",
                    )
                for name, spec in promised.items():
                    values = np.asarray(read[name])
                    found = (values.shape, str(values.dtype))
                    expected = ((len(numbers), *spec.shape), str(np.dtype(spec.stored)))
                    if found != expected:
                        fail(
                            f"read of {sample.name!r}, size={size}, input {name!r}",
                            expected=f"shape {expected[0]} of {expected[1]}, the views first",
                            received=f"shape={found[0]}, dtype={found[1]}",
                            fix="Return what InputSpec says, or mend list_inputs.",
                        )
                    if values.dtype.kind == "f" and not np.isfinite(values).all():
                        fail(
                            f"read of {sample.name!r}, input {name!r}",
                            expected="finite numbers",
                            received=f"{int((~np.isfinite(values)).sum())} that are not",
                            fix="Find a fault in such a sample, or replace them.",
                        )


@check("find_copies groups samples by the index of the first one", requires=("findings",))
def copies(subject: ModalitySubject) -> None:
    """Gives it the sketches of the samples, and the same again."""
    sketches = [_inspect(subject, sample).sketch for sample in subject.samples]
    if any(sketch is None for sketch in sketches):
        not_applicable("inspect makes no sketches")
    twice = [*sketches, *sketches]
    groups = np.asarray(subject.plugin.find_copies(twice))
    what = f"find_copies of modality {subject.name!r}"
    if groups.shape != (len(twice),) or groups.dtype.kind not in "iu":
        fail(
            what,
            expected=f"whole numbers, one per sketch, shape ({len(twice)},)",
            received=f"shape={groups.shape}, dtype={groups.dtype}",
            fix="Return numpy.arange(len(sketches)) where there are no copies.",
        )
    indices = np.arange(len(twice))
    in_range = bool(((groups >= 0) & (groups <= indices)).all())
    if not in_range or not (groups[groups] == groups).all():
        fail(
            what,
            expected="for each the index of the first one of its group, for that one its own",
            received=f"groups={groups.tolist()}",
            fix="Number groups by their first members.",
        )


def _check_fitted(subject: ModalitySubject) -> None:
    """Fits the contract to the samples, and once more: what is settled stays."""
    plugin = subject.plugin
    what = f"fit_contract of modality {subject.name!r}"
    facts = [_inspect(subject, sample).facts for sample in subject.samples]
    fitted, words = plugin.fit_contract(subject.contract, facts)
    plugin.check_contract(fitted)
    if not isinstance(words, tuple) or not all(isinstance(line, str) for line in words):
        fail(
            what,
            expected="a contract, and a tuple of lines to say",
            received=f"{words!r}",
            fix="Return () where there is nothing to say.",
        )
    again, more = plugin.fit_contract(subject.read_back(fitted, fitted.to_dict()), facts)
    if again.to_dict() != fitted.to_dict() or more:
        fail(
            what,
            expected="a contract that is settled to stay, without a word",
            received=f"{again.to_dict()} after {fitted.to_dict()}, words={more!r}",
            fix="Change what the contract leaves open, and store that it is settled.",
        )


def _inspect(subject: ModalitySubject, sample: Sample) -> Findings:
    with subject.plugin.reading():
        found = subject.plugin.inspect(sample)
    if not isinstance(found, Findings):
        fail(
            f"inspect of {sample.name!r}",
            expected="tfxfer.Findings",
            received=f"{type(found).__name__}",
            fix="Return Findings, with a fault where it is unusable.",
        )
    return found


def _copy(subject: ModalitySubject, sample: Sample) -> Sample:
    if sample.path is None:
        return Sample("copy", content=sample.content)
    # Only the ending of a name may say what a file is.
    path = subject.folder / f"copy{''.join(sample.path.suffixes[-1:])}"
    shutil.copyfile(sample.path, path)
    return Sample("copy", path)


def _make_bad_samples(subject: ModalitySubject) -> Iterator[tuple[str, Sample, bool]]:
    """Yields what is wrong, the sample, and whether no modality could read it."""
    if not subject.is_files:
        yield "an empty cell", Sample("empty", content=""), True
        return
    whole = subject.samples[0].path
    assert whole is not None
    content = whole.read_bytes()
    garbage = np.random.default_rng(0).bytes(_GARBAGE_BYTES)
    for words, data, is_surely_bad in (
        ("an empty file", b"", True),
        ("a file of garbage", garbage, True),
        # Of a text, half a file may be a text.
        ("half a file", content[: len(content) // 2], False),
    ):
        path = subject.folder / f"bad{whole.suffix}"
        path.write_bytes(data)
        yield words, Sample(words, path), is_surely_bad
