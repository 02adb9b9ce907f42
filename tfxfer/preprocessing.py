"""The one contract between pixels and weights.

A backbone states it once, as data. The first layer of the trained model, the calibration data, the
quantized input and the TFLite metadata are all derived from that one object; nothing else in the
project rescales a pixel.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

from tfxfer.errors import ContractError
from tfxfer.system.arguments import check_word, describe_value, is_real
from tfxfer.system.records import read_record

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Preprocessing", "Resize"]

_METHODS = ("bilinear", "bicubic", "nearest", "area")
_FITS = ("stretch", "crop", "pad")
_Triple = tuple[float, float, float]


def _triple(value: float | Sequence[float], *, name: str) -> _Triple:
    items: tuple[Any, ...] = tuple(value) if isinstance(value, Iterable) else (value,) * 3
    if len(items) != 3 or not all(map(is_real, items)):
        raise ContractError(
            f"Preprocessing: expected one number or three, red, green and blue. "
            f"Received: {name}={describe_value(value)}."
        )
    return (float(items[0]), float(items[1]), float(items[2]))


@dataclass(frozen=True)
class Resize:
    """How a photo of any size becomes the square the backbone takes.

    Args:
        fit: `stretch` both sides to the square, `crop` the middle, or `pad` with black.
        method: interpolation, `bilinear`, `bicubic`, `nearest` or `area`.
        antialias: low-pass before shrinking. True is what Pillow does, False what most phones do.
    """

    fit: str = "stretch"
    method: str = "bilinear"
    antialias: bool = True

    def __post_init__(self) -> None:
        for name, words in (("fit", _FITS), ("method", _METHODS)):
            value = getattr(self, name)
            check_word(value, words, where="Resize", name=name, error=ContractError)


@dataclass(frozen=True)
class Preprocessing:
    """Maps RGB pixels 0..255 to what the weights were trained on: `pixel * scale + offset`.

    Args:
        scale: factor for red, green and blue; one number stands for all three.
        offset: added after scaling; one number stands for all three.
        resize: how a photo becomes a square.
        white: value of white in files with more than 8 bits a channel, whose sensors often fill 10
            to 14 of 16 bits; None until a data set has settled it, and then as 65,535.
        grey: whether the network takes one channel, how bright a pixel is, see `take_luma` of
            `tfxfer.images.luma`. One scale and one offset serve it.

    Units: pixels 0..255 in, the network's own units out.

    Example:
        >>> p = Preprocessing.from_mean_std(mean=127.5, std=127.5)
        >>> p.is_uniform, p.output_range
        (True, ((-1.0, 1.0), (-1.0, 1.0), (-1.0, 1.0)))
    """

    scale: _Triple = (1.0, 1.0, 1.0)
    offset: _Triple = (0.0, 0.0, 0.0)
    resize: Resize = Resize()
    white: int | None = None
    grey: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", _triple(self.scale, name="scale"))
        object.__setattr__(self, "offset", _triple(self.offset, name="offset"))
        if self.white is not None and (type(self.white) is not int or self.white < 1):
            raise ContractError(
                "Preprocessing: expected a whole number above 0 as white, or None. "
                f"Received: white={self.white!r}."
            )
        if 0.0 in self.scale or not all(map(math.isfinite, self.scale + self.offset)):
            raise ContractError(
                "Preprocessing: expected finite offsets and scales other than 0. "
                f"Received: scale={self.scale}, offset={self.offset}."
            )
        if not isinstance(self.grey, bool) or (self.grey and not self.is_uniform):
            raise ContractError(
                "Preprocessing: expected one scale and one offset with grey=True, which is one "
                f"channel. Received: grey={describe_value(self.grey)}, scale={self.scale}, "
                f"offset={self.offset}."
            )

    @classmethod
    def from_mean_std(
        cls,
        *,
        mean: float | Sequence[float],
        std: float | Sequence[float],
        resize: Resize | None = None,
        grey: bool = False,
    ) -> Self:
        """Returns the contract `(pixel - mean) / std`, both in pixel units 0..255."""
        means, stds = _triple(mean, name="mean"), _triple(std, name="std")
        if 0.0 in stds:
            raise ContractError(f"Preprocessing: expected std other than 0. Received: std={std!r}.")
        scale = (1 / stds[0], 1 / stds[1], 1 / stds[2])
        offset = (-means[0] / stds[0], -means[1] / stds[1], -means[2] / stds[2])
        return cls(scale=scale, offset=offset, resize=resize or Resize(), grey=grey)

    @property
    def mean(self) -> _Triple:
        """Mean in pixel units 0..255, as TFLite metadata writes it."""
        (s0, s1, s2), (o0, o1, o2) = self.scale, self.offset
        return (-o0 / s0, -o1 / s1, -o2 / s2)

    @property
    def std(self) -> _Triple:
        """Standard deviation in pixel units 0..255, as TFLite metadata writes it."""
        s0, s1, s2 = self.scale
        return (1 / s0, 1 / s1, 1 / s2)

    @property
    def channels(self) -> int:
        """How many a pixel has: 3, or 1 of grey."""
        return 1 if self.grey else 3

    @property
    def is_uniform(self) -> bool:
        """Whether one scale and one offset serve all three channels."""
        return len(set(self.scale)) == 1 and len(set(self.offset)) == 1

    @property
    def output_range(self) -> tuple[tuple[float, float], ...]:
        """(low, high) per channel of what pixels 0..255 become."""
        return tuple(
            (min(o, 255 * s + o), max(o, 255 * s + o))
            for s, o in zip(self.scale, self.offset, strict=True)
        )

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        """Returns `pixels * scale + offset` as float32.

        Shapes: (..., 3) in and out; where one scale and offset serve all, any number of channels.
        """
        import numpy as np

        if self.is_uniform:
            return np.asarray(pixels, np.float32) * np.float32(self.scale[0]) + np.float32(
                self.offset[0]
            )
        scale, offset = np.array(self.scale, np.float32), np.array(self.offset, np.float32)
        return np.asarray(pixels, np.float32) * scale + offset

    def to_dict(self) -> dict[str, Any]:
        """Returns plain JSON data; `from_dict` reads it back."""
        data = asdict(self)
        # Earlier versions refuse keys that they do not know; most runs do without these.
        if self.white is None:
            del data["white"]
        if not self.grey:
            del data["grey"]
        return data

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """Reads `to_dict`'s data.

        Raises:
            ContractError: it is something else.
        """
        return read_record(
            cls, data, where="Preprocessing", error=ContractError, required=("scale", "offset")
        )
