"""A copied cluster gets an identifier of its own, or is not copied."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgherd.engines.local.template import (
    UnexpectedError,
    crc32c,
    new_identifier,
    with_identifier,
)

IDENTIFIERS = st.integers(min_value=0, max_value=2**64 - 1)


@pytest.mark.parametrize(
    ("data", "crc"),
    [
        (b"", 0),
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),  # RFC 3720, appendix B.4, this and the next
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
    ],
)
def test_crc32c(data: bytes, crc: int) -> None:
    assert crc32c(data) == crc


def control_file(identifier: int, fields: bytes) -> bytes:
    """pg_control: its fields, their CRC, and zeros up to 8 KiB."""
    content = struct.pack("=Q", identifier) + fields
    return (content + struct.pack("=I", crc32c(content))).ljust(8192, b"\0")


@given(IDENTIFIERS, IDENTIFIERS, st.binary(min_size=200, max_size=400))
def test_nothing_but_the_identifier_changes(old: int, new: int, fields: bytes) -> None:
    assert with_identifier(control_file(old, fields), new) == control_file(new, fields)


def test_a_control_file_with_a_wrong_crc_is_refused() -> None:
    control = bytearray(control_file(1, bytes(range(1, 251))))
    control[100] ^= 1
    with pytest.raises(UnexpectedError, match="no CRC"):
        with_identifier(bytes(control), 2)


def test_a_control_file_that_is_longer_than_a_sector_is_refused() -> None:
    with pytest.raises(UnexpectedError):
        with_identifier(control_file(1, bytes(range(1, 251)) * 3), 2)


@pytest.mark.parametrize("content", [b"", b"\0" * 8, b"short", bytes(range(256)) * 2])
def test_what_is_no_control_file_is_refused(content: bytes) -> None:
    with pytest.raises(UnexpectedError):
        with_identifier(content, 2)


def test_identifiers_are_of_64_bits_and_say_when_they_were_made() -> None:
    first, second = new_identifier(), new_identifier()
    assert 0 < first < 2**63
    assert abs((second >> 32) - (first >> 32)) <= 1
