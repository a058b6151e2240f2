"""Who is told of alerts: the receivers of a fleet.

A URL of Apprise mostly has a secret in it, anywhere in it. So none of it but its scheme is ever
shown, in an error neither.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

LONGEST_URL = 2000
LONGEST_NAME = 31
URL_PATTERN = r"([A-Za-z][A-Za-z0-9+.-]{0,30})://\S+"
_URL = re.compile(URL_PATTERN)
_HIDDEN = "***"


@dataclass(frozen=True, slots=True)
class Receiver:
    """One that is told of alerts: by `url`, by the URL in `url_file`, or by a `command`.

    Exactly one of these is there. `environments` are those that it hears of; empty for all.
    """

    name: str
    url: str = field(default="", repr=False)
    url_file: str = ""
    command: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """Where it is told, without any secret."""
        if self.command:
            return self.command[0]
        return f"the URL in {self.url_file}" if self.url_file else _bare(self.url)

    def hears_of(self, environment: str) -> bool:
        """Whether it is told of the alerts of that environment."""
        return not self.environments or environment in self.environments

    def without_secret(self) -> Receiver:
        """The same for who decides, and must not know how to send."""
        return replace(self, url=_bare(self.url) if self.url else "")

    def as_json(self) -> dict[str, Any]:
        """As `pgherd show --json` has it. Keys are only ever added."""
        return {
            "name": self.name,
            "place": self.place,
            "environments": list(self.environments),
        }


def is_url(text: str) -> bool:
    """Whether it has the form of a URL, whatever it leads to."""
    return len(text) <= LONGEST_URL and text.isprintable() and bool(_URL.fullmatch(text))


def scheme(url: str) -> str:
    """As in mailto."""
    return url.partition("://")[0].lower()


def hidden(text: str) -> str:
    """The same text with no more of its URLs than their schemes."""
    return _URL.sub(rf"\1://{_HIDDEN}", text)


def default_name(url: str, url_file: str, command: tuple[str, ...]) -> str:
    """What a receiver is called that has no name."""
    text = scheme(url) if url else PurePosixPath(url_file or command[0]).stem
    name = re.sub(r"[^a-z0-9]+", "-", text.lower()).lstrip("-0123456789")
    return name[:LONGEST_NAME].strip("-") or "receiver"


def _bare(url: str) -> str:
    return f"{scheme(url)}://{_HIDDEN}"
