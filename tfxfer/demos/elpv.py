"""Photos of solar cells, from a pip package."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from tfxfer.data.record import Record, Source
from tfxfer.demo import Demo, DemoSamples
from tfxfer.errors import DataError
from tfxfer.progress import Progress

__all__ = ["SolarCells"]

_DEFECTIVE = 0.5  # the annotators' probability of a defect from which a cell counts as defective


class SolarCells(Demo):
    """2,624 photos of solar cells, defective or functional.

    Source:
        Buerhop-Lutz et al. 2018, a benchmark of electroluminescence photos of solar cells; the pip
        package `elpv-dataset`.
    """

    name = "elpv"

    def find_samples(self, *, progress: Progress | None = None) -> DemoSamples:
        """Returns the photos where the package has them."""
        spec = importlib.util.find_spec("elpv_dataset")
        if spec is None or spec.origin is None:
            raise DataError(
                "demo: expected the pip package elpv-dataset, which carries the photos. Received: "
                "not installed. Run `pip install elpv-dataset`, or `tfxfer demo --data digits`."
            )
        root = Path(spec.origin).parent / "data"
        records = []
        try:
            for line in (root / "labels.csv").read_text(encoding="utf-8").splitlines():
                path, probability, _ = line.split()
                label = "defective" if float(probability) >= _DEFECTIVE else "functional"
                records.append(Record(path, label))
        except (OSError, ValueError) as error:
            raise DataError(
                f"demo: expected the photos of elpv-dataset in {str(root)!r}. Received: {error}. "
                "Run `pip install --force-reinstall elpv-dataset`, or `tfxfer demo --data digits`."
            ) from error
        return DemoSamples(
            Source(root, tuple(records), "csv"),
            (
                "2,624 photos of solar cells from the pip package elpv-dataset (Buerhop-Lutz et "
                "al. 2018), for non-commercial use: CC BY-NC-SA 4.0. For other use: --data digits",
            ),
            str(root / records[0].path),
        )
