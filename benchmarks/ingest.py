"""What the scripts of this folder write, as the rows of docs/benchmarks/records/."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from advice import WAYS, find_regret
from claims import comparable, first_reached, group
from scale import list_rows as list_scale_rows
from tables import Record
from text import summarise
from text_cost import list_cache_rows

__all__ = ["READERS", "ingest"]

Rows = list[dict[str, Any]]
Document = Mapping[str, Any]


def ingest(path: Path, records: Path) -> list[Path]:
    """Replaces the rows of records by those of what a script wrote.

    Args:
        path: of a script, such as `runs/benchmarks/growth.json`.
        records: folder of the records; what is shown and how stays.

    Returns:
        The records that were written.

    Raises:
        ValueError: a file that no record is made of.
    """
    if path.stem not in READERS:
        raise ValueError(f"{path}: expected one of {', '.join(sorted(READERS))}, each .json.")
    document = json.loads(path.read_text(encoding="utf-8"))
    machine = document["machine"]
    written = []
    for name, rows in READERS[path.stem](document).items():
        target = records / f"{name}.json"
        changed = replace(
            Record.read(target),
            cpu=f"{machine['cpu']}, {machine['cores']} cores",
            commit=document["commit"],
            date=document["written"][:10],
            rows=rows,
        )
        changed.write(target)
        written.append(target)
    return written


def _read_rows(name: str) -> Callable[[Document], dict[str, Rows]]:
    return lambda document: {name: document["rows"]}


def _read_startup(document: Document) -> dict[str, Rows]:
    rows = [{"command": name, "seconds": value} for name, value in document["median_s"].items()]
    return {"startup": rows}


def _read_growth(document: Document) -> dict[str, Rows]:
    points = document["points"].values()
    rows = [{**point, "s_per_1000": 1000 * point["seconds"] / point["images"]} for point in points]
    return {"growth": rows}


def _read_head_phase(document: Document) -> dict[str, Rows]:
    return {
        "head_phase": [
            {"augment": row["augment"], **_compare(row["all"]["cached"], row["all"]["whole"])}
            for row in document["rows"]
        ]
    }


def _read_two_phase(document: Document) -> dict[str, Rows]:
    rounds = document["rounds"]
    row = {"set": document["set"], "epochs": " + ".join(map(str, rounds[0]["epochs"]))}
    row |= _compare([x["cached_s"] for x in rounds], [x["whole_s"] for x in rounds])
    return {"two_phase_speed": [row]}


def _read_breakdown(document: Document) -> dict[str, Rows]:
    # A part of 0 images is not of a run, but stands beside it.
    in_run = [row for row in document["rows"] if row.get("images") != 0]
    beside = [row for row in document["rows"] if row.get("images") == 0]
    rows = [{**row, "share": row["seconds"] / document["total_s"]} for row in in_run]
    rows += [{"part": row["part"], "ms_per_image": row["ms_per_image"]} for row in beside]
    return {"breakdown": rows}


def _read_claims(document: Document) -> dict[str, Rows]:
    """Reads what `claims.py` wrote; whole trainings without cache are of small sets alone."""
    uncached = [
        {
            "set": row["set"],
            **_compare(*([x[side] for x in row["each"]] for side in ("ours_s", "theirs_s"))),
        }
        for row in document["speed"]
        if row["against"].endswith("uncached") and row["set"] == "hymenoptera"
    ]
    return {"quality": document["quality"], "uncached_runs": uncached}


def _read_training(document: Document) -> dict[str, Rows]:
    """Reads when each seed of ours has reached the best that the guide's head phase ever had."""
    ways = group(document["runs"])["flowers5"]
    rows: Rows = []
    for seed, run in comparable(ways, "guide_head"):
        best = max(epoch["val_accuracy"] for epoch in run["epochs"])
        ours_s = first_reached(ways["ours"][seed]["epochs"], best)
        theirs_s, whole_s = first_reached(run["epochs"], best), run["epochs"][-1]["seconds"]
        row = {"seed": seed, "best": best, "theirs_s": theirs_s, "ours_s": ours_s}
        row["whole_s"] = whole_s
        if ours_s is not None:
            row |= {"times_faster": theirs_s / ours_s, "times_whole": whole_s / ours_s}
        if seed in ways.get("probe", {}):
            row["probe_s"] = ways["probe"][seed]["seconds"]
        rows.append(row)
    return {"time_to_best": rows, "time_to_best_median": [_summarize(rows)]}


