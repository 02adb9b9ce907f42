"""Plots are text in the page's colours, equal for equal numbers."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET
from typing import Any

import matplotlib as mpl
import pytest

from tfxfer.report.parts import Bin, Curves, Line, Profile, ProfilePoint, Reliability, Scatter
from tfxfer.report.plots import PLOTS, draw_plot

HARM = "a<b>&\"'</text><script>1</script> $x_1$ 猫"
PARTS: dict[str, Any] = {
    "curves": Curves(
        HARM,
        (Line(HARM, (0.1, math.nan, 0.5)), Line("b", (0.2, 0.3, 0.4), is_main=False)),
        ((HARM, 2), ("b", 1)),
        kept=2,
        is_share=True,
    ),
    "one epoch": Curves("t", (Line("a", (0.5,)),), (("head", 1),), kept=0),
    "reliability": Reliability(HARM, (Bin(0.55, 0.5, 0.3, 0.7, 4), Bin(0.95, 1.0, 0.8, 1.0, 40))),
    "scatter": Scatter(HARM, (1.0, 2.0), (1.5, 1.5)),
    "a single value": Scatter("t", (1.0,), (1.0,)),
    "profile": Profile(
        HARM, HARM, (ProfilePoint(0.5, 0.1, 0.05, 0.2), ProfilePoint(1, 0.3, 0.2, 0.4))
    ),
}


@pytest.mark.parametrize("name", PARTS)
def test_a_plot(name: str) -> None:
    before = dict(mpl.rcParams)
    text = draw_plot(PARTS[name], name="plot1")
    assert draw_plot(PARTS[name], name="plot1") == text
    assert dict(mpl.rcParams) == before  # nobody else's plots change
    ET.fromstring(text)  # well-formed, whatever the names
    assert "<script" not in text
    assert "http" not in text
    assert "<style" not in text
    # Every colour is a variable of the page's.
    assert not re.findall(r"#[0-9a-f]{6}", text)
    assert "var(--main)" in text
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert all(each.startswith("plot1-") for each in ids)
    assert set(re.findall(r"(?:url\(#|href=\"#)([^\")]+)", text)) <= set(ids)


def test_text_stays_text() -> None:
    root = ET.fromstring(draw_plot(PARTS["curves"], name="p"))
    words = [element.text for element in root.iter() if element.tag.endswith("text")]
    assert HARM in words


def test_every_kind_of_plot_is_tried() -> None:
    assert {type(part) for part in PARTS.values()} == set(PLOTS)
