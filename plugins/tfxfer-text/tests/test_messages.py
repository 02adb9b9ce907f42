"""The demo's messages: read line by line, whatever is in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tfxfer import DataError, Registry
from tfxfer_text import Messages, messages


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "spam_collection.csv"
    monkeypatch.setattr(
        messages, "find_package_files", lambda package, progress: {messages._TABLE: path}
    )
    path.write_text('ham\t"Hi\nspam\tWIN\ta prize, now\nham\t=1+1\n', encoding="utf-8")
    return path


def test_a_quote_swallows_no_message(table: Path) -> None:
    found = Messages().find_samples()
    assert [(x.path, x.label, x.content) for x in found.source.records] == [
        ("spam_collection.csv:1", "ham", '"Hi'),
        ("spam_collection.csv:2", "spam", "WIN\ta prize, now"),
        ("spam_collection.csv:3", "ham", "=1+1"),
    ]
    assert found.source.root == table.parent
    assert "3 messages" in found.remarks[0]
    assert "MIT" in found.remarks[0]


def test_another_table_is_refused(table: Path) -> None:
    table.write_text("label\ttext\n")
    with pytest.raises(DataError, match="expected messages of ham and spam"):
        Messages().find_samples()


def test_the_demo_comes_through_the_door() -> None:
    demo = Registry().load_demo("sms")
    assert isinstance(demo, Messages)
    assert demo.request == {"backbone": "minilm_l6"}
