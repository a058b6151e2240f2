"""Tells systemd that what it has started is ready (sd_notify(3))."""

from __future__ import annotations

import contextlib
import socket


def say_ready(address: str | None) -> None:
    """Send it to the socket that systemd named; nothing where it named none, or does not listen."""
    if not address:
        return
    # An abstract socket's name begins with a zero byte, which a variable cannot hold.
    name = f"\0{address[1:]}" if address.startswith("@") else address
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
        client.connect(name)
        client.sendall(b"READY=1")
