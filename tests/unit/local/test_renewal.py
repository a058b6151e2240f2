"""Authorities that take over from one another: nobody is refused on the way, wherever it is cut."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from local_fleet import ALONE, NOBODY, PRODUCTION

from pgherd.contract.certificates import CertificateInfo
from pgherd.engines.local import certificates, door, identity
from pgherd.engines.local.identity import CONTROL, DATA, LIFETIME, Certificate
from pgherd.engines.local.layout import Layout
from pgherd.engines.local.manifest import read_environment, write_database, write_environment
from pgherd.engines.local.renewal import Renewal
from pgherd.engines.local.writer import Writer
from pgherd.pki.authority import AUTHORITY_LIFETIME, Authority
from pgherd.pki.succession import FAREWELL, Line, read_line

NOW = datetime(2036, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
WEEK = timedelta(days=7)
LEAD = timedelta(days=90)
CLIENT = "client auth"


class Cut(BaseException):
    """The process is killed."""


@dataclass
class Changes:
    """Changes of files below a folder: each is counted and told, and one may be cut off."""

    folder: Path | None = None
    told: Callable[[], None] = lambda: None
    left: int | None = None
    seen: int = 0
    _is_inside: bool = False

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.folder is None or event not in ("os.rename", "os.remove") or self._is_inside:
            return
        changed = Path(str(arguments[1 if event == "os.rename" else 0]))
        if not changed.is_relative_to(self.folder) or changed.name.startswith("."):
            return
        self.seen += 1
        self._is_inside = True
        try:
            self.told()
        finally:
            self._is_inside = False
        if self.left is not None:
            if self.left == 0:
                self.folder = None
                raise Cut
            self.left -= 1


CHANGES = Changes()
sys.addaudithook(CHANGES)


@contextmanager
def watching(
    folder: Path, told: Callable[[], None] = lambda: None, cut: int | None = None
) -> Iterator[None]:
    CHANGES.folder, CHANGES.told, CHANGES.left, CHANGES.seen = folder, told, cut, 0
    try:
        yield
    finally:
        CHANGES.folder = None


@dataclass
class World:
    """One environment's files, and programs that read them when they are told; its agent."""

    root: Path
    now: datetime = NOW
    loaded: dict[Path, tuple[str, bytes, bytes]] = field(default_factory=dict)
    copies: list[tuple[bytes, bytes]] = field(default_factory=list)
    etcd_starts: list[str] = field(default_factory=list)

    @property
    def layout(self) -> Layout:
        return Layout(self.root)

    def line(self, kind: str = DATA) -> Line:
        line = read_line(identity.authority_place(self.layout, "production", kind))
        assert line
        return line

    def why_due(self) -> str | None:
        manifest = read_environment(self.layout, "production")
        assert manifest
        return certificates.why_due(self.layout, manifest, self.now)

    def infos(self) -> list[CertificateInfo]:
        return list(certificates.of_environment(self.layout, PRODUCTION))

    def renewal(self) -> Renewal:
        writer = Writer(self.layout, NOBODY, lambda: self.now)
        return Renewal(self.layout, NOBODY, self, writer, lambda: self.now)

    def run(self, **how: bool) -> int:
        """As `pgherd up` or `certificates` would."""
        return len(asyncio.run(self.renewal().run("production", **how)))

    # Programs

    async def ask(self, request: door.Request[door.Answer]) -> Any:
        match request:
            case door.ConvergeEnvironment():
                self._read(self.of_environment())
                manifest = read_environment(self.layout, "production")
                assert manifest
                if self.etcd_starts[-1:] != [manifest.etcd_trust]:
                    self.etcd_starts.append(manifest.etcd_trust)
                place = identity.etcd_place(self.layout, "production")
                trust = (place.folder / manifest.etcd_trust).read_bytes()
                self.loaded[place.certificate] = (CONTROL, place.certificate.read_bytes(), trust)
                return None
            case door.AwaitEnvironment():
                return True
            case door.ServeCertificates():
                self._read(self.of_database())
                return True
        raise AssertionError(request)

    def of_environment(self) -> list[Certificate]:
        return list(identity.of_environment(self.layout, PRODUCTION))

    def of_database(self) -> list[Certificate]:
        return list(identity.of_database(self.layout, ALONE))

    def _read(self, found: list[Certificate]) -> None:
        for certificate in found:
            self.loaded[certificate.place.certificate] = self.on_disk(certificate)

    def on_disk(self, certificate: Certificate) -> tuple[str, bytes, bytes]:
        trust = certificates.trust_file(certificate)
        kind = certificate.authority
        return kind, certificate.place.certificate.read_bytes(), trust.read_bytes()

    def copy_client(self) -> None:
        """What somebody takes along who connects from elsewhere."""
        client = next(c for c in self.of_database() if c.purpose == CLIENT)
        self.copies.append(self.on_disk(client)[1:])

    # What must hold

    def check(self) -> None:
        """Whoever connects now gets in, whether it has read the files before or reads them now."""
        found = [self.on_disk(c) for c in (*self.of_environment(), *self.of_database())]
        found += self.loaded.values()
        for kind in (CONTROL, DATA):
            served = {leaf for k, leaf, _ in found if k == kind}
            trusts = {trust for k, _, trust in found if k == kind}
            for leaf, trust in itertools.product(served, trusts):
                assert accepts(trust, leaf, self.now), f"{kind}: refused"
            for leaf, trust in self.copies if kind == DATA else ():
                if self.now < load(leaf).not_valid_after_utc:
                    assert all(accepts(trust, other, self.now) for other in served)
                    assert all(accepts(other, leaf, self.now) for other in trusts)


