"""Which run a folder of cached activations belongs to, as a file in that folder says it."""

from __future__ import annotations

import contextlib
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from tfxfer.errors import RunError
from tfxfer.system.files import atomic_write, to_json
from tfxfer.system.owner import Owner, current_owner
from tfxfer.system.records import read_document, read_record
from tfxfer.system.scratch import is_ours

__all__ = ["OWNER_FILE", "RUN_SHELF", "ShelfOwner", "claim_shelf", "find_shelves", "read_owner"]

OWNER_FILE = "owner.json"
RUN_SHELF = "cache"
"""The folder's name where it lies among a run's checkpoints."""

_NAME = re.compile(rf"tfxfer-run-[0-9a-f]{{16}}|{RUN_SHELF}")


@dataclass(frozen=True)
class ShelfOwner:
    """Who a folder of cached activations is of.

    Args:
        run: absolute path of the run.
        mark: of the process that trained it last, see `Owner.mark`.
    """

    run: str
    mark: str

    @property
    def process(self) -> Owner | None:
        """The process, where the mark tells it."""
        return Owner.from_mark(self.mark)


def claim_shelf(folder: Path, run: Path) -> None:
    """Writes into a folder that it is of a run, and of this process. The run's lock is held.

    Raises:
        OSError: it cannot be written.
    """
    owner = ShelfOwner(str(run.absolute()), current_owner().mark)
    with atomic_write(folder / OWNER_FILE) as temporary:
        text = to_json(asdict(owner))
        # Half of a pair, in a name that is no text, is an escape of JSON's.
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def read_owner(folder: Path) -> ShelfOwner | None:
    """Returns whose a folder is; None where it does not say, as those of earlier versions."""
    with contextlib.suppress(RunError):
        document = read_document(folder / OWNER_FILE, expected="an owner", error=RunError)
        return read_record(ShelfOwner, document, where="owner", error=RunError)
    return None


def find_shelves(place: Path) -> tuple[tuple[Path, ShelfOwner], ...]:
    """Returns the folders of cached activations in a place, and whose each is.

    What does not say whose it is, and what another user made, is left out.
    """
    try:
        found = sorted(path for path in place.iterdir() if _NAME.fullmatch(path.name))
    except OSError:  # not there, or not ours to read
        return ()
    folders = [path for path in found if path.is_dir() and is_ours(path)]
    owned = ((path, read_owner(path)) for path in folders)
    return tuple((path, owner) for path, owner in owned if owner is not None)
