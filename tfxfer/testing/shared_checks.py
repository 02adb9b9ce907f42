"""Checks that all kinds share: where they come from, and what an import of them costs."""

from __future__ import annotations

import json

from tfxfer.registry.component import normalise_name
from tfxfer.testing.backbone_subject import BackboneSubject
from tfxfer.testing.check import check, fail, not_run
from tfxfer.testing.fresh_process import HEAVY, find_imports
from tfxfer.testing.subject import Subject

__all__ = ["laziness", "provenance"]


@check("the distribution says who it is and which tfxfer it needs; weights say whose they are")
def provenance(subject: Subject) -> None:
    """Looks at the metadata of the distribution, and at the sources of weights."""
    if isinstance(subject, BackboneSubject):
        _check_sources(subject)
    dist = subject.distribution
    if dist is None:
        not_run(
            f"no installed distribution brings {subject.kind} {subject.name!r}: "
            "run `pip install -e .` in its folder"
        )
    what = f"{subject.kind} {subject.name!r}"
    if not dist.metadata["Name"] or not dist.metadata["Version"]:
        fail(
            what,
            expected="a distribution with a name and a version",
            received=f"name={dist.metadata['Name']!r}, version={dist.metadata['Version']!r}",
            fix="Set both in [project] of pyproject.toml.",
        )
    is_ours = normalise_name(dist.metadata["Name"]) == "tfxfer"  # which needs no other tfxfer
    if not is_ours and not any(_names_tfxfer(line) for line in dist.requires or ()):
        fail(
            what,
            expected="a distribution that requires tfxfer, so that a mismatch is told",
            received=f"dependencies={list(dist.requires or ())!r}",
            fix='Write dependencies = ["tfxfer>=0.1,<0.2"] in pyproject.toml.',
        )


def _names_tfxfer(line: str) -> bool:
    from packaging.requirements import Requirement

    requirement = Requirement(line)
    return normalise_name(requirement.name) == "tfxfer" and bool(requirement.specifier)


def _check_sources(subject: BackboneSubject) -> None:
    for name, weights in subject.plugin.weights.items():
        what = f"weights {name!r} of {subject.name!r}"
        places = [
            weights.package is not None and weights.member is not None,
            weights.url is not None,
            weights.fetch is not None,
        ]
        if not any(places):
            fail(
                what,
                expected="a place: package and member, url, or fetch",
                received="none of them",
                fix="Say where the file comes from in tfxfer.Weights.",
            )
        for field in ("licence", "origin"):
            value = getattr(weights, field)
            if not isinstance(value, str) or not value.strip():
                fail(
                    what,
                    expected=f"a {field}, in words",
                    received=f"{field}={value!r}",
                    fix="Whoever ships a model must know what it was made from.",
                )


@check("importing the plugin's module imports neither TensorFlow, Keras, JAX nor torch")
def laziness(subject: Subject) -> None:
    """Imports the module in a process of its own and looks at what came with it."""
    found = find_imports(subject.module)
    if found.error:
        fail(
            f"module {subject.module!r}",
            expected="an import that works in a fresh process",
            received=found.error,
            fix="Mend the module, or install what it needs.",
        )
    if found.heavy:
        fail(
            f"module {subject.module!r}",
            expected=f"an import without {', '.join(HEAVY)}",
            received=f"imports={json.dumps(list(found.heavy))}",
            fix="Import them inside build and load_weights: `tfxfer plugins` must stay quick.",
        )
