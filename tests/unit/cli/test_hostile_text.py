"""Whatever others wrote reaches the reader of any command as text, and does nothing to them."""

from __future__ import annotations

import fcntl
import json
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from io import StringIO
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hostile import HOSTILE, SHOWN, HostileShop, Screen, ensure_harmless
from hostile_history import does_not_leave, left_alone, not_told, told
from rich.console import Console
from shop import AUTH, FLEET

from pgherd.autopilot.requests import Pause
from pgherd.cli.headway import Headway
from pgherd.cli.main import VERBS, main
from pgherd.cli.progress import drawing
from pgherd.contract.backups import BackupCopy
from pgherd.control.events import Planned, Retrying, Started
from pgherd.control.importing.judging import Checked, Verdict
from pgherd.decide.actions import Interruption, RestartInstance
from pgherd.decide.plan import Plan
from pgherd.errors import TryLater
from pgherd.fleet.desired import DatabaseId
from pgherd.report.pages import plain
from pgherd.testing.world import StoredEnvironment

LOAD = """\
import json, sys
lie = json.loads({lie!r})
print(lie, json.dumps({{"second": lie, "tps": lie, "errors": lie}}), sep="\\n", file=sys.stderr)
name = {{"environment": lie, "service": lie}}
numbers = {{"transactions": 1, "tps": 1, "acknowledged": {{}}, "lost": 1, "longest_stall_ms": 1}}
latency = dict.fromkeys(("p50", "p95", "p99", "max"), 1)
invariants = [{{"name": lie, "violations": 1}}]
rest = {{"errors": {{lie: 1}}, "latency_ms": latency, "invariants": invariants}}
databases = [name | numbers | rest | {{"verified": True}}, name | numbers | rest]
databases[1] |= {{"verified": False, "reason": lie}}
print(json.dumps({{"seconds": 1, "clients": 1, "seed": 1, "ok": False, "databases": databases}}))
sys.exit({code})
"""
OCI = """\
fleet: shop
services: [auth]
environments:
  production:
    engine: oci
    network: 10.0.0.0/16
    availability_domains: 3
    ocpus: 2
    storage: 1TB
    oci: {region: us-ashburn-1, parent: ocid1.tenancy.oc1..root, pooler: create}
"""

Arrange = Callable[[HostileShop], object]


def as_it_is(shop: HostileShop) -> None:
    """Nothing more is odd than what the engine says anyway."""


def failing(operation: str) -> Arrange:
    return lambda shop: shop.fail(operation)


def on_oci(shop: HostileShop) -> None:
    shop.write(OCI)


def blind(shop: HostileShop) -> None:
    shop.world.blind_next(TryLater(HOSTILE), times=20)


def mute(shop: HostileShop) -> None:
    shop.world.hide(AUTH, HOSTILE)


def empty(shop: HostileShop) -> None:
    shop.world.databases.clear()
    shop.world.environments.clear()


def half_made(shop: HostileShop) -> None:
    """A fleet whose second `up` has trouble with one database, at first for a while."""
    empty(shop)
    shop.world.fail_next("ensure_database", TryLater(HOSTILE), id=AUTH)
    shop.fail("ensure_database")


def backed_up(shop: HostileShop) -> None:
    shop.is_hostile = False
    shop.out("backup", "now", "production/auth")
    shop.is_hostile = True


def copied_elsewhere(shop: HostileShop) -> None:
    """What an engine says of copies."""
    shop.write(FLEET.replace("ocpus: 2..8", "ocpus: 2..8\n    backup: {copy_to: [vault]}"))
    shop.world.copies = (BackupCopy("vault", shop.world.now()),)
    for operation in ("history", "restore"):
        shop.fail(operation)


def proven(shop: HostileShop) -> None:
    """What was found in a copy is a tenant's."""
    backed_up(shop)
    shop.world.found_in_copies = HOSTILE
    shop.said("drill", "restore", "production/auth")


def in_an_odd_folder(shop: HostileShop) -> None:
    """Where the fleet file would be that is not there."""
    folder = shop.file.with_name(HOSTILE)
    folder.mkdir()
    shop.file = folder / "fleet.yaml"


def wrong_file(shop: HostileShop) -> None:
    in_an_odd_folder(shop)
    lie = json.dumps(HOSTILE)
    shop.write(f"fleet: {lie}\nservices: [{lie}]\n{lie}: {lie}\n")


