"""A matplotlib figure as SVG that lives inside a page: in the page's font and colours."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

__all__ = ["COLOURS", "STYLE", "make_figure", "write_svg"]

COLOURS: Mapping[str, str] = {
    "ink": "#010101",
    "faint": "#010102",
    "grid": "#010103",
    "main": "#010104",
    "other": "#010105",
    "accent": "#010106",
}
"""Stand-ins that no drawing uses otherwise: each becomes a variable of the page's CSS, so that a
plot is dark on light and light on dark."""

STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text
    "font.family": "DejaVu Sans",  # measures the text; the page's own font is about as wide
    "font.size": 9.0,
    "axes.facecolor": "none",
    "axes.edgecolor": COLOURS["grid"],
    "axes.labelcolor": COLOURS["faint"],
    "axes.titlecolor": COLOURS["ink"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": COLOURS["grid"],
    "grid.linewidth": 0.6,
    "text.color": COLOURS["ink"],
    "text.parse_math": False,  # a label such as `$a$` is no formula
    "xtick.color": COLOURS["grid"],
    "ytick.color": COLOURS["grid"],
    "xtick.labelcolor": COLOURS["faint"],
    "ytick.labelcolor": COLOURS["faint"],
    "axes.formatter.use_mathtext": False,
    "axes.unicode_minus": True,
}

_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))


def make_figure(width_in: float, height_in: float) -> Figure:
    """Returns an empty figure without a background, outside of pyplot's state.

    Call it, and draw, inside `matplotlib.rc_context(STYLE)`.
    """
    figure = Figure(figsize=(width_in, height_in), layout="constrained")
    figure.patch.set_visible(False)
    FigureCanvasSVG(figure)
    return figure


def write_svg(figure: Figure, *, name: str, title: str) -> str:
    """Returns an `<svg>` element; equal drawings give equal text.

    Args:
        figure: from `make_figure`, drawn.
        name: of the plot; ids begin with it, so that two plots of a page share none.
        title: what it shows, for those who cannot see it; it must be escaped by the caller.
    """
    stream = io.StringIO()
    with mpl.rc_context({**STYLE, "svg.hashsalt": name}), warnings.catch_warnings():
        # The font only measures; a label in any script is drawn by the reader's own fonts.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(stream, format="svg", metadata=_METADATA)
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    # A style element inside the drawing would be one of the whole page.
    text = re.sub(r"<(metadata|style)\b.*?</\1>", "", text, flags=re.DOTALL)
    box = re.search(r'viewBox="([^"]+)"', text)
    assert box is not None
    opening = f'<svg viewBox="{box[1]}" role="img" aria-label="{title}">'
    text = re.sub(r"<svg[^>]*>", lambda _: opening, text, count=1, flags=re.DOTALL)
    text = text.replace("xlink:href", "href")
    text = re.sub(r'\b(id="|href="#|url\(#)', rf"\g<1>{name}-", text)
    # The page's own font, at the size that was measured.
    text = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", text)
    text = text.replace(" font-family: 'DejaVu Sans';", "")
    for variable, colour in COLOURS.items():
        text = text.replace(colour, f"var(--{variable})")
    return text
