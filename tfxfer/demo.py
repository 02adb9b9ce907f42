"""What a plugin author subclasses to bring samples that `tfxfer demo` shows the whole job on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from tfxfer.backbone import CONTRACT_VERSION

if TYPE_CHECKING:
    from tfxfer.data.record import Source
    from tfxfer.progress import Progress

__all__ = ["Demo", "DemoSamples"]


@dataclass(frozen=True)
class DemoSamples:
    """Samples for the demo.

    Args:
        source: as `read_source` would list them.
        remarks: what a user must know of them, such as the licence.
        example: what to try `predict` with: a path, or the sample itself.
    """

    source: Source
    remarks: tuple[str, ...]
    example: str


class Demo(ABC):
    """Real samples that are on the machine once pip is done, and how a model is trained on them.

    Importing a demo's module must import neither Keras nor TensorFlow. A class is instantiated
    without arguments and holds no state.

    Attributes:
        name: what users type, `tfxfer demo --data NAME`; equals the entry point's name.
        request: what differs from a training that nobody gives options, by the names of
            `tfxfer.job.request.TrainRequest`, such as `backbone`, `size` or `view_options`. The
            data, the budget, the seed, the device and the place of caches are the command line's.
    """

    name: ClassVar[str]
    request: ClassVar[Mapping[str, Any]] = {}
    contract_version: ClassVar[str] = CONTRACT_VERSION

    @abstractmethod
    def find_samples(self, *, progress: Progress | None = None) -> DemoSamples:
        """Returns the samples, the same ones whenever it is asked.

        Args:
            progress: told how far a download is, where there is one.

        Raises:
            DataError: what brings them is not installed, or not whole.
            StorageError: they cannot be written where they must be.
        """