def load(pem: bytes) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem)


def accepts(trust: bytes, leaf: bytes, now: datetime) -> bool:
    return any(begin <= now < end for begin, end in _periods(trust, leaf))


@cache
def _periods(trust: bytes, leaf: bytes) -> list[tuple[datetime, datetime]]:
    """When a certificate is accepted by who trusts these."""
    content, found = load(leaf), []
    for authority in x509.load_pem_x509_certificates(trust):
        try:
            content.verify_directly_issued_by(authority)
        except InvalidSignature:
            continue
        begin = max(c.not_valid_before_utc for c in (content, authority))
        found.append((begin, min(c.not_valid_after_utc for c in (content, authority))))
    return found


def made(root: Path, left: timedelta) -> World:
    """An environment whose authorities end after `left`, and all else is new."""
    world = World(root)
    for kind in (CONTROL, DATA):
        place = identity.authority_place(world.layout, "production", kind)
        begun = NOW + left - AUTHORITY_LIFETIME
        place.write(Authority.create(f"pgherd production {kind}", begun).pair)
    write_environment(world.layout, PRODUCTION, NOBODY)
    write_database(world.layout, ALONE, NOBODY)
    if left > timedelta():
        for wanted in (world.of_environment(), world.of_database()):
            certificates.ensure(world.layout, "production", wanted, NOW, NOBODY)
    return world


def advance(world: World, by: timedelta) -> World:
    world.now += by
    return world


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short one: there have to be sockets below it."""
    with tempfile.TemporaryDirectory(prefix="pgh-") as name:
        yield Path(name)


def test_nothing_is_due_of_what_was_just_made(folder: Path) -> None:
    world = World(folder)
    write_environment(world.layout, PRODUCTION, NOBODY)
    write_database(world.layout, ALONE, NOBODY)
    assert world.run() == len(world.of_environment()) + len(world.of_database())
    assert world.why_due() is None
    with watching(folder):
        assert world.run() == 0
    assert CHANGES.seen == 0
    world.check()


def test_a_change_of_authorities_refuses_nobody(folder: Path) -> None:
    """Somebody calls `up` once a week, and somebody else copies a client's files now and then."""
    world = made(folder, LEAD + 5 * DAY)
    told: dict[str, list[timedelta]] = {"next": [], "former": []}
    first, end = world.line().signer, world.line().signer.not_valid_after_utc
    while world.now < NOW + LEAD + 40 * DAY:
        world.check()
        world.copy_client()
        with watching(folder, world.check):
            world.run()
        assert world.why_due() is None
        world.check()
        world.copy_client()
        for name, days in told.items():
            if getattr(world.line(), name):
                days.append(end - world.now)
        world.now += WEEK
    # Announced for a life of what it signs, then the former one for another.
    assert max(told["next"]) <= LEAD
    assert max(told["next"]) - min(told["next"]) == 4 * WEEK
    assert LIFETIME + DAY < max(told["former"]) <= LEAD - LIFETIME
    assert max(told["former"]) - min(told["former"]) == 4 * WEEK
    line = world.line()
    assert line.signer != first
    assert (line.next, line.former) == (None, ())
    assert len(world.etcd_starts) == 4
    folder = identity.etcd_place(world.layout, "production").folder
    kept = [path.name for path in folder.glob("control-authority-*")]
    assert kept == world.etcd_starts[-1:]


