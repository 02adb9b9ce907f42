"""One modality, with a few samples of its kind and the contract of a backbone that reads it."""

from __future__ import annotations

import shutil
import weakref
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from tfxfer.errors import PluginError, UsageError
from tfxfer.modality import Modality
from tfxfer.registry.component import Component
from tfxfer.registry.lookup import Registry
from tfxfer.sample import InputSpec, Sample
from tfxfer.system.scratch import make_scratch_folder
from tfxfer.testing.check import not_run
from tfxfer.testing.subject import Subject

__all__ = ["ModalitySubject", "Samples"]

Samples = Path | str | Sequence[Path | str] | Callable[[Path], Sequence[Path | str]]
"""Where samples are: a folder of files, a text file with a sample per line where samples are cells
of a table, a list of paths or cells, or a function that writes files into a folder and returns
them."""

_SIZE = 32
_FEWEST = 2


class ModalitySubject(Subject):
    """One modality.

    Args:
        plugin: the modality.
        component: the entry point that brings it.
        registry: where components come from.
        samples: a few usable ones, no two of them copies; without them, what reads is not run.
        contract: what a backbone states as `preprocessing`; None takes that of a backbone.
        size: of a model's input, in the modality's unit; None is the smallest of the backbone.
        backbone: whose contract and size are taken; None is the first that reads this modality.
    """

    kind = "modality"

    def __init__(
        self,
        plugin: Modality,
        *,
        component: Component | None = None,
        registry: Registry | None = None,
        samples: Samples | None = None,
        contract: Any = None,
        size: int | None = None,
        backbone: str | None = None,
    ) -> None:
        super().__init__(plugin, component=component, registry=registry)
        self._given_samples = samples
        self._given_contract = contract
        self._given_size = size
        self._backbone_name = backbone

    @cached_property
    def folder(self) -> Path:
        """A folder for the checks' files; removed with the subject."""
        folder = make_scratch_folder("modality")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return folder

    @property
    def is_files(self) -> bool:
        """Whether samples are files, and not cells of a table."""
        return bool(self.plugin.column == "path")

    @cached_property
    def samples(self) -> tuple[Sample, ...]:
        """The samples, as `predict` would name them."""
        given = self._given_samples
        if given is None:
            not_run(f"it takes a few {self.plugin.plural}: give samples, or --samples PATH")
        if callable(given):
            written = self.folder / "samples"
            written.mkdir(exist_ok=True)
            found: Sequence[Path | str] = given(written)
        elif self.is_files and isinstance(given, (str, Path)):
            found = self._list_files(Path(given))
        elif isinstance(given, (str, Path)):
            found = [line for line in Path(given).read_text("utf-8").split("\n") if line.strip()]
        else:
            found = given
        if len(found) < _FEWEST:
            raise UsageError(
                f"samples of modality {self.name!r}: expected at least {_FEWEST} "
                f"{self.plugin.plural}. Received: {len(found)}."
            )
        if self.is_files:
            return tuple(Sample(str(item), Path(item)) for item in found)
        return tuple(Sample(str(item), content=str(item)) for item in found)

    @cached_property
    def contract(self) -> Any:
        """What a backbone states of raw values."""
        if self._given_contract is not None:
            return self._given_contract
        if self._backbone is None:
            not_run(
                f"no installed backbone reads {self.name!r}: give the contract of one, or "
                "--backbone NAME"
            )
        return self._backbone.preprocessing

    @cached_property
    def size(self) -> int:
        """Size of a model's input, in the modality's unit."""
        if self._given_size is not None:
            return self._given_size
        if self._given_contract is None and self._backbone is not None:
            return int(self._backbone.min_size)
        return _SIZE

    @cached_property
    def inputs(self) -> dict[str, InputSpec]:
        """What the modality says of a model's inputs."""
        return dict(self.plugin.list_inputs(self.size, self.contract))

    def read(self, sample: Sample, **options: Any) -> dict[str, Any]:
        """Returns what the modality reads, by input, of the checks' size unless another is given.

        Raises:
            TypeError: it returned an array where there are several inputs, or the reverse.
        """
        size = options.pop("size", self.size)
        inputs = self.plugin.list_inputs(size, self.contract)
        found = self.plugin.read(sample, size=size, contract=self.contract, **options)
        if len(inputs) == 1 and not isinstance(found, dict):
            return {next(iter(inputs)): found}
        if len(inputs) == 1 or not isinstance(found, dict):
            raise TypeError(
                f"read returned {type(found).__name__} for {len(inputs)} inputs: one array where "
                "there is one, else a dict by name"
            )
        return found

    def read_back(self, contract: Any, stored: Mapping[str, Any]) -> Any:
        """Returns a contract as a run reads it: from what it stored, and the files beside that.

        Args:
            contract: that was stored.
            stored: its `to_dict`.
        """
        assets = self.plugin.list_assets(contract)
        if not assets:
            return self.plugin.read_contract(stored)
        folder = self.folder / "assets"
        folder.mkdir(exist_ok=True)
        for name, path in assets.items():
            shutil.copyfile(path, folder / name)
        return self.plugin.read_contract(stored, assets=folder)

    def _list_files(self, folder: Path) -> list[Path]:
        if not folder.is_dir():
            raise UsageError(
                f"samples of modality {self.name!r}: expected a folder of files. "
                f"Received: samples={str(folder)!r}."
            )
        return sorted(
            path
            for path in folder.rglob("*")
            if path.is_file() and path.name.lower().endswith(tuple(self.plugin.suffixes))
        )

    @cached_property
    def _backbone(self) -> Any:
        """A backbone that reads this modality, of the same distribution if there is one."""
        if self._backbone_name is not None:
            return self.registry.load_backbone(self._backbone_name)
        home = self.component.distribution if self.component is not None else ""
        offered = self.registry.list("backbone")
        for component in sorted(offered, key=lambda found: found.distribution != home):
            try:
                backbone = self.registry.load_backbone(component.name)
            except (PluginError, UsageError):  # broken, or it wants a handle
                continue
            if backbone.modality == self.name:
                return backbone
        return None
