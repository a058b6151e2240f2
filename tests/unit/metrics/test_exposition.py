"""The text format: what is written reads back, whatever names are."""

from __future__ import annotations

import math

from exposition_parser import parse
from hypothesis import given
from hypothesis import strategies as st

from pgherd.metrics.exposition import Family, Sample, printable, text

ANY_TEXT = st.text(st.characters(), max_size=20) | st.text('\\"\n\r\x00\x1b{}=, ', max_size=8)
VALUES = st.integers(0, 2**62) | st.floats(allow_nan=True, allow_infinity=True) | st.booleans()
SAMPLES = st.lists(
    st.builds(
        Sample,
        st.fixed_dictionaries({"environment": ANY_TEXT, "instance": ANY_TEXT}),
        VALUES,
    ),
    max_size=4,
    unique_by=lambda s: tuple(map(printable, s.labels.values())),
)


@given(help=ANY_TEXT, samples=SAMPLES)
def test_what_is_written_reads_back(help: str, samples: list[Sample]) -> None:
    found = parse(text([Family("pgherd_one", "gauge", help, tuple(samples))]))
    wanted = {
        tuple((name, printable(value)) for name, value in s.labels.items()): float(s.value)
        for s in samples
        if math.isfinite(s.value)
    }
    assert (found["pgherd_one"].samples if found else {}) == wanted
    if found:
        assert (found["pgherd_one"].help, found["pgherd_one"].kind) == (printable(help), "gauge")


@given(samples=SAMPLES)
def test_the_order_of_samples_changes_nothing(samples: list[Sample]) -> None:
    def written(ordered: list[Sample]) -> str:
        return text([Family("pgherd_one", "gauge", "-", tuple(ordered))])

    assert written(samples) == written(samples[::-1])


@given(ANY_TEXT)
def test_a_label_stays_on_its_line_and_acts_on_no_terminal(label: str) -> None:
    lines = text([Family("a", "gauge", "-", (Sample({"b": label}, 1),))]).split("\n")
    assert len(lines) == 4
    assert all(line.isprintable() for line in lines)
    lines[2].encode()


def test_it_is_the_format() -> None:
    samples = (
        Sample({"service": 'a"b\\c\nd', "instance": "é"}, 2**53 + 1),
        Sample({"service": "a", "instance": ""}, 0.25),
        Sample({"service": "z", "instance": "z"}, True),
    )
    assert text([Family("pgherd_x_total", "counter", "One\\two\nthree.", samples)]) == (
        "# HELP pgherd_x_total One\\\\two\\nthree.\n"
        "# TYPE pgherd_x_total counter\n"
        'pgherd_x_total{service="a",instance=""} 0.25\n'
        'pgherd_x_total{service="a\\"b\\\\c\\nd",instance="é"} 9007199254740993\n'
        'pgherd_x_total{service="z",instance="z"} 1\n'
    )


def test_names_that_look_alike_are_one_sample() -> None:
    """Two lines of one name would have Prometheus refuse the document."""
    samples = (Sample({"instance": "\x1b"}, 1), Sample({"instance": "\\x1b"}, 2))
    (labels,) = parse(text([Family("a", "gauge", "-", samples)]))["a"].samples
    assert labels == (("instance", "\\x1b"),)


def test_nothing_is_said_of_what_is_not_known() -> None:
    assert (
        text([Family("a", "gauge", "-", ()), Family("b", "gauge", "-", (Sample({}, math.nan),))])
        == ""
    )
