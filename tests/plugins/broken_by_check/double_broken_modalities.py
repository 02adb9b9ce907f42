"""Modalities with one fault each, on top of the good double. The mark says which check finds it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from double_good_modality import Gain, Ramp

from tfxfer import Findings, InputSpec, Sample

FAULTS: dict[str, list[type[Ramp]]] = {}


def fault(check: str) -> Any:
    def note(double: type[Ramp]) -> type[Ramp]:
        double.name = f"double_{double.__name__.lower()}"
        FAULTS.setdefault(check, []).append(double)
        return double

    return note


class Changing(Ramp):
    """Changes what the good double reads; no fault itself."""

    def change(
        self, values: np.ndarray, *, views: Sequence[int], level: str, seed: int, index: int
    ) -> np.ndarray:
        raise NotImplementedError

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
    ) -> Any:
        values = super().read(
            sample,
            size=size,
            contract=contract,
            views=views,
            level=level,
            seed=seed,
            index=index,
            options=options,
        )
        return self.change(np.asarray(values), views=views, level=level, seed=seed, index=index)


@fault("metadata")
class NoDot(Ramp):
    suffixes = frozenset({"npy"})


@fault("contract")
class Forgets(Ramp):
    def read_contract(self, data: Mapping[str, Any]) -> Gain:
        return Gain()


@fault("contract")
class TakesAnything(Ramp):
    def check_contract(self, contract: Any) -> None:
        return


@fault("options")
class IgnoresLevels(Ramp):
    def complete_options(self, level: str, options: Mapping[str, Any]) -> dict[str, Any]:
        return {**self.view_options, **options}


@fault("options")
class ForgetsDefaults(Ramp):
    def complete_options(self, level: str, options: Mapping[str, Any]) -> dict[str, Any]:
        super().complete_options(level, options)
        return {"shift": 3, **options}


@fault("inputs")
class OpenLength(Ramp):
    def list_inputs(self, size: int, contract: Any) -> dict[str, InputSpec]:
        return {"series": InputSpec((None, 1))}  # type: ignore[arg-type]


@fault("inputs")
class OddType(Ramp):
    def list_inputs(self, size: int, contract: Any) -> dict[str, InputSpec]:
        return {"series": InputSpec((size, 1), stored="floaty")}


@fault("inputs")
class FlatPicture(Ramp):
    picture_input = "series"  # (steps, 1) are no places of a picture


@fault("findings")
class NamesFiles(Ramp):
    def inspect(self, sample: Sample) -> Findings:
        return replace(super().inspect(sample), identity=sample.name)


@fault("findings")
class OneForAll(Ramp):
    def inspect(self, sample: Sample) -> Findings:
        found = super().inspect(sample)
        return found if found.fault else replace(found, identity="series")


@fault("findings")
class OtherHash(Ramp):
    def inspect(self, sample: Sample) -> Findings:
        found = super().inspect(sample)
        return found if found.fault else replace(found, sha256=found.sha256[::-1])


@fault("faults")
class Raises(Ramp):
    def inspect(self, sample: Sample) -> Findings:
        found = super().inspect(sample)
        if found.fault is not None:
            raise ValueError(found.fault[1])
        return found


@fault("faults")
class SeesNoFault(Ramp):
    def inspect(self, sample: Sample) -> Findings:
        return replace(super().inspect(sample), fault=None)


@fault("faults")
class OwnWords(Ramp):
    def inspect(self, sample: Sample) -> Findings:
        found = super().inspect(sample)
        return found if found.fault is None else replace(found, fault=("rotten", "it smells"))


@fault("faults")
class ReadsNothing(Ramp):
    def read(self, sample: Sample, *, size: int, views: Sequence[int] = (0,), **more: Any) -> Any:
        if self.inspect(sample).fault is not None:
            return np.zeros((len(views), size, 1), np.float32)
        return super().read(sample, size=size, views=views, **more)


@fault("copies")
class NumbersGroups(Ramp):
    def find_copies(self, sketches: Sequence[np.ndarray], *, progress: Any = None) -> np.ndarray:
        found = super().find_copies(sketches)
        return np.unique(found, return_inverse=True)[1] + 1


@fault("copies")
class LastOfGroup(Ramp):
    def find_copies(self, sketches: Sequence[np.ndarray], *, progress: Any = None) -> np.ndarray:
        return len(sketches) - 1 - super().find_copies(sketches[::-1])[::-1]


@fault("arguments")
class TakesMissing(Ramp):
    def parse_samples(self, arguments: Sequence[str]) -> list[Sample]:
        from pathlib import Path

        return [Sample(argument, Path(argument)) for argument in arguments]


@fault("reads")
class FitsAnew(Ramp):
    def fit_contract(self, contract: Any, facts: Any) -> tuple[Any, tuple[str, ...]]:
        return Gain(factor=contract.factor + 1), ()


@fault("reads")
class OneLongOnly(Changing):
    def change(self, values: np.ndarray, **_: Any) -> np.ndarray:
        return values[:, :16]


@fault("reads")
class Wide(Changing):
    def change(self, values: np.ndarray, **_: Any) -> np.ndarray:
        return values.astype(np.float64)


@fault("reads")
class ViewsLast(Changing):
    def change(self, values: np.ndarray, **_: Any) -> np.ndarray:
        return np.moveaxis(values, 0, 1)


@fault("plain_view")
class AugmentsAll(Changing):
    def change(self, values: np.ndarray, *, level: str, **_: Any) -> np.ndarray:
        return values * np.float32(1.5 if level == "strong" else 1.0)


@fault("plain_view")
class FirstIsPlain(Changing):
    """Takes whatever comes first for the plain one, and only there."""

    def change(self, values: np.ndarray, *, level: str, **_: Any) -> np.ndarray:
        if level == "light":
            values[1:] += 1
        return values


@fault("views")
class Counts(Changing):
    """Draws from a stream that every call moves on."""

    stream = itertools.count()

    def change(self, values: np.ndarray, *, views: Sequence[int], **more: Any) -> np.ndarray:
        if more["level"] != "none":
            drawn = [next(self.stream) if view else 0 for view in views]
            values = values + np.array(drawn, np.float32)[:, None, None]
        return values


@fault("views")
class DrawsByPlace(Changing):
    """One stream for all views of a call: what a view is depends on those before it."""

    def change(
        self, values: np.ndarray, *, views: Sequence[int], level: str, seed: int, index: int
    ) -> np.ndarray:
        if level == "none":
            return values
        rng = np.random.default_rng((seed, index))
        drawn = rng.uniform(0, 1, len(views)).astype(np.float32)
        return values + np.where(np.asarray(views) > 0, drawn, 0)[:, None, None].astype(np.float32)


@fault("variety")
class Still(Ramp):
    def read(self, sample: Sample, *, level: str = "none", **more: Any) -> Any:
        return super().read(sample, level="none", **more)


@fault("variety")
class OneSeed(Ramp):
    def read(self, sample: Sample, *, seed: int = 0, **more: Any) -> Any:
        return super().read(sample, seed=0, **more)


@fault("variety")
class AllAlike(Ramp):
    def read(self, sample: Sample, *, index: int = 0, **more: Any) -> Any:
        return super().read(sample, index=0, **more)


class Loud(Ramp):
    """Has a look, how loud a sample is; no fault itself."""

    has_looks = True

    def measure_looks(self, inputs: Any) -> np.ndarray:
        return np.abs(np.asarray(inputs)).max(axis=1)

    def give_look(self, inputs: Any, look: np.ndarray, *, rng: np.random.Generator) -> Any:
        return np.asarray(inputs * (look / max(np.abs(inputs).max(), 1e-6)), inputs.dtype)


@fault("looks")
class PromisesLooks(Ramp):
    has_looks = True


@fault("looks")
class HidesLooks(Loud):
    has_looks = False


@fault("looks")
class OneLook(Loud):
    def measure_looks(self, inputs: Any) -> np.ndarray:
        return super().measure_looks(inputs)[:1]


@fault("looks")
class WidensViews(Loud):
    def give_look(self, inputs: Any, look: np.ndarray, *, rng: np.random.Generator) -> Any:
        return super().give_look(inputs, look, rng=rng).astype(np.float64)


@fault("looks")
class PaintsOver(Loud):
    def give_look(self, inputs: Any, look: np.ndarray, *, rng: np.random.Generator) -> Any:
        inputs *= 2
        return inputs


@fault("builds")
class Learns(Ramp):
    def build_inputs(self, size: int, contract: Any) -> Any:
        from keras import layers

        return layers.Conv1D(4, 3, name="learnt")(super().build_inputs(size, contract))


@fault("builds")
class OtherName(Ramp):
    def build_inputs(self, size: int, contract: Any) -> Any:
        import keras

        return keras.Input((size, 1), name="something")


@fault("builds")
class OtherShape(Ramp):
    def build_inputs(self, size: int, contract: Any) -> Any:
        import keras

        return keras.Input((size, 2), name="series")


@fault("builds")
class Infinite(Ramp):
    def build_inputs(self, size: int, contract: Any) -> Any:
        from keras import layers

        return layers.Rescaling(float("inf"), name="scale")(super().build_inputs(size, contract))


@fault("builds")
class Shared(Ramp):
    made: Any = None

    def build_inputs(self, size: int, contract: Any) -> Any:
        if self.made is None:
            Shared.made = super().build_inputs(size, contract)
        return self.made
