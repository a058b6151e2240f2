"""Every listener gets an address, keeps it, and shares it with nobody."""

from ipaddress import IPv4Address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from local_fleet import NOBODY

from pgherd.engines.local.addresses import (
    STANDARD_PORTS,
    AddressBook,
    new_book,
    open_book,
    save_book,
)
from pgherd.errors import NeedsHuman

NAMES = st.lists(st.from_regex(r"[a-z]{1,3}/[a-z]{1,3}(/[1-9])?", fullmatch=True), max_size=30)
EMPTY = AddressBook(7, STANDARD_PORTS)


def all_free(address: IPv4Address, port: int) -> bool:
    return True


@given(NAMES, NAMES)
def test_addresses_are_kept_and_shared_by_none(first: list[str], later: list[str]) -> None:
    book = EMPTY.including(*first)
    grown = book.including(*later)
    assert all(grown.address(name) == book.address(name) for name in first)
    assert len(set(grown.hosts.values())) == len(set(first) | set(later))
    for name in grown.hosts:
        assert str(grown.address(name)).startswith("127.7.")
        assert not str(grown.address(name)).endswith(".0")


def test_many_listeners_fit() -> None:
    book = EMPTY.including(*(f"production/s{n}/1" for n in range(600)))
    assert book.address("production/s0/1") == IPv4Address("127.7.0.1")
    assert book.address("production/s255/1") == IPv4Address("127.7.1.1")


def test_what_is_gone_makes_room() -> None:
    book = EMPTY.including("a/auth/1", "a/auth/2", "a/order/1").without("a/auth")
    assert set(book.hosts) == {"a/order/1"}
    assert set(EMPTY.including("a/b/1", "a/b/10").without("a/b/1").hosts) == {"a/b/10"}
    assert book.including("b/auth/1").address("b/auth/1") == IPv4Address("127.7.0.1")


def test_a_new_book_has_the_standard_ports() -> None:
    assert new_book("/var/lib/pgherd/fleets/ecommerce", all_free).ports == STANDARD_PORTS


def test_the_same_place_gets_the_same_block_and_others_get_others() -> None:
    blocks = {new_book(f"/fleets/{n}", all_free).block for n in range(40)}
    assert len(blocks) > 30
    assert blocks <= set(range(1, 254))
    assert new_book("/fleets/1", all_free) == new_book("/fleets/1", all_free)


def test_a_block_in_which_something_listens_is_left_to_it() -> None:
    first = new_book("/fleets/1", all_free).block

    def free(address: IPv4Address, port: int) -> bool:
        return not (str(address) == f"127.{first}.0.1" and port == 5432)

    book = new_book("/fleets/1", free)
    assert book.block == 1 + first % 253
    assert book.ports == STANDARD_PORTS


def test_a_port_that_is_taken_everywhere_gives_way() -> None:
    def free(address: IPv4Address, port: int) -> bool:
        return port not in (5432, 15432)

    book = new_book("/fleets/1", free)
    assert book.block == new_book("/fleets/1", all_free).block
    assert book.ports == {**STANDARD_PORTS, "postgresql": 25432}


def test_ports_stay_below_the_ephemeral_range() -> None:
    asked: set[int] = set()

    def free(address: IPv4Address, port: int) -> bool:
        asked.add(port)
        return False

    with pytest.raises(NeedsHuman, match="are all taken"):
        new_book("/fleets/1", free)
    assert max(asked) < 32768


def test_no_block_is_free() -> None:
    def free(address: IPv4Address, port: int) -> bool:
        return port != 5432 or str(address) == "127.254.254.254"

    with pytest.raises(NeedsHuman, match="no loopback block is free"):
        new_book("/fleets/1", free)


def test_a_book_is_read_as_it_was_saved(tmp_path: Path) -> None:
    book = EMPTY.including("production/auth/1", "production/etcd")
    save_book(tmp_path / "addresses.json", book, NOBODY)
    assert open_book(tmp_path / "addresses.json", "any") == book


def test_a_book_from_before_a_port_was_known_gives_it_its_standard_number(tmp_path: Path) -> None:
    path = tmp_path / "addresses.json"
    path.write_text('{"block": 7, "ports": {"postgresql": 15432}, "hosts": {"production/auth": 3}}')
    book = open_book(path, "")
    assert book.ports == {**STANDARD_PORTS, "postgresql": 15432}
    assert str(book.address("production/auth")) == "127.7.0.3"


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"block": 7}', "null", "\x00"])
def test_a_damaged_book_needs_a_human(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "addresses.json"
    path.write_text(damage)
    with pytest.raises(NeedsHuman, match="is damaged"):
        open_book(path, "any")
