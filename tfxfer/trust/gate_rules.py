"""What a model must reach before it goes out: rules in a TOML file.

    bound = "low"        # the worse end of the interval must hold; "value": what was measured
    least = 20           # smaller groups do not count; 20 unless said
    rules = [
        "accuracy >= 0.9",
        "recall of 'melanoma' >= 0.95",
        "worst-slice recall >= 0.8",
        "worst-slice accuracy by hospital >= 0.85",
        "equal-opportunity gap by hospital <= 0.1",
    ]

A rule is `[worst-slice] FIGURE [of LABEL] [by COLUMN] >= NUMBER`, or with `<=`, or
`CRITERION gap [of LABEL] [by COLUMN] <= NUMBER`. FIGURE is one of the head's metrics, or `recall`,
the mean share of each label's samples that is found. CRITERION is `equal-opportunity`,
`equalized-odds` or `demographic-parity`. A label or a column that holds `of` or `by` itself, as
'stand by me', stands in quotes.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast, get_args

from tfxfer.data.slice_table import check_columns
from tfxfer.errors import UsageError
from tfxfer.system.bounded import MOST_RULES_BYTES, read_text
from tfxfer.system.spelling import did_you_mean
from tfxfer.trust.fairness import CRITERIA
from tfxfer.trust.groups import FEWEST_SAMPLES

if TYPE_CHECKING:
    from tfxfer.head import Head

__all__ = ["Bound", "Gate", "Rule", "check_gate", "read_gate"]

Bound = Literal["low", "value"]
Scope = Literal["all", "worst_slice", "gap"]

_KEYS = ("bound", "least", "rules")
_WORST = "worst_slice_"
_GAP = "_gap"
_RULE = re.compile(r"^(?P<left>.+?)\s*(?P<operator>>=|<=|≥|≤)\s*(?P<number>\S+)$")
# An apostrophe within a word, as in Alzheimer's, opens no quotes.
_QUOTED = re.compile(r"""(?<!\S)(?:'[^']+'|"[^"]+")(?!\S)""")
_SIDES = {"≥": ">=", "≤": "<="}


@dataclass(frozen=True)
class Rule:
    """One thing that must hold.

    Args:
        text: as it was written.
        scope: of what: all samples, the worst group, or the gap between groups.
        name: of a metric, `recall`, or a criterion.
        operator: `>=` or `<=`.
        threshold: what is reached or kept below.
        label: whose recall or gap; None is that of all.
        column: whose groups; None is every column.
    """

    text: str
    scope: Scope
    name: str
    operator: str
    threshold: float
    label: str | None = None
    column: str | None = None


