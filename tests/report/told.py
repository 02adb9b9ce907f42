"""What a page says, found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tfxfer.report.answers import Answer
from tfxfer.report.content import Content
from tfxfer.report.material import Material
from tfxfer.report.mistakes import rank_mistakes
from tfxfer.report.parts import Note, Section
from tfxfer.run.directory import RunDirectory

Describe = Callable[..., Content]
Fill = Callable[..., RunDirectory]


def find(content: Content, name: str) -> Section:
    return next(section for section in content.sections if section.name == name)


def list_texts(content: Content) -> list[str]:
    return [sentence.text for sentence in content.verdict]


def list_parts(section: Section, kind: type) -> list[Any]:
    return [part for part in section.parts if isinstance(part, kind)]


def list_ranked(material: Material) -> list[Answer]:
    found = rank_mistakes(material)
    assert found is not None
    return found


def list_notes(content: Content, name: str) -> list[str]:
    return [note.text for note in list_parts(find(content, name), Note)]
