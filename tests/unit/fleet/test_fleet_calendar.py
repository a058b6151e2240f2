"""Windows of maintenance and peaks in a fleet file: what they mean, and each way to be wrong."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, time

import pytest

from pgherd.fleet.calendar import Peak, Weekday, Window
from pgherd.fleet.desired import Database, DatabaseId, Fleet
from pgherd.fleet.values_table import database_table

Read = Callable[[str], Fleet]
Report = Callable[[str], list[str]]
VALID = """\
fleet: shop
services: [auth, order]
defaults:
  storage: 1TB
environments:
  production:
    network: 10.0.0.0/16
    ocpus: 2..32
  dev:
    network: 10.1.0.0/16
    ocpus: 2..32
"""
WEEK = tuple(Weekday)
SUNDAY = Window((Weekday.SUN,), time(3), time(5), "Europe/Berlin")


def of(fleet: Fleet, id: str) -> Database:
    return fleet.database(DatabaseId.parse(id))


def with_defaults(lines: str) -> str:
    return VALID.replace("defaults:\n", f"defaults:\n{lines}")


def test_where_there_are_none_nothing_is_restarted_and_nothing_expected(read: Read) -> None:
    database = of(read(VALID), "production/auth")
    assert (database.maintenance, database.peaks) == ((), ())
    assert (database.origins["maintenance"], database.origins["peaks"]) == ("default", "default")


def test_a_window_of_maintenance(read: Read) -> None:
    line = '  maintenance: {days: [sun], from: "03:00", to: "05:00", timezone: Europe/Berlin}\n'
    database = of(read(with_defaults(line)), "production/auth")
    assert database.maintenance == (SUNDAY,)
    assert database.origins["maintenance"] == "fleet.yaml:4"


def test_what_a_window_may_leave_out(read: Read) -> None:
    """Quotes, too: nothing but the text itself is read."""
    database = of(read(with_defaults("  maintenance: {from: 22:30, to: 01:00}\n")), "dev/auth")
    assert database.maintenance == (Window(WEEK, time(22, 30), time(1), "UTC"),)


def test_several_windows(read: Read) -> None:
    first, second = "{from: 03:00, to: 04:00}", "{days: [sun, sat], from: 10:00, to: 20:00}"
    lines = f"  maintenance:\n  - {first}\n  - {second}\n"
    database = of(read(with_defaults(lines)), "dev/auth")
    assert database.maintenance == (
        Window(WEEK, time(3), time(4)),
        Window((Weekday.SAT, Weekday.SUN), time(10), time(20)),
    )


PEAKS = """\
  peaks:
    - {days: [fri], from: "08:00", to: "23:00", ocpus: 16}
    - {dates: ["2026-11-27", 2026-11-26], from: "20:00", to: "02:00", ocpus: 32, timezone: UTC}
"""


def test_peaks(read: Read) -> None:
    database = of(read(with_defaults(PEAKS)), "production/auth")
    days = (date(2026, 11, 26), date(2026, 11, 27))
    assert database.peaks == (
        Peak(Window((Weekday.FRI,), time(8), time(23), "UTC"), 16),
        Peak(Window((), time(20), time(2), "UTC", days), 32),
    )


def test_one_peak_needs_no_list(read: Read) -> None:
    line = '  peaks: {from: "08:00", to: "23:00", ocpus: 2}\n'
    assert of(read(with_defaults(line)), "dev/auth").peaks == (
        Peak(Window(WEEK, time(8), time(23)), 2),
    )


def test_a_peak_has_the_time_zone_of_its_databases_maintenance(read: Read) -> None:
    text = (
        with_defaults(PEAKS)
        + """\
    maintenance:
      - {from: 03:00, to: 04:00, timezone: Asia/Tokyo}
      - {from: 05:00, to: 06:00, timezone: Europe/Paris}
overrides:
  dev/order: {maintenance: {from: 03:00, to: 04:00, timezone: Europe/Berlin}}
