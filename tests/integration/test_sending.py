"""Messages to real receivers on loopback, and what of a secret others can see meanwhile."""

from __future__ import annotations

import contextlib
import email
import email.policy
import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from listening_receivers import Webhook, mail_server, webhook

from pgherd import files
from pgherd.autopilot import sending
from pgherd.autopilot.notice import Notice, notice_of
from pgherd.autopilot.requests import Notify, ToldAlert
from pgherd.autopilot.sending import send
from pgherd.engines.local import processes
from pgherd.engines.local.layout import data_plane_owner
from pgherd.errors import InputError, TryLater
from pgherd.fleet.receivers import Receiver

pytestmark = pytest.mark.integration
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="all run as one user")

SECRET = "s3cr3t-of-the-pager"
FULL = ToldAlert("storage", "production/cart", 1.8e9, "storage is nearly full", "free some")
EVIL = (
    "full\r\nBcc: victim@evil.example\r\n\r\n<script>alert(1)</script> https://evil.example"
    " @everyone <!channel> \x1b]0;owned\x07 \N{RIGHT-TO-LEFT OVERRIDE}"
)


def notice(*alerts: ToldAlert) -> Notice:
    return notice_of(Notify("pager", "production", 1, firing=alerts or (FULL,)), "shop")


@pytest.fixture
def hook() -> Iterator[Webhook]:
    with webhook() as found:
        yield found


def test_a_webhook_gets_it(hook: Webhook) -> None:
    send(Receiver("pager", url=hook.url()), notice())
    (got,) = hook.got
    assert got["title"] == "pgherd shop: production/cart: storage is nearly full"
    assert got["message"].splitlines() == [
        "production/cart: storage is nearly full",
        "  since 2027-01-15 08:00:00 UTC",
        "  what to do: free some",
    ]
    assert got["type"] == "warning"


def test_the_url_may_be_in_a_private_file(hook: Webhook, tmp_path: Path) -> None:
    path = tmp_path / "pager"
    path.write_text(f"{hook.url(SECRET)}\n")
    path.chmod(0o600)
    tmp_path.chmod(0o700)
    with trusted(path):
        send(Receiver("pager", url_file=str(path)), notice())
        assert len(hook.got) == 1
        path.chmod(0o640)
        with pytest.raises(InputError, match="may be read by others"):
            send(Receiver("pager", url_file=str(path)), notice())
        path.chmod(0o600)
        path.write_text(f"{hook.url(SECRET)} and more")
        with pytest.raises(InputError, match="does not hold one URL") as told:
            send(Receiver("pager", url_file=str(path)), notice())
        assert SECRET not in str(told.value)
        path.unlink()
        os.mkfifo(path, 0o600)
        with pytest.raises(InputError, match="is not a file"):
            send(Receiver("pager", url_file=str(path)), notice())
        path.unlink()
        with pytest.raises(InputError, match="cannot be read: no such file"):
            send(Receiver("pager", url_file=str(path)), notice())


