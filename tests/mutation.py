"""Files as disks, networks and malice leave them: the same ones on every machine."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

__all__ = ["mutate_bytes", "mutate_many", "replace_values"]

_WRONG: tuple[Any, ...] = (
    None, True, -1, 0, 10**30, 1e308, "", "x" * 200, [], {}, [None], {"a": []}, [[[[]]]],
)  # fmt: skip


def mutate_many(content: bytes, count: int, *, kind: str) -> Iterator[bytes]:
    """Yields so many damaged copies; a kind has its own."""
    for number in range(count):
        yield mutate_bytes(content, random.Random(f"{kind} {number}"))


def mutate_bytes(content: bytes, rng: random.Random) -> bytes:
    """Returns a copy with one to four things wrong; one in four is wrong near its start."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4))):
        if not data:
            break
        reach = min(len(data), 64) if rng.random() < 0.25 else len(data)
        at = rng.randrange(reach)
        size = rng.choice((1, 2, 4, 8, 64, 512))
        match rng.randrange(8):
            case 0:
                data[at] ^= 1 << rng.randrange(8)
            case 1:
                data[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, 0x22, 0x2C, 0x0A))
            case 2:
                del data[at:]
            case 3:
                del data[at : at + size]
            case 4:
                data[at:at] = rng.randbytes(size)
            case 5:
                data[at:at] = data[at : at + size] * rng.choice((1, 3))
            case 6:  # counts and offsets: none, most, and what turns negative
                width = rng.choice((2, 4, 8))
                value = rng.choice((0, 1, 2 ** (8 * width - 1) - 1, 2 ** (8 * width) - 1))
                order = rng.choice(("little", "big"))
                data[at : at + width] = value.to_bytes(width, order)
            case _:
                other = rng.randrange(len(data))
                data[at : at + size] = data[other : other + size]
    return bytes(data)


def replace_values(document: Any) -> Iterator[tuple[str, Any]]:
    """Yields where, and JSON data of which one value is of another kind or is gone."""
    for where, holder, key in _list_places(document, "", None, None):
        if holder is None:
            continue
        kept = holder[key]
        for wrong in _WRONG:
            if type(wrong) is type(kept) and wrong == kept:
                continue
            holder[key] = wrong
            yield f"{where} = {wrong!r:.40}", document
        holder[key] = kept
        if isinstance(holder, dict):
            del holder[key]
            yield f"{where} is gone", document
            holder[key] = kept


def _list_places(value: Any, where: str, holder: Any, key: Any) -> Iterator[tuple[str, Any, Any]]:
    yield where, holder, key
    if not isinstance(value, (dict, list)):
        return
    for name, item in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield from _list_places(item, f"{where}[{name!r}]", value, name)
