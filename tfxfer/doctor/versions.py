"""Which versions of a package suit everything that is installed, as pip would be told."""

from __future__ import annotations

from collections.abc import Iterable

from packaging.specifiers import Specifier, SpecifierSet
from packaging.version import Version

from tfxfer.doctor.environment import Environment

__all__ = [
    "FIRST_PYTHON",
    "LAST_PYTHON",
    "PINNED_TO_TENSORFLOW",
    "find_supported",
    "find_versions",
    "format_specifiers",
    "install_line",
    "match_tensorflow",
]

FIRST_PYTHON = (3, 11)
LAST_PYTHON = (3, 13)
"""TensorFlow 2.21 has no wheels for a later one."""

PINNED_TO_TENSORFLOW = ("tf-keras", "tensorflow-text")
"""Packages whose minor version must be TensorFlow's."""

_ORDER = ("==", "===", "~=", ">=", ">", "<", "<=", "!=")


def find_supported(environment: Environment) -> dict[str, str]:
    """Returns the versions that tfxfer works with on a Python, by name.

    As in our own `pyproject.toml`, but known here even where tfxfer's metadata is not, and only
    what there are wheels for: Python 3.13 has none of TensorFlow 2.19.

    Example:
        >>> find_supported(Environment(python="3.13.1"))["tensorflow"]
        '>=2.20,<2.22'
    """
    first = "2.20" if environment.python_minor >= (3, 13) else "2.19"
    return {"tensorflow": f">={first},<2.22", "keras": ">=3.15,<4"}


def format_specifiers(specifiers: SpecifierSet) -> str:
    """Returns `>=3.15,<4`: lower bound first, as people write it.

    Example:
        >>> format_specifiers(SpecifierSet("<4,!=3.16,>=3.15"))
        '>=3.15,<4,!=3.16'
    """
    ordered = sorted(specifiers, key=lambda each: (_ORDER.index(each.operator), each.version))
    return ",".join(map(str, ordered))


def install_line(environment: Environment, *names: str, **fixed: str) -> str:
    """Returns the `pip install` that brings packages in versions which suit all the others.

    Args:
        environment: what is installed.
        names: normalised names. Where the wishes for one clash, that of tfxfer counts.
        fixed: versions that are settled already, by name with `_` for `-`, as `protobuf="<4"`.

    Example:
        >>> install_line(Environment(), "keras", setuptools="<81")
        'pip install "keras>=3.15,<4" "setuptools<81"'
    """
    settled = {name.replace("_", "-"): versions for name, versions in fixed.items()}
    wanted = {}
    for name in names:
        found = find_versions(environment, name)
        wanted[name] = find_supported(environment).get(name, "") if found is None else found
    pairs = {**wanted, **settled}.items()
    return " ".join(["pip install", *(_quote(*pair) for pair in pairs)])


def match_tensorflow(version: Version) -> str:
    """Returns the versions that go with one of TensorFlow: those of the same minor.

    Example:
        >>> match_tensorflow(Version("2.19.1"))
        '>=2.19,<2.20'
    """
    return f">={version.major}.{version.minor},<{version.major}.{version.minor + 1}"


def _quote(name: str, versions: str) -> str:
    return f'"{name}{versions}"' if versions else name


def find_versions(environment: Environment, name: str, *, also: str = "") -> str | None:
    """Returns the versions of a package that all who want it can live with; None if they clash.

    Args:
        environment: what is installed.
        name: normalised name.
        also: what is wanted of it besides.
    """
    if name in PINNED_TO_TENSORFLOW and (tensorflow := environment.version("tensorflow")):
        return match_tensorflow(tensorflow)
    together = SpecifierSet(find_supported(environment).get(name, "")) & SpecifierSet(also)
    for demand in environment.demands:
        if demand.dependency == name:
            together &= demand.versions
    return format_specifiers(_simplify(together)) if _is_satisfiable(together) else None


def _is_satisfiable(specifiers: SpecifierSet) -> bool:
    # If any version will do, then one at or right behind a bound, or the very first.
    bounds = [_bound(each) for each in specifiers if each.operator != "==="]
    tries = [Version("0"), *bounds, *(Version(f"{x.base_version}.0.0.1") for x in bounds)]
    return any(specifiers.contains(each, prereleases=True) for each in tries)


def _simplify(specifiers: SpecifierSet) -> SpecifierSet:
    """Leaves out bounds that a tighter one makes idle, so that the line can be read."""
    exact = [x for x in specifiers if x.operator == "==" and "*" not in x.version]
    if exact:
        return _join(exact)
    lower = sorted((x for x in specifiers if x.operator in (">=", ">")), key=_bound)[-1:]
    upper = sorted((x for x in specifiers if x.operator in ("<", "<=")), key=_bound)[:1]
    ends = _join([*lower, *upper])
    others = [x for x in specifiers if x.operator in ("==", "===", "~=")]
    excluded = [
        x for x in specifiers if x.operator == "!=" and ends.contains(_bound(x), prereleases=True)
    ]
    return _join([*others, *lower, *upper, *excluded])


def _bound(specifier: Specifier) -> Version:
    return Version(specifier.version.removesuffix(".*"))


def _join(specifiers: Iterable[Specifier]) -> SpecifierSet:
    return SpecifierSet(",".join(map(str, specifiers)))
