"""A chart of a simulation, as values and as a picture."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import pytest

from pgherd.decide.comparison import Way, ways
from pgherd.decide.simulation import Played, Step
from pgherd.engines.known import sections
from pgherd.errors import InputError
from pgherd.fleet.desired import Database
from pgherd.fleet.load import load_text
from pgherd.report.drawing import Form, draw
from pgherd.report.simulation_chart import MOST_POINTS, MOST_SPANS, Chart, simulation_chart
from pgherd.shapes.file import read_shape
from pgherd.shapes.shape import load

FLEET = """\
fleet: shop
services: [auth]
environments:
  production:
    {network: 10.0.0.0/16, availability_domains: 3, ocpus: 2..8, storage: 1TB, replicas: 1}
  staging: {network: 10.1.0.0/16, ocpus: 2, storage: 1TB, autoscale: false}
"""
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
SIZES = (Step(3600, 1.0, 2), Step(60, 3.0, 2), Step(3540, 3.0, 4), Step(3600, 1.0, 2))


def database(number: int = 0) -> Database:
    return load_text(FLEET, Path("fleet.yaml"), sections()).databases[number]


def chart_of(*steps: Step, means: str = "a load", number: int = 0) -> Chart:
    played = dict.fromkeys(Way, Played(steps))
    return simulation_chart(database(number), played, means, Decimal("0.5"), "USD")


@cache
def month() -> Chart:
    wanted = load(read_shape("black-friday"), 8, seconds=300, days=30, seed="a")
    played = dict(ways(database(), wanted, date(2026, 11, 2)))
    return simulation_chart(database(), played, "weeks", Decimal("0.05"), "USD")


@cache
def drawn(chart: Chart, form: Form) -> bytes:
    """A picture that several tests look at."""
    return draw(chart, form)


def texts(picture: bytes) -> str:
    return "\n".join(ElementTree.fromstring(picture).itertext())  # noqa: S314 - our own


# Values


def test_load_and_ocpus_over_hours() -> None:
    chart = chart_of(*SIZES)
    assert (chart.unit, chart.end) == ("hours", 3.0)
    assert chart.wanted.points == ((0, 1), (1, 3), (61 / 60, 3), (2, 1), (3, 1))
    assert chart.given.points == ((0, 2), (61 / 60, 4), (2, 2), (3, 2))


def test_when_it_was_short_of_ocpus() -> None:
    chart = chart_of(*SIZES)
    assert chart.short == ((1.0, 61 / 60),)
    assert chart.short_label == "short of OCPUs: 1 min"
    assert chart_of(Step(60, 2.0, 2)).short == ()


def test_the_cost_adds_up_for_all_instances() -> None:
    (autopilot, initial, *_) = chart_of(*SIZES).costs
    hours = (61 / 60 * 2, 59 / 60 * 4, 2.0)
    assert [y for _, y in autopilot.points] == pytest.approx(
        [0, hours[0], hours[0] + hours[1], sum(hours)]  # of two instances, at half a dollar
    )
    assert autopilot.label == "autopilot: $7.97, 1 min short"
    assert initial.label == "initial size (2 OCPUs): $7.97, 1 min short"


def test_a_size_that_never_changes_costs_along_a_straight_line() -> None:
    line = chart_of(*[Step(300, 1.0, 2)] * 1000).costs[0]
    assert line.points[0] == (0, 0)
    assert len(line.points) == 2


def test_the_title_says_load_days_and_bounds() -> None:
    steps = [Step(86_400, 1.0, 2)] * 7
    assert chart_of(*steps).title == "a load\nproduction/auth, 7 days, 2..8 OCPUs"
    assert chart_of(*steps).unit == "days"
    assert chart_of(*steps, number=1).title == "a load\nstaging/auth, 7 days, always 2 OCPUs"


def test_a_load_may_have_any_title() -> None:
    first = chart_of(Step(60, 1.0, 2), means="\x1b]0;\n" + "long " * 99).title.split("\n")[0]
    assert first.isprintable()
    assert len(first) <= 120


def test_a_month_has_a_few_hundred_points_and_its_peak() -> None:
    chart = month()
    assert len(chart.wanted.points) <= MOST_POINTS
    assert len(chart.given.points) <= MOST_POINTS / 2
    assert len(chart.short) <= MOST_SPANS + 1
    wanted = load(read_shape("black-friday"), 8, seconds=300, days=30, seed="a")
    assert max(value for _, value in chart.wanted.points) == max(wanted.ocpus)


# Pictures


def test_an_svg_has_its_title_labels_and_units() -> None:
    found = texts(drawn(month(), Form.SVG))
    for text in (
        "production/auth, 30 days, 2..8 OCPUs",
        "OCPUs of each instance",
        "Time, days from midnight before a Monday",
        "Cost so far, USD",
        "wanted",
        "given",
        "short of OCPUs: ",
        "autopilot: $",
        "initial size (2 OCPUs): $",
        "maximum size (8 OCPUs): $",
        "P99.5 + 20 %",
    ):
        assert text in found


def test_an_svg_is_small() -> None:
    assert len(drawn(month(), Form.SVG)) < 100_000


@pytest.mark.parametrize("form", Form)
def test_the_same_chart_is_the_same_picture(form: Form) -> None:
    chart = chart_of(*SIZES)
    picture = drawn(chart, form)
    assert picture == draw(chart, form)
    assert picture != draw(replace(chart, title="another"), form)


def test_a_png_is_one() -> None:
    assert drawn(chart_of(*SIZES), Form.PNG).startswith(PNG_SIGNATURE)


def test_a_chart_of_nothing_is_drawn() -> None:
    assert "a load" in texts(draw(chart_of(), Form.SVG))


@pytest.mark.parametrize("means", ["$5 to $6", "<b>&", "\N{SNOWMAN} \u4e00"])
@pytest.mark.parametrize("form", Form)
def test_a_title_is_text_and_nothing_else(means: str, form: Form) -> None:
    picture = draw(chart_of(*SIZES, means=means), form)
    assert form is Form.PNG or means in texts(picture)


def test_the_users_own_settings_are_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "matplotlibrc"
    own.write_text("axes.titlesize: 99\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLCONFIGDIR", str(tmp_path / "own"))
    monkeypatch.setenv("MPLBACKEND", "nonsense")
    environment = dict(os.environ)
    draw(chart_of(*SIZES), Form.SVG)
    assert dict(os.environ) == environment
    assert Path.cwd() == tmp_path
    assert [path.name for path in tmp_path.iterdir()] == ["matplotlibrc"]


def test_without_matplotlib_it_has_to_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(InputError) as found:
        draw(chart_of(*SIZES), Form.SVG)
    assert found.value.message.startswith("a chart needs matplotlib: ")
    assert found.value.hint == "run pip install 'pgherd[charts]'"
