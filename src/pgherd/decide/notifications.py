"""What is told to whom, and when, so that nobody is told twice or in vain: pure, by a given clock.

One message is about one environment, for one receiver. An alert is told once it has been open for
a while, together with what else has opened meanwhile; again where it is still open hours later; and
its end once, where its beginning was told. What is not taken stays due. Times are seconds since
1970, so that all of this outlives a restart.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace

GROUP_SECONDS = 30.0
"""An alert waits for so long, and what opens meanwhile goes along in one message."""
PATIENCE: Mapping[str, float] = {
    "clients-wait": 60.0,
    "degraded": 300.0,
    "replica-lags": 300.0,
    "unseen": 120.0,
}
"""What mostly ends by itself, or is mended, is told only after so long."""
BETWEEN_SECONDS = 120.0
"""Between two messages of one environment to one receiver."""
REPEAT_SECONDS = 4 * 3600.0
"""What is open still is told again after so long."""
END_SECONDS = 60.0
"""What is over for so long has ended; twice as long for each end told within `REPEAT_SECONDS`."""
AGAIN_SECONDS = 30.0
"""What was not taken is sent again after so long; twice as long each time ..."""
LONGEST_AGAIN = 600.0
"""... and no longer than that."""
MOST_AN_HOUR = 20
"""Messages to one receiver."""
HOUR = 3600.0
MOST_IN_ONE = 10
"""Alerts that a message has in full, of those that are open and of those that ended."""
MOST_REMEMBERED = 1000
"""Alerts of one environment; what is more is not told."""


@dataclass(frozen=True, slots=True)
class OpenAlert:
    """One that is open now."""

    name: str
    subject: str
    summary: str
    remedy: str

    @property
    def environment(self) -> str:
        """The one that it is of."""
        return self.subject.partition("/")[0]

    @property
    def database(self) -> str:
        """As in production/cart; the subject may be an instance of it."""
        return "/".join(self.subject.split("/")[:2])


@dataclass(frozen=True, slots=True)
class Known:
    """What one receiver knows of an alert, and since when it is so.

    `told_at` is None until the beginning was told. `gone_at` is when it was first seen no more.
    `ends` are the times of the ends that were told lately.
    """

    alert: OpenAlert
    since: float
    told_at: float | None = None
    gone_at: float | None = None
    ends: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Channel:
    """What one receiver knows of one environment. `number` is that of the last message taken."""

    receiver: str
    environment: str
    known: tuple[Known, ...] = ()
    number: int = 0
    sent_at: float | None = None
    failures: int = 0
    not_before: float = 0.0
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Notices:
    """All that was told. `sent` has the times of the last hour's messages, by receiver."""

    channels: tuple[Channel, ...] = ()
    sent: Mapping[str, tuple[float, ...]] | None = None

    def last_hour(self, receiver: str, now: float) -> int:
        """How many messages it took."""
        return len(_recent((self.sent or {}).get(receiver, ()), now, HOUR))


@dataclass(frozen=True, slots=True)
class Message:
    """One that is due. `number` tells it from those before it.

    `firing` have begun, or are open still where this `is_repeat`; `ended` are over. `is_last` is
    the last one that the receiver gets for now.
    """

    receiver: str
    environment: str
    number: int
    firing: tuple[Known, ...]
    ended: tuple[Known, ...]
    is_repeat: bool = False
    is_last: bool = False


@dataclass(frozen=True, slots=True)
class Listener:
    """A receiver, and the environments of the fleet that it hears of."""

    name: str
    environments: tuple[str, ...]


def noted(
    notices: Notices,
    listeners: Iterable[Listener],
    alerts: Collection[OpenAlert],
    unsure: Collection[str],
    now: float,
) -> Notices:
    """The same with what is open now.

    `unsure` are databases of which not all is seen: nothing of them has ended.
    """
    channels = {(c.receiver, c.environment): c for c in notices.channels}
    found = []
    for listener in listeners:
        for name in listener.environments:
            before = channels.get((listener.name, name), Channel(listener.name, name))
            own = [alert for alert in alerts if alert.environment == name]
            known = tuple(_known(before, own, unsure, now))[:MOST_REMEMBERED]
            found.append(replace(before, known=known))
    names = {channel.receiver for channel in found}
    sent = {
        receiver: recent
        for receiver, times in (notices.sent or {}).items()
        if receiver in names and (recent := _recent(times, now, HOUR))
    }
    return Notices(tuple(found), sent)


def due(notices: Notices, now: float) -> list[Message]:
    """The messages that are to be sent now, one at most for each receiver."""
    found: dict[str, Message] = {}
    for channel in sorted(notices.channels, key=lambda c: c.sent_at or 0.0):
        count = notices.last_hour(channel.receiver, now)
        if channel.receiver in found or count >= MOST_AN_HOUR:
            continue
        if message := _message(channel, now):
            is_last = count == MOST_AN_HOUR - 1
            found[channel.receiver] = replace(message, is_last=is_last)
    return list(found.values())


