"""Figures and tables say in words what they draw: alternative text and rows come from the lines themselves."""

import pytest

from helpers import plots, tables


def line(arm, value, unit="fraction", **more):
    return {"arm": arm, "metric": "contains", "value": value, "low": value - 0.1, "high": value + 0.1, "n": 12, "unit": unit, "source": "run", **more}


@pytest.fixture
def shown(monkeypatch):
    """What is displayed, as a list: (alternative text, reading) of figures, Markdown of tables."""
    import matplotlib.pyplot as plt

    some = []
    monkeypatch.setattr(plots, "show", lambda figure, alt, reading: (plt.close(figure), some.append((alt, reading, figure))))
    monkeypatch.setattr(tables, "say", some.append)
    return some


def test_stacked_bars_put_the_parts_end_to_end(shown):
    plots.stacked({"one": {"a": 0.25, "b": 0.75}, "two": {"a": 0.5, "b": 0.5}}, "A title", "of all", "Read this.", share=True)
    (alt, reading, figure), = shown
    assert "one: a 25%, b 75%; two: a 50%, b 50%" in alt and reading == "Read this."
    bars = [(bar.get_x(), bar.get_width()) for bar in figure.axes[0].patches]
    assert bars == [(0, 0.25), (0, 0.5), (0.25, 0.75), (0.5, 0.5)]


def test_a_plane_has_a_point_per_arm_and_hollow_ones_from_the_reference(shown):
    across, up = line("base", 0.3), line("base", 2.0, "ratio")
    plots.plane({"base": (across, up), "old": ({**across, "source": "reference"}, up)}, "A title", "across", "up", "Read this.")
    (alt, _, figure), = shown
    assert "base (no passages) 30% and 2.00" in alt
    marks = [mark for mark in figure.axes[0].lines if mark.get_marker() != "None"]
    assert [mark.get_markerfacecolor() == "none" for mark in marks] == [False, True]
    assert figure.axes[0].get_xlim() == (-0.03, 1.03) and figure.axes[0].get_ylim()[1] > 2


def test_panels_share_their_settings(shown):
    plots.panels({"one": {"base": [line("base", 0.2), line("base", 0.4)]}, "two": {"base": [line("base", 0.3), line("base", 0.5)]}},
                 ["without", "with"], "A title", "right", "Read this.")
    (alt, _, figure), = shown
    assert "two, base (no passages): without 30%, with 50%" in alt and len(figure.axes) == 2


def test_lines_as_text(shown):
    assert tables.estimate(line("base", 0.42)) == "42% (32% to 52%)"
    assert tables.estimate(line("base", 3.21, "s")) == "3.2 s"
    assert tables.points(line("base", -0.03, "difference")) == "-3 points (95% interval -13 to +7)"
    tables.rows([("a|b", "[1]")], ["one", "two"])
    assert shown[0].splitlines()[-1] == r"| a\|b | \[1] |"
