"""Figures: well-formed SVG in which each value stands where its axis says."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import pytest

from mlops_magics.doors.views import as_html, as_text, charts, scales
from mlops_magics.doors.views.card import Axis, Card, Chart, Diff, Panel, Parallel, Series

HOSTILE = "<script>alert(1)</script>&\"'"


@pytest.mark.parametrize(
    ("values", "log", "labels"),
    [
        ([0, 1], False, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        ([0.71, 0.88], False, ["0.70", "0.75", "0.80", "0.85", "0.90"]),
        ([0, 100], False, ["0", "20", "40", "60", "80", "100"]),
        ([-1, 1], False, ["-1.0", "-0.5", "0.0", "0.5", "1.0"]),
        ([0.001, 10], True, ["0.001", "0.01", "0.1", "1", "10"]),
        ([0, 10], True, ["0", "2", "4", "6", "8", "10"]),
        ([0, 400_000], False, ["0", "1e5", "2e5", "3e5", "4e5"]),
    ],
)
def test_ticks_are_round_and_hold_all_values(
    values: list[float], log: bool, labels: list[str]
) -> None:
    scale = scales.scale(Axis("x", log=log), values)
    assert [label for _, label in scale.ticks] == labels
    assert all(-1e-9 <= scale(v) <= 1 + 1e-9 for v in [*values, *(v for v, _ in scale.ticks)])


@pytest.mark.parametrize("values", [[], [3.0], [0.0], [math.nan], [1e-300, 2e-300], [-5.0, -5.0]])
def test_an_axis_of_next_to_nothing_still_has_a_reach(values: list[float]) -> None:
    scale = scales.scale(Axis("x"), values)
    assert scale.low < scale.high


def points_of(svg: str) -> list[tuple[float, float]]:
    path = next(re.finditer(r'class="line s\d" d="M([^"]+)"', svg))[1]
    return [(float(a), float(b)) for a, b in (p.split() for p in path.split("L"))]


def test_a_line_goes_from_corner_to_corner() -> None:
    series = Series("a", [(0, 0), (0.5, 0.5), (1, 1)])
    svg = charts.chart(Chart("t", Axis("x", 0, 1), Axis("y", 0, 1), [series]))
    (x0, y0), (x1, y1), (x2, y2) = points_of(svg)
    assert x1 == pytest.approx((x0 + x2) / 2, abs=0.1)
    assert y1 == pytest.approx((y0 + y2) / 2, abs=0.1)
    assert x0 < x2 <= charts.WIDTH
    assert 0 <= y2 < y0 <= charts.HEIGHT


def test_what_has_no_place_on_an_axis_is_left_out() -> None:
    series = Series("a", [(0, 1), (math.nan, 2), (1, math.inf), (2, 3)], "both")
    svg = charts.chart(Chart("t", Axis("x"), Axis("y"), [series]))
    assert len(points_of(svg)) == 2
    assert svg.count('class="mark') == 2
    drawn = "".join(re.findall(r' d="([^"]+)"', svg))
    assert "nan" not in drawn
    assert "inf" not in drawn


def test_series_are_told_apart_without_colour() -> None:
    labels = [f"run {i}" for i in range(8)]
    series = [Series(n, [(0, 1)], "both") for n in labels]
    html = charts.panel(Panel("p", [Chart("t", Axis("x"), Axis("y"), series)]))
    dashes = re.findall(r"line\.s\d{fill:none;stroke-dasharray:([^}]+)}", charts.STYLE)
    assert len(set(dashes)) == len(dashes) == len(labels)
    shapes = re.findall(r'class="mark s\d"[^>]* d="([^"]+)"', html.split("<ul")[0])
    assert len(set(shapes)) == len(labels)
    assert all(label in html.split("<ul")[1] for label in labels)


def test_a_missing_value_breaks_the_line_of_its_row() -> None:
    axes = [Axis("a"), Axis("b", names=["x", "y"]), Axis("c")]
    rows = [("first", [1.0, 0.0, 2.0]), ("second", [2.0, None, 3.0]), ("", [1.5, 1.0, 2.5])]
    svg = charts.parallel(Parallel("t", axes, rows), {"first": 0, "second": 1})
    whole = re.search(r'class="line s0" d="([^"]+)"', svg)
    broken = re.search(r'class="line s1" d="([^"]+)"', svg)
    assert whole is not None
    assert broken is not None
    assert whole[1].count("M") == 1
    assert broken[1].count("M") == 2
    assert 'class="behind"' in svg
    told = re.findall(r">([^<>]+)</text>", svg) + re.findall(r"<title>([^<>]+)</title></text>", svg)
    assert {"a", "b", "c", "x", "y", "1.0", "2.0"} <= set(told)


def test_many_dots_are_small_and_each_says_what_it_is() -> None:
    few, many = ([(i, i) for i in range(n)] for n in (5, 100))
    of = [
        Chart("t", Axis("x"), Axis("y"), [Series("a", p, "dots", ["tip"] * 100)])
        for p in (few, many)
    ]
    assert ["scale(" in charts.chart(figure) for figure in of] == [False, True]
    assert charts.chart(of[1]).count("<title>tip</title>") == 100


def test_nothing_from_data_becomes_markup() -> None:
    chart = Chart(
        HOSTILE,
        Axis(HOSTILE, names=[HOSTILE]),
        Axis(HOSTILE),
        [Series(HOSTILE, [(0, 1)], "dots", [HOSTILE]), Series("b", [(0, 2)])],
        [(0, 1), (0, 2)],
    )
    lines = Parallel(HOSTILE, [Axis(HOSTILE), Axis("b", names=[HOSTILE])], [(HOSTILE, [1.0, 0.0])])
    card = Card("k", "t", below=[Panel(HOSTILE, [chart, lines]), Diff(HOSTILE, f"+{HOSTILE}")])
    html = as_html.render(card)
    assert "<script" not in html
    for svg in re.findall(r"<svg.*?</svg>", html):
        ElementTree.fromstring(svg)


def test_a_diff_is_told_by_its_signs_in_both_forms() -> None:
    card = Card("k", "t", below=[Diff("cell 3", "@@ -1 +1 @@\n-a = 1\n+a = 2\n b")])
    html, text = as_html.render(card), as_text.render(card)
    assert '<span class="cut">-a = 1</span><span class="add">+a = 2</span>' in html
    assert "    -a = 1\n    +a = 2\n     b" in text


def test_figures_survive_the_static_export() -> None:
    from mlops_magics.notebooks import sanitising

    chart = Chart("t", Axis("x"), Axis("y"), [Series("a", [(0, 1), (1, 2)], "both")])
    clean = sanitising.clean(as_html.render(Card("k", "t", below=[Panel("p", [chart])])), "out")
    assert clean.count("<svg") == 1
    assert 'class="line s0"' in clean
    assert "stroke-dasharray" in clean