def taken(notices: Notices, message: Message, now: float) -> Notices:
    """The same after the message was taken: nothing of it is told again."""
    told, ended = set(map(_key, message.firing)), set(map(_key, message.ended))

    def after(one: Known) -> Known:
        if _key(one) in ended:
            ends = (*_recent(one.ends, now, REPEAT_SECONDS), now)
            return replace(one, told_at=None, ends=ends)
        return replace(one, told_at=now) if _key(one) in told else one

    def changed(channel: Channel) -> Channel:
        return replace(
            channel,
            known=tuple(map(after, channel.known)),
            number=message.number,
            sent_at=now,
            failures=0,
            not_before=0.0,
            trouble="",
        )

    sent = dict(notices.sent or {})
    sent[message.receiver] = (*_recent(sent.get(message.receiver, ()), now, HOUR), now)
    return replace(_with(notices, message, changed), sent=sent)


def not_taken(notices: Notices, message: Message, why: str, now: float) -> Notices:
    """The same after it was not: it is due again, later each time."""

    def changed(channel: Channel) -> Channel:
        wait = min(LONGEST_AGAIN, AGAIN_SECONDS * 2 ** min(channel.failures, 10))
        failures = channel.failures + 1
        return replace(channel, failures=failures, not_before=now + wait, trouble=why)

    return _with(notices, message, changed)


def _with(notices: Notices, message: Message, change: Callable[[Channel], Channel]) -> Notices:
    where = (message.receiver, message.environment)
    return replace(
        notices,
        channels=tuple(
            change(c) if (c.receiver, c.environment) == where else c for c in notices.channels
        ),
    )


def _known(
    channel: Channel, alerts: Iterable[OpenAlert], unsure: Collection[str], now: float
) -> Iterable[Known]:
    """What was known, as it is now, and what is new."""
    alerts_by_key = {(alert.name, alert.subject): alert for alert in alerts}
    for one in channel.known:
        ends = _recent(one.ends, now, REPEAT_SECONDS)
        if alert := alerts_by_key.pop(_key(one), None):
            # What had ended for the receiver begins anew.
            begins = one.gone_at is not None and one.told_at is None
            since = now if begins else min(one.since, now)
            told_at = None if one.told_at is None else min(one.told_at, now)
            yield Known(alert, since, told_at, None, ends)
        elif one.alert.database in unsure:
            yield replace(one, ends=ends)
        elif one.told_at is not None or ends:
            gone_at = now if one.gone_at is None else min(one.gone_at, now)
            yield replace(one, gone_at=gone_at, ends=ends)
    for alert in alerts_by_key.values():
        yield Known(alert, now)


def _message(channel: Channel, now: float) -> Message | None:
    since = None if channel.sent_at is None else now - channel.sent_at
    if 0 < channel.not_before - now <= LONGEST_AGAIN or _is_within(since, BETWEEN_SECONDS):
        return None
    begun = [one for one in channel.known if _is_new(one) and _is_ripe(one, now)]
    ended = tuple(one for one in channel.known if _has_ended(one, now))
    late = any(_is_late(one, now) for one in channel.known)
    if not (begun or ended or late):
        return None
    if begun:  # what has only just opened goes along
        new = [one for one in channel.known if _is_new(one)]
        begun = [one for one in new if one.alert.name not in PATIENCE or _is_ripe(one, now)]
    still = [one for one in channel.known if late and one.told_at is not None and _is_open(one)]
    return Message(
        channel.receiver,
        channel.environment,
        channel.number + 1,
        (*begun, *still),
        ended,
        is_repeat=not begun and bool(still),
    )


def _is_open(one: Known) -> bool:
    return one.gone_at is None


def _is_new(one: Known) -> bool:
    return _is_open(one) and one.told_at is None


def _is_ripe(one: Known, now: float) -> bool:
    return now - one.since >= max(GROUP_SECONDS, PATIENCE.get(one.alert.name, 0.0))


def _is_late(one: Known, now: float) -> bool:
    return _is_open(one) and one.told_at is not None and now - one.told_at >= REPEAT_SECONDS


def _has_ended(one: Known, now: float) -> bool:
    if one.gone_at is None or one.told_at is None:
        return False
    lately = len(_recent(one.ends, now, REPEAT_SECONDS))
    return now - one.gone_at >= END_SECONDS * 2.0**lately


def _is_within(since: float | None, seconds: float) -> bool:
    """A clock that was put back keeps nothing waiting."""
    return since is not None and 0 <= since < seconds


def _recent(times: Iterable[float], now: float, seconds: float) -> tuple[float, ...]:
    return tuple(at for at in times if now - seconds < at <= now)


def _key(one: Known) -> tuple[str, str]:
    return one.alert.name, one.alert.subject
