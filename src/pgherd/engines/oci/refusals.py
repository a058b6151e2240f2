"""Our error for each of the SDK's: by what the reader can do, or whether it may pass."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

from pgherd.engines.oci.variables import ENDPOINT_VARIABLE
from pgherd.errors import InputError, NeedsHuman, PgherdError, TryLater

_PASSING = {"IncorrectState", "LockConflict", "ExternalServerIncorrectState", "Conflict"}
_USED_UP = {"LimitExceeded", "QuotaExceeded", "OutOfHostCapacity"}


class Stale(TryLater):
    """It changed since it was looked at; only another look helps."""


class NotFound(InputError):
    """It is not there, or may not be seen: OCI gives the same answer to both."""


def translated(error: Exception, what: str) -> PgherdError:
    """Our error for one of the SDK's."""
    oci = import_module("oci")
    if isinstance(error, oci.exceptions.ServiceError):
        return _of_service(error, what)
    if isinstance(error, oci.exceptions.RequestException | OSError):
        return TryLater(f"oci does not answer to {what}: {_reason(error)}", _where_to_look())
    return NeedsHuman(f"{what} failed: {first_line(error)}", "see `pgherd doctor --engine oci`")


def _of_service(error: Any, what: str) -> PgherdError:
    status, code = error.status, error.code
    text = f"oci refuses {what}: {first_line(error.message) or code}"
    if status == 404:
        return NotFound(text, "see `pgherd doctor --engine oci` for what this profile may do")
    if status in (401, 403):
        return InputError(text, "check the profile's key and user, then `pgherd doctor`")
    if code in _USED_UP:
        return NeedsHuman(text, "ask for a higher limit in the console, then run it again")
    if status == 412:
        return Stale(text)
    if status == 429 or status >= 500 or code in _PASSING:
        return TryLater(f"oci is not ready for {what}: {first_line(error.message) or code}")
    if status == 409:
        return TryLater(text)
    return InputError(text)


def _reason(error: BaseException) -> str:
    """Why there is no answer: the innermost reason, less the objects that it is wrapped in."""
    text = str(error)
    for sign, reason in (
        ("Connection refused", "the connection is refused"),
        ("Name or service not known", "its name is not known"),
        ("No address associated", "its name is not known"),
        ("timed out", "it took too long"),
        ("Connection reset", "the connection was reset"),
        ("RemoteDisconnected", "the connection was closed"),
    ):
        if sign in text:
            return reason
    return first_line(error)


def _where_to_look() -> str:
    if endpoint := os.environ.get(ENDPOINT_VARIABLE):
        return f"{ENDPOINT_VARIABLE} is {endpoint}: does a local OCI run there?"
    return "check the network, the proxy and the region's name"


def first_line(error: object) -> str:
    """Of what an error says, so much of it as fits."""
    lines = str(error or "").strip().splitlines()
    return lines[0][:300] if lines else ""
