"""The config in a Keras model file, judged before anything is built from it.

A config names classes and functions, and the loader fetches and calls what it names. Keras 3 has
its safe mode for that; the loaders of legacy files have none, and import any module.
"""

from __future__ import annotations

import importlib.util
import io
import json
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfxfer.errors import ModelError
from tfxfer.inference.built_weights import check_batch
from tfxfer.registry.lookup import default_registry
from tfxfer.registry.suggestion import suggest_package
from tfxfer.system.archives import check_members, read_member
from tfxfer.system.hdf5_content import check_hdf5_content

if TYPE_CHECKING:
    from tfxfer.registry.lookup import Registry

__all__ = ["check_config", "import_layers", "read_keras_config"]

_CONFIG = "config.json"
_MOST_BYTES = 16 << 20
"""Those of 1,000 layers take about 1 MB; a HubLayer holds a graph of a few. What JSON builds in
Python takes up to 32 times its own size, and Keras reads it a second time."""

_WEIGHTS = "model.weights.h5"
_MOST_RATIO = 100
_PACKED_BYTES = 1 << 29
"""Weights are noise and hardly pack, and Keras does not try. Below 512 MB they may be all zeros."""

_DEEPEST = 200  # models nest a few levels

# Their code, or the file that it is in, comes with the model.
_BRINGS_CODE = frozenset(
    {
        "ClassMethod", "FlaxLayer", "InstanceMethod", "InstanceProperty", "JaxLayer", "Lambda",
        "TFSMLayer", "TensorFlowOpLayer", "TorchModuleWrapper", "__lambda__", "__typespec__",
    }
)  # fmt: skip
_DATA = frozenset(
    {
        "TensorShape", "__bytes__", "__complex__", "__ellipsis__", "__keras_tensor__", "__numpy__",
        "__slice__", "__tensor__", "__tuple__",
    }
)  # fmt: skip
# Functions of TensorFlow that a legacy config calls by name: those that compute, and no others.
_CALLS = frozenset({"SlicingOpLambda", "TFOpLambda"})
_PURE_MODULES = ("__operators__.", "image.", "keras.activations.", "linalg.", "math.", "nn.")
_PURE_FUNCTIONS = frozenset(
    {
        "broadcast_to", "cast", "clip_by_value", "compat.v1.shape", "compat.v1.transpose", "concat",
        "convert_to_tensor", "expand_dims", "gather", "identity", "ones_like", "pad", "repeat",
        "reshape", "reverse", "shape", "split", "squeeze", "stack", "stop_gradient",
        "strided_slice", "tile", "transpose", "unstack", "where", "zeros_like",
    }
)  # fmt: skip
_NAMESPACES = ("layers", "initializers", "regularizers", "constraints", "activations", "models",
               "losses", "metrics", "optimizers", "mixed_precision")  # fmt: skip
_MODELS = frozenset({"Functional", "Model", "Sequential"})
_POLICIES = frozenset({"DTypePolicy", "DTypePolicyMap", "FloatDTypePolicy", "Policy"})
# Keras imports these itself; which distribution brings them.
_RELATIVES = {
    "keras_cv": "keras-cv",
    "keras_hub": "keras-hub",
    "keras_nlp": "keras-nlp",
}
_DISTRIBUTIONS = {**_RELATIVES, "tensorflow_addons": "", "tensorflow_hub": ""}


@dataclass(frozen=True)
class _Named:
    """A class or function in a config.

    Args:
        layer: name of the layer that has it.
        class_name: of it.
        module: where it is found; None where a legacy config does not say.
        package: it was registered under; empty where it was not.
        config: its arguments; of a function its name.
    """

    layer: str
    class_name: str
    module: str | None
    package: str
    config: Any

    @property
    def packages(self) -> set[str]:
        """Top-level modules that may bring it, by its module and by what it is registered under."""
        return {(name or "").partition(".")[0] for name in (self.module, self.package)} - {""}


