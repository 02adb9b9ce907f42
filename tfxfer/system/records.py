"""Stored records: JSON that becomes a frozen dataclass again, or an error that says where it fails.

The annotations of the dataclass are the schema. `to_plain` of `tfxfer.system.files` writes what is
read here.
"""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from tfxfer.errors import TfxferError
from tfxfer.system.bounded import MOST_JSON_BYTES, read_text

__all__ = ["read_document", "read_record"]

_LONGEST = 80  # characters of a value that a message repeats

_SCALARS: Mapping[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    types.NoneType: "null",
}

_T = TypeVar("_T")


class _MismatchError(Exception):
    """A value that its annotation does not allow.

    Args:
        where: its path within the record; empty for the record itself.
        message: what follows the name of the record.
        is_inside: whether the value is of the right kind, and what it holds is not.
    """

    def __init__(self, where: str, message: str, *, is_inside: bool) -> None:
        super().__init__(message)
        self.where, self.message, self.is_inside = where, message, is_inside


def read_record(
    kind: type[_T],
    data: Any,
    *,
    where: str,
    error: type[TfxferError],
    renamed: Mapping[str, str] | None = None,
    required: Collection[str] = (),
    has_nan: bool = False,
) -> _T:
    """Returns the instance of a dataclass that JSON data stands for.

    Lists become tuples where the annotation says so, and whole numbers become floats.

    Args:
        kind: a dataclass whose fields are JSON's types, `Literal`, `Any`, dataclasses, and tuples,
            lists, mappings or unions of these.
        data: what `json.loads` returned.
        where: what the data is, for messages, such as `run.json`.
        error: what is raised.
        renamed: new names of keys by the names that earlier versions wrote.
        required: keys that must be there although their field has a default.
        has_nan: null in the place of a number is NaN, which JSON does not have.

    Raises:
        TfxferError: of the class `error`: a key is unknown or missing, a value has another type, or
            the dataclass itself refuses the values.

    Example:
        >>> from tfxfer.errors import RunError
        >>> @dataclasses.dataclass(frozen=True)
        ... class Box:
        ...     label: str
        ...     corners: tuple[float, ...] = ()
        >>> read_record(Box, {"label": "cat", "corners": [1, 2.5]}, where="boxes", error=RunError)
        Box(label='cat', corners=(1.0, 2.5))
        >>> read_record(Box, {"label": 3}, where="boxes", error=RunError)
        Traceback (most recent call last):
            ...
        tfxfer.errors.RunError: boxes: expected text as label. Received: label=3.
    """
    if isinstance(data, Mapping) and renamed:
        # A key that is there under both names is one too many, which the old name is.
        data = {
            renamed[key] if key in renamed and renamed[key] not in data else key: value
            for key, value in data.items()
        }
    reader = _Reader(error, has_nan)
    try:
        found: _T = reader.read_fields(kind, data, "", required)
    except _MismatchError as mismatch:
        raise error(f"{where}{mismatch.message}") from None
    except TfxferError as refusal:
        if isinstance(refusal, error):
            raise
        raise error(f"{where}: {refusal}") from refusal
    except RecursionError:
        raise error(f"{where}: expected fewer levels of lists and objects.") from None
    return found


def read_document(path: Path, *, expected: str, error: type[TfxferError]) -> dict[str, Any]:
    """Returns the JSON object that a file holds.

    Args:
        path: of the file.
        expected: what it should hold, for messages, such as `the JSON of a run`.
        error: what is raised.

    Raises:
        TfxferError: of the class `error`: the file is missing, is not JSON, or holds no object.
    """
    try:
        document = json.loads(read_text(path, MOST_JSON_BYTES))
    except (OSError, ValueError, RecursionError) as fault:
        raise error(
            f"cannot read {str(path)!r}: expected {expected}. "
            f"Received: {type(fault).__name__}: {fault}."
        ) from fault
    if not isinstance(document, dict):
        raise error(
            f"cannot read {str(path)!r}: expected a JSON object. "
            f"Received: {type(document).__name__}."
        )
    return document


