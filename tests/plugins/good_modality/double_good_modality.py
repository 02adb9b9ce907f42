"""Short series of numbers in `.npy` files, as a modality from outside."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from tfxfer import ContractError, DataError, Findings, InputSpec, Modality, Sample

if TYPE_CHECKING:
    import numpy as np

    from tfxfer.progress import Progress


@dataclass(frozen=True)
class Gain:
    """What the weights expect: the stored numbers times this."""

    factor: float = 1.0

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class Ramp(Modality):
    """One series per file, cut or padded with zeros to `size` steps."""

    name = "double_ramp"
    noun = "series"
    plural = "series"
    size_unit = "steps"
    suffixes = frozenset({".npy"})
    view_options: ClassVar[Mapping[str, Any]] = {"shift": 2}

    def check_contract(self, contract: Any) -> None:
        if not isinstance(contract, Gain):
            raise ContractError(
                f"preprocessing of {self.plural}: expected a Gain. Received: {contract!r}."
            )

    def read_contract(self, data: Mapping[str, Any]) -> Gain:
        return Gain(**data)

    def inspect(self, sample: Sample) -> Findings:
        content = self._bytes(sample)
        if not content:
            return Findings(fault=("empty", "a file of 0 bytes"))
        sha256 = hashlib.sha256(content).hexdigest()
        try:
            series = self._parse(content)
        except ValueError as error:
            return Findings(sha256=sha256, fault=("corrupt", str(error)))
        import numpy as np

        sketch = np.resize(series, 8).astype(np.float32)
        return Findings(sha256, hashlib.sha256(series.tobytes()).hexdigest(), sketch)

    def find_copies(
        self, sketches: Sequence[np.ndarray], *, progress: Progress | None = None
    ) -> np.ndarray:
        import numpy as np

        groups = np.arange(len(sketches))
        for later in range(len(sketches)):
            for first in range(later):
                if groups[first] == first and np.allclose(
                    sketches[later], sketches[first], atol=1e-3
                ):
                    groups[later] = first
                    break
        return groups

    def list_inputs(self, size: int, contract: Any) -> dict[str, InputSpec]:
        return {"series": InputSpec((size, 1))}

    def read(
        self,
        sample: Sample,
        *,
        size: int,
        contract: Any,
        views: Sequence[int] = (0,),
        level: str = "none",
        seed: int = 0,
        index: int = 0,
        options: Mapping[str, Any] | None = None,
    ) -> np.ndarray | dict[str, np.ndarray]:
        import numpy as np

        complete = self.complete_options(level, options or {})
        try:
            series = self._parse(self._bytes(sample))
        except ValueError as error:
            raise DataError(f"{self.noun} {sample.name!r}: expected numbers. {error}") from error
        plain = np.zeros(size, np.float32)
        plain[: len(series)] = series[:size]
        made = []
        for view in views:
            drawn = plain
            if view and level != "none":
                rng = np.random.default_rng((seed, index, view))
                width = complete["shift"]
                drawn = np.roll(plain, rng.integers(-width, width + 1))
                drawn = drawn * np.float32(rng.uniform(0.9, 1.1))
            made.append(drawn[:, None].astype(np.float32))
        return np.stack(made)

    @staticmethod
    def _bytes(sample: Sample) -> bytes:
        assert sample.path is not None
        return sample.path.read_bytes()

    @staticmethod
    def _parse(content: bytes) -> np.ndarray:
        import numpy as np

        try:
            series = np.load(io.BytesIO(content), allow_pickle=False)
        except (ValueError, EOFError, OSError) as error:
            raise ValueError(f"not an array: {error}") from error
        if series.ndim != 1 or series.dtype.kind not in "fiu" or not len(series):
            raise ValueError(f"expected a series, found {series.dtype} {series.shape}")
        return series.astype(np.float32)
