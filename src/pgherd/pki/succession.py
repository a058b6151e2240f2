"""One authority after another: a next one is trusted long before it signs, a former one after.

Three places say it all, and nothing else does: `NAME.crt` and `.key` sign, `NAME-next.crt` and
`.key` will, and `NAME-former.crt` holds those that have. All are trusted. With L for the life of
what they sign, for which 30 days are usual:

- 3 L before the authority's end the next one is made. Whoever copies a certificate together with
  what is trusted has both from then on.
- L later, when every certificate that was handed out without it has ended, it signs. L/3 before
  the authority's end it does so in any case.
- The former one is trusted for another L, until all that it signed has ended. Its key is gone at
  once, and its certificate is made anew with that end: it ends by itself.

So a third L is left for those who look seldom. An authority that has ended without any of this is
replaced at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from pgherd.errors import NeedsHuman
from pgherd.files import Owner, write
from pgherd.pki.authority import BACKDATE, Authority
from pgherd.pki.certificate import KeyPair, Place
from pgherd.pki.files import ensure_authority, is_whole

LEAD = 3
"""An authority is due so many lives of what it signs before its end."""
FAREWELL = timedelta(hours=1)
"""So long an authority is trusted still that is replaced at once, on request."""


@dataclass(frozen=True, slots=True)
class Line:
    """The authorities of one name that are trusted: the one that signs, the next, former ones."""

    signer: x509.Certificate
    next: x509.Certificate | None
    former: tuple[x509.Certificate, ...]

    def trusted(self, now: datetime) -> bytes:
        """Their certificates (PEM), the signer's first, without those that have ended."""
        key = self.signer.public_key()
        # An interrupted change leaves a second certificate of the signer's own.
        others = (c for c in self.former if c.public_key() != key and not ended(c, now))
        found = chain([self.signer], [self.next] if self.next else [], others)
        return b"".join(map(_pem, found))

    @property
    def since(self) -> datetime:
        """When one was trusted for the first time: older certificates may lie beside less."""
        begun = self.signer.not_valid_before_utc
        return max(begun, self.next.not_valid_before_utc) if self.next else begun

    def due_at(self, lifetime: timedelta) -> datetime:
        """When the next one is to be made, or is to sign."""
        end = self.signer.not_valid_after_utc
        if self.next is None:
            return end - LEAD * lifetime
        made = self.next.not_valid_before_utc + BACKDATE
        return min(made + lifetime, end - lifetime / 3)


def ended(certificate: x509.Certificate, now: datetime) -> bool:
    """It is valid no more."""
    return certificate.not_valid_after_utc <= now


def read_line(place: Place) -> Line | None:
    """The authorities at `place`, by their certificates alone; None where none signs."""
    signer = _read(place.certificate)
    if not signer:
        return None
    following = _read(next_place(place).certificate)
    return Line(signer[0], following[0] if following else None, _read(former_file(place)))


def next_place(place: Place) -> Place:
    """The authority that will sign."""
    return Place(place.folder, f"{place.name}-next")


def former_file(place: Place) -> Path:
    """The certificates of those that signed before."""
    return place.folder / f"{place.name}-former.crt"


@dataclass(frozen=True, slots=True)
class Succession:
    """The authorities at `place`, whose certificates `reader` may read.

    `lifetime` is that of what they sign. Everything may be called again, also after it was cut off.
    One process at a time changes or reads them with their keys.
    """

    place: Place
    common_name: str
    lifetime: timedelta
    reader: Owner | None = None

    def ensure(self, now: datetime) -> Authority:
        """The one that signs: made where there is none, replaced where it has ended."""
        self._finish_hand_over()
        authority = ensure_authority(self.place, self.common_name, now, self.reader)
        if not ended(authority.certificate, now):
            return authority
        if self._whole_next(now) is None:
            self._make_next(now)
        self._take_over()
        return ensure_authority(self.place, self.common_name, now, self.reader)

    def line(self) -> Line:
        """Those that are trusted, where one signs."""
        line = read_line(self.place)
        if line is None:
            raise NeedsHuman(f"{self.place.certificate} is damaged", "restore it from a backup")
        return line

    def prepare(self, now: datetime, *, anew: bool = False) -> None:
        """A next one is there where one is due; `anew`: in any case, and it is new.

        To be told to everybody who trusts this authority.
        """
        signer = self.ensure(now).certificate
        is_due = now >= Line(signer, None, ()).due_at(self.lifetime)
        is_begun = next_place(self.place).certificate.exists()
        if anew or ((is_due or is_begun) and self._whole_next(now) is None):
            self._make_next(now)

    def hand_over(self, now: datetime, *, at_once: bool = False) -> bool:
        """The next one signs from now on, where its time has come; whether it does.

        Only to be called when everybody trusts it. With `at_once` its time has come, and those
        before it are trusted for an hour more.
        """
        signer, following = self.ensure(now), self._whole_next(now)
        if following is None:
            return False
        line = Line(signer.certificate, following.certificate, _read(former_file(self.place)))
        if not at_once and now < line.due_at(self.lifetime):
            return False
        former = [signer.ending(now + (FAREWELL if at_once else self.lifetime))]
        if not at_once:
            key = signer.certificate.public_key()
            former += [_pem(c) for c in line.former if c.public_key() != key]
        self._write_former(former)
        self._take_over()
        return True

    def forget_ended(self, now: datetime) -> bool:
        """Former ones that have ended are gone; whether there were any."""
        former = _read(former_file(self.place))
        kept = [_pem(certificate) for certificate in former if not ended(certificate, now)]
        if len(kept) == len(former):
            return False
        if kept:
            self._write_former(kept)
        else:
            former_file(self.place).unlink()
        return True

    def _whole_next(self, now: datetime) -> Authority | None:
        pair = next_place(self.place).read()
        if pair is None or not is_whole(pair) or ended(Authority(pair).certificate, now):
            return None
        return Authority(pair)

    def _make_next(self, now: datetime) -> None:
        # A second later than anything that was signed before: by that they are told apart.
        made = Authority.create(self.common_name, now + timedelta(seconds=1))
        next_place(self.place).write(made.pair, self.reader, is_key_shared=False, durable=True)

    def _take_over(self) -> None:
        next_place(self.place).key.replace(self.place.key)
        next_place(self.place).certificate.replace(self.place.certificate)

    def _finish_hand_over(self) -> None:
        """After an end between the two files: the key says who signs."""
        following = next_place(self.place)
        if following.key.exists() or not self.place.key.exists():
            return
        if following.certificate.exists():
            pair = KeyPair(following.certificate.read_bytes(), self.place.key.read_bytes())
            if is_whole(pair):
                following.certificate.replace(self.place.certificate)

    def _write_former(self, certificates: Iterable[bytes]) -> None:
        content = b"".join(certificates)
        write(former_file(self.place), content, self.reader, durable=True)


def _read(path: Path) -> tuple[x509.Certificate, ...]:
    """All certificates in a file; none where it is not there, or damaged."""
    try:
        return tuple(x509.load_pem_x509_certificates(path.read_bytes()))
    except (FileNotFoundError, ValueError):
        return ()


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
