"""When an authority is followed by another, told by files and made-up times alone."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from pgherd.files import Owner
from pgherd.pki.authority import AUTHORITY_LIFETIME
from pgherd.pki.certificate import Identity, Place
from pgherd.pki.succession import FAREWELL, Succession, former_file, next_place

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
END = NOW + AUTHORITY_LIFETIME
DAY = timedelta(days=1)
MONTH = timedelta(days=30)
SECOND = timedelta(seconds=1)
CLIENT = Identity("auth", is_client=True)


@pytest.fixture
def authorities(tmp_path: Path) -> Succession:
    found = Succession(Place(tmp_path, "data-authority"), "any", MONTH, Owner(0, 0, "root"))
    found.ensure(NOW)
    return found


def keys(authorities: Succession) -> list[bytes]:
    """Who signs, and all others that are trusted."""
    line = authorities.line()
    others = [c for c in (line.next, *line.former) if c]
    return [_key(c) for c in (line.signer, *others)]


def _key(certificate: x509.Certificate) -> bytes:
    found = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    return found.value.digest


def test_nothing_happens_before_it_is_due(authorities: Succession) -> None:
    before = keys(authorities)
    for now in (NOW, END - 3 * MONTH - SECOND):
        authorities.prepare(now)
        assert not authorities.hand_over(now)
        assert not authorities.forget_ended(now)
    assert keys(authorities) == before
    assert authorities.line().due_at(MONTH) == END - 3 * MONTH


def test_the_next_one_signs_a_life_of_what_it_signs_later(authorities: Succession) -> None:
    due = END - 3 * MONTH
    first = authorities.ensure(NOW)
    authorities.prepare(due)
    (old, new) = keys(authorities)
    assert not authorities.hand_over(due + MONTH)
    assert authorities.line().due_at(MONTH) == due + MONTH + SECOND
    assert authorities.ensure(due + MONTH) == first
    now = due + MONTH + SECOND
    last = first.issue(CLIENT, now, MONTH)
    assert authorities.hand_over(now)
    assert keys(authorities) == [new, old]
    assert authorities.ensure(now).pair.key not in (first.pair.key, b"")
    assert not next_place(authorities.place).key.exists()
    # What it signed last is accepted to its end, and then all of it is forgotten.
    (former,) = authorities.line().former
    content = x509.load_pem_x509_certificate(last.certificate)
    content.verify_directly_issued_by(former)
    assert former.not_valid_after_utc == content.not_valid_after_utc
    assert not authorities.forget_ended(now + MONTH - SECOND)
    assert authorities.forget_ended(now + MONTH)
    assert keys(authorities) == [new]
    assert not former_file(authorities.place).exists()


def test_it_signs_earlier_where_the_time_is_short(authorities: Succession) -> None:
    late = END - 20 * DAY
    authorities.prepare(late)
    assert authorities.line().due_at(MONTH) == END - 10 * DAY
    assert not authorities.hand_over(END - 10 * DAY - SECOND)
    assert authorities.hand_over(END - 10 * DAY)
    assert [c.not_valid_after_utc for c in authorities.line().former] == [END]


def test_what_has_ended_is_not_told_to_be_trusted(authorities: Succession) -> None:
    authorities.prepare(NOW, anew=True)
    authorities.hand_over(NOW, at_once=True)
    for now, count in ((NOW, 2), (NOW + FAREWELL, 1)):
        trusted = x509.load_pem_x509_certificates(authorities.line().trusted(now))
        assert len(trusted) == count
        assert trusted[0] == authorities.line().signer


def test_who_ended_is_replaced_by_the_next_one_where_there_is_one(authorities: Succession) -> None:
    authorities.prepare(END - DAY)
    (_, new) = keys(authorities)
    authorities.ensure(END)
    assert keys(authorities) == [new]


def test_leaked_ones_leave_nothing_behind_but_an_hour(authorities: Succession) -> None:
    authorities.prepare(END - 3 * MONTH)
    authorities.hand_over(END - 2 * MONTH + SECOND)
    now = END - 2 * MONTH + DAY
    authorities.prepare(now, anew=True)
    (leaked, new, _) = keys(authorities)
    assert authorities.hand_over(now, at_once=True)
    assert keys(authorities) == [new, leaked]
    assert authorities.line().former[0].not_valid_after_utc == now + FAREWELL


def test_it_is_made_a_second_later_than_all_that_was_signed(authorities: Succession) -> None:
    now = NOW.replace(microsecond=999_999)
    leaf = x509.load_pem_x509_certificate(
        authorities.ensure(now).issue(CLIENT, now, MONTH).certificate
    )
    authorities.prepare(now, anew=True)
    assert leaf.not_valid_before_utc < authorities.line().since