def playing(*, code: int) -> Arrange:
    def arrange(shop: HostileShop) -> None:
        in_an_odd_folder(shop)
        shop.write(f"{FLEET}load: load.py\n")
        text = LOAD.format(lie=json.dumps(HOSTILE), code=code)
        shop.file.with_name("load.py").write_text(text)

    return arrange


def applied_in_an_odd_folder(shop: HostileShop) -> None:
    in_an_odd_folder(shop)
    shop.write(FLEET)
    shop.run("up")


def differing(shop: HostileShop) -> None:
    """An import whose copy is not what its source is."""
    wrong = Checked("public", "accounts", Verdict.DIFFERENT, 3, 2)
    shop.moved = replace(shop.moved, tables=(wrong,))


FROM = "production/auth --from postgresql://me@old/shop"
COMMANDS: tuple[tuple[str, Arrange], ...] = (
    ("up", half_made),
    ("up", blind),
    ("up --yes-destroy {}", as_it_is),
    ("plan", as_it_is),
    ("plan", empty),
    ("plan", mute),
    ("status", as_it_is),
    ("status", mute),
    ("status", blind),
    ("status production/auth", as_it_is),
    ("status production/{}", as_it_is),
    ("top --once", told),
    ("top --once", mute),
    ("top --once", blind),
    ("top --once production/auth", told),
    ("top production/{}", as_it_is),
    ("show", wrong_file),
    ("show", in_an_odd_folder),
    ("events", told),
    ("events production/auth --follow", told),
    ("events {}", as_it_is),
    ("why production/auth", told),
    ("why production/auth", left_alone),
    ("why production/{}", as_it_is),
    ("alerts", told),
    ("alerts", not_told),
    ("alerts --test", not_told),
    ("pause {} --reason x", as_it_is),
    ("pause lost{} --reason {}", as_it_is),
    ("resume {}", as_it_is),
    ("run --stop", does_not_leave),
    ("metrics", in_an_odd_folder),
    ("history", applied_in_an_odd_folder),
    ("history 2", applied_in_an_odd_folder),
    ("simulate --load {}", as_it_is),
    ("cost", mute),
    ("cost --prices {}", as_it_is),
    ("service install", in_an_odd_folder),
    ("connect production/auth", failing("access")),
    ("url production/auth --variables", as_it_is),
    ("url production/{}", as_it_is),
    ("logs production/auth", as_it_is),
    ("load --seconds 1", playing(code=0)),
    ("load --seconds 1", playing(code=1)),
    ("backup list production/auth", backed_up),
    ("backup list production/auth", failing("history")),
    ("backup now production/auth", as_it_is),
    ("backup verify production/auth", proven),
    ("backup verify production/auth", failing("verify")),
    ("drill restore production/auth", proven),
    ("drill restore production/auth", failing("prove")),
    ("drill restore production/auth --yes-pay", failing("hire")),
    ("drill region production", copied_elsewhere),
    ("backup list production/auth", proven),
    ("report", proven),
    ("report production", failing("history")),
    ("restore production/auth --as old --to 2026-05-04T12:03:04", failing("restore")),
    ("restore production/auth --as old --to latest --verify-only", failing("predict")),
    ("restore production/auth --undo --yes-overwrite production/auth", failing("undo")),
    ("restore production/auth --discard --yes-overwrite production/auth", failing("discard")),
    ("backup point production/auth before", failing("make_point")),
    (f"import {FROM}", as_it_is),
    (f"import {FROM}", differing),
    ("import production/{} --from postgresql://me@old/shop", as_it_is),
    ("import production/auth --from-file {}", as_it_is),
    ("switchover production/auth", as_it_is),
    ("switchover production/auth", failing("switchover")),
    ("failover production/auth", as_it_is),
    ("failover production/auth", failing("failover")),
    ("certificates", as_it_is),
    ("certificates --rotate", failing("ensure_valid")),
    ("render policy", in_an_odd_folder),
    ("render policy --group {}", on_oci),
    ("render terraform --directory {}", on_oci),
    ("render monitoring --directory {}", as_it_is),
    ("doctor", as_it_is),
    ("doctor", wrong_file),
    ("down", failing("ensure_stopped")),
    ("down {}", as_it_is),
    ("destroy", as_it_is),
    ("destroy --yes-destroy shop", failing("ensure_absent")),
)


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HostileShop:
    """It is up; from now on all is hostile, and wide enough that nothing is wrapped."""
    for name, value in {"FORCE_COLOR": "1", "TERM": "xterm-256color", "COLUMNS": "5000"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.chdir(tmp_path)
    shop = HostileShop(tmp_path)
    shop.out("up")
    shop.is_hostile = True
    return shop


@pytest.mark.parametrize("is_terminal", [False, True], ids=["pipe", "terminal"])
@pytest.mark.parametrize(("line", "arrange"), COMMANDS)
def test_no_command_passes_on_what_acts(
    shop: HostileShop, line: str, arrange: Arrange, is_terminal: bool
) -> None:
    arrange(shop)
    shop.is_terminal = is_terminal
    words = [word.format(HOSTILE) for word in line.split()]
    shown = plain(SHOWN) if words[0] == "report" else SHOWN
    assert shown in ensure_harmless(shop.said(*words), is_redrawn=is_terminal)


def test_each_verb_is_among_them() -> None:
    assert {line.split()[0] for line, _ in COMMANDS} == VERBS.keys()


@pytest.mark.parametrize(
    "verb", ["backup", "certificates", "cost", "doctor", "load", "plan", "show", "status"]
)
def test_json_has_the_very_text_and_is_harmless(shop: HostileShop, verb: str) -> None:
    words = ["backup", "list", "production/auth"] if verb == "backup" else [verb]
    backed_up(shop)
    if verb == "load":
        playing(code=0)(shop)
    if verb == "cost":
        mute(shop)
    if verb == "show":
        in_an_odd_folder(shop)
        shop.write(FLEET)
    said = ensure_harmless(shop.said(*words, "--json"))
    document = said[said.index("{\n") : said.index("\n}") + 2]
    assert any(HOSTILE in text for text in _texts(json.loads(document)))


@pytest.mark.parametrize("verb", ["events", "why production/auth", "alerts"])
def test_json_of_the_history_has_the_very_text_and_is_harmless(
    shop: HostileShop, verb: str
) -> None:
    left_alone(shop)
    said = ensure_harmless(shop.said(*verb.split(), "--json"))
    assert any(HOSTILE in text for text in _texts(json.loads(said)))


def test_json_of_what_is_followed_is_harmless(shop: HostileShop) -> None:
    told(shop)
    said = ensure_harmless(shop.said("events", "--follow", "--json"))
    events = [json.loads(line) for line in said.splitlines()]
    assert [HOSTILE in event["reason"] for event in events] == [True, True, False, True, True]
    assert HOSTILE in events[2]["failed"]


def test_the_reason_of_a_pause_is_kept_as_text_that_can_be_stored(shop: HostileShop) -> None:
    ensure_harmless(shop.said("pause", "production", "--reason", HOSTILE))
    (pause,) = shop.autopilot.paused
    assert pause.reason == HOSTILE.replace("\udc9b", r"\udc9b")
    assert msgspec.json.decode(msgspec.json.encode(pause), type=Pause) == pause


def _texts(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case list():
            yield from chain.from_iterable(map(_texts, value))
        case dict():
            yield from chain.from_iterable(map(_texts, value.values()))


@pytest.mark.parametrize("is_terminal", [False, True], ids=["pipe", "terminal"])
def test_watching_is_harmless(
    shop: HostileShop, is_terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", interrupted)
    monkeypatch.setenv("LINES", "200")
    shop.is_terminal = is_terminal
    said = ensure_harmless(shop.said("status", "--watch"), is_redrawn=is_terminal)
    assert f"mute{SHOWN}" in said
    lines = ensure_harmless(shop.said("status", "--watch", "--json")).splitlines()
    assert any(HOSTILE in text for text in _texts(json.loads(lines[0])))


def test_what_goes_on_is_drawn_harmlessly() -> None:
    headway = Headway({DatabaseId(f"production{HOSTILE}", "auth"): 2})
    restart = RestartInstance(AUTH, f"auth-1{HOSTILE}", "", Interruption.RESTART)
    headway.on_event(Planned(Plan(), 0.0))
    headway.on_event(Started(restart, 0.0))
    headway.on_event(Retrying(f"staging{HOSTILE}", TryLater(f"busy{HOSTILE}"), 1, 0.5, 0.0))
    screen = Screen(is_terminal=True)
    console = Console(file=screen, width=1000, force_terminal=True, color_system="standard")
    console.print(drawing(headway, 1.0, 1.0, 1000))
    said = ensure_harmless(screen.getvalue())
    for word in ("production", "auth-1", "staging", "busy"):
        assert f"{word}{SHOWN}" in said


def test_who_is_at_work_is_told_harmlessly(shop: HostileShop) -> None:
    with shop.lock.open("w") as file:
        json.dump({"pid": 1, "command": HOSTILE, "started": HOSTILE}, file)
        file.flush()
        fcntl.flock(file, fcntl.LOCK_EX)
        assert SHOWN in ensure_harmless(shop.said("down", "--no-wait"))
        # What is printed first is who is waited for.
        shop.when_printing = lambda: fcntl.flock(file, fcntl.LOCK_UN)
        said = ensure_harmless(shop.said("down", "staging"))
    assert said.startswith(f"waiting for pgherd {SHOWN}")


def test_what_is_going_to_be_deleted_is_told_harmlessly(
    shop: HostileShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.is_hostile, shop.is_interactive = False, True
    shop.world.environments[f"lost{HOSTILE}"] = StoredEnvironment(f"lost{HOSTILE}")
    monkeypatch.setattr(sys, "stdin", StringIO("\n"))
    flags = ("--yes-destroy", "production", "--yes-destroy", f"lost{HOSTILE}")
    said = ensure_harmless(shop.said("destroy", *flags))
    assert f"\n  lost{SHOWN}: 0 databases with all data\n" in said


def test_the_way_in_names_the_file_harmlessly(shop: HostileShop) -> None:
    shop.is_hostile = False
    in_an_odd_folder(shop)
    shop.write(FLEET)
    said = ensure_harmless(shop.said("up", "-f", str(shop.file)))
    assert f"/{SHOWN}/fleet.yaml" in said[said.index("connect with") :]


def test_a_document_is_harmless(shop: HostileShop) -> None:
    on_oci(shop)
    said = ensure_harmless(shop.said("render", "policy", "--group", "a\x1b]0;owned\x07"))
    assert r"a\x1b]0;owned\x07" in said


def test_colours_of_our_own_stay(shop: HostileShop) -> None:
    shop.is_terminal = True
    assert f"\x1b[36mmemory{SHOWN}\x1b[0m: " in shop.said("logs", "production/auth")
    assert "\x1b[32mstreaming\x1b[0m" in shop.said("status", "production/auth")


def test_a_tab_stays_in_a_log(shop: HostileShop) -> None:
    shop.world.steps.taken.append("production/auth\tSELECT")
    assert f": production/auth\tSELECT{SHOWN}\n" in shop.said("logs", "production/auth")


@pytest.mark.parametrize(
    "arguments",
    [
        (HOSTILE,),
        (f"--{HOSTILE}",),
        ("status", f"--{HOSTILE}"),
        ("status", "production", HOSTILE),
        ("backup", HOSTILE),
        ("url", "production/auth", "--role", HOSTILE),
        ("load", "--seconds", HOSTILE),
        ("show", "-f", HOSTILE),
    ],
)
def test_what_was_typed_wrongly_is_told_harmlessly(
    arguments: Sequence[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    assert r"\x1b]0;owned\x07" in ensure_harmless(capsys.readouterr().err)


@pytest.mark.parametrize("debug", [True, False])
def test_what_nobody_expected_is_told_harmlessly(
    debug: bool,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    # A trace has lines, those of an error's text among them.
    lie, shown = HOSTILE.replace("\n", ""), SHOWN.replace(r"\n", "")
    monkeypatch.setitem(VERBS, "show", f"pgherd.cli.show:{lie}")
    with pytest.raises(SystemExit):
        main([*(["--debug"] if debug else []), "show"])
    said = ensure_harmless(capsys.readouterr().err)
    kept = [ensure_harmless(file.read_text()) for file in tmp_path.glob("*.traceback")]
    assert "error: unexpected: AttributeError: " in said
    assert shown in (said if debug else kept[0])


def test_what_libraries_report_is_told_harmlessly(
    shop: HostileShop, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert logging.lastResort is not None
    monkeypatch.setattr(logging.lastResort, "formatter", None)
    shop.said("status")
    report = logging.LogRecord("library", logging.ERROR, "file", 1, HOSTILE, None, None)
    logging.lastResort.handle(report)
    assert SHOWN.replace(r"\n", "\n") in capsys.readouterr().err
