"""Reads the pickle of a state dict as data: nothing is imported, called, hashed or compared.

Python's own unpickler is a machine for programs. Restricted to four harmless names it still builds
tuples that double forty times in eighty bytes, hashes them as keys of a dict, and recurses into
what lies two million deep. This one knows the instructions that torch writes and no others. It does
a bounded amount of work for each: keys are text, what is called is a stand-in, and a tuple holds
tuples of plain values at most.
"""

from __future__ import annotations

import io
import pickletools
import re
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

import numpy as np

from tfxfer.errors import WeightsError

__all__ = ["DTYPES", "Storage", "Tensor", "describe_value", "read_pickle", "refuse"]

DTYPES: dict[str, np.dtype[Any]] = {
    "FloatStorage": np.dtype("<f4"),
    "LongStorage": np.dtype("<i8"),
}
"""The storages of weights, and of num_batches_tracked."""

# A tensor takes some 40 instructions: enough for 12,000 of them, read in about a second.
_MAX_INSTRUCTIONS = 500_000
_MAX_INTEGER = 1 << 80  # torch's magic number has 77 bits
_MARK = object()


class Storage(NamedTuple):
    """Numbers that lie elsewhere in the file.

    Args:
        dtype: of one of them.
        key: names them in the file; letters, digits and underscores.
        elements: how many.
    """

    dtype: np.dtype[Any]
    key: str
    elements: int


class Tensor(NamedTuple):
    """A view of a storage, not yet checked against it.

    Args:
        storage: that holds its numbers.
        offset: of the first, in elements.
        shape: may be anything that is no negative number.
        strides: in elements, as many or not as many as sizes.
    """

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Name(NamedTuple):
    """A global that a state dict needs; only ever compared by identity."""

    shown: str


class _StorageType(NamedTuple):
    dtype: np.dtype[Any]


class _Nested(tuple[Any, ...]):
    """A tuple that holds tuples; it may not lie in another."""

    __slots__ = ()


_ORDERED_DICT = _Name("collections.OrderedDict")
_REBUILD = _Name("torch._utils._rebuild_tensor_v2")
_GLOBALS: dict[str, object] = {
    "collections OrderedDict": _ORDERED_DICT,
    "torch._utils _rebuild_tensor_v2": _REBUILD,
    **{f"torch {name}": _StorageType(dtype) for name, dtype in DTYPES.items()},
}


def refuse(what: str, expected: str, **received: object) -> NoReturn:
    """Raises a `WeightsError` about a checkpoint; values out of the file are only described."""
    shown = ", ".join(f"{name}={describe_value(value)}" for name, value in received.items())
    raise WeightsError(f"torch checkpoint, {what}: expected {expected}. Received: {shown}.")


def describe_value(value: object) -> str:
    """Returns a plain value as it is written, and of anything that may hold others its kind alone.

    The text of a value out of a pickle can be exponentially longer than the file.

    Example:
        >>> describe_value(3), describe_value("a" * 100)[-4:], describe_value((1, 2))
        ('3', "...'", '(1, 2)')
    """
    if value is None or isinstance(value, bool | int | float):
        return repr(value)[:80]
    if isinstance(value, str):
        return repr(value if len(value) <= 60 else f"{value[:60]}...")
    if isinstance(value, bytes):
        return repr(value[:20])
    if type(value) is tuple and len(value) <= 8 and all(type(x) is int for x in value):
        return str(value)[:80]
    return f"a {type(value).__name__.lstrip('_').lower()}"


