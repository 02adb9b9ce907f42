"""Who may import what: Keras, TensorFlow and images stay where this says; no task is named.

What is light to import, and layers and circles, `import-linter` says in `pyproject.toml`; it cannot
tell an import at the top of a file from one inside a function.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import tfxfer

PACKAGE = Path(tfxfer.__file__).parent


class Import(NamedTuple):
    """One import in one file of the package."""

    file: str
    module: str
    is_at_top: bool


KERAS_AT_TOP = (
    "adaptation/batch_norm.py",
    "adaptation/last_layer.py",
    "adaptation/losses.py",
    "adaptation/penalties.py",
    "training/",
    "frontier/",
    "inference/keras_model.py",
    "keeping/anchor.py",
    "keeping/distillation.py",
    "keeping/low_rank.py",
    "keeping/relations.py",
    "keeping/watching.py",
    "meta/reptile.py",
    "model.py",
    "stages.py",
    "trust/gradients.py",
    "trust/moments.py",
    "trust/watch.py",
)
"""What works on Keras models says so in its first lines."""

# A plugin's module imports these, and must stay light: they import Keras when something is built.
KERAS_WHEN_CALLED = (
    "application.py",
    "images/modality.py",
    "modality.py",
    "surgery.py",
    "weights.py",  # for a download alone
    "weights_file.py",  # stands below `application`
    "keras_private.py",  # stands below `surgery`
    # These must answer before Keras starts, or without it.
    "device.py",  # JAX, too, is asked; and what it says of a device is read without Keras
    "cli/plugin.py",  # `tfxfer plugin --help`
    "inference/hdf5_model.py",  # one of two, as the file says
    "testing/",  # a plugin's tests import it at their top, and pytest collects them all
)

# `tf.data`, devices, the float conversion, and what a SavedModel is described by: all else goes
# through Keras, under any backend. Keras has no gradients of its own outside of `fit`: where one is
# explained by them, one module asks the backend.
TENSORFLOW_WHEN_CALLED = (
    "data/samples.py",
    "device.py",
    "frontier/litert.py",
    "saved_model.py",
    "trust/gradients.py",
)
JAX_WHEN_CALLED = ("device.py", "trust/gradients.py")

# `import tfxfer` offers `load_images` by its stub; beside that the core knows the door alone.
IMAGES = (
    "images/",
    "inference/keras_model.py",  # a `.keras` file outside of a run says nothing but its shape
    "testing/",  # reads images as a user's files, to compare with what a plugin makes of them
)
# Where nobody says what is read: a backbone, and a run of tfxfer 0.1.
NAMES_IMAGE = ("backbone.py", "run/manifest.py", "images/modality.py")


def list_files() -> list[Path]:
    return [path for path in sorted(PACKAGE.rglob("*.py")) if "templates" not in path.parts]


def find_imports(file: str, tree: ast.Module) -> Iterator[Import]:
    """Yields what a file imports when it runs; what only a type checker reads is left out."""

    def visit(node: ast.AST, *, is_at_top: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            yield from (Import(file, alias.name, is_at_top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}, line {node.lineno}: expected an absolute import"
            module = str(node.module)
            yield Import(file, module, is_at_top)
            # `from tfxfer import images` imports a module, too.
            yield from (Import(file, f"{module}.{x.name}", is_at_top) for x in node.names)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for other in node.orelse:
                yield from visit(other, is_at_top=is_at_top)
        else:
            inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            for child in ast.iter_child_nodes(node):
                yield from visit(child, is_at_top=is_at_top and not inside)

    yield from visit(tree, is_at_top=True)


@pytest.fixture(scope="module")
def trees() -> dict[str, ast.Module]:
    """The files of the package, parsed, by their path in it."""
    return {
        path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
        for path in list_files()
    }


@pytest.fixture(scope="module")
def imports(trees: dict[str, ast.Module]) -> list[Import]:
    return [found for file, tree in trees.items() for found in find_imports(file, tree)]


def is_in(file: str, places: tuple[str, ...]) -> bool:
    return any(file.startswith(x) if x.endswith("/") else file == x for x in places)


def is_of(module: str, name: str) -> bool:
    return module == name or module.startswith(f"{name}.")


def test_imports_are_found_wherever_they_are() -> None:
    source = """
