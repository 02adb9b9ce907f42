"""What `tfxfer export` shows to people."""

from __future__ import annotations

from typing import Any

from tfxfer.cli.output import Output

__all__ = ["show_candidates", "show_parity"]


def show_candidates(output: Output, document: dict[str, Any]) -> None:
    """Prints the table of recipes, float32 first, how to read it, and what was chosen."""
    metric, reference = document["metric"], document["float"]
    rows = [_show_candidate(item, document) for item in document["candidates"]]
    if all(row[0] != "float32" for row in rows):
        size, latency = reference["tflite_bytes"], reference["latency_ms"]
        float_row = (
            "float32",
            _show_value(reference["metrics"]["test"], metric),
            "" if size is None else f"{size / 1e6:.2f}",
            "" if latency is None else f"{latency:.1f}",
            *[""] * 5,
            "what the others are compared with",
        )
        rows.insert(0, float_row)
    rows.sort(key=lambda row: row[0] != "float32")
    titles = (
        "RECIPE",
        f"{metric['title'].upper()} (TEST)",
        "MB",
        "MS",
        "SPEED",
        "SAVED",
        "CHANGE (VAL)",
        "(TEST)",
        "AGREES",
        "",
    )
    output.show_table(titles, rows)
    if metric["unit"] == "own":
        output.show(f"CHANGE: of {metric['title']}, in percent of float32's; -5.0: 5 % worse")
    else:
        output.show(f"CHANGE: of {metric['title']}, in points; -0.8: 0.8 points worse than float32")
    if document["chosen"] is not None:
        output.show(f"{document['chosen']} chosen because {document['because']}")


def _show_candidate(item: dict[str, Any], document: dict[str, Any]) -> tuple[str, ...]:
    metric, size, latency = document["metric"], item["bytes"], item["latency_ms"]
    saved, faster = item["bytes_saved"], item["times_faster"]
    agreement = item["agreement"]
    verdict = "chosen" if item["recipe"] == document["chosen"] else "passed"
    words = [verdict if item["passed"] else f"no: {item['reason']}"]
    if item["slower_than_float"]:
        words.append("slower than float32 on this CPU")
    is_float = item["recipe"] == "float32"
    return (
        item["recipe"],
        "" if item["metrics"] is None else _show_value(item["metrics"]["test"], metric),
        "" if size is None else f"{size / 1e6:.2f}",
        "" if latency is None else f"{latency:.1f}",
        "" if faster is None or is_float else _show_speed(faster),
        "" if saved is None or is_float else f"{100 * saved / (size + saved):.0f} %",
        _show_val(item),
        _show_change(item["test_drop_points"]),
        "" if agreement is None else f"{100 * agreement:.1f} %",
        "; ".join(words),
    )


def _show_value(metrics: dict[str, Any], metric: dict[str, Any]) -> str:
    from tfxfer.evaluation import Metric

    about = Metric(**{key: value for key, value in metric.items() if key != "name"})
    return about.write(metrics[metric["name"]]).partition(" [")[0]


def _show_speed(faster: float) -> str:
    # A twentieth of float32's speed is not none.
    return f"{faster:.1f}x" if faster >= 0.1 else f"{faster:.2g}x"


def _show_val(item: dict[str, Any]) -> str:
    varied = item["val_views"]
    if varied is None:
        return _show_change(item["val_drop_points"])
    return f"{_show_change(varied['drop_points'])}, {varied['views']} views"


def _show_change(drop: dict[str, float] | None) -> str:
    if drop is None:
        return ""
    # What was lost is a change for the worse; not -x: nothing lost would read as -0.0.
    value, low, high = (0.0 - drop[end] for end in ("value", "high", "low"))
    return f"{value:+.1f} [{low:+.1f}, {high:+.1f}]"


def show_parity(output: Output, parity: dict[str, Any] | None, plural: str) -> None:
    """Prints by how much the clients differ from Keras.

    Args:
        output: of the command.
        parity: of the document; None where nothing was compared.
        plural: what samples are called.
    """
    if parity is None:
        return
    ways = [("LiteRT", parity["interpreter"])]
    if parity["mediapipe"] is not None:
        ways.append(("MediaPipe", parity["mediapipe"]))
    told = ", ".join(
        f"{name} differs from Keras by {way['largest']:.3f} at most{_show_top1(way)}"
        for name, way in ways
    )
    what = "photos" if plural == "images" else plural
    output.show(f"{parity['images']} {what} from the file to the answer: {told}")
    if parity["mediapipe"] is None:
        output.detail(f"MediaPipe did not run: {parity['mediapipe_note']}")


def _show_top1(way: dict[str, Any]) -> str:
    # All the same is what is expected: only another answer is worth a word.
    top1 = way["top1"]
    return "" if top1 is None or top1 == 1.0 else f" and answers {100 * top1:.1f} % alike"