def read_pickle(stream: io.BytesIO) -> Any:
    """Returns what the next pickle of the stream describes, and leaves the stream after it.

    Returns:
        Plain values, lists, tuples, dicts with text for keys, and `Tensor`s.

    Raises:
        WeightsError: the pickle is damaged, or holds an instruction or a name that no state dict
            needs.
    """
    machine = _Machine()
    try:
        for number, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
            if number >= _MAX_INSTRUCTIONS:
                refuse("pickle", f"at most {_MAX_INSTRUCTIONS:,} instructions", more=number)
            if opcode.name == "STOP":
                return machine.finish()
            machine.run(opcode.name, argument)
    except WeightsError:
        raise
    except (ValueError, IndexError, KeyError, TypeError, OverflowError) as error:
        # What pickletools raises for bytes that are no pickle, and an empty stack.
        raise WeightsError(
            "torch checkpoint: expected a readable pickle; the file is truncated or not a "
            f"checkpoint. Received: {type(error).__name__}: {error!s:.120}."
        ) from error
    refuse("pickle", "an end", end=None)


class _Machine:
    """A stack, a memo, and one method for each kind of instruction."""

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def run(self, name: str, argument: Any) -> None:
        """Carries out one instruction.

        Raises:
            WeightsError: it is none that torch writes, or is used in a way that torch does not.
        """
        if name in _CONSTANTS:
            self._stack.append(_CONSTANTS[name]())
        elif name in _VALUES:
            if type(argument) is int and abs(argument) >= _MAX_INTEGER:
                refuse("pickle", "numbers below 2^80", bits=argument.bit_length())
            self._stack.append(argument)
        elif name in _INSTRUCTIONS:
            _INSTRUCTIONS[name](self, argument)
        else:
            refuse("pickle", "the instructions of a state dict", instruction=name)

    def finish(self) -> Any:
        """Returns what is left on the stack, which is one value."""
        if len(self._stack) != 1:
            refuse("pickle", "one value at its end", values=len(self._stack))
        (value,) = self._take(1)
        return value

    def _pop_to_mark(self) -> list[Any]:
        items = []
        while (item := self._stack.pop()) is not _MARK:
            items.append(item)
        return items[::-1]

    def _mark(self, _: Any) -> None:
        self._stack.append(_MARK)

    def _put(self, index: int) -> None:
        if index > _MAX_INSTRUCTIONS:
            refuse("pickle", f"a memo index of at most {_MAX_INSTRUCTIONS:,}", index=index)
        self._memo[index] = self._stack[-1]

    def _memoize(self, _: Any) -> None:
        self._put(len(self._memo))

    def _get(self, index: int) -> None:
        self._stack.append(self._memo[index])

    def _pop(self, _: Any) -> None:
        self._stack.pop()

    def _tuple(self, items: list[Any]) -> None:
        kinds = {type(item) for item in items}
        if _Nested in kinds:
            refuse("pickle", "tuples of plain values", nested="deeper than two tuples")
        self._stack.append(_Nested(items) if tuple in kinds else tuple(items))

    def _take(self, count: int) -> list[Any]:
        items = [self._stack.pop() for _ in range(count)]
        if any(item is _MARK for item in items):
            refuse("pickle", "a value", value="a mark")
        return items[::-1]

    def _append(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if type(target) is not list:
            refuse("pickle", "a list to append to", target=target)
        target.extend(items)

    def _set(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if type(target) is not dict or len(items) % 2:
            refuse("pickle", "a dict, and keys with values", target=target, items=len(items))
        for key, value in zip(items[::2], items[1::2], strict=True):
            # To hash anything else may take for ever.
            if type(key) is not str:
                refuse("content", "a state dict, with text as its keys", key=key)
            target[key] = value

    def _global(self, argument: str) -> None:
        found = _GLOBALS.get(argument)
        if found is None:
            known = (x.replace(" ", ".") for x in _GLOBALS)
            raise WeightsError(
                f"torch checkpoint: refused to load the global {argument[:120].replace(' ', '.')}: "
                f"expected only {', '.join(known)}. The file is hostile, or holds more than a "
                "state dict of float32 weights: save `model.state_dict()` instead."
            )
        self._stack.append(found)

    def _stack_global(self, _: Any) -> None:
        module, name = self._take(2)
        if not isinstance(module, str) or not isinstance(name, str):
            refuse("pickle", "a name of a global", module=module, name=name)
        self._global(f"{module} {name}")

    def _reduce(self, _: Any) -> None:
        function, arguments = self._take(2)
        if function is _ORDERED_DICT and arguments == ():
            self._stack.append({})
        elif function is _REBUILD and isinstance(arguments, tuple):
            self._stack.append(_rebuild_tensor(arguments))
        else:
            refuse("pickle", "an ordered dict or a tensor", called=function, arguments=arguments)

    def _build(self, _: Any) -> None:
        # Attributes of the state dict, such as the versions of its modules: nothing needs them.
        target, _state = self._take(2)
        if type(target) is not dict:
            refuse("pickle", "attributes of a state dict alone", target=target)
        self._stack.append(target)

    def _persistent(self, _: Any) -> None:
        (pid,) = self._take(1)
        # ("storage", type, key, device, elements), and a view (always None) in the old container.
        if not (type(pid) is tuple and len(pid) in (5, 6) and pid[0] == "storage"):
            refuse("storage", "('storage', type, key, device, elements)", pid=pid)
        kind, key, elements = pid[1], pid[2], pid[4]
        if len(pid) == 6 and pid[5] is not None:
            refuse("storage", "no view of another storage", view=pid[5])
        # The key becomes part of a member's name: no separators, no dots.
        if not (isinstance(key, str) and re.fullmatch(r"[0-9A-Za-z_]{1,64}", key)):
            refuse("storage", "a key of letters and digits", key=key)
        if not isinstance(kind, _StorageType) or not _is_count(elements):
            refuse("storage", "float or long storage and its size", elements=elements)
        self._stack.append(Storage(kind.dtype, key, elements))


_CONSTANTS: dict[str, Callable[[], Any]] = {
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
}
_VALUES = frozenset(
    ("BINUNICODE", "SHORT_BINUNICODE", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT")
)
_INSTRUCTIONS: dict[str, Callable[[_Machine, Any], None]] = {
    "PROTO": lambda machine, _: None,
    "FRAME": lambda machine, _: None,
    "MARK": _Machine._mark,
    "BINPUT": _Machine._put,
    "LONG_BINPUT": _Machine._put,
    "MEMOIZE": _Machine._memoize,
    "BINGET": _Machine._get,
    "LONG_BINGET": _Machine._get,
    "POP": _Machine._pop,
    "TUPLE": lambda machine, _: machine._tuple(machine._pop_to_mark()),
    "TUPLE1": lambda machine, _: machine._tuple(machine._take(1)),
    "TUPLE2": lambda machine, _: machine._tuple(machine._take(2)),
    "TUPLE3": lambda machine, _: machine._tuple(machine._take(3)),
    "APPEND": lambda machine, _: machine._append(machine._take(1)),
    "APPENDS": lambda machine, _: machine._append(machine._pop_to_mark()),
    "SETITEM": lambda machine, _: machine._set(machine._take(2)),
    "SETITEMS": lambda machine, _: machine._set(machine._pop_to_mark()),
    "GLOBAL": _Machine._global,
    "STACK_GLOBAL": _Machine._stack_global,
    "REDUCE": _Machine._reduce,
    "BUILD": _Machine._build,
    "BINPERSID": _Machine._persistent,
}


def _rebuild_tensor(arguments: tuple[Any, ...]) -> Tensor:
    """Returns what `torch._utils._rebuild_tensor_v2` would make a tensor of."""
    if not 4 <= len(arguments) <= 7:
        refuse("tensor", "storage, offset, sizes, strides", arguments=len(arguments))
    storage, offset, shape, strides = arguments[:4]
    if not isinstance(storage, Storage):
        refuse("tensor", "a storage of this file", storage=storage)
    if not _is_count(offset) or not _are_counts(shape) or not _are_counts(strides):
        refuse("tensor", "whole, non-negative offset, sizes and strides", shape=shape)
    return Tensor(storage, offset, shape, strides)


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 0


def _are_counts(values: object) -> bool:
    return type(values) is tuple and all(_is_count(value) for value in values)
