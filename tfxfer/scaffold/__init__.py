"""A new plugin as a whole distribution, from templates."""

from __future__ import annotations

import keyword
import re
import shutil
import string
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from tfxfer.errors import StorageError, UsageError
from tfxfer.registry.component import normalise_name
from tfxfer.registry.discovery import GROUPS
from tfxfer.system.files import describe_storage_error
from tfxfer.system.scratch import name_temporary
from tfxfer.version import __version__

__all__ = ["Scaffold", "plan_scaffold", "write_scaffold"]

_SUFFIX = ".tmpl"
_PREFIX = "tfxfer-"


@dataclass(frozen=True)
class Scaffold:
    """The names of a new plugin.

    Args:
        kind: `backbone`, `head` or `modality`.
        distribution: what pip installs, such as `tfxfer-my-net`.
        module: what Python imports, `tfxfer_my_net`.
        component: what users of tfxfer type, `my_net`.
        class_name: `MyNet`.
    """

    kind: str
    distribution: str
    module: str
    component: str
    class_name: str

    @property
    def check_options(self) -> str:
        """What `tfxfer plugin check` needs beside the name."""
        return " --samples samples" if self.kind == "modality" else ""

    @property
    def entry_points(self) -> str:
        """The tables of `pyproject.toml` that say what users type."""
        group = next(group for group, kind in GROUPS.items() if kind == self.kind)
        table = f'[project.entry-points."{group}"]\n{self.component} = "{self._path}"'
        if self.kind != "modality":
            return table
        # Nothing can be trained on samples that no network reads.
        return (
            f'{table}\n\n[project.entry-points."tfxfer.backbones"]\n'
            f'{self.component}_net = "{self._path}Net"'
        )

    @property
    def _path(self) -> str:
        return f"{self.module}:{self.class_name}"


def plan_scaffold(name: str, *, kind: str) -> Scaffold:
    """Returns the names that a plugin gets from that of its distribution.

    Args:
        name: letters, digits and single hyphens; `tfxfer-` in front is dropped from what users
            type.
        kind: `backbone`, `head` or `modality`.

    Raises:
        UsageError: a name that pip or Python does not take, or of a module that Python has.

    Example:
        >>> plan = plan_scaffold("tfxfer-my-net", kind="backbone")
        >>> plan.module, plan.component, plan.class_name
        ('tfxfer_my_net', 'my_net', 'MyNet')
    """
    distribution = normalise_name(name.strip())
    module = distribution.replace("-", "_")
    component = distribution.removeprefix(_PREFIX).replace("-", "_")
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", distribution):
        raise UsageError(
            "plugin: expected a name of letters, digits and hyphens that starts with a letter, "
            f"such as tfxfer-mynet. Received: name={name!r}."
        )
    taken = module in sys.stdlib_module_names or module == "tfxfer"
    if taken or any(keyword.iskeyword(word) for word in (module, component)):
        raise UsageError(
            f"plugin: expected a name that Python does not use itself. Received: name={name!r}. "
            f"Try {_PREFIX}{distribution}-{kind}."
        )
    if not component[0].isalpha():
        raise UsageError(
            f"plugin: expected a name that starts with a letter after {_PREFIX!r}. "
            f"Received: name={name!r}."
        )
    class_name = "".join(word.capitalize() for word in component.split("_"))
    return Scaffold(kind, distribution, module, component, class_name)


def write_scaffold(plan: Scaffold, folder: Path) -> list[str]:
    """Writes the files of a plugin in one step and returns their paths inside the folder.

    Args:
        plan: its names.
        folder: what becomes the distribution's root; it must not exist, or be empty.

    Raises:
        UsageError: there is something in the folder already.
        StorageError: the disk is full or cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(
            f"folder {str(folder)!r}: expected one that is new or empty. "
            "Received: one with files. Choose another with --out."
        )
    values = {
        "kind": plan.kind,
        "distribution": plan.distribution,
        "module": plan.module,
        "component": plan.component,
        "class_name": plan.class_name,
        "check_options": plan.check_options,
        "entry_points": plan.entry_points,
        "requirement": _requirement(),
    }
    folder = folder.absolute()
    # Beside the target, so that the last step is a rename.
    temporary = name_temporary(folder)
    try:
        written = []
        for name, text in _render(plan.kind, values):
            path = temporary / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            written.append(name)
        if folder.exists():
            folder.rmdir()
        temporary.rename(folder)
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        message = describe_storage_error(error, folder, also=(temporary,))
        if message is not None:
            raise StorageError(message) from error
        raise
    return sorted(written)


def _requirement() -> str:
    major, minor = __version__.split(".")[:2]
    return f"tfxfer>={major}.{minor},<{major}.{int(minor) + 1}"


def _render(kind: str, values: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Yields the path and the text of each file; names in paths are filled in, too."""
    for group in ("common", kind):
        root = files("tfxfer.scaffold").joinpath("templates", group)
        for name, source in _walk(root, ""):
            text = string.Template(source.read_text(encoding="utf-8")).substitute(values)
            # Hidden files and the module's folder have other names among the templates.
            path = name.removesuffix(_SUFFIX).replace("dot_", ".")
            yield path.replace("MODULE", values["module"]), text


def _walk(folder: Traversable, prefix: str) -> Iterator[tuple[str, Traversable]]:
    for item in sorted(folder.iterdir(), key=lambda entry: entry.name):
        path = f"{prefix}{item.name}"
        if item.is_dir():
            yield from _walk(item, f"{path}/")
        elif path.endswith(_SUFFIX):
            yield path, item
