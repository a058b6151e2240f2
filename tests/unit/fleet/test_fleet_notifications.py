"""Who a fleet file says is told of alerts, what is refused, and that no secret is ever shown."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pgherd.engines.known import values
from pgherd.fleet.desired import Fleet
from pgherd.fleet.receivers import Receiver, hidden
from pgherd.fleet.stored import decode, encode
from pgherd.report.fleet import fleet_json

VALID = """\
fleet: shop
services: [auth]
environments:
  dev: {network: 10.1.0.0/16, ocpus: 2, storage: 1TB}
"""
SECRET = "s3cr3t"
ALL = f"""\
notifications:
- url: mailtos://ops:{SECRET}@mail.example.com
- {{url_file: /etc/pgherd/pager.url, environments: [dev]}}
- {{command: [/usr/local/bin/page, --quiet, "{{x}}"]}}
- {{name: hook, url: "jsons://example.com/{SECRET}"}}
- url_file: /etc/pgherd/hook
"""


def test_they_are_read_and_stored(read: Callable[[str], Fleet]) -> None:
    fleet = read(ALL + VALID)
    assert fleet.notifications == (
        Receiver("mailtos", url=f"mailtos://ops:{SECRET}@mail.example.com"),
        Receiver("pager", url_file="/etc/pgherd/pager.url", environments=("dev",)),
        Receiver("page", command=("/usr/local/bin/page", "--quiet", "{x}")),
        Receiver("hook", url=f"jsons://example.com/{SECRET}"),
        Receiver("hook-2", url_file="/etc/pgherd/hook"),
    )
    assert decode(encode(fleet), values()).notifications == fleet.notifications


def test_who_decides_is_given_no_secret(read: Callable[[str], Fleet]) -> None:
    fleet = read(ALL + VALID)
    told = encode(fleet.without_secrets())
    assert SECRET.encode() in encode(fleet)
    assert SECRET.encode() not in told
    names = [r.name for r in decode(told, values()).notifications]
    assert names == [r.name for r in fleet.notifications]


def test_nothing_shows_a_secret(read: Callable[[str], Fleet]) -> None:
    fleet = read(ALL + VALID)
    shown = [repr(fleet), str(fleet_json(fleet, fleet.databases)), hidden(fleet.text)]
    assert not [text for text in shown if SECRET in text]
    assert [r.place for r in fleet.notifications] == [
        "mailtos://***",
        "the URL in /etc/pgherd/pager.url",
        "/usr/local/bin/page",
        "jsons://***",
        "the URL in /etc/pgherd/hook",
    ]


def test_one_alone_is_in_no_list_and_none_is_none(read: Callable[[str], Fleet]) -> None:
    alone = read(f"notifications: {{command: [/bin/page]}}\n{VALID}")
    assert [r.name for r in alone.notifications] == ["page"]
    assert read(f"notifications: []\n{VALID}").notifications == ()
    assert read(VALID).notifications == ()


SERVICES = "see the list of services in Apprise's documentation"
URL = "this is not a URL of Apprise; write one as in jsons://example.com/hook, or keep it in a file"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (
            f"mailto://{SECRET}",
            "1:1: notifications: this is not a receiver; write {url: URL}, {url_file: /PATH} or "
            "{command: [/PROGRAM]}, or [] for none",
        ),
        (
            f"[mailto://{SECRET}]",
            "1:17: notifications: this is not a mapping; write KEY: VALUE below it",
        ),
        (f"[{{url: {SECRET}}}]", f"1:18: url: {URL}: url_file: /PATH"),
        (f'[{{url: "json://x/ {SECRET}"}}]', f"1:18: url: {URL}: url_file: /PATH"),
        (
            f"[{{url: foo://{SECRET}}}]",
            f"1:18: url: Apprise knows no foo://; for those it knows, {SERVICES}",
        ),
        (
            f"[{{url: slack://{SECRET}}}]",
            "1:18: url: Apprise cannot use this slack:// URL: a part is missing or wrong; "
            f"for its parts, {SERVICES}",
        ),
        (
            "[{environments: [dev]}]",
            "1:17: notifications: it is not said how to tell this receiver; "
            "write url, url_file, command",
        ),
        (
            "[{url_file: /x, command: [/y]}]",
            "1:32: command: this receiver has url_file, too; remove one of the two",
        ),
        ("{url-file: /x, command: [/y]}", "1:17: url-file: unknown key; write url_file"),
        (
            "[{url_file: pager}]",
            "1:18: url_file: this is not the whole path of a file; "
            "write one as in /etc/pgherd/pager",
        ),
        (
            "[{command: [page]}]",
            "1:18: command: this starts no program; write the whole path of a program, "
            "then its arguments: [/usr/local/bin/page]",
        ),
        (
            "[{command: [/page], environments: [prod]}]",
            "1:51: environments: 'prod' is not an environment of this fleet; write one of dev",
        ),
        (
            "[{command: [/page], environments: []}]",
            "1:36: environments: is empty; write [production], or remove the key for all",
        ),
        (
            "[{name: a, command: [/x]}, {name: a, command: [/y]}]",
            "1:44: name: 'a' is stated twice; write another name",
        ),
        (
            "[{name: A B, command: [/x]}]",
            "1:18: name: 'A B' is not a name; write one word, as in on-call",
        ),
    ],
)
def test_what_is_wrong_is_said_without_a_secret(
    report: Callable[[str], list[str]], written: str, said: str
) -> None:
    (found,) = report(f"notifications: {written}\n{VALID}")
    assert found == f"fleet.yaml:{said}"
    assert SECRET not in found
