"""docs/api.md: what `tfxfer` and `tfxfer_edge` export, from signatures and docstrings."""

from __future__ import annotations

import ast
import importlib
import inspect
import itertools
import re
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from reference.docstring import render_docstring, summary
from reference.page import escape_cell, make_table

__all__ = ["describe_class", "describe_function", "format_signature", "render_names"]

PACKAGES = ("tfxfer", "tfxfer_edge")
_WIDTH = 96
_HEADER = """\
<!-- Written by scripts/docs. Do not edit: change the docstring instead. -->

# Python API

Everything here is imported from the package itself, such as `from tfxfer import fit`. Names that
are not on this page may change in any version.
"""


def render_names() -> str:
    """Returns the page."""
    return "\n\n".join([_HEADER, *(_describe_package(name) for name in PACKAGES)])


def _describe_package(name: str) -> str:
    package = importlib.import_module(name)
    found = {item: getattr(package, item) for item in sorted(package.__all__)}
    errors = {k: v for k, v in found.items() if inspect.isclass(v) and issubclass(v, Exception)}
    classes = {k: v for k, v in found.items() if inspect.isclass(v) and k not in errors}
    functions = {k: v for k, v in found.items() if inspect.isroutine(v)}
    index = [
        [f"[`{k}`](#{name}{k.lower()})", escape_cell(summary(_docstring(v, k)))]
        for k, v in {**functions, **classes}.items()
    ]
    parts = [f"## {name}", summary(_docstring(package, name))]
    parts.append(make_table(["name", "what it is"], index))
    parts += [describe_function(f"{name}.{k}", v) for k, v in functions.items()]
    parts += [describe_class(f"{name}.{k}", v) for k, v in classes.items()]
    constants = [
        [f"`{k}`", escape_cell(_describe_value(package, k, v))]
        for k, v in found.items()
        if k not in {*errors, *classes, *functions}
    ]
    if constants:
        parts += [f"### Constants of {name}", make_table(["name", "what it is"], constants)]
    if errors:
        rows = [_describe_error(k, v) for k, v in errors.items()]
        titles = ["error", "is also a", "exit code", "raised for"]
        parts += [f"### Errors of {name}", make_table(titles, rows)]
    return "\n\n".join(parts)


def describe_function(name: str, function: Any, *, level: int = 3) -> str:
    """Returns the section of a function.

    Args:
        name: qualified, for the title.
        function: what it is of.
        level: of the title.
    """
    return "\n\n".join(
        [
            f"{'#' * level} {name}",
            f"```python\n{format_signature(name.rpartition('.')[2], function)}\n```",
            render_docstring(_docstring(function, name)),
        ]
    )


def describe_class(name: str, cls: type) -> str:
    """Returns the section of a class: how it is made, and its own public methods."""
    short = name.rpartition(".")[2]
    # Of what is there to be subclassed nobody types the constructor.
    is_base = inspect.isabstract(cls) or not inspect.signature(cls).parameters
    made = f"class {short}" if is_base else format_signature(short, cls)
    parts = [f"### {name}", f"```python\n{made}\n```", render_docstring(_docstring(cls, name))]
    for member, value in vars(cls).items():
        function = getattr(value, "__func__", value)  # of class and static methods
        if member.startswith("_") or not (
            inspect.isfunction(function) or isinstance(value, property)
        ):
            continue
        if not inspect.getdoc(function):
            raise ValueError(f"{name}.{member}: expected a docstring. Received: none.")
        if not function.__doc__:
            continue  # it only implements what a base class describes
        if isinstance(value, property):
            parts += [f"#### {short}.{member}", render_docstring(_docstring(value, member))]
        else:
            parts.append(describe_function(f"{short}.{member}", getattr(cls, member), level=4))
    return "\n\n".join(parts)


def format_signature(name: str, function: Any) -> str:
    """Returns a signature as one would write it: annotations without quotes, wrapped if long."""
    signature = inspect.signature(function)
    parameters = list(_format_parameters(signature))
    result = signature.return_annotation
    ends = ""
    if result is not inspect.Signature.empty and not inspect.isclass(function):
        ends = f" -> {_format_annotation(result)}"
    line = f"{name}({', '.join(parameters)}){ends}"
    if len(line) <= _WIDTH:
        return line
    return f"{name}(\n" + "".join(f"    {text},\n" for text in parameters) + f"){ends}"


def _format_parameters(signature: inspect.Signature) -> Iterator[str]:
    kinds = inspect.Parameter
    starred = False
    for index, (name, parameter) in enumerate(signature.parameters.items()):
        if index == 0 and name == "self":
            continue
        if parameter.kind is kinds.KEYWORD_ONLY and not starred:
            yield "*"
        starred = starred or parameter.kind in (kinds.KEYWORD_ONLY, kinds.VAR_POSITIONAL)
        text = name
        if parameter.kind is kinds.VAR_POSITIONAL:
            text = f"*{name}"
        elif parameter.kind is kinds.VAR_KEYWORD:
            text = f"**{name}"
        has_annotation = parameter.annotation is not kinds.empty
        if has_annotation:
            text += f": {_format_annotation(parameter.annotation)}"
        if parameter.default is not kinds.empty:
            equals = " = " if has_annotation else "="
            text += f"{equals}{_format_default(parameter.default)}"
        yield text


def _format_annotation(annotation: Any) -> str:
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)


def _format_default(value: Any) -> str:
    text = repr(value)
    # Where an object's address stands, every run would write another page.
    if re.search(r" at 0x[0-9a-f]+", text) or text == "<factory>":
        return "…"
    return text if '"' in text else text.replace("'", '"')


def _describe_error(name: str, error: type) -> list[str]:
    bases = [x.__name__ for x in error.__mro__[1:] if x not in (BaseException, Exception, object)]
    cells = [
        f"`{name}`",
        ", ".join(f"`{base}`" for base in bases),
        str(getattr(error, "exit_code", "")),
        summary(_docstring(error, name)),
    ]
    return [escape_cell(cell) for cell in cells]


def _describe_value(package: ModuleType, name: str, value: Any) -> str:
    if name == "__version__":
        return "The version that is installed."
    text = _find_attribute_docstring(package.__name__, name)
    if text is None:
        raise ValueError(f"{package.__name__}.{name}: expected a docstring below it in the source")
    shown = f" `{value!r}`." if isinstance(value, (str, int, float)) else ""
    return f"{summary(text)}{shown}"


def _find_attribute_docstring(package: str, name: str) -> str | None:
    """Returns the string that follows the assignment of a constant, wherever that stands."""
    for module_name, module in sorted(sys.modules.items()):
        if not f"{module_name}.".startswith(f"{package}.") or not hasattr(module, name):
            continue
        try:
            body = ast.parse(inspect.getsource(module)).body
        except OSError:
            continue  # no source, such as a namespace package
        for statement, after in itertools.pairwise(body):
            targets: list[ast.expr] = []
            if isinstance(statement, ast.Assign):
                targets = statement.targets
            elif isinstance(statement, ast.AnnAssign):
                targets = [statement.target]
            if not any(isinstance(x, ast.Name) and x.id == name for x in targets):
                continue
            if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
                return str(after.value.value)
    return None


def _docstring(thing: Any, name: str) -> str:
    text = inspect.getdoc(thing)
    if not text:
        raise ValueError(f"{name}: expected a docstring. Received: none.")
    return text
