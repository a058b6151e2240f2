"""The keys of `history`, with the text that describes each. A URL is not shown in a problem."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from pgherd.errors import InputError
from pgherd.fleet.history_place import EXAMPLE, url_problem
from pgherd.fleet.keys import Section
from pgherd.fleet.receiver_values import WholePath
from pgherd.fleet.values import Reads

_WAYS_OUT = (
    "keep the URL in a private file: url_file: /etc/pgherd/history; or give the role a "
    "certificate, or libpq a file with the password: ?sslcert=/PATH&sslkey=/PATH, ?passfile=/PATH"
)


def _read_url(text: str) -> str:
    if problem := url_problem(text, is_private=False):
        hint = _WAYS_OUT if "password" in problem else f"write one as in {EXAMPLE}"
        raise InputError(problem, hint)
    return text


def _read_place(value: object) -> object:
    """What is no mapping may be a URL with a password, and is not shown."""
    if not isinstance(value, dict):
        context = {
            "message": "this is not a place for the history",
            "hint": "write {url: URL} or {url_file: /PATH}, or remove the key for a file beside "
            "the state folder",
        }
        raise PydanticCustomError("unreadable", "{message}", context)
    return value


HistoryUrl = Annotated[str, Reads(_read_url, {"type": "string", "pattern": "^postgresql://"})]


class HistoryProfile(Section):
    """The PostgreSQL database in which the history is kept."""

    url: HistoryUrl | None = Field(
        None,
        description="Its URL, without a password: a role that has one gets it from url_file, or "
        "from libpq's `passfile`.",
        examples=[EXAMPLE],
    )
    url_file: WholePath | None = Field(
        None,
        description="A file with its URL on the only line, which only whoever runs pgherd may "
        "read. It is read whenever the history is opened.",
        examples=["/etc/pgherd/history"],
    )


HISTORY_EXAMPLE = {"url_file": "/etc/pgherd/history"}
History = Annotated[
    HistoryProfile, BeforeValidator(_read_place, json_schema_input_type=HistoryProfile)
]