@dataclass(frozen=True)
class Gate:
    """All that must hold.

    Args:
        source: the file it was read from.
        bound: `low`: the worse end of a figure's interval must hold; `value`: the figure itself.
        rules: what must hold.
        least: samples below which a group does not count.
    """

    source: str
    bound: Bound
    rules: tuple[Rule, ...]
    least: int = FEWEST_SAMPLES

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that rules name."""
        return tuple(dict.fromkeys(rule.column for rule in self.rules if rule.column is not None))

    @property
    def needs_slices(self) -> bool:
        """Whether a rule is about groups."""
        return any(rule.scope != "all" for rule in self.rules)


def read_gate(path: str | Path) -> Gate:
    """Returns the rules of a file.

    Raises:
        UsageError: no such file, no TOML, a key that is unknown or missing, or a rule that cannot
            be meant.
    """
    where = f"gate {str(path)!r}"
    try:
        document = tomllib.loads(read_text(Path(path), MOST_RULES_BYTES, encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(
            f"{where}: expected a TOML file with rules. Received: {reason}."
        ) from error
    for key in document:
        if key not in _KEYS:
            raise UsageError(
                f"{where}: expected the keys {', '.join(_KEYS)}. Received: {key!r}."
                f"{did_you_mean(key, _KEYS)}"
            )
    bound, least = document.get("bound"), document.get("least", FEWEST_SAMPLES)
    if bound not in get_args(Bound):
        raise UsageError(
            f'{where}: expected bound = "low", where the worse end of the 95 % interval must hold, '
            f'or bound = "value", where the measured figure must. Received: bound={bound!r}.'
        )
    if type(least) is not int or least < 1:
        raise UsageError(f"{where}: expected a count of samples as least. Received: {least!r}.")
    texts = document.get("rules")
    is_list = isinstance(texts, list) and all(isinstance(text, str) for text in texts)
    if not is_list or not texts:
        raise UsageError(
            f'{where}: expected rules = ["accuracy >= 0.9", …], one or more. '
            f"Received: rules={texts!r}."
        )
    rules = tuple(_read_rule(text, where) for text in texts)
    return Gate(str(path), cast("Bound", bound), rules, least)


def check_gate(
    gate: Gate,
    *,
    head: Head,
    columns: Collection[str],
    labels: Sequence[str] = (),
) -> None:
    """Refuses rules about what will not be measured, before it takes time to find out.

    Args:
        gate: the rules.
        head: the task.
        columns: further columns of the data.
        labels: what a sample may be; none where that is not known yet.

    Raises:
        UsageError: a metric, a criterion or a label that the head does not have, or the wrong way
            round.
        DataError: a column that the data does not have.
    """
    if gate.needs_slices and not columns:
        rule = next(rule for rule in gate.rules if rule.scope != "all")
        check_columns(["…"], (), where=f"gate {gate.source!r}, {rule.text!r}: column")
    for rule in gate.rules:
        where = f"gate {gate.source!r}, {rule.text!r}"
        if rule.column is not None:
            check_columns([rule.column], columns, where=f"{where}: column")
        if rule.scope != "gap":
            _check_metric(rule, head, where)
        if (rule.scope == "gap" or rule.name == "recall") and not head.can_balance:
            raise UsageError(
                f"{where}: expected a head whose answers are labels. Received: {head.name!r}. "
                f"It has {', '.join(head.figures.catalogue)}."
            )
        if rule.label is not None and labels and rule.label not in labels:
            raise UsageError(
                f"{where}: expected a label among {', '.join(map(repr, labels[:10]))}. "
                f"Received: {rule.label!r}.{did_you_mean(rule.label, labels)}"
            )


def _check_metric(rule: Rule, head: Head, where: str) -> None:
    catalogue = head.figures.catalogue
    known = (*catalogue, "recall")
    if rule.name not in known:
        raise UsageError(
            f"{where}: expected a figure among {', '.join(known)}. Received: {rule.name!r}."
            f"{did_you_mean(rule.name, known)}"
        )
    if rule.label is not None and rule.name != "recall":
        raise UsageError(
            f"{where}: expected a label with recall or a gap alone. Received: {rule.name!r}."
        )
    about = catalogue.get(rule.name)
    expected = "<=" if about is not None and about.lower_is_better else ">="
    if rule.operator != expected:
        better = "less" if expected == "<=" else "more"
        raise UsageError(
            f"{where}: expected {expected}, since {better} is better. Received: {rule.operator}."
        )
    if (about is None or about.is_share) and not 0 <= rule.threshold <= 1:
        raise UsageError(f"{where}: expected a share 0..1. Received: {rule.threshold:g}.")


def _read_rule(text: str, where: str) -> Rule:
    where = f"{where}, rule {text!r}"
    found = _RULE.match(text.strip())
    if found is None:
        raise UsageError(
            f"{where}: expected FIGURE >= NUMBER, or CRITERION gap <= NUMBER, such as "
            "'worst-slice recall >= 0.8'. Received: neither."
        )
    try:
        threshold = float(found["number"])
    except ValueError:
        threshold = math.nan
    if not math.isfinite(threshold):
        raise UsageError(f"{where}: expected a number at the end. Received: {found['number']!r}.")
    operator = _SIDES.get(found["operator"], found["operator"])
    left, column = _cut(found["left"], "by")
    left, label = _cut(left, "of")
    name = _normalize(left)
    scope: Scope = "all"
    if name.startswith(_WORST):
        scope, name = "worst_slice", name.removeprefix(_WORST)
    elif name.endswith(_GAP):
        scope, name = "gap", name.removesuffix(_GAP)
        _check_gap(name, operator, threshold, where)
    if column is not None and scope == "all":
        raise UsageError(
            f"{where}: expected worst-slice, or a gap, before a column. Received: {column!r} alone."
        )
    return Rule(text, scope, name, operator, threshold, label, column and column.lower())


def _check_gap(name: str, operator: str, threshold: float, where: str) -> None:
    if name not in CRITERIA:
        shown = [criterion.replace("_", "-") for criterion in CRITERIA]
        raise UsageError(
            f"{where}: expected a gap of {', '.join(shown)}. "
            f"Received: {name.replace('_', '-')!r}.{did_you_mean(name.replace('_', '-'), shown)}"
        )
    if operator != "<=" or not 0 <= threshold <= 1:
        raise UsageError(
            f"{where}: expected a gap to stay <= a share 0..1. Received: {operator} {threshold:g}."
        )


def _cut(text: str, word: str) -> tuple[str, str | None]:
    """Returns what stands before and after the first `word` that is in no quotes, which go."""
    quoted = [found.span() for found in _QUOTED.finditer(text)]
    for found in re.finditer(rf"(?<=\S)\s+{word}\s+(?=\S)", text):
        if any(start < found.start() < end for start, end in quoted):
            continue
        after = text[found.end() :].strip()
        return text[: found.start()], after[1:-1].strip() if _QUOTED.fullmatch(after) else after
    return text, None


def _normalize(text: str) -> str:
    return re.sub(r"[\s-]+", "_", text.strip().lower())
