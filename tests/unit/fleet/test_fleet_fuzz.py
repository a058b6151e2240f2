"""Whatever a fleet file holds: a fleet or a FleetFileError with places that exist. Never else."""

from __future__ import annotations

from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from pgherd.engines.known import sections
from pgherd.fleet.load import load_text
from pgherd.fleet.problem import FleetFileError

EXAMPLE = Path(__file__).parents[3] / "examples/ecommerce/fleet.yaml"
TEXT = EXAMPLE.read_text()
PIECES = [
    *"{}[]:,-&*!|>'\"%@`#?~\t\n ",
    "<<: ",
    "*x",
    "&x ",
    "!!python/object:os.system ",
    "!!binary ",
    "\n---\n",
    "\n...\n",
    "%YAML 1.1\n---\n",
    "? ",
    "null",
    "on",
    "unlimited",
    "..",
    "80%",
    "2..128",
    "production/order: {ocpus: 3}",
    "overrides:\n",
    "environments:\n",
    "services: ",
    "autoscale: ",
    "backup: ",
    "maintenance: {from: 03:00, to: 05:00}",
    "peaks: [{dates: [2026-11-27], ",
    "from: 22:00, ",
    "timezone: Europe/Berlin",
    "9" * 30,
    "é",
    "\u2028",
    "\x00",
    "\ufeff",
    '"\\ud800"',
    '"\\0"',
]
LINES = TEXT.splitlines(keepends=True)


def only_fleet_file_errors(text: str) -> None:
    try:
        load_text(text, EXAMPLE, sections())
    except FleetFileError as error:
        assert error.problems
        lines = len(text.splitlines()) + 1
        for problem in error.problems:
            assert 1 <= problem.line <= lines, problem
            assert problem.column >= 1
            assert problem.message
            assert "\n" not in str(problem)


@given(st.text())
@example('"\\UFFFFFFFF"')
@example("%YAML " + "9" * 5000 + ".1\n---\na: b")
@example("a: !<%ff> b")
@example("[" * 5000)
@example("- " * 5000)
@example("{a: " * 5000)
@example("&x [*x, *x]")
@example("fleet: &x {y: *x}")
@example("a: 'x\n...\n'")
def test_any_text(text: str) -> None:
    only_fleet_file_errors(text)


@settings(max_examples=300)
@given(st.lists(st.tuples(st.integers(0, len(TEXT)), st.sampled_from(PIECES)), max_size=4))
def test_the_example_with_pieces_put_in(pieces: list[tuple[int, str]]) -> None:
    text = TEXT
    for position, piece in pieces:
        text = text[:position] + piece + text[position:]
    only_fleet_file_errors(text)


@settings(max_examples=200)
@given(st.integers(0, len(TEXT)), st.integers(0, 40))
def test_the_example_with_a_part_left_out(start: int, length: int) -> None:
    only_fleet_file_errors(TEXT[:start] + TEXT[start + length :])


@settings(max_examples=200)
@given(st.lists(st.sampled_from(LINES), max_size=40))
def test_lines_of_the_example_in_any_order(lines: list[str]) -> None:
    only_fleet_file_errors("".join(lines))


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=10)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)
KEYS = [
    *(
        "fleet",
        "services",
        "migrations",
        "load",
        "masking",
        "defaults",
        "environments",
        "overrides",
    ),
    *("network", "ocpus", "storage", "replicas", "autoscale", "backup", "durability", "local"),
    *("maintenance", "peaks", "days", "dates", "from", "to", "timezone"),
    *("name", "cpu", "retention", "copy_to", "production", "production/auth", "[key]", "on", "off"),
]


@settings(max_examples=300)
@given(
    st.recursive(
        VALUES,
        lambda inner: st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
        max_leaves=8,
    )
)
def test_known_keys_with_any_values(value: object) -> None:
    import yaml

    only_fleet_file_errors(yaml.safe_dump(value, allow_unicode=True))