"""
    )
    fleet = read(text)
    zones = {
        str(d.id): [peak.window.timezone for peak in d.peaks]
        for d in fleet.databases
        if d.id.service == "order" or d.id.environment == "dev"
    }
    assert zones == {
        "production/order": ["UTC", "UTC"],
        "dev/auth": ["Asia/Tokyo", "UTC"],
        "dev/order": ["Europe/Berlin", "UTC"],
    }


def test_the_innermost_that_states_them_has_them_all(read: Read) -> None:
    text = with_defaults(PEAKS) + (
        "    peaks: [{from: 08:00, to: 09:00, ocpus: 4}]\n"
        "overrides:\n"
        "  dev/order: {peaks: [], maintenance: []}\n"
    )
    fleet = read(text)
    needed = {str(d.id): [peak.ocpus for peak in d.peaks] for d in fleet.databases}
    assert needed == {
        "production/auth": [16, 32],
        "production/order": [16, 32],
        "dev/auth": [4],
        "dev/order": [],
    }
    assert of(fleet, "dev/order").origins["peaks"] == "fleet.yaml:17"


def test_they_are_shown_as_a_file_has_them(read: Read) -> None:
    line = "  maintenance: {days: [sun], from: 03:00, to: 05:00, timezone: Europe/Berlin}\n"
    fleet = read(with_defaults(line + PEAKS))
    rows = {
        name: (text, origin)
        for name, text, origin in database_table(fleet, fleet.databases[0]).rows
    }
    maintenance, peaks = rows["maintenance"], rows["peaks"]
    assert maintenance == (
        '{days: [sun], from: "03:00", to: "05:00", timezone: Europe/Berlin}',
        "fleet.yaml:4",
    )
    assert peaks[0] == (
        '[{days: [fri], from: "08:00", to: "23:00", timezone: Europe/Berlin, ocpus: 16}, '
        '{dates: ["2026-11-26", "2026-11-27"], from: "20:00", to: "02:00", timezone: UTC, '
        "ocpus: 32}]"
    )
    again = with_defaults(f"  maintenance: {maintenance[0]}\n  peaks: {peaks[0]}\n")
    assert [d.peaks for d in read(again).databases] == [d.peaks for d in fleet.databases]


WINDOW = "{days: [sun], from: 03:00, to: 05:00}"
PEAK = "{days: [fri], from: 08:00, to: 23:00, ocpus: 16}"
MAINTENANCE_HINT = (
    'write {days: [sun], from: "03:00", to: "05:00", timezone: Europe/Berlin}, or [] for none'
)
PEAKS_HINT = 'write [{days: [fri], from: "08:00", to: "23:00", ocpus: 32}], or [] for none'
CLOCK_HINT = 'write HH:MM in quotes, as in "08:00"'
DAYS_HINT = "write one of mon, tue, wed, thu, fri, sat, sun"
DATE_HINT = 'write one in quotes, as in "2026-11-27"'


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        # Times
        *(
            (
                "05:00",
                text,
                f"from: {said} is not a time of day; {CLOCK_HINT}".replace("from", "to"),
            )
            for text, said in [
                ("320", "'320'"),
                ("5:00", "'5:00'"),
                ("5am", "'5am'"),
                ("05:60", "'05:60'"),
                ("05:00:00", "'05:00:00'"),
                ("25:00", "'25:00'"),
                ("-1", "'-1'"),
                ("''", "''"),
                ('"05:00 "', "'05:00 '"),
                ('"05:00\\n"', r"'05:00\n'"),
                ('"\\e[31m"', r"'\x1b[31m'"),
                ("\u0660\u0665:\u0660\u0660", "'\u0660\u0665:\u0660\u0660'"),
                ("5" * 100, f"'{'5' * 37}...'"),
            ]
        ),
        (
            "05:00",
            "24:00",
            'to: 24:00 is not a time of day; write "00:00", which is of the next day',
        ),
        ("05:00", "[5]", "to: a list is not a value; write one value after the colon"),
        ("05:00", "", "to: has no value; write one, or remove the key"),
        (
            "05:00",
            "03:00",
            "to: 03:00 is when it begins, too; write another time, as a minute earlier for almost "
            "a whole day",
        ),
        (", to: 05:00", "", 'maintenance: to is missing; write to: "23:00"'),
        ("from: 03:00, ", "", 'maintenance: from is missing; write from: "08:00"'),
        # Days
        ("[sun]", "[sunday]", "days: 'sunday' is not a day of the week; write sun"),
        ("[sun]", "[Sun]", "days: 'Sun' is not a day of the week; write sun"),
        ("[sun]", "[tues]", "days: 'tues' is not a day of the week; write tue"),
        *(
            (
                "[sun]",
                f"[{text}]",
                f"days: {said} is not a day of the week; {DAYS_HINT}",
            )
            for text, said in [
                ("7", "'7'"),
                ("weekdays", "'weekdays'"),
                ("s", "'s'"),
                ("''", "''"),
                ('"\\0"', r"'\x00'"),
                ("mon..fri", "'mon..fri'"),
            ]
        ),
        ("[sun]", "sun", "days: this is not a list; write [ONE, TWO]"),
        ("[sun]", "{sun: 1}", "days: this is not a list; write [ONE, TWO]"),
        ("[sun]", "[]", "days: is empty; write [mon, tue], or remove the key for every day"),
        ("[sun]", "[sun, sun]", "days: sun is stated twice; remove one"),
        ("[sun]", "[~]", "an item is empty; write a value or remove it"),
        (
            "[sun]",
            "*days",
            "aliases are not supported; write values that are shared under defaults",
        ),
        ("[sun]", "[[sun]]", "days: a list is not a value; write one value after the colon"),
        # Time zones
        (
            "05:00}",
            "05:00, timezone: Berlin}",
            "timezone: 'Berlin' is not a known time zone; write Europe/Berlin",
        ),
        (
            "05:00}",
            '05:00, timezone: "\\0"}',
            r"timezone: '\x00' is not a known time zone; write one as in Europe/Berlin, or UTC",
        ),
        # The whole
        (WINDOW, "sunday", f"maintenance: 'sunday' is not a window; {MAINTENANCE_HINT}"),
        (WINDOW, "false", f"maintenance: 'false' is not a window; {MAINTENANCE_HINT}"),
        (WINDOW, "[03:00]", "maintenance: this is not a mapping; write KEY: VALUE below it"),
        (WINDOW, "[[]]", "maintenance: this is not a mapping; write KEY: VALUE below it"),
        (WINDOW, "", "maintenance: has no value; write one, or remove the key"),
        (WINDOW, "[*x]", "aliases are not supported; write values that are shared under defaults"),
        ("days", "day", "day: unknown key; write days"),
        ("days: [sun]", "dates: [2026-11-27]", "dates: unknown key; write days"),
        (WINDOW, f"[{WINDOW}, {{ocpus: 3, from: 03:00, to: 04:00}}]", "ocpus: unknown key; write"),
    ],
)
def test_each_problem_with_maintenance_is_told_once(
    report: Report, old: str, new: str, problem: str
) -> None:
    assert old in WINDOW
    (line,) = report(with_defaults(f"  maintenance: {WINDOW.replace(old, new)}\n"))
    assert line.startswith("fleet.yaml:4:")
    assert line.split(": ", 1)[1].startswith(problem)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        *(
            ("days: [fri]", f"dates: [{text}]", f"dates: {said} is not a date; {DATE_HINT}")
            for text, said in [
                ("2026-02-30", "'2026-02-30'"),
                ("27.11.2026", "'27.11.2026'"),
                ("20261127", "'20261127'"),
                ("2026-W48-5", "'2026-W48-5'"),
                ("fri", "'fri'"),
                ('"2026-11-27\\n"', r"'2026-11-27\n'"),
            ]
        ),
        (
            "days: [fri]",
            "dates: [9999-12-31]",
            "dates: 9999-12-31 is out of range; write a year from 2000 to 2100",
        ),
        ("days: [fri]", "dates: []", 'dates: is empty; write ["2026-11-27"], or remove the key'),
        (
            "days: [fri]",
            "days: [fri], dates: [2026-11-27]",
            "dates: dates stand in place of days; remove one of the two",
        ),
        (
            "days: [fri]",
            "dates: [2026-11-27, 2026-11-27]",
            "dates: 2026-11-27 is stated twice; remove one",
        ),
        (", ocpus: 16", "", "peaks: ocpus is missing; write ocpus: 32"),
        ("16", "2..4", "ocpus: '2..4' is not a whole number; write digits only, as in 2"),
        ("16", "0", "ocpus: 0 is out of range; write OCPUs from 1 to 1024"),
        ("16", "0x10", "ocpus: '0x10' is not a whole number; write digits only, as in 2"),
        (PEAK, "32", f"peaks: '32' is not a peak; {PEAKS_HINT}"),
        (PEAK, "[32]", "peaks: this is not a mapping; write KEY: VALUE below it"),
    ],
)
def test_each_problem_with_peaks_is_told_once(
    report: Report, old: str, new: str, problem: str
) -> None:
    assert old in PEAK
    (line,) = report(with_defaults(f"  peaks: {PEAK.replace(old, new)}\n"))
    assert line.split(": ", 1)[1] == problem


def test_a_key_that_is_mistyped_is_missing_too(report: Report) -> None:
    assert report(with_defaults(f"  peaks: {PEAK.replace('ocpus', 'ocpu')}\n")) == [
        "fleet.yaml:4:3: peaks: ocpus is missing; write ocpus: 32",
        "fleet.yaml:4:48: ocpu: unknown key; write ocpus",
    ]
    assert report(with_defaults(f"  maintenance: {WINDOW.replace('from', 'begin')}\n")) == [
        'fleet.yaml:4:3: maintenance: from is missing; write from: "08:00"',
        "fleet.yaml:4:30: begin: unknown key; write one of days, from, to, timezone",
    ]


def test_a_peak_is_within_the_bounds_of_each_database(report: Report) -> None:
    text = with_defaults(f"  peaks:\n    - {PEAK}\n    - {PEAK.replace('16', '1')}\n")
    text = text.replace("16\n    ocpus: 2..32", "16\n    ocpus: 1..8") + (
        "overrides:\n"
        "  dev/auth: {ocpus: 2..4, peaks: [{from: 08:00, to: 09:00, ocpus: 5}]}\n"
        "  dev/order: {ocpus: 1..32}\n"
    )
    assert report(text) == [
        "fleet.yaml:5:45: ocpus: 16 is outside 1..8, the ocpus of production; write 8 or less, or "
        "for production ocpus: 1..16 or peaks: []",
        "fleet.yaml:16:60: ocpus: 5 is outside 2..4, the ocpus of dev/auth; write 4 or less, or "
        "for dev/auth ocpus: 2..5 or peaks: []",
    ]
    lower = text.replace("1..32", "2..32")
    assert (
        "fleet.yaml:6:45: ocpus: 1 is outside 2..32, the ocpus of dev/order; write 2 or more, or "
        "for dev/order ocpus: 1..32 or peaks: []"
    ) in report(lower)


def test_bounds_that_cannot_be_read_are_no_ones_fault(report: Report) -> None:
    text = with_defaults(f"  peaks: {PEAK}\n").replace("2..32", "x")
    assert [line.split(": ")[1] for line in report(text)] == ["ocpus", "ocpus"]
    assert all("whole number" in line for line in report(text))


def test_all_problems_are_told_at_once(report: Report) -> None:
    text = VALID + (
        "overrides:\n"
        "  dev/auth:\n"
        "    maintenance: [{days: [x], from: 1, timezone: y}]\n"
        "    peaks:\n"
        "      - {from: 08:00, to: 08:00, ocpus: 99}\n"
        "      - {dates: [z], to: 08:00}\n"
    )
    assert [line.split(": ")[0] + line.split(": ")[1] for line in report(text)] == [
        "fleet.yaml:14:19maintenance",
        "fleet.yaml:14:27days",
        "fleet.yaml:14:31from",
        "fleet.yaml:14:40timezone",
        "fleet.yaml:16:23to",
        "fleet.yaml:16:34ocpus",
        "fleet.yaml:17:9peaks",
        "fleet.yaml:17:9peaks",
        "fleet.yaml:17:18dates",
    ]