def read_keras_config(path: Path) -> dict[str, Any]:
    """Returns the config in a `.keras` file.

    Raises:
        ModelError: it is no such file, or unpacks to more than any model needs.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            size = archive.getinfo(_CONFIG).file_size
            if size > _MOST_BYTES:
                raise ModelError(
                    f"model {str(path)!r}: expected a config of at most {_MOST_BYTES / 1e6:.0f} "
                    f"MB. Received: {size / 1e6:.0f} MB."
                )
            content = read_member(archive, _CONFIG, limit=_MOST_BYTES)
            _check_members(archive, path)
        parsed = json.loads(content)
    except ModelError:
        raise
    # A damaged file fails in zipfile, zlib or json, each with errors of its own.
    except Exception as error:
        first = " ".join(str(error).split())[:200] or type(error).__name__
        raise ModelError(
            f"model {str(path)!r}: expected a file that keras.models.load_model reads in safe "
            f"mode. Received: {first}"
        ) from error
    if not isinstance(parsed, dict):
        raise ModelError(
            f"model {str(path)!r}: expected a config of layers. Received: {type(parsed).__name__}."
        )
    # Nothing is compiled where a model is only asked: its loss may be anybody's.
    return {key: value for key, value in parsed.items() if key != "compile_config"}


def _check_members(archive: zipfile.ZipFile, path: Path) -> None:
    """Refuses an archive whose weights lead elsewhere, or whose members unpack to gigabytes."""

    def refuse(expected: str, received: str) -> ModelError:
        return ModelError(
            f"model {str(path)!r}: expected {expected}. Received: {received}. Save the model "
            "anew: model.save('model.keras')"
        )

    stored_bytes = path.stat().st_size
    most = max(_PACKED_BYTES, _MOST_RATIO * stored_bytes)
    total = sum(member.file_size for member in archive.infolist())
    if total > most:
        raise refuse(
            f"members of at most {most:,} bytes together, where the file has {stored_bytes:,}",
            f"{total:,} bytes",
        )
    check_members(archive)  # Keras reads them whole
    if _WEIGHTS in archive.namelist():
        import h5py  # type: ignore[import-untyped]

        # In memory: HDF5 jumps back and forth, and each jump back would unpack from the start.
        content = io.BytesIO(read_member(archive, _WEIGHTS, limit=most))
        with h5py.File(content, "r") as file:
            check_hdf5_content(file, stored_bytes=stored_bytes, refuse=refuse)


def check_config(
    config: dict[str, Any], *, path: Path, keras: Any, registry: Registry | None = None
) -> None:
    """Refuses a config that names code of its own, or layers that nothing installed has.

    Layers of an installed plugin are imported through its own door. A module that the config names
    never is: it may be any.

    Args:
        config: of a model, as Keras 2 or 3 writes it.
        path: of the file, for messages.
        keras: the package that will build it, `keras` or `tf_keras`.
        registry: where plugins are looked up; None is what is installed.

    Raises:
        ModelError: names the first such layer, and what helps.
        PluginError: the plugin of a layer is installed and cannot be imported.
    """
    what = f"model {str(path)!r}"
    found = list(_walk(config, what=what))
    for named in found:
        check_batch(named.config, what=f"{what}, layer {named.layer!r:.80}")
    for named in found:
        if _brings_code(named):
            raise ModelError(
                f"{what}: expected a file that loads in safe mode, without code of its own. "
                f"Received: {_describe(named)}, which runs code that comes with the file. "
                "If you trust who made it: tfxfer export --trust (in Python: trust=True)."
            )
    if not all(_is_known(named, keras=keras) for named in found):
        _import_layers(found, keras=keras, registry=registry)
    for named in found:
        if not _is_known(named, keras=keras):
            raise ModelError(
                f"{what}: expected layers of Keras, or of a package that is installed. Received: "
                f"{_describe(named)}, whose code is not in the file. {_remedy(named)}"
            )


def import_layers(
    config: dict[str, Any], *, path: Path, keras: Any, registry: Registry | None = None
) -> None:
    """Imports the layers of installed plugins that a config names, and judges nothing.

    Args:
        config: of a model, as Keras 2 or 3 writes it.
        path: of the file, for messages.
        keras: the package that will build it.
        registry: where plugins are looked up; None is what is installed.
    """
    _import_layers(_walk(config, what=f"model {str(path)!r}"), keras=keras, registry=registry)


def _import_layers(found: Iterable[_Named], *, keras: Any, registry: Registry | None) -> None:
    if keras.__name__ == "keras":  # layers of plugins are Keras 3's
        packages = {package for named in found for package in named.packages}
        (registry or default_registry()).import_layers(packages)


def _walk(value: Any, *, what: str, layer: str = "", depth: int = 0) -> Iterator[_Named]:
    if depth > _DEEPEST:
        raise ModelError(
            f"{what}: expected layers nested a few levels deep. Received: {depth} levels."
        )
    if isinstance(value, list):
        for item in value:
            yield from _walk(item, what=what, layer=layer, depth=depth + 1)
    if not isinstance(value, dict):
        return
    if isinstance(value.get("class_name"), str):
        config = value.get("config")
        inner = config.get("name") if isinstance(config, dict) else None
        is_layer = "inbound_nodes" in value or isinstance(inner, str)
        if is_layer and value["class_name"] not in _POLICIES:
            layer = str(value.get("name") or inner)
        registered = str(value.get("registered_name") or value["class_name"])
        module = value.get("module")
        yield _Named(
            layer,
            value["class_name"],
            module if isinstance(module, str) else None,
            registered.rpartition(">")[0],
            config,
        )
    for item in value.values():
        yield from _walk(item, what=what, layer=layer, depth=depth + 1)


def _brings_code(named: _Named) -> bool:
    name = named.class_name
    if name in _BRINGS_CODE:
        return True
    config = named.config if isinstance(named.config, dict) else {}
    if name in _CALLS:
        function = str(config.get("function"))
        return not (function.startswith(_PURE_MODULES) or function in _PURE_FUNCTIONS)
    # A vocabulary may be the path of a file, which is read while the layer is made.
    return isinstance(config.get("vocabulary"), str)


def _is_known(named: _Named, *, keras: Any) -> bool:
    if named.class_name in _DATA | _MODELS | _POLICIES | _CALLS and not named.package:
        return True
    is_function = named.class_name == "function"
    name = str(named.config) if is_function else named.class_name
    top = (named.module or "").partition(".")[0]
    if top in _RELATIVES and keras.__name__ == "keras":
        return importlib.util.find_spec(top) is not None
    if named.package:
        return _is_registered(named, keras=keras)
    # Keras 3 fetches no more than is safe from its own modules; tf-keras fetches anything.
    if top == "keras" and keras.__name__ == "keras":
        return True
    if top not in ("", "keras", "tf_keras", "builtins"):
        return _is_registered(named, keras=keras)
    return any(
        hasattr(getattr(keras, space, None), variant)
        for space in _NAMESPACES
        # TensorFlow 1 numbered its classes.
        for variant in {name, name.removesuffix("V1").removesuffix("V2")}
    ) or (named.class_name in keras.saving.get_custom_objects())


def _is_registered(named: _Named, *, keras: Any) -> bool:
    name = f"{named.package}>{named.class_name}" if named.package else named.class_name
    return name in keras.saving.get_custom_objects()


def _describe(named: _Named) -> str:
    what = "function" if named.class_name == "function" else "class"
    name = named.config if what == "function" else named.class_name
    where = named.package or named.module
    at = f"layer {named.layer!r} of " if named.layer else ""
    return f"{at}{what} {name!r}" + (f" from {where!r}" if where else "")


def _remedy(named: _Named) -> str:
    top = (named.module or named.package).partition(".")[0]
    if named.class_name == "KerasLayer":
        top = "tensorflow_hub"
    found = _DISTRIBUTIONS.get(top) or suggest_package(top)
    install = f"Install it: pip install {found}. Or, where" if found else "Where"
    return (
        f"{install} that code is at hand, save the model as a SavedModel, which needs none: "
        "model.export('folder'), and give that folder."
    )
