"""A chart as a picture, in SVG or PNG: the same bytes for the same chart.

matplotlib is an extra (`pip install 'pgherd[charts]'`) and is imported only here, when a chart is
drawn. It would read settings from the current folder and the home folder, and would keep a list
of fonts in the latter: while it is imported and draws, a folder of its own stands for both.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from enum import StrEnum
from importlib import import_module
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pgherd.errors import InputError
from pgherd.report.simulation_chart import Chart

_INCHES = (10.0, 7.5)
_HEIGHTS = (10, 1, 8)
_OWN_SETTINGS = "matplotlibrc"
_SETTINGS = {
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 10.0,
    "hatch.linewidth": 0.5,
    "savefig.dpi": 120.0,
    "svg.fonttype": "none",  # text stays text: small, and can be searched
    "svg.hashsalt": "pgherd",
    "text.parse_math": False,  # a dollar is a dollar
}
_WITHOUT_TIME: dict[str, dict[str, Any]] = {"svg": {"Date": None}, "png": {}}
# By the pattern too, for black and white: the autopilot's first.
_LINES = (
    {"color": "black", "linestyle": "-", "linewidth": 1.8},
    {"color": "#0072b2", "linestyle": "--", "linewidth": 1.4},
    {"color": "#d55e00", "linestyle": ":", "linewidth": 2.0},
    {"color": "#009e73", "linestyle": "-.", "linewidth": 1.4},
)


class Form(StrEnum):
    """What a picture is written in."""

    SVG = "svg"
    PNG = "png"


def draw(chart: Chart, form: Form) -> bytes:
    """The picture; InputError where matplotlib is not installed."""
    with _at_home_nowhere(), warnings.catch_warnings():
        # A load's own title may have characters that the font lacks: boxes stand for them.
        warnings.filterwarnings("ignore", message="Glyph ", category=UserWarning)
        matplotlib = _load()
        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(_SETTINGS)
            return _drawn(chart, form)


def _load() -> Any:
    try:
        matplotlib = import_module("matplotlib")
        import_module("matplotlib.figure")
    except ImportError as error:
        raise InputError(
            f"a chart needs matplotlib: {error}", "run pip install 'pgherd[charts]'"
        ) from None
    return matplotlib


@contextmanager
def _at_home_nowhere() -> Iterator[None]:
    """Settings of matplotlib are looked for, and its list of fonts kept, where nobody has any."""
    names = ("MPLCONFIGDIR", "MPLBACKEND", "MATPLOTLIBRC")
    before = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        with TemporaryDirectory(prefix="pgherd-charts-") as folder, chdir(folder):
            Path(_OWN_SETTINGS).touch()  # the first that is found ends the search
            os.environ["MPLCONFIGDIR"] = folder
            yield
    finally:
        os.environ.pop("MPLCONFIGDIR", None)
        os.environ.update(before)


def _drawn(chart: Chart, form: Form) -> bytes:
    figure = import_module("matplotlib.figure").Figure(figsize=_INCHES, layout="constrained")
    load, short, cost = figure.subplots(3, sharex=True, height_ratios=_HEIGHTS)
    figure.suptitle(chart.title, fontweight="bold")
    _draw_load(load, chart)
    _draw_short(short, chart)
    _draw_cost(cost, chart)
    cost.set_xlim(0, chart.end or 1)
    cost.set_xlabel(f"Time, {chart.unit} from midnight before a Monday")
    file = BytesIO()
    figure.savefig(file, format=form.value, metadata=_WITHOUT_TIME[form])
    return file.getvalue()


def _draw_load(axes: Any, chart: Chart) -> None:
    x, y = _columns(chart.wanted.points)
    # Above the other, which is the wider one.
    axes.plot(x, y, label=chart.wanted.label, zorder=3, color="#d55e00", linewidth=1.0)
    x, y = _columns(chart.given.points)
    axes.plot(x, y, label=chart.given.label, drawstyle="steps-post", **_LINES[0])
    axes.set_ylim(bottom=0)
    axes.set_ylabel("OCPUs of each instance")
    _explain(axes, columns=2)


def _draw_short(axes: Any, chart: Chart) -> None:
    """A strip of its own: seconds in a month would be lost in any other."""
    spans = [(start, end - start) for start, end in chart.short]
    axes.broken_barh(spans, (0, 1), facecolor="#cc0000", edgecolor="#cc0000", linewidth=0.8)
    axes.set_ylim(0, 1)
    axes.set_yticks([])
    axes.set_title(chart.short_label, loc="left", fontsize="medium")


def _draw_cost(axes: Any, chart: Chart) -> None:
    for line, style in zip(chart.costs, _LINES, strict=False):
        x, y = _columns(line.points)
        axes.plot(x, y, label=line.label, **style)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter("{x:,.10g}")
    axes.set_ylabel(f"Cost so far, {chart.currency}")
    _explain(axes, columns=1)


def _explain(axes: Any, columns: int) -> None:
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.legend(loc="upper left", ncols=columns, fontsize="small", framealpha=0.85)


def _columns(points: tuple[tuple[float, float], ...]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]