def before_due(root: Path) -> World:
    world = made(root, LEAD - DAY)
    world.loaded = {}
    return world


def before_hand_over(root: Path) -> World:
    world = before_due(root)
    for _ in range(3):
        world.run()
        world.now += 10 * DAY + timedelta(hours=1)
    return world


def before_farewell(root: Path) -> World:
    world = before_hand_over(root)
    for _ in range(3):
        world.run()
        world.now += 10 * DAY + timedelta(hours=1)
    return world


STAGES: dict[str, Callable[[Path], World]] = {
    "due": before_due,
    "to sign": before_hand_over,
    "former": before_farewell,
}


def shape(world: World) -> object:
    lines = [world.line(kind) for kind in (CONTROL, DATA)]
    return [(line.next is not None, len(line.former)) for line in lines]


@pytest.mark.parametrize("stage", STAGES)
def test_wherever_it_is_cut_off_the_next_call_goes_on(folder: Path, stage: str) -> None:
    base = folder / "base"
    prepared = STAGES[stage](base)
    assert prepared.why_due() is not None

    def again(name: str) -> World:
        shutil.copytree(base, folder / name)
        world = World(folder / name, prepared.now)
        world.loaded = {
            folder / name / path.relative_to(base): content
            for path, content in prepared.loaded.items()
        }
        return world

    whole = again("whole")
    with watching(whole.root):
        whole.run()
    wanted, changes = shape(whole), CHANGES.seen
    assert changes > 20
    for cut in range(0, changes, 2):
        world = again(f"cut-{cut}")
        with watching(world.root, cut=cut), pytest.raises(Cut):
            world.run()
        world.check()
        with watching(world.root, world.check):
            world.run()
        world.check()
        assert shape(world) == wanted, cut
        assert world.why_due() is None, cut
        assert world.run() == 0
        shutil.rmtree(world.root)


def test_what_was_cut_off_is_seen_as_due(folder: Path) -> None:
    """Each file says whether it is what it should be, since no step is written down."""
    world = made(folder, LEAD - DAY)
    assert world.why_due() == "its certificate authorities are due"
    with watching(folder, cut=12), pytest.raises(Cut):
        world.run()
    assert world.line().next
    assert world.why_due() == "its certificates are due"


def test_an_authority_that_has_ended_is_replaced(folder: Path) -> None:
    world = made(folder, -DAY)
    assert world.why_due() == "certificate authority of production has ended"
    world.run()
    world.check()
    assert world.why_due() is None
    assert (world.line().next, world.line().former) == (None, ())
    assert world.line().signer.not_valid_after_utc > NOW + 3600 * DAY


def test_an_authority_that_has_ended_is_replaced_wherever_it_was_cut_off(folder: Path) -> None:
    for cut in range(30):
        world = made(folder / str(cut), -DAY)
        with watching(world.root, cut=cut), pytest.raises(Cut):
            world.run()
        world.run()
        world.check()
        assert world.why_due() is None
        assert shape(world) == [(False, 0), (False, 0)]