def _summarize(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns the ratios of all seeds; one that ours never reaches is no gain."""
    keys = ("times_faster", "times_whole")
    return {key: {"rounds": [row.get(key, 0.0) for row in rows]} for key in keys}


def _read_ladder(document: Document) -> dict[str, Rows]:
    kept = ("set", "size", "frontier", "views", "epochs")
    rows = []
    for run in document["runs"]:
        row = {key: run[key] for key in kept}
        if not run["epochs"]:
            row |= {"frontier": "head alone", "views": ""}
        for when, scores in run["scores"].items():
            row |= {f"{when}_{key}": value for key, value in scores.items()}
        rows.append(row)
    return {"budget_ladder": rows}


def _read_steps(document: Document) -> dict[str, Rows]:
    return {"steps": document["steps"]}


def _read_advice(document: Document) -> dict[str, Rows]:
    runs = document["runs"]
    rows: Rows = []
    for place in sorted({key.rpartition("/")[0] for key in runs}):
        name, size, seed = place.split("/")
        found = {
            way: runs[f"{place}/{way}"]["accuracy"]
            for way in ("advised", *WAYS)
            if f"{place}/{way}" in runs
        }
        regret = find_regret({way: figure["value"] for way, figure in found.items()})
        row: dict[str, Any] = {"set": name, "size": int(size), "seed": int(seed)}
        rows.append({**row, **found, "regret": regret})
    return {"advice": rows}


def _read_domain_gap(document: Document) -> dict[str, Rows]:
    """Reads the mean distance of each set by each backbone."""
    rows: Rows = []
    for name, profiles in document["sets"].items():
        row: dict[str, Any] = {"set": name}
        for backbone, found in profiles.items():
            row[backbone] = {"value": found["mean"], "low": found["low"], "high": found["high"]}
        row["halves_differ"] = statistics.mean(x["halves_differ"] for x in profiles.values())
        rows.append(row)
    return {"domain_gap": rows}


def _read_label_errors(document: Document) -> dict[str, Rows]:
    """Reads what was found in all draws of a set, beside what looks wrong in it as it is."""
    runs = document["runs"]
    rows: Rows = []
    for name in dict.fromkeys(run["set"] for run in runs):
        draws = [run for run in runs if run["set"] == name and run["seed"] is not None]
        row = {"set": name, "images": draws[0]["images"], "made": draws[0]["made"]}
        for key in ("found", "confident", "confident_made", "seconds"):
            each = [run[key] for run in draws]
            row[key] = {"rounds": each} if len(each) > 1 else each[0]
        for run in runs:
            if run["set"] == name and run["seed"] is None:
                row["confident_as_is"] = run["confident"]
        rows.append(row)
    return {"label_errors": rows}


def _read_scale(document: Document) -> dict[str, Rows]:
    return {"scale": list_scale_rows(document["points"])}


def _read_text(document: Document) -> dict[str, Rows]:
    return {"text_quality": summarise(document["runs"])}


def _read_text_cost(document: Document) -> dict[str, Rows]:
    growth = [
        {"texts": int(count), **found, "cpu_s_per_1000": 1000 * found["cpu_s"] / int(count)}
        for count, found in document["growth"].items()
    ]
    return {"text_cache": list_cache_rows(document["cache"]), "text_growth": growth}


def _compare(cached: list[float], whole: list[float]) -> dict[str, Any]:
    """Returns rounds of both, and how many times faster the first are, each beside its own."""
    return {
        "cached_s": {"rounds": cached},
        "whole_s": {"rounds": whole},
        "times_faster": {"rounds": [w / c for c, w in zip(cached, whole, strict=True)]},
    }


READERS: Mapping[str, Callable[[Document], dict[str, Rows]]] = {
    "advice": _read_advice,
    "breakdown": _read_breakdown,
    "budget_ladder": _read_ladder,
    "claims": _read_claims,
    "convert_speed": _read_rows("convert_speed"),
    "decode_speed": _read_rows("decode_speed"),
    "domain_gap": _read_domain_gap,
    "gpu_training": _read_rows("gpu_training"),
    "growth": _read_growth,
    "head_phase": _read_head_phase,
    "label_errors": _read_label_errors,
    "mediapipe_agreement": _read_rows("mediapipe_agreement"),
    "reference_latency": _read_rows("reference_latency"),
    "scale": _read_scale,
    "scratch_claims": _read_steps,
    "startup": _read_startup,
    "text": _read_text,
    "text_cost": _read_text_cost,
    "text_edge": _read_rows("text_edge"),
    "training": _read_training,
    "two_phase_speed": _read_two_phase,
}
"""Name of a script's file → the rows of the records that are made of it."""