@dataclasses.dataclass(frozen=True)
class _Reader:
    """Reads one document; see `read_record`."""

    error: type[TfxferError]
    has_nan: bool

    def read_fields(self, kind: Any, data: Any, where: str, required: Collection[str] = ()) -> Any:
        if not isinstance(data, Mapping):
            raise _mismatch(kind, data, where)
        place = f", {where}" if where else ""
        fields = {item.name: item for item in dataclasses.fields(kind) if item.init}
        unknown = sorted(repr(key) for key in data if key not in fields)
        if unknown:
            raise _MismatchError(
                where,
                f"{place}: expected the keys {', '.join(fields)}. Received: {', '.join(unknown)}. "
                "A newer tfxfer may have written it: pip install --upgrade tfxfer",
                is_inside=True,
            )
        for name, item in fields.items():
            has_default = (
                item.default is not dataclasses.MISSING
                or item.default_factory is not dataclasses.MISSING
            )
            if name not in data and (name in required or not has_default):
                raise _MismatchError(
                    where,
                    f"{place} lacks a key: expected {name}. "
                    f"Received: {', '.join(map(str, data)) or 'none'}.",
                    is_inside=True,
                )
        annotations = typing.get_type_hints(kind)
        prefix = f"{where}." if where else ""
        return kind(
            **{
                name: self.read_value(annotations[name], value, f"{prefix}{name}")
                for name, value in data.items()
            }
        )

    def read_value(self, annotation: Any, value: Any, where: str) -> Any:
        origin, options = get_origin(annotation), get_args(annotation)
        if annotation is Any:
            return value
        if origin in (Union, types.UnionType):
            return self.read_union(annotation, value, where)
        if dataclasses.is_dataclass(annotation):
            return self.read_fields(annotation, value, where)
        if annotation in _SCALARS:
            return self.read_scalar(annotation, value, where)
        if origin is Literal:
            if any(type(value) is type(option) and value == option for option in options):
                return value
            raise _mismatch(annotation, value, where)
        return self.read_container(annotation, value, where)

    def read_union(self, annotation: Any, value: Any, where: str) -> Any:
        if value is None and types.NoneType in get_args(annotation):
            return None
        for option in get_args(annotation):
            try:
                return self.read_value(option, value, where)
            except _MismatchError as mismatch:
                # It is of this kind: no other option would say what is wrong with it.
                if mismatch.is_inside or mismatch.where != where:
                    raise
        raise _mismatch(annotation, value, where)

    def read_scalar(self, annotation: Any, value: Any, where: str) -> Any:
        if annotation is float:
            if value is None and self.has_nan:
                return math.nan
            if type(value) is int:
                try:
                    return float(value)
                except OverflowError:
                    raise _mismatch(annotation, value, where) from None
        # Not isinstance: True is an int.
        if type(value) is not annotation:
            raise _mismatch(annotation, value, where)
        return value

    def read_container(self, annotation: Any, value: Any, where: str) -> Any:
        origin, options = get_origin(annotation), get_args(annotation)
        if isinstance(origin, type) and issubclass(origin, Mapping):
            if not isinstance(value, Mapping):
                raise _mismatch(annotation, value, where)
            return {
                str(key): self.read_value(options[1], item, f"{where}[{key!r}]")
                for key, item in value.items()
            }
        if not (isinstance(origin, type) and issubclass(origin, Sequence)):
            raise TypeError(f"a stored record cannot hold {annotation!r}, at {where}")
        if not isinstance(value, (list, tuple)):
            raise _mismatch(annotation, value, where)
        kinds: Sequence[Any] = options
        if origin is not tuple or options[-1] is Ellipsis:
            kinds = [options[0]] * len(value)
        elif len(kinds) != len(value):
            raise _mismatch(annotation, value, where)
        items = [
            self.read_value(kind, item, f"{where}[{number}]")
            for number, (kind, item) in enumerate(zip(kinds, value, strict=True))
        ]
        return tuple(items) if origin is tuple else items


def _mismatch(annotation: Any, value: Any, where: str) -> _MismatchError:
    place, name = (f" as {where}", f"{where}=") if where else ("", "")
    return _MismatchError(
        where,
        f": expected {_describe(annotation)}{place}. Received: {name}{_show(value)}.",
        is_inside=False,
    )


def _describe(annotation: Any) -> str:
    origin, options = get_origin(annotation), get_args(annotation)
    if annotation in _SCALARS:
        return _SCALARS[annotation]
    if origin in (Union, types.UnionType):
        return " or ".join(map(_describe, options))
    if origin is Literal:
        return " or ".join(map(repr, options))
    if isinstance(origin, type) and issubclass(origin, Sequence):
        has_length = origin is tuple and options[-1] is not Ellipsis
        return f"a list of {len(options)}" if has_length else "a list"
    return "an object"


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
