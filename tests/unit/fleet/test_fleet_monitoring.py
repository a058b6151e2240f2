"""Where a fleet file says that metrics are served, and what is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pgherd.engines.known import values
from pgherd.fleet.desired import METRICS, Fleet, Listen
from pgherd.fleet.stored import decode, encode

VALID = """\
fleet: shop
services: [auth]
environments:
  dev: {network: 10.1.0.0/16, ocpus: 2, storage: 1TB}
"""


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("", METRICS),
        ("monitoring: {}\n", METRICS),
        ("monitoring: false\n", None),
        ("monitoring: {listen: 127.0.0.1:9469}\n", Listen("127.0.0.1", 9469)),
        ("monitoring: {listen: 127.8.0.1:1024}\n", Listen("127.8.0.1", 1024)),
        ('monitoring:\n  listen: "[::1]:9468"\n', Listen("::1", 9468)),
    ],
)
def test_it_is_read_and_stored(
    read: Callable[[str], Fleet], written: str, meant: Listen | None
) -> None:
    fleet = read(written + VALID)
    assert fleet.monitoring == meant
    assert decode(encode(fleet), values()).monitoring == meant


def test_an_address_is_written_as_it_is_read() -> None:
    assert [str(Listen("::1", 1)), str(METRICS)] == ["[::1]:1", "127.0.0.1:9468"]


OTHERS = "is not a loopback address, and others could read what is served there"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        *(
            (
                f"{{listen: '{host}:9468'}}",
                f"1:14: listen: {shown!r} {OTHERS}; "
                "write 127.0.0.1:9468; mTLS elsewhere is planned",
            )
            for host, shown in [
                ("0.0.0.0", "0.0.0.0"),  # noqa: S104
                ("10.0.0.7", "10.0.0.7"),
                ("localhost", "localhost"),
                ("[::]", "::"),
            ]
        ),
        (
            "{listen: 9468}",
            "1:14: listen: '9468' is not an address and a port; write 127.0.0.1:9468",
        ),
        (
            "{listen: 127.0.0.1:80}",
            "1:14: listen: port 80 is out of range; write one from 1024 to 65535",
        ),
        (
            "{listen: 127.0.0.1:70000}",
            "1:14: listen: port 70000 is out of range; write one from 1024 to 65535",
        ),
        ("{lissten: x}", "1:14: lissten: unknown key; write listen"),
        (
            "true",
            "1:1: monitoring: 'true' is unknown; write {listen: 127.0.0.1:9468}, or false for none",
        ),
        ("[a]", "1:1: monitoring: this is not a mapping; write KEY: VALUE below it"),
        ("", "1:1: monitoring: has no value; write one, or remove the key"),
    ],
)
def test_what_is_wrong_is_said(report: Callable[[str], list[str]], written: str, said: str) -> None:
    assert report(f"monitoring: {written}\n{VALID}") == [f"fleet.yaml:{said}"]
