"""What an environment's etcd holds of one database: Patroni's keys, read with care."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping

from pgherd.engines.local import patroni
from pgherd.engines.local.agent.parts import Leader
from pgherd.engines.local.etcd_client import KeyValue

NOT_LESS_THAN_PRIMARY = frozenset(
    [
        "max_connections",
        "max_locks_per_transaction",
        "max_prepared_transactions",
        "max_wal_senders",
        "max_worker_processes",
    ]
)
"""What a standby needs at least as much of as its primary (PostgreSQL: "Hot Standby")."""


class Keys:
    """Those of one database, as they were last heard of."""

    def __init__(self, service: str) -> None:
        self._prefix = patroni.scope_prefix(service)
        self._keys: dict[str, KeyValue] = {}

    @property
    def leader_key(self) -> str:
        """The whole name of the key that the leader holds."""
        return f"{self._prefix}leader"

    def member_key(self, name: str) -> str:
        """The whole name of the key in which an instance says how it is."""
        return f"{self._prefix}members/{name}"

    def learn(self, keys: Iterable[KeyValue]) -> None:
        """These are all that there are."""
        self._keys = {}
        self.update(keys)

    def update(self, events: Iterable[KeyValue]) -> None:
        """These are new, changed or gone."""
        for event in events:
            name = event.key.removeprefix(self._prefix)
            if event.value is None:
                self._keys.pop(name, None)
            else:
                self._keys[name] = event

    @property
    def are_there(self) -> bool:
        """etcd knows of the database."""
        return bool(self._keys)

    @property
    def leader(self) -> Leader | None:
        """Who holds the leader key."""
        key = self._keys.get("leader")
        return Leader(key.value, key.mod_revision, key.lease) if key and key.value else None

    @property
    def is_handed_over(self) -> bool:
        """Somebody has asked Patroni for another leader, and it has not come to the end of it."""
        asked = self._content("failover")
        return bool(asked.get("leader") or asked.get("member"))

    @property
    def synchronous(self) -> frozenset[str]:
        """The replicas that have every acknowledged commit (one of them, with quorum commit)."""
        listed = str(self._content("sync").get("sync_standby") or "")
        return frozenset(filter(None, listed.split(",")))

    @property
    def members(self) -> frozenset[str]:
        """The instances that say something of themselves."""
        names = (name.partition("/") for name in self._keys)
        return frozenset(member for kind, _, member in names if kind == "members")

    @property
    def running(self) -> frozenset[str]:
        """Those that say that they run."""
        return frozenset(n for n in self.members if self.member(n).get("state") == "running")

    def member(self, name: str) -> Mapping[str, object]:
        """What an instance says of itself; empty where it says nothing."""
        return self._content(f"members/{name}")

    def waiting(self, name: str) -> frozenset[str]:
        """The settings of an instance that wait for its restart."""
        return frozenset(n for n, (old, new) in self._waiting(name) if not _is_lowered(n, old, new))

    def lowered(self, name: str) -> frozenset[str]:
        """Those that a primary which is restarted one day takes over, and its replicas then.

        Patroni counts them too. A replica's restart changes nothing, as long as its primary has
        more, and more than is needed does no harm.
        """
        return frozenset(n for n, (old, new) in self._waiting(name) if _is_lowered(n, old, new))

    def _waiting(self, name: str) -> Iterator[tuple[str, tuple[object, object]]]:
        reasons = self.member(name).get("pending_restart_reason")
        for setting, change in reasons.items() if isinstance(reasons, dict) else ():
            if isinstance(change, dict):
                yield setting.lower(), (change.get("old_value"), change.get("new_value"))

    def _content(self, name: str) -> Mapping[str, object]:
        key = self._keys.get(name)
        try:
            content = json.loads(key.value) if key and key.value else {}
        except ValueError:
            return {}
        return content if isinstance(content, dict) else {}


def _is_lowered(setting: str, old: object, new: object) -> bool:
    """Whether less is wanted of what replicas need as much of as their primary."""
    if setting not in NOT_LESS_THAN_PRIMARY:
        return False
    try:
        return int(str(new)) < int(str(old))
    except ValueError:
        return False