def test_a_next_one_signs_at_once_where_the_time_is_short(folder: Path) -> None:
    """Nobody has looked for long: there are nine days left."""
    world = made(folder, 9 * DAY)
    with watching(folder, world.check):
        world.run()
    world.check()
    line = world.line()
    assert line.signer.not_valid_after_utc > NOW + 3600 * DAY
    assert [c.not_valid_after_utc for c in line.former] == [NOW + 9 * DAY]
    advance(world, 9 * DAY + timedelta(hours=1)).run()
    assert world.line().former == ()
    world.check()


def test_on_request_there_are_new_ones_at_once(folder: Path) -> None:
    world = made(folder, 3000 * DAY)
    leaked = world.line().signer
    with watching(folder, world.check):
        new = world.run(renew=True, authorities=True)
    assert new == len(world.of_environment()) + len(world.of_database())
    world.check()
    line = world.line()
    assert line.signer.public_key() != leaked.public_key()
    assert [c.not_valid_after_utc for c in line.former] == [NOW + FAREWELL]
    assert world.why_due() is None
    advance(world, FAREWELL + timedelta(minutes=1))
    world.check()
    assert world.why_due() == "its certificate authorities are due"
    world.run()
    assert world.line().former == ()
    world.check()
    for _, _, trust in disk(world):
        trusted = x509.load_pem_x509_certificates(trust)
        assert all(c.public_key() != leaked.public_key() for c in trusted)


def disk(world: World) -> list[tuple[str, bytes, bytes]]:
    return [world.on_disk(c) for c in (*world.of_environment(), *world.of_database())]


def test_a_request_that_was_cut_off_before_the_new_one_signed_is_made_again(
    folder: Path,
) -> None:
    world = made(folder, 3000 * DAY)
    with watching(folder, cut=3), pytest.raises(Cut):
        world.run(renew=True, authorities=True)
    announced = world.line(CONTROL).next
    with watching(folder, world.check):
        world.run(renew=True, authorities=True)
    world.check()
    assert announced
    assert world.line(CONTROL).signer.public_key() != announced.public_key()


def test_a_next_one_that_lost_its_key_is_made_again(folder: Path) -> None:
    world = made(folder, LEAD - DAY)
    world.run()
    place = identity.authority_place(world.layout, "production", DATA)
    lost = world.line().next
    (place.folder / "data-authority-next.key").unlink()
    with watching(folder, world.check):
        world.run()
    assert world.line().next not in (None, lost)
    world.check()


def test_they_are_listed_with_when_they_are_due(folder: Path) -> None:
    world = made(folder, LEAD + 5 * DAY)
    end = NOW + LEAD + 5 * DAY
    assert authorities(world) == {"data authority": (end, end - LEAD)}
    advance(world, 5 * DAY).run()
    listed = authorities(world)
    assert listed["data authority"] == (end, world.now + LIFETIME + timedelta(seconds=1))
    assert listed["next data authority"][1] is None
    advance(world, LIFETIME + timedelta(hours=1)).run()
    gone = world.now + LIFETIME
    assert authorities(world)["former data authority"] == (gone, gone)


def authorities(world: World) -> dict[str, tuple[datetime, datetime | None]]:
    return {
        info.purpose: (info.not_after, info.due_at)
        for info in world.infos()
        if info.is_authority and "data" in info.purpose
    }


def test_an_authority_that_signs_is_readable_by_its_files_alone(folder: Path) -> None:
    world = made(folder, LEAD - DAY)
    world.run()
    line = world.line()
    assert line.next
    trusted = x509.load_pem_x509_certificates(line.trusted(world.now))
    assert trusted == [line.signer, line.next]
    keys = {path.name for path in line_folder(world).glob("*.key")}
    assert keys == {
        f"{kind}-authority{which}.key" for kind in (CONTROL, DATA) for which in ("", "-next")
    }
    assert all((line_folder(world) / key).stat().st_mode & 0o777 == 0o600 for key in keys)


def line_folder(world: World) -> Path:
    return identity.authority_place(world.layout, "production", DATA).folder
