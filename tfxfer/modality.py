"""What a plugin author subclasses to bring a kind of sample: photos, texts, sensor windows."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from tfxfer.backbone import CONTRACT_VERSION
from tfxfer.errors import DataError, UsageError
from tfxfer.sample import Contract, Findings, InputSpec, Sample
from tfxfer.system.spelling import did_you_mean

if TYPE_CHECKING:
    import numpy as np

    from tfxfer.part import Part
    from tfxfer.picture import Picture
    from tfxfer.progress import Progress

__all__ = ["Modality"]


class Modality(ABC):
    """How a sample gets from disk to a model's inputs.

    Importing a modality's module must import neither Keras nor TensorFlow. A class is instantiated
    without arguments and holds no state.

    Attributes:
        name: what a backbone says it reads; equals the entry point's name.
        noun: what one sample is called, for messages.
        plural: and several.
        size_unit: what `--size` counts, such as `px`.
        suffixes: of the files that are samples, lower case with their dot.
        column: of a table; `path` holds a file's, any other the sample itself. A modality with
            a column of its own and with suffixes reads both: cells, and files in folders.
        levels: of augmentation, from none at all upwards.
        view_options: options of augmentation and their defaults, such as whether to mirror.
        picture_input: name of the input that holds a picture, (height, width, channels), so that
            places of it can be shown; None where a sample has no such places.
        part_noun: what one part of a sample is called, such as `word`, where it has parts that can
            be left out, so that those that matter can be shown; empty where it has none.
        has_looks: whether `measure_looks` and `give_look` are there: a sample can be given another
            one's look, such as its colours, and still be what it is.
        landmarks: what some well-known kinds of sample measure by `tfxfer gap`, the nearest first,
            for a person to compare with: a name in the plural, and the range of the distances.
    """

    name: ClassVar[str]
    noun: ClassVar[str] = "sample"
    plural: ClassVar[str] = "samples"
    size_unit: ClassVar[str] = ""
    suffixes: ClassVar[frozenset[str]] = frozenset()
    column: ClassVar[str] = "path"
    levels: ClassVar[tuple[str, ...]] = ("none", "light", "strong")
    view_options: ClassVar[Mapping[str, Any]] = {}
    picture_input: ClassVar[str | None] = None
    part_noun: ClassVar[str] = ""
    has_looks: ClassVar[bool] = False
    landmarks: ClassVar[tuple[tuple[str, float, float], ...]] = ()
    contract_version: ClassVar[str] = CONTRACT_VERSION

    @property
    def default_level(self) -> str:
        """Level of augmentation where nobody names one: `light`, or the first that varies."""
        return "light" if "light" in self.levels else self.levels[min(1, len(self.levels) - 1)]

    @property
    def reads_cells(self) -> bool:
        """Whether a sample may be the cell of a table."""
        return self.column != "path"

    @property
    def reads_files(self) -> bool:
        """Whether a sample may be a file."""
        return bool(self.suffixes) or not self.reads_cells

    def measure_lengths(self, samples: Sequence[Sample], *, contract: Any) -> np.ndarray | None:
        """Returns how long samples are before any of them is cut, in `size_unit`.

        The default says that all are alike. What is said here groups samples of like length into
        batches, settles the size of the input where nobody names one, and is told in the audit. It
        must be cheap beside what a network makes of a sample.

        Args:
            samples: that `inspect` found no fault with.
            contract: the backbone's `preprocessing`.

        Shapes: int64 (samples,).
        """
        return None

    def fit_size(self, lengths: np.ndarray, default: int) -> int:
        """Returns the size of the input that samples to learn from ask for.

        The core calls it where nobody named a size and lengths are known, and stores the answer in
        the run. The default takes the backbone's.

        Args:
            lengths: of the training samples, see `measure_lengths`.
            default: the backbone's own.

        Shapes: int64 (samples,).
        """
        return default

    def count_used(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray | None:
        """Returns how far each sample of a batch reaches into padded inputs; None is all the way.

        Beyond that, `read` filled up, and no output of the network depends on it. The inputs may be
        some of a model's, such as those that cross a frontier: where these do not tell, return
        None, as the default does.

        Args:
            inputs: by name.

        Shapes: (n, …) each; returns int64 (n,).
        """
        return None

    def list_assets(self, contract: Any) -> Mapping[str, Path]:
        """Returns the files without which a contract means nothing, such as a vocabulary.

        A run keeps a copy of each, and `read_contract` is told where: what a run needs travels
        with it. The default needs none.

        Args:
            contract: the backbone's `preprocessing`.

        Returns:
            Where each file is, by a plain name of a file.
        """
        return {}

    def list_smaller_sizes(self, size: int) -> tuple[int, ...]:
        """Returns smaller sizes of the input, in descending order, that still show a sample.

        A training that has to hurry may choose one of them where nobody asked for a size.
        """
        return ()

    def explain_ignored(self, suffix: str) -> str:
        """Returns why a file with this suffix is no sample, in a few words."""
        return f"not {'an' if self.noun[:1] in 'aeiou' else 'a'} {self.noun}"

    @abstractmethod
    def check_contract(self, contract: Any) -> None:
        """Refuses a backbone's `preprocessing` that is not this modality's.

        Raises:
            ContractError: it is of another kind.
        """

    @abstractmethod
    def read_contract(self, data: Mapping[str, Any], *, assets: Path | None = None) -> Contract:
        """Reads what the contract's `to_dict` returned.

        Args:
            data: as a run stored it.
            assets: folder with copies of what `list_assets` names; None where there is none, and
                never given to a modality that lists none.

        Raises:
            TfxferError: it is something else, such as an edited `run.json`.
        """

    @abstractmethod
    def inspect(self, sample: Sample) -> Findings:
        """Reads a sample once and returns what is known of it; many threads call this."""

    def find_copies(
        self, sketches: Sequence[np.ndarray], *, progress: Progress | None = None
    ) -> np.ndarray:
        """Returns the group of each sample, the index of its first one: near copies share it.

        The default finds none.

        Shapes: returns int64 (samples,).
        """
        import numpy as np

        return np.arange(len(sketches))

    def fit_contract(
        self, contract: Any, facts: Sequence[Mapping[str, Any]]
    ) -> tuple[Any, tuple[str, ...]]:
        """Returns the contract as this data set asks for it, and what to say of that, a line each.

        The core calls it once before training. What it returns is stored in the run, and everything
        that reads samples for the model gets it; a contract that is settled already comes back
        unchanged, with a line only where these samples do not fit it. The default settles nothing.

        Args:
            contract: the backbone's `preprocessing`.
            facts: of every usable sample, `Findings.facts`.
        """
        return contract, ()

    @abstractmethod
    def list_inputs(self, size: int, contract: Any) -> dict[str, InputSpec]:
        """Returns the model's inputs by name, in order.

        Args:
            size: in `size_unit`.
            contract: the backbone's `preprocessing`.
        """

    def check_inputs(  # noqa: B027 - a modality may take any values
        self, inputs: np.ndarray | dict[str, np.ndarray], *, where: str
    ) -> None:
        """Refuses a user's own arrays that are not what a model takes, such as rescaled pixels.

        The default takes everything.

        Args:
            inputs: of some samples; one array where there is one input, else a dict by name.
            where: what they were given as, for messages.

        Raises:
            DataError: what is wrong with them.
        """

    def build_inputs(self, size: int, contract: Any) -> Any:
        """Returns the tensors that `Backbone.build` takes, from fresh `keras.Input`s.

        What the contract asks for is the first layer. The default adds no layer: a tensor, or a
        dict of them by name where there are several inputs.
        """
        import keras

        inputs = {
            name: keras.Input(spec.model_shape, dtype=spec.dtype, name=name)
            for name, spec in self.list_inputs(size, contract).items()
        }
        return inputs if len(inputs) > 1 else next(iter(inputs.values()))

    @abstractmethod
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
        """Returns views of one sample, read once.

        View 0 is the plain sample at every level. Any other is drawn from `(seed, index, view)`
        alone, whichever thread makes it, in whichever order. Many threads call this.

        Args:
            sample: where it is.
            size: in `size_unit`.
            contract: the backbone's `preprocessing`.
            views: their numbers.
            level: how far they may go from the plain one.
            seed: of the run.
            index: of the sample in its split.
            options: of the augmentation, complete; see `complete_options`.

        Shapes: (views, …) for each input, of `InputSpec.stored`'s dtype; one array where there is
            one input, else a dict by name.

        Raises:
            DataError: the sample cannot be read, or changed since it was inspected.
        """

    def measure_looks(self, inputs: np.ndarray | dict[str, np.ndarray]) -> np.ndarray:
        """Returns the looks of samples, one row each; only where the modality `has_looks`.

        Args:
            inputs: plain samples of one size, as `read` returns them.

        Shapes: (n, …) for each input; returns (n, …).

        Raises:
            DataError: this modality has no looks, as by default.
        """
        raise self._refuse_looks()

    def give_look(
        self,
        inputs: np.ndarray | dict[str, np.ndarray],
        look: np.ndarray,
        *,
        rng: np.random.Generator,
    ) -> np.ndarray | dict[str, np.ndarray]:
        """Returns one view with another sample's look; only where the modality `has_looks`.

        Many threads call this.

        Args:
            inputs: the view, which stays as it is.
            look: a row of what `measure_looks` returned, of samples of this view's size.
            rng: what there is to draw is drawn from it.

        Shapes: (…) for each input, without the axis of samples; returns the same, same dtypes.

        Raises:
            DataError: this modality has no looks, as by default.
        """
        raise self._refuse_looks()

    def _refuse_looks(self) -> DataError:
        return DataError(
            f"{self.plural}: expected a look that another one can be given. Received: modality "
            f"{self.name!r}, whose {self.plural} have none."
        )

    def read_picture(self, sample: Sample, *, longest_px: int, contract: Any = None) -> Picture:
        """Returns a sample as a person sees it; only where there is a `picture_input`.

        Args:
            sample: where it is.
            longest_px: a larger picture is shrunk to this longer side.
            contract: the backbone's `preprocessing`; None where no network sees it, as of a mask.

        Raises:
            DataError: the sample cannot be read, or this modality has no pictures, as by default.
        """
        raise DataError(
            f"{self.noun} {sample.name!r}: expected a picture. Received: modality "
            f"{self.name!r}, whose {self.plural} are none."
        )

    def describe_sample(self, sample: Sample) -> str:
        """Returns a sample as a person reads it: the cell where it is one, else its name.

        Whoever shows it makes it as short as there is room for, and harmless.

        Raises:
            DataError: the sample cannot be read.
        """
        return sample.name if sample.content is None else sample.content

    def list_parts(self, sample: Sample, *, size: int, contract: Any) -> tuple[Part, ...]:
        """Returns what a sample is made of, in order; only where there is a `part_noun`.

        Args:
            sample: where it is.
            size: in `size_unit`.
            contract: the backbone's `preprocessing`.

        Raises:
            DataError: the sample cannot be read, or this modality has no parts, as by default.
        """
        raise self._refuse_parts(sample)

    def read_without(
        self, sample: Sample, left_out: Sequence[Collection[int]], *, size: int, contract: Any
    ) -> np.ndarray | dict[str, np.ndarray]:
        """Returns versions of a sample, each without some of its parts.

        Args:
            sample: where it is.
            left_out: of each version, which parts it lacks, by their position in `list_parts`.
            size: in `size_unit`.
            contract: the backbone's `preprocessing`.

        Shapes: (versions, …) for each input, as `read` returns views.

        Raises:
            DataError: the sample cannot be read, or this modality has no parts, as by default.
        """
        raise self._refuse_parts(sample)

    def _refuse_parts(self, sample: Sample) -> DataError:
        return DataError(
            f"{self.noun} {sample.name!r}: expected parts that can be left out. Received: modality "
            f"{self.name!r}, whose {self.plural} have none."
        )

    def reading(self) -> contextlib.AbstractContextManager[None]:
        """Returns what must hold while samples are read, such as a library that is kept quiet."""
        return contextlib.nullcontext()

    def parse_samples(self, arguments: Sequence[str]) -> list[Sample]:
        """Returns the samples that a command line names: files, or the samples themselves.

        Where a sample may be either, a word is the name of a file if one is there, or if it ends
        as one, and else the sample.

        Raises:
            DataError: one of them is not there, or is a file of another kind.
        """
        return [self._parse_sample(argument) for argument in arguments]

    def _parse_sample(self, argument: str) -> Sample:
        try:
            is_file = self.reads_files and Path(argument).is_file()
        except OSError:  # longer than any name of a file
            is_file = False
        endings = tuple(self.suffixes)
        has_ending = argument.lower().endswith(endings) and len(argument.split()) == 1
        if is_file and not (self.reads_cells and not argument.lower().endswith(endings)):
            return Sample(argument, Path(argument))
        if is_file:
            raise DataError(
                f"{self.noun} {argument!r}: expected a file that ends in "
                f"{', '.join(sorted(endings))}, or a {self.noun} itself. Received: another file. "
                f"If its name is the {self.noun}, hand that in on a line of its own: -"
            )
        if not self.reads_cells or has_ending:
            raise DataError(
                f"{self.noun} {argument!r}: expected a file. Received: nothing that can be opened "
                "there."
            )
        return Sample(argument, content=argument)

    def complete_options(self, level: str, options: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the augmentation's options with the defaults of those left out.

        Raises:
            UsageError: no such level or option, or no truth value where the default is one.
        """
        if level not in self.levels:
            raise UsageError(
                f"augment: expected one of {', '.join(self.levels)}. Received: level={level!r}."
                f"{did_you_mean(level, self.levels)}"
            )
        unknown = sorted(set(options) - set(self.view_options))
        if unknown:
            known = ", ".join(self.view_options) or "none"
            raise UsageError(
                f"augmentation of {self.plural}: expected options among: {known}. "
                f"Received: {', '.join(unknown)}.{did_you_mean(unknown[0], self.view_options)}"
            )
        for name, value in options.items():
            # The text "no" is true: taken as it is, it would do what it forbids.
            usual = self.view_options[name]
            if isinstance(usual, bool) and not isinstance(value, bool):
                raise UsageError(
                    f"augmentation of {self.plural}: expected true or false as {name}. "
                    f"Received: {name}={value!r}."
                )
        return {**self.view_options, **options}
