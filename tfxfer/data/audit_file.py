"""`audit.json`: what was found in the files of a run's data, for whoever looks at the run later."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from tfxfer.data.problems import Audit
from tfxfer.errors import RunError
from tfxfer.system.files import atomic_write, to_json
from tfxfer.system.records import read_document, read_record

__all__ = ["read_audit", "write_audit"]


def write_audit(path: Path, audit: Audit) -> None:
    """Writes what an audit found; the folder is made.

    Raises:
        StorageError: the disk is full or cannot be written.
    """
    path.parent.mkdir(exist_ok=True)
    with atomic_write(path) as temporary:
        text = to_json(asdict(audit), indent=None)
        # Half of a pair, in the name of a file that is not read, is an escape of JSON's.
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def read_audit(path: Path) -> Audit:
    """Reads what `write_audit` wrote.

    Raises:
        RunError: no such file, or it says something else.
    """
    document = read_document(path, expected="the JSON of an audit", error=RunError)
    return read_record(Audit, document, where=str(path), error=RunError)
