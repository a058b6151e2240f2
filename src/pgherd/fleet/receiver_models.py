"""The keys of `notifications`, with the text that describes each."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from pgherd.fleet.keys import Section
from pgherd.fleet.receiver_values import (
    Argument,
    ReceiverName,
    ReceiverUrl,
    WholePath,
    one_or_several_receivers,
)
from pgherd.fleet.values import Name


class ReceiverProfile(Section):
    """One that is told of alerts, in one of three ways."""

    name: ReceiverName | None = Field(
        None,
        description="What events and `pgherd alerts` call it. Without it: the URL's scheme, or the "
        "name of the file or program.",
        examples=["on-call"],
    )
    url: ReceiverUrl | None = Field(
        None,
        description="A URL of [Apprise](https://github.com/caronc/apprise), for a webhook, e-mail "
        "or any other service that it knows. A secret in it is in this file.",
        examples=["jsons://example.com/hook"],
    )
    url_file: WholePath | None = Field(
        None,
        description="A file with such a URL on its only line, which only whoever runs pgherd may "
        "read. It is read at each message.",
        examples=["/etc/pgherd/pager"],
    )
    command: tuple[Argument | None, ...] | None = Field(
        None,
        description="A program, by its whole path, and its arguments. It gets the message as JSON "
        "on standard input, and runs as `nobody` where root runs pgherd.",
        examples=[["/usr/local/bin/page", "--quiet"]],
    )
    environments: tuple[Name | None, ...] | None = Field(
        None,
        description="The environments that it hears of. Without it: all.",
        examples=[["production"]],
    )


NOTIFICATIONS_EXAMPLE = [{"url_file": "/etc/pgherd/pager", "environments": ["production"]}]
Notifications = Annotated[
    tuple[ReceiverProfile | None, ...],
    one_or_several_receivers(ReceiverProfile | tuple[ReceiverProfile, ...]),
]