import keras.layers as layers
if TYPE_CHECKING:
    import numpy
else:
    import scipy
try:
    from keras import ops
except ImportError:
    pass

class Thing:
    import os

    def method(self):
        if self:
            import tensorflow
        return lambda: __import__
async def later():
    from tfxfer import images
"""
    found = list(find_imports("x.py", ast.parse(source)))
    at_top = ["keras.layers", "scipy", "keras", "keras.ops", "os"]
    inside = ["tensorflow", "tfxfer", "tfxfer.images"]
    assert [x.module for x in found if x.is_at_top] == at_top
    assert [x.module for x in found if not x.is_at_top] == inside
    with pytest.raises(AssertionError, match=r"x.py, line 1: expected an absolute import"):
        list(find_imports("x.py", ast.parse("from . import y")))


def test_keras_is_imported_at_the_top_where_models_are_made_and_trained(
    imports: list[Import],
) -> None:
    of_keras = [x for x in imports if is_of(x.module, "keras")]
    at_top = {x.file for x in of_keras if x.is_at_top}
    assert {file for file in at_top if not is_in(file, KERAS_AT_TOP)} == set()
    # Nobody there hides an import in a function.
    inside = {x.file for x in of_keras if not x.is_at_top}
    assert {file for file in inside if is_in(file, KERAS_AT_TOP)} == set()
    assert all(any(is_in(file, (place,)) for file in at_top) for place in KERAS_AT_TOP)


def test_keras_is_imported_inside_functions_only_where_it_is_listed(imports: list[Import]) -> None:
    inside = {x.file for x in imports if is_of(x.module, "keras") and not x.is_at_top}
    assert {file for file in inside if not is_in(file, KERAS_WHEN_CALLED)} == set()


@pytest.mark.parametrize(
    ("name", "places"), [("tensorflow", TENSORFLOW_WHEN_CALLED), ("jax", JAX_WHEN_CALLED)]
)
def test_backends_are_imported_only_where_they_are_listed(
    imports: list[Import], name: str, places: tuple[str, ...]
) -> None:
    found = [x for x in imports if is_of(x.module, name)]
    assert {x.file for x in found} == set(places)
    assert not any(x.is_at_top for x in found)


def test_the_core_knows_the_door_and_not_the_images_behind_it(imports: list[Import]) -> None:
    found = {x.file for x in imports if is_of(x.module, "tfxfer.images")}
    assert {file for file in found if not is_in(file, IMAGES)} == set()
    assert "inference/keras_model.py" in found


def list_words(tree: ast.Module) -> set[str]:
    """Returns the texts of a file's code, its docstrings left out."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef, ast.Expr)
    texts = {
        id(node.value)
        for parent in ast.walk(tree)
        if isinstance(parent, documented)
        for node in ast.iter_child_nodes(parent)
        if isinstance(node, ast.Expr)
    }
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in texts
    }


def test_the_core_names_no_modality(trees: dict[str, ast.Module]) -> None:
    naming = {file for file, tree in trees.items() if "image" in list_words(tree)}
    assert naming == set(NAMES_IMAGE)


def test_the_core_names_no_task(trees: dict[str, ast.Module]) -> None:
    for path in list_files():
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"\.task\b", text), path
        assert "classification" not in text, path
    # A docstring may tell of an example; code may not.
    words = {file: " ".join(list_words(tree)) for file, tree in trees.items()}
    assert {
        file for file, text in words.items() if re.search("regression|multilabel", text)
    } == set()


def test_a_fault_of_each_kind_is_found() -> None:
    tree = ast.parse('"""An image."""\nkind = "image"\n\ndef f():\n    """image"""\n    x: str')
    assert list_words(tree) == {"image"}
    assert list_words(ast.parse('def f():\n    """image"""\n')) == set()
    assert re.search(r"\.task\b", "if head.task == 1: pass")
    assert not re.search(r"\.task\b", "model.tasks")
    assert is_in("training/fit.py", KERAS_AT_TOP)
    assert not is_in("model_zoo.py", KERAS_AT_TOP)
    assert is_of("keras.layers", "keras")
    assert not is_of("keras_hub", "keras")