@contextlib.contextmanager
def trusted(path: Path) -> Iterator[None]:
    """The folders above pytest's are as they are."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(files, "require_trusted", lambda path: None)
        yield


@needs_root
def test_a_file_that_another_user_may_change_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / "pager"
    path.write_text("json://127.0.0.1:9/")
    path.chmod(0o600)
    os.chown(path, data_plane_owner().uid, -1)
    with pytest.raises(InputError, match="belongs to postgres"):
        send(Receiver("pager", url_file=str(path)), notice())


@pytest.mark.parametrize(("status", "said"), [(500, "it answers with 500"), (403, "403")])
def test_what_is_refused_says_why_and_no_secret(hook: Webhook, status: int, said: str) -> None:
    hook.status = status
    with pytest.raises(TryLater, match=said) as told:
        send(Receiver("pager", url=hook.url(SECRET)), notice())
    assert SECRET not in str(told.value)
    assert str(told.value).startswith("pager (json://***) has not taken a message")


def test_who_is_not_there_has_not_taken_it(hook: Webhook) -> None:
    with pytest.raises(TryLater, match="cannot be reached") as told:
        send(Receiver("pager", url=f"json://127.0.0.1:1/{SECRET}"), notice())
    assert SECRET not in str(told.value)


def test_who_does_not_answer_keeps_nobody_waiting(
    hook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "SEND_SECONDS", 2.0)
    hook.is_open.clear()
    with pytest.raises(TryLater, match="it has not ended in 2 s"):
        send(Receiver("pager", url=hook.url()), notice())


def test_mail_gets_no_header_and_no_markup_of_a_hostile_text() -> None:
    with mail_server() as mails:
        url = (
            f"mailto://127.0.0.1:{mails.port}?from=pgherd@example.com&to=ops@example.com"
            "&mode=insecure"
        )
        send(Receiver("mail", url=url), notice(ToldAlert("x", "production/cart", 1, EVIL, EVIL)))
    (wire,) = mails.got
    message = email.message_from_string(wire, policy=email.policy.default)
    assert message["Bcc"] is None
    assert len(mails.recipients) == 1
    assert "ops@example.com" in mails.recipients[0]
    subject = str(message["Subject"])
    assert subject.startswith("pgherd shop: production/cart: full Bcc: victim(at)evil.example")
    bodies = [part.get_content() for part in message.walk() if not part.is_multipart()]
    assert bodies
    for body in bodies:
        for acting in ("<script", "https://evil", "@everyone", "<!channel", "\x1b", "\x07"):
            assert acting not in body
        assert "what to do" in body


def test_a_command_gets_json_and_its_arguments(tmp_path: Path) -> None:
    out = open_folder(tmp_path)
    program = script(tmp_path, f'cat > "{out}/$1"; id -u > {out}/uid; env > {out}/env')
    send(Receiver("page", command=(program, "got it; true")), notice())
    document = json.loads((out / "got it; true").read_text())
    assert document["subject"] == "pgherd shop: production/cart: storage is nearly full"
    assert document["firing"] == [
        {
            "name": "storage",
            "database": "production/cart",
            "since": "2027-01-15T08:00:00+00:00",
            "summary": "storage is nearly full",
            "remedy": "free some",
        }
    ]
    if os.geteuid() == 0:
        assert (out / "uid").read_text().strip() == "65534"
    names = {line.partition("=")[0] for line in (out / "env").read_text().splitlines()}
    assert names <= {"PATH", "LANG", "HOME", "PWD", "SHLVL", "_", "OLDPWD"}


def test_a_command_that_fails_or_is_not_there_has_not_taken_it(tmp_path: Path) -> None:
    open_folder(tmp_path)
    with pytest.raises(TryLater, match=r"it ended with 3"):
        send(Receiver("page", command=(script(tmp_path, "exit 3"),)), notice())
    with pytest.raises(TryLater, match="cannot be started: no such file"):
        send(Receiver("page", command=("/nowhere/page",)), notice())


def test_nothing_of_a_command_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "SEND_SECONDS", 3.0)
    out = open_folder(tmp_path)
    program = script(tmp_path, f"echo $$ > {out}/pid; sleep 987 & echo $! > {out}/other; sleep 987")
    with pytest.raises(TryLater, match="has not ended in"):
        send(Receiver("page", command=(program,)), notice())
    for name in ("pid", "other"):
        pid = int((out / name).read_text())
        deadline = time.monotonic() + 5
        while is_running(pid):
            assert time.monotonic() < deadline, f"{name} runs on"
            time.sleep(0.05)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def open_folder(tmp_path: Path) -> Path:
    """Where a program of nobody's may write; the folders above may be entered."""
    out = tmp_path / "out"
    out.mkdir()
    out.chmod(0o777)
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.geteuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o011)
    return out


def script(tmp_path: Path, text: str) -> str:
    path = tmp_path / "page"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


@needs_root
@pytest.mark.alone  # it finds the sender among all processes
def test_nobody_sees_the_secret_while_it_is_sent(hook: Webhook) -> None:
    """Not the data plane's user, and not another process of the sender's own user."""
    hook.is_open.clear()
    sent = threading.Thread(
        target=send, args=(Receiver("pager", url=hook.url(SECRET)), notice()), daemon=True
    )
    sent.start()
    deadline = time.monotonic() + 10
    while not hook.got:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    (pid,) = [
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit()
        and "pgherd.autopilot.sender" in processes.title(int(entry.name)).split("\0")
    ]
    status = Path(f"/proc/{pid}/status").read_text()
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert fields["Uid"].split() == ["65534"] * 4
    assert fields["Groups"].strip() == ""
    assert int(fields["CapEff"], 16) == int(fields["CapPrm"], 16) == 0
    assert fields["NoNewPrivs"].strip() == "1"
    assert SECRET not in Path(f"/proc/{pid}/cmdline").read_text()
    assert SECRET not in Path(f"/proc/{pid}/environ").read_text()
    for uid in (data_plane_owner().uid, 65534):
        for name in ("environ", "mem", "maps", "fd/0", "fd"):
            tried = subprocess.run(
                ["/usr/bin/test", "-r", f"/proc/{pid}/{name}"], user=uid, group=uid, check=False
            )
            opened = subprocess.run(
                ["/bin/dd", f"if=/proc/{pid}/{name}", "of=/dev/null", "count=1"],
                user=uid,
                group=uid,
                extra_groups=[],
                capture_output=True,
                check=False,
            )
            assert opened.returncode != 0, f"{name} is read by {uid}"
            assert b"ermission denied" in opened.stderr or tried.returncode != 0
    hook.is_open.set()
    sent.join(20)
    assert not sent.is_alive()
