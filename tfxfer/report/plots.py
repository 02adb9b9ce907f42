"""Plots of a page, drawn from its parts."""

from __future__ import annotations

import math
from collections.abc import Callable
from html import escape
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.ticker import FuncFormatter, MaxNLocator

from tfxfer.report.parts import Curves, Profile, Reliability, Scatter
from tfxfer.report.svg import COLOURS, STYLE, make_figure, write_svg

__all__ = ["PLOTS", "draw_plot"]

# Of a phone's width in inches: text then is as large as the page's own, and a wide screen shows two
# beside each other.
_WIDTH_IN, _HEIGHT_IN = 4.6, 3.0

_PERCENT = FuncFormatter(lambda value, _: f"{100 * value:.0f} %")


def draw_plot(part: Curves | Reliability | Scatter | Profile, *, name: str) -> str:
    """Returns a part as an `<svg>` element.

    Args:
        part: what is drawn.
        name: of the plot, unlike any other's of the page.
    """
    with mpl.rc_context(STYLE):
        figure = make_figure(_WIDTH_IN, _HEIGHT_IN)
        PLOTS[type(part)](figure, part)
        return write_svg(figure, name=name, title=escape(part.title))


def _draw_curves(figure: Any, part: Curves) -> None:
    axes = figure.add_subplot()
    start = 0
    for number, (name, epochs) in enumerate(part.phases):
        if number:
            axes.axvline(start + 0.5, color=COLOURS["faint"], linewidth=0.8, linestyle=(0, (3, 2)))
        # The last boundary is the plot's edge; a name never leaves it.
        axes.text(
            start + 0.5, 1.0, f" {name}", transform=axes.get_xaxis_transform(), va="bottom",
            ha="left", fontsize=8, color=COLOURS["faint"],
        )  # fmt: skip
        start += epochs
    for line in part.lines:
        colour = COLOURS["main" if line.is_main else "other"]
        x = np.arange(1, len(line.values) + 1)
        axes.plot(
            x, line.values, color=colour, linewidth=1.8 if line.is_main else 1.2, label=line.name,
            marker="o" if len(x) < 4 else None, markersize=3,
        )  # fmt: skip
        if part.kept is not None and line.is_main and part.kept < len(line.values):
            axes.plot(
                [part.kept + 1], [line.values[part.kept]], "o", color=COLOURS["accent"],
                markersize=6, label="kept",
            )  # fmt: skip
    axes.set_xlim(0.5, max(start, 1) + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlabel("epoch")
    if part.is_share:
        axes.yaxis.set_major_formatter(_PERCENT)
    axes.grid(visible=False, axis="x")
    legend = axes.legend(frameon=False, fontsize=8, loc="best")
    legend.set_zorder(0)


def _draw_reliability(figure: Any, part: Reliability) -> None:
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    above.plot([0, 1], [0, 1], color=COLOURS["faint"], linewidth=0.8, linestyle=(0, (3, 2)))
    x = np.array([each.confidence for each in part.bins])
    y = np.array([each.right for each in part.bins])
    spans = [
        [each.right - each.low for each in part.bins],
        [each.high - each.right for each in part.bins],
    ]
    above.errorbar(x, y, yerr=spans, fmt="o-", color=COLOURS["main"], linewidth=1.4, markersize=4,
                   elinewidth=0.9, ecolor=COLOURS["other"])  # fmt: skip
    above.set_ylim(0, 1.03)
    above.set_ylabel("right")
    above.yaxis.set_major_formatter(_PERCENT)
    below.bar(x, [each.samples for each in part.bins], width=0.03, color=COLOURS["other"])
    below.set_ylabel("answers")
    below.set_xlabel("how sure the model says it is")
    below.xaxis.set_major_formatter(_PERCENT)
    below.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=3))
    lowest = min([each.confidence for each in part.bins], default=0.0)
    below.set_xlim(max(0.0, math.floor(10 * lowest - 0.5) / 10), 1.02)


def _draw_scatter(figure: Any, part: Scatter) -> None:
    axes = figure.add_subplot()
    values = [*part.truths, *part.answers]
    low, high = min(values), max(values)
    margin = 0.05 * (high - low) or 1.0
    ends = [low - margin, high + margin]
    axes.plot(ends, ends, color=COLOURS["faint"], linewidth=0.8, linestyle=(0, (3, 2)))
    axes.plot(part.truths, part.answers, "o", color=COLOURS["main"], markersize=3, alpha=0.6)
    axes.set_xlim(ends)
    axes.set_ylim(ends)
    axes.set_xlabel("truth")
    axes.set_ylabel("answer")


def _draw_profile(figure: Any, part: Profile) -> None:
    axes = figure.add_subplot()
    x = [each.depth for each in part.points]
    axes.fill_between(
        x, [each.low for each in part.points], [each.high for each in part.points],
        color=COLOURS["main"], alpha=0.2, linewidth=0,
    )  # fmt: skip
    axes.plot(x, [each.value for each in part.points], "o-", color=COLOURS["main"], markersize=3)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("depth: first layers left, last layers right")
    axes.set_ylabel(part.quantity)
    axes.xaxis.set_major_formatter(_PERCENT)


PLOTS: dict[type, Callable[[Any, Any], None]] = {
    Curves: _draw_curves,
    Reliability: _draw_reliability,
    Scatter: _draw_scatter,
    Profile: _draw_profile,
}
"""What draws each part that is a plot."""
